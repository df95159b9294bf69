//! Limits that one side announces to the other on MQTT 5, topic aliases, and messages that expire.

use std::num::{NonZeroU16, NonZeroU32};

use crate::common::{
    IN_ONE_PIECE, Setup, Trace, bytes_of, converse_in, puback, pubcomp, pubrec, pubrel, with_code,
};
use mqtt_core::{
    Message, QoS, Version,
    codec::{
        ConnAck, EncodeError, Packet, Properties, Property, Publish, ReasonCode, Subscription,
    },
    session::{DeliveryError, ProtocolError, PublishError},
};

const V5: Version = Version::V5;
const ZERO: Message<'static> = Message::new("a", b"0");
const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a", b"2").exactly_once();

fn accepted(properties: &[Property<'_>]) -> Vec<u8> {
    connack(false, properties)
}

fn connack(session_present: bool, properties: &[Property<'_>]) -> Vec<u8> {
    let connack = ConnAck {
        session_present,
        code: ReasonCode::SUCCESS,
        properties: Properties::from(properties),
    };
    bytes_of(&Packet::ConnAck(connack), V5)
}

fn receive_maximum(maximum: u16) -> Property<'static> {
    Property::ReceiveMaximum(NonZeroU16::new(maximum).unwrap())
}

fn maximum_packet_size(maximum: u32) -> Property<'static> {
    Property::MaximumPacketSize(NonZeroU32::new(maximum).unwrap())
}

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

/// MQTT 5 [MQTT-3.3.4-7] [MQTT-3.3.4-8] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]
#[test]
fn the_receive_maximum_of_the_server_is_the_window() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected_by(&accepted(&[receive_maximum(1)]));
            let (_, id) = trace.publishes_and_sends(&TWO);
            trace.publishes(&ONE);
            trace.publishes(&TWO);
            trace.is_silent();
            trace.publishes_and_sends(&ZERO);
            trace.subscribes(&[("s", QoS::AtMostOnce)]);
            trace.sends_subscribe(&[("s", QoS::AtMostOnce)]);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.is_silent();
            trace.peer_sends(&pubcomp(id));
            let id = trace.sends_message(&ONE);
            trace.is_silent();
            trace.peer_sends(&with_code(puback(id), 0x87));
            let id = trace.sends_message(&TWO);
            trace.publishes(&ONE);
            trace.is_silent();
            // A refusing PUBREC ends the exchange.
            trace.peer_sends(&with_code(pubrec(id), 0x87));
            trace.sends_message(&ONE);
        },
    );
}

/// MQTT 5 [MQTT-4.9.0-1] [MQTT-4.9.0-2]
#[test]
fn the_window_is_new_on_each_connection() {
    converse_in(V5, keep_session, |trace| {
        trace.is_connected_by(&accepted(&[receive_maximum(1)]));
        trace.publishes_and_sends(&ONE);
        trace.publishes(&TWO);
        trace.loses_link();
        trace.resumes();
        assert!(trace.sends_publish().dup);
        trace.sends_message(&TWO);
        trace.loses_link();
        trace.is_connected_by(&connack(true, &[receive_maximum(1)]));
        let id = trace.sends_publish().packet_identifier.unwrap().get();
        trace.is_silent();
        trace.peer_sends(&puback(id));
        assert!(trace.sends_publish().dup);
    });
}

/// MQTT 5 [MQTT-3.2.2-9] [MQTT-3.2.2-11]
#[test]
fn a_qos_above_the_maximum_is_refused() {
    for (maximum, refused, taken) in [
        (QoS::AtMostOnce, &[ONE, TWO][..], &[ZERO][..]),
        (QoS::AtLeastOnce, &[TWO], &[ZERO, ONE]),
    ] {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected_by(&accepted(&[Property::MaximumQoS(maximum)]));
                for message in refused {
                    assert_eq!(
                        trace.try_publish(message),
                        Err(PublishError::QoSNotSupported)
                    );
                    let stream = trace.begins_stream(message, 10);
                    assert_eq!(stream, Err(PublishError::QoSNotSupported));
                }
                for message in taken {
                    trace.publishes_and_sends(message);
                }
            },
        );
    }
}

/// MQTT 5 [MQTT-3.2.2-14]
#[test]
fn retained_messages_are_refused_where_none_are_kept() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected_by(&accepted(&[Property::RetainAvailable(false)]));
            let refused = Err(PublishError::RetainNotSupported);
            assert_eq!(trace.try_publish(&ZERO.retain()), refused);
            assert_eq!(trace.begins_stream(&ZERO.retain(), 1), refused);
            trace.publishes_and_sends(&ZERO);
        },
    );
}

/// MQTT 5 [MQTT-3.2.2-15]
#[test]
fn the_largest_packet_is_sent_and_a_larger_one_is_refused() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            // Header 2, topic 3, properties 1, payload 14.
            trace.is_connected_by(&accepted(&[maximum_packet_size(20)]));
            trace.publishes_and_sends(&Message::new("a", b"fourteen bytes"));
            let refused = Err(PublishError::PacketTooLarge);
            let larger = Message::new("a", b"fifteen bytes..");
            assert_eq!(trace.try_publish(&larger), refused);
            assert_eq!(trace.begins_stream(&ZERO, 15), refused);
            let stream = trace.begins_stream(&ZERO, 14).unwrap();
            trace.streams(stream, b"fourteen bytes");
            trace.sends_message(&Message::new("a", b"fourteen bytes"));
            // SUBSCRIBE: header 2, identifier 2, properties 1, filter 2 + 12, options 1.
            let filter = "twelve/bytes";
            trace.subscribes(&[(filter, QoS::AtMostOnce)]);
            trace.sends_subscribe(&[(filter, QoS::AtMostOnce)]);
            let filter = "thirteen/byte";
            assert_eq!(trace.try_subscribe(&[(filter, QoS::AtMostOnce)]), refused);
        },
    );
}

/// MQTT 5 [MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15]
#[test]
fn limits_hold_for_what_was_queued_before_they_were_known() {
    let limits = [
        maximum_packet_size(20),
        Property::MaximumQoS(QoS::AtLeastOnce),
        Property::RetainAvailable(false),
    ];
    let cases = [
        (
            Message::new("a", b"fifteen bytes.."),
            ReasonCode::PACKET_TOO_LARGE,
        ),
        (TWO, ReasonCode::QOS_NOT_SUPPORTED),
        (ONE.retain(), ReasonCode::RETAIN_NOT_SUPPORTED),
    ];
    for leaves in [false, true] {
        converse_in(
            V5,
            |_| {},
            |trace| {
                let tickets = cases.map(|(message, _)| trace.publishes(&message));
                let good = trace.publishes(&ZERO);
                trace.connects();
                trace.peer_sends(&accepted(&limits));
                trace.next_seen();
                if leaves {
                    trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
                }
                trace.sends_message(&ZERO);
                trace.succeeds(good);
                for (ticket, (_, code)) in tickets.into_iter().zip(cases) {
                    trace.ends_as(ticket, DeliveryError::Rejected(code));
                }
                if leaves {
                    trace.sends(crate::common::DISCONNECT);
                }
            },
        );
    }
}

#[test]
fn a_request_queued_before_the_limit_was_known_is_refused() {
    converse_in(
        V5,
        |setup| setup.options.subscriptions = crate::common::SUBSCRIPTIONS,
        |trace| {
            let subscribe =
                trace.subscribes(&[("a filter of 30 bytes, or there", QoS::AtMostOnce)]);
            let unsubscribe = trace.unsubscribes(&["a filter of 30 bytes, or there"]);
            let short = trace.subscribes(&[("a", QoS::AtMostOnce)]);
            trace.connects();
            // The SUBSCRIBE of the options has 17 bytes.
            trace.peer_sends(&accepted(&[maximum_packet_size(16)]));
            trace.next_seen();
            let id = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            trace.is_silent();
            let refused = DeliveryError::Rejected(ReasonCode::PACKET_TOO_LARGE);
            trace.ends_as(subscribe, refused);
            trace.ends_as(unsubscribe, refused);
            assert_eq!(trace.session.counters().subscriptions_refused, 2);
            let suback = crate::common::suback(V5, id, &[0]);
            trace.peer_sends(&suback);
            assert_eq!(trace.codes(short, 1), Some(vec![0]));
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 5 [MQTT-3.2.2-11] [MQTT-3.2.2-14]
#[test]
fn limits_hold_for_repetitions() {
    converse_in(V5, keep_session, |trace| {
        trace.is_connected();
        let (retained, _) = trace.publishes_and_sends(&ONE.retain());
        let (two, _) = trace.publishes_and_sends(&TWO);
        trace.loses_link();
        trace.is_connected_by(&connack(
            true,
            &[
                Property::RetainAvailable(false),
                Property::MaximumQoS(QoS::AtLeastOnce),
            ],
        ));
        trace.is_silent();
        trace.ends_as(
            retained,
            DeliveryError::Rejected(ReasonCode::RETAIN_NOT_SUPPORTED),
        );
        trace.ends_as(two, DeliveryError::Rejected(ReasonCode::QOS_NOT_SUPPORTED));
    });
}

#[test]
fn limits_end_with_the_connection() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            let none = [Property::RetainAvailable(false), maximum_packet_size(20)];
            trace.is_connected_by(&accepted(&none));
            trace.loses_link();
            let large = Message::new("a", b"a message of more than twenty bytes").retain();
            trace.publishes(&large);
            trace.is_connected();
            trace.sends_message(&large);
            trace.publishes_and_sends(&large);
        },
    );
}

#[test]
fn filters_that_the_server_does_not_have_are_refused() {
    use Property::{
        SharedSubscriptionAvailable, SubscriptionIdentifierAvailable, WildcardSubscriptionAvailable,
    };
    let cases = [
        (
            WildcardSubscriptionAvailable(false),
            "a/+",
            PublishError::WildcardsNotSupported,
        ),
        (
            WildcardSubscriptionAvailable(false),
            "#",
            PublishError::WildcardsNotSupported,
        ),
        (
            SharedSubscriptionAvailable(false),
            "$share/g/a",
            PublishError::SharedSubscriptionsNotSupported,
        ),
    ];
    for (limit, filter, error) in cases {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected_by(&accepted(&[limit]));
                let filters = [("a", QoS::AtMostOnce), (filter, QoS::AtMostOnce)];
                assert_eq!(trace.try_subscribe(&filters), Err(error));
                trace.subscribes(&filters[..1]);
                trace.sends_subscribe(&filters[..1]);
            },
        );
    }
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected_by(&accepted(&[SubscriptionIdentifierAvailable(false)]));
            let filters = [Subscription::new(
                crate::common::filter("a"),
                QoS::AtMostOnce,
            )];
            let identifier = [Property::SubscriptionIdentifier(
                NonZeroU32::new(1).unwrap(),
            )];
            let properties = Properties::from(&identifier);
            let refused = trace.session.subscribe(&filters, properties, true);
            assert_eq!(
                refused,
                Err(PublishError::SubscriptionIdentifiersNotSupported)
            );
            let without = trace.session.subscribe(&filters, Properties::NONE, true);
            assert!(without.is_ok());
            trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            // Another link, to a server that has them.
            trace.loses_link();
            trace.is_connected();
            trace.looks_away();
            let accepted = trace.session.subscribe(&filters, properties, true);
            assert!(accepted.is_ok());
            trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
        },
    );
}

/// MQTT 5 [MQTT-3.3.4-6]
#[test]
fn properties_that_are_not_the_applications_business_are_refused() {
    let alias = [Property::TopicAlias(NonZeroU16::new(1).unwrap())];
    let identifier = [Property::SubscriptionIdentifier(
        NonZeroU32::new(1).unwrap(),
    )];
    converse_in(
        V5,
        |_| {},
        |trace| {
            for properties in [&alias, &identifier] {
                let message = ZERO.properties(Properties::from(properties));
                let refused = Err(PublishError::Encode(EncodeError::PropertyNotAllowed));
                assert_eq!(trace.try_publish(&message), refused);
            }
        },
    );
}

#[test]
fn properties_arrive_as_they_were_given() {
    const PROPERTIES: &[Property<'static>] = &[
        Property::ContentType("text/plain"),
        Property::CorrelationData(b"\0\xff"),
        Property::UserProperty("b", "1"),
        Property::UserProperty("a", "2"),
    ];
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            let message = ONE.properties(Properties::from(PROPERTIES));
            trace.publishes(&message);
            let sent: Vec<_> = trace.sends_publish().properties.iter().collect();
            assert_eq!(sent, PROPERTIES);
        },
    );
}

fn aliases(memory: u16) -> impl Fn(&mut Setup) {
    move |setup| {
        setup.options.clean_session = false;
        setup.options.v5.topic_alias_memory = memory;
    }
}

/// Topic and alias of the PUBLISH that is sent next.
fn sends_alias(trace: &mut Trace) -> (&'static str, Option<u16>) {
    let publish: Publish<'static> = trace.sends_publish();
    (publish.topic.as_str(), publish.properties.topic_alias())
}

fn with_aliases(set: impl Fn(&mut Setup), script: impl Fn(&mut Trace)) {
    for receive in [1, usize::MAX] {
        let mut setup = Setup::new(V5);
        set(&mut setup);
        // An alias is used where the packet fits into the output as a whole.
        script(&mut Trace::new(
            &setup,
            crate::common::Way {
                receive,
                ..IN_ONE_PIECE
            },
        ));
    }
}

/// MQTT 5 [MQTT-3.2.2-17] [MQTT-3.3.2-9]
#[test]
fn topics_that_come_again_are_sent_as_aliases() {
    with_aliases(aliases(64), |trace| {
        trace.is_connected_by(&accepted(&[Property::TopicAliasMaximum(2)]));
        let topics = ["t/one", "t/two", "t/three", "t/one", "t/two", "t/three"];
        for topic in topics {
            trace.publishes(&Message::new(topic, b"payload").at_least_once());
        }
        assert_eq!(sends_alias(trace), ("t/one", Some(1)));
        assert_eq!(sends_alias(trace), ("t/two", Some(2)));
        // No more than the server accepts [MQTT-3.2.2-17].
        assert_eq!(sends_alias(trace), ("t/three", None));
        assert_eq!(sends_alias(trace), ("", Some(1)));
        assert_eq!(sends_alias(trace), ("", Some(2)));
        assert_eq!(sends_alias(trace), ("t/three", None));
    });
}

#[test]
fn an_alias_leaves_the_rest_of_the_message_alone() {
    with_aliases(aliases(64), |trace| {
        trace.is_connected_by(&accepted(&[Property::TopicAliasMaximum(2)]));
        let properties = [Property::ContentType("x"), Property::UserProperty("k", "v")];
        let payload = [0x55; 120];
        for length in [0, 1, 100, 110, 115, 118, 119, 120] {
            let message = Message::new("t", &payload[..length])
                .exactly_once()
                .retain();
            trace.publishes(&message.properties(Properties::from(&properties)));
            let publish = trace.sends_publish();
            let sent: Vec<_> = publish.properties.iter().skip(1).collect();
            assert_eq!(sent, properties);
            assert_eq!(publish.payload, &payload[..length]);
            assert_eq!((publish.qos, publish.retain), (QoS::ExactlyOnce, true));
            assert_eq!(publish.properties.topic_alias(), Some(1));
        }
    });
}

/// MQTT 5 [MQTT-3.3.2-7]
#[test]
fn aliases_end_with_the_connection() {
    with_aliases(aliases(64), |trace| {
        let limit = [Property::TopicAliasMaximum(5)];
        trace.is_connected_by(&accepted(&limit));
        let message = Message::new("t/one", b"1").at_least_once();
        trace.publishes(&message);
        trace.publishes(&message);
        assert_eq!(sends_alias(trace), ("t/one", Some(1)));
        assert_eq!(sends_alias(trace), ("", Some(1)));
        trace.loses_link();
        // The repetitions carry the topic again [MQTT-3.3.2-7].
        trace.is_connected_by(&connack(true, &limit));
        assert_eq!(sends_alias(trace), ("t/one", Some(1)));
        assert_eq!(sends_alias(trace), ("", Some(1)));
        trace.loses_link();
        trace.resumes();
        assert_eq!(sends_alias(trace), ("t/one", None));
        assert_eq!(sends_alias(trace), ("t/one", None));
    });
}

#[test]
fn memory_bounds_the_aliases() {
    // "t/1" takes five bytes.
    with_aliases(aliases(14), |trace| {
        trace.is_connected_by(&accepted(&[Property::TopicAliasMaximum(9)]));
        for topic in ["t/1", "t/2", "t/3", "t/3", "t/2", "t", "t"] {
            trace.publishes(&Message::new(topic, b""));
        }
        let sent = [(); 7].map(|()| sends_alias(trace));
        let expected = [
            ("t/1", Some(1)),
            ("t/2", Some(2)),
            ("t/3", None),
            ("t/3", None),
            ("", Some(2)),
            ("t", Some(3)),
            ("", Some(3)),
        ];
        assert_eq!(sent, expected);
    });
}

#[test]
fn the_memory_of_aliases_lies_in_the_transmit_buffer() {
    let least = |memory| {
        let fits = |tx: &usize| {
            let mut setup = Setup::new(V5);
            aliases(memory)(&mut setup);
            setup.tx = *tx;
            crate::common::new_session(&setup).is_ok()
        };
        (0..400).find(fits).unwrap()
    };
    assert_eq!(least(64), least(0) + 64);
}

/// MQTT 5 [MQTT-3.2.2-18]
#[test]
fn without_leave_or_memory_no_alias_is_sent() {
    for (memory, limit) in [
        (64, &[][..]),
        (64, &[Property::TopicAliasMaximum(0)]),
        (0, &[Property::TopicAliasMaximum(9)]),
    ] {
        with_aliases(aliases(memory), |trace| {
            trace.is_connected_by(&accepted(limit));
            for _ in 0..2 {
                trace.publishes(&ONE);
                assert_eq!(sends_alias(trace), ("a", None));
            }
        });
    }
}

/// MQTT 5 [MQTT-3.2.2-15]
#[test]
fn an_alias_makes_no_packet_larger_than_the_server_accepts() {
    with_aliases(aliases(64), |trace| {
        let limits = [Property::TopicAliasMaximum(9), maximum_packet_size(20)];
        trace.is_connected_by(&accepted(&limits));
        for payload in [&b"fourteen bytes"[..], b"twelve bytes", b"9 bytes.."] {
            trace.publishes(&Message::new("a", payload));
        }
        assert_eq!(sends_alias(trace), ("a", None));
        assert_eq!(sends_alias(trace), ("a", None));
        assert_eq!(sends_alias(trace), ("a", Some(1)));
    });
}

/// With the alias, one length field or both have a byte more.
#[test]
fn an_alias_that_lengthens_the_length_fields_is_not_sent_above_the_limit() {
    let text = "x".repeat(120);
    let long = [Property::UserProperty("k", &text)];
    let cases = [(&[][..], 123, 129, 4), (&long, 16_253, 16_386, 5)];
    for (properties, payload, len, growth) in cases {
        for (spare, alias) in [(growth - 1, None), (growth + 1, Some(1))] {
            let mut setup = Setup::new(V5);
            aliases(64)(&mut setup);
            setup.tx = 40_000;
            let transmit = 20_000;
            let mut trace = Trace::new(
                &setup,
                crate::common::Way {
                    transmit,
                    ..IN_ONE_PIECE
                },
            );
            let maximum = maximum_packet_size(len + spare);
            trace.is_connected_by(&accepted(&[Property::TopicAliasMaximum(9), maximum]));
            let payload = vec![b'p'; payload];
            trace.publishes(&Message::new("a", &payload).properties(Properties::from(properties)));
            assert_eq!(sends_alias(&mut trace), ("a", alias), "{len} {spare}");
        }
    }
}

#[test]
fn an_alias_is_dropped_where_the_output_is_short() {
    for transmit in 16..80 {
        let mut setup = Setup::new(V5);
        aliases(64)(&mut setup);
        let mut trace = Trace::new(
            &setup,
            crate::common::Way {
                transmit,
                ..IN_ONE_PIECE
            },
        );
        trace.is_connected_by(&accepted(&[Property::TopicAliasMaximum(9)]));
        let payloads = [&b"ten bytes."[..], b"1", b"twenty bytes, really", b""];
        for payload in payloads {
            trace.publishes(&Message::new("topic", payload));
        }
        // However the server is told the topic, it can always tell it.
        let mut known = None;
        for payload in payloads {
            let publish = trace.sends_publish();
            assert_eq!(publish.payload, payload);
            match publish.properties.topic_alias() {
                Some(alias) if publish.topic.is_empty() => assert_eq!(known, Some(alias)),
                alias => {
                    assert_eq!(publish.topic.as_str(), "topic");
                    known = known.or(alias);
                }
            }
        }
    }
}

fn alias(number: u16) -> [Property<'static>; 1] {
    [Property::TopicAlias(NonZeroU16::new(number).unwrap())]
}

fn inbound_aliases(setup: &mut Setup) {
    setup.options.clean_session = false;
    setup.options.v5.topic_alias_maximum = 3;
    setup.options.oversize = mqtt_core::session::Oversize::Stream;
    setup.rx = 128;
}

fn peer_uses_alias(trace: &mut Trace, topic: &str, number: u16) {
    let properties = alias(number);
    trace.peer_publishes(
        &Message::new(topic, b"x").properties(Properties::from(&properties)),
        0,
    );
}

/// MQTT 5 [MQTT-3.3.2-10]
#[test]
fn all_announced_aliases_can_be_set_used_and_moved() {
    converse_in(V5, inbound_aliases, |trace| {
        trace.is_connected();
        for (number, topic) in [
            (3, "t/three"),
            (1, "t/one"),
            (2, "t/two"),
            (3, "t/3"),
            (1, "t/1"),
        ] {
            peer_uses_alias(trace, topic, number);
            trace.delivers(&Message::new(topic, b"x"));
            peer_uses_alias(trace, "", number);
            trace.delivers(&Message::new(topic, b"x"));
        }
        for (number, topic) in [(1, "t/1"), (2, "t/two"), (3, "t/3")] {
            peer_uses_alias(trace, "", number);
            trace.delivers(&Message::new(topic, b"x"));
        }
    });
}

#[test]
fn an_alias_stands_for_the_topic_of_a_large_message_too() {
    converse_in(V5, inbound_aliases, |trace| {
        trace.is_connected();
        let payload = [b'x'; 200];
        for topic in ["t/large", ""] {
            let properties = alias(2);
            let message = Message::new(topic, &payload).properties(Properties::from(&properties));
            trace.peer_publishes(&message, 0);
            trace.sees(crate::common::Seen::Large {
                topic: "t/large".into(),
                payload_len: 200,
                token: None,
            });
            trace.sees(crate::common::Seen::Pieces(payload.to_vec(), true));
        }
    });
}

/// MQTT 5 [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-7] [MQTT-3.3.2-11]
#[test]
fn aliases_of_an_earlier_link_above_the_maximum_or_unknown_end_the_link() {
    converse_in(V5, inbound_aliases, |trace| {
        trace.is_connected();
        peer_uses_alias(trace, "t", 1);
        trace.delivers(&Message::new("t", b"x"));
        trace.loses_link();
        trace.resumes();
        peer_uses_alias(trace, "", 1);
        trace.fails_with(ProtocolError::TopicAlias);
        trace.says_goodbye(0x94);
    });
    for (topic, number) in [("t", 4), ("", 2)] {
        converse_in(V5, inbound_aliases, |trace| {
            trace.is_connected();
            peer_uses_alias(trace, topic, number);
            trace.fails_with(ProtocolError::TopicAlias);
            trace.says_goodbye(0x94);
        });
    }
    // None was announced.
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            peer_uses_alias(trace, "t", 1);
            trace.fails_with(ProtocolError::TopicAlias);
            trace.says_goodbye(0x94);
        },
    );
}

#[test]
fn topics_that_outgrow_the_memory_of_aliases_end_the_link() {
    converse_in(V5, inbound_aliases, |trace| {
        trace.is_connected();
        let topic = "a topic of thirty bytes, or so";
        peer_uses_alias(trace, "t", 1);
        trace.delivers(&Message::new("t", b"x"));
        peer_uses_alias(trace, topic, 2);
        trace.fails_with(ProtocolError::TopicAliasMemory);
        trace.sees_nothing();
        trace.says_goodbye(0x97);
    });
}

fn expiring(seconds: u32) -> [Property<'static>; 2] {
    [
        Property::ContentType("x"),
        Property::MessageExpiryInterval(seconds),
    ]
}

#[test]
fn a_message_that_waited_too_long_is_not_sent() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            let (short, long) = (expiring(5), expiring(60));
            let dead = trace.publishes(&ONE.properties(Properties::from(&short)));
            trace.publishes(&TWO.properties(Properties::from(&long)));
            trace.publishes(&ZERO.properties(Properties::from(&long)));
            trace.at(7_900).connects();
            trace.is_accepted(false);
            trace.pumps();
            trace.ends_as(dead, DeliveryError::Expired);
            // The interval is what is left of it.
            for message in [TWO, ZERO] {
                let publish = trace.sends_publish();
                assert_eq!(publish.payload, message.payload);
                assert_eq!(publish.properties.message_expiry_interval(), Some(53));
                assert_eq!(publish.properties.content_type(), Some("x"));
            }
        },
    );
}

/// The bytes of this payload read as an interval of one second.
#[test]
fn on_3_1_1_a_message_does_not_expire() {
    converse_in(
        Version::V3_1_1,
        |_| {},
        |trace| {
            let properties = expiring(1);
            let message = Message::new("a", b"\x05\x02\0\0\0\x01");
            trace.publishes(&message.properties(Properties::from(&properties)));
            trace.at(10_000).is_connected();
            trace.sends_message(&message);
        },
    );
}

#[test]
fn waiting_is_counted_once() {
    for transmit in 5..60 {
        let mut setup = Setup::new(V5);
        keep_session(&mut setup);
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        let now = mqtt_core::Instant::from_millis;
        let properties = expiring(60);
        let message = ONE.properties(Properties::from(&properties));
        trace.publishes(&message);
        trace.publishes(&message);
        trace.is_connected();
        // However the output cuts the packets, and whenever it is empty again.
        let mut sent = Vec::new();
        let mut out = vec![0; transmit];
        for ms in [
            20_500, 20_501, 20_600, 20_700, 20_800, 20_900, 20_950, 20_960, 20_970, 20_980,
        ] {
            let len = trace.session.transmit(&mut out, now(ms));
            sent.extend_from_slice(&out[..len]);
        }
        let mut rest = vec![0; 100];
        let len = trace.session.transmit(&mut rest, now(20_990));
        sent.extend_from_slice(&rest[..len]);
        let half = sent.len() / 2;
        for packet in [&sent[..half], &sent[half..]] {
            let Packet::Publish(publish) = crate::common::decode(packet, V5) else {
                panic!("PUBLISH expected");
            };
            let left = publish.properties.message_expiry_interval();
            assert_eq!(left, Some(40), "{transmit} bytes at once");
        }
    }
}

#[test]
fn waiting_is_counted_once_across_links() {
    let mut trace = Trace::new(&Setup::new(V5), IN_ONE_PIECE);
    let now = mqtt_core::Instant::from_millis;
    let properties = expiring(60);
    trace.publishes(&ONE.properties(Properties::from(&properties)));
    trace.is_connected();
    // Half of the packet after 20.5 s, all of it after 30.7 s.
    assert_eq!(trace.session.transmit(&mut [0; 8], now(20_500)), 8);
    trace.session.link_lost(false);
    trace.at(30_700).is_connected();
    assert_eq!(
        trace.sends_publish().properties.message_expiry_interval(),
        Some(30)
    );
}

/// MQTT 5 [MQTT-4.3.3-7]
#[test]
fn what_was_sent_expires_with_the_server_only() {
    converse_in(V5, keep_session, |trace| {
        let properties = expiring(5);
        let message = TWO.properties(Properties::from(&properties));
        trace.is_connected();
        trace.publishes(&message);
        let first = trace.sends_publish();
        assert_eq!(first.properties.message_expiry_interval(), Some(5));
        trace.at(50_000).loses_link();
        trace.resumes();
        let again = trace.sends_publish();
        assert!(again.dup);
        assert_eq!(again.properties.message_expiry_interval(), Some(5));
    });
}

#[test]
fn an_interval_of_zero_may_be_sent_at_once() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            let properties = expiring(0);
            trace.publishes(&ONE.properties(Properties::from(&properties)));
            let publish = trace.sends_publish();
            assert_eq!(publish.properties.message_expiry_interval(), Some(0));
        },
    );
}
