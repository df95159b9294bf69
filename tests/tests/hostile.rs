//! A broker that means harm, on real sockets: whatever it sends, and however slowly, the memory of the client stays what it
//! was, and the link ends in time with an error that says why, or goes on. What needs no socket is tested in mqtt-core,
//! with a clock that the test moves.

use std::alloc::System;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use mqtt_core::codec::PacketType;
use mqtt_std::{ConnectFailure, Error, LinkEnd, Options, SessionError, Stage};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::peer::Peer;
use mqtt_tests::raw::{CONNACK, Raw, frame, listener};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

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

const BINARY: u8 = 0x02;
const CONTINUATION: u8 = 0x00;
const PING: u8 = 0x89;

#[test]
fn the_longest_message_there_is_passes_by_in_fixed_memory() {
    let _alone = alone();
    let (listener, options) = listener();
    let mut device = Device::start(options);
    let mut raw = Raw::accept(&listener);
    raw.sends(&CONNACK);
    device.connected();
    let piece = vec![b'x'; 64 * KIB];
    let mut growth = Growth::new();
    let head = [0x30, 0xff, 0xff, 0xff, 0x7f, 0, 3, b'b', b'i', b'g'];
    raw.sends(&head);
    {
        let message = device.message();
        assert_eq!(message.topic().as_str(), "big");
        assert_eq!(message.total_len(), 268_435_450);
    }
    let sent = raw.floods(&piece, 4_095 * piece.len(), || growth.look());
    raw.sends(&vec![b'x'; 268_435_450 - sent]);
    raw.sends(b"\x30\x04\x00\x01tx");
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
    raw.floods(&pings, 32 * MIB, || growth.look());
    assert!(growth.most < MIB, "{} bytes more", growth.most);
}

#[test]
fn a_web_socket_message_without_an_end_ends_the_link() {
    let _alone = alone();
    let (mut device, mut raw) = web_socket(|options| options);
    let mut growth = Growth::new();
    raw.sends(&frame(BINARY, &[0x30]));
    let endless = frame(CONTINUATION, &vec![0; 60_000]);
    let sent = raw.floods(&endless, 100 * MIB, || growth.look());
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
        raw.sends(&header);
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
    raw.sends(&frame(BINARY, &[]));
    let empty = frame(CONTINUATION, &[]).repeat(500);
    raw.floods(&empty, usize::MAX, || growth.look());
    let error = device.ends().expect_err("an error");
    let silent = LinkEnd::Session(SessionError::PingTimeout);
    assert!(
        matches!(error, Error::Lost { end, .. } if end == silent),
        "{error:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(4),
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
    raw.sends(b"HTTP/1.1 101 Switching\r\nX: ");
    raw.floods(&[b'x'; KIB], 100 * MIB, || growth.look());
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
        raw.floods(&endless, 100 * MIB, || growth.look());
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
    // The client may have begun to wait before it is accepted here.
    let least = Duration::from_millis(300);
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
        assert!(took >= least, "{name}: {took:?}");
        assert!(took < 10 * timeout, "{name}: {took:?}");
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
