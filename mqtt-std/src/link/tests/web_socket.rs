use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
    },
};

use super::*;
use crate::OptionsError;

async fn listen_ws() -> (TcpListener, Transport) {
    let (listener, transport) = listen().await;
    (
        listener,
        Transport {
            websocket: true,
            ..transport
        },
    )
}

/// Accepts a WebSocket, with `subprotocol` in the answer; gives the request too.
async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    subprotocol: Option<&'static str>,
) -> (WebSocketStream<S>, Request) {
    let mut seen = None;
    #[expect(
        clippy::result_large_err,
        reason = "the type that tungstenite asks for"
    )]
    let callback = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        seen = Some(request.clone());
        if let Some(subprotocol) = subprotocol {
            response.headers_mut().insert(
                "Sec-WebSocket-Protocol",
                HeaderValue::from_static(subprotocol),
            );
        }
        Ok(response)
    };
    let socket = accept_hdr_async(stream, callback).await.unwrap();
    (socket, seen.unwrap())
}

/// Runs one server with `serve`, and connects to it.
async fn served<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(WebSocketStream<TcpStream>) -> F + Send + 'static,
) -> (Reader, Writer) {
    let (listener, transport) = listen_ws().await;
    tokio::spawn(async move {
        let (socket, _) = upgrade(accept(listener).await, Some("mqtt")).await;
        serve(socket).await;
    });
    connected(&transport).await
}

/// MQTT 3.1.1 [MQTT-6.0.0-1] [MQTT-6.0.0-2] [MQTT-7.1.2-1]
/// MQTT 5 [MQTT-4.2.0-1] [MQTT-6.0.0-1] [MQTT-6.0.0-2]
#[tokio::test]
async fn binary_frames_carry_bytes_both_ways_whatever_their_borders() {
    let (reader, writer) = served(echo_frames).await;
    converse(reader, writer).await;
}

/// Sends back what comes, in frames of another size.
async fn echo_frames<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message {
            for piece in bytes.chunks(7_001) {
                let piece = Message::Binary(piece.to_vec().into());
                socket.feed(piece).await.unwrap();
            }
            socket.flush().await.unwrap();
        }
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_web_socket_runs_over_tls() {
    let authority = certificates::Authority::new();
    let acceptor = tls::server(authority.issue("localhost")).acceptor();
    let (listener, mut transport) = listen_ws().await;
    transport.tls = true;
    transport.tls_options.authorities = vec![crate::options::Pem::Text(authority.pem())];
    tokio::spawn(async move {
        let stream = acceptor.accept(accept(listener).await).await.unwrap();
        echo_frames(upgrade(stream, Some("mqtt")).await.0).await;
    });
    let (reader, writer) = connected(&transport).await;
    converse(reader, writer).await;
}

/// MQTT 3.1.1 [MQTT-6.0.0-3]
/// MQTT 5 [MQTT-6.0.0-3]
#[tokio::test]
async fn the_request_names_path_subprotocol_and_headers() {
    let (listener, mut transport) = listen_ws().await;
    transport.path = Some("/broker/socket?x=1".to_owned());
    transport.headers = vec![("Authorization".to_owned(), "Bearer abc".to_owned())];
    let host = format!("localhost:{}", transport.port());
    let accepting = tokio::spawn(async { upgrade(accept(listener).await, Some("mqtt")).await.1 });
    connected(&transport).await;
    let request = accepting.await.unwrap();
    assert_eq!(request.uri().to_string(), "/broker/socket?x=1");
    assert_eq!(request.headers()["sec-websocket-protocol"], "mqtt");
    assert_eq!(request.headers()["authorization"], "Bearer abc");
    assert_eq!(request.headers()["host"], host.as_str());
}

/// MQTT 3.1.1 [MQTT-6.0.0-4]
/// MQTT 5 [MQTT-6.0.0-4]
#[tokio::test]
async fn the_subprotocol_must_be_agreed() {
    for answer in [None, Some("mqttv3.1")] {
        let (listener, transport) = listen_ws().await;
        tokio::spawn(async move { upgrade(accept(listener).await, answer).await });
        assert!(
            matches!(failure(&transport).await, ConnectFailure::NoSubprotocol),
            "{answer:?}"
        );
    }
}

/// MQTT 3.1.1 [MQTT-6.0.0-1]
/// MQTT 5 [MQTT-6.0.0-1]
#[tokio::test]
async fn a_text_frame_ends_the_link() {
    let (mut reader, _writer) = served(|mut socket| async move {
        socket.send(Message::Text("text".into())).await.unwrap();
        let _ = socket.next().await;
    })
    .await;
    let error = timeout(LIMIT, reader.read(&mut [0; 16]))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_ping_is_answered_while_reading() {
    let (mut reader, _writer) = served(|mut socket| async move {
        socket
            .send(Message::Ping("are you there".into()))
            .await
            .unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer, Message::Pong("are you there".into()));
        socket.send(Message::Binary("yes".into())).await.unwrap();
        let _ = socket.next().await;
    })
    .await;
    let mut buffer = [0; 16];
    assert_eq!(
        timeout(LIMIT, reader.read(&mut buffer))
            .await
            .unwrap()
            .unwrap(),
        3
    );
    assert_eq!(&buffer[..3], b"yes");
}

#[tokio::test]
async fn the_link_ends_with_a_close_frame() {
    let (listener, transport) = listen_ws().await;
    let serving = tokio::spawn(async {
        let (mut socket, _) = upgrade(accept(listener).await, Some("mqtt")).await;
        socket.next().await.unwrap().unwrap()
    });
    let (_reader, mut writer) = connected(&transport).await;
    timeout(LIMIT, writer.close()).await.unwrap();
    assert!(matches!(serving.await.unwrap(), Message::Close(_)));
}

#[tokio::test]
async fn an_http_status_is_reported() {
    for (answer, status) in [
        ("HTTP/1.1 404 Not Found", 404),
        ("HTTP/1.1 401 Unauthorized", 401),
        ("HTTP/1.1 200 OK", 200),
    ] {
        let answer = format!("{answer}\r\nContent-Length: 0\r\n\r\n");
        let failure = answered_with(answer).await;
        assert!(
            matches!(failure, ConnectFailure::HttpStatus(seen) if seen == status),
            "{failure:?}"
        );
        assert!(failure.to_string().contains(&status.to_string()));
    }
}

#[tokio::test]
async fn an_mqtt_port_is_no_web_socket() {
    let failure = answered_with("\u{20}\u{2}\0\0\r\n\r\n".to_owned()).await;
    assert!(
        matches!(failure, ConnectFailure::NotWebSocket(_)),
        "{failure:?}"
    );
}

/// What the handshake makes of `answer`.
async fn answered_with(answer: String) -> ConnectFailure {
    let (listener, transport) = listen_ws().await;
    tokio::spawn(async move {
        let mut stream = accept(listener).await;
        stream.read_exact(&mut [0; 16]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    failure(&transport).await
}

#[test]
fn headers_of_the_handshake_cannot_be_replaced() {
    let cases = [
        ("Sec-WebSocket-Protocol", "x"),
        ("upgrade", "x"),
        ("bad name", "x"),
        ("X-Ok", "line\r\nbreak"),
    ];
    for (name, value) in cases {
        let headers = vec![(name.to_owned(), value.to_owned())];
        let transport = Transport {
            host: "h".to_owned(),
            websocket: true,
            headers,
            ..Transport::default()
        };
        let error = transport.connector(Arc::new(Trace::default())).err();
        assert_eq!(error, Some(OptionsError::Header(name.to_owned())));
    }
}
