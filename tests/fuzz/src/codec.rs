//! What is decoded is encoded to the same again, in both directions and versions; and topic filters match what they say.

use mqtt_core::{
    Version,
    codec::{DecodeError, FixedHeader, Packet, PublishHead, TopicFilter, TopicName},
};

use crate::input::{Choices, version};

/// The first byte chooses the version, the direction, or topics; the rest is a packet, or a filter and a topic with U+0000
/// between them.
pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let choice = choices.byte();
    if choice & 4 != 0 {
        return topics(choices.0);
    }
    let version = version(choice);
    let Some((header, body)) = split(choices.0, version) else {
        return;
    };
    let packet = if choice & 2 == 0 {
        Packet::decode(header, body, version)
    } else {
        Packet::decode_from_server(header, body, version)
    };
    if header.packet_type() == mqtt_core::codec::PacketType::Publish {
        heads_agree(header, body, version, packet);
    }
    if let Ok(packet) = packet {
        round_trip(&packet, version, choices.0.len());
        every_cut_is_seen(header, body, version);
    }
}

/// A header and the body that it announces, if both are there.
pub(crate) fn split(bytes: &[u8], version: Version) -> Option<(FixedHeader, &[u8])> {
    let (header, header_len) = FixedHeader::decode(bytes, version).ok()??;
    for len in 0..header_len {
        let cut = FixedHeader::decode(&bytes[..len], version);
        assert_eq!(cut, Ok(None), "{len} of {header_len} bytes are a header");
    }
    let body = bytes[header_len..].get(..header.remaining_length as usize)?;
    Some((header, body))
}

fn round_trip(packet: &Packet<'_>, version: Version, len: usize) {
    let mut bytes = vec![0; len + 8];
    let encoded = packet.encode(version, &mut bytes).expect("it was legal");
    // Where MQTT 5 lets the property length be left out, we may write it.
    let is_v5 = version == Version::V5;
    assert!(encoded <= len + usize::from(is_v5), "{packet:?} is longer");
    let (header, body) = split(&bytes[..encoded], version).expect("a whole packet");
    assert_eq!(Packet::decode(header, body, version), Ok(*packet));
    let mut again = vec![0xa5; encoded];
    assert_eq!(packet.encode(version, &mut again), Ok(encoded));
    assert_eq!(again, bytes[..encoded]);
    let mut short = vec![0; encoded - 1];
    assert!(packet.encode(version, &mut short).is_err());
}

/// What is cut off is missed, except at the end of a payload.
fn every_cut_is_seen(header: FixedHeader, body: &[u8], version: Version) {
    if body.len() < 300
        && let Some(cut) = body.len().checked_sub(1)
    {
        let decoded = Packet::decode(header, &body[..cut], version);
        assert_eq!(decoded, Err(DecodeError::Truncated));
    }
}

/// The head of a PUBLISH is the same whether the rest has come or not.
fn heads_agree(
    header: FixedHeader,
    body: &[u8],
    version: Version,
    whole: Result<Packet<'_>, DecodeError>,
) {
    let head = PublishHead::decode(header, body, version);
    match (whole, head) {
        (Ok(Packet::Publish(publish)), Ok(Some((head, len)))) => {
            assert_eq!(&body[len..], publish.payload);
            assert_eq!(head.payload_len as usize, publish.payload.len());
            assert_eq!(head.topic, publish.topic);
            assert_eq!(head.properties, publish.properties);
            assert_eq!(head.packet_identifier, publish.packet_identifier);
            for cut in (0..len).take(200) {
                let early = PublishHead::decode(header, &body[..cut], version);
                assert_eq!(early, Ok(None), "{cut} of {len} bytes are enough");
            }
            assert_eq!(
                PublishHead::decode(header, &body[..len], version),
                Ok(Some((head, len)))
            );
        }
        (Err(_), Err(_)) => {}
        (whole, head) => panic!("{whole:?}, but {head:?}"),
    }
}

fn topics(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let (filter, topic) = text.split_once('\0').unwrap_or((text, "a"));
    let checked = TopicFilter::new(filter);
    assert_eq!(checked.is_ok(), is_filter(filter), "{filter:?}");
    let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']);
    assert_eq!(TopicName::new(topic).is_ok(), is_name, "{topic:?}");
    let Ok(checked) = checked else {
        return;
    };
    assert_eq!(checked.is_shared(), filter.starts_with("$share/"));
    if let Ok(name) = TopicName::new(topic) {
        let expected = matches(filter, topic);
        assert_eq!(checked.matches(topic), expected, "{filter:?} {topic:?}");
        assert_eq!(checked.matches_name(name), expected);
    }
}

/// MQTT 5 §4.7.1 and §4.8.2, level by level.
fn is_filter(filter: &str) -> bool {
    if filter.contains('\0') {
        return false;
    }
    let pattern = match filter.strip_prefix("$share/") {
        Some(shared) => match shared.split_once('/') {
            Some((name, pattern)) if !name.is_empty() && !name.contains(['+', '#']) => pattern,
            _ => return false,
        },
        None => filter,
    };
    let levels: Vec<&str> = pattern.split('/').collect();
    let last = levels.len() - 1;
    !pattern.is_empty()
        && levels.iter().enumerate().all(|(at, level)| {
            let plain = !level.contains(['+', '#']);
            plain || *level == "+" || (*level == "#" && at == last)
        })
}

/// MQTT 5 §4.7.1 and §4.7.2, level by level.
fn matches(filter: &str, topic: &str) -> bool {
    let shared = filter.strip_prefix("$share/");
    let pattern = shared
        .and_then(|rest| Some(rest.split_once('/')?.1))
        .unwrap_or(filter);
    let wild = pattern.starts_with(['+', '#']);
    !(wild && topic.starts_with('$')) && levels_match(pattern.split('/'), topic.split('/'))
}

fn levels_match<'t>(
    mut pattern: impl Iterator<Item = &'t str>,
    mut topic: impl Iterator<Item = &'t str>,
) -> bool {
    loop {
        match (pattern.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}
