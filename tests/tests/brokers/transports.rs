//! The everyday exchanges over every transport, in both versions.

use std::time::Duration;

use mqtt_core::codec::{QoS, Version};
use mqtt_std::{LinkEnd, LinkState, Message, SessionError};
use mqtt_tests::device::Device;
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};

use super::{VERSIONS, options};

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn tcp() {
    everyday_life(&Mosquitto::start(Setup::default()), Listener::Plain);
}

#[test]
fn tls_1_2() {
    let setup = Setup {
        tls_1_2_only: true,
        ..Setup::default()
    };
    everyday_life(&Mosquitto::start(setup), Listener::Tls);
}

#[test]
fn tls_1_3() {
    everyday_life(&Mosquitto::start(Setup::default()), Listener::Tls13);
}

#[test]
fn client_certificate() {
    everyday_life(
        &Mosquitto::start(Setup::default()),
        Listener::ClientCertificate,
    );
}

#[test]
fn websocket() {
    everyday_life(&Mosquitto::start(Setup::default()), Listener::WebSocket);
}

#[test]
fn secure_websocket() {
    everyday_life(
        &Mosquitto::start(Setup::default()),
        Listener::SecureWebSocket,
    );
}

#[test]
fn a_client_without_certificate_is_told_so() {
    let broker = Mosquitto::start(Setup::default());
    let port = broker.port(Listener::ClientCertificate);
    let options = options(&broker, Listener::Tls).port(port).fail_fast(true);
    let error = Device::start(options).ends().expect_err("no certificate");
    assert!(error.to_string().contains("certificate"), "{error}");
}

fn everyday_life(broker: &Mosquitto, listener: Listener) {
    for version in VERSIONS {
        messages_go_both_ways(broker, listener, version);
        retained_messages_are_kept(broker, listener, version);
        a_will_is_published(broker, listener, version);
        a_wrong_password_is_refused(broker, listener, version);
    }
}

fn messages_go_both_ways(broker: &Mosquitto, listener: Listener, version: Version) {
    let mut device = Device::connect(options(broker, listener).version(version));
    for granted in ALL_QOS {
        let subscribe = device.client.subscribe("both/#", granted);
        assert_eq!(device.wait(subscribe), Ok(granted));
        for qos in ALL_QOS {
            let payload = format!("{granted:?} {qos:?}");
            let mut delivery =
                device.publish(&Message::new("both/ways", payload.as_bytes()).qos(qos));
            let message = device.message();
            assert_eq!(message.topic().as_str(), "both/ways");
            assert_eq!(message.payload(), payload.as_bytes());
            assert_eq!(message.qos(), qos.min(granted));
            assert!(!message.retain() && !message.dup());
            // The acknowledgement may lie behind the message.
            drop(message);
            device.wait(delivery.acknowledged()).expect("acknowledged");
        }
    }
    device
        .wait(device.client.unsubscribe("both/#"))
        .expect("unsubscribed");
    device.delivers(&Message::new("both/ways", b"unheard").at_least_once());
    assert!(device.hears_nothing(Duration::from_millis(30)));
    device.wait(device.client.disconnect());
    device.ends().expect("a clean end");
}

fn retained_messages_are_kept(broker: &Mosquitto, listener: Listener, version: Version) {
    let mut device = Device::connect(options(broker, listener).version(version));
    let message = Message::new("kept", b"value").at_least_once().retain();
    device.delivers(&message);
    let subscribe = device.client.subscribe("kept", QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    let kept = device.message();
    assert_eq!((kept.payload(), kept.retain()), (&b"value"[..], true));
    drop(kept);
    drop(device.publish(&Message::new("kept", b"").at_least_once().retain()));
    assert_eq!(device.message().payload(), b"");
}

fn a_will_is_published(broker: &Mosquitto, listener: Listener, version: Version) {
    let mut heir = Device::connect(options(broker, listener).version(version));
    let subscribe = heir.client.subscribe("will", QoS::ExactlyOnce);
    heir.wait(subscribe).expect("subscribed");
    let options =
        options(broker, listener)
            .version(version)
            .will("will", "gone", QoS::AtLeastOnce, false);
    drop(Device::connect(options));
    let will = heir.message();
    assert_eq!(
        (will.payload(), will.qos()),
        (&b"gone"[..], QoS::AtLeastOnce)
    );
}

fn a_wrong_password_is_refused(broker: &Mosquitto, listener: Listener, version: Version) {
    let options = options(broker, listener).version(version).password("wrong");
    let mut device = Device::start(options);
    device.ends().expect_err("a refusal");
    let code = match device.client.state() {
        LinkState::Stopped(LinkEnd::Session(SessionError::Refused(code))) => code.value(),
        other => panic!("{other:?}"),
    };
    // Not authorized.
    assert_eq!(code, if version == Version::V5 { 0x87 } else { 5 });
}
