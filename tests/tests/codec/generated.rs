//! Packets made from the tables of the standard, legal and illegal: each is taken or refused as the tables say.
//!
//! The tables stand in `tables.rs` as data, written from the standard, not taken from the codec that they judge.
//! More than 12,000 packets; each test asserts how many it made, so that none gets lost.

mod codes;
mod headers;
mod lengths;
mod properties;
mod strings;
mod tables;

use mqtt_core::codec::{DecodeError, Fault, FixedHeader, Packet, Version};

const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// What the standard says about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Taken,
    Malformed,
    ProtocolError,
    /// The standard leaves open which of the two it is.
    Refused,
}

impl Verdict {
    fn taken_if(legal: bool) -> Self {
        if legal { Self::Taken } else { Self::Refused }
    }
}

/// The packet is judged as `expected` by a server or a test peer.
fn check(packet: &[u8], version: Version, expected: Verdict) {
    let decode: Decode = |header, body, version| Packet::decode(header, body, version);
    compare(decode, packet, version, expected);
}

/// The packet is judged as `expected` by a client.
fn check_from_server(packet: &[u8], version: Version, expected: Verdict) {
    let decode: Decode = |header, body, version| Packet::decode_from_server(header, body, version);
    compare(decode, packet, version, expected);
}

type Decode = for<'a> fn(FixedHeader, &'a [u8], Version) -> Result<Packet<'a>, DecodeError>;

fn compare(decode: Decode, packet: &[u8], version: Version, expected: Verdict) {
    let decoded = split(packet, version).and_then(|(header, body)| decode(header, body, version));
    let actual = match decoded.map_err(DecodeError::kind) {
        Ok(_) => Verdict::Taken,
        Err(_) if expected == Verdict::Refused => Verdict::Refused,
        Err(Fault::Malformed) => Verdict::Malformed,
        Err(Fault::ProtocolError) => Verdict::ProtocolError,
    };
    assert_eq!(actual, expected, "{packet:02x?} {version:?}: {decoded:?}");
    if let Ok(decoded) = decoded {
        let mut written = vec![0; packet.len() + 8];
        let len = decoded.encode(version, &mut written).unwrap();
        let again = split(&written[..len], version)
            .and_then(|(header, body)| decode(header, body, version));
        assert_eq!(again, Ok(decoded), "{packet:02x?} {version:?}");
    }
}

fn split(packet: &[u8], version: Version) -> Result<(FixedHeader, &[u8]), DecodeError> {
    let (header, len) = FixedHeader::decode(packet, version)?.expect("a whole header");
    Ok((header, &packet[len..]))
}

/// A packet with the right remaining length.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let len = u8::try_from(body.len()).expect("a short packet");
    assert!(len < 0x80);
    [&[first, len], body].concat()
}

/// With its length in front.
fn field(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short field");
    [&len.to_be_bytes(), bytes].concat()
}
