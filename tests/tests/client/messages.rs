//! Messages held, deferred, refused, too large, and futures dropped, against a scripted broker.

use std::time::Duration;

use mqtt_core::codec::{Packet, PacketType, Publish, QoS, Version};
use mqtt_std::{DeliveryError, Message, Options, OutboxPolicy, Oversize, PublishError, ReasonCode};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::peer::{Frame, Link, Peer};

const MOMENT: Duration = Duration::from_millis(50);

fn options(peer: &Peer) -> Options {
    Options::new("127.0.0.1")
        .port(peer.port())
        .client_id("device")
        .reconnect(soon())
}

fn connected(peer: &Peer, options: Options) -> (Device, Link) {
    let device = Device::start(options);
    let link = peer.accept_session();
    device.connected();
    (device, link)
}

/// PUBLISH "a" at QoS 1 for version 3.1.1, its payload the identifier.
fn incoming(identifier: u8) -> [u8; 8] {
    [0x32, 6, 0, 1, b'a', 0, identifier, identifier]
}

fn payload(frame: &Frame) -> &[u8] {
    match frame.packet() {
        Packet::Publish(Publish { payload, .. }) => payload,
        other => panic!("PUBLISH expected, not {other:?}"),
    }
}

#[test]
fn a_reply_is_published_while_the_message_is_held() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer));
    link.sends_bytes(&incoming(7));
    let message = device
        .executor
        .wait(device.inbox.next())
        .expect("a message");
    let reply = Message::new("reply", message.payload()).at_least_once();
    let mut delivery = device
        .executor
        .wait(device.client.publish(&reply))
        .expect("room");
    let frame = link.expects(PacketType::Publish);
    assert_eq!(payload(&frame), [7]);
    link.expects_silence(MOMENT);

    drop(message);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 7);
    link.sends_ack(PacketType::PubAck, frame.identifier());
    device.wait(delivery.acknowledged()).expect("acknowledged");
}

#[test]
fn a_held_message_does_not_stop_the_pings() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer).keep_alive_s(1));
    link.sends_bytes(&incoming(1));
    let message = device.message();
    link.expects(PacketType::PingReq);
    drop(message);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 1);
}

#[test]
fn publishing_without_room_while_a_message_is_held_does_not_wait_for_ever() {
    let peer = Peer::new();
    let options = options(&peer).tx_buffer(1024).outbox(OutboxPolicy::Wait);
    let (mut device, mut link) = connected(&peer, options);
    link.sends_bytes(&incoming(1));
    let message = device
        .executor
        .wait(device.inbox.next())
        .expect("a message");
    let large = Message::new("b", &[0; 200]).at_least_once();
    let refused = (0..20).find_map(|_| {
        let published = device.executor.wait(device.client.publish(&large));
        published.err()
    });
    assert_eq!(refused, Some(PublishError::Full));
    drop(message);
}

#[test]
fn deferred_acknowledgements_let_reading_go_on() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer));
    link.sends_bytes(&[incoming(1), incoming(2)].concat());
    let first = device.message().defer_ack().expect("QoS 1");
    let second = device.message().defer_ack().expect("QoS 1");
    link.expects_silence(MOMENT);
    device.client.acknowledge(first);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 1);
    device.client.acknowledge(second);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 2);
}

#[test]
fn a_doubled_qos_2_message_is_delivered_once() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer));
    link.sends("34 06 0001 61 0005 78");
    assert_eq!(device.message().payload(), b"x");
    link.expects(PacketType::PubRec);
    link.sends("3c 06 0001 61 0005 78");
    link.expects(PacketType::PubRec);
    link.sends_ack(PacketType::PubRel, 5);
    link.expects(PacketType::PubComp);
    assert!(device.hears_nothing(MOMENT));
}

#[test]
fn a_qos_2_message_is_not_delivered_again_over_a_new_link() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer).clean_session(false));
    link.sends("34 06 0001 61 0005 78");
    let message = device.message();
    assert_eq!(message.payload(), b"x");
    link.closes();
    // The acknowledgement goes to a link that is gone.
    drop(message);
    repeats_the_qos_2_message(&peer);
    assert!(device.hears_nothing(MOMENT));
}

#[test]
fn a_qos_2_message_taken_after_the_end_of_its_link_is_the_only_one() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer).clean_session(false));
    link.sends("34 06 0001 61 0005 78");
    // Time for the client to read it.
    link.expects_silence(MOMENT);
    link.closes();
    assert_eq!(device.message().payload(), b"x");
    repeats_the_qos_2_message(&peer);
    assert!(device.hears_nothing(MOMENT));
}

fn repeats_the_qos_2_message(peer: &Peer) {
    let mut link = peer.accept();
    link.expects_connect();
    link.sends_connack(true);
    link.sends("3c 06 0001 61 0005 78");
    assert_eq!(link.expects(PacketType::PubRec).identifier(), 5);
    link.sends_ack(PacketType::PubRel, 5);
    assert_eq!(link.expects(PacketType::PubComp).identifier(), 5);
}

#[test]
fn dropped_futures_lose_no_message() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer));
    for identifier in 1..=100 {
        // Polled once and dropped, before, while and after the message comes.
        assert!(device.hears_nothing(Duration::ZERO));
        link.sends_bytes(&incoming(identifier));
        let message = loop {
            let next = device.inbox.next();
            if let Some(message) = device.executor.wait_at_most(Duration::ZERO, next) {
                break message.expect("a message");
            }
        };
        assert_eq!(message.payload(), [identifier]);
        drop(message);
        assert_eq!(
            link.expects(PacketType::PubAck).identifier(),
            u16::from(identifier)
        );
    }
}

#[test]
fn a_dropped_publish_is_published_whole_or_not_at_all() {
    let peer = Peer::new();
    let (device, mut link) = connected(&peer, options(&peer).tx_buffer(1024).max_in_flight(1));
    let large = Message::new("b", &[0; 300]).at_least_once();
    let publish = || {
        let publish = device.client.publish(&large);
        device.executor.wait_at_most(Duration::ZERO, publish)
    };
    let accepted = (0..20).filter(|_| publish().is_some()).count();
    assert!((1..20).contains(&accepted), "{accepted}");
    for _ in 0..accepted {
        let frame = link.expects(PacketType::Publish);
        link.sends_ack(PacketType::PubAck, frame.identifier());
    }
    link.expects_silence(MOMENT);
    drop(device.publish(&Message::new("b", b"last")));
    assert_eq!(payload(&link.expects(PacketType::Publish)), b"last");
}

#[test]
fn a_delivery_can_be_awaited_in_pieces_or_not_at_all() {
    let peer = Peer::new();
    let (device, mut link) = connected(&peer, options(&peer));
    let mut delivery = device.publish(&Message::new("b", b"1").at_least_once());
    drop(device.publish(&Message::new("b", b"2").at_least_once()));
    let early = device
        .executor
        .wait_at_most(MOMENT, delivery.acknowledged());
    assert!(early.is_none());
    for _ in 0..2 {
        let frame = link.expects(PacketType::Publish);
        link.sends_ack(PacketType::PubAck, frame.identifier());
    }
    device.wait(delivery.acknowledged()).expect("acknowledged");
}

#[test]
fn a_dropped_subscribe_harms_nobody() {
    let peer = Peer::new();
    let (device, mut link) = connected(&peer, options(&peer));
    let subscribe = device.client.subscribe("a", QoS::AtLeastOnce);
    assert!(device.executor.wait_at_most(MOMENT, subscribe).is_none());
    let identifier = link.expects(PacketType::Subscribe).identifier();
    link.sends_suback(identifier, &[1]);
    let link = answering(link);
    let granted = device.wait(device.client.subscribe("b", QoS::ExactlyOnce));
    assert_eq!(granted, Ok(QoS::AtMostOnce));
    let _ = link.join().expect("a SUBSCRIBE");
}

/// Grants QoS 0 to the next SUBSCRIBE.
fn answering(mut link: Link) -> std::thread::JoinHandle<Link> {
    std::thread::spawn(move || {
        let identifier = link.expects(PacketType::Subscribe).identifier();
        link.sends_suback(identifier, &[0]);
        link
    })
}

/// PUBLISH "big" at QoS 1 with 5,000 bytes.
fn big() -> Vec<u8> {
    let payload = vec![0x5a; 5000];
    let head = [0x32, 0x8f, 0x27, 0, 3, b'b', b'i', b'g', 0, 9];
    [&head, &payload[..]].concat()
}

#[test]
fn a_message_larger_than_the_buffer_comes_in_chunks() {
    let peer = Peer::new();
    let options = options(&peer).rx_buffer(512).oversize(Oversize::Stream);
    let (mut device, mut link) = connected(&peer, options);
    link.sends_bytes(&big());
    let mut message = device
        .executor
        .wait(device.inbox.next())
        .expect("a message");
    assert!(!message.is_whole());
    assert_eq!(
        (message.topic().as_str(), message.total_len()),
        ("big", 5000)
    );
    let mut received = 0;
    while let Some(chunk) = device.executor.wait(message.chunk()).expect("a link") {
        assert!(chunk.iter().all(|byte| *byte == 0x5a));
        received += chunk.len();
    }
    assert_eq!(received, 5000);
    drop(message);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 9);
    link.sends_bytes(&incoming(1));
    assert_eq!(device.message().payload(), [1]);
}

#[test]
fn a_message_larger_than_the_buffer_is_skipped_and_told() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer).rx_buffer(512));
    link.sends_bytes(&[&big()[..], &incoming(1)].concat());
    let message = device.message();
    assert!(!message.is_whole());
    assert_eq!(
        (message.topic().as_str(), message.total_len()),
        ("big", 5000)
    );
    drop(message);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 9);
    assert_eq!(device.message().payload(), [1]);
}

#[test]
fn a_refused_message_is_an_error_of_its_own_delivery() {
    let peer = Peer::new();
    let (device, mut link) = connected(&peer, options(&peer).version(Version::V5));
    let mut refused = device.publish(&Message::new("b", b"1").at_least_once());
    let mut accepted = device.publish(&Message::new("b", b"2").at_least_once());
    let [high, low] = link.expects(PacketType::Publish).identifier().to_be_bytes();
    link.sends_bytes(&[0x40, 3, high, low, 0x87]);
    let identifier = link.expects(PacketType::Publish).identifier();
    link.sends_ack(PacketType::PubAck, identifier);
    let result = device.wait(refused.acknowledged());
    assert_eq!(
        result,
        Err(DeliveryError::Rejected(ReasonCode::NOT_AUTHORIZED))
    );
    device.wait(accepted.acknowledged()).expect("acknowledged");
}

#[test]
fn no_more_is_in_flight_than_the_broker_takes() {
    let peer = Peer::new();
    let device = Device::start(options(&peer).version(Version::V5));
    let mut link = peer.accept();
    link.expects_connect();
    // Receive Maximum 2.
    link.sends("20 06 00 00 03 21 0002");
    let _deliveries: Vec<_> = (0..4)
        .map(|_| device.publish(&Message::new("b", b"1").at_least_once()))
        .collect();
    let first = link.expects(PacketType::Publish).identifier();
    link.expects(PacketType::Publish);
    link.expects_silence(MOMENT);
    link.sends_ack(PacketType::PubAck, first);
    link.expects(PacketType::Publish);
    link.expects_silence(MOMENT);
}

#[test]
fn what_the_broker_cannot_do_is_refused_before_a_byte_is_sent() {
    let peer = Peer::new();
    let device = Device::start(options(&peer).version(Version::V5));
    let mut link = peer.accept();
    link.expects_connect();
    // Maximum QoS 0, Retain Available 0.
    link.sends("20 07 00 00 04 24 00 25 00");
    device.connected();
    let publish = |message| device.wait(device.client.publish(&message)).map(drop);
    let message = Message::new("b", b"1");
    assert_eq!(
        publish(message.at_least_once()),
        Err(PublishError::QoSNotSupported)
    );
    assert_eq!(
        publish(message.retain()),
        Err(PublishError::RetainNotSupported)
    );
    link.expects_silence(MOMENT);
    assert_eq!(publish(message), Ok(()));
    link.expects(PacketType::Publish);
}
