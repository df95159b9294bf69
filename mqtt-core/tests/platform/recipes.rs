//! Recipes for a plain broker, against measured packets.

use crate::support::{Vector, packet_of, vectors, write};
use mqtt_core::{
    Message, QoS,
    codec::{
        Connect, DecodeError, FixedHeader, Packet, Subscribe, Subscription, TopicFilter, TopicName,
        Version,
    },
    platform::recipes::Presence,
    session::Options,
};

fn all_vectors() -> Vec<Vector> {
    vectors(include_str!("vectors/plain-mqtt.json"))
}

fn vector(name: &str) -> Vector {
    all_vectors()
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

fn presence() -> Presence<'static> {
    Presence::new(TopicName::new("presence/dev-1").unwrap())
}

#[test]
fn presence_is_a_retained_will_that_online_takes_back() {
    let bytes = vector("connect-with-presence-will").packet().unwrap();
    let mut connect = Connect::new("dev-1");
    connect.keep_alive = 30;
    connect.will = Some(presence().will());
    assert_eq!(packet_of(&bytes), Packet::Connect(connect));
    let mut out = [0; 64];
    let len = connect.encode(Version::V3_1_1, &mut out).unwrap();
    assert_eq!(out[..len], bytes);

    vector("presence-online").assert_is(&write(&presence().online()).unwrap());
    let offline = write(&presence().offline()).unwrap();
    assert_eq!((offline.text(), offline.retain), ("false", true));
}

#[test]
fn who_watches_learns_who_is_there() {
    let fired = vector("presence-will-fired");
    let topic = fired.text("topic").as_bytes();
    assert_eq!(presence().read(topic, &fired.payload()), Some(false));
    assert_eq!(presence().read(topic, b"true"), Some(true));
    assert_eq!(presence().read(topic, b"maybe"), None);
    assert_eq!(presence().read(b"presence/dev-2", b"true"), None);
}

#[test]
fn each_client_has_an_inbox() {
    let subscriptions = [Subscription::new(
        TopicFilter::new("dev-1/in").unwrap(),
        QoS::AtLeastOnce,
    )];
    let options = Options::new("dev-1").subscriptions(&subscriptions);
    let bytes = vector("subscribe-inbox").packet().unwrap();
    let Packet::Subscribe(subscribe) = packet_of(&bytes) else {
        panic!("a SUBSCRIBE")
    };
    let ours = Subscribe::new(subscribe.packet_identifier, options.subscriptions);
    let mut out = [0; 64];
    let len = ours.encode(Version::V3_1_1, &mut out).unwrap();
    assert_eq!(out[..len], bytes);
}

#[test]
fn a_plain_message_is_a_message() {
    let written = write(&Message::new("dw/demo", b"hello world!")).unwrap();
    let vector = vector("demo-publish");
    assert_eq!(
        (vector.text("topic"), vector.payload()),
        (written.topic.as_str(), written.payload)
    );
}

#[test]
fn what_servers_answer_is_read_and_what_they_must_not_send_is_refused() {
    let decode = |bytes: &[u8]| {
        let (header, len) = FixedHeader::decode(bytes, Version::V3_1_1)?.unwrap();
        Packet::decode(header, &bytes[len..], Version::V3_1_1).map(|_| ())
    };
    let mut decoded = 0;
    for vector in all_vectors() {
        let Some(bytes) = vector.packet() else {
            continue;
        };
        decoded += 1;
        let result: Result<(), DecodeError> = decode(&bytes);
        assert_eq!(result.is_err(), vector.is_malformed(), "{}", vector.name());
    }
    assert_eq!(decoded, 11);
}
