//! What a broker keeps for a device, and whom it takes for the same device.

use std::future::pending;
use std::time::Duration;

use mqtt_core::codec::QoS;
use mqtt_std::{Message, Options, Reconnect};
use mqtt_tests::device::Device;
use mqtt_tests::proxy::Proxy;

use crate::expected::of;
use crate::{Stage, end_of};

/// A device that goes on with a session that an earlier one of that name has left.
fn resident(stage: Stage<'_>, name: &str) -> Options {
    stage.resident(name).session_known(true)
}

pub(super) fn messages_wait_for_a_device_that_is_away(stage: Stage<'_>) {
    messages_are_kept(stage, "sleeper", 5, &[0, 1, 2, 3, 4]);
}

pub(super) fn a_full_queue_drops_by_its_own_rule(stage: Stage<'_>) {
    let bounded = stage.expected.bounded.map(|start| start());
    let broker = bounded.as_deref().unwrap_or(stage.broker);
    let kept = stage.expected.kept.of(15);
    messages_are_kept(Stage { broker, ..stage }, "bounded", 15, &kept);
}

/// Of so many messages for a device that is away, these numbers come when it is back, in that order.
fn messages_are_kept(stage: Stage<'_>, name: &str, sent: u8, kept: &[u8]) {
    let topic = stage.name(name);
    let options = resident(stage, name);
    let mut device = Device::connect(options.clone());
    let subscribe = device.client.subscribe(&topic, QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    device.wait(device.client.disconnect());
    device.ends().expect("a clean end");

    let reporter = Device::connect(stage.options());
    for number in 0..sent {
        reporter.delivers(&Message::new(&topic, &[number]).at_least_once());
    }
    let mut device = Device::start(options);
    assert!(device.connected(), "the session is gone");
    let mut numbers = Vec::new();
    for _ in kept {
        numbers.push(device.message().payload()[0]);
    }
    assert_eq!(numbers, kept);
    // And that is all.
    reporter.delivers(&Message::new(&topic, b"next").at_least_once());
    assert_eq!(device.message().payload(), b"next");
}

pub(super) fn what_was_not_acknowledged_comes_again(stage: Stage<'_>) {
    let topic = stage.name("again");
    let proxy = Proxy::start(stage.broker.port(stage.version));
    let options = resident(stage, "forgetful").port(proxy.port());
    let mut device = Device::connect(options);
    let reporter = Device::connect(stage.options());
    let subscribe = device.client.subscribe(&topic, QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    reporter.delivers(&Message::new(&topic, b"once").at_least_once());
    let message = device.message();
    assert!(!message.dup());
    // Its acknowledgement goes nowhere.
    proxy.cut();
    drop(message);
    let again = device.message();
    assert_eq!(again.payload(), b"once");
    assert_eq!(again.dup(), stage.expected.marks_duplicates);
    drop(again);
    assert_eq!(device.client.report().session.connections, 2);
    // And that is all.
    reporter.delivers(&Message::new(&topic, b"next").at_least_once());
    assert_eq!(device.message().payload(), b"next");
}

pub(super) fn a_second_client_takes_over(stage: Stage<'_>) {
    let options = |reconnect| resident(stage, "twin").reconnect(reconnect);
    let mut first = Device::connect(options(Reconnect::never()));
    let second = Device::connect(options(Reconnect::never()));
    let taken_over = of(stage.version, stage.expected.taken_over);
    assert_eq!(end_of(&mut first), taken_over);
    drop(second);

    // Two that both come back do so after pauses that grow: some twelve times in this while, and not forty times.
    let patient = Reconnect {
        initial_ms: 40,
        max_ms: 2000,
        ..Reconnect::new()
    };
    let (first, second) = (
        Device::connect(options(patient)),
        Device::connect(options(patient)),
    );
    let while_they_fight = Duration::from_millis(1500);
    assert!(
        first
            .executor
            .wait_at_most(while_they_fight, pending::<()>())
            .is_none()
    );
    let attempts = first.client.report().attempts + second.client.report().attempts;
    assert!((4..28).contains(&attempts), "{attempts} attempts");
    // When one gives in, the other one stays.
    drop(second);
    first.connected();
    first.delivers(&Message::new(&stage.name("twin"), b"alone").at_least_once());
}
