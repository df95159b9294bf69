//! What a WebSocket server may send to mqtt-embassy: the answer to the upgrade, then frames.
//!
//! Both are compared with a plain reading of RFC 6455: a link is made exactly for the right answer, and nothing behind it is
//! swallowed; the payloads of the binary frames come out, byte for byte, up to the first frame that is not allowed; pings are
//! answered; what is sent is masked and decodes to what was written.

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use mqtt_core::client::{Close, Connect, ConnectError, Link, Sender};
use mqtt_embassy::WsConnector;
use rand_core::RngCore;

use crate::input::{Choices, piece_len};

/// Three bytes choose: a good answer before the rest (1), the length of pieces, the length of the buffer that is read into.
/// The rest is what the server sends.
pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let is_accepted = choices.byte() & 1 != 0;
    let split = choices.byte();
    let room = usize::from(choices.byte()) + 1;
    let answer = if is_accepted { GOOD_ANSWER } else { &[] };
    let bytes = [answer, choices.0].concat();
    let sent = Rc::<RefCell<Vec<u8>>>::default();
    let stream = Stream {
        bytes: bytes.clone(),
        split,
        sent: sent.clone(),
    };
    let mut connector = WsConnector::new(stream, "broker.test:8083", "/mqtt", Dice(0));
    let end = end_of_answer(&bytes);
    assert!(!is_accepted || end == Some(answer.len()));
    match (now_or_never(connector.connect()), end) {
        (Ok(mut link), Some(end)) => {
            let request = sent.take();
            assert!(request.starts_with(b"GET /mqtt HTTP/1.1\r\nHost: broker.test:8083\r\n"));
            assert!(request.ends_with(b"\r\n\r\n"));
            converse(&mut link, &bytes[end..], room, &sent);
            now_or_never(link.close());
        }
        (Err(error), None) => assert_eq!(error, ConnectError::WebSocket),
        (Ok(_), None) => panic!("this is no upgrade"),
        (Err(error), Some(_)) => panic!("the upgrade is right: {error}"),
    }
}

/// The right answer to a nonce of zeros.
const ACCEPT: &str = "ICX+Yqv66kxgM0FcWaLWlFLwTAI=";
const GOOD_ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// Lines that are longer count for nothing, and an answer that is longer is none.
const LINE_MAX: usize = 128;
const ANSWER_MAX: usize = 8 * 1024;

/// Where the answer ends, if it is an upgrade to MQTT.
fn end_of_answer(bytes: &[u8]) -> Option<usize> {
    let mut headers = Vec::new();
    let mut at = 0;
    loop {
        let len = bytes[at..].iter().position(|byte| *byte == b'\n')?;
        let line = &bytes[at..at + len];
        let line = line.get(..LINE_MAX).unwrap_or(line).trim_ascii_end();
        at += len + 1;
        if at > ANSWER_MAX {
            return None;
        }
        if line.is_empty() {
            break;
        }
        headers.push(line);
    }
    let (status, headers) = headers.split_first()?;
    let value = |name: &str| {
        let of_that_name = headers.iter().rev().filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (key, value) = (&line[..colon], &line[colon + 1..]);
            key.eq_ignore_ascii_case(name.as_bytes())
                .then(|| value.trim_ascii().to_owned())
        });
        of_that_name.take(1).next().unwrap_or_default()
    };
    let is_upgrade = status.starts_with(b"HTTP/1.1 101")
        && value("upgrade").eq_ignore_ascii_case(b"websocket")
        && value("sec-websocket-accept") == ACCEPT.as_bytes()
        && value("sec-websocket-protocol").eq_ignore_ascii_case(b"mqtt");
    is_upgrade.then_some(at)
}

/// Reads all, answers pings, and writes now and then.
fn converse(link: &mut impl Link, bytes: &[u8], room: usize, sent: &Rc<RefCell<Vec<u8>>>) {
    let expected = Expected::of(bytes);
    let (mut reader, mut writer) = link.split();
    let mut received = Vec::new();
    let mut written: Vec<Vec<u8>> = Vec::new();
    let mut buffer = vec![0; room];
    let is_error = loop {
        match now_or_never(reader.read(&mut buffer)) {
            Ok(0) => break false,
            Ok(len) => received.extend_from_slice(&buffer[..len]),
            Err(_) => break true,
        }
        if writer.has_output() {
            now_or_never(writer.flush()).expect("it is written");
        }
        if received.len() % 3 == 0 {
            let len = now_or_never(writer.write(&received)).expect("it is written");
            assert_eq!(len, received.len());
            written.push(received.clone());
        }
    };
    now_or_never(writer.flush()).expect("it is written");
    assert!(!writer.has_output());
    assert_eq!(received, expected.data);
    assert_eq!(is_error, expected.is_error);
    let mut pings = expected.pings.iter();
    let mut last_pong = None;
    let mut data = Vec::new();
    for (opcode, payload) in frames(&sent.take()) {
        match opcode {
            2 => data.push(payload),
            10 => {
                assert!(pings.any(|ping| *ping == payload), "a pong to no ping");
                last_pong = Some(payload);
            }
            other => panic!("a frame of kind {other}"),
        }
    }
    assert_eq!(data, written);
    assert_eq!(last_pong.as_ref(), expected.pings.last());
}

/// What a server's frames mean.
#[derive(Default)]
struct Expected {
    data: Vec<u8>,
    pings: Vec<Vec<u8>>,
    /// The stream ends by a violation, or inside a control frame.
    is_error: bool,
}

impl Expected {
    fn of(bytes: &[u8]) -> Self {
        let mut expected = Self::default();
        expected.is_error = expected.read(bytes).is_err();
        expected
    }

    /// RFC 6455 §5, of a server to a client, with binary messages only.
    fn read(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let mut rest = bytes;
        let mut fragmented = false;
        while let [first, second, ..] = rest {
            let (len, start) = match second & 0x7f {
                126 => (u64::from_be_bytes(padded(rest.get(2..4))), 4),
                127 => (u64::from_be_bytes(padded(rest.get(2..10))), 10),
                len => (u64::from(len), 2),
            };
            let is_masked = second & 0x80 != 0;
            let start = if is_masked { start + 4 } else { start };
            let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
            let is_known = matches!(opcode, 0..=2 | 8..=10);
            if first & 0x70 != 0 || !is_known {
                return Err(());
            }
            let Some(payload) = rest.get(start..) else {
                return Ok(());
            };
            if is_masked || (opcode >= 8 && !last) {
                return Err(());
            }
            let whole = usize::try_from(len).ok().and_then(|len| payload.get(..len));
            match opcode {
                0 | 2 if fragmented == (opcode == 0) => fragmented = !last,
                8..=10 if len <= 125 => {
                    let Some(control) = whole else {
                        return Err(());
                    };
                    if opcode == 8 {
                        return Ok(());
                    }
                    if opcode == 9 {
                        self.pings.push(control.to_vec());
                    }
                    rest = &payload[control.len()..];
                    continue;
                }
                _ => return Err(()),
            }
            let data = whole.unwrap_or(payload);
            self.data.extend_from_slice(data);
            rest = &payload[data.len()..];
        }
        Ok(())
    }
}

/// Big-endian bytes with zeros before them.
fn padded(bytes: Option<&[u8]>) -> [u8; 8] {
    let mut all = [0; 8];
    if let Some(bytes) = bytes {
        all[8 - bytes.len()..].copy_from_slice(bytes);
    }
    all
}

/// The frames of a client: kind and payload, unmasked.
fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    while let [first, second, ..] = rest {
        assert_eq!(first & 0xf0, 0x80, "in one piece");
        assert_ne!(second & 0x80, 0, "masked");
        let (len, start) = match second & 0x7f {
            126 => (u64::from_be_bytes(padded(rest.get(2..4))), 4),
            127 => (u64::from_be_bytes(padded(rest.get(2..10))), 10),
            len => (len.into(), 2),
        };
        let mask = &rest[start..start + 4];
        let end = start + 4 + usize::try_from(len).unwrap();
        let payload = rest[start + 4..end].iter().zip(mask.iter().cycle());
        frames.push((
            first & 0x0f,
            payload.map(|(byte, mask)| byte ^ mask).collect(),
        ));
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    frames
}

/// A stream in memory.
struct Stream {
    bytes: Vec<u8>,
    split: u8,
    sent: Rc<RefCell<Vec<u8>>>,
}

impl Connect for Stream {
    type Link<'s> = (Reader<'s>, Writer);

    async fn connect(&mut self) -> Result<Self::Link<'_>, ConnectError> {
        let reader = Reader {
            rest: &self.bytes,
            split: self.split,
            number: 0,
        };
        Ok((reader, Writer(self.sent.clone())))
    }
}

struct Reader<'s> {
    rest: &'s [u8],
    split: u8,
    number: usize,
}

impl ErrorType for Reader<'_> {
    type Error = ErrorKind;
}

impl Read for Reader<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = piece_len(self.split, self.number);
        self.number += 1;
        let len = len.min(self.rest.len()).min(buffer.len());
        let (piece, rest) = self.rest.split_at(len);
        buffer[..len].copy_from_slice(piece);
        self.rest = rest;
        Ok(len)
    }
}

struct Writer(Rc<RefCell<Vec<u8>>>);

impl ErrorType for Writer {
    type Error = ErrorKind;
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Close for Writer {
    async fn close(&mut self) {}
}

/// Zeros for the nonce, so that the answer is known; other numbers for the masks.
struct Dice(u32);

impl RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0
    }

    fn next_u64(&mut self) -> u64 {
        self.next_u32().into()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Nothing here waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
