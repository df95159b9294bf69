//! A server of bytes: what it sends need not be MQTT, nor anything else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mqtt_std::{Options, Reconnect};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::peer::LIMIT;

/// Accepts a client of 3.1.1.
pub const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// A port on this machine, and the options that lead there, once.
#[must_use]
pub fn listener() -> (TcpListener, Options) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let options = Options::new("127.0.0.1")
        .port(port)
        .client_id("device")
        .reconnect(Reconnect::never());
    (listener, options)
}

/// A connection on which any bytes can be sent.
#[derive(Debug)]
pub struct Raw(TcpStream);

impl Raw {
    /// Takes the next connection.
    #[must_use]
    pub fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(LIMIT)).expect("an option");
        Self(stream)
    }

    /// Sends `bytes` again and again, until so many have gone, the client has closed, or has taken nothing for a while.
    /// Calls `look` after each
    /// write. Returns how many went.
    pub fn floods(&mut self, bytes: &[u8], total: usize, mut look: impl FnMut()) -> usize {
        let patience = Duration::from_millis(500);
        self.0.set_write_timeout(Some(patience)).expect("an option");
        let mut sent = 0;
        while sent < total {
            let at = sent % bytes.len();
            match self.0.write(&bytes[at..]) {
                Ok(len) => sent += len,
                Err(_) => break,
            }
            look();
        }
        sent
    }

    /// Sends bytes.
    pub fn sends(&mut self, bytes: &[u8]) {
        // A client that has closed already is found out by what is expected next.
        let _ = self.0.write_all(bytes);
    }

    /// Reads what comes within one read.
    pub fn reads(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4 * 1024];
        let len = self.0.read(&mut bytes).unwrap_or(0);
        bytes.truncate(len);
        bytes
    }

    /// Sends one byte every 20 ms until the client has closed, and says how long it took.
    pub fn drips(&mut self, bytes: impl Iterator<Item = u8>) -> Duration {
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
    #[must_use]
    pub fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 4 * 1024]) {
            Ok(len) => len == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Reads the request that opens a WebSocket, and grants it.
    pub fn upgrades(&mut self) {
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
        self.sends(answer.as_bytes());
    }

    /// Accepts the client, in a frame.
    pub fn accepts_in_frame(&mut self) {
        self.sends(&frame(0x82, &CONNACK));
    }
}

/// A WebSocket frame of a server with that first byte.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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
