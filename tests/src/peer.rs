//! A broker that does what the script says: accept, expect, send, close.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mqtt_core::codec::{FixedHeader, Packet, PacketType, TopicFilter, Version};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::hex;

/// How long a peer waits for what it expects.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Waits for connections on 127.0.0.1.
#[derive(Debug)]
pub struct Peer {
    listener: TcpListener,
}

impl Peer {
    /// Listens on a port of the system's choice.
    #[must_use]
    pub fn new() -> Self {
        Self::on_port(0)
    }

    /// Listens on that port: one that an earlier peer has given up.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        Self { listener }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// Takes the next connection.
    #[must_use]
    pub fn accept(&self) -> Link {
        self.accept_within(LIMIT).expect("the client connects")
    }

    /// Takes the next connection if there is one in that time.
    #[must_use]
    pub fn accept_within(&self, limit: Duration) -> Option<Link> {
        let limit = Timespec::try_from(limit).expect("a short time");
        let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
        if poll(&mut ready, Some(&limit)).expect("poll") == 0 {
            return None;
        }
        let (stream, _) = self.listener.accept().expect("a connection");
        Some(Link::new(stream))
    }

    /// Takes the next connection, its CONNECT, and answers "accepted, no session".
    #[must_use]
    pub fn accept_session(&self) -> Link {
        let mut link = self.accept();
        link.expects_connect();
        link.sends_connack(false);
        link
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self::new()
    }
}

/// One connection of a client.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    received: Vec<u8>,
    version: Version,
}

/// What came next on a link.
#[derive(Debug)]
pub enum Next {
    /// A whole packet.
    Frame(Frame),
    /// The client closed the connection.
    Closed,
    /// Nothing in the time given.
    Silence,
}

impl Link {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option of TCP");
        Self {
            stream,
            received: Vec::new(),
            version: Version::V5,
        }
    }

    /// Sends bytes, written in hexadecimal, in one write.
    pub fn sends(&mut self, text: &str) {
        self.sends_bytes(&hex::decode(text).expect("hexadecimal digits"));
    }

    /// Sends bytes in one write.
    pub fn sends_bytes(&mut self, bytes: &[u8]) {
        // A client that has closed already is found out by what is expected next.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes one at a time, so far apart that the client reads them one at a time.
    pub fn sends_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sends_bytes(&[*byte]);
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// Encodes and sends a packet.
    pub fn sends_packet(&mut self, packet: &Packet<'_>) {
        let mut buffer = vec![0; 128 * 1024];
        let len = packet
            .encode(self.version, &mut buffer)
            .expect("a packet that can be encoded");
        self.sends_bytes(&buffer[..len]);
    }

    /// Accepts the client.
    pub fn sends_connack(&mut self, session_present: bool) {
        let flags = u8::from(session_present);
        match self.version {
            Version::V3_1_1 => self.sends_bytes(&[0x20, 2, flags, 0]),
            Version::V5 => self.sends_bytes(&[0x20, 3, flags, 0, 0]),
        }
    }

    /// Acknowledges with success: the packet of that type for that identifier.
    pub fn sends_ack(&mut self, packet_type: PacketType, identifier: u16) {
        let [high, low] = identifier.to_be_bytes();
        let flags = if packet_type == PacketType::PubRel {
            2
        } else {
            0
        };
        self.sends_bytes(&[(packet_type as u8) << 4 | flags, 2, high, low]);
    }

    /// Grants a subscription of as many filters as there are codes.
    pub fn sends_suback(&mut self, identifier: u16, codes: &[u8]) {
        self.sends_list(PacketType::SubAck, identifier, codes);
    }

    /// Confirms the end of as many subscriptions as there are codes, which 3.1.1 does not send.
    pub fn sends_unsuback(&mut self, identifier: u16, codes: &[u8]) {
        match self.version {
            Version::V3_1_1 => self.sends_list(PacketType::UnsubAck, identifier, &[]),
            Version::V5 => self.sends_list(PacketType::UnsubAck, identifier, codes),
        }
    }

    fn sends_list(&mut self, packet_type: PacketType, identifier: u16, codes: &[u8]) {
        let mut body = identifier.to_be_bytes().to_vec();
        if self.version == Version::V5 {
            body.push(0);
        }
        body.extend(codes);
        let len = u8::try_from(body.len()).expect("a short list");
        self.sends_bytes(&[&[(packet_type as u8) << 4, len], &body[..]].concat());
    }

    /// Takes the next packet, which must be of that type.
    pub fn expects(&mut self, packet_type: PacketType) -> Frame {
        match self.next_within(LIMIT) {
            Next::Frame(frame) if frame.packet_type() == packet_type => frame,
            other => panic!("{packet_type:?} expected, not {other:?}"),
        }
    }

    /// Takes the next packet, whatever it is.
    pub fn expects_any(&mut self) -> Frame {
        match self.next_within(LIMIT) {
            Next::Frame(frame) => frame,
            other => panic!("a packet expected, not {other:?}"),
        }
    }

    /// Takes CONNECT, which tells the version of all that follows.
    pub fn expects_connect(&mut self) -> Frame {
        let mut frame = self.expects(PacketType::Connect);
        // After the protocol name, "MQTT" with its length.
        let level = frame.body().get(6).copied();
        self.version = match level {
            Some(4) => Version::V3_1_1,
            Some(5) => Version::V5,
            _ => panic!("protocol level {level:?} in {frame:?}"),
        };
        frame.version = self.version;
        frame
    }

    /// The client closes the connection without a further packet.
    pub fn expects_close(&mut self) {
        let next = self.next_within(LIMIT);
        assert!(matches!(next, Next::Closed), "close expected, not {next:?}");
    }

    /// The client sends nothing, and keeps the connection, for that time.
    pub fn expects_silence(&mut self, time: Duration) {
        let next = self.next_within(time);
        assert!(
            matches!(next, Next::Silence),
            "silence expected, not {next:?}"
        );
    }

    /// What comes next, if it comes in that time.
    pub fn next_within(&mut self, limit: Duration) -> Next {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(frame) = self.take_frame() {
                return Next::Frame(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Silence;
            }
            if !self.reads_within(left) {
                return Next::Closed;
            }
        }
    }

    /// Closes the connection in both directions; what the client sends from now on is refused.
    pub fn closes(self) {
        drop(self);
    }

    /// Sends no more, but still reads.
    pub fn ends_sending(&mut self) {
        // Fails only when the client has closed already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Another handle, for a thread that sends beside the script.
    #[must_use]
    pub fn sender(&self) -> TcpStream {
        self.stream.try_clone().expect("another handle")
    }

    /// The version of the client's CONNECT.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// False when the client has closed.
    fn reads_within(&mut self, limit: Duration) -> bool {
        self.stream
            .set_read_timeout(Some(limit))
            .expect("an option of a socket");
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(len) => {
                self.received.extend(&bytes[..len]);
                true
            }
            Err(error) => matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
            ),
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (header, header_len) = FixedHeader::decode(&self.received, self.version)
            .unwrap_or_else(|error| panic!("{error}: {}", hex::encode(&self.received)))?;
        let len = header_len + usize::try_from(header.remaining_length).expect("a 32-bit length");
        if self.received.len() < len {
            return None;
        }
        let bytes = self.received.drain(..len).collect();
        Some(Frame {
            version: self.version,
            header,
            header_len,
            bytes,
        })
    }
}

/// A packet as the client sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    version: Version,
    header: FixedHeader,
    header_len: usize,
    bytes: Vec<u8>,
}

impl Frame {
    /// The packet, decoded.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        Packet::decode(self.header, self.body(), self.version)
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.header.packet_type()
    }

    /// The packet identifier.
    ///
    /// # Panics
    ///
    /// If the packet has none.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        let identifier = match self.packet() {
            Packet::Publish(publish) => publish.packet_identifier,
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => Some(ack.packet_identifier),
            Packet::Subscribe(subscribe) => Some(subscribe.packet_identifier),
            Packet::Unsubscribe(unsubscribe) => Some(unsubscribe.packet_identifier),
            _ => None,
        };
        identifier.expect("a packet identifier").get()
    }

    /// The topic filters of SUBSCRIBE or UNSUBSCRIBE; none for other packets.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        let owned = |filter: TopicFilter<'_>| filter.as_str().to_owned();
        match self.packet() {
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters.iter();
                filters
                    .map(|subscription| owned(subscription.filter))
                    .collect()
            }
            Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().map(owned).collect(),
            _ => Vec::new(),
        }
    }

    /// The whole packet in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(&self.bytes)
    }

    fn body(&self) -> &[u8] {
        &self.bytes[self.header_len..]
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.packet_type(), self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00";
    const PINGREQ: &[u8] = b"\xc0\x00";

    fn connected() -> (TcpStream, Link) {
        let peer = Peer::new();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port())).expect("a link");
        client.write_all(CONNECT).expect("sent");
        (client, peer.accept_session())
    }

    #[test]
    fn a_peer_speaks_the_version_of_the_connect() {
        let (mut client, link) = connected();
        assert_eq!(link.version(), Version::V3_1_1);
        let mut connack = [0; 4];
        client.read_exact(&mut connack).expect("CONNACK");
        assert_eq!(connack, [0x20, 2, 0, 0]);
    }

    #[test]
    fn packets_are_cut_out_of_the_stream() {
        let (mut client, mut link) = connected();
        client
            .write_all(&[PINGREQ, &PINGREQ[..1]].concat())
            .expect("sent");
        link.expects(PacketType::PingReq);
        link.expects_silence(Duration::from_millis(20));
        client.write_all(&PINGREQ[1..]).expect("sent");
        link.expects(PacketType::PingReq);
        drop(client);
        link.expects_close();
    }

    #[test]
    fn nobody_connects_to_a_peer_in_vain() {
        assert!(
            Peer::new()
                .accept_within(Duration::from_millis(10))
                .is_none()
        );
    }
}
