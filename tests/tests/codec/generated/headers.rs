//! The first byte of each packet, and the flags inside CONNECT, CONNACK and SUBSCRIBE.

use mqtt_core::codec::{FixedHeader, Version};

use super::tables::FLAGS;
use super::{VERSIONS, Verdict, check, check_from_server, packet};

/// MQTT 3.1.1 [MQTT-2.2.2-2] [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-3.6.1-1]
/// MQTT 5 [MQTT-2.1.3-1] [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-3.6.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
#[test]
fn a_first_byte_is_taken_if_its_flags_are_those_of_its_type() {
    let mut cases = 0;
    for version in VERSIONS {
        for first in 0..=0xff_u8 {
            cases += 1;
            let (packet_type, flags) = (first >> 4, first & 0x0f);
            let exists = packet_type != 15 || version == Version::V5;
            let legal = exists && FLAGS[usize::from(packet_type)].contains(&flags);
            let taken = FixedHeader::decode(&[first, 0], version);
            assert_eq!(taken.is_ok(), legal, "{first:02x} {version:?}: {taken:?}");
        }
    }
    assert_eq!(cases, 512);
}

/// MQTT 3.1.1 [MQTT-3.2.2-4]
/// MQTT 5 [MQTT-3.2.2-1] [MQTT-3.2.2-6]
#[test]
fn the_flags_of_connack_are_zero_but_for_a_session_that_is_present() {
    let mut cases = 0;
    for (version, refusal) in [(Version::V3_1_1, 5), (Version::V5, 0x87)] {
        for flags in 0..=0xff {
            for code in [0, refusal] {
                cases += 1;
                let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
                let packet = packet(0x20, &[&[flags, code], properties].concat());
                let verdict = match (flags, code) {
                    (0, _) | (1, 0) => Verdict::Taken,
                    (1, _) => Verdict::ProtocolError,
                    _ => Verdict::Malformed,
                };
                check_from_server(&packet, version, verdict);
            }
        }
    }
    assert_eq!(cases, 1024);
}

/// MQTT 3.1.1 [MQTT-3.8.3-4]
/// MQTT 5 [MQTT-3.8.3-5]
#[test]
fn the_options_of_a_subscription_are_taken_if_no_reserved_bit_is_set() {
    let mut cases = 0;
    for version in VERSIONS {
        for options in 0..=0xff_u8 {
            cases += 1;
            let (qos, handling, reserved) = (options & 3, options >> 4 & 3, options >> 6);
            let legal = match version {
                Version::V3_1_1 => options < 3,
                Version::V5 => qos < 3 && handling < 3 && reserved == 0,
            };
            let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
            let body = [b"\0\x01", properties, b"\0\x01a", &[options]].concat();
            check(&packet(0x82, &body), version, Verdict::taken_if(legal));
        }
    }
    assert_eq!(cases, 512);
}

/// MQTT 3.1.1 [MQTT-3.1.2-3] [MQTT-3.1.2-14]
/// MQTT 5 [MQTT-3.1.2-3] [MQTT-3.1.2-12]
#[test]
fn the_flags_of_connect_are_taken_if_they_fit_each_other() {
    let mut cases = 0;
    for version in VERSIONS {
        for flags in 0..=0xff_u8 {
            cases += 1;
            let verdict = Verdict::taken_if(is_legal_connect(flags, version));
            check(&connect(flags, version), version, verdict);
        }
    }
    assert_eq!(cases, 512);
}

/// MQTT 3.1.1 §3.1.2.3 to §3.1.2.9, MQTT 5 §3.1.2.3 to §3.1.2.9.
fn is_legal_connect(flags: u8, version: Version) -> bool {
    let reserved = flags & 0x01 != 0;
    let will = flags & 0x04 != 0;
    let will_qos = flags >> 3 & 3;
    let will_retain = flags & 0x20 != 0;
    let lonely_password = flags & 0xc0 == 0x40;
    !reserved
        && will_qos != 3
        && (will || will_qos == 0 && !will_retain)
        && (version == Version::V5 || !lonely_password)
}

/// With all the fields that the flags announce.
fn connect(flags: u8, version: Version) -> Vec<u8> {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([version.protocol_level(), flags, 0, 60]);
    body.extend(properties);
    body.extend(b"\0\x01c");
    if flags & 0x04 != 0 {
        body.extend(properties);
        body.extend(b"\0\x01w\0\x01p");
    }
    if flags & 0x80 != 0 {
        body.extend(b"\0\x01u");
    }
    if flags & 0x40 != 0 {
        body.extend(b"\0\x01p");
    }
    packet(0x10, &body)
}
