//! `WsConnector` against tungstenite, and against servers that break the rules.
#![cfg(feature = "websocket")]
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::{
    io::{Read as _, Write as _},
    sync::mpsc::channel,
    thread,
};

use embedded_io_async::{ErrorKind, Read};
use mqtt_embassy::{
    ConnectError, LinkEnd, Options, Reconnect, Storage, WsConnector,
    mqtt_core::client::{Connect, Link, Sender},
};
use static_cell::ConstStaticCell;
use tungstenite::{
    Bytes, Message, WebSocket,
    handshake::server::{Request, Response},
    http::HeaderValue,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use support::{
    block_on,
    net::both,
    pattern,
    pipe::{Pipes, Server},
    random, read_exact, write_all,
};

type Socket = WebSocket<Server>;

const HOST: &str = "broker.test:8083";

#[allow(
    clippy::result_large_err,
    reason = "the shape of tungstenite's callback"
)]
fn accept(pipe: Server) -> Socket {
    tungstenite::accept_hdr(pipe, |request: &Request, mut response: Response| {
        assert_eq!(request.uri().path(), "/mqtt");
        let headers = request.headers();
        assert_eq!(headers["host"], HOST);
        assert_eq!(headers["sec-websocket-protocol"], "mqtt");
        let mqtt = HeaderValue::from_static("mqtt");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", mqtt);
        Ok(response)
    })
    .unwrap()
}

/// Links to a server that does `work` with each of them in a thread.
fn pipes(work: impl Fn(Server) + Clone + Send + 'static) -> Pipes<impl FnMut(Server)> {
    Pipes::new(500, move |pipe| {
        let work = work.clone();
        thread::spawn(move || work(pipe));
    })
}

fn connector<F: FnMut(Server)>(
    pipes: Pipes<F>,
) -> WsConnector<'static, Pipes<F>, impl rand_core::RngCore> {
    WsConnector::new(pipes, HOST, "/mqtt", random())
}

/// Sends all data back, in binary frames of `len` bytes.
fn echo(mut socket: Socket, len: usize) {
    while let Ok(message) = socket.read() {
        if let Message::Binary(bytes) = message {
            for piece in bytes.chunks(len) {
                let piece = Bytes::copy_from_slice(piece);
                if socket.send(Message::Binary(piece)).is_err() {
                    return;
                }
            }
        }
    }
}

fn frame(socket: &mut Socket, code: OpCode, last: bool, payload: &[u8]) {
    let frame = Frame::message(payload.to_vec(), code, last);
    socket.send(Message::Frame(frame)).unwrap();
}

#[test]
fn much_passes_both_ways_whatever_the_length_of_frames() {
    for (sent, echoed) in [(1, 1), (125, 126), (128, 65_536), (5_000, 3)] {
        let mut connector = connector(pipes(move |pipe| echo(accept(pipe), echoed)));
        let bytes = pattern((sent * 2_000).min(150_000));
        block_on(async {
            let mut link = connector.connect().await.unwrap();
            {
                let (mut reader, mut writer) = link.split();
                let read = read_exact(&mut reader, bytes.len());
                let (received, ()) = both(read, write_all(&mut writer, &bytes, sent)).await;
                assert_eq!(received, bytes);
            }
            link.close().await;
        });
    }
}

/// MQTT 3.1.1 [MQTT-6.0.0-1]
/// MQTT 5 [MQTT-6.0.0-1]
#[test]
fn long_frames_are_sent_and_received_whole() {
    let bytes = pattern(70_000);
    let expected = bytes.clone();
    let mut connector = connector(pipes(move |pipe| {
        let mut socket = accept(pipe);
        let received = socket.read().unwrap();
        assert_eq!(received, Message::Binary(expected.clone().into()));
        socket.send(received).unwrap();
    }));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, mut writer) = link.split();
        write_all(&mut writer, &bytes, usize::MAX).await;
        assert_eq!(read_exact(&mut reader, bytes.len()).await, bytes);
    });
}

/// MQTT 3.1.1 [MQTT-6.0.0-2]
/// MQTT 5 [MQTT-6.0.0-2]
#[test]
fn fragments_and_what_comes_between_them_are_one_stream() {
    let mut connector = connector(pipes(|pipe| {
        let mut socket = accept(pipe);
        frame(&mut socket, OpCode::Data(Data::Binary), false, b"one ");
        socket
            .send(Message::Ping(Bytes::from_static(b"?")))
            .unwrap();
        frame(&mut socket, OpCode::Data(Data::Continue), false, b"");
        socket
            .send(Message::Pong(Bytes::from_static(b"!")))
            .unwrap();
        frame(&mut socket, OpCode::Data(Data::Continue), true, b"two ");
        frame(&mut socket, OpCode::Data(Data::Binary), true, b"three");
        let _ = socket.read();
    }));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, _) = link.split();
        assert_eq!(read_exact(&mut reader, 13).await, b"one two three");
    });
}

#[test]
fn a_ping_is_answered_by_flush_when_nothing_else_is_sent() {
    let (sender, pongs) = channel();
    let mut connector = connector(pipes(move |pipe| {
        let mut socket = accept(pipe);
        for payload in [vec![], b"are you there".to_vec(), vec![7; 125]] {
            socket.send(Message::Ping(payload.into())).unwrap();
            socket
                .send(Message::Binary(Bytes::from_static(b"x")))
                .unwrap();
            sender.send(socket.read().unwrap()).unwrap();
        }
    }));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, mut writer) = link.split();
        for payload in [vec![], b"are you there".to_vec(), vec![7; 125]] {
            assert!(!writer.has_output());
            read_exact(&mut reader, 1).await;
            assert!(writer.has_output());
            embedded_io_async::Write::flush(&mut writer).await.unwrap();
            assert_eq!(pongs.recv().unwrap(), Message::Pong(payload.into()));
        }
    });
}

#[test]
fn the_runner_answers_a_ping_while_the_client_is_idle() {
    static STORAGE: ConstStaticCell<Storage<256, 512>> = ConstStaticCell::new(Storage::new());
    let (sender, pongs) = channel();
    let mut connector = connector(pipes(move |pipe| {
        let mut socket = accept(pipe);
        assert!(socket.read().unwrap().is_binary()); // CONNECT
        let connack = Bytes::from_static(b"\x20\x02\x00\x00");
        socket.send(Message::Binary(connack)).unwrap();
        socket
            .send(Message::Ping(Bytes::from_static(b"?")))
            .unwrap();
        sender.send(socket.read().unwrap()).unwrap();
    }));
    let mut options = Options::new("thermometer");
    options.reconnect = Reconnect::never();
    let (_client, _inbox, mut runner) = mqtt_embassy::new(STORAGE.take(), &options).unwrap();
    let end = block_on(runner.run(&mut connector, &options));
    assert_eq!(
        pongs.recv().unwrap(),
        Message::Pong(Bytes::from_static(b"?"))
    );
    assert_eq!(end, LinkEnd::PeerClosed);
}

#[test]
fn closing_sends_a_close_frame_and_one_from_the_server_is_the_end() {
    let (sender, ends) = channel();
    let mut connector = connector(pipes(move |pipe| {
        let mut socket = accept(pipe);
        let end = socket.read().unwrap();
        sender.send(end.is_close()).unwrap();
    }));
    block_on(async {
        connector.connect().await.unwrap().close().await;
        assert!(ends.recv().unwrap());
    });
    let mut connector = self::connector(pipes(|pipe| {
        let mut socket = accept(pipe);
        socket.close(None).unwrap();
        let _ = socket.read();
    }));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, _) = link.split();
        assert_eq!(reader.read(&mut [0; 8]).await, Ok(0));
    });
}

/// MQTT 3.1.1 [MQTT-6.0.0-1]
/// MQTT 5 [MQTT-6.0.0-1]
#[test]
fn frames_that_may_not_be_end_the_link() {
    let bad: [(&str, &[u8]); 9] = [
        ("text", b"\x81\x02hi"),
        ("fragmented text", b"\x01\x02hi"),
        ("continuation of nothing", b"\x80\x02hi"),
        ("a new message in the middle of one", b"\x02\x00\x82\x02hi"),
        ("masked", b"\x82\x82\x00\x00\x00\x00hi"),
        ("reserved bit", b"\xc2\x02hi"),
        ("unknown code", b"\x83\x02hi"),
        ("long ping", b"\x89\x7e\x00\x7ehi"),
        ("broken off ping", b"\x89\x05hi"),
    ];
    for (what, bytes) in bad {
        let mut connector = connector(pipes(move |pipe| {
            let mut socket = accept(pipe);
            socket.get_mut().write_all(bytes).unwrap();
        }));
        block_on(async {
            let mut link = connector.connect().await.unwrap();
            let (mut reader, _) = link.split();
            assert!(reader.read(&mut [0; 8]).await.is_err(), "{what}");
        });
    }
}

/// RFC 6455 §5.5
#[test]
fn a_ping_pong_or_close_in_fragments_ends_the_link() {
    for kind in [0x08, 0x09, 0x0a] {
        let mut connector = connector(pipes(move |pipe| {
            let mut socket = accept(pipe);
            socket.get_mut().write_all(&[kind, 0]).unwrap();
            let _ = socket.read();
        }));
        block_on(async {
            let mut link = connector.connect().await.unwrap();
            let (mut reader, _) = link.split();
            let end = reader.read(&mut [0; 8]).await;
            assert_eq!(end, Err(ErrorKind::InvalidData), "{kind:#x}");
        });
    }
}

#[test]
fn further_headers_are_sent() {
    let mut connector = connector(pipes(|pipe| {
        #[allow(
            clippy::result_large_err,
            reason = "the shape of tungstenite's callback"
        )]
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["authorization"], "Bearer abc");
            assert_eq!(request.headers()["x-device"], "7");
            let mqtt = HeaderValue::from_static("mqtt");
            response
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", mqtt);
            Ok(response)
        };
        let _ = tungstenite::accept_hdr(pipe, check);
    }))
    .with_headers(&[("Authorization", "Bearer abc"), ("X-Device", "7")]);
    assert!(block_on(async { connector.connect().await.map(drop) }).is_ok());
}

#[test]
fn an_answer_that_is_no_upgrade_is_an_error() {
    let answers = [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /elsewhere\r\n\r\n",
        "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "\x20\x02\x00\x00",
        "\r\n\r\n",
        "",
    ];
    for answer in answers {
        let mut connector = connector(pipes(move |mut pipe| {
            let _ = pipe.read(&mut [0; 1000]);
            let _ = pipe.write_all(answer.as_bytes());
        }));
        let refused = block_on(async { connector.connect().await.map(drop) });
        assert_eq!(refused, Err(ConnectError::WebSocket), "{answer}");
    }
}

/// MQTT 3.1.1 [MQTT-6.0.0-4]
/// MQTT 5 [MQTT-6.0.0-4]
#[test]
fn a_server_without_the_subprotocol_is_refused() {
    let mut connector = connector(pipes(|pipe| {
        let _ = tungstenite::accept(pipe);
    }));
    let refused = block_on(async { connector.connect().await.map(drop) });
    assert_eq!(refused, Err(ConnectError::WebSocket));
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    let mut connector = connector(pipes(|mut pipe| {
        let _ = pipe.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        while pipe.write_all(b"X-Endless: yes\r\n").is_ok() {}
    }));
    let refused = block_on(async { connector.connect().await.map(drop) });
    assert_eq!(refused, Err(ConnectError::WebSocket));
}

#[test]
fn nothing_behind_the_answer_is_lost() {
    let mut connector = connector(pipes(|pipe| {
        // The first frames follow the answer at once.
        let mut socket = accept(pipe);
        socket
            .send(Message::Binary(Bytes::from_static(b"early")))
            .unwrap();
        let _ = socket.read();
    }));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, _) = link.split();
        assert_eq!(read_exact(&mut reader, 5).await, b"early");
    });
}
