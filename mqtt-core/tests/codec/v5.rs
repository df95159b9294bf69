//! What MQTT 5 adds to the codec.

use core::num::{NonZeroU16, NonZeroU32};

use mqtt_core::codec::{
    Ack, Auth, ConnAck, Connect, DecodeError, Disconnect, EncodeError, FixedHeader, Packet,
    PacketIdentifier, PacketType, Properties, Property, Publish, QoS, ReasonCode, SubAck,
    Subscribe, Subscription, TopicFilter, TopicName, UnsubAck, Unsubscribe, Version, Will,
};

const V3_1_1: Version = Version::V3_1_1;
const V5: Version = Version::V5;

/// MQTT 5 [MQTT-3.3.2-18] [MQTT-3.3.4-4]
#[test]
fn getters_find_properties_from_a_list_and_from_the_wire() {
    let list = [
        Property::UserProperty("k", "1"),
        Property::SubscriptionIdentifier(NonZeroU32::MIN),
        Property::TopicAlias(NonZeroU16::new(9).unwrap()),
        Property::ResponseTopic(topic("r/t")),
        Property::CorrelationData(b"\x00\xff"),
        Property::MessageExpiryInterval(60),
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text/plain"),
        Property::SubscriptionIdentifier(NonZeroU32::new(268_435_455).unwrap()),
        Property::UserProperty("k", "2"),
    ];
    let publish = Publish {
        properties: Properties::from(&list),
        ..Publish::new(topic("a"), b"x")
    };
    let mut buffer = [0; 100];
    let len = publish.encode(V5, &mut buffer).unwrap();
    let header = FixedHeader::decode(&buffer, V5).unwrap().unwrap().0;
    let Ok(Packet::Publish(received)) = Packet::decode(header, &buffer[2..len], V5) else {
        panic!("not a PUBLISH");
    };
    for properties in [publish.properties, received.properties] {
        assert!(properties.iter().eq(list));
        assert_eq!(properties.topic_alias(), Some(9));
        assert_eq!(properties.response_topic(), Some(topic("r/t")));
        assert_eq!(properties.correlation_data(), Some(&b"\x00\xff"[..]));
        assert_eq!(properties.message_expiry_interval(), Some(60));
        assert_eq!(properties.payload_format_indicator(), Some(true));
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.reason_string(), None);
        assert!(properties.user_properties().eq([("k", "1"), ("k", "2")]));
        assert!(properties.subscription_identifiers().eq([1, 268_435_455]));
    }
    let bytes = [Property::PayloadFormatIndicator(false)];
    let bytes = Properties::from(&bytes);
    assert_eq!(bytes.payload_format_indicator(), Some(false));
    assert_eq!(Properties::NONE.payload_format_indicator(), None);
}

#[test]
fn getters_find_what_a_client_asks_for() {
    let no = [
        Property::RequestResponseInformation(false),
        Property::RequestProblemInformation(false),
    ];
    let yes = [
        Property::SessionExpiryInterval(u32::MAX),
        Property::ReceiveMaximum(NonZeroU16::new(20).unwrap()),
        Property::MaximumPacketSize(NonZeroU32::new(70_000).unwrap()),
        Property::TopicAliasMaximum(3),
        Property::RequestResponseInformation(true),
        Property::RequestProblemInformation(true),
    ];
    let delay = [Property::WillDelayInterval(9)];
    let mut connect = Connect::new("c");
    connect.will = Some(Will {
        properties: Properties::from(&delay),
        ..Will::new(topic("w"), b"")
    });
    connect.properties = Properties::from(&yes);
    let mut buffer = [0; 100];
    let Packet::Connect(received) = sent(&Packet::Connect(connect), &mut buffer) else {
        panic!("not a CONNECT");
    };
    for connect in [connect, received] {
        let properties = connect.properties;
        assert_eq!(properties.session_expiry_interval(), Some(u32::MAX));
        assert_eq!(properties.receive_maximum(), Some(20));
        assert_eq!(properties.maximum_packet_size(), Some(70_000));
        assert_eq!(properties.topic_alias_maximum(), Some(3));
        assert_eq!(properties.request_response_information(), Some(true));
        assert_eq!(properties.request_problem_information(), Some(true));
        assert_eq!(properties.will_delay_interval(), None);
        let will = connect.will.unwrap().properties;
        assert_eq!(will.will_delay_interval(), Some(9));
        assert_eq!(will.request_response_information(), None);
        assert_eq!(will.request_problem_information(), None);
    }
    connect.properties = Properties::from(&no);
    let mut buffer = [0; 100];
    let Packet::Connect(received) = sent(&Packet::Connect(connect), &mut buffer) else {
        panic!("not a CONNECT");
    };
    for properties in [connect.properties, received.properties] {
        assert_eq!(properties.request_response_information(), Some(false));
        assert_eq!(properties.request_problem_information(), Some(false));
    }
}

#[test]
fn getters_find_what_a_server_announces() {
    let limited = [
        Property::MaximumQoS(QoS::AtMostOnce),
        Property::RetainAvailable(false),
        Property::WildcardSubscriptionAvailable(false),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(false),
        Property::ServerKeepAlive(30),
        Property::AssignedClientIdentifier("assigned"),
        Property::ResponseInformation("answers/here"),
        Property::ServerReference("other.example"),
        Property::ReasonString("because"),
        Property::AuthenticationMethod("method"),
        Property::AuthenticationData(b"data"),
    ];
    let unlimited = [
        Property::MaximumQoS(QoS::AtLeastOnce),
        Property::RetainAvailable(true),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(true),
        Property::SharedSubscriptionAvailable(true),
    ];
    let connack = |list: &'static [Property<'static>]| ConnAck {
        session_present: false,
        code: ReasonCode::SUCCESS,
        properties: Properties::from(list),
    };
    for (list, qos, available) in [
        (&limited[..], QoS::AtMostOnce, false),
        (&unlimited[..], QoS::AtLeastOnce, true),
    ] {
        let connack = connack(list.to_vec().leak());
        let mut buffer = [0; 200];
        let Packet::ConnAck(received) = sent(&Packet::ConnAck(connack), &mut buffer) else {
            panic!("not a CONNACK");
        };
        for properties in [connack.properties, received.properties] {
            assert_eq!(properties.maximum_qos(), Some(qos));
            for flag in [
                properties.retain_available(),
                properties.wildcard_subscription_available(),
                properties.subscription_identifier_available(),
                properties.shared_subscription_available(),
            ] {
                assert_eq!(flag, Some(available));
            }
            let only = |limited| if available { None } else { Some(limited) };
            assert_eq!(properties.server_keep_alive().is_some(), !available);
            assert_eq!(properties.assigned_client_identifier(), only("assigned"));
            assert_eq!(properties.response_information(), only("answers/here"));
            assert_eq!(properties.server_reference(), only("other.example"));
            assert_eq!(properties.reason_string(), only("because"));
            assert_eq!(properties.authentication_method(), only("method"));
            let data = properties.authentication_data();
            assert_eq!(data, (!available).then_some(&b"data"[..]));
        }
    }
}

/// MQTT 5 §3.15.2.1: only an AUTH without a code may go without properties.
#[test]
fn an_auth_that_ends_behind_its_code_is_cut_off() {
    let header = FixedHeader::decode(&[0xf0, 1, 0x18], V5)
        .unwrap()
        .unwrap()
        .0;
    assert_eq!(
        Packet::decode(header, &[0x18], V5),
        Err(DecodeError::Truncated)
    );
}

#[test]
fn properties_are_equal_if_they_say_the_same_in_the_same_order() {
    let one = Property::UserProperty("k", "1");
    let two = Property::UserProperty("k", "2");
    let list = [one, two];
    let properties = Properties::from(&list);
    assert_eq!(properties, Properties::from(&[one, two]));
    for other in [&[two, one][..], &[one], &[one, one], &[]] {
        assert_ne!(properties, Properties::from(other));
    }
}

#[test]
fn printed_properties_can_be_read() {
    let list = [
        Property::UserProperty("name", "value"),
        Property::SubscriptionIdentifier(NonZeroU32::new(77).unwrap()),
    ];
    let properties = Properties::from(&list);
    assert_eq!(
        format!("{properties:?}"),
        "[UserProperty(\"name\", \"value\"), SubscriptionIdentifier(77)]"
    );
    let names = format!("{:?}", properties.user_properties());
    assert_eq!(names, "[(\"name\", \"value\")]");
    let identifiers = format!("{:?}", properties.subscription_identifiers());
    assert_eq!(identifiers, "[77]");
}

/// MQTT 5 [MQTT-1.5.4-2] [MQTT-3.3.2-19]
#[test]
fn encoders_refuse_properties_that_are_out_of_place() {
    let alias = Property::TopicAlias(NonZeroU16::MIN);
    let one = Property::SubscriptionIdentifier(NonZeroU32::MIN);
    let above = Property::SubscriptionIdentifier(NonZeroU32::new(268_435_456).unwrap());
    let publish = |list: &[Property<'_>]| {
        let publish = Publish {
            properties: Properties::from(list),
            ..Publish::new(topic("a"), b"")
        };
        publish.encode(V5, &mut [0; 100]).map(drop)
    };
    assert_eq!(publish(&[alias, one, one]), Ok(()));
    assert_eq!(publish(&[alias, alias]), Err(EncodeError::PropertyTwice));
    assert_eq!(
        publish(&[Property::ReasonString("no")]),
        Err(EncodeError::PropertyNotAllowed)
    );
    assert_eq!(
        publish(&[Property::ContentType("\0")]),
        Err(EncodeError::InvalidValue)
    );
    assert_eq!(publish(&[above]), Err(EncodeError::TooLong));
    let connack = ConnAck {
        session_present: false,
        code: ReasonCode::SUCCESS,
        properties: Properties::from(&[Property::MaximumQoS(QoS::ExactlyOnce)]),
    };
    assert_eq!(
        connack.encode(V5, &mut [0; 20]),
        Err(EncodeError::InvalidValue)
    );
    let connect = Connect {
        properties: Properties::from(&[Property::AuthenticationData(b"x")]),
        ..Connect::new("")
    };
    assert_eq!(
        connect.encode(V5, &mut [0; 40]),
        Err(EncodeError::InvalidValue)
    );
}

/// MQTT 5 [MQTT-3.4.2-1] [MQTT-3.7.2-1] [MQTT-3.14.2-1]
#[test]
fn encoders_refuse_codes_that_the_packet_cannot_have() {
    let ack = Ack {
        code: ReasonCode::PACKET_IDENTIFIER_NOT_FOUND,
        ..Ack::new(identifier(1))
    };
    let mut buffer = [0; 9];
    assert_eq!(ack.encode(PacketType::PubComp, V5, &mut buffer), Ok(5));
    assert_eq!(buffer[..5], [0x70, 3, 0, 1, 0x92]);
    let refused = ack.encode(PacketType::PubAck, V5, &mut buffer);
    assert_eq!(refused, Err(EncodeError::InvalidValue));
    let disconnect = Disconnect {
        code: ReasonCode::NOT_AUTHORIZED,
        properties: Properties::NONE,
    };
    assert_eq!(disconnect.encode(V5, &mut buffer), Ok(4));
    assert_eq!(disconnect.encode(V3_1_1, &mut buffer), Ok(2));
    let disconnect = Disconnect {
        code: ReasonCode::BANNED,
        ..disconnect
    };
    assert_eq!(
        disconnect.encode(V5, &mut buffer),
        Err(EncodeError::InvalidValue)
    );
    let auth = Auth {
        code: ReasonCode::CONTINUE_AUTHENTICATION,
        properties: Properties::NONE,
    };
    assert_eq!(auth.encode(V5, &mut buffer), Err(EncodeError::InvalidValue));
    assert_eq!(
        auth.encode(V3_1_1, &mut buffer),
        Err(EncodeError::PacketType)
    );
}

/// MQTT 5 [MQTT-3.8.3-4]
#[test]
fn no_local_is_refused_on_a_shared_subscription() {
    let filter = TopicFilter::new("$share/g/a").unwrap();
    let subscription = Subscription {
        no_local: true,
        ..Subscription::new(filter, QoS::AtMostOnce)
    };
    let subscriptions = [subscription];
    let subscribe = Subscribe::new(identifier(1), &subscriptions);
    assert_eq!(
        subscribe.encode(V5, &mut [0; 40]),
        Err(EncodeError::NoLocal)
    );
    // 3.1.1 has no such option, and writes none.
    assert!(subscribe.encode(V3_1_1, &mut [0; 40]).is_ok());
}

#[test]
fn a_received_subscribe_is_written_for_either_version() {
    let bytes = *b"\x82\x0b\0\x01\0\0\x01a\x1d\0\x01b\x02";
    let header = FixedHeader {
        packet_type_and_flags: 0x82,
        remaining_length: 11,
    };
    let subscribe = Packet::decode(header, &bytes[2..], V5).unwrap();
    let mut buffer = [0; 20];
    assert_eq!(subscribe.encode(V5, &mut buffer), Ok(13));
    assert_eq!(buffer[2..13], bytes[2..]);
    // 3.1.1 has neither properties nor options besides the QoS.
    assert_eq!(subscribe.encode(V3_1_1, &mut buffer), Ok(12));
    assert_eq!(buffer[..12], *b"\x82\x0a\0\x01\0\x01a\x01\0\x01b\x02");
}

/// MQTT 5 table 2-4: each property, and the places where it may stand.
const PLACES: [(Property<'_>, &str); 27] = [
    (Property::PayloadFormatIndicator(true), "PUBLISH WILL"),
    (Property::MessageExpiryInterval(1), "PUBLISH WILL"),
    (Property::ContentType("x"), "PUBLISH WILL"),
    (Property::ResponseTopic(TOPIC), "PUBLISH WILL"),
    (Property::CorrelationData(b"x"), "PUBLISH WILL"),
    (
        Property::SubscriptionIdentifier(NonZeroU32::MIN),
        "PUBLISH SUBSCRIBE",
    ),
    (
        Property::SessionExpiryInterval(1),
        "CONNECT CONNACK DISCONNECT",
    ),
    (Property::AssignedClientIdentifier("x"), "CONNACK"),
    (Property::ServerKeepAlive(1), "CONNACK"),
    (Property::AuthenticationMethod("x"), "CONNECT CONNACK AUTH"),
    (Property::AuthenticationData(b"x"), "CONNECT CONNACK AUTH"),
    (Property::RequestProblemInformation(true), "CONNECT"),
    (Property::WillDelayInterval(1), "WILL"),
    (Property::RequestResponseInformation(true), "CONNECT"),
    (Property::ResponseInformation("x"), "CONNACK"),
    (Property::ServerReference("x"), "CONNACK DISCONNECT"),
    (
        Property::ReasonString("x"),
        "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
    ),
    (Property::ReceiveMaximum(NonZeroU16::MIN), "CONNECT CONNACK"),
    (Property::TopicAliasMaximum(1), "CONNECT CONNACK"),
    (Property::TopicAlias(NonZeroU16::MIN), "PUBLISH"),
    (Property::MaximumQoS(QoS::AtLeastOnce), "CONNACK"),
    (Property::RetainAvailable(true), "CONNACK"),
    (
        Property::UserProperty("x", "y"),
        "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE \
         UNSUBACK DISCONNECT AUTH",
    ),
    (
        Property::MaximumPacketSize(NonZeroU32::MIN),
        "CONNECT CONNACK",
    ),
    (Property::WildcardSubscriptionAvailable(true), "CONNACK"),
    (Property::SubscriptionIdentifierAvailable(true), "CONNACK"),
    (Property::SharedSubscriptionAvailable(true), "CONNACK"),
];

const TOPIC: TopicName<'_> = match TopicName::new("t") {
    Ok(topic) => topic,
    Err(_) => panic!("a legal topic name"),
};

#[test]
fn each_property_is_allowed_where_the_standard_says() {
    for (property, places) in PLACES {
        let method = Property::AuthenticationMethod("x");
        let beside_method = [method, property];
        let list = match property {
            Property::AuthenticationData(_) => &beside_method[..],
            _ => &beside_method[1..],
        };
        // AUTH always needs a method.
        let steps = match property {
            Property::AuthenticationMethod(_) => &beside_method[1..],
            _ => &beside_method[..],
        };
        for (place, packet) in packets_with(Properties::from(list), Properties::from(steps)) {
            let mut buffer = [0; 100];
            let written = packet.encode(V5, &mut buffer);
            if places.split_whitespace().any(|allowed| allowed == place) {
                let len = written.unwrap();
                let header = FixedHeader::decode(&buffer, V5).unwrap().unwrap().0;
                assert_eq!(Packet::decode(header, &buffer[2..len], V5), Ok(packet));
            } else {
                let refused = Err(EncodeError::PropertyNotAllowed);
                assert_eq!(written, refused, "{property:?} in {place}");
            }
        }
    }
}

fn packets_with<'a>(
    properties: Properties<'a>,
    steps: Properties<'a>,
) -> [(&'static str, Packet<'a>); 14] {
    const FILTERS: &[TopicFilter<'_>] = &[match TopicFilter::new("t") {
        Ok(filter) => filter,
        Err(_) => panic!("a legal topic filter"),
    }];
    const SUBSCRIPTIONS: &[Subscription<'_>] = &[Subscription::new(FILTERS[0], QoS::AtMostOnce)];
    let connect = Connect::new("");
    let will = Will {
        properties,
        ..Will::new(TOPIC, b"")
    };
    let ack = Ack {
        properties,
        ..Ack::new(identifier(1))
    };
    let mut suback = SubAck::new(identifier(1), &[0]);
    suback.properties = properties;
    let mut unsuback = UnsubAck::new(identifier(1), &[0]);
    unsuback.properties = properties;
    let code = ReasonCode::SUCCESS;
    let session_present = false;
    [
        (
            "CONNECT",
            Packet::Connect(Connect {
                properties,
                ..connect
            }),
        ),
        (
            "WILL",
            Packet::Connect(Connect {
                will: Some(will),
                ..connect
            }),
        ),
        (
            "CONNACK",
            Packet::ConnAck(ConnAck {
                session_present,
                code,
                properties,
            }),
        ),
        (
            "PUBLISH",
            Packet::Publish(Publish {
                properties,
                ..Publish::new(TOPIC, b"")
            }),
        ),
        ("PUBACK", Packet::PubAck(ack)),
        ("PUBREC", Packet::PubRec(ack)),
        ("PUBREL", Packet::PubRel(ack)),
        ("PUBCOMP", Packet::PubComp(ack)),
        (
            "SUBSCRIBE",
            Packet::Subscribe(Subscribe {
                properties,
                ..Subscribe::new(identifier(1), SUBSCRIPTIONS)
            }),
        ),
        ("SUBACK", Packet::SubAck(suback)),
        (
            "UNSUBSCRIBE",
            Packet::Unsubscribe(Unsubscribe {
                properties,
                ..Unsubscribe::new(identifier(1), FILTERS)
            }),
        ),
        ("UNSUBACK", Packet::UnsubAck(unsuback)),
        (
            "DISCONNECT",
            Packet::Disconnect(Disconnect { code, properties }),
        ),
        (
            "AUTH",
            Packet::Auth(Auth {
                code,
                properties: steps,
            }),
        ),
    ]
}

#[test]
fn properties_are_left_out_of_3_1_1() {
    let publish = Publish {
        properties: Properties::from(&[Property::ContentType("x")]),
        ..Publish::new(topic("a"), b"x")
    };
    let mut buffer = [0; 20];
    assert_eq!(publish.encode(V3_1_1, &mut buffer), Ok(6));
    assert_eq!(publish.encode(V5, &mut buffer), Ok(11));
}

/// What the peer reads.
fn sent<'b>(packet: &Packet<'_>, buffer: &'b mut [u8]) -> Packet<'b> {
    let len = packet.encode(V5, buffer).unwrap();
    let (header, header_len) = FixedHeader::decode(buffer, V5).unwrap().unwrap();
    Packet::decode(header, &buffer[header_len..len], V5).unwrap()
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

fn identifier(value: u16) -> PacketIdentifier {
    PacketIdentifier::new(value).unwrap()
}
