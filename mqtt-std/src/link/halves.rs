//! The two halves of a link, as the driver of mqtt-core wants them.

use std::{io, sync::Arc};

use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::client::Close;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
#[cfg(feature = "tls")]
use tokio_rustls::client::TlsStream;

use super::Trace;
#[cfg(feature = "websocket")]
use super::web_socket::{WebSocketReader, WebSocketWriter};
use crate::{ConnectFailure, session_file::KeptSession};

pub(super) enum ReadHalf {
    Tcp(OwnedReadHalf),
    #[cfg(feature = "tls")]
    Tls(tokio::io::ReadHalf<TlsStream<TcpStream>>),
    #[cfg(feature = "websocket")]
    WebSocket(WebSocketReader),
}

pub(super) enum WriteHalf {
    Tcp(OwnedWriteHalf),
    #[cfg(feature = "tls")]
    Tls(tokio::io::WriteHalf<TlsStream<TcpStream>>),
    #[cfg(feature = "websocket")]
    WebSocket(WebSocketWriter),
}

pub(super) fn of_tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    let (reader, writer) = stream.into_split();
    (ReadHalf::Tcp(reader), WriteHalf::Tcp(writer))
}

#[cfg(feature = "tls")]
pub(super) fn of_tls(stream: TlsStream<TcpStream>) -> (ReadHalf, WriteHalf) {
    let (reader, writer) = tokio::io::split(stream);
    (ReadHalf::Tls(reader), WriteHalf::Tls(writer))
}

#[cfg(feature = "websocket")]
pub(super) fn of_web_socket(
    (reader, writer): (WebSocketReader, WebSocketWriter),
) -> (ReadHalf, WriteHalf) {
    (ReadHalf::WebSocket(reader), WriteHalf::WebSocket(writer))
}

impl ReadHalf {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.read(buffer).await,
            #[cfg(feature = "tls")]
            Self::Tls(half) => without_goodbye(half.read(buffer).await),
            #[cfg(feature = "websocket")]
            Self::WebSocket(half) => without_goodbye(half.read(buffer).await),
        }
    }
}

/// A peer that ends the link without `close_notify` has closed it all the same: MQTT packets carry their length, nothing
/// can be cut off unnoticed.
#[cfg(any(feature = "tls", feature = "websocket"))]
fn without_goodbye(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        result => result,
    }
}

/// The receiving half of a link.
pub(crate) struct Reader {
    half: ReadHalf,
    trace: Arc<Trace>,
    heard: bool,
}

impl Reader {
    pub(super) fn new(half: ReadHalf, trace: Arc<Trace>) -> Self {
        Self {
            half,
            trace,
            heard: false,
        }
    }

    /// Looks at the very first bytes: a port that speaks another protocol is worth its own message.
    fn first(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.heard = true;
        self.trace.hear();
        let Some(failure) = foreign(bytes) else {
            return Ok(());
        };
        self.trace.fail(failure);
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// The protocol that `bytes`, the first of a link, belong to if they cannot be MQTT: a `ConnAck` begins with 0x20.
fn foreign(bytes: &[u8]) -> Option<ConnectFailure> {
    match bytes {
        // A TLS alert of any version.
        [0x15, 0x03, ..] => Some(ConnectFailure::SpeaksTls),
        [b'H', b'T', b'T', b'P', ..] => Some(ConnectFailure::SpeaksHttp),
        _ => None,
    }
}

impl ErrorType for Reader {
    type Error = io::Error;
}

impl Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self
            .half
            .read(buffer)
            .await
            .map_err(|error| self.trace.fail_io(error))?;
        if !self.heard && len > 0 {
            self.first(&buffer[..len])?;
        }
        Ok(len)
    }
}

/// The sending half of a link.
pub(crate) struct Writer {
    half: WriteHalf,
    trace: Arc<Trace>,
    kept: Option<Arc<KeptSession>>,
}

impl Writer {
    pub(super) fn new(half: WriteHalf, trace: Arc<Trace>, kept: Option<Arc<KeptSession>>) -> Self {
        Self { half, trace, kept }
    }
}

impl ErrorType for Writer {
    type Error = io::Error;
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kept) = &self.kept {
            kept.save().map_err(|error| self.trace.fail_io(error))?;
        }
        let result = match &mut self.half {
            WriteHalf::Tcp(half) => half.write(bytes).await,
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.write(bytes).await,
            #[cfg(feature = "websocket")]
            WriteHalf::WebSocket(half) => half.write(bytes).await,
        };
        result.map_err(|error| self.trace.fail_io(error))
    }

    async fn flush(&mut self) -> io::Result<()> {
        let result = match &mut self.half {
            // Nothing is held back.
            WriteHalf::Tcp(_) => Ok(()),
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.flush().await,
            #[cfg(feature = "websocket")]
            WriteHalf::WebSocket(half) => half.flush().await,
        };
        result.map_err(|error| self.trace.fail_io(error))
    }
}

impl Close for Writer {
    async fn close(&mut self) {
        let result = match &mut self.half {
            WriteHalf::Tcp(half) => half.shutdown().await,
            #[cfg(feature = "tls")]
            WriteHalf::Tls(half) => half.shutdown().await,
            #[cfg(feature = "websocket")]
            WriteHalf::WebSocket(half) => half.close().await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "the link was closed already");
        }
    }
}
