//! A broker that means harm, on real sockets: whatever it sends, and however slowly, the memory of the client stays what it
//! was, and the link ends in time with an error that says why, or goes on. What needs no socket is tested in mqtt-core,
//! with a clock that the test moves.

use std::alloc::System;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use mqtt_core::codec::PacketType;
use mqtt_std::{ConnectFailure, Error, LinkEnd, Options, Reconnect, SessionError, Stage};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::peer::{LIMIT, Peer};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// One test at a time: they share the counter.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the process has allocated beyond the start, at the most.
struct Growth {
    start: usize,
    most: usize,
}

impl Growth {
    fn new() -> Self {
        Self {
            start: MEMORY.allocated(),
            most: 0,
        }
    }

    fn look(&mut self) {
        let now = MEMORY.allocated().saturating_sub(self.start);
        self.most = self.most.max(now);
    }
}

/// A connection on which any bytes can be sent.
struct Raw(TcpStream);

impl Raw {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(LIMIT)).expect("an option");
        Self(stream)
    }

    /// Sends `bytes` again and again, until so many have gone, the client has closed, or has taken nothing for a while.
    /// Returns how many went.
    fn floods(&mut self, bytes: &[u8], total: usize, growth: &mut Growth) -> usize {
        let patience = Duration::from_millis(500);
        self.0.set_write_timeout(Some(patience)).expect("an option");
        let mut sent = 0;
        while sent < total {
            let at = sent % bytes.len();
            match self.0.write(&bytes[at..]) {
                Ok(len) => sent += len,
                Err(_) => break,
            }
            growth.look();
        }
        sent
    }

    /// Sends one byte every 20 ms until the client has closed, and says how long it took.
    fn drips(&mut self, bytes: impl Iterator<Item = u8>) -> Duration {
        let start = Instant::now();
        let pause = Duration::from_millis(20);
        self.0.set_read_timeout(Some(pause)).expect("an option");
        for byte in bytes {
            if self.0.write_all(&[byte]).is_err() || self.is_closed() {
                return start.elapsed();
            }
            assert!(start.elapsed() < LIMIT, "the client waits for ever");
        }
        panic!("more bytes are needed");
    }

    /// Reads for a moment.
    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 4 * KIB]) {
            Ok(len) => len == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Reads the request that opens a WebSocket, and grants it.
    fn upgrades(&mut self) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).expect("text");
        let (_, rest) = request.split_once("Sec-WebSocket-Key: ").expect("a key");
        let (key, _) = rest.split_once("\r\n").expect("a line");
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        self.0.write_all(answer.as_bytes()).expect("sent");
    }

    /// Accepts the client, in a frame.
    fn accepts_in_frame(&mut self) {
        let frame = [&[0x82, 4][..], &CONNACK].concat();
        self.0.write_all(&frame).expect("sent");
    }
}

fn listener() -> (TcpListener, Options) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let options = Options::new("127.0.0.1")
        .port(port)
        .client_id("device")
        .reconnect(Reconnect::never());
    (listener, options)
}

/// A client that has a WebSocket, and its peer.
fn web_socket(set: impl FnOnce(Options) -> Options) -> (Device, Raw) {
    let (listener, options) = listener();
    let device = Device::start(set(options.websocket()));
    let mut raw = Raw::accept(&listener);
    raw.upgrades();
    raw.accepts_in_frame();
    device.connected();
    (device, raw)
}

/// A frame of a server with that first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut frame = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len), _) if len < 126 => frame.push(len),
        (_, Ok(len)) => {
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

const BINARY: u8 = 0x02;
const CONTINUATION: u8 = 0x00;
const PING: u8 = 0x89;

#[test]
fn the_longest_message_there_is_passes_by_in_fixed_memory() {
    let _alone = alone();
    let (listener, options) = listener();
    let mut device = Device::start(options);
    let mut raw = Raw::accept(&listener);
    raw.0.write_all(&CONNACK).expect("sent");
    device.connected();
    let mut growth = Growth::new();
    let head = [0x30, 0xff, 0xff, 0xff, 0x7f, 0, 3, b'b', b'i', b'g'];
    raw.0.write_all(&head).expect("sent");
    {
        let message = device.message();
        assert_eq!(message.topic().as_str(), "big");
        assert_eq!(message.total_len(), 268_435_450);
    }
    let sent = raw.floods(&[b'x'; 64 * KIB], 268_435_450 & !0xffff, &mut growth);
    raw.0
        .write_all(&vec![b'x'; 268_435_450 - sent])
        .expect("sent");
    raw.0.write_all(b"\x30\x04\x00\x01tx").expect("sent");
    assert_eq!(device.message().payload(), b"x");
    assert!(growth.most < 64 * KIB, "{} bytes more", growth.most);
}

#[test]
fn a_flood_that_nobody_takes_stops_at_the_socket_and_pings_go_on() {
    const MESSAGES: u32 = 20_000;
    let _alone = alone();
    let peer = Peer::new();
    let options = Options::new("127.0.0.1")
        .port(peer.port())
        .client_id("device")
        .keep_alive_s(1)
        .reconnect(soon());
    let mut device = Device::start(options);
    let mut link = peer.accept_session();
    device.connected();
    let mut flooding = link.sender();
    let mut growth = Growth::new();
    let flood = thread::spawn(move || {
        let mut packet = [0; 1_003];
        packet[..6].copy_from_slice(&[0x30, 0xe8, 0x07, 0, 1, b't']);
        for number in 0..MESSAGES {
            packet[6..10].copy_from_slice(&number.to_be_bytes());
            flooding.write_all(&packet).expect("sent");
        }
    });
    for _ in 0..3 {
        link.expects(PacketType::PingReq);
        growth.look();
    }
    assert!(!flood.is_finished());
    assert!(growth.most < 64 * KIB, "{} bytes more", growth.most);
    for number in 0..MESSAGES {
        assert_eq!(device.message().payload()[..4], number.to_be_bytes());
    }
    flood.join().expect("no panic");
    assert_eq!(device.client.report().session.connections, 1);
}

#[test]
fn a_broker_that_pings_a_web_socket_and_never_reads_fills_no_memory() {
    let _alone = alone();
    let (_device, mut raw) = web_socket(|options| options);
    let mut growth = Growth::new();
    let pings = frame(PING, &[0; 125]).repeat(500);
    raw.floods(&pings, 32 * MIB, &mut growth);
    assert!(growth.most < MIB, "{} bytes more", growth.most);
}

#[test]
fn a_web_socket_message_without_an_end_ends_the_link() {
    let _alone = alone();
    let (mut device, mut raw) = web_socket(|options| options);
    let mut growth = Growth::new();
    raw.0.write_all(&frame(BINARY, &[0x30])).expect("sent");
    let endless = frame(CONTINUATION, &[0; 60_000]);
    let sent = raw.floods(&endless, 100 * MIB, &mut growth);
    assert!(sent < 40 * MIB, "{sent} bytes were taken");
    assert!(growth.most < 48 * MIB, "{} bytes more", growth.most);
    let error = device.ends().expect_err("an error");
    assert!(
        matches!(
            error,
            Error::Lost {
                end: LinkEnd::Io,
                failure: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("too long"), "{error}");
}

#[test]
fn a_web_socket_frame_of_any_length_ends_the_link_before_it_is_stored() {
    let _alone = alone();
    for len in [17 * MIB as u64, u64::MAX >> 1, u64::MAX] {
        let (mut device, mut raw) = web_socket(|options| options);
        let mut growth = Growth::new();
        let header = [&[0x82, 127][..], &len.to_be_bytes()].concat();
        raw.0.write_all(&header).expect("sent");
        let error = device.ends().expect_err("an error");
        growth.look();
        assert!(
            matches!(
                error,
                Error::Lost {
                    failure: Some(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(growth.most < 64 * KIB, "{} bytes more", growth.most);
    }
}

#[test]
fn frames_without_content_do_not_hide_that_no_ping_is_answered() {
    let _alone = alone();
    let (mut device, mut raw) = web_socket(|options| {
        options
            .keep_alive_s(1)
            .ping_timeout(Duration::from_millis(300))
    });
    let mut growth = Growth::new();
    let start = Instant::now();
    raw.0.write_all(&frame(BINARY, &[])).expect("sent");
    let empty = frame(CONTINUATION, &[]).repeat(500);
    raw.floods(&empty, usize::MAX, &mut growth);
    let error = device.ends().expect_err("an error");
    let silent = LinkEnd::Session(SessionError::PingTimeout);
    assert!(
        matches!(error, Error::Lost { end, .. } if end == silent),
        "{error:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(growth.most < 64 * KIB, "{} bytes more", growth.most);
}

#[test]
fn an_answer_to_the_upgrade_without_an_end_is_given_up() {
    let _alone = alone();
    let (listener, options) = listener();
    let mut growth = Growth::new();
    let mut device = Device::start(options.websocket());
    let mut raw = Raw::accept(&listener);
    raw.0
        .write_all(b"HTTP/1.1 101 Switching\r\nX: ")
        .expect("sent");
    raw.floods(&[b'x'; KIB], 100 * MIB, &mut growth);
    let error = device.ends().expect_err("an error");
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(growth.most < MIB, "{} bytes more", growth.most);
}

#[test]
fn a_tls_handshake_without_an_end_is_given_up() {
    let _alone = alone();
    // Records of 16 KiB that are parts of one ServerHello of 16 MiB; and nothing but warnings.
    let hello = [
        &[0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff][..],
        &[0; 0x3ffc],
    ]
    .concat();
    let warnings = [0x15, 3, 3, 0, 2, 1, 0].repeat(500);
    for endless in [hello, warnings] {
        let (listener, options) = listener();
        let mut device = Device::start(options.tls().ca_pem(authority()));
        let mut growth = Growth::new();
        let mut raw = Raw::accept(&listener);
        raw.floods(&endless, 100 * MIB, &mut growth);
        let error = device.ends().expect_err("an error");
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert!(growth.most < MIB, "{} bytes more", growth.most);
    }
}

fn authority() -> String {
    mqtt_tests::certificates::Authority::new().certificate()
}

#[test]
fn a_link_that_comes_about_byte_by_byte_is_given_up_at_its_time_out() {
    let _alone = alone();
    let timeout = Duration::from_millis(400);
    // A record of TLS, a header of HTTP, a CONNACK: each says that much follows.
    let tls = [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3];
    let cases = [
        ("tls", &tls[..], Some(Stage::Tls)),
        (
            "ws",
            b"HTTP/1.1 101 Switching\r\nX: ",
            Some(Stage::WebSocket),
        ),
        ("mqtt", &[0x20, 0xff, 0x7f], None),
    ];
    for (name, head, stage) in cases {
        let (listener, options) = listener();
        let options = match name {
            "tls" => options.tls().ca_pem(authority()),
            "ws" => options.websocket(),
            _ => options,
        };
        let options = options.connect_timeout(timeout).connack_timeout(timeout);
        let mut device = Device::start(options);
        let mut raw = Raw::accept(&listener);
        let bytes = head.iter().copied().chain(std::iter::repeat(b'x'));
        let took = raw.drips(bytes);
        assert!(
            took >= timeout - Duration::from_millis(100),
            "{name}: {took:?}"
        );
        assert!(took < 4 * timeout, "{name}: {took:?}");
        let error = device.ends().expect_err("an error");
        let is_expected = match (&error, stage) {
            (
                Error::Connect {
                    failure: ConnectFailure::TimedOut(at),
                    ..
                },
                Some(stage),
            ) => *at == stage,
            (Error::Lost { end, .. }, None) => {
                *end == LinkEnd::Session(SessionError::ConnAckTimeout)
            }
            _ => false,
        };
        assert!(is_expected, "{name}: {error:?}");
    }
}
