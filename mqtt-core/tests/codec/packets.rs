//! The codec as it is with whatever features are on; the wire vectors are in the package `mqtt-tests`.

use mqtt_core::codec::{
    Ack, Connect, DecodeError, Disconnect, EncodeError, Fault, FixedHeader, Packet,
    PacketIdentifier, PacketType, Properties, Publish, PublishHead, QoS, Reader, ReasonCode,
    SubAck, Subscribe, Subscription, TopicError, TopicFilter, TopicName, UnsubAck, Unsubscribe,
    Version, Will, Writer, encode_ack, encode_ping_req,
};

const V3_1_1: Version = Version::V3_1_1;

/// MQTT 3.1.1 [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.1.2-9] [MQTT-3.1.3-1] [MQTT-3.1.3-3]
#[test]
fn a_connect_with_everything_is_written_as_the_standard_shows() {
    let mut connect = Connect::new("dev1");
    connect.clean_session = false;
    connect.keep_alive = 60;
    connect.user_name = Some("u");
    connect.password = Some(b"pw");
    connect.will = Some(Will {
        qos: QoS::ExactlyOnce,
        retain: true,
        ..Will::new(topic("w"), b"off")
    });
    let bytes = [
        0x10, 0x1f, // fixed header
        0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0xf4, 0x00, 0x3c, // variable header
        0x00, 0x04, b'd', b'e', b'v', b'1', // client identifier
        0x00, 0x01, b'w', 0x00, 0x03, b'o', b'f', b'f', // will
        0x00, 0x01, b'u', 0x00, 0x02, b'p', b'w',
    ];
    assert_eq!(encode(&Packet::Connect(connect)), Ok(bytes.to_vec()));
    assert_eq!(decode(&bytes), Ok(Packet::Connect(connect)));
    assert_eq!(connect.encoded_len(V3_1_1), bytes.len());
    assert_eq!(Connect::version(&bytes[2..]), Ok(V3_1_1));
}

/// MQTT 3.1.1 [MQTT-2.2.2-1] [MQTT-2.3.1-5] [MQTT-3.3.2-1] [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]
/// MQTT 3.1.1 [MQTT-3.10.3-1] [MQTT-3.14.1-1]
#[test]
fn every_other_packet_goes_both_ways() {
    let filter = TopicFilter::new("a/+").unwrap();
    let subscriptions = [Subscription::new(filter, QoS::AtLeastOnce)];
    let filters = [filter];
    let publish = Publish {
        dup: true,
        qos: QoS::AtLeastOnce,
        retain: true,
        packet_identifier: Some(identifier(10)),
        ..Publish::new(topic("a/b"), b"21.5")
    };
    let ack = Ack::new(identifier(0x0102));
    let cases: [(Packet<'_>, &[u8]); 13] = [
        (Packet::Publish(publish), b"\x3b\x0b\0\x03a/b\0\x0a21.5"),
        (Packet::PubAck(ack), b"\x40\x02\x01\x02"),
        (Packet::PubRec(ack), b"\x50\x02\x01\x02"),
        (Packet::PubRel(ack), b"\x62\x02\x01\x02"),
        (Packet::PubComp(ack), b"\x70\x02\x01\x02"),
        (
            Packet::Subscribe(Subscribe::new(identifier(1), &subscriptions)),
            b"\x82\x08\0\x01\0\x03a/+\x01",
        ),
        (
            Packet::SubAck(SubAck::new(identifier(1), &[0, 1, 2, 0x80])),
            b"\x90\x06\0\x01\0\x01\x02\x80",
        ),
        (
            Packet::Unsubscribe(Unsubscribe::new(identifier(1), &filters)),
            b"\xa2\x07\0\x01\0\x03a/+",
        ),
        (
            Packet::UnsubAck(UnsubAck::new(identifier(1), &[])),
            b"\xb0\x02\0\x01",
        ),
        (Packet::PingReq, b"\xc0\0"),
        (Packet::PingResp, b"\xd0\0"),
        (Packet::Disconnect(Disconnect::new()), b"\xe0\0"),
        (
            Packet::Publish(Publish::new(topic("t"), b"")),
            b"\x30\x03\0\x01t",
        ),
    ];
    for (packet, bytes) in cases {
        assert_eq!(encode(&packet), Ok(bytes.to_vec()));
        assert_eq!(decode(bytes), Ok(packet));
    }
}

/// MQTT 5 [MQTT-1.5.5-1]
#[test]
fn remaining_lengths_have_their_shortest_form_at_every_edge() {
    let edges: [(u32, &[u8]); 8] = [
        (0, &[0]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (2_097_151, &[0xff, 0xff, 0x7f]),
        (2_097_152, &[0x80, 0x80, 0x80, 1]),
        (268_435_455, &[0xff, 0xff, 0xff, 0x7f]),
    ];
    for (remaining_length, expected) in edges {
        let header = FixedHeader {
            packet_type_and_flags: 0x30,
            remaining_length,
        };
        let mut buffer = [0; 5];
        let len = header.encode(&mut buffer).unwrap();
        assert_eq!(&buffer[1..len], expected);
        assert_eq!(FixedHeader::len_of(remaining_length as usize), len);
        assert_eq!(
            FixedHeader::decode(&buffer[..len], V3_1_1),
            Ok(Some((header, len)))
        );
        for cut in 0..len {
            assert_eq!(FixedHeader::decode(&buffer[..cut], V3_1_1), Ok(None));
        }
    }
    let above = FixedHeader {
        packet_type_and_flags: 0x30,
        remaining_length: 268_435_456,
    };
    assert_eq!(above.encode(&mut [0; 9]), Err(EncodeError::TooLong));
}

#[test]
fn a_bad_first_byte_is_refused_before_the_second_comes() {
    let refused = |byte| FixedHeader::decode(&[byte], V3_1_1).unwrap_err();
    assert_eq!(refused(0x00), DecodeError::PacketType);
    assert_eq!(refused(0xf0), DecodeError::PacketType);
    assert_eq!(refused(0x36), DecodeError::QoS);
    assert_eq!(refused(0x38), DecodeError::Dup);
    for byte in [0x21, 0x48, 0x60, 0x63, 0x80, 0xa0, 0xd1] {
        assert_eq!(refused(byte), DecodeError::ReservedBits, "{byte:02x}");
    }
}

#[test]
fn a_body_must_be_as_long_as_its_header_says() {
    let header = FixedHeader {
        packet_type_and_flags: 0x30,
        remaining_length: 4,
    };
    for decode in [Packet::decode, Packet::decode_from_server] {
        assert!(decode(header, b"\0\x01tx", V3_1_1).is_ok());
        let short = decode(header, b"\0\x01t", V3_1_1);
        assert_eq!(short, Err(DecodeError::Truncated));
        let long = decode(header, b"\0\x01txx", V3_1_1);
        assert_eq!(long, Err(DecodeError::TrailingBytes));
    }
}

#[test]
fn a_client_refuses_what_only_clients_send() {
    let connect: &[u8] = b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0";
    let subscribe: &[u8] = b"\x82\x06\0\x01\0\x01a\0";
    let unsubscribe: &[u8] = b"\xa2\x05\0\x01\0\x01a";
    for bytes in [connect, subscribe, unsubscribe, b"\xc0\0", b"\xe0\0"] {
        assert!(decode(bytes).is_ok());
        let header = FixedHeader {
            packet_type_and_flags: bytes[0],
            remaining_length: bytes[1].into(),
        };
        let taken = Packet::decode_from_server(header, &bytes[2..], V3_1_1);
        assert_eq!(taken, Err(DecodeError::WrongDirection));
    }
}

#[test]
fn a_server_refuses_a_connect_that_contradicts_itself() {
    let with_flags = |flags: u8, rest: &[u8]| {
        let mut body = b"\0\x04MQTT\x04\0\0\0\0\0".to_vec();
        body[7] = flags;
        body.extend(rest);
        let header = FixedHeader {
            packet_type_and_flags: 0x10,
            remaining_length: u32::try_from(body.len()).unwrap(),
        };
        Packet::decode(header, &body, V3_1_1).map(drop)
    };
    assert_eq!(with_flags(0x02, b""), Ok(()));
    assert_eq!(with_flags(0x03, b""), Err(DecodeError::ReservedBits));
    assert_eq!(with_flags(0x22, b""), Err(DecodeError::ReservedBits));
    assert_eq!(with_flags(0x0a, b""), Err(DecodeError::ReservedBits));
    assert_eq!(with_flags(0x1e, b"\0\x01w\0\0"), Err(DecodeError::QoS));
    assert_eq!(with_flags(0x06, b"\0\0\0\0"), Err(DecodeError::TopicEmpty));
    assert_eq!(
        with_flags(0x42, b"\0\0"),
        Err(DecodeError::PasswordWithoutUserName)
    );
    assert_eq!(with_flags(0x00, b""), Err(DecodeError::ClientIdentifier));
    assert_eq!(with_flags(0x02, b"x"), Err(DecodeError::TrailingBytes));
    assert_eq!(
        Connect::version(b"\0\x06MQIsdp\x03"),
        Err(DecodeError::ProtocolVersion)
    );
    assert_eq!(
        Connect::version(b"\0\x04MQTT\x03"),
        Err(DecodeError::ProtocolVersion)
    );
}

/// MQTT 3.1.1 [MQTT-3.8.3-4]
#[test]
fn a_server_refuses_bad_filters_and_options() {
    let subscribe = |filters: &[u8]| {
        let mut body = b"\0\x01".to_vec();
        body.extend(filters);
        let header = FixedHeader {
            packet_type_and_flags: 0x82,
            remaining_length: u32::try_from(body.len()).unwrap(),
        };
        Packet::decode(header, &body, V3_1_1).map(drop)
    };
    assert_eq!(subscribe(b"\0\x01a\x02"), Ok(()));
    assert_eq!(subscribe(b""), Err(DecodeError::EmptyList));
    assert_eq!(subscribe(b"\0\0\0"), Err(DecodeError::TopicFilter));
    assert_eq!(subscribe(b"\0\x02a#\0"), Err(DecodeError::TopicFilter));
    assert_eq!(subscribe(b"\0\x01\xff\0"), Err(DecodeError::String));
    assert_eq!(subscribe(b"\0\x01a\x03"), Err(DecodeError::QoS));
    assert_eq!(subscribe(b"\0\x01a\x04"), Err(DecodeError::ReservedBits));
    assert_eq!(subscribe(b"\0\x01a"), Err(DecodeError::Truncated));
}

/// MQTT 3.1.1 [MQTT-1.5.3-2] [MQTT-2.3.1-5] [MQTT-3.1.2-22] [MQTT-3.1.3-7] [MQTT-3.1.3-11] [MQTT-3.3.1-2]
/// MQTT 3.1.1 [MQTT-3.8.3-3] [MQTT-3.10.3-2]
#[test]
fn encoders_refuse_what_the_standard_forbids() {
    let connect = Connect::new("");
    let lasting = Connect {
        clean_session: false,
        ..connect
    };
    let password = Connect {
        password: Some(b"x"),
        ..connect
    };
    let nul = Connect {
        user_name: Some("a\0b"),
        ..connect
    };
    let long = "x".repeat(65_536);
    let too_long = Connect::new(&long);
    let message = Publish::new(topic("a"), b"");
    let with_identifier = Publish {
        packet_identifier: Some(identifier(1)),
        ..message
    };
    let without_identifier = Publish {
        qos: QoS::AtLeastOnce,
        ..message
    };
    let dup = Publish {
        dup: true,
        ..message
    };
    let no_topic = Publish::new(TopicName::EMPTY, b"");
    let cases = [
        (Packet::Connect(lasting), EncodeError::ClientIdentifier),
        (
            Packet::Connect(password),
            EncodeError::PasswordWithoutUserName,
        ),
        (Packet::Connect(nul), EncodeError::InvalidValue),
        (Packet::Connect(too_long), EncodeError::TooLong),
        (Packet::Publish(with_identifier), EncodeError::InvalidValue),
        (
            Packet::Publish(without_identifier),
            EncodeError::InvalidValue,
        ),
        (Packet::Publish(dup), EncodeError::InvalidValue),
        (Packet::Publish(no_topic), EncodeError::InvalidValue),
        (
            Packet::Subscribe(Subscribe::new(identifier(1), &[])),
            EncodeError::EmptyList,
        ),
        (
            Packet::Unsubscribe(Unsubscribe::new(identifier(1), &[])),
            EncodeError::EmptyList,
        ),
        (
            Packet::SubAck(SubAck::new(identifier(1), &[])),
            EncodeError::EmptyList,
        ),
        (
            Packet::SubAck(SubAck::new(identifier(1), &[3])),
            EncodeError::InvalidValue,
        ),
    ];
    for (packet, error) in cases {
        assert_eq!(
            packet.encode(V3_1_1, &mut vec![0; 70_000]),
            Err(error),
            "{packet:?}"
        );
    }
    let not_an_ack = Ack::new(identifier(1)).encode(PacketType::SubAck, V3_1_1, &mut [0; 9]);
    assert_eq!(not_an_ack, Err(EncodeError::PacketType));
}

#[test]
fn a_publish_above_the_largest_remaining_length_is_refused() {
    let head = PublishHead {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: topic("t"),
        packet_identifier: None,
        properties: Properties::NONE,
        payload_len: 268_435_455 - 3,
    };
    let mut buffer = [0; 16];
    assert_eq!(head.encode(V3_1_1, &mut buffer), Ok(8));
    assert_eq!(buffer[..8], *b"\x30\xff\xff\xff\x7f\0\x01t");
    let above = PublishHead {
        payload_len: head.payload_len + 1,
        ..head
    };
    assert_eq!(above.encode(V3_1_1, &mut buffer), Err(EncodeError::TooLong));
}

#[test]
fn a_payload_of_unknown_length_is_written_behind_its_head() {
    let head = PublishHead {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: topic("a/b"),
        packet_identifier: Some(identifier(7)),
        properties: Properties::NONE,
        payload_len: 0,
    };
    let mut buffer = [0; 32];
    let mut writer = Writer::new(&mut buffer);
    head.write_variable_header(V3_1_1, &mut writer).unwrap();
    assert_eq!(writer.len(), head.variable_header_len(V3_1_1));
    writer.spare()[..2].copy_from_slice(b"42");
    writer.advance(2).unwrap();
    assert_eq!(writer.len(), 9);
    assert_eq!(writer.advance(24), Err(EncodeError::NoRoom));
    assert_eq!(buffer[..9], *b"\0\x03a/b\0\x0742");
    assert_eq!(head.first_byte(), 0x32);
}

#[test]
fn a_write_that_does_not_fit_changes_nothing() {
    let mut buffer = [0; 3];
    let mut writer = Writer::new(&mut buffer);
    writer.u8(1).unwrap();
    assert_eq!(writer.bytes(b"abc"), Err(EncodeError::NoRoom));
    assert_eq!(writer.len(), 1);
    writer.u16(0x0203).unwrap();
    assert_eq!(buffer, [1, 2, 3]);
}

#[test]
fn short_answers_take_four_bytes() {
    let mut buffer = [0; 4];
    let code = ReasonCode::NOT_AUTHORIZED;
    let len = encode_ack(
        PacketType::PubRel,
        identifier(0xfffe),
        code,
        V3_1_1,
        &mut buffer,
    );
    assert_eq!((len, buffer), (Ok(4), [0x62, 2, 0xff, 0xfe]));
    let len = encode_ack(
        PacketType::PubAck,
        identifier(1),
        code,
        V3_1_1,
        &mut buffer[..3],
    );
    assert_eq!(len, Err(EncodeError::NoRoom));
    assert_eq!(encode_ping_req(&mut buffer), Ok(2));
    assert_eq!(buffer[..2], [0xc0, 0]);
}

/// MQTT 3.1.1 [MQTT-3.1.3-10] [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.1-3]
/// MQTT 3.1.1 [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3]
/// MQTT 5 [MQTT-3.1.3-11] [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT-4.7.0-1] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]
/// MQTT 5 [MQTT-4.7.3-2] [MQTT-4.7.3-3] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn topic_names_and_filters_are_checked_when_built() {
    assert_eq!(TopicName::new(""), Err(TopicError::Empty));
    assert_eq!(TopicName::new("a\0"), Err(TopicError::Nul));
    assert_eq!(TopicFilter::new(""), Err(TopicError::Empty));
    assert_eq!(TopicFilter::new("a/+/\0"), Err(TopicError::Nul));
    for name in ["#", "a/+", "a+b-and-more-than-eight", "eight-and-then-#"] {
        assert_eq!(TopicName::new(name), Err(TopicError::Wildcard), "{name}");
    }
    let long = "ä".repeat(32_768);
    assert_eq!(TopicName::new(&long), Err(TopicError::TooLong));
    assert_eq!(TopicFilter::new(&long), Err(TopicError::TooLong));
    let longest = TopicName::new(&long[..65_534]).unwrap();
    assert_eq!(longest.as_str(), &long[..65_534]);

    for filter in [
        "#",
        "+",
        "/",
        "a/#",
        "+/a/+",
        "/+",
        "$share/g/a/#",
        "$SYS/#",
        "$share",
    ] {
        assert!(TopicFilter::new(filter).is_ok(), "{filter}");
    }
    for filter in ["a#", "#/a", "a+", "+a/b", "a/b+", "$share/g/a#"] {
        assert_eq!(
            TopicFilter::new(filter),
            Err(TopicError::Wildcard),
            "{filter}"
        );
    }
    for filter in [
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
    ] {
        let refused = TopicFilter::new(filter);
        assert_eq!(refused, Err(TopicError::SharedSubscription), "{filter}");
    }
    assert!(TopicFilter::new("$share/g/a").unwrap().is_shared());
    assert!(!TopicFilter::new("$shared/g/a").unwrap().is_shared());
}

/// MQTT 3.1.1 [MQTT-4.7.2-1] [MQTT-4.7.3-4]
/// MQTT 5 [MQTT-4.7.2-1] [MQTT-4.7.3-4]
#[test]
fn filters_match_as_the_standard_says() {
    let matching = [
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        (
            "sport/tennis/player1/#",
            "sport/tennis/player1/score/wimbledon",
        ),
        ("sport/#", "sport"),
        ("#", "a/b"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/+", "sport/"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("$SYS/#", "$SYS/x"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ("$share/group/a/+", "a/b"),
    ];
    for (filter, topic) in matching {
        let filter = TopicFilter::new(filter).unwrap();
        assert!(filter.matches(topic), "{filter} {topic}");
        assert!(filter.matches_name(TopicName::new(topic).unwrap()));
    }
    let others = [
        ("sport/tennis/+", "sport/tennis/player1/ranking"),
        ("sport/+", "sport"),
        ("+", "/finance"),
        ("#", "$SYS/x"),
        ("+/monitor/Clients", "$SYS/monitor/Clients"),
        ("$share/group/#", "$SYS/x"),
        ("a/b", "a/B"),
        ("a/b", "a"),
        ("a", "a/b"),
    ];
    for (filter, topic) in others {
        let filter = TopicFilter::new(filter).unwrap();
        assert!(!filter.matches(topic), "{filter} {topic}");
        assert!(!filter.matches_name(TopicName::new(topic).unwrap()));
    }
}

/// More bytes would not help: nobody is to wait for them.
#[test]
fn a_topic_longer_than_its_packet_is_refused_at_once() {
    let packet = [0x30, 3, 0, 2, b'a', 0x30, 3];
    let (header, len) = FixedHeader::decode(&packet, V3_1_1).unwrap().unwrap();
    let head = |end| PublishHead::decode(header, &packet[len..end], V3_1_1);
    assert_eq!(head(4), Ok(None));
    assert_eq!(head(5), Err(DecodeError::Truncated));
    assert_eq!(head(7), Err(DecodeError::Truncated));
}

#[test]
fn errors_know_who_broke_which_rule() {
    assert_eq!(DecodeError::Truncated.kind(), Fault::Malformed);
    assert_eq!(
        DecodeError::PasswordWithoutUserName.kind(),
        Fault::Malformed
    );
    assert_eq!(
        DecodeError::PacketIdentifierZero.kind(),
        Fault::ProtocolError
    );
    assert_eq!(DecodeError::WrongDirection.kind(), Fault::ProtocolError);
    let codes = [
        (DecodeError::String, ReasonCode::MALFORMED_PACKET),
        (DecodeError::EmptyList, ReasonCode::PROTOCOL_ERROR),
        (DecodeError::TopicAlias, ReasonCode::TOPIC_ALIAS_INVALID),
        (DecodeError::TopicWildcard, ReasonCode::TOPIC_NAME_INVALID),
        (
            DecodeError::ProtocolVersion,
            ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        ),
        (
            DecodeError::ClientIdentifier,
            ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        ),
    ];
    for (error, code) in codes {
        assert_eq!(error.reason_code(), code, "{error}");
    }
    assert_eq!(ReasonCode::NOT_AUTHORIZED.to_string(), "not authorized");
    assert!(ReasonCode::UNSPECIFIED_ERROR.is_error());
    assert!(!ReasonCode::RE_AUTHENTICATE.is_error());
}

#[test]
fn names_and_filters_have_up_to_65_535_bytes() {
    let longest = "t".repeat(65_535);
    assert!(TopicName::new(&longest).is_ok());
    assert!(TopicFilter::new(&longest).is_ok());
    for len in [65_536, 70_000] {
        let longer = "t".repeat(len);
        assert_eq!(TopicName::new(&longer), Err(TopicError::TooLong));
        assert_eq!(TopicFilter::new(&longer), Err(TopicError::TooLong));
    }
}

#[test]
fn packets_with_other_filters_are_not_equal() {
    let [a, b] = ["a", "b"].map(|filter| TopicFilter::new(filter).unwrap());
    let filters = [a, b];
    let unsubscribe = Unsubscribe::new(identifier(1), &filters);
    let subscriptions = filters.map(|filter| Subscription::new(filter, QoS::AtMostOnce));
    let subscribe = Subscribe::new(identifier(1), &subscriptions);
    assert_eq!(unsubscribe, Unsubscribe::new(identifier(1), &[a, b]));
    for other in [&[b, a][..], &[a]] {
        assert_ne!(unsubscribe, Unsubscribe::new(identifier(1), other));
        let other: Vec<_> = other
            .iter()
            .map(|filter| Subscription::new(*filter, QoS::AtMostOnce))
            .collect();
        assert_ne!(subscribe, Subscribe::new(identifier(1), &other));
    }
}

#[test]
fn what_is_printed_says_what_it_is() {
    assert_eq!(
        format!("{:?}", ReasonCode::NOT_AUTHORIZED),
        "ReasonCode(0x87 not authorized)"
    );
    assert_eq!(
        format!("{:?}", Reader::new(b"abc")),
        "Reader { rest_len: 3 }"
    );
    let mut room = [0; 9];
    assert!(format!("{:?}", Writer::new(&mut room)).contains("spare_len: 9"));
    let filters = [TopicFilter::new("a/#").unwrap()];
    let unsubscribe = Unsubscribe::new(identifier(1), &filters);
    assert!(format!("{unsubscribe:?}").contains("a/#"));
    let subscriptions = [Subscription::new(filters[0], QoS::AtLeastOnce)];
    let subscribe = Subscribe::new(identifier(1), &subscriptions);
    assert!(format!("{subscribe:?}").contains("a/#"));
    let mut connect = Connect::new("dev1");
    connect.will = Some(Will::new(topic("last/words"), b"off"));
    for part in ["dev1", "last/words"] {
        assert!(format!("{connect:?}").contains(part));
    }
    assert!(format!("{:?}", connect.will).contains("payload_len: 3"));
}

#[test]
fn return_codes_of_3_1_1_read_as_reason_codes() {
    let reasons = [
        ReasonCode::SUCCESS,
        ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
        ReasonCode::SERVER_UNAVAILABLE,
        ReasonCode::BAD_USER_NAME_OR_PASSWORD,
        ReasonCode::NOT_AUTHORIZED,
    ];
    for (code, reason) in (0..).zip(reasons) {
        let bytes = [0x20, 2, 0, code];
        let Ok(Packet::ConnAck(connack)) = decode(&bytes) else {
            panic!("code {code}");
        };
        assert_eq!(connack.code.value(), code);
        assert_eq!(connack.reason(V3_1_1), reason);
    }
}

#[test]
#[cfg(not(feature = "v5"))]
fn without_mqtt_5_properties_take_no_room_and_are_never_there() {
    assert_eq!(size_of::<Properties<'_>>(), 0);
    let properties = Properties::default();
    assert!(properties.is_empty());
    assert_eq!(format!("{properties:?}"), "[]");
    assert_eq!(properties.topic_alias(), None);
    assert_eq!(properties.response_topic(), None);
    assert_eq!(properties.reason_string(), None);
    assert_eq!(properties.user_properties().next(), None);
    assert_eq!(properties.subscription_identifiers().next(), None);
    assert_eq!(
        Connect::version(b"\0\x04MQTT\x05"),
        Err(DecodeError::ProtocolVersion)
    );
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

fn identifier(value: u16) -> PacketIdentifier {
    PacketIdentifier::new(value).unwrap()
}

fn encode(packet: &Packet<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0; 100];
    let len = packet.encode(V3_1_1, &mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn decode(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let (header, len) = FixedHeader::decode(bytes, V3_1_1)?.ok_or(DecodeError::Truncated)?;
    Packet::decode(header, &bytes[len..], V3_1_1)
}
