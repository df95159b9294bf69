//! What the codec tests share: the vectors, and a packet in the words that the vectors use.

use mqtt_core::codec::{Packet, PacketIdentifier, Properties, Property, Publish, Version, Will};
use serde_json::{Map, Value, json};

pub(crate) fn good_packets() -> Vec<Value> {
    serde_json::from_str(include_str!("../../vectors/good-packets.json")).unwrap()
}

pub(crate) fn bad_packets() -> Vec<Value> {
    serde_json::from_str(include_str!("../../vectors/bad-packets.json")).unwrap()
}

pub(crate) fn name(entry: &Value) -> &str {
    entry["name"].as_str().unwrap()
}

pub(crate) fn bytes(entry: &Value) -> Vec<u8> {
    unhex(entry["hex"].as_str().unwrap())
}

/// One version, or both.
pub(crate) fn versions(entry: &Value) -> &'static [Version] {
    match entry["version"].as_str().unwrap() {
        "3.1.1" => &[Version::V3_1_1],
        "5.0" => &[Version::V5],
        "both" => &[Version::V3_1_1, Version::V5],
        other => panic!("version {other}"),
    }
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

/// The packet as the vectors describe it.
pub(crate) fn describe(packet: &Packet<'_>, version: Version) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    match packet {
        Packet::Connect(connect) => {
            set("type", json!("CONNECT"));
            set("protocol_level", json!(version.protocol_level()));
            set("client_id", json!(connect.client_id));
            set("clean", json!(connect.clean_session));
            set("keep_alive", json!(connect.keep_alive));
            set("username", json!(connect.user_name));
            set("password_hex", json!(connect.password.map(hex)));
            set(
                "will",
                json!(connect.will.map(|will| describe_will(&will, version))),
            );
        }
        Packet::ConnAck(connack) => {
            set("type", json!("CONNACK"));
            set("session_present", json!(connack.session_present));
            let key = if version == Version::V5 {
                "reason"
            } else {
                "code"
            };
            set(key, json!(connack.code.value()));
        }
        Packet::Publish(publish) => return describe_publish(publish, version),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            let name = format!("{:?}", packet.packet_type()).to_uppercase();
            set("type", json!(name));
            set("packet_id", json!(ack.packet_identifier.get()));
            if version == Version::V5 {
                set("reason", json!(ack.code.value()));
            }
        }
        Packet::Subscribe(subscribe) => {
            set("type", json!("SUBSCRIBE"));
            set("packet_id", json!(subscribe.packet_identifier.get()));
            let filters = subscribe.filters.iter().map(|subscription| {
                let mut filter = json!({
                    "filter": subscription.filter.as_str(),
                    "qos": subscription.qos as u8,
                });
                if version == Version::V5 {
                    filter["no_local"] = json!(subscription.no_local);
                    filter["retain_as_published"] = json!(subscription.retain_as_published);
                    filter["retain_handling"] = json!(subscription.retain_handling as u8);
                }
                filter
            });
            set("filters", filters.collect());
        }
        Packet::SubAck(suback) => {
            set("type", json!("SUBACK"));
            set("packet_id", json!(suback.packet_identifier.get()));
            set("codes", json!(suback.raw_codes()));
        }
        Packet::Unsubscribe(unsubscribe) => {
            set("type", json!("UNSUBSCRIBE"));
            set("packet_id", json!(unsubscribe.packet_identifier.get()));
            let filters = unsubscribe.filters.iter();
            set(
                "filters",
                filters.map(|filter| json!(filter.as_str())).collect(),
            );
        }
        Packet::UnsubAck(unsuback) => {
            set("type", json!("UNSUBACK"));
            set("packet_id", json!(unsuback.packet_identifier.get()));
            if version == Version::V5 {
                set("codes", json!(unsuback.raw_codes()));
            }
        }
        Packet::PingReq => _ = set("type", json!("PINGREQ")),
        Packet::PingResp => _ = set("type", json!("PINGRESP")),
        Packet::Disconnect(disconnect) => {
            set("type", json!("DISCONNECT"));
            if version == Version::V5 {
                set("reason", json!(disconnect.code.value()));
            }
        }
        Packet::Auth(auth) => {
            set("type", json!("AUTH"));
            set("reason", json!(auth.code.value()));
        }
        _ => panic!("a packet type that the tests do not know"),
    }
    if let Some(properties) = properties_of(packet)
        && version == Version::V5
    {
        set("properties", describe_properties(properties));
    }
    Value::Object(object)
}

pub(crate) fn properties_of<'p, 'a>(packet: &'p Packet<'a>) -> Option<&'p Properties<'a>> {
    Some(match packet {
        Packet::Connect(connect) => &connect.properties,
        Packet::ConnAck(connack) => &connack.properties,
        Packet::Publish(publish) => &publish.properties,
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            &ack.properties
        }
        Packet::Subscribe(subscribe) => &subscribe.properties,
        Packet::SubAck(suback) => &suback.properties,
        Packet::Unsubscribe(unsubscribe) => &unsubscribe.properties,
        Packet::UnsubAck(unsuback) => &unsuback.properties,
        Packet::Disconnect(disconnect) => &disconnect.properties,
        Packet::Auth(auth) => &auth.properties,
        _ => return None,
    })
}

/// The same packet with other properties.
pub(crate) fn with_properties<'a>(packet: &Packet<'a>, properties: Properties<'a>) -> Packet<'a> {
    let mut packet = *packet;
    match &mut packet {
        Packet::Connect(connect) => connect.properties = properties,
        Packet::ConnAck(connack) => connack.properties = properties,
        Packet::Publish(publish) => publish.properties = properties,
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            ack.properties = properties;
        }
        Packet::Subscribe(subscribe) => subscribe.properties = properties,
        Packet::SubAck(suback) => suback.properties = properties,
        Packet::Unsubscribe(unsubscribe) => unsubscribe.properties = properties,
        Packet::UnsubAck(unsuback) => unsuback.properties = properties,
        Packet::Disconnect(disconnect) => disconnect.properties = properties,
        Packet::Auth(auth) => auth.properties = properties,
        _ => {}
    }
    packet
}

fn describe_publish(publish: &Publish<'_>, version: Version) -> Value {
    let mut object = json!({
        "type": "PUBLISH",
        "topic": publish.topic.as_str(),
        "payload_hex": hex(publish.payload),
        "payload_len": publish.payload.len(),
        "qos": publish.qos as u8,
        "packet_id": publish.packet_identifier.map(PacketIdentifier::get),
        "dup": publish.dup,
        "retain": publish.retain,
    });
    if version == Version::V5 {
        object["properties"] = describe_properties(&publish.properties);
    }
    object
}

fn describe_will(will: &Will<'_>, version: Version) -> Value {
    let mut object = json!({
        "topic": will.topic.as_str(),
        "payload_hex": hex(will.payload),
        "qos": will.qos as u8,
        "retain": will.retain,
    });
    if version == Version::V5 {
        object["properties"] = describe_properties(&will.properties);
    }
    object
}

fn describe_properties(properties: &Properties<'_>) -> Value {
    properties
        .iter()
        .map(|property| describe_property(&property))
        .collect()
}

fn describe_property(property: &Property<'_>) -> Value {
    use Property as P;
    match *property {
        P::PayloadFormatIndicator(value) => json!(["payload_format", u8::from(value)]),
        P::MessageExpiryInterval(value) => json!(["message_expiry", value]),
        P::ContentType(value) => json!(["content_type", value]),
        P::ResponseTopic(value) => json!(["response_topic", value.as_str()]),
        P::CorrelationData(value) => json!(["correlation_data", hex(value)]),
        P::SubscriptionIdentifier(value) => json!(["subscription_identifier", value.get()]),
        P::SessionExpiryInterval(value) => json!(["session_expiry", value]),
        P::AssignedClientIdentifier(value) => json!(["assigned_client_id", value]),
        P::ServerKeepAlive(value) => json!(["server_keep_alive", value]),
        P::AuthenticationMethod(value) => json!(["auth_method", value]),
        P::AuthenticationData(value) => json!(["auth_data", hex(value)]),
        P::RequestProblemInformation(value) => {
            json!(["request_problem_information", u8::from(value)])
        }
        P::WillDelayInterval(value) => json!(["will_delay", value]),
        P::RequestResponseInformation(value) => {
            json!(["request_response_information", u8::from(value)])
        }
        P::ResponseInformation(value) => json!(["response_information", value]),
        P::ServerReference(value) => json!(["server_reference", value]),
        P::ReasonString(value) => json!(["reason_string", value]),
        P::ReceiveMaximum(value) => json!(["receive_maximum", value.get()]),
        P::TopicAliasMaximum(value) => json!(["topic_alias_maximum", value]),
        P::TopicAlias(value) => json!(["topic_alias", value.get()]),
        P::MaximumQoS(value) => json!(["maximum_qos", value as u8]),
        P::RetainAvailable(value) => json!(["retain_available", u8::from(value)]),
        P::UserProperty(name, value) => json!(["user_property", [name, value]]),
        P::MaximumPacketSize(value) => json!(["maximum_packet_size", value.get()]),
        P::WildcardSubscriptionAvailable(value) => {
            json!(["wildcard_available", u8::from(value)])
        }
        P::SubscriptionIdentifierAvailable(value) => {
            json!(["subscription_id_available", u8::from(value)])
        }
        P::SharedSubscriptionAvailable(value) => json!(["shared_available", u8::from(value)]),
        ref other => panic!("a property that the tests do not know: {other:?}"),
    }
}
