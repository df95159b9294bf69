//! The client of `mqtt-std` against a scripted broker: what it sends, when, and what it makes of the answers.

use std::time::{Duration, Instant};

use mqtt_core::codec::{Packet, PacketType, Publish, QoS};
use mqtt_std::{
    LinkEnd, LinkState, Message, Options, ReasonCode, Reconnect, SessionError, Version,
};
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
    assert!(!device.connected());
    (device, link)
}

fn publish(frame: &Frame) -> Publish<'_> {
    match frame.packet() {
        Packet::Publish(publish) => publish,
        other => panic!("PUBLISH expected, not {other:?}"),
    }
}

#[test]
fn a_resumed_session_goes_on_where_it_stopped() {
    let peer = Peer::new();
    let (device, mut link) = connected(&peer, options(&peer).clean_session(false));
    let mut once = device.publish(&Message::new("a", b"1").at_least_once());
    let mut exactly = device.publish(&Message::new("b", b"2").exactly_once());
    let first = link.expects(PacketType::Publish).identifier();
    let second = link.expects(PacketType::Publish).identifier();
    link.sends_ack(PacketType::PubRec, second);
    link.expects(PacketType::PubRel);
    link.closes();

    let mut link = peer.accept();
    link.expects_connect();
    link.sends_connack(true);
    // Their order is free, only that among PUBLISH and that among PUBREL is not.
    let mut frames = [link.expects_any(), link.expects_any()];
    frames.sort_by_key(|frame| frame.packet_type() as u8);
    let [resent, pubrel] = &frames;
    assert_eq!(resent.identifier(), first);
    assert!(publish(resent).dup);
    assert_eq!(pubrel.packet_type(), PacketType::PubRel);
    assert_eq!(pubrel.identifier(), second);
    link.sends_ack(PacketType::PubAck, first);
    link.sends_ack(PacketType::PubComp, second);
    device.wait(once.acknowledged()).expect("acknowledged");
    device.wait(exactly.acknowledged()).expect("acknowledged");
}

#[test]
fn without_a_session_all_is_sent_again_as_new() {
    let peer = Peer::new();
    let options = options(&peer)
        .clean_session(false)
        .subscribe("a/#", QoS::AtLeastOnce);
    let device = Device::start(options);
    let mut link = peer.accept_session();
    let subscribe = link.expects(PacketType::Subscribe);
    link.sends_suback(subscribe.identifier(), &[1]);
    let mut delivery = device.publish(&Message::new("a", b"1").at_least_once());
    link.expects(PacketType::Publish);
    link.closes();

    let mut link = peer.accept_session();
    let again = link.expects(PacketType::Subscribe);
    assert_eq!(again.filters(), ["a/#"]);
    link.sends_suback(again.identifier(), &[1]);
    let frame = link.expects(PacketType::Publish);
    assert!(!publish(&frame).dup);
    link.sends_ack(PacketType::PubAck, frame.identifier());
    device.wait(delivery.acknowledged()).expect("acknowledged");
}

#[test]
fn subscriptions_that_the_broker_kept_are_not_sent_again() {
    let peer = Peer::new();
    let options = options(&peer)
        .clean_session(false)
        .subscribe("a/#", QoS::AtLeastOnce);
    let _device = Device::start(options);
    let mut link = peer.accept_session();
    let subscribe = link.expects(PacketType::Subscribe);
    link.sends_suback(subscribe.identifier(), &[1]);
    link.closes();

    let mut link = peer.accept();
    link.expects_connect();
    link.sends_connack(true);
    link.expects_silence(MOMENT);
}

#[test]
fn refused_credentials_are_final() {
    for (version, connack, code) in [
        (Version::V3_1_1, "20 02 00 04", 4),
        (Version::V5, "20 03 00 86 00", 0x86),
    ] {
        let peer = Peer::new();
        let mut device = Device::start(options(&peer).version(version));
        let mut link = peer.accept();
        link.expects_connect();
        link.sends(connack);
        link.expects_close();
        device.ends().expect_err("a refusal");
        match device.client.state() {
            LinkState::Stopped(LinkEnd::Session(SessionError::Refused(refusal))) => {
                assert_eq!(refusal.value(), code);
            }
            other => panic!("{other:?}"),
        }
        assert!(peer.accept_within(4 * MOMENT).is_none());
    }
}

#[test]
fn a_refusal_for_the_moment_is_tried_again() {
    let peer = Peer::new();
    let device = Device::start(options(&peer));
    let mut link = peer.accept();
    link.expects_connect();
    link.sends("20 02 00 03");
    link.expects_close();
    let _link = peer.accept_session();
    device.connected();
}

/// MQTT 3.1.1 [MQTT-3.14.4-1]
/// MQTT 5 [MQTT-3.14.4-2]
#[test]
fn disconnect_is_sent_and_ends_the_run() {
    for (version, bytes) in [(Version::V3_1_1, "e000"), (Version::V5, "e000")] {
        let peer = Peer::new();
        let (mut device, mut link) = connected(&peer, options(&peer).version(version));
        device.wait(device.client.disconnect());
        assert_eq!(link.expects(PacketType::Disconnect).hex(), bytes);
        link.expects_close();
        device.ends().expect("no error");
        assert_eq!(
            device.client.state(),
            LinkState::Stopped(LinkEnd::Disconnected)
        );
        assert!(peer.accept_within(MOMENT).is_none());
    }
}

#[test]
fn the_will_is_left_to_the_broker_on_demand() {
    let peer = Peer::new();
    let (mut device, mut link) = connected(&peer, options(&peer).version(Version::V5));
    device.wait(device.client.disconnect_with_will());
    let frame = link.expects(PacketType::Disconnect);
    let Packet::Disconnect(disconnect) = frame.packet() else {
        unreachable!("{frame:?}");
    };
    assert_eq!(disconnect.code, ReasonCode::DISCONNECT_WITH_WILL_MESSAGE);
    device.ends().expect("no error");
}

#[test]
fn silence_is_broken_by_a_ping_and_ended_when_nobody_answers() {
    let peer = Peer::new();
    let options = options(&peer).keep_alive_s(1).ping_timeout(2 * MOMENT);
    let (device, mut link) = connected(&peer, options);
    let start = Instant::now();
    link.expects(PacketType::PingReq);
    assert!(start.elapsed() <= Duration::from_millis(1100));
    link.sends("d0 00");
    link.expects(PacketType::PingReq);
    let before = LinkState::Connected {
        session_present: false,
    };
    let state = device.wait(device.client.state_change(before));
    let end = LinkEnd::Session(SessionError::PingTimeout);
    assert!(
        matches!(state, LinkState::Waiting { end: e, .. } if e == end),
        "{state:?}"
    );
    link.expects_close();
}

#[test]
fn a_missing_connack_is_not_waited_for_for_ever() {
    let peer = Peer::new();
    let options = options(&peer)
        .reconnect(Reconnect::never())
        .connack_timeout(MOMENT);
    let mut device = Device::start(options);
    let mut link = peer.accept();
    link.expects_connect();
    link.expects_close();
    device.ends().expect_err("a time-out");
    assert_eq!(
        device.client.state(),
        LinkState::Stopped(LinkEnd::Session(SessionError::ConnAckTimeout))
    );
}

#[test]
fn back_off_grows_and_gives_up() {
    let peer = Peer::new();
    let reconnect = Reconnect {
        floor_ms: 20,
        max_attempts: 4,
        ..soon()
    };
    let mut device = Device::start(options(&peer).reconnect(reconnect));
    let mut last = Instant::now();
    for attempt in 0..4 {
        let mut link = peer.accept();
        let waited = last.elapsed();
        assert!(
            attempt == 0 || waited >= Duration::from_millis(20),
            "{waited:?}"
        );
        last = Instant::now();
        link.expects_connect();
        link.closes();
    }
    device.ends().expect_err("it gave up");
    assert!(peer.accept_within(4 * MOMENT).is_none());
}

/// All can be used in tasks of a runtime with many threads.
#[test]
fn futures_can_go_to_other_threads() {
    fn sent<T: Send>(_: T) {}
    let (client, mut inbox, mut runner) = mqtt_std::new(Options::new("127.0.0.1")).expect("good");
    let message = Message::new("a", b"");
    let mut reader = &b"1"[..];
    let mut delivery = client.try_publish(&message).expect("room");
    sent(client.publish(&message));
    sent(client.publish_stream(&message, 1, &mut reader));
    sent(client.subscribe("a", QoS::AtLeastOnce));
    sent(client.unsubscribe("a"));
    sent(client.disconnect());
    sent(client.connected());
    sent(delivery.acknowledged());
    sent(inbox.next());
    sent(runner.run());
    sent((client, inbox, runner, delivery));
}
