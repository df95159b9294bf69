//! Every valid packet of `vectors/good-packets.json`: decoded, written again, cut off.

use crate::support;
use mqtt_core::codec::{
    DecodeError, FixedHeader, Packet, Properties, Property, PublishHead, Version, Will,
};
use serde_json::Value;

#[test]
fn every_good_packet_decodes_to_its_description() {
    for_each_packet(|entry, bytes, version| {
        let packet = decode(bytes, version);
        assert_eq!(support::describe(&packet, version), expected(entry));
    });
}

#[test]
fn a_client_takes_exactly_what_servers_send() {
    for_each_packet(|entry, bytes, version| {
        let (header, body) = split(bytes, version);
        let taken = Packet::decode_from_server(header, body, version);
        let is_for_clients = match entry["direction"].as_str().unwrap() {
            "server->client" | "both" => true,
            "client->server" => entry["packet"]["type"] == "PUBLISH",
            other => panic!("direction {other}"),
        };
        if is_for_clients {
            assert_eq!(taken, Ok(decode(bytes, version)));
        } else {
            assert_eq!(taken, Err(DecodeError::WrongDirection));
        }
    });
}

/// MQTT 3.1.1 [MQTT-2.2.2-1] [MQTT-3.3.2-1]
/// MQTT 5 [MQTT-2.2.2-1] [MQTT-3.3.2-1]
#[test]
fn every_good_packet_is_written_again() {
    for_each_packet(|entry, bytes, version| {
        let packet = decode(bytes, version);
        let written = encode(&packet, version);
        assert_eq!(decode(&written, version), packet);
        if entry["reencode_identical"] == true {
            assert_eq!(support::hex(&written), support::hex(bytes));
        }
    });
}

#[test]
fn properties_from_a_list_are_written_like_received_ones() {
    for_each_packet(|_, bytes, version| {
        let packet = decode(bytes, version);
        let properties = support::properties_of(&packet)
            .map(list)
            .unwrap_or_default();
        let mut listed = support::with_properties(&packet, Properties::from(&properties));
        let will_properties;
        if let Packet::Connect(connect) = &mut listed
            && let Some(will) = connect.will
        {
            will_properties = list(&will.properties);
            let properties = Properties::from(&will_properties);
            connect.will = Some(Will { properties, ..will });
        }
        assert_eq!(listed, packet);
        assert_eq!(encode(&listed, version), encode(&packet, version));
    });
}

#[test]
fn a_buffer_of_the_right_size_is_enough_and_no_smaller_one_is() {
    for_each_packet(|_, bytes, version| {
        let packet = decode(bytes, version);
        let len = encode(&packet, version).len();
        let mut buffer = vec![0; len];
        assert_eq!(packet.encode(version, &mut buffer), Ok(len));
        // Large packets differ from small ones in the first bytes only.
        for room in (0..len.min(200)).chain(len.checked_sub(1)) {
            let result = packet.encode(version, &mut vec![0; room]);
            assert_eq!(result, Err(mqtt_core::codec::EncodeError::NoRoom), "{room}");
        }
    });
}

#[test]
fn the_start_of_a_packet_asks_for_more() {
    for_each_packet(|_, bytes, version| {
        let (header, body) = split(bytes, version);
        let header_len = bytes.len() - body.len();
        for len in 0..header_len {
            assert_eq!(FixedHeader::decode(&bytes[..len], version), Ok(None));
        }
        for len in (0..body.len()).take(1000) {
            let refused = Packet::decode(header, &body[..len], version);
            assert_eq!(refused, Err(DecodeError::Truncated), "body of {len}");
            let refused = Packet::decode_from_server(header, &body[..len], version);
            assert!(refused.is_err(), "body of {len}");
        }
    });
}

#[test]
fn a_shortened_packet_is_refused_or_holds_together() {
    for_each_packet(|_, bytes, version| {
        let (header, body) = split(bytes, version);
        for len in (0..body.len()).take(1000) {
            let header = FixedHeader {
                remaining_length: u32::try_from(len).unwrap(),
                ..header
            };
            // A shorter payload or list is a packet too; then it must survive a round trip.
            if let Ok(packet) = Packet::decode(header, &body[..len], version) {
                let written = encode(&packet, version);
                assert_eq!(decode(&written, version), packet);
                assert_eq!(packet.packet_type(), header.packet_type());
            }
        }
    });
}

#[test]
fn the_head_of_a_publish_is_known_as_soon_as_it_is_there() {
    let mut seen = 0;
    for_each_packet(|_, bytes, version| {
        let Packet::Publish(publish) = decode(bytes, version) else {
            return;
        };
        seen += 1;
        let (header, body) = split(bytes, version);
        let head_len = body.len() - publish.payload.len();
        for len in 0..head_len {
            let head = PublishHead::decode(header, &body[..len], version);
            assert_eq!(head, Ok(None), "{len} of {head_len}");
        }
        for len in [head_len, body.len()] {
            let head = PublishHead::decode(header, &body[..len], version);
            let (head, measured) = head.unwrap().unwrap();
            assert_eq!(measured, head_len);
            assert_eq!(head.topic, publish.topic);
            assert_eq!(head.packet_identifier, publish.packet_identifier);
            assert_eq!(head.properties, publish.properties);
            assert_eq!(head.payload_len as usize, publish.payload.len());
            assert_eq!(
                (head.dup, head.qos, head.retain),
                (publish.dup, publish.qos, publish.retain)
            );
            let mut start = vec![0; bytes.len()];
            let start_len = head.encode(version, &mut start).unwrap();
            assert_eq!(
                start[..start_len],
                bytes[..bytes.len() - publish.payload.len()]
            );
        }
    });
    assert!(seen > 20, "{seen}");
}

fn for_each_packet(mut check: impl FnMut(&Value, &[u8], Version)) {
    let entries = support::good_packets();
    assert!(entries.len() >= 169, "{}", entries.len());
    for entry in &entries {
        // Shown when an assertion fails.
        println!("{}", support::name(entry));
        for version in support::versions(entry) {
            check(entry, &support::bytes(entry), *version);
        }
    }
}

/// The description with a repeated payload written out.
fn expected(entry: &Value) -> Value {
    let mut packet = entry["packet"].clone();
    let Some(object) = packet.as_object_mut() else {
        panic!("no description");
    };
    if let Some(byte) = object.remove("payload_repeat") {
        let count = object["payload_len"].as_u64().unwrap();
        let payload = byte.as_str().unwrap().repeat(count.try_into().unwrap());
        object.insert("payload_hex".to_owned(), payload.into());
    }
    packet
}

fn split(bytes: &[u8], version: Version) -> (FixedHeader, &[u8]) {
    let (header, len) = FixedHeader::decode(bytes, version).unwrap().unwrap();
    (header, &bytes[len..])
}

fn decode(bytes: &[u8], version: Version) -> Packet<'_> {
    let (header, body) = split(bytes, version);
    Packet::decode(header, body, version).unwrap()
}

fn encode(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut buffer = vec![0; 20_000];
    let len = packet.encode(version, &mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn list<'a>(properties: &Properties<'a>) -> Vec<Property<'a>> {
    properties.iter().collect()
}
