//! Packets of the peer, and words for those of the client.

use std::fmt::Write as _;

use mqtt_core::{
    QoS, Version,
    codec::{
        Ack, ConnAck, FixedHeader, Packet, PacketIdentifier, Properties, Publish, ReasonCode,
        SubAck, TopicName, UnsubAck,
    },
};

const V3: Version = Version::V3_1_1;

pub const CONNACK: &[u8] = &[0x20, 2, 0, 0];
pub const CONNACK_PRESENT: &[u8] = &[0x20, 2, 1, 0];
pub const PINGRESP: &[u8] = &[0xd0, 0];

pub fn id(value: u16) -> PacketIdentifier {
    PacketIdentifier::new(value).expect("a packet identifier")
}

pub fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = packet.encode(version, &mut buffer).expect("a packet");
    buffer.truncate(len);
    buffer
}

/// A PUBLISH of 3.1.1; `identifier` is ignored at QoS 0.
pub fn publish(qos: QoS, identifier: u16, topic: &str, payload: impl AsRef<[u8]>) -> Vec<u8> {
    publish_in(V3, qos, identifier, false, topic, payload.as_ref())
}

pub fn publish_in(
    version: Version,
    qos: QoS,
    identifier: u16,
    dup: bool,
    topic: &str,
    payload: &[u8],
) -> Vec<u8> {
    let publish = Publish {
        dup,
        qos,
        packet_identifier: PacketIdentifier::new(identifier).filter(|_| qos != QoS::AtMostOnce),
        ..Publish::new(TopicName::new(topic).expect("a topic"), payload)
    };
    encode(&Packet::Publish(publish), version)
}

pub fn connack_in(version: Version, session_present: bool) -> Vec<u8> {
    let connack = ConnAck {
        session_present,
        code: ReasonCode::SUCCESS,
        properties: Properties::NONE,
    };
    encode(&Packet::ConnAck(connack), version)
}

pub fn refused(code: u8, version: Version) -> Vec<u8> {
    let connack = ConnAck {
        session_present: false,
        code: ReasonCode::new(code),
        properties: Properties::NONE,
    };
    encode(&Packet::ConnAck(connack), version)
}

pub fn puback(identifier: u16) -> Vec<u8> {
    encode(&Packet::PubAck(Ack::new(id(identifier))), V3)
}

pub fn pubrec(identifier: u16) -> Vec<u8> {
    encode(&Packet::PubRec(Ack::new(id(identifier))), V3)
}

pub fn pubrel(identifier: u16) -> Vec<u8> {
    encode(&Packet::PubRel(Ack::new(id(identifier))), V3)
}

pub fn pubcomp(identifier: u16) -> Vec<u8> {
    encode(&Packet::PubComp(Ack::new(id(identifier))), V3)
}

pub fn suback(version: Version, identifier: u16, codes: &[u8]) -> Vec<u8> {
    encode(&Packet::SubAck(SubAck::new(id(identifier), codes)), version)
}

pub fn unsuback(version: Version, identifier: u16, codes: &[u8]) -> Vec<u8> {
    let unsuback = UnsubAck::new(id(identifier), codes);
    encode(&Packet::UnsubAck(unsuback), version)
}

/// All whole packets at the front of `bytes` by `f`, and how many bytes they take. Panics on what is no packet.
#[track_caller]
pub fn decode_all<T>(
    bytes: &[u8],
    version: Version,
    mut f: impl FnMut(&Packet<'_>) -> T,
) -> (Vec<T>, usize) {
    let mut packets = Vec::new();
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let header = FixedHeader::decode(rest, version).expect("a fixed header of a packet");
        let Some((header, header_len)) = header else {
            return (packets, used);
        };
        let len = header_len + header.remaining_length as usize;
        if rest.len() < len {
            return (packets, used);
        }
        let packet = Packet::decode(header, &rest[header_len..len], version);
        packets.push(f(&packet.expect("a packet")));
        used += len;
    }
}

/// A packet in a few words: `PUBLISH dup q1 #7 a/b=hello`, `PUBACK 7`, `DISCONNECT 0x82`. Identifiers of the client
/// are numbered by `ids`.
pub fn describe(packet: &Packet<'_>, ids: &mut Vec<u16>) -> String {
    let mut number = |id: PacketIdentifier| {
        if !ids.contains(&id.get()) {
            ids.push(id.get());
        }
        ids.iter().position(|known| *known == id.get()).unwrap_or(0) + 1
    };
    match packet {
        Packet::Connect(connect) => {
            let clean = if connect.clean_session { " clean" } else { "" };
            format!("CONNECT {}{clean}", connect.client_id)
        }
        Packet::Publish(publish) => {
            describe_publish(publish, publish.packet_identifier.map(number))
        }
        Packet::PubAck(ack) => describe_ack("PUBACK", ack),
        Packet::PubRec(ack) => describe_ack("PUBREC", ack),
        Packet::PubRel(ack) => {
            let text = format!("PUBREL {}", number(ack.packet_identifier));
            with_code(text, ack.code)
        }
        Packet::PubComp(ack) => describe_ack("PUBCOMP", ack),
        Packet::Subscribe(subscribe) => {
            let mut text = format!("SUBSCRIBE {}", number(subscribe.packet_identifier));
            for filter in subscribe.filters.iter() {
                write!(text, " {}:{}", filter.filter.as_str(), filter.qos as u8).unwrap();
            }
            text
        }
        Packet::Unsubscribe(unsubscribe) => {
            let mut text = format!("UNSUBSCRIBE {}", number(unsubscribe.packet_identifier));
            for filter in unsubscribe.filters.iter() {
                write!(text, " {}", filter.as_str()).unwrap();
            }
            text
        }
        Packet::PingReq => "PINGREQ".into(),
        Packet::Disconnect(disconnect) => with_code("DISCONNECT".into(), disconnect.code),
        #[cfg(feature = "v5")]
        Packet::Auth(auth) => {
            let data = auth.properties.authentication_data().unwrap_or_default();
            let method = auth.properties.authentication_method();
            format!(
                "AUTH {:#04x} {} {}",
                auth.code.value(),
                method.unwrap_or_default(),
                String::from_utf8_lossy(data)
            )
        }
        other => panic!("a client does not send {other:?}"),
    }
}

fn describe_publish(publish: &Publish<'_>, number: Option<usize>) -> String {
    let mut text = String::from("PUBLISH");
    if publish.dup {
        text += " dup";
    }
    if publish.retain {
        text += " retain";
    }
    write!(text, " q{}", publish.qos as u8).unwrap();
    if let Some(number) = number {
        write!(text, " #{number}").unwrap();
    }
    write!(text, " {}=", publish.topic.as_str()).unwrap();
    if publish.payload.len() > 40 {
        write!(text, "<{} bytes>", publish.payload.len()).unwrap();
    } else {
        text += &String::from_utf8_lossy(publish.payload);
    }
    text
}

fn describe_ack(name: &str, ack: &Ack<'_>) -> String {
    with_code(format!("{name} {}", ack.packet_identifier.get()), ack.code)
}

fn with_code(mut text: String, code: ReasonCode) -> String {
    if code != ReasonCode::SUCCESS {
        write!(text, " {:#04x}", code.value()).unwrap();
    }
    text
}
