//! Packets made up by proptest: what is written is read again, and no bytes at all make the decoders panic.

use std::num::{NonZeroU16, NonZeroU32};

use crate::support;
use mqtt_core::codec::{
    Ack, Auth, ConnAck, Connect, DecodeError, Disconnect, FixedHeader, Packet, PacketIdentifier,
    Properties, Property, Publish, PublishHead, QoS, Reader, ReasonCode, RetainHandling, SubAck,
    Subscribe, Subscription, TopicFilter, TopicName, UnsubAck, Unsubscribe, Version, Will, Writer,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

/// A property that owns its value.
#[derive(Clone, Debug)]
struct Owned {
    identifier: u8,
    number: u32,
    text: String,
    value: String,
    data: Vec<u8>,
}

const CONNECT: &[u8] = &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x27];
const CONNACK: &[u8] = &[
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28, 0x29, 0x2a,
];
const PUBLISH: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23];
const WILL: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18];
const ACK: &[u8] = &[0x1f];
const SUBSCRIBE: &[u8] = &[0x0b];
const UNSUBSCRIBE: &[u8] = &[];
const DISCONNECT: &[u8] = &[0x11, 0x1c, 0x1f];
const AUTH: &[u8] = &[0x15, 0x16, 0x1f];

impl Owned {
    fn borrow(&self) -> Property<'_> {
        let flag = self.number % 2 == 1;
        let short = u16::try_from(self.number % 0x1_0000).unwrap();
        let short_not_zero = NonZeroU16::new(short).unwrap_or(NonZeroU16::MAX);
        let not_zero = NonZeroU32::new(self.number).unwrap_or(NonZeroU32::MAX);
        let limited = NonZeroU32::new(self.number % 0x0fff_ffff + 1).unwrap();
        match self.identifier {
            0x01 => Property::PayloadFormatIndicator(flag),
            0x02 => Property::MessageExpiryInterval(self.number),
            0x03 => Property::ContentType(&self.text),
            0x08 => Property::ResponseTopic(topic(&self.text)),
            0x09 => Property::CorrelationData(&self.data),
            0x0b => Property::SubscriptionIdentifier(limited),
            0x11 => Property::SessionExpiryInterval(self.number),
            0x12 => Property::AssignedClientIdentifier(&self.text),
            0x13 => Property::ServerKeepAlive(short),
            0x15 => Property::AuthenticationMethod(&self.text),
            0x16 => Property::AuthenticationData(&self.data),
            0x17 => Property::RequestProblemInformation(flag),
            0x18 => Property::WillDelayInterval(self.number),
            0x19 => Property::RequestResponseInformation(flag),
            0x1a => Property::ResponseInformation(&self.text),
            0x1c => Property::ServerReference(&self.text),
            0x1f => Property::ReasonString(&self.text),
            0x21 => Property::ReceiveMaximum(short_not_zero),
            0x22 => Property::TopicAliasMaximum(short),
            0x23 => Property::TopicAlias(short_not_zero),
            0x24 => Property::MaximumQoS(if flag {
                QoS::AtLeastOnce
            } else {
                QoS::AtMostOnce
            }),
            0x25 => Property::RetainAvailable(flag),
            0x26 => Property::UserProperty(&self.text, &self.value),
            0x27 => Property::MaximumPacketSize(not_zero),
            0x28 => Property::WildcardSubscriptionAvailable(flag),
            0x29 => Property::SubscriptionIdentifierAvailable(flag),
            0x2a => Property::SharedSubscriptionAvailable(flag),
            other => panic!("property {other:02x}"),
        }
    }
}

/// Some of the properties that a packet can have, in any order, and user properties between them.
fn properties(allowed: &'static [u8]) -> impl Strategy<Value = Vec<Owned>> {
    let once = subsequence(allowed, 0..=allowed.len());
    (once, 0..3usize)
        .prop_flat_map(|(mut identifiers, users)| {
            // Authentication data needs a method.
            if identifiers.contains(&0x16) && !identifiers.contains(&0x15) {
                identifiers.push(0x15);
            }
            identifiers.extend(std::iter::repeat_n(0x26, users));
            Just(identifiers).prop_shuffle()
        })
        .prop_flat_map(|identifiers| identifiers.into_iter().map(owned).collect::<Vec<_>>())
}

fn owned(identifier: u8) -> impl Strategy<Value = Owned> {
    let number = prop_oneof![any::<u32>(), 0..300u32];
    (number, text(), text(), vec(any::<u8>(), 0..20)).prop_map(
        move |(number, text, value, data)| Owned {
            identifier,
            number,
            text,
            value,
            data,
        },
    )
}

fn borrow(properties: &[Owned]) -> Vec<Property<'_>> {
    properties.iter().map(Owned::borrow).collect()
}

/// Any text that MQTT allows, sometimes long enough for two bytes of property length.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(any::<char>(), 0..12).prop_map(|characters| characters.into_iter().collect()),
        "[a-zA-Z0-9/ ]{0,40}",
        Just("x".repeat(200)),
    ]
    .prop_map(|text: String| text.replace('\0', "0"))
}

/// The name that a text is made into.
fn topic(text: &str) -> TopicName<'_> {
    let end = text.find(['+', '#']).unwrap_or(text.len());
    TopicName::new(&text[..end]).unwrap_or(TopicName::new("t").unwrap())
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        Just("+".to_owned()),
        text().prop_map(|text| text.replace(['+', '#'], ""))
    ];
    (vec(level, 1..5), any::<bool>(), option::of("[a-z]{1,5}")).prop_map(|(levels, all, share)| {
        let mut filter = levels.join("/");
        if all {
            filter.push_str("/#");
        }
        if filter.is_empty() || filter.starts_with("$share") {
            "a".clone_into(&mut filter);
        }
        match share {
            Some(share) => format!("$share/{share}/{filter}"),
            None => filter,
        }
    })
}

fn version() -> impl Strategy<Value = Version> {
    select(&[Version::V3_1_1, Version::V5][..])
}

fn qos() -> impl Strategy<Value = QoS> {
    select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

fn identifier() -> impl Strategy<Value = PacketIdentifier> {
    (1..=u16::MAX).prop_map(|number| PacketIdentifier::new(number).unwrap())
}

proptest! {
    /// MQTT 3.1.1 [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15]
    /// MQTT 5 [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19]
    #[test]
    fn connect(
        version in version(), client_id in text(), clean_session: bool, keep_alive: u16,
        user_name in option::of(text()), password in option::of(vec(any::<u8>(), 0..30)),
        has_will: bool, topic_text in text(), payload in vec(any::<u8>(), 0..200), qos in qos(), retain: bool,
        own in properties(CONNECT), wills in properties(WILL),
    ) {
        let (own, wills) = (borrow(&own), borrow(&wills));
        let will = Will {
            topic: topic(&topic_text), payload: &payload, qos, retain,
            properties: Properties::from(&wills),
        };
        let is_v5 = version == Version::V5;
        let connect = Connect {
            client_id: &client_id,
            clean_session: clean_session || client_id.is_empty() && !is_v5,
            keep_alive,
            user_name: user_name.as_deref(),
            password: password.as_deref().filter(|_| is_v5 || user_name.is_some()),
            will: has_will.then_some(will),
            properties: Properties::from(&own),
        };
        let bytes = round_trip(Packet::Connect(connect), version);
        prop_assert_eq!(connect.encoded_len(version), bytes.len());
    }

    #[test]
    fn connack(version in version(), session_present: bool, refusal: Index, own in properties(CONNACK)) {
        let own = borrow(&own);
        let codes: &[u8] = match version {
            Version::V5 => &[0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c,
                0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
            Version::V3_1_1 => &[0, 1, 2, 3, 4, 5],
        };
        let code = if session_present { 0 } else { *refusal.get(codes) };
        let connack = ConnAck { session_present, code: ReasonCode::new(code), properties: Properties::from(&own) };
        round_trip(Packet::ConnAck(connack), version);
    }

    #[test]
    fn publish(
        version in version(), dup: bool, qos in qos(), retain: bool, topic_text in text(), identifier in identifier(),
        payload in vec(any::<u8>(), 0..300), own in properties(PUBLISH), without_topic: bool,
    ) {
        let own = borrow(&own);
        let properties = Properties::from(&own);
        let is_acknowledged = qos != QoS::AtMostOnce;
        let has_alias = version == Version::V5 && properties.topic_alias().is_some();
        let publish = Publish {
            dup: dup && is_acknowledged, qos, retain,
            topic: if without_topic && has_alias { TopicName::EMPTY } else { topic(&topic_text) },
            packet_identifier: is_acknowledged.then_some(identifier),
            properties, payload: &payload,
        };
        let bytes = round_trip(Packet::Publish(publish), version);
        check_head(&publish, &bytes, version);
    }

    #[test]
    fn acknowledgements(version in version(), identifier in identifier(), code: Index, own in properties(ACK)) {
        let own = borrow(&own);
        let ack = |codes: &[u8]| Ack {
            packet_identifier: identifier,
            code: ReasonCode::new(if version == Version::V5 { *code.get(codes) } else { 0 }),
            properties: Properties::from(&own),
        };
        let publish = ack(&[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
        let release = ack(&[0x00, 0x92]);
        round_trip(Packet::PubAck(publish), version);
        round_trip(Packet::PubRec(publish), version);
        round_trip(Packet::PubRel(release), version);
        round_trip(Packet::PubComp(release), version);
    }

    #[test]
    fn subscribe(
        version in version(), identifier in identifier(), own in properties(SUBSCRIBE),
        filters in vec((filter(), qos(), any::<bool>(), any::<bool>(), 0..3u8), 1..6),
    ) {
        let own = borrow(&own);
        let is_v5 = version == Version::V5;
        let subscriptions: Vec<_> = filters.iter().map(|(filter, qos, no_local, as_published, handling)| {
            let filter = TopicFilter::new(filter).unwrap();
            let handling = match handling {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            };
            Subscription {
                filter, qos: *qos,
                no_local: is_v5 && *no_local && !filter.is_shared(),
                retain_as_published: is_v5 && *as_published,
                retain_handling: if is_v5 { handling } else { RetainHandling::default() },
            }
        }).collect();
        let mut subscribe = Subscribe::new(identifier, &subscriptions);
        subscribe.properties = Properties::from(&own);
        round_trip(Packet::Subscribe(subscribe), version);

        let filters: Vec<_> = subscriptions.iter().map(|subscription| subscription.filter).collect();
        round_trip(Packet::Unsubscribe(Unsubscribe::new(identifier, &filters)), version);
    }

    #[test]
    fn unsubscribe_with_properties(identifier in identifier(), filter in filter(), own in properties(UNSUBSCRIBE)) {
        let own = borrow(&own);
        let filters = [TopicFilter::new(&filter).unwrap()];
        let mut unsubscribe = Unsubscribe::new(identifier, &filters);
        unsubscribe.properties = Properties::from(&own);
        round_trip(Packet::Unsubscribe(unsubscribe), Version::V5);
    }

    #[test]
    fn suback_and_unsuback(
        version in version(), identifier in identifier(), codes in vec(any::<Index>(), 1..20), own in properties(ACK),
    ) {
        let own = borrow(&own);
        let pick = |from: &[u8]| codes.iter().map(|code| *code.get(from)).collect::<Vec<_>>();
        let (subscribed, unsubscribed) = match version {
            Version::V5 => (
                pick(&[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
                pick(&[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
            ),
            Version::V3_1_1 => (pick(&[0, 1, 2, 0x80]), Vec::new()),
        };
        let mut suback = SubAck::new(identifier, &subscribed);
        suback.properties = Properties::from(&own);
        round_trip(Packet::SubAck(suback), version);
        let granted = suback.codes().filter_map(Result::ok).count();
        prop_assert_eq!(granted, subscribed.iter().filter(|code| **code < 3).count());

        let mut unsuback = UnsubAck::new(identifier, &unsubscribed);
        unsuback.properties = Properties::from(&own);
        round_trip(Packet::UnsubAck(unsuback), version);
    }

    #[test]
    fn disconnect_and_auth(code: Index, own in properties(DISCONNECT), steps in properties(AUTH)) {
        let (own, mut steps) = (borrow(&own), borrow(&steps));
        let codes = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94,
            0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2];
        let disconnect = Disconnect {
            code: ReasonCode::new(*code.get(&codes)), properties: Properties::from(&own),
        };
        round_trip(Packet::Disconnect(disconnect), Version::V5);
        round_trip(Packet::Disconnect(Disconnect::new()), Version::V3_1_1);

        if !steps.iter().any(|step| matches!(step, Property::AuthenticationMethod(_))) {
            steps.push(Property::AuthenticationMethod("SCRAM-SHA-1"));
        }
        let auth = Auth {
            code: ReasonCode::new(*code.get(&[0x00, 0x18, 0x19])), properties: Properties::from(&steps),
        };
        round_trip(Packet::Auth(auth), Version::V5);
    }

    #[test]
    fn any_bytes_are_refused_or_make_a_packet(bytes in vec(any::<u8>(), 0..60), first: Index, version in version()) {
        let mut bytes = bytes;
        survive(&bytes, version);
        // A likely first byte and the right length lead deeper into the decoders.
        let firsts = [0x10, 0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xe0, 0xf0];
        let len = u8::try_from(bytes.len()).unwrap();
        bytes.splice(0..0, [*first.get(&firsts), len]);
        survive(&bytes, version);
    }

    #[test]
    fn changed_packets_are_refused_or_make_another(
        entry: Index, changes in vec((any::<Index>(), any::<u8>()), 1..4), version in version(),
    ) {
        let entries = GOOD_PACKETS.with(Clone::clone);
        let mut bytes = entry.get(&entries).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survive(&bytes, version);
    }

    #[test]
    fn topic_names_are_legal_utf8_without_nul_and_wildcards(
        bytes in prop_oneof![vec(any::<u8>(), 1..40), text().prop_map(String::into_bytes)], at: Index, byte: u8, change: bool,
    ) {
        let mut bytes = bytes;
        if change && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let is_legal = match str::from_utf8(&bytes) {
            Ok(text) => !text.is_empty() && !text.contains(['\0', '+', '#']),
            Err(_) => false,
        };
        let mut body = vec![0; 100 + bytes.len()];
        let mut writer = Writer::new(&mut body);
        writer.binary(&bytes).unwrap();
        let len = writer.len();
        let header = FixedHeader { packet_type_and_flags: 0x30, remaining_length: u32::try_from(len).unwrap() };
        let packet = Packet::decode(header, &body[..len], Version::V3_1_1);
        prop_assert_eq!(packet.is_ok(), is_legal);
    }

    #[test]
    fn integers_and_strings(byte: u8, short: u16, long: u32, number in 0..=0x0fff_ffffu32, string in text()) {
        let mut buffer = [0; 1000];
        let mut writer = Writer::new(&mut buffer);
        writer.u8(byte).unwrap();
        writer.u16(short).unwrap();
        writer.u32(long).unwrap();
        writer.variable_byte_integer(number).unwrap();
        writer.str(&string).unwrap();
        let len = writer.len();
        let mut reader = Reader::new(&buffer[..len]);
        prop_assert_eq!(reader.u8(), Ok(byte));
        prop_assert_eq!(reader.u16(), Ok(short));
        prop_assert_eq!(reader.u32(), Ok(long));
        prop_assert_eq!(reader.variable_byte_integer(), Ok(number));
        prop_assert_eq!(reader.str(), Ok(&*string));
        prop_assert!(reader.is_empty());
    }
}

thread_local! {
    static GOOD_PACKETS: Vec<Vec<u8>> =
        support::good_packets().iter().map(support::bytes).filter(|bytes| bytes.len() < 500).collect();
}

/// Writes a packet and reads it again. In 3.1.1 its properties are not written.
fn round_trip(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = vec![0; 10_000];
    let len = packet.encode(version, &mut bytes).unwrap();
    bytes.truncate(len);
    let expected = match version {
        Version::V5 => packet,
        Version::V3_1_1 => without_properties(packet),
    };
    assert_eq!(read(&bytes, version), Ok(Some(expected)));
    bytes
}

fn without_properties(packet: Packet<'_>) -> Packet<'_> {
    let mut packet = support::with_properties(&packet, Properties::NONE);
    if let Packet::Connect(Connect {
        will: Some(will), ..
    }) = &mut packet
    {
        will.properties = Properties::NONE;
    }
    packet
}

fn check_head(publish: &Publish<'_>, bytes: &[u8], version: Version) {
    let (header, header_len) = FixedHeader::decode(bytes, version).unwrap().unwrap();
    let body = &bytes[header_len..];
    let head_len = body.len() - publish.payload.len();
    let (head, len) = PublishHead::decode(header, body, version).unwrap().unwrap();
    assert_eq!(len, head_len);
    assert_eq!(head.variable_header_len(version), head_len);
    assert_eq!(head.first_byte(), bytes[0]);
    for cut in 0..head_len {
        assert_eq!(PublishHead::decode(header, &body[..cut], version), Ok(None));
    }
}

fn read(bytes: &[u8], version: Version) -> Result<Option<Packet<'_>>, DecodeError> {
    let Some((header, header_len)) = FixedHeader::decode(bytes, version)? else {
        return Ok(None);
    };
    let behind = &bytes[header_len..];
    let Some(body) = behind.get(..header.remaining_length as usize) else {
        return Ok(None);
    };
    let from_server = Packet::decode_from_server(header, body, version);
    let packet = Packet::decode(header, body, version);
    // A client takes nothing that a server would not.
    if from_server.is_ok() {
        assert_eq!(from_server, packet);
    }
    packet.map(Some)
}

/// Reads bytes of any kind; what is accepted must hold together.
fn survive(bytes: &[u8], version: Version) {
    let Ok(Some(packet)) = read(bytes, version) else {
        return;
    };
    let _ = format!("{packet:?} {}", support::describe(&packet, version));
    let mut written = vec![0; 10_000];
    let len = packet.encode(version, &mut written).unwrap();
    assert_eq!(read(&written[..len], version), Ok(Some(packet)));
}
