//! The blocking client against a broker of a few lines.

mod common;

use std::{io::Cursor, thread, time::Duration};

use common::{Broker, LIMIT, closed_port, reporting};
use mqtt_core::codec::{Packet, Publish};
use mqtt_std::{
    ConnectFailure, Error, Instant, Message, Options, OutboxFile, Oversize, Properties, Property,
    QoS, Reconnect, TopicName, Version,
    blocking::{self, Client, Inbox},
};

fn connect(broker: &Broker) -> (Client, Inbox) {
    blocking::connect(Options::from_url(&broker.url()).unwrap()).unwrap()
}

fn echoing() -> Broker {
    Broker::once(|mut link| {
        link.accept();
        assert!(link.echo());
    })
}

#[test]
fn publishes_subscribes_receives_and_takes_leave() {
    let broker = echoing();
    let (client, mut inbox) = connect(&broker);
    assert_eq!(
        client.subscribe_timeout("a", QoS::AtLeastOnce, LIMIT),
        Some(Ok(QoS::AtLeastOnce))
    );
    let code = client.publish_and_wait_timeout(&Message::new("a", b"one").at_least_once(), LIMIT);
    assert!(code.unwrap().is_ok());
    {
        let message = inbox.next_timeout(LIMIT).unwrap().unwrap();
        assert_eq!(
            (message.topic().as_str(), message.payload()),
            ("a", &b"one"[..])
        );
    }
    let mut delivery = client
        .publish(&Message::new("a", b"two").at_least_once())
        .unwrap();
    assert!(delivery.acknowledged_timeout(LIMIT).unwrap().is_ok());
    assert_eq!(inbox.iter_timeout(LIMIT).next().unwrap().payload(), b"two");
    client.disconnect().unwrap();
    assert!(inbox.next_timeout(LIMIT).unwrap().is_err());
    assert!(inbox.iter().next().is_none());
    assert!(inbox.failure().is_none());
    broker.finish();
}

#[test]
fn an_outbox_delivers_what_an_earlier_one_has_accepted() {
    let path = std::env::temp_dir().join(format!("mqtt-blocking-{}", std::process::id()));
    let open = || OutboxFile::open(&path, 1_000).unwrap();
    let broker = echoing();
    let (client, mut inbox) = connect(&broker);
    client.subscribe("a", QoS::AtLeastOnce).unwrap();
    let lost = |_: &Message<'_>, loss| panic!("{loss}");
    let later = |_: &Message<'_>, now: Instant| Err(now.plus(100_000));
    let outbox = blocking::Outbox::start(&client, open(), 100, later, lost).unwrap();
    let message = Message::new("a", b"one").at_least_once();
    outbox.publish_timeout(&message, LIMIT).unwrap().unwrap();
    drop(outbox);
    let outbox = blocking::Outbox::start(&client, open(), 100, |_, _| Ok(()), lost).unwrap();
    outbox
        .publish(&Message::new("a", b"two").at_least_once())
        .unwrap();
    for expected in [b"one", b"two"] {
        let message = inbox.next_timeout(LIMIT).unwrap().unwrap();
        assert_eq!(message.payload(), expected);
    }
    client.disconnect().unwrap();
    drop(outbox);
    broker.finish();
    std::fs::remove_file(path.with_added_extension("lock")).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn silence_is_none_and_loses_nothing() {
    let broker = echoing();
    let (client, mut inbox) = connect(&broker);
    assert!(inbox.next_timeout(Duration::from_millis(10)).is_none());
    client
        .publish_and_wait(&Message::new("a", b"one").at_least_once())
        .unwrap();
    assert_eq!(
        inbox.next_timeout(LIMIT).unwrap().unwrap().payload(),
        b"one"
    );
    client.disconnect().unwrap();
    broker.finish();
}

#[test]
fn a_failed_first_connection_is_returned() {
    let address = closed_port();
    let options = Options::from_url(&format!("mqtt://{address}")).unwrap();
    let error = blocking::connect(options).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                failure: ConnectFailure::Refused,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("cannot connect to {address}: connection refused")
    );
}

#[test]
fn a_refusal_is_returned() {
    let broker = Broker::once(|mut link| {
        assert!(matches!(link.packet(), Some(Packet::Connect(_))));
        link.send(&[0x20, 2, 0, 5]);
    });
    let error = blocking::connect(Options::from_url(&broker.url()).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("broker {} refused: not authorized", broker.address)
    );
    broker.finish();
}

#[test]
fn wrong_options_are_returned() {
    let error = blocking::connect(Options::new("two words")).unwrap_err();
    assert!(matches!(error, Error::Options(_)), "{error:?}");
}

#[test]
fn the_end_of_the_link_reaches_the_inbox() {
    let broker = Broker::once(|mut link| {
        link.accept();
        link.close();
    });
    let options = Options::from_url(&broker.url())
        .unwrap()
        .reconnect(Reconnect::never());
    let (client, mut inbox) = blocking::connect(options).unwrap();
    assert!(inbox.next_timeout(LIMIT).unwrap().is_err());
    assert!(matches!(client.disconnect(), Err(Error::Lost { .. })));
    assert!(matches!(client.failure(), Some(Error::Lost { .. })));
    broker.finish();
}

/// A program that ends when there are no more messages must not take a failure for a good end.
#[test]
fn who_hears_that_the_client_has_stopped_can_ask_why() {
    for _ in 0..50 {
        let broker = Broker::once(|mut link| {
            link.accept();
            link.close();
        });
        let options = Options::from_url(&broker.url())
            .unwrap()
            .reconnect(Reconnect::never());
        let (_client, mut inbox) = blocking::connect(options).unwrap();
        assert!(inbox.next_timeout(LIMIT).unwrap().is_err());
        assert!(matches!(inbox.failure(), Some(Error::Lost { .. })));
        broker.finish();
    }
}

/// What Ctrl-C does: another thread disconnects while this one waits for a message.
#[test]
fn disconnecting_ends_a_wait_in_another_thread() {
    let broker = echoing();
    let (client, mut inbox) = connect(&broker);
    let waiting = thread::spawn(move || inbox.next().map(drop));
    client.disconnect().unwrap();
    assert!(waiting.join().unwrap().is_err());
    broker.finish();
}

#[test]
fn dropping_everything_ends_the_link_without_leave() {
    let (broker, took_leave) = reporting(|mut link| {
        link.accept();
        link.echo()
    });
    let (client, inbox) = connect(&broker);
    drop((client.clone(), inbox));
    client
        .publish_and_wait(&Message::new("a", b"still up").at_least_once())
        .unwrap();
    drop(client);
    assert!(!took_leave.recv_timeout(LIMIT).unwrap());
    broker.finish();
}

#[test]
fn a_copy_is_acknowledged_when_it_is_dropped() {
    let broker = Broker::once(|mut link| {
        link.accept();
        link.publish("a", b"one", 7);
        // The publication of the client comes first: the message is still being processed.
        assert!(matches!(link.packet(), Some(Packet::Publish(_))));
        assert!(
            matches!(link.packet(), Some(Packet::PubAck(ack)) if ack.packet_identifier.get() == 7)
        );
        assert!(link.echo());
    });
    let (client, mut inbox) = connect(&broker);
    let message = inbox.iter_timeout(LIMIT).next().unwrap();
    assert_eq!(
        (message.topic(), message.payload(), message.qos()),
        ("a", &b"one"[..], QoS::AtLeastOnce)
    );
    client
        .publish(&Message::new("b", b"at work"))
        .unwrap()
        .acknowledged()
        .unwrap();
    drop(message);
    client.disconnect().unwrap();
    broker.finish();
}

#[test]
fn a_copy_has_all_of_a_large_message_or_tells_how_large_it_is() {
    for oversize in [Oversize::Stream, Oversize::Skip] {
        let broker = Broker::once(|mut link| {
            link.accept();
            link.publish("large", &[7; 5_000], 1);
            link.publish("small", b"next", 2);
            assert!(link.echo());
        });
        let options = Options::from_url(&broker.url())
            .unwrap()
            .rx_buffer(512)
            .oversize(oversize);
        let (client, mut inbox) = blocking::connect(options).unwrap();
        let mut messages = inbox.iter_timeout(LIMIT);
        let large = messages.next().unwrap();
        assert_eq!((large.topic(), large.total_len()), ("large", 5_000));
        assert_eq!(large.is_whole(), oversize == Oversize::Stream);
        assert_eq!(
            large.payload(),
            if large.is_whole() {
                &[7; 5_000][..]
            } else {
                &[]
            }
        );
        drop(large);
        assert_eq!(messages.next().unwrap().payload(), b"next");
        client.disconnect().unwrap();
        broker.finish();
    }
}

#[test]
fn a_copy_keeps_what_an_answer_needs() {
    let broker = Broker::once(|mut link| {
        link.version = Version::V5;
        link.accept();
        let properties = [
            Property::ContentType("text/plain"),
            Property::ResponseTopic(TopicName::new("answers").unwrap()),
            Property::CorrelationData(b"\0\x01"),
            Property::UserProperty("k", "v"),
        ];
        let publish = Publish {
            properties: Properties::from(&properties),
            ..Publish::new(TopicName::new("ask").unwrap(), b"?")
        };
        let mut bytes = [0; 200];
        let len = publish.encode(Version::V5, &mut bytes).unwrap();
        link.send(&bytes[..len]);
        assert!(link.echo());
    });
    let options = Options::from_url(&broker.url())
        .unwrap()
        .version(Version::V5);
    let (client, mut inbox) = blocking::connect(options).unwrap();
    let message = inbox.iter_timeout(LIMIT).next().unwrap();
    assert_eq!(message.content_type(), Some("text/plain"));
    assert_eq!(message.response_topic(), Some("answers"));
    assert_eq!(message.correlation_data(), Some(&b"\0\x01"[..]));
    assert_eq!(message.user_properties().collect::<Vec<_>>(), [("k", "v")]);
    client.disconnect().unwrap();
    broker.finish();
}

#[test]
fn a_payload_larger_than_the_buffer_is_streamed_from_a_reader() {
    let payload: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (broker, received) = reporting(|mut link| {
        link.accept();
        let Some(Packet::Publish(publish)) = link.packet() else {
            panic!("no publish")
        };
        let payload = publish.payload.to_vec();
        while !matches!(link.packet(), None | Some(Packet::Disconnect(_))) {}
        payload
    });
    let (client, _inbox) = connect(&broker);
    let len = u32::try_from(payload.len()).unwrap();
    let mut delivery = client
        .publish_stream(&Message::new("big", b""), len, &mut Cursor::new(&payload))
        .unwrap();
    delivery.acknowledged().unwrap();
    client.disconnect().unwrap();
    assert!(
        received.recv_timeout(LIMIT).unwrap() == payload,
        "changed on the way"
    );
    broker.finish();
}
