//! Every entry of `vectors/bad-packets.json` that can be judged from its bytes alone.

use crate::support;
use mqtt_core::codec::{DecodeError, Fault, FixedHeader, Packet, Version};
use serde_json::Value;

/// Entries whose bytes are legal, or only a beginning: what is wrong with them shows in what the
/// connection is doing. `tests/bad_packets.rs` runs these, and all others, against a whole client.
const NEEDS_A_SESSION: [&str; 48] = [
    "remlen-max-publish-header-only",
    "eof-mid-fixed-header",
    "eof-mid-remlen",
    "eof-mid-body",
    "eof-mid-connack",
    "connack-sp1-clean",
    "connack-sp1-cleanstart-v5",
    "connack-v3-refusal-to-v5",
    "connack-second",
    "connack-second-v5",
    "connack-auth-method-unrequested",
    "publish-before-connack-311",
    "publish-before-connack-5",
    "suback-before-connack",
    "pingresp-before-connack",
    "disconnect-before-connack-5",
    "auth-before-connack-no-method",
    "publish-topic-c1-control",
    "publish-payload-format-1-bad-utf8",
    "publish-alias-above-max",
    "publish-alias-none-announced",
    "publish-alias-unknown",
    "publish-over-max-packet-size",
    "publish-receive-maximum-exceeded",
    "publish-receive-maximum-exceeded-qos2",
    "puback-unknown-id",
    "pubrec-unknown-id-311",
    "pubrec-unknown-id-5",
    "pubrel-unknown-id-311",
    "pubrel-unknown-id-5",
    "pubcomp-unknown-id",
    "puback-for-qos2",
    "pubrec-for-qos1",
    "suback-for-publish-id",
    "suback-too-few-311",
    "suback-too-many-311",
    "suback-too-few-5",
    "suback-granted-above-requested",
    "suback-unknown-id",
    "unsuback-too-few-5",
    "unsuback-for-subscribe-5",
    "pingresp-unsolicited",
    "publish-after-disconnect-5",
    "auth-unsolicited-5",
    "auth-empty-unsolicited-5",
    "auth-other-method-5",
    "connack-other-auth-method-5",
    "puback-reason-string-not-requested",
];

/// What the codec makes of a stream of bytes.
#[derive(Debug)]
enum Outcome {
    Refused(DecodeError),
    /// All packets are legal, and so may be one that has only begun.
    Accepted,
}

#[test]
fn every_entry_is_refused_or_left_to_the_session() {
    let mut unknown = Vec::new();
    for entry in &support::bad_packets() {
        let name = support::name(entry);
        for version in support::versions(entry) {
            let outcome = feed(&support::bytes(entry), *version);
            match (outcome, NEEDS_A_SESSION.contains(&name)) {
                (Outcome::Refused(error), false) => judge(entry, *version, error),
                (Outcome::Accepted, true) => {}
                (outcome, _) => unknown.push(format!("{name} {version:?}: {outcome:?}")),
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn the_list_names_existing_entries_once() {
    let entries = support::bad_packets();
    for (index, name) in NEEDS_A_SESSION.iter().enumerate() {
        assert!(
            entries.iter().any(|entry| support::name(entry) == *name),
            "{name}"
        );
        assert!(!NEEDS_A_SESSION[..index].contains(name), "{name} twice");
    }
}

#[test]
fn byte_by_byte_the_same_error_comes_no_later() {
    for entry in &support::bad_packets() {
        for version in support::versions(entry) {
            let bytes = support::bytes(entry);
            let Outcome::Refused(expected) = feed(&bytes, *version) else {
                continue;
            };
            let first = (0..=bytes.len()).find_map(|len| match feed(&bytes[..len], *version) {
                Outcome::Refused(error) => Some(error),
                Outcome::Accepted => None,
            });
            assert_eq!(first, Some(expected), "{}", support::name(entry));
        }
    }
}

fn feed(mut bytes: &[u8], version: Version) -> Outcome {
    loop {
        let (header, header_len) = match FixedHeader::decode(bytes, version) {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Accepted,
            Err(error) => return Outcome::Refused(error),
        };
        let behind = &bytes[header_len..];
        let Some((body, rest)) = behind.split_at_checked(header.remaining_length as usize) else {
            return Outcome::Accepted;
        };
        if let Err(error) = Packet::decode_from_server(header, body, version) {
            return Outcome::Refused(error);
        }
        bytes = rest;
    }
}

fn judge(entry: &Value, version: Version, error: DecodeError) {
    let name = support::name(entry);
    let kind = match error.kind() {
        Fault::Malformed => "malformed",
        Fault::ProtocolError => "protocol error",
    };
    let accepted = strings(&entry["also_ok"]).chain(entry["expected"].as_str());
    let accepted: Vec<_> = accepted.collect();
    assert!(
        accepted.contains(&kind),
        "{name}: {error:?} is {kind}, not {accepted:?}"
    );
    if version == Version::V5 && entry["v5_reason_codes"].is_array() {
        let code = format!("{:02x}", error.reason_code().value());
        let mut codes = strings(&entry["v5_reason_codes"]);
        assert!(
            codes.any(|allowed| allowed == code),
            "{name}: {error:?} is {code}"
        );
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
