//! A server that means harm: whatever it sends, and however slowly, the link ends in time with an error that says why,
//! or goes on as if nothing had been; and the application is told nothing that is not so. Memory is no question here,
//! since there is none but what the test hands over.

use crate::support::{
    Config, Inbox, Link, World,
    executor::Gate,
    wire::{PINGRESP, connack_in, puback, pubcomp, publish_in, pubrec, pubrel},
    world::{Q0, Q1, Q2, V3},
};
use mqtt_core::{
    Message, Version,
    client::LinkEnd,
    codec::{Packet, PacketType, ReasonCode},
    session::{Oversize, ProtocolError, SessionError},
};

const VERSIONS: &[Version] = &[
    V3,
    #[cfg(feature = "v5")]
    Version::V5,
];

/// 268,435,455: the longest remaining length there is.
const LONGEST: [u8; 4] = [0xff, 0xff, 0xff, 0x7f];

/// The first byte of each packet type.
const FIRST_BYTES: [u8; 15] = [
    0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0,
];

const KEEP_ALIVE_MS: u32 = 60_000;
const PING_TIMEOUT_MS: u32 = 10_000;

fn config(version: Version) -> Config {
    Config::new().options(|o| o.version = version)
}

/// A packet of the longest length there is, and some 200,000 bytes of it.
fn longest(first: u8) -> Vec<u8> {
    [&[first][..], &LONGEST, &b"x".repeat(200_000)].concat()
}

fn connected(config: &Config) -> (World, Inbox, Link) {
    let (world, inbox, link) = World::connected(*config);
    link.got();
    (world, inbox, link)
}

fn last_end(world: &World) -> Option<LinkEnd> {
    world.client.report().last_end
}

/// The link has ended for a reason that lies with the server.
#[track_caller]
fn has_ended(world: &World, link: &Link) {
    assert!(link.is_gone());
    let end = last_end(world);
    let is_server = matches!(
        end,
        Some(LinkEnd::Session(
            SessionError::Decode(_) | SessionError::Protocol(_)
        ))
    );
    assert!(is_server, "{end:?}");
}

#[track_caller]
fn has_ended_with(world: &World, link: &Link, error: impl Into<SessionError>) {
    assert!(link.is_gone());
    assert_eq!(last_end(world), Some(LinkEnd::Session(error.into())));
}

/// The link is in use: a ping would have been answered, and a message passes in each direction.
#[track_caller]
fn goes_on(world: &mut World, inbox: &mut Inbox, link: &Link, version: Version) {
    assert!(!link.is_gone(), "{:?}", last_end(world));
    link.got();
    link.sends(publish_in(version, Q0, 0, false, "still", b"here"));
    world.run();
    let message = inbox.try_next().expect("a message");
    assert_eq!(
        (message.topic().as_str(), message.payload()),
        ("still", &b"here"[..])
    );
    drop(message);
    let sent = world.client.try_publish(&Message::new("still", b"there"));
    drop(sent.expect("room"));
    world.expect(link, &["PUBLISH q0 still=there"]);
}

/// One byte, then a pause, again and again, until the link is gone; how long that took.
fn drip(world: &mut World, link: &Link, bytes: impl Iterator<Item = u8>, pause_ms: u32) -> u32 {
    let mut passed = 0;
    for byte in bytes {
        link.sends([byte]);
        for _ in 0..pause_ms / 100 {
            world.advance(100);
            passed += 100;
            if link.is_gone() {
                return passed;
            }
        }
    }
    panic!("the link is up after {passed} ms");
}

#[test]
fn the_longest_packet_of_any_type_ends_the_handshake_at_once() {
    for &version in VERSIONS {
        for first in FIRST_BYTES {
            let (mut world, mut inbox) = World::started(config(version));
            let link = world.link();
            link.sends(longest(first));
            world.run();
            has_ended(&world, &link);
            assert!(inbox.try_next().is_none());
        }
    }
}

#[test]
fn the_longest_packet_of_any_type_but_publish_ends_the_link_at_once() {
    for &version in VERSIONS {
        for first in FIRST_BYTES.into_iter().filter(|first| first >> 4 != 3) {
            let (mut world, mut inbox, link) = connected(&config(version));
            link.sends(longest(first));
            world.run();
            // MQTT 5 says goodbye first.
            world.advance(3_000);
            has_ended(&world, &link);
            assert!(inbox.try_next().is_none());
        }
    }
}

#[test]
fn the_longest_publish_is_passed_over_and_what_follows_is_heard() {
    for &version in VERSIONS {
        let (mut world, mut inbox, link) = connected(&config(version));
        // The smallest of its kind: skipped in full it takes too long here.
        let len = 3_000_000_u32;
        let mut header = vec![0x30];
        header.extend(remaining_length(len));
        link.sends(header);
        link.sends([0, 3, b'b', b'i', b'g', 0]);
        world.run();
        let message = inbox.try_next().expect("the head");
        assert!(!message.is_whole());
        drop(message);
        for _ in 0..(len - 6) / 2 {
            link.sends([0; 2]);
        }
        world.run();
        assert_eq!(link.unread(), 0);
        assert_eq!(world.client.report().skipped, 1);
        goes_on(&mut world, &mut inbox, &link, version);
    }
}

fn remaining_length(mut len: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(len % 128).unwrap();
        len /= 128;
        if len == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn a_topic_longer_than_the_buffer_is_never_stored() {
    for &version in VERSIONS {
        for first in [0x30, 0x32, 0x34] {
            let (mut world, mut inbox, link) = connected(&config(version));
            // The topic has 65,535 bytes, or says so.
            link.sends([&[first][..], &LONGEST, &[0xff; 2], &b"x".repeat(100_000)].concat());
            world.run();
            let message = inbox.try_next().expect("the head");
            assert_eq!(message.topic().as_str(), "");
            drop(message);
            world.expect(&link, &[]);
            assert!(!link.is_gone());
            assert_eq!(link.unread(), 0);
        }
    }
}

#[test]
fn a_connack_that_drips_in_is_given_up_at_its_time_out() {
    for &version in VERSIONS {
        let mut config = config(version);
        config.rx = 1_000;
        let (mut world, _inbox) = World::started(config);
        let link = world.link();
        let bytes = [0x20, 0xf4, 0x03].into_iter().chain([0; 500]);
        let took = drip(&mut world, &link, bytes, 1_000);
        assert_eq!(took, config.options.connack_timeout_ms);
        has_ended_with(&world, &link, SessionError::ConnAckTimeout);
    }
}

#[test]
fn a_packet_that_never_ends_is_given_up_when_no_ping_is_answered() {
    let limit = KEEP_ALIVE_MS + PING_TIMEOUT_MS;
    // One that fits into the buffer, one that is skipped.
    for header in [&[0x30, 120][..], &[0x30, 0xff, 0xff, 0x7f, 0, 1, b't']] {
        for &version in VERSIONS {
            let (mut world, mut inbox, link) = connected(&config(version));
            let reader = world.spawn("reader", async move {
                while let Ok(message) = inbox.next().await {
                    assert!(!message.is_whole());
                }
            });
            let bytes = header.iter().copied().chain([0; 100]);
            let took = drip(&mut world, &link, bytes, 1_000);
            assert!(took <= limit + 10_000, "{took}");
            has_ended_with(&world, &link, SessionError::PingTimeout);
            assert!(!reader.is_ready());
        }
    }
}

#[test]
fn a_message_that_drips_in_lasts_as_long_as_the_application_waits_for_it() {
    for &version in VERSIONS {
        let mut config = config(version).options(|o| o.oversize = Oversize::Stream);
        config.rx = 64;
        let (mut world, mut inbox, link) = connected(&config);
        let enough = Gate::default();
        let patience = enough.clone();
        let reading = world.spawn("reader", async move {
            let mut message = inbox.next().await.expect("a message");
            let mut len = 0;
            while !patience.is_open() {
                len += message
                    .chunk()
                    .await
                    .expect("a link")
                    .map_or(0, <[u8]>::len);
            }
            len
        });
        link.sends([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b't', 0]);
        for _ in 0..400 {
            link.sends([0]);
            world.advance(9_000);
        }
        // After an hour: as long as there are bytes, they are delivered.
        assert!(!link.is_gone());
        enough.open();
        link.sends([0]);
        world.run();
        assert!(reading.take() >= 400);
        // Nobody wants the rest, and the server goes on.
        let took = drip(&mut world, &link, std::iter::repeat(0), 9_000);
        assert!(took <= KEEP_ALIVE_MS + PING_TIMEOUT_MS, "{took}");
        has_ended_with(&world, &link, SessionError::PingTimeout);
    }
}

#[test]
fn acknowledgements_of_all_that_was_never_sent_change_nothing() {
    for &version in VERSIONS {
        let (mut world, mut inbox, link) = connected(&config(version));
        let publish = |qos| world.client.try_publish(&Message::new("t", b"1").qos(qos));
        let mut once = publish(Q1).unwrap();
        let mut exactly = publish(Q2).unwrap();
        world.expect(&link, &["PUBLISH q1 #1 t=1", "PUBLISH q2 #2 t=1"]);
        let ours = [link.id(1), link.id(2)];
        for id in (1..=u16::MAX).filter(|id| !ours.contains(id)) {
            link.sends(puback(id));
            link.sends(pubcomp(id));
        }
        world.expect(&link, &[]);
        assert_eq!(once.try_acknowledged(), None);
        assert_eq!(exactly.try_acknowledged(), None);
        link.sends(puback(ours[0]));
        link.sends(pubrec(ours[1]));
        link.sends(pubcomp(ours[1]));
        world.run();
        assert_eq!(once.try_acknowledged(), Some(Ok(ReasonCode::SUCCESS)));
        goes_on(&mut world, &mut inbox, &link, version);
    }
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_delivers_nothing() {
    for &version in VERSIONS {
        for (qos, ack) in [
            (Q1, pubrec as Encode),
            (Q1, pubcomp),
            (Q2, puback),
            (Q2, pubcomp),
        ] {
            let (mut world, _inbox, link) = connected(&config(version));
            let mut delivery = world
                .client
                .try_publish(&Message::new("t", b"1").qos(qos))
                .unwrap();
            world.run();
            link.got();
            link.sends(ack(link.id(1)));
            world.run();
            has_ended_with(&world, &link, ProtocolError::WrongAcknowledgement);
            assert_eq!(delivery.try_acknowledged(), None);
        }
    }
}

/// Makes an acknowledgement for a packet identifier.
type Encode = fn(u16) -> Vec<u8>;

/// Each flood, and its answers.
const FLOODS: [(Encode, PacketType); 2] =
    [(pubrel, PacketType::PubComp), (pubrec, PacketType::PubRel)];

#[test]
fn a_flood_of_releases_and_receipts_is_answered_one_by_one() {
    for &version in VERSIONS {
        for (packet, answer) in FLOODS {
            let (mut world, mut inbox, link) = connected(&config(version));
            for id in 1..=u16::MAX {
                link.sends(packet(id));
                world.run();
            }
            let answers = link.packets(|packet| match packet {
                Packet::PubComp(ack) | Packet::PubRel(ack) => {
                    (packet.packet_type(), ack.packet_identifier.get())
                }
                other => panic!("not an answer: {other:?}"),
            });
            assert!(
                answers
                    .into_iter()
                    .eq((1..=u16::MAX).map(|id| (answer, id)))
            );
            goes_on(&mut world, &mut inbox, &link, version);
        }
    }
}

#[test]
fn a_flood_whose_answers_are_not_taken_ends_when_the_table_is_full() {
    for &version in VERSIONS {
        for (packet, _) in FLOODS {
            let (mut world, mut inbox, link) = connected(&config(version));
            link.stalls();
            for id in 1..=u16::MAX {
                link.sends(packet(id));
            }
            world.advance(3_000);
            has_ended_with(&world, &link, ProtocolError::ReceiveMaximum);
            assert!(inbox.try_next().is_none());
            // Nothing of it is left for the next link.
            let link = world.reconnect(false);
            goes_on(&mut world, &mut inbox, &link, version);
        }
    }
}

#[test]
fn a_flood_of_messages_that_are_not_acknowledged_ends_at_the_receive_maximum() {
    for &version in VERSIONS {
        for qos in [Q1, Q2] {
            let (mut world, mut inbox, link) = connected(&config(version));
            let flood = |id| publish_in(version, qos, id, false, "t", b"x");
            for id in 1..=1_000 {
                link.sends(flood(id));
            }
            let mut tokens = Vec::new();
            world.run();
            while let Some(message) = inbox.try_next() {
                // Kept to be acknowledged later, which never comes.
                tokens.push(message.defer_ack().expect("an acknowledgement is due"));
                world.run();
            }
            world.advance(3_000);
            has_ended_with(&world, &link, ProtocolError::ReceiveMaximum);
            let most = if version == V3 { 64 } else { 4 };
            assert!((1..=most).contains(&tokens.len()), "{}", tokens.len());
        }
    }
}

#[test]
fn a_flood_that_the_application_does_not_take_waits_in_the_network() {
    for &version in VERSIONS {
        let config = config(version);
        let (mut world, mut inbox, link) = connected(&config);
        for number in 0..10_000_u32 {
            let payload = number.to_be_bytes();
            link.sends(publish_in(version, Q0, 0, false, "t", &payload));
        }
        let flood = link.unread();
        world.advance(3 * KEEP_ALIVE_MS);
        // The answers lie behind the flood, and the server hears from us all the same.
        assert_eq!(link.got(), ["PINGREQ"; 3]);
        assert!(!link.is_gone());
        assert!(flood - link.unread() <= config.rx);
        for number in 0..10_000_u32 {
            world.run();
            let message = inbox.try_next().expect("a message");
            assert_eq!(message.payload(), number.to_be_bytes());
        }
        link.sends(PINGRESP);
        goes_on(&mut world, &mut inbox, &link, version);
    }
}

#[test]
fn pings_that_nobody_asked_for_are_no_news() {
    for &version in VERSIONS {
        let (mut world, mut inbox, link) = connected(&config(version));
        for _ in 0..50_000 {
            link.sends(PINGRESP);
        }
        world.expect(&link, &[]);
        goes_on(&mut world, &mut inbox, &link, version);
    }
}

#[test]
fn an_answer_to_a_subscription_with_the_wrong_number_of_codes_ends_the_link() {
    for &version in VERSIONS {
        for codes in [&[][..], &[0, 0], &[0; 100]] {
            let (mut world, _inbox, link) = connected(&config(version));
            let client = world.client.clone();
            let granted = world.spawn("subscribe", async move {
                client.subscribe("a/#", Q1).await.is_ok()
            });
            world.run();
            link.got();
            let mut body = link.id(1).to_be_bytes().to_vec();
            if version != V3 {
                body.push(0);
            }
            body.extend(codes);
            let len = u8::try_from(body.len()).unwrap();
            link.sends([&[0x90, len][..], &body].concat());
            world.run();
            has_ended(&world, &link);
            // It is asked for again, or has failed; it was not granted.
            assert!(!granted.is_ready() || !granted.take());
        }
    }
}

#[test]
fn a_second_connack_ends_the_link() {
    for &version in VERSIONS {
        let (mut world, mut inbox, link) = connected(&config(version));
        link.sends(connack_in(version, false));
        link.sends(publish_in(version, Q0, 0, false, "t", b"behind it"));
        world.advance(3_000);
        has_ended_with(&world, &link, ProtocolError::UnexpectedPacket);
        assert!(inbox.try_next().is_none());
    }
}

#[test]
fn a_peer_that_does_not_take_our_goodbye_does_not_keep_us() {
    for &version in VERSIONS {
        let (mut world, _inbox, link) = connected(&config(version));
        link.stalls();
        link.stalls_close();
        link.sends([0x00, 0x00]);
        world.advance(6_000);
        has_ended(&world, &link);
    }
}

#[cfg(feature = "v5")]
mod v5 {
    use mqtt_core::{
        codec::{
            Auth, ConnAck, DecodeError, EncodeError, Properties, Property, Publish, TopicName,
            Writer,
        },
        session::{Authentication, PublishError},
    };

    use super::*;

    const V5: Version = Version::V5;

    fn encode(packet: &Packet<'_>) -> Vec<u8> {
        crate::support::wire::encode(packet, V5)
    }

    /// So many user properties without name and value, of 5 bytes each.
    fn user_properties(count: usize) -> Vec<Property<'static>> {
        vec![Property::UserProperty("", ""); count]
    }

    fn accepted(properties: &[Property<'_>]) -> Vec<u8> {
        encode(&Packet::ConnAck(ConnAck {
            session_present: false,
            code: ReasonCode::SUCCESS,
            properties: Properties::from(properties),
        }))
    }

    #[test]
    fn a_connack_with_everything_is_believed_as_far_as_it_can_be() {
        let mut config = config(V5);
        config.rx = 8_192;
        let (mut world, _inbox) = World::started(config);
        let link = world.link();
        let name = "n".repeat(2_000);
        let mut properties = vec![
            Property::SessionExpiryInterval(u32::MAX),
            Property::ReceiveMaximum(1.try_into().unwrap()),
            Property::MaximumQoS(Q0),
            Property::RetainAvailable(false),
            Property::MaximumPacketSize(1.try_into().unwrap()),
            Property::AssignedClientIdentifier(&name),
            Property::TopicAliasMaximum(u16::MAX),
            Property::ReasonString(&name),
            Property::WildcardSubscriptionAvailable(false),
            Property::SubscriptionIdentifierAvailable(false),
            Property::SharedSubscriptionAvailable(false),
            Property::ServerKeepAlive(1),
            Property::ResponseInformation(&name),
            Property::ServerReference("elsewhere"),
        ];
        properties.extend(user_properties(300));
        link.sends(accepted(&properties));
        world.run();
        link.got();
        let refused = world.client.try_publish(&Message::new("t", b""));
        assert_eq!(refused.err(), Some(PublishError::PacketTooLarge));
        // It asks for pings, and answers none.
        world.advance(1_000 + PING_TIMEOUT_MS);
        world.advance(3_000);
        has_ended_with(&world, &link, SessionError::PingTimeout);
    }

    #[test]
    fn a_connack_larger_than_the_buffer_ends_the_handshake() {
        let (mut world, _inbox) = World::started(config(V5));
        let link = world.link();
        link.sends(accepted(&user_properties(60)));
        world.run();
        has_ended_with(&world, &link, ProtocolError::BufferTooSmall);
    }

    #[test]
    fn a_flood_of_user_properties_is_handed_on_or_passed_over() {
        let mut config = config(V5);
        config.rx = 512;
        let (mut world, mut inbox, link) = connected(&config);
        for count in [99, 10_000] {
            let properties = user_properties(count);
            let publish = Publish {
                properties: Properties::from(&properties[..]),
                ..Publish::new(TopicName::new("t").unwrap(), b"payload")
            };
            link.sends(encode(&Packet::Publish(publish)));
            world.run();
            let message = inbox.try_next().expect("a message");
            if count == 99 {
                assert_eq!(message.properties().user_properties().count(), count);
            } else {
                assert_eq!((message.topic().as_str(), message.is_whole()), ("", false));
            }
        }
        goes_on(&mut world, &mut inbox, &link, V5);
    }

    #[test]
    fn acknowledgements_with_more_properties_than_fit_end_the_link() {
        for first in [0x40_u8, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xe0, 0xf0] {
            let (mut world, _inbox, link) = connected(&config(V5));
            let properties = [0x26, 0, 0, 0, 0].repeat(100);
            let mut body = vec![0, 1, 0, 0xf4, 0x03];
            body.extend(properties);
            link.sends([&[first][..], &remaining_length(505), &body].concat());
            world.advance(3_000);
            has_ended_with(&world, &link, ProtocolError::BufferTooSmall);
        }
    }

    #[test]
    fn nothing_behind_a_disconnect_is_delivered() {
        let (mut world, mut inbox, link) = connected(&config(V5));
        let behind = publish_in(V5, Q1, 1, false, "t", b"behind it");
        link.sends([&[0xe0, 1, 0x8e][..], &behind.repeat(1_000)].concat());
        world.run();
        has_ended_with(
            &world,
            &link,
            SessionError::ServerDisconnect(ReasonCode::SESSION_TAKEN_OVER),
        );
        assert!(inbox.try_next().is_none());
        assert_eq!(link.got(), [""; 0]);
    }

    #[test]
    fn an_alias_that_was_never_allowed_ends_the_link() {
        for alias in [1, u16::MAX] {
            let (mut world, mut inbox, link) = connected(&config(V5));
            let properties = [Property::TopicAlias(alias.try_into().unwrap())];
            let publish = Publish {
                properties: Properties::from(&properties),
                ..Publish::new(TopicName::new("t").unwrap(), b"payload")
            };
            link.sends(encode(&Packet::Publish(publish)));
            world.advance(3_000);
            has_ended_with(&world, &link, ProtocolError::TopicAlias);
            assert!(inbox.try_next().is_none());
        }
    }

    #[test]
    fn topics_of_aliases_are_kept_in_the_buffer_and_nowhere_else() {
        let config = config(V5).options(|o| o.v5.topic_alias_maximum = u16::MAX);
        let (mut world, mut inbox) = World::new(config);
        world.client.enable_topic_aliases();
        world.start(config.options);
        let link = world.link();
        link.sends(connack_in(V5, false));
        for alias in 1..=1_000_u16 {
            let properties = [Property::TopicAlias(alias.try_into().unwrap())];
            let topic = format!("a/topic/of/some/length/{alias}");
            let publish = Publish {
                properties: Properties::from(&properties),
                ..Publish::new(TopicName::new(&topic).unwrap(), b"")
            };
            link.sends(encode(&Packet::Publish(publish)));
        }
        world.run();
        let mut number = 0;
        while let Some(message) = inbox.try_next() {
            number += 1;
            let topic = format!("a/topic/of/some/length/{number}");
            assert_eq!(message.topic().as_str(), topic);
            drop(message);
            world.run();
        }
        world.advance(3_000);
        has_ended_with(&world, &link, ProtocolError::TopicAliasMemory);
        assert!((1..10).contains(&number), "{number}");
    }

    struct Echo;

    impl Authentication for Echo {
        fn method(&self) -> &'static str {
            "echo"
        }

        fn begin(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
            Ok(())
        }

        fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
            data.bytes(server_data)
        }

        fn finish(&self, _: &[u8]) -> Result<(), EncodeError> {
            Ok(())
        }
    }

    static ECHO: Echo = Echo;

    fn challenge() -> Vec<u8> {
        let properties = [
            Property::AuthenticationMethod("echo"),
            Property::AuthenticationData(b"once more"),
        ];
        encode(&Packet::Auth(Auth {
            code: ReasonCode::CONTINUE_AUTHENTICATION,
            properties: Properties::from(&properties),
        }))
    }

    fn echoing() -> Config {
        config(V5).options(|o| o.v5.authentication = Some(&ECHO))
    }

    #[test]
    fn a_handshake_of_ever_more_challenges_ends_at_the_time_out_of_connack() {
        let (mut world, _inbox) = World::started(echoing());
        let link = world.link();
        let mut passed = 0;
        while !link.is_gone() {
            link.sends(challenge().repeat(3));
            world.advance(500);
            passed += 500;
        }
        assert_eq!(passed, 30_000);
        has_ended_with(&world, &link, SessionError::ConnAckTimeout);
        let answers = link
            .got()
            .iter()
            .filter(|got| got.starts_with("AUTH"))
            .count();
        assert_eq!(answers, 3 * 60);
    }

    #[test]
    fn a_flood_of_challenges_whose_answers_are_not_taken_ends_when_the_buffer_is_full() {
        let (mut world, _inbox) = World::started(echoing());
        let link = world.link();
        link.stalls();
        link.sends(challenge().repeat(10_000));
        world.advance(3_000);
        assert!(link.is_gone());
        assert_eq!(
            last_end(&world),
            Some(LinkEnd::Session(SessionError::AuthenticationFailed))
        );
    }

    #[test]
    fn challenges_without_a_method_end_the_link() {
        let (mut world, _inbox, link) = connected(&config(V5));
        link.sends(challenge());
        world.advance(3_000);
        has_ended_with(&world, &link, ProtocolError::Authentication);
    }

    #[test]
    fn a_maximum_of_zero_is_refused_before_it_is_believed() {
        // Receive Maximum, Maximum Packet Size.
        for property in [&[0x21, 0, 0][..], &[0x27, 0, 0, 0, 0]] {
            let (mut world, _inbox) = World::started(config(V5));
            let link = world.link();
            let len = u8::try_from(property.len()).unwrap();
            link.sends([&[0x20, len + 3, 0, 0, len][..], property].concat());
            world.run();
            has_ended_with(
                &world,
                &link,
                SessionError::Decode(DecodeError::PropertyValue),
            );
        }
    }
}
