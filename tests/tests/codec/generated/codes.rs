//! All 256 codes in each packet that has one.

use mqtt_core::codec::Version;

use super::tables::{Place, REASON_CODES};
use super::{Verdict, check, check_from_server, packet};

/// MQTT 5 [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2]
/// MQTT 5 [MQTT-3.14.2-1] [MQTT-3.15.2-1]
#[test]
fn a_reason_code_is_taken_by_the_packets_that_have_it() {
    let mut cases = 0;
    for (place, codes) in REASON_CODES {
        for code in 0..=0xff {
            cases += 1;
            let packet = with_code(place, code);
            let legal = codes.contains(&code);
            check(&packet, Version::V5, Verdict::taken_if(legal));
            // "With will message" and "re-authenticate" are for clients to say.
            let of_client = matches!(
                (place, code),
                (Place::Disconnect, 0x04) | (Place::Auth, 0x19)
            );
            let verdict = Verdict::taken_if(legal && !of_client);
            check_from_server(&packet, Version::V5, verdict);
        }
    }
    assert_eq!(cases, 9 * 256);
}

fn with_code(place: Place, code: u8) -> Vec<u8> {
    match place {
        Place::ConnAck => packet(0x20, &[0, code, 0]),
        Place::PubAck => packet(0x40, &[0, 1, code]),
        Place::PubRec => packet(0x50, &[0, 1, code]),
        Place::PubRel => packet(0x62, &[0, 1, code]),
        Place::PubComp => packet(0x70, &[0, 1, code]),
        Place::SubAck => packet(0x90, &[0, 1, 0, code]),
        Place::UnsubAck => packet(0xb0, &[0, 1, 0, code]),
        Place::Disconnect => packet(0xe0, &[code]),
        Place::Auth => packet(0xf0, &[code, 4, 0x15, 0, 1, b'm']),
        other => panic!("{other:?} has no code"),
    }
}

/// MQTT 3.1.1 [MQTT-3.2.2-6] [MQTT-3.9.3-2]
#[test]
fn a_return_code_of_3_1_1_is_taken_if_the_version_has_it() {
    let mut cases = 0;
    for code in 0..=0xff_u8 {
        cases += 2;
        let connack = packet(0x20, &[0, code]);
        let suback = packet(0x90, &[0, 1, code]);
        let of_connack = Verdict::taken_if(code <= 5);
        let of_suback = Verdict::taken_if(matches!(code, 0..=2 | 0x80));
        check_from_server(&connack, Version::V3_1_1, of_connack);
        check_from_server(&suback, Version::V3_1_1, of_suback);
    }
    assert_eq!(cases, 512);
}
