//! Links to peers in the same process.
#![allow(clippy::large_futures, reason = "a host's stack is large")]

#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "websocket")]
mod web_socket;

use std::{sync::Arc, time::Duration};

use embedded_io_async::{Read, Write};
use mqtt_core::client::{Close, Connect, ConnectError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    Connector, Trace,
    halves::{Reader, Writer},
};
use crate::{ConnectFailure, options::transport::Transport};

/// Everything here takes milliseconds; a test that hangs must fail.
const LIMIT: Duration = Duration::from_secs(20);

/// A listener and the options that lead to it.
async fn listen() -> (TcpListener, Transport) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (
        listener,
        Transport {
            host: "localhost".to_owned(),
            port: Some(port),
            ..Transport::default()
        },
    )
}

fn connector(transport: &Transport) -> Connector {
    transport.connector(Arc::new(Trace::default())).unwrap()
}

async fn accept(listener: TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

async fn connected(transport: &Transport) -> (Reader, Writer) {
    timeout(LIMIT, connector(transport).connect())
        .await
        .unwrap()
        .unwrap()
}

#[cfg(any(feature = "tls", feature = "websocket"))]
async fn failure(transport: &Transport) -> ConnectFailure {
    let mut connector = connector(transport);
    let outcome = timeout(LIMIT, connector.connect()).await.unwrap();
    let kind = outcome.err().expect("the link must not come up");
    let failure = connector.trace.failure().unwrap();
    assert_eq!(kind, failure.kind());
    failure
}

/// Sends, has it sent back, and closes.
async fn converse(mut reader: Reader, mut writer: Writer) {
    let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sending = async {
        for piece in sent.chunks(30_000) {
            writer.write_all(piece).await.unwrap();
            writer.flush().await.unwrap();
        }
    };
    let receiving = async {
        let mut received = vec![0; sent.len()];
        reader.read_exact(&mut received).await.unwrap();
        assert!(received == sent, "the bytes came back changed");
    };
    timeout(LIMIT, async { tokio::join!(sending, receiving) })
        .await
        .unwrap();
    timeout(LIMIT, writer.close()).await.unwrap();
    assert_eq!(
        timeout(LIMIT, reader.read(&mut [0; 16]))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

async fn echo(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// MQTT 3.1.1 [MQTT-7.1.2-1]
/// MQTT 5 [MQTT-4.2.0-1]
#[tokio::test]
async fn plain_tcp_carries_bytes_both_ways() {
    let (listener, transport) = listen().await;
    tokio::spawn(async { echo(accept(listener).await).await });
    let (reader, writer) = connected(&transport).await;
    converse(reader, writer).await;
}

#[tokio::test]
async fn nagle_is_off() {
    let (listener, transport) = listen().await;
    let trace = Trace::default();
    let (stream, _) = tokio::join!(
        super::tcp::connect(&transport.host, transport.port(), &trace),
        listener.accept()
    );
    assert!(stream.unwrap().nodelay().unwrap());
}

#[tokio::test]
async fn nobody_listening_is_a_refusal() {
    let (listener, transport) = listen().await;
    drop(listener);
    let mut connector = connector(&transport);
    assert_eq!(connector.connect().await.err(), Some(ConnectError::Refused));
    assert_eq!(
        connector.trace.failure().unwrap().to_string(),
        "connection refused"
    );
}

#[tokio::test]
async fn a_tls_port_spoken_to_in_plain_is_recognised() {
    assert!(matches!(
        answered_with(&[0x15, 3, 3, 0, 2, 2, 70]).await,
        Some(ConnectFailure::SpeaksTls)
    ));
}

#[tokio::test]
async fn an_http_port_spoken_to_in_plain_is_recognised() {
    let answer = answered_with(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(answer, Some(ConnectFailure::SpeaksHttp)));
}

#[tokio::test]
async fn a_connack_is_not_taken_for_another_protocol() {
    assert!(answered_with(&[0x20, 2, 0, 0]).await.is_none());
}

/// What a plain link makes of these first bytes.
async fn answered_with(bytes: &'static [u8]) -> Option<ConnectFailure> {
    let (listener, transport) = listen().await;
    tokio::spawn(async move {
        let mut stream = accept(listener).await;
        stream.write_all(bytes).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let mut connector = connector(&transport);
    let (mut reader, _writer) = connector.connect().await.unwrap();
    let outcome = timeout(LIMIT, reader.read(&mut [0; 64])).await.unwrap();
    drop(reader);
    assert_eq!(outcome.is_err(), connector.trace.failure().is_some());
    assert!(connector.trace.heard());
    connector.trace.failure()
}
