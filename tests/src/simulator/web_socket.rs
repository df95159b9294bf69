//! WebSocket in front of a simulator: whoever begins with GET gets one, and what is in it goes over TCP again.

use std::net::{SocketAddr, TcpStream};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
    },
};

use super::{Shared, link};

/// Serves MQTT as it is, or in a WebSocket.
pub(super) fn serve(shared: &Shared, stream: TcpStream, address: SocketAddr) {
    let mut start = [0; 4];
    match stream.peek(&mut start) {
        Ok(len) if b"GET ".starts_with(&start[..len]) && len > 0 => {
            let path = shared.lock().platform.web_socket_path();
            bridge(stream, address, path);
        }
        _ => link::serve(shared, stream),
    }
}

fn bridge(stream: TcpStream, address: SocketAddr, path: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    if let (Ok(runtime), Ok(())) = (runtime, stream.set_nonblocking(true)) {
        // Whatever fails, both connections end.
        let _ = runtime.block_on(copy(stream, address, path));
    }
}

type AnyError = Box<dyn core::error::Error>;

async fn copy(stream: TcpStream, address: SocketAddr, path: Option<&str>) -> Result<(), AnyError> {
    let stream = tokio::net::TcpStream::from_std(stream)?;
    #[expect(
        clippy::result_large_err,
        reason = "the type that tungstenite asks for"
    )]
    let answer = |request: &Request, response: Response| {
        if path.is_some_and(|path| path.is_empty() || request.uri().path() == path) {
            answer(request, response)
        } else {
            Err(refusal(StatusCode::NOT_FOUND))
        }
    };
    let mut socket = Box::pin(accept_hdr_async(stream, answer)).await?;
    let mut server = tokio::net::TcpStream::connect(address).await?;
    let mut bytes = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => server.write_all(&bytes).await?,
                // MQTT 3.1.1 §6: other kinds of frames end the link.
                Some(Ok(Message::Text(_) | Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            len = server.read(&mut bytes) => match len? {
                0 => return Ok(socket.close(None).await?),
                len => socket.send(Message::binary(bytes[..len].to_vec())).await?,
            },
        }
    }
}

/// Wants the subprotocol `mqtt` (MQTT 3.1.1 §6).
#[expect(
    clippy::result_large_err,
    reason = "the type that tungstenite asks for"
)]
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get("Sec-WebSocket-Protocol");
    let offered = offered
        .and_then(|offered| offered.to_str().ok())
        .unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == "mqtt") {
        return Err(refusal(StatusCode::BAD_REQUEST));
    }
    response
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    Ok(response)
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = status;
    refusal
}
