//! The blocking facade of `mqtt-std` against a scripted broker.

use std::thread;
use std::time::Duration;

use mqtt_core::codec::{PacketType, QoS};
use mqtt_std::{ConnectFailure, Error, Message, Options, blocking};
use mqtt_tests::device::soon;
use mqtt_tests::peer::{LIMIT, Link, Peer};

const MOMENT: Duration = Duration::from_millis(50);

fn connected() -> (blocking::Client, blocking::Inbox, Link, Peer) {
    let peer = Peer::new();
    let options = Options::new("127.0.0.1")
        .port(peer.port())
        .reconnect(soon());
    let (client, inbox, link) = thread::scope(|scope| {
        let script = scope.spawn(|| peer.accept_session());
        let (client, inbox) = blocking::connect(options).expect("a connection");
        (client, inbox, script.join().expect("a connection"))
    });
    (client, inbox, link, peer)
}

#[test]
fn messages_are_published_and_received() {
    let (client, mut inbox, mut link, _peer) = connected();
    let publish = Message::new("a", b"1").at_least_once();
    assert!(client.publish_and_wait_timeout(&publish, MOMENT).is_none());
    let identifier = link.expects(PacketType::Publish).identifier();
    link.sends_ack(PacketType::PubAck, identifier);

    assert!(inbox.next_timeout(MOMENT).is_none());
    link.sends("32 06 0001 61 0001 78");
    let message = inbox
        .next_timeout(LIMIT)
        .expect("in time")
        .expect("a message");
    assert_eq!(
        (message.payload(), message.qos()),
        (&b"x"[..], QoS::AtLeastOnce)
    );
    drop(message);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 1);
}

#[test]
fn disconnect_says_goodbye_and_ends_the_iterator() {
    let (client, mut inbox, mut link, _peer) = connected();
    link.sends("30 04 0001 61 78");
    let goodbye = thread::spawn(move || {
        link.expects(PacketType::Disconnect);
        link.expects_close();
    });
    let mut received = 0;
    for message in inbox.iter() {
        assert_eq!(message.payload(), b"x");
        received += 1;
        client.disconnect().expect("no error");
    }
    assert_eq!(received, 1);
    goodbye.join().expect("DISCONNECT");
}

#[test]
fn what_is_dropped_is_gone_without_goodbye() {
    let (client, inbox, mut link, peer) = connected();
    drop((client, inbox));
    link.expects_close();
    assert!(peer.accept_within(2 * MOMENT).is_none());
}

#[test]
fn a_closed_port_is_told_at_once() {
    let port = Peer::new().port();
    let error = blocking::connect(Options::new("127.0.0.1").port(port)).expect_err("nobody there");
    let Error::Connect { failure, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(failure, ConnectFailure::Refused), "{failure:?}");
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
}
