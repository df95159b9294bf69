//! What MQTT 5 adds for a user of the asynchronous client: reasons, refusals, authentication.

use crate::support::{
    Config, Link, Profile, World,
    wire::{self, PINGRESP},
    world::{Q1, Q2},
};
use mqtt_core::{
    Message, Version,
    client::{LinkEnd, LinkState, SubscribeError},
    codec::{
        Ack, Auth, ConnAck, DecodeError, Disconnect, EncodeError, Packet, Properties, Property,
        ReasonCode, Subscription, TopicFilter, Writer,
    },
    session::{Authentication, DeliveryError, ProtocolError, PublishError, SessionError},
};

const V5: Version = Version::V5;

fn config() -> Config {
    Config::new().options(|o| o.version = V5)
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    wire::encode(packet, V5)
}

fn ack(id: u16, code: ReasonCode) -> Ack<'static> {
    Ack {
        code,
        ..Ack::new(wire::id(id))
    }
}

fn publish(qos: mqtt_core::QoS, id: u16, payload: &[u8]) -> Vec<u8> {
    wire::publish_in(V5, qos, id, false, "in", payload)
}

fn connack(properties: &[Property<'_>]) -> Vec<u8> {
    encode(&Packet::ConnAck(ConnAck {
        session_present: false,
        code: ReasonCode::SUCCESS,
        properties: Properties::from(properties),
    }))
}

#[test]
fn a_refusal_is_the_error_of_its_own_delivery() {
    let (mut world, _inbox, link) = World::connected(config());
    let publish = |topic, qos| {
        let message = Message::new(topic, b"").qos(qos);
        world.client.try_publish(&message).unwrap()
    };
    let mut deliveries = [
        publish("a", Q1),
        publish("b", Q1),
        publish("c", Q2),
        publish("d", Q1),
    ];
    world.run();
    link.got();
    link.sends(encode(&Packet::PubAck(ack(
        link.id(2),
        ReasonCode::NOT_AUTHORIZED,
    ))));
    link.sends(encode(&Packet::PubRec(ack(
        link.id(3),
        ReasonCode::QUOTA_EXCEEDED,
    ))));
    let nobody = ReasonCode::NO_MATCHING_SUBSCRIBERS;
    link.sends(encode(&Packet::PubAck(ack(link.id(4), nobody))));
    link.sends(encode(&Packet::PubAck(ack(
        link.id(1),
        ReasonCode::SUCCESS,
    ))));
    world.expect(&link, &[]);
    let outcomes = deliveries
        .each_mut()
        .map(crate::support::Delivery::try_acknowledged);
    assert_eq!(
        outcomes,
        [
            Some(Ok(ReasonCode::SUCCESS)),
            Some(Err(DeliveryError::Rejected(ReasonCode::NOT_AUTHORIZED))),
            Some(Err(DeliveryError::Rejected(ReasonCode::QUOTA_EXCEEDED))),
            Some(Ok(nobody)),
        ]
    );
    assert_eq!(world.links(), 1);
}

#[test]
fn limits_of_the_server_are_errors_of_the_call() {
    let (mut world, _inbox) = World::started(config());
    let link = world.link();
    link.sends(connack(&[
        Property::MaximumQoS(Q1),
        Property::RetainAvailable(false),
        Property::MaximumPacketSize(50.try_into().unwrap()),
        Property::WildcardSubscriptionAvailable(false),
    ]));
    world.run();
    let client = world.client.clone();
    let refused = world.finish(async move {
        let wide = client.subscribe("a/#", Q1).await;
        [
            client
                .publish(&Message::new("t", b"").exactly_once())
                .await
                .err(),
            client.publish(&Message::new("t", b"").retain()).await.err(),
            client.publish(&Message::new("t", &[0; 60])).await.err(),
            match wide {
                Err(SubscribeError::Request(error)) => Some(error),
                other => panic!("{other:?}"),
            },
        ]
    });
    assert_eq!(
        refused,
        [
            Some(PublishError::QoSNotSupported),
            Some(PublishError::RetainNotSupported),
            Some(PublishError::PacketTooLarge),
            Some(PublishError::WildcardsNotSupported),
        ]
    );
    link.got();
    world.expect(&link, &[]);
}

#[test]
fn a_rejected_message_is_refused_with_its_code() {
    let (mut world, mut inbox, link) = World::connected(config());
    link.sends(
        [
            publish(Q1, 7, b"1"),
            publish(Q2, 8, b"2"),
            publish(Q1, 9, b"3"),
        ]
        .concat(),
    );
    world.run();
    inbox
        .try_next()
        .unwrap()
        .reject(ReasonCode::PAYLOAD_FORMAT_INVALID);
    world.expect(&link, &["PUBACK 7 0x99"]);
    inbox.try_next().unwrap().reject(ReasonCode::QUOTA_EXCEEDED);
    world.expect(&link, &["PUBREC 8 0x97"]);
    let token = inbox.try_next().unwrap().defer_ack().unwrap();
    world.client.reject(token, ReasonCode::NOT_AUTHORIZED);
    world.expect(&link, &["PUBACK 9 0x87"]);
}

#[test]
fn properties_come_with_a_message() {
    let (mut world, mut inbox, link) = World::connected(config());
    let list = [
        Property::ContentType("text/plain"),
        Property::UserProperty("k", "v"),
    ];
    let client = world.client.clone();
    let message = Message::new("out", b"x").properties(Properties::from(&list));
    drop(client.try_publish(&message).unwrap());
    world.run();
    // Back as it came.
    link.sends(link.packets(encode).concat());
    world.run();
    let message = inbox.try_next().expect("the echo");
    assert_eq!(message.topic(), "out");
    assert!(message.properties().iter().eq(list));
}

#[test]
fn each_filter_has_its_code() {
    let (mut world, _inbox, link) = World::connected(config());
    let client = world.client.clone();
    let codes = world.spawn("subscriber", async move {
        let filters = ["a", "b", "c"].map(|filter| TopicFilter::new(filter).unwrap());
        let subscriptions = filters.map(|filter| Subscription::new(filter, Q2));
        let mut codes = [ReasonCode::SUCCESS; 3];
        let answer = client.subscribe_all(&subscriptions, Properties::NONE, &mut codes);
        answer.await.map(|()| codes.map(ReasonCode::value))
    });
    world.expect(&link, &["SUBSCRIBE 1 a:2 b:2 c:2"]);
    link.sends(wire::suback(V5, link.id(1), &[2, 0x8f, 0x9e]));
    world.run();
    assert_eq!(codes.take(), Ok([2, 0x8f, 0x9e]));
    for (code, expected) in [
        (0x00, Ok(())),
        (0x11, Ok(())),
        (
            0x87,
            Err(SubscribeError::Rejected(ReasonCode::NOT_AUTHORIZED)),
        ),
    ] {
        let client = world.client.clone();
        let ended = world.spawn("unsubscriber", async move { client.unsubscribe("a").await });
        world.run();
        let id = link.packets(|packet| match packet {
            Packet::Unsubscribe(unsubscribe) => unsubscribe.packet_identifier.get(),
            other => panic!("{other:?}"),
        });
        link.sends(wire::unsuback(V5, id[0], &[code]));
        world.run();
        assert_eq!(ended.take(), expected);
    }
}

/// MQTT 5 [MQTT-3.14.4-2] [MQTT-4.13.1-1]
#[test]
fn a_fault_of_the_server_is_answered_by_disconnect_with_its_reason_before_the_link_closes() {
    let cases: [(&[u8], &str, SessionError); 4] = [
        (
            &[0x30, 0],
            "DISCONNECT 0x81",
            SessionError::Decode(DecodeError::Truncated),
        ),
        (
            &[0x20, 3, 0, 0, 0],
            "DISCONNECT 0x82",
            SessionError::Protocol(ProtocolError::UnexpectedPacket),
        ),
        (
            // Topic alias 1, although we allow none.
            &[0x30, 7, 0, 1, b't', 3, 0x23, 0, 1],
            "DISCONNECT 0x94",
            SessionError::Protocol(ProtocolError::TopicAlias),
        ),
        (
            // Not a PUBLISH, and larger than the receive buffer.
            &[0x90, 0xff, 0x7f],
            "DISCONNECT 0x95",
            SessionError::Protocol(ProtocolError::BufferTooSmall),
        ),
    ];
    for profile in [Profile::SMOOTH, Profile::ROUGH] {
        for (bytes, words, error) in cases {
            let mut config = config();
            config.profile = profile;
            let (mut world, _inbox, link) = World::connected(config);
            link.sends(bytes);
            world.expect(&link, &[words]);
            {
                let state = link.lock();
                assert_eq!(state.flushed, state.written.len());
                assert!(state.closed && state.reader_dropped && state.writer_dropped);
            }
            let end = LinkEnd::Session(error);
            assert_eq!(world.client.report().last_end, Some(end), "{words}");
            world.reconnect(false);
        }
    }
}

#[test]
fn a_fault_found_while_a_message_is_taken_is_answered_too() {
    let (mut world, mut inbox, link) = World::connected(config());
    link.sends([publish(Q1, 7, b"1"), vec![0x30, 0]].concat());
    world.run();
    drop(inbox.try_next().unwrap());
    world.run();
    let got = link.got();
    assert_eq!(got.last().map(String::as_str), Some("DISCONNECT 0x81"));
    assert!(link.is_gone());
}

#[test]
fn a_fault_does_not_wait_for_a_transport_that_takes_no_bytes() {
    let (mut world, _inbox, link) = World::connected(config());
    link.stalls();
    drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
    world.run();
    link.sends([0x30, 0]);
    world.advance(2_999);
    assert!(!link.is_gone());
    world.advance(1);
    assert!(link.is_gone());
    let end = LinkEnd::Session(SessionError::Decode(DecodeError::Truncated));
    assert_eq!(world.client.report().last_end, Some(end));
}

/// MQTT 5 [MQTT-3.14.4-1] [MQTT-4.13.2-1]
#[test]
fn nothing_is_sent_behind_the_servers_disconnect() {
    let (mut world, inbox, link) = World::connected(config());
    let goodbye = encode(&Packet::Disconnect(Disconnect {
        code: ReasonCode::SERVER_SHUTTING_DOWN,
        properties: Properties::NONE,
    }));
    link.sends([publish(Q1, 7, b"1"), goodbye].concat());
    world.run();
    drop(
        world
            .client
            .try_publish(&Message::new("t", b"1").at_least_once())
            .unwrap(),
    );
    world.expect(&link, &["PUBLISH q1 #1 t=1"]);
    assert!(!link.is_gone());
    drop(inbox);
    world.expect(&link, &[]);
    assert!(link.is_gone());
    assert_eq!(
        world.client.report().last_end,
        Some(LinkEnd::Session(SessionError::ServerDisconnect(
            ReasonCode::SERVER_SHUTTING_DOWN
        )))
    );
    let link = world.reconnect(false);
    world.expect(&link, &["PUBLISH q1 #1 t=1"]);
}

#[test]
fn disconnect_with_will_says_so() {
    let (mut world, _inbox, link) = World::connected(config());
    let client = world.client.clone();
    world.finish(async move { client.disconnect_with_will().await });
    world.expect(&link, &["DISCONNECT 0x04"]);
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
}

#[test]
fn refused_credentials_are_final() {
    for (code, is_final) in [
        (0x84, true),
        (0x86, true),
        (0x87, true),
        (0x88, false),
        (0x89, false),
        (0x8a, true),
        (0x8c, true),
        (0x97, false),
    ] {
        let (mut world, _inbox) = World::started(config());
        world.link().sends(wire::refused(code, V5));
        world.run();
        let end = LinkEnd::Session(SessionError::Refused(ReasonCode::new(code)));
        let ends = if is_final { vec![Some(end)] } else { vec![] };
        assert_eq!(world.ends(), ends, "{code:#x}");
    }
}

/// As aedes 1.2 does.
#[test]
fn a_server_that_speaks_3_1_1_only_is_not_asked_again() {
    let (mut world, _inbox) = World::started(config());
    world.link().sends(wire::refused(1, Version::V3_1_1));
    world.run();
    let refused = SessionError::Refused(ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
    assert_eq!(world.ends(), [Some(LinkEnd::Session(refused))]);
}

#[test]
fn the_servers_keep_alive_counts_from_connack_on() {
    let (mut world, _inbox) = World::started(config());
    let link = world.link();
    link.sends(connack(&[Property::ServerKeepAlive(3)]));
    world.run();
    link.got();
    world.advance(2_999);
    world.expect(&link, &[]);
    world.advance(1);
    world.expect(&link, &["PINGREQ"]);
    link.sends(PINGRESP);
    world.advance(3_000);
    world.expect(&link, &["PINGREQ"]);
}

#[test]
fn what_is_published_before_the_first_link_does_not_stop_a_client_with_topic_aliases() {
    let config = config().options(|o| o.v5.topic_alias_maximum = 4);
    let (mut world, _inbox) = World::new(config);
    world.client.enable_topic_aliases();
    let early = Message::new("t", b"1").at_least_once();
    drop(world.client.try_publish(&early).unwrap());
    world.start(config.options);
    let link = world.link();
    let maximum = link.packets(|packet| match packet {
        Packet::Connect(connect) => connect.properties.topic_alias_maximum(),
        other => panic!("{other:?}"),
    });
    assert_eq!(maximum, [Some(4)]);
    link.sends(connack(&[]));
    world.expect(&link, &["PUBLISH q1 #1 t=1"]);
}

/// Says what it was asked, in capitals; does not like "evil".
struct Shout;

impl Authentication for Shout {
    fn method(&self) -> &'static str {
        "shout"
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"hello")
    }

    fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        if server_data == b"evil" {
            return Err(EncodeError::InvalidValue);
        }
        data.bytes(&server_data.to_ascii_uppercase())
    }

    fn finish(&self, server_data: &[u8]) -> Result<(), EncodeError> {
        if server_data == b"evil" {
            return Err(EncodeError::InvalidValue);
        }
        Ok(())
    }
}

static SHOUT: Shout = Shout;

fn shouting() -> Config {
    config().options(|o| o.v5.authentication = Some(&SHOUT))
}

fn auth(code: ReasonCode, data: &[u8]) -> Vec<u8> {
    let properties = [
        Property::AuthenticationMethod("shout"),
        Property::AuthenticationData(data),
    ];
    encode(&Packet::Auth(Auth {
        code,
        properties: Properties::from(&properties),
    }))
}

fn accepted(data: &[u8]) -> Vec<u8> {
    connack(&[
        Property::AuthenticationMethod("shout"),
        Property::AuthenticationData(data),
    ])
}

const MORE: ReasonCode = ReasonCode::CONTINUE_AUTHENTICATION;

/// A link that CONNECT with the method was sent on.
fn authenticating(config: &Config) -> (World, crate::support::Inbox, Link) {
    let (mut world, inbox) = World::started(*config);
    let link = world.link();
    let data = link.packets(|packet| match packet {
        Packet::Connect(connect) => connect.properties.authentication_data().map(<[u8]>::to_vec),
        other => panic!("{other:?}"),
    });
    assert_eq!(data, [Some(b"hello".to_vec())]);
    (world, inbox, link)
}

#[test]
fn an_authentication_method_answers_until_the_server_is_content() {
    for profile in [Profile::SMOOTH, Profile::ROUGH] {
        let mut config = shouting();
        config.profile = profile;
        let (mut world, _inbox, link) = authenticating(&config);
        for (question, answer) in [
            ("who", "AUTH 0x18 shout WHO"),
            ("why", "AUTH 0x18 shout WHY"),
        ] {
            link.sends(auth(MORE, question.as_bytes()));
            world.expect(&link, &[answer]);
        }
        assert_eq!(world.client.state(), LinkState::Connecting);
        link.sends(accepted(b"fine"));
        drop(world.client.try_publish(&Message::new("t", b"1")).unwrap());
        world.expect(&link, &["PUBLISH q0 t=1"]);
        let state = world.client.state();
        assert!(matches!(state, LinkState::Connected { .. }), "{state}");
    }
}

#[test]
fn a_device_with_a_full_transmit_buffer_can_authenticate() {
    let (mut world, _inbox, link) = authenticating(&shouting());
    for len in [200, 20, 1] {
        let message = Message::new("t", &[b'x'; 200][..len]).at_least_once();
        while world.client.try_publish(&message).is_ok() {}
    }
    for _ in 0..2 {
        link.sends(auth(MORE, b"who"));
        world.expect(&link, &["AUTH 0x18 shout WHO"]);
    }
    link.sends(accepted(b"fine"));
    world.run();
    let state = world.client.state();
    assert!(matches!(state, LinkState::Connected { .. }), "{state}");
}

#[test]
fn an_authentication_is_not_begun_anew_before_the_server_has_accepted_the_first() {
    let (mut world, _inbox, link) = authenticating(&shouting());
    let refused = Err(PublishError::NotConnected);
    assert_eq!(world.client.reauthenticate(&SHOUT), refused);
    world.expect(&link, &[]);
    link.sends(accepted(b"fine"));
    world.run();
    assert_eq!(world.client.reauthenticate(&SHOUT), Ok(()));
    world.expect(&link, &["AUTH 0x19 shout hello"]);
}

/// MQTT 5 [MQTT-4.12.1-2]
#[test]
fn an_authentication_that_fails_ends_the_run() {
    let failed = LinkEnd::Session(SessionError::AuthenticationFailed);
    for (packet, words) in [
        (auth(MORE, b"evil"), &[][..]),
        (accepted(b"evil"), &["DISCONNECT 0x87"]),
    ] {
        let (mut world, _inbox, link) = authenticating(&shouting());
        link.sends(packet);
        world.expect(&link, words);
        assert_eq!(world.ends(), [Some(failed)]);
        assert!(link.is_gone());
    }
}

#[test]
fn an_authentication_out_of_place_ends_the_link() {
    // Of another method, or without one.
    let other = encode(&Packet::Auth(Auth {
        code: MORE,
        properties: Properties::from(&[Property::AuthenticationMethod("whisper")]),
    }));
    for (config, packet) in [(shouting(), other), (config(), auth(MORE, b"who"))] {
        let (mut world, _inbox) = World::started(config);
        let link = world.link();
        link.sends(packet);
        world.run();
        assert_eq!(
            world.client.report().last_end,
            Some(LinkEnd::Session(SessionError::Protocol(
                ProtocolError::Authentication
            )))
        );
    }
}

#[test]
fn a_link_in_use_can_be_authenticated_again() {
    let (mut world, mut inbox, link) = authenticating(&shouting());
    link.sends(accepted(b""));
    world.run();
    world.client.reauthenticate(&SHOUT).unwrap();
    world.expect(&link, &["AUTH 0x19 shout hello"]);
    link.sends(auth(MORE, b"again"));
    world.expect(&link, &["AUTH 0x18 shout AGAIN"]);
    link.sends(auth(ReasonCode::SUCCESS, b"fine"));
    // Behind a message that is held, the question waits like anything else, and is then answered.
    link.sends(publish(Q1, 7, b"1"));
    link.sends(auth(MORE, b"more"));
    world.expect(&link, &[]);
    let message = inbox.try_next().unwrap();
    world.expect(&link, &[]);
    drop(message);
    world.run();
    let mut got = link.got();
    got.sort();
    assert_eq!(got, ["AUTH 0x18 shout MORE", "PUBACK 7"]);
    link.sends(auth(ReasonCode::SUCCESS, b"evil"));
    world.expect(&link, &["DISCONNECT 0x87"]);
    assert_eq!(
        world.ends(),
        [Some(LinkEnd::Session(SessionError::AuthenticationFailed))]
    );
}

#[test]
fn nothing_can_be_authenticated_again_without_a_link_or_a_method() {
    let (world, _inbox, _link) = World::connected(config());
    let refused = Err(PublishError::NotConnected);
    assert_eq!(world.client.reauthenticate(&SHOUT), refused);
    let (world, _inbox) = World::new(shouting());
    assert_eq!(world.client.reauthenticate(&SHOUT), refused);
}

#[test]
fn messages_wait_for_the_servers_receive_maximum() {
    let (mut world, _inbox) = World::started(config());
    let link = world.link();
    link.sends(connack(&[Property::ReceiveMaximum(1.try_into().unwrap())]));
    world.run();
    link.got();
    for topic in ["a", "b"] {
        drop(
            world
                .client
                .try_publish(&Message::new(topic, b"").at_least_once())
                .unwrap(),
        );
    }
    drop(world.client.try_publish(&Message::new("c", b"")).unwrap());
    world.expect(&link, &["PUBLISH q1 #1 a=", "PUBLISH q0 c="]);
    link.sends(encode(&Packet::PubAck(ack(
        link.id(1),
        ReasonCode::SUCCESS,
    ))));
    world.expect(&link, &["PUBLISH q1 #2 b="]);
}

#[test]
fn an_expired_message_is_not_sent_and_its_delivery_says_so() {
    let (mut world, _inbox) = World::new(config());
    let list = [Property::MessageExpiryInterval(5)];
    let message = Message::new("t", b"1").at_least_once();
    let mut late = world
        .client
        .try_publish(&message.properties(Properties::from(&list)))
        .unwrap();
    world.advance(6_000);
    world.start(config().options);
    let link = world.link();
    link.sends(connack(&[]));
    world.expect(&link, &["CONNECT dev clean"]);
    assert_eq!(late.try_acknowledged(), Some(Err(DeliveryError::Expired)));
}
