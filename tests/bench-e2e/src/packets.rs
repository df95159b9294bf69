//! Just enough MQTT 3.1.1, by hand: neither broker nor raw writer may lean on the codec that is measured.

/// What every message carries.
pub(crate) const TOPIC: &str = "bench/topic";
/// 64 bytes.
pub(crate) const PAYLOAD: [u8; 64] = [b'x'; 64];

pub(crate) const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03raw";
pub(crate) const CONNACK: &[u8] = &[0x20, 2, 0, 0];
pub(crate) const PINGRESP: &[u8] = &[0xd0, 0];
pub(crate) const DISCONNECT: &[u8] = &[0xe0, 0];

/// SUBSCRIBE to [`TOPIC`] at QoS 0, packet identifier 1.
pub(crate) fn subscribe() -> Vec<u8> {
    let mut packet = vec![0x82, low(TOPIC.len() + 5), 0, 1, 0, low(TOPIC.len())];
    packet.extend_from_slice(TOPIC.as_bytes());
    packet.push(0);
    packet
}

/// PUBLISH of the message: QoS 1 with a packet identifier, else QoS 0.
pub(crate) fn publish(packet_identifier: Option<u16>) -> Vec<u8> {
    let identifier = packet_identifier.map(u16::to_be_bytes);
    let identifier_len = identifier.map_or(0, |bytes| bytes.len());
    let remaining_length = 2 + TOPIC.len() + identifier_len + PAYLOAD.len();
    let first = if identifier.is_some() { 0x32 } else { 0x30 };
    let mut packet = vec![first, low(remaining_length), 0, low(TOPIC.len())];
    packet.extend_from_slice(TOPIC.as_bytes());
    packet.extend(identifier.into_iter().flatten());
    packet.extend_from_slice(&PAYLOAD);
    packet
}

/// All lengths here fit one byte of a variable byte integer.
fn low(len: usize) -> u8 {
    u8::try_from(len).expect("short packets only")
}

/// Bytes from a socket, cut into packets.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; 256 * 1024],
            start: 0,
            end: 0,
        }
    }

    /// Room to read into; packets not taken yet move to the front.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.bytes[self.end..]
    }

    /// That many bytes were read into the room.
    pub(crate) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// The next whole packet: its first byte, and what follows the fixed header.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(u8, &[u8])> {
        let packet = &self.bytes[self.start..self.end];
        let (&first, rest) = packet.split_first()?;
        let (length, length_len) = match *rest {
            [low, ..] if low < 0x80 => (usize::from(low), 1),
            [low, high, ..] => (usize::from(low & 0x7f) | usize::from(high) << 7, 2),
            _ => return None,
        };
        let body = rest.get(length_len..length_len + length)?;
        self.start += 1 + length_len + length;
        Some((first, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_cut_wherever_the_socket_cut_them() {
        let stream = [publish(None), publish(Some(7)), DISCONNECT.to_vec()].concat();
        for cut in 0..stream.len() {
            let mut inbox = Inbox::new();
            let mut seen = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                inbox.room()[..part.len()].copy_from_slice(part);
                inbox.filled(part.len());
                while let Some((first, body)) = inbox.next() {
                    seen.push((first, body.len()));
                }
            }
            assert_eq!(seen, [(0x30, 77), (0x32, 79), (0xe0, 0)]);
        }
    }

    #[test]
    fn connect_has_the_length_it_says() {
        assert_eq!(usize::from(CONNECT[1]), CONNECT.len() - 2);
    }
}
