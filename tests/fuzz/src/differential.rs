//! Our decoder and one that somebody else wrote find the same in a packet, or both refuse it.
//!
//! The other one is `mqtt-protocol-core`. Where they differ, a table says why.

use mqtt_core::{
    Version,
    codec::{DecodeError, Packet, PacketType, Properties, Property},
};
use mqtt_protocol_core::mqtt::packet::{self as other, v3_1_1, v5_0};

use crate::{
    codec::split,
    input::{Choices, version},
};

/// The first byte chooses the version; the rest is a packet.
pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let version = version(choices.byte());
    let Some((header, body)) = split(choices.0, version) else {
        return;
    };
    let packet_type = header.packet_type();
    let ours = Packet::decode(header, body, version);
    let theirs = decode(packet_type, choices.0[0] & 0x0f, body, version);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(fields(&ours), theirs, "{ours:?}"),
        (Ok(ours), None) => {
            assert!(
                they_are_stricter(&ours, body, version),
                "only we accept {ours:?}"
            );
        }
        (Err(error), Some(theirs)) => assert!(
            they_are_laxer(packet_type, body, error, &theirs),
            "only we refuse {packet_type:?} {body:02x?}, {error:?}: {theirs:?}"
        ),
        (Err(_), None) => {}
    }
}

/// What they refuse although the standard allows it.
fn they_are_stricter(packet: &Packet<'_>, body: &[u8], version: Version) -> bool {
    match packet {
        // MQTT 5 §3.1.2.9 lifts the rule of 3.1.1.
        Packet::Connect(connect) => {
            version == Version::V5 && connect.password.is_some() && connect.user_name.is_none()
        }
        // A server that knows 3.1.1 only refuses MQTT 5 in its own words: 3.1.1 [MQTT-3.1.2-2].
        Packet::ConnAck(_) => version == Version::V5 && body == [0, 1],
        _ => false,
    }
}

/// What they accept although the standard forbids it.
fn they_are_laxer(
    packet_type: PacketType,
    body: &[u8],
    error: DecodeError,
    theirs: &Fields,
) -> bool {
    use PacketType::{
        Auth, ConnAck, Connect, PubAck, PubComp, PubRec, PubRel, Publish, Subscribe, Unsubscribe,
    };
    match error {
        // U+0000 in a string [MQTT-1.5.4-2].
        DecodeError::String => theirs.iter().any(|(_, value)| value.contains(&0)),
        // More bytes than needed [MQTT-1.5.5-1].
        DecodeError::VariableByteInteger => {
            body.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == 0)
        }
        // [MQTT-2.2.1-3], of acknowledgements they look at those of publications only.
        DecodeError::PacketIdentifierZero => theirs.contains(&number("packet identifier", 0_u8)),
        // [MQTT-3.2.2-1]; 3.1.1 [MQTT-3.1.2-3] and [MQTT-3-8.3-4].
        DecodeError::ReservedBits => matches!(packet_type, ConnAck | Connect | Subscribe),
        // The QoS of the will [MQTT-3.1.2-12]; 3.1.1 [MQTT-3.1.3-8].
        DecodeError::QoS | DecodeError::ClientIdentifier => packet_type == Connect,
        // [MQTT-3.2.2-6]
        DecodeError::SessionPresent => packet_type == ConnAck,
        // [MQTT-4.7.3-1], [MQTT-3.3.2-2]; of a will too; and of the response topic [MQTT-3.3.2-14].
        DecodeError::TopicEmpty | DecodeError::TopicWildcard => {
            matches!(packet_type, Publish | Connect)
        }
        DecodeError::PropertyValue => has_property(theirs, 0x08),
        // [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1].
        DecodeError::TopicFilter => matches!(packet_type, Subscribe | Unsubscribe),
        // Acknowledgements of 3.1.1 have no reason code.
        DecodeError::TrailingBytes => {
            matches!(packet_type, PubAck | PubRec | PubRel | PubComp) && body.len() == 3
        }
        // [MQTT-3.8.3-4]
        DecodeError::NoLocal => packet_type == Subscribe,
        // MQTT 5 §3.8.2.1.2: SUBSCRIBE has one subscription identifier at most.
        DecodeError::PropertyTwice => packet_type == Subscribe && has_property(theirs, 0x0b),
        // MQTT 5 §3.15.2.2.2 and §3.2.2.3.18: no AUTH without method, and no data without method.
        DecodeError::AuthenticationMethod => matches!(packet_type, Auth | ConnAck),
        // MQTT 5 §3.3.2.3.1 lets the property length of PUBLISH never be left out, and §3.15.2.1 that of AUTH only together
        // with the code.
        DecodeError::Truncated => {
            packet_type == Publish || (packet_type == Auth && body.len() == 1)
        }
        _ => false,
    }
}

fn has_property(fields: &Fields, id: u8) -> bool {
    let mut properties = fields.iter().filter(|(name, _)| *name == "property");
    properties.any(|(_, wire)| wire.first() == Some(&id))
}

/// All that a packet says, by name.
type Fields = Vec<(&'static str, Vec<u8>)>;

fn number(name: &'static str, value: impl Into<u64>) -> (&'static str, Vec<u8>) {
    (name, value.into().to_be_bytes().to_vec())
}

fn bytes(name: &'static str, value: impl AsRef<[u8]>) -> (&'static str, Vec<u8>) {
    (name, value.as_ref().to_vec())
}

/// What our decoder has found.
fn fields(packet: &Packet<'_>) -> Fields {
    let mut all = Vec::new();
    match packet {
        Packet::Connect(connect) => {
            all.push(bytes("client identifier", connect.client_id));
            all.push(number("clean", connect.clean_session));
            all.push(number("keep alive", connect.keep_alive));
            all.extend(connect.user_name.map(|name| bytes("user name", name)));
            all.extend(connect.password.map(|secret| bytes("password", secret)));
            put(&mut all, &connect.properties);
            if let Some(will) = &connect.will {
                all.push(bytes("will topic", will.topic.as_bytes()));
                all.push(bytes("will payload", will.payload));
                all.push(number("will QoS", will.qos as u8));
                all.push(number("will retain", will.retain));
                put(&mut all, &will.properties);
            }
        }
        Packet::ConnAck(connack) => {
            all.push(number("session present", connack.session_present));
            all.push(number("code", connack.code.value()));
            put(&mut all, &connack.properties);
        }
        Packet::Publish(publish) => {
            all.push(number("dup", publish.dup));
            all.push(number("QoS", publish.qos as u8));
            all.push(number("retain", publish.retain));
            all.push(bytes("topic", publish.topic.as_bytes()));
            let id = publish.packet_identifier;
            all.extend(id.map(|id| number("packet identifier", id.get())));
            put(&mut all, &publish.properties);
            all.push(bytes("payload", publish.payload));
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            all.push(number("packet identifier", ack.packet_identifier.get()));
            all.push(number("code", ack.code.value()));
            put(&mut all, &ack.properties);
        }
        Packet::Subscribe(subscribe) => {
            let id = subscribe.packet_identifier;
            all.push(number("packet identifier", id.get()));
            put(&mut all, &subscribe.properties);
            for subscription in subscribe.filters.iter() {
                all.push(bytes("filter", subscription.filter.as_bytes()));
                let options = subscription.qos as u8
                    | u8::from(subscription.no_local) << 2
                    | u8::from(subscription.retain_as_published) << 3
                    | (subscription.retain_handling as u8) << 4;
                all.push(number("options", options));
            }
        }
        Packet::SubAck(suback) => {
            let id = suback.packet_identifier;
            all.push(number("packet identifier", id.get()));
            put(&mut all, &suback.properties);
            all.push(bytes("codes", suback.raw_codes()));
        }
        Packet::Unsubscribe(unsubscribe) => {
            let id = unsubscribe.packet_identifier;
            all.push(number("packet identifier", id.get()));
            put(&mut all, &unsubscribe.properties);
            let filters = unsubscribe.filters.iter();
            all.extend(filters.map(|filter| bytes("filter", filter.as_bytes())));
        }
        Packet::UnsubAck(unsuback) => {
            let id = unsuback.packet_identifier;
            all.push(number("packet identifier", id.get()));
            put(&mut all, &unsuback.properties);
            all.push(bytes("codes", unsuback.raw_codes()));
        }
        Packet::Disconnect(disconnect) => {
            all.push(number("code", disconnect.code.value()));
            put(&mut all, &disconnect.properties);
        }
        Packet::Auth(auth) => {
            all.push(number("code", auth.code.value()));
            put(&mut all, &auth.properties);
        }
        _ => {}
    }
    all
}

fn put(all: &mut Fields, properties: &Properties<'_>) {
    all.extend(properties.iter().map(|property| on_the_wire(&property)));
}

/// A property as MQTT 5 §2.2.2.2 has it on the wire.
fn on_the_wire(property: &Property<'_>) -> (&'static str, Vec<u8>) {
    let text = |id: u8, texts: &[&[u8]]| {
        let mut wire = vec![id];
        for text in texts {
            wire.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            wire.extend(*text);
        }
        wire
    };
    let small = |id: u8, value: u8| vec![id, value];
    let half = |id: u8, value: u16| [&[id], &value.to_be_bytes()[..]].concat();
    let word = |id: u8, value: u32| [&[id], &value.to_be_bytes()[..]].concat();
    let wire = match *property {
        Property::PayloadFormatIndicator(value) => small(0x01, value.into()),
        Property::MessageExpiryInterval(value) => word(0x02, value),
        Property::ContentType(value) => text(0x03, &[value.as_bytes()]),
        Property::ResponseTopic(value) => text(0x08, &[value.as_bytes()]),
        Property::CorrelationData(value) => text(0x09, &[value]),
        Property::SubscriptionIdentifier(value) => variable(0x0b, value.get()),
        Property::SessionExpiryInterval(value) => word(0x11, value),
        Property::AssignedClientIdentifier(value) => text(0x12, &[value.as_bytes()]),
        Property::ServerKeepAlive(value) => half(0x13, value),
        Property::AuthenticationMethod(value) => text(0x15, &[value.as_bytes()]),
        Property::AuthenticationData(value) => text(0x16, &[value]),
        Property::RequestProblemInformation(value) => small(0x17, value.into()),
        Property::WillDelayInterval(value) => word(0x18, value),
        Property::RequestResponseInformation(value) => small(0x19, value.into()),
        Property::ResponseInformation(value) => text(0x1a, &[value.as_bytes()]),
        Property::ServerReference(value) => text(0x1c, &[value.as_bytes()]),
        Property::ReasonString(value) => text(0x1f, &[value.as_bytes()]),
        Property::ReceiveMaximum(value) => half(0x21, value.get()),
        Property::TopicAliasMaximum(value) => half(0x22, value),
        Property::TopicAlias(value) => half(0x23, value.get()),
        Property::MaximumQoS(value) => small(0x24, value as u8),
        Property::RetainAvailable(value) => small(0x25, value.into()),
        Property::UserProperty(name, value) => text(0x26, &[name.as_bytes(), value.as_bytes()]),
        Property::MaximumPacketSize(value) => word(0x27, value.get()),
        Property::WildcardSubscriptionAvailable(value) => small(0x28, value.into()),
        Property::SubscriptionIdentifierAvailable(value) => small(0x29, value.into()),
        Property::SharedSubscriptionAvailable(value) => small(0x2a, value.into()),
        _ => unreachable!("MQTT 5 has no other property"),
    };
    ("property", wire)
}

/// A variable byte integer (MQTT 5 §1.5.5).
fn variable(id: u8, mut value: u32) -> Vec<u8> {
    let mut wire = vec![id];
    loop {
        let [.., low] = (value & 0x7f).to_be_bytes();
        value >>= 7;
        wire.push(low | u8::from(value != 0) << 7);
        if value == 0 {
            return wire;
        }
    }
}

/// What the other decoder has found; `None` if it refuses, or does not take all of it.
fn decode(packet_type: PacketType, flags: u8, body: &[u8], version: Version) -> Option<Fields> {
    let (fields, taken) = if version == Version::V5 {
        decode_v5(packet_type, flags, body)?
    } else {
        decode_v3(packet_type, flags, body)?
    };
    (taken == body.len()).then_some(fields)
}

macro_rules! connect {
    ($packet:expr, $properties:expr, $will_properties:expr) => {{
        let connect = &$packet;
        let mut all = vec![
            bytes("client identifier", connect.client_id()),
            number("clean", connect.clean_start()),
            number("keep alive", connect.keep_alive()),
        ];
        all.extend(connect.user_name().map(|name| bytes("user name", name)));
        all.extend(connect.password().map(|secret| bytes("password", secret)));
        all.extend(theirs($properties));
        if connect.will_flag() {
            let topic = connect.will_topic().unwrap_or_default();
            let payload = connect.will_payload().unwrap_or_default();
            all.push(bytes("will topic", topic));
            all.push(bytes("will payload", payload));
            all.push(number("will QoS", connect.will_qos() as u8));
            all.push(number("will retain", connect.will_retain()));
            all.extend(theirs($will_properties));
        }
        all
    }};
}

macro_rules! publish {
    ($packet:expr, $properties:expr) => {{
        let publish = &$packet;
        let mut all = vec![
            number("dup", publish.dup()),
            number("QoS", publish.qos() as u8),
            number("retain", publish.retain()),
            bytes("topic", publish.topic_name()),
        ];
        let id = publish.packet_id();
        all.extend(id.map(|id| number("packet identifier", id)));
        all.extend(theirs($properties));
        all.push(bytes("payload", publish.payload().as_slice()));
        all
    }};
}

macro_rules! subscribe {
    ($packet:expr, $properties:expr) => {{
        let subscribe = &$packet;
        let mut all = vec![number("packet identifier", subscribe.packet_id())];
        all.extend(theirs($properties));
        for entry in subscribe.entries() {
            all.push(bytes("filter", entry.topic_filter()));
            all.push(number("options", entry.sub_opts().to_buffer()[0]));
        }
        all
    }};
}

macro_rules! unsubscribe {
    ($packet:expr, $properties:expr) => {{
        let mut all = vec![number("packet identifier", $packet.packet_id())];
        all.extend(theirs($properties));
        let filters = $packet.entries().iter();
        all.extend(filters.map(|filter| bytes("filter", filter.as_str())));
        all
    }};
}

macro_rules! codes {
    ($packet:expr, $properties:expr, $codes:ident) => {{
        let mut all = vec![number("packet identifier", $packet.packet_id())];
        all.extend(theirs($properties));
        let codes: Vec<u8> = $packet.$codes().iter().map(|code| *code as u8).collect();
        all.push(bytes("codes", codes));
        all
    }};
}

macro_rules! ack {
    ($packet:expr, $properties:expr) => {{
        let code = $packet.reason_code().map_or(0, |code| code as u8);
        let mut all = vec![
            number("packet identifier", $packet.packet_id()),
            number("code", code),
        ];
        all.extend(theirs($properties));
        all
    }};
}

fn theirs(properties: &[other::Property]) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    properties
        .iter()
        .map(|property| bytes("property", their_wire(property)))
}

fn their_wire(property: &other::Property) -> Vec<u8> {
    macro_rules! wire {
        ($($name:ident)*) => {
            match property { $(other::Property::$name(value) => value.to_continuous_buffer(),)* }
        };
    }
    wire!(
        PayloadFormatIndicator MessageExpiryInterval ContentType ResponseTopic CorrelationData SubscriptionIdentifier
        SessionExpiryInterval AssignedClientIdentifier ServerKeepAlive AuthenticationMethod AuthenticationData
        RequestProblemInformation WillDelayInterval RequestResponseInformation ResponseInformation ServerReference
        ReasonString ReceiveMaximum TopicAliasMaximum TopicAlias MaximumQos RetainAvailable UserProperty
        MaximumPacketSize WildcardSubscriptionAvailable SubscriptionIdentifierAvailable SharedSubscriptionAvailable
    )
}

fn decode_v5(packet_type: PacketType, flags: u8, body: &[u8]) -> Option<(Fields, usize)> {
    macro_rules! acknowledgement {
        ($name:ident) => {{
            let (ack, taken) = v5_0::$name::parse(body).ok()?;
            let properties = ack.props().as_deref().unwrap_or_default();
            (ack!(ack, properties), taken)
        }};
    }
    macro_rules! leave {
        ($name:ident) => {{
            let (packet, taken) = v5_0::$name::parse(body).ok()?;
            let code = packet.reason_code().map_or(0, |code| code as u8);
            let mut all = vec![number("code", code)];
            all.extend(theirs(packet.props().as_deref().unwrap_or_default()));
            (all, taken)
        }};
    }
    Some(match packet_type {
        PacketType::Connect => {
            let (packet, taken) = v5_0::Connect::parse(body).ok()?;
            let fields = connect!(packet, packet.props(), packet.will_props());
            (fields, taken)
        }
        PacketType::ConnAck => {
            let (packet, taken) = v5_0::Connack::parse(body).ok()?;
            let mut all = vec![
                number("session present", packet.session_present()),
                number("code", packet.reason_code() as u8),
            ];
            all.extend(theirs(packet.props()));
            (all, taken)
        }
        PacketType::Publish => {
            let (packet, taken) = v5_0::Publish::parse(flags, body.into()).ok()?;
            (publish!(packet, packet.props()), taken)
        }
        PacketType::PubAck => acknowledgement!(Puback),
        PacketType::PubRec => acknowledgement!(Pubrec),
        PacketType::PubRel => acknowledgement!(Pubrel),
        PacketType::PubComp => acknowledgement!(Pubcomp),
        PacketType::Subscribe => {
            let (packet, taken) = v5_0::Subscribe::parse(body).ok()?;
            (subscribe!(packet, packet.props()), taken)
        }
        PacketType::SubAck => {
            let (packet, taken) = v5_0::Suback::parse(body).ok()?;
            (codes!(packet, packet.props(), reason_codes), taken)
        }
        PacketType::Unsubscribe => {
            let (packet, taken) = v5_0::Unsubscribe::parse(body).ok()?;
            (unsubscribe!(packet, packet.props()), taken)
        }
        PacketType::UnsubAck => {
            let (packet, taken) = v5_0::Unsuback::parse(body).ok()?;
            (codes!(packet, packet.props(), reason_codes), taken)
        }
        PacketType::Disconnect => leave!(Disconnect),
        PacketType::Auth => leave!(Auth),
        PacketType::PingReq | PacketType::PingResp => (Vec::new(), 0),
    })
}

fn decode_v3(packet_type: PacketType, flags: u8, body: &[u8]) -> Option<(Fields, usize)> {
    macro_rules! acknowledgement {
        ($name:ident) => {{
            let (ack, taken) = v3_1_1::$name::parse(body).ok()?;
            let all = vec![
                number("packet identifier", ack.packet_id()),
                number("code", 0_u8),
            ];
            (all, taken)
        }};
    }
    Some(match packet_type {
        PacketType::Connect => {
            let (packet, taken) = v3_1_1::Connect::parse(body).ok()?;
            (connect!(packet, &[], &[]), taken)
        }
        PacketType::ConnAck => {
            let (packet, taken) = v3_1_1::Connack::parse(body).ok()?;
            let all = vec![
                number("session present", packet.session_present()),
                number("code", packet.return_code() as u8),
            ];
            (all, taken)
        }
        PacketType::Publish => {
            let (packet, taken) = v3_1_1::Publish::parse(flags, body.into()).ok()?;
            (publish!(packet, &[]), taken)
        }
        PacketType::PubAck => acknowledgement!(Puback),
        PacketType::PubRec => acknowledgement!(Pubrec),
        PacketType::PubRel => acknowledgement!(Pubrel),
        PacketType::PubComp => acknowledgement!(Pubcomp),
        PacketType::Subscribe => {
            let (packet, taken) = v3_1_1::Subscribe::parse(body).ok()?;
            (subscribe!(packet, &[]), taken)
        }
        PacketType::SubAck => {
            let (packet, taken) = v3_1_1::Suback::parse(body).ok()?;
            (codes!(packet, &[], return_codes), taken)
        }
        PacketType::Unsubscribe => {
            let (packet, taken) = v3_1_1::Unsubscribe::parse(body).ok()?;
            (unsubscribe!(packet, &[]), taken)
        }
        PacketType::UnsubAck => {
            let (packet, taken) = v3_1_1::Unsuback::parse(body).ok()?;
            let all = vec![
                number("packet identifier", packet.packet_id()),
                bytes("codes", []),
            ];
            (all, taken)
        }
        PacketType::Disconnect => (vec![number("code", 0_u8)], 0),
        PacketType::PingReq | PacketType::PingResp => (Vec::new(), 0),
        PacketType::Auth => return None,
    })
}
