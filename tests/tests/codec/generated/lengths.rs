//! Packets too short and too long, and variable byte integers of all lengths.

use mqtt_core::codec::{FixedHeader, Version};

use super::tables::PLACES;
use super::{VERSIONS, Verdict, check, packet};

/// A first byte, what follows the fixed header, and at which lengths that is a packet. A zero may follow.
type Sample = (u8, &'static [u8], &'static [usize]);

const OF_3_1_1: [Sample; 16] = [
    (
        0x10,
        b"\0\x04MQTT\x04\xc6\0\x3c\0\x01c\0\x01w\0\x01p\0\x01u\0\x01p",
        &[25],
    ),
    (0x20, b"\0\0", &[2]),
    (0x30, b"\0\x01tx", &[3, 4, 5]),
    (0x32, b"\0\x01t\0\x01x", &[5, 6, 7]),
    (0x34, b"\0\x01t\0\x01x", &[5, 6, 7]),
    (0x40, b"\0\x01", &[2]),
    (0x50, b"\0\x01", &[2]),
    (0x62, b"\0\x01", &[2]),
    (0x70, b"\0\x01", &[2]),
    (0x82, b"\0\x01\0\x01a\0\0\x01b\x01", &[6, 10]),
    (0x90, b"\0\x01\0\x01", &[3, 4, 5]),
    (0xa2, b"\0\x01\0\x01a\0\x01b", &[5, 8]),
    (0xb0, b"\0\x01", &[2]),
    (0xc0, b"", &[0]),
    (0xd0, b"", &[0]),
    (0xe0, b"", &[0]),
];

const OF_5: [Sample; 18] = [
    (
        0x10,
        b"\0\x04MQTT\x05\xc6\0\x3c\x03\x21\0\x05\0\x01c\x02\x01\x01\0\x01w\0\x01p\0\x01u\0\x01p",
        &[32],
    ),
    (0x20, b"\0\0\x03\x21\0\x05", &[6]),
    (0x30, b"\0\x01t\x02\x01\x01x", &[6, 7, 8]),
    (0x32, b"\0\x01t\0\x01\x02\x01\x01x", &[8, 9, 10]),
    (0x34, b"\0\x01t\0\x01\x02\x01\x01x", &[8, 9, 10]),
    // The code, and the properties behind it, may be left out.
    (0x40, b"\0\x01\0\0", &[2, 3, 4]),
    (0x40, b"\0\x01\x10\x04\x1f\0\x01x", &[2, 3, 8]),
    (0x50, b"\0\x01\x10\x04\x1f\0\x01x", &[2, 3, 8]),
    (0x62, b"\0\x01\x92\x04\x1f\0\x01x", &[2, 3, 8]),
    (0x70, b"\0\x01\x92\x04\x1f\0\x01x", &[2, 3, 8]),
    (0x82, b"\0\x01\x02\x0b\x01\0\x01a\0\0\x01b\x01", &[9, 13]),
    (0x90, b"\0\x01\0\0\x01", &[4, 5, 6]),
    (0xa2, b"\0\x01\0\0\x01a\0\x01b", &[6, 9]),
    (0xb0, b"\0\x01\0\0\x11", &[4, 5, 6]),
    (0xc0, b"", &[0]),
    (0xd0, b"", &[0]),
    (0xe0, b"\x8e\x04\x1f\0\x01x", &[0, 1, 6]),
    (0xf0, b"\x18\x04\x15\0\x01m", &[0, 6]),
];

/// MQTT 5 [MQTT-2.2.2-1]
#[test]
fn a_packet_is_taken_at_its_legal_lengths_only() {
    let mut cases = 0;
    for (samples, version) in [(&OF_3_1_1[..], VERSIONS[0]), (&OF_5, VERSIONS[1])] {
        for (first, body, legal) in samples {
            let longest = [body, &[0][..]].concat();
            for len in 0..=longest.len() {
                cases += 1;
                let verdict = Verdict::taken_if(legal.contains(&len));
                check(&packet(*first, &longest[..len]), version, verdict);
            }
        }
    }
    assert_eq!(cases, 286);
}

/// Values with one, two, three and four bytes, the least and the most of each.
const EDGES: [(u32, &[u8]); 8] = [
    (0, &[0x00]),
    (127, &[0x7f]),
    (128, &[0x80, 0x01]),
    (16_383, &[0xff, 0x7f]),
    (16_384, &[0x80, 0x80, 0x01]),
    (2_097_151, &[0xff, 0xff, 0x7f]),
    (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
    (268_435_455, &[0xff, 0xff, 0xff, 0x7f]),
];

/// MQTT 5 [MQTT-1.5.5-1]
#[test]
fn a_remaining_length_is_taken_in_its_shortest_form_only() {
    let mut cases = 0;
    for version in VERSIONS {
        for (value, shortest) in EDGES {
            cases += 1;
            let taken = FixedHeader::decode(&[&[0x30], shortest].concat(), version);
            let header = FixedHeader {
                packet_type_and_flags: 0x30,
                remaining_length: value,
            };
            assert_eq!(taken, Ok(Some((header, shortest.len() + 1))));
            for more in 1..=5 - shortest.len() {
                cases += 1;
                let long = [&[0x30], &longer(shortest, more)[..]].concat();
                let refused = FixedHeader::decode(&long, version);
                assert!(refused.is_err(), "{long:02x?} {version:?}: {refused:?}");
            }
        }
    }
    assert_eq!(cases, 2 * (8 + 2 * (4 + 3 + 2 + 1)));
}

/// MQTT 5 [MQTT-1.5.5-1]
#[test]
fn a_property_length_is_taken_in_its_shortest_form_only() {
    let mut cases = 0;
    for place in PLACES {
        for more in 1..=4 {
            cases += 1;
            let packet = place.packet(&longer(&[0], more));
            check(&packet, Version::V5, Verdict::Malformed);
        }
    }
    for (value, shortest) in EDGES {
        // The longest packet of this test has less than 128 bytes: all that is longer overruns it.
        for place in PLACES {
            if value < 127 || place == super::tables::Place::Auth {
                continue;
            }
            cases += 1;
            check(&place.packet(shortest), Version::V5, Verdict::Malformed);
        }
    }
    assert_eq!(cases, 14 * 4 + 13 * 7);
}

/// MQTT 5 [MQTT-1.5.5-1]
#[test]
fn a_subscription_identifier_is_taken_in_its_shortest_form_only() {
    let mut cases = 0;
    for place in [
        super::tables::Place::Publish,
        super::tables::Place::Subscribe,
    ] {
        for (value, shortest) in EDGES {
            let verdict = match value {
                0 => Verdict::ProtocolError,
                _ => Verdict::Taken,
            };
            cases += 1;
            let property = [&[0x0b], shortest].concat();
            check(&place.packet_with(&property), Version::V5, verdict);
            for more in 1..=5 - shortest.len() {
                cases += 1;
                let property = [&[0x0b], &longer(shortest, more)[..]].concat();
                let packet = place.packet_with(&property);
                check(&packet, Version::V5, Verdict::Malformed);
            }
        }
    }
    assert_eq!(cases, 2 * (8 + 2 * (4 + 3 + 2 + 1)));
}

/// The same number in `more` bytes more than it needs.
fn longer(shortest: &[u8], more: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = shortest.iter().map(|byte| byte | 0x80).collect();
    bytes.extend(std::iter::repeat_n(0x80, more - 1));
    bytes.push(0);
    bytes
}
