//! Links are cut, the broker ends, or is killed, in mid-traffic.

use std::time::Duration;

use mqtt_core::codec::Version;
use mqtt_std::{LinkState, Message};
use mqtt_tests::device::Device;
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};
use mqtt_tests::pair::Pair;
use mqtt_tests::proxy::Proxy;

use super::{VERSIONS, options};

const PERSISTENT: Setup = Setup {
    tls_1_2_only: false,
    persistence: true,
    extra: "",
};

/// The broker knows the subscription before anything is published.
fn connect(broker: &Mosquitto, port: u16, version: Version) -> Pair {
    let topic = match version {
        Version::V3_1_1 => "traffic/3",
        Version::V5 => "traffic/5",
    };
    let options = options(broker, Listener::Plain).port(port).version(version);
    let pair = Pair::connect(&options, topic);
    broker.wait_for_log(topic);
    pair
}

#[test]
fn nothing_is_lost_or_doubled_when_links_are_cut() {
    for version in VERSIONS {
        let broker = Mosquitto::start(Setup::default());
        let proxy = Proxy::start(broker.port(Listener::Plain));
        let mut pair = connect(&broker, proxy.port(), version);
        for round in 0..10 {
            let first = round * 40;
            pair.publishes(first..first + 40);
            pair.receives_until(|received| received.len() > first as usize);
            proxy.cut();
            pair.publisher_has_connected(u16::try_from(round).expect("few rounds") + 2);
        }
        pair.all_are_acknowledged();
        pair.all_have_arrived(0..400);
        pair.none_came_twice();
    }
}

/// That no QoS 2 message comes twice is not asked for: mosquitto 2.0.11 publishes again after its
/// restart what it had already released by PUBREL.
#[test]
fn nothing_is_lost_when_the_broker_restarts() {
    for version in VERSIONS {
        let mut broker = Mosquitto::start(PERSISTENT);
        let mut pair = connect(&broker, broker.port(Listener::Plain), version);
        for round in 0..4 {
            let first = round * 100;
            pair.publishes(first..first + 50);
            broker.terminate();
            pair.publishes(first + 50..first + 100);
            broker.start_again();
            pair.receives_until(|received| received.len() > first as usize);
        }
        pair.all_are_acknowledged();
        pair.all_have_arrived(0..400);
    }
}

#[test]
fn what_a_killed_broker_did_not_acknowledge_is_sent_again() {
    for version in VERSIONS {
        let mut broker = Mosquitto::start(PERSISTENT);
        let mut pair = connect(&broker, broker.port(Listener::Plain), version);
        pair.publishes([0]);
        pair.receives_until(|received| received.len() == 1);
        // At QoS 1 only: a PUBREC, too, makes a message the broker's, and the client keeps it to itself.
        pair.publishes((2..400).step_by(2));
        broker.kill();
        pair.publisher_notices();
        // What was acknowledged is the broker's to keep, and it was killed.
        let mut promised = pair.pending();
        assert!(!promised.is_empty());
        pair.publishes((400..500).step_by(2));
        promised.extend((400..500).step_by(2));
        broker.start_again();
        pair.all_are_acknowledged();
        pair.all_have_arrived(promised);
    }
}

#[test]
fn a_broker_without_memory_gets_subscriptions_and_messages_again() {
    for version in VERSIONS {
        let mut broker = Mosquitto::start(Setup::default());
        let mut pair = connect(&broker, broker.port(Listener::Plain), version);
        broker.kill();
        pair.publisher_notices();
        pair.publishes(0..20);
        broker.start_again();
        pair.all_are_acknowledged();
        pair.subscribes_again(20);
    }
}

#[test]
fn a_broker_that_stands_still_is_noticed_and_left() {
    let broker = Mosquitto::start(Setup::default());
    let options = options(&broker, Listener::Plain)
        .keep_alive_s(1)
        .ping_timeout(Duration::from_millis(300))
        .connack_timeout(Duration::from_millis(300));
    let device = Device::connect(options);
    broker.pause();
    let before = device.client.state();
    let state = device.wait(device.client.state_change(before));
    assert!(matches!(state, LinkState::Waiting { .. }), "{state:?}");
    broker.resume();
    device.connected();
    device.delivers(&Message::new("a", b"").at_least_once());
}
