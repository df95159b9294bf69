//! MQTT over WebSocket: binary frames of the subprotocol `mqtt` (MQTT 3.1.1 §6.0).

use std::{io, sync::Arc};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Bytes, Message,
        client::IntoClientRequest,
        error::ProtocolError,
        http::{
            HeaderName, HeaderValue, Request,
            header::{CONNECTION, HOST, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
        },
        protocol::WebSocketConfig,
    },
};

use crate::{ConnectFailure, OptionsError, Stage};

/// The WebSocket is the same above TCP and above TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Socket = WebSocketStream<Box<dyn Duplex>>;

/// More than this in one frame is refused: it would be memory of our own that a peer fills.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Bytes of a frame that is sent, at most.
const MAX_SENT: usize = 64 * 1024;

/// Bytes that wait to be sent, at most: twice a frame, and the rest for answers to pings of a broker that does not read
/// them. Without a limit such a broker fills the memory.
const MAX_WAITING: usize = 4 * MAX_SENT;

/// The request that opens the WebSocket, checked.
#[derive(Clone)]
pub(crate) struct Upgrade {
    request: Request<()>,
}

impl Upgrade {
    /// `authority` is `host:port`; `headers` are added to those of the handshake.
    pub(crate) fn new(
        authority: &str,
        path: &str,
        headers: &[(String, String)],
    ) -> Result<Self, OptionsError> {
        let uri = format!("ws://{authority}{path}");
        let mut request = uri.into_client_request().map_err(|_| OptionsError::Path)?;
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
        for (name, value) in headers {
            add_header(&mut request, name, value)
                .ok_or_else(|| OptionsError::Header(name.clone()))?;
        }
        Ok(Self { request })
    }

    pub(super) async fn connect(
        &self,
        stream: Box<dyn Duplex>,
    ) -> Result<(WebSocketReader, WebSocketWriter), ConnectFailure> {
        let request = self.request.clone();
        let handshake = client_async_with_config(request, stream, Some(config()));
        // A server that answers without the subprotocol, or with another one, fails here.
        let (socket, _) = Box::pin(handshake).await.map_err(sort)?;
        let (sink, stream) = socket.split();
        Ok((
            WebSocketReader {
                stream,
                rest: Bytes::new(),
            },
            WebSocketWriter { sink },
        ))
    }
}

/// `None` if name or value cannot be sent, or the header belongs to the handshake itself.
fn add_header(request: &mut Request<()>, name: &str, value: &str) -> Option<()> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_str(value).ok()?;
    if name == CONNECTION || name == UPGRADE || name.as_str().starts_with("sec-websocket-") {
        return None;
    }
    if name == HOST {
        request.headers_mut().insert(name, value);
    } else {
        request.headers_mut().append(name, value);
    }
    Some(())
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME))
        .write_buffer_size(MAX_SENT)
        .max_write_buffer_size(MAX_WAITING)
}

/// The byte stream inside the binary frames. Their borders mean nothing [MQTT-6.0.0-2].
pub(super) struct WebSocketReader {
    stream: SplitStream<Socket>,
    rest: Bytes,
}

impl WebSocketReader {
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.stream.next().await.transpose() {
                Ok(Some(Message::Binary(bytes))) => self.rest = bytes,
                // [MQTT-6.0.0-1]
                Ok(Some(Message::Text(_))) => return Err(text_frame()),
                // Pings are answered by the socket itself.
                Ok(Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Ok(Some(Message::Close(_)) | None) => return Ok(0),
                Err(error) => return ended(error),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn text_frame() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the broker sent a WebSocket text frame",
    )
}

fn ended(error: tungstenite::Error) -> io::Result<usize> {
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(0),
        error => Err(into_io(error)),
    }
}

fn into_io(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            io::ErrorKind::BrokenPipe.into()
        }
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

/// Every write becomes one binary frame, of [`MAX_SENT`] bytes at most; `flush` hands what is gathered to the transport.
pub(super) struct WebSocketWriter {
    sink: SplitSink<Socket, Message>,
}

impl WebSocketWriter {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(MAX_SENT)];
        let frame = Message::Binary(Bytes::copy_from_slice(bytes));
        self.sink.feed(frame).await.map_err(into_io)?;
        Ok(bytes.len())
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.sink.flush().await.map_err(into_io)
    }

    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.sink.close().await.map_err(into_io)
    }
}

/// The failure that a broken handshake stands for.
fn sort(error: tungstenite::Error) -> ConnectFailure {
    match error {
        tungstenite::Error::Http(response) => {
            ConnectFailure::HttpStatus(response.status().as_u16())
        }
        tungstenite::Error::Io(error) => ConnectFailure::from_stage(Stage::WebSocket, error),
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            ConnectFailure::NoSubprotocol
        }
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete)
        | tungstenite::Error::ConnectionClosed => ConnectFailure::Closed(Stage::WebSocket),
        tungstenite::Error::Protocol(error) => ConnectFailure::NotWebSocket(error.to_string()),
        error => ConnectFailure::Io(Arc::new(io::Error::other(error.to_string()))),
    }
}
