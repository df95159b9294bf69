//! The HTTP request that opens a WebSocket (RFC 6455 §4.1).

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use embedded_io_async::{Error, ErrorKind, Read, Write};
use mqtt_core::client::ConnectError;
use sha1::{Digest, Sha1};

/// What the server appends to the key (RFC 6455 §1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Length of a line that is looked at; longer ones are none of those.
const LINE_MAX: usize = 128;
/// Bytes of the whole answer, at most.
const ANSWER_MAX: usize = 8 * 1024;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
}

impl<'a> Request<'a> {
    /// What may be shown: some brokers want a token in the query.
    pub(super) fn path_without_query(&self) -> &'a str {
        let (path, _) = self.path.split_once('?').unwrap_or((self.path, ""));
        path
    }

    /// Whether all of it can be sent: no line ends within a line.
    pub(super) fn is_valid(&self) -> bool {
        let is_word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_text = |text: &str| !text.bytes().any(|byte| byte.is_ascii_control());
        is_word(self.host)
            && is_word(self.path)
            && self.path.starts_with('/')
            && self
                .headers
                .iter()
                .all(|(name, value)| is_word(name) && !name.contains(':') && is_text(value))
    }

    /// Sends the request. `nonce` is of this connection only.
    pub(super) async fn send<W: Write>(
        &self,
        nonce: [u8; 16],
        writer: &mut W,
    ) -> Result<(), W::Error> {
        let key = Base64::of(&nonce);
        let begin = [
            "GET ",
            self.path,
            " HTTP/1.1\r\nHost: ",
            self.host,
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n",
            "Sec-WebSocket-Key: ",
        ];
        for part in begin {
            writer.write_all(part.as_bytes()).await?;
        }
        writer.write_all(key.bytes()).await?;
        for (name, value) in self.headers {
            for part in ["\r\n", name, ": ", value] {
                writer.write_all(part.as_bytes()).await?;
            }
        }
        writer.write_all(b"\r\n\r\n").await?;
        writer.flush().await
    }
}

/// Receives the answer up to the empty line, and nothing behind it.
pub(super) async fn receive<R: Read>(nonce: [u8; 16], reader: &mut R) -> Result<(), ConnectError> {
    let mut answer = Answer::default();
    let mut line = [0; LINE_MAX];
    let mut len = 0_usize;
    for _ in 0..ANSWER_MAX {
        let byte = byte(reader).await.map_err(|kind| {
            warning!("websocket: the answer broke off: {:?}", kind);
            ConnectError::WebSocket
        })?;
        if byte != b'\n' {
            if let Some(place) = line.get_mut(len) {
                *place = byte;
            }
            len += 1;
            continue;
        }
        // A longer one is cut off: of those that count, none is.
        let text = line.get(..len).unwrap_or(&line).trim_ascii_end();
        if text.is_empty() {
            return answer.judge();
        }
        answer.line(text, &Base64::accept(nonce));
        len = 0;
    }
    warning!("websocket: the answer has no end");
    Err(ConnectError::WebSocket)
}

async fn byte<R: Read>(reader: &mut R) -> Result<u8, ErrorKind> {
    let mut byte = [0];
    match reader.read(&mut byte).await {
        Ok(0) => Err(ErrorKind::ConnectionAborted),
        Ok(_) => Ok(byte[0]),
        Err(error) => Err(error.kind()),
    }
}

/// What was found in the answer.
#[derive(Clone, Copy, Default)]
struct Answer {
    status: Option<u16>,
    upgrade: bool,
    accept: bool,
    protocol: bool,
}

impl Answer {
    fn line(&mut self, line: &[u8], accept: &Base64) {
        if self.status.is_none() {
            self.status = Some(status(line).unwrap_or(0));
            return;
        }
        let Some((name, value)) = header(line) else {
            return;
        };
        if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = value.eq_ignore_ascii_case(b"websocket");
        } else if name.eq_ignore_ascii_case(b"sec-websocket-accept") {
            self.accept = value == accept.bytes();
        } else if name.eq_ignore_ascii_case(b"sec-websocket-protocol") {
            self.protocol = value.eq_ignore_ascii_case(b"mqtt");
        }
    }

    fn judge(self) -> Result<(), ConnectError> {
        if self.status == Some(101) && self.upgrade && self.accept && self.protocol {
            return Ok(());
        }
        match self.status {
            Some(101) if self.upgrade && self.accept => {
                warning!("websocket: the server does not speak the subprotocol mqtt");
            }
            Some(status) => warning!("websocket: no upgrade, status {}", status),
            None => warning!("websocket: no answer"),
        }
        Err(ConnectError::WebSocket)
    }
}

/// The number in `HTTP/1.1 101 Switching Protocols`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
}

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name, value.get(1..)?.trim_ascii()))
}

/// Up to 20 bytes in Base64.
struct Base64 {
    text: [u8; 28],
    len: usize,
}

impl Base64 {
    fn of(bytes: &[u8]) -> Self {
        let mut text = [0; 28];
        let len = BASE64.encode_slice(bytes, &mut text).unwrap_or(0);
        Self { text, len }
    }

    /// What the server must answer to the key that `nonce` makes.
    fn accept(nonce: [u8; 16]) -> Self {
        let hash = Sha1::new()
            .chain_update(Self::of(&nonce).bytes())
            .chain_update(SALT);
        Self::of(&hash.finalize())
    }

    fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    #[test]
    fn the_accept_key_is_that_of_the_standard() {
        assert_eq!(
            Base64::of(b"the sample nonce").bytes(),
            b"dGhlIHNhbXBsZSBub25jZQ=="
        );
        let accept = Base64::accept(*b"the sample nonce");
        assert_eq!(accept.bytes(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_line_end_cannot_be_smuggled_in() {
        let good = Request {
            host: "broker.example:8083",
            path: "/mqtt?token=1",
            headers: &[("Authorization", "Bearer abc def")],
        };
        assert!(good.is_valid());
        assert!(
            !Request {
                path: "mqtt",
                ..good
            }
            .is_valid()
        );
        assert!(
            !Request {
                path: "/a b",
                ..good
            }
            .is_valid()
        );
        assert!(!Request { host: "", ..good }.is_valid());
        assert!(
            !Request {
                headers: &[("X", "a\r\nY: b")],
                ..good
            }
            .is_valid()
        );
        assert!(
            !Request {
                headers: &[("X:", "a")],
                ..good
            }
            .is_valid()
        );
    }
}
