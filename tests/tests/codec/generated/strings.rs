//! Strings, topics and packet identifiers, wherever a packet has one.

use mqtt_core::codec::Version;

use super::tables::{Kind, PROPERTIES, Place};
use super::{VERSIONS, Verdict, check, field, packet};

/// Bytes that are no string of MQTT.
const BAD: [&[u8]; 17] = [
    b"\0",                   // U+0000
    b"a\0b",                 // in the middle
    b"\xff",                 // never in UTF-8
    b"\xfe\xff",             // byte order mark of UTF-16
    b"\x80",                 // continuation of nothing
    b"\xc3",                 // broken off after one of two
    b"\xe2\x82",             // after two of three
    b"\xf0\x9f\x98",         // after three of four
    b"\xc3\x28",             // continued by something else
    b"\xc0\x80",             // U+0000 in two bytes
    b"\xc0\xaf",             // '/' in two bytes
    b"\xe0\x80\xaf",         // in three
    b"\xf0\x80\x80\xaf",     // in four
    b"\xed\xa0\x80",         // U+D800, the first surrogate
    b"\xed\xbf\xbf",         // U+DFFF, the last
    b"\xf4\x90\x80\x80",     // above U+10FFFF
    b"\xf8\x88\x80\x80\x80", // five bytes
];

/// Unusual ones that are.
const GOOD: [&[u8]; 9] = [
    b"a",
    b"\x01", // a control character should not, but may be
    b"\x7f",
    b"\xef\xbb\xbfa",    // U+FEFF, which is kept
    b"\xed\x9f\xbf",     // the last before the surrogates
    b"\xee\x80\x80",     // the first behind them
    b"\xef\xbf\xbf",     // U+FFFF
    b"\xf0\x90\x80\x80", // the first of four bytes
    b"\xf4\x8f\xbf\xbf", // U+10FFFF
];

/// A packet around a string.
type Around = fn(&[u8], Version) -> Vec<u8>;

fn properties_of(version: Version) -> &'static [u8] {
    if version == Version::V5 { &[0] } else { &[] }
}

fn connect(flags: u8, version: Version, payload: &[u8]) -> Vec<u8> {
    let header = [b"\0\x04MQTT", &[version.protocol_level(), flags, 0, 60][..]].concat();
    packet(0x10, &[&header, properties_of(version), payload].concat())
}

fn topic(text: &[u8], version: Version) -> Vec<u8> {
    packet(0x30, &[&field(text), properties_of(version)].concat())
}

fn will_topic(text: &[u8], version: Version) -> Vec<u8> {
    let front = [b"\0\0", properties_of(version)].concat();
    connect(0x06, version, &[&front, &field(text)[..], b"\0\0"].concat())
}

fn subscribe(text: &[u8], version: Version) -> Vec<u8> {
    let front = [b"\0\x01", properties_of(version)].concat();
    packet(0x82, &[&front, &field(text)[..], &[0]].concat())
}

fn unsubscribe(text: &[u8], version: Version) -> Vec<u8> {
    let front = [b"\0\x01", properties_of(version)].concat();
    packet(0xa2, &[&front, &field(text)[..]].concat())
}

const FIELDS: [Around; 6] = [
    topic,
    will_topic,
    subscribe,
    unsubscribe,
    |text, version| connect(0x02, version, &field(text)),
    |text, version| connect(0x82, version, &[b"\0\0", &field(text)[..]].concat()),
];

/// MQTT 3.1.1 [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-3.3.2-1]
/// MQTT 5 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-1]
#[test]
fn a_string_is_taken_if_it_is_well_formed() {
    let mut cases = 0;
    for version in VERSIONS {
        for around in FIELDS {
            for (texts, verdict) in [(&BAD[..], Verdict::Malformed), (&GOOD, Verdict::Taken)] {
                for text in texts {
                    cases += 1;
                    check(&around(text, version), version, verdict);
                }
            }
        }
    }
    assert_eq!(cases, 2 * 6 * (17 + 9));
}

/// MQTT 5 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-3.3.2-13] [MQTT-3.3.2-19]
#[test]
fn a_string_in_a_property_is_taken_if_it_is_well_formed() {
    let mut cases = 0;
    for row in &PROPERTIES {
        for place in row.places {
            for property in [(&BAD[..], Verdict::Malformed), (&GOOD, Verdict::Taken)] {
                let (texts, verdict) = property;
                for text in texts {
                    for value in values(row.kind, text) {
                        cases += 1;
                        let property = [vec![row.identifier], value].concat();
                        check(&place.packet_with(&property), Version::V5, verdict);
                    }
                }
            }
        }
    }
    // 20 places for strings, and 14 for user properties, which have two.
    assert_eq!(cases, (20 + 2 * 14) * (17 + 9));
}

/// The text wherever the value may have one.
fn values(kind: Kind, text: &[u8]) -> Vec<Vec<u8>> {
    match kind {
        Kind::Text => vec![field(text)],
        Kind::Pair => vec![
            [field(text), field(b"v")].concat(),
            [field(b"k"), field(text)].concat(),
        ],
        _ => vec![],
    }
}

/// MQTT 3.1.1 [MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1]
/// MQTT 5 [MQTT-3.3.2-2] [MQTT-3.3.2-14] [MQTT-4.7.0-1] [MQTT-4.7.3-1]
#[test]
fn a_topic_name_has_a_character_and_no_wildcard() {
    let mut cases = 0;
    let names: [&[u8]; 6] = [b"", b"#", b"+", b"a/#", b"a/+/b", b"a+"];
    for version in VERSIONS {
        for around in [topic, will_topic] {
            for name in names {
                cases += 1;
                check(&around(name, version), version, Verdict::ProtocolError);
            }
            for name in [&b"/"[..], b"a//b", b"$SYS/x", b" "] {
                cases += 1;
                check(&around(name, version), version, Verdict::Taken);
            }
        }
    }
    for place in [Place::Publish, Place::Will] {
        for name in names {
            cases += 1;
            let response_topic = [vec![0x08], field(name)].concat();
            let packet = place.packet_with(&response_topic);
            check(&packet, Version::V5, Verdict::ProtocolError);
        }
    }
    assert_eq!(cases, 2 * 2 * 10 + 2 * 6);
}

/// MQTT 3.1.1 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1]
/// MQTT 5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn a_filter_has_its_wildcards_and_its_share_name_in_place() {
    let bad: [&[u8]; 8] = [
        b"", b"a#", b"#/a", b"a/#/b", b"a+", b"+a", b"a/+b/c", b"a/b+",
    ];
    let good: [&[u8]; 8] = [
        b"#", b"+", b"/", b"a/#", b"+/a/+", b"/+", b"$SYS/#", b"+/+/#",
    ];
    let bad_shares: [&[u8]; 5] = [
        b"$share/g",
        b"$share//a",
        b"$share/g/",
        b"$share/g+/a",
        b"$share/g#/a",
    ];
    let mut cases = 0;
    for version in VERSIONS {
        for around in [subscribe, unsubscribe] {
            for (filters, legal) in [(&bad[..], false), (&good, true), (&[b"$share/g/a/#"], true)] {
                for filter in filters {
                    cases += 1;
                    check(&around(filter, version), version, Verdict::taken_if(legal));
                }
            }
            for filter in bad_shares {
                if version == Version::V5 {
                    cases += 1;
                    check(&around(filter, version), version, Verdict::Refused);
                }
            }
        }
    }
    assert_eq!(cases, 2 * 2 * 17 + 2 * 5);
}

/// MQTT 3.1.1 [MQTT-2.3.1-1]
/// MQTT 5 [MQTT-2.2.1-3] [MQTT-2.2.1-4]
#[test]
fn a_packet_identifier_is_never_zero() {
    let mut cases = 0;
    for version in VERSIONS {
        let properties = properties_of(version);
        let code: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let rest: [(u8, &[u8], Vec<u8>); 10] = [
            (0x32, b"\0\x01t", properties.to_vec()),
            (0x34, b"\0\x01t", properties.to_vec()),
            (0x40, b"", vec![]),
            (0x50, b"", vec![]),
            (0x62, b"", vec![]),
            (0x70, b"", vec![]),
            (0x82, b"", [properties, b"\0\x01a\0"].concat()),
            (0x90, b"", [properties, b"\0"].concat()),
            (0xa2, b"", [properties, b"\0\x01a"].concat()),
            (0xb0, b"", [properties, code].concat()),
        ];
        for (first, front, behind) in rest {
            for (identifier, verdict) in [
                ([0, 0], Verdict::ProtocolError),
                ([0, 1], Verdict::Taken),
                ([1, 0], Verdict::Taken),
                ([0xff, 0xff], Verdict::Taken),
            ] {
                cases += 1;
                let body = [front, &identifier, &behind].concat();
                check(&packet(first, &body), version, verdict);
            }
        }
    }
    assert_eq!(cases, 2 * 10 * 4);
}
