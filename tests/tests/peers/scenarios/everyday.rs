//! Passwords, messages of every kind, retained ones, wills, filters.

use mqtt_core::codec::QoS;
use mqtt_std::{DeliveryError, Message, Oversize, Reconnect};
use mqtt_tests::device::Device;

use crate::expected::of;
use crate::{Stage, end_of};

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub(super) fn a_wrong_password_is_refused(stage: Stage<'_>) {
    let options = stage.options().password("wrong");
    let end = end_of(&mut Device::start(options.reconnect(Reconnect::never())));
    assert_eq!(end, of(stage.version, stage.expected.wrong_password));
}

pub(super) fn every_qos_both_ways(stage: Stage<'_>) {
    let expected = stage.expected;
    let mut device = Device::connect(stage.options());
    for wanted in ALL_QOS {
        let topic = stage.name(&format!("both/ways/{wanted:?}"));
        let granted = device.wait(device.client.subscribe(&topic, wanted));
        assert_eq!(granted, Ok(wanted.min(expected.best_qos)));
        for qos in ALL_QOS {
            if qos == QoS::ExactlyOnce && expected.exactly_once_ends_link.is_some() {
                continue;
            }
            let mut delivery = device.publish(&Message::new(&topic, &[7]).qos(qos));
            let message = device.message();
            assert_eq!(message.topic().as_str(), topic);
            assert_eq!(message.payload(), [7]);
            assert_eq!(message.qos(), expected.delivered(qos, wanted));
            assert!(!message.retain() && !message.dup());
            // The acknowledgement may lie behind the message.
            drop(message);
            device.wait(delivery.acknowledged()).expect("acknowledged");
        }
    }
    assert_eq!(device.client.report().session.connections, 1);
}

/// A message at QoS 2 on which the link ends must not keep the device from working for ever.
pub(super) fn qos_2_works_or_is_given_up(stage: Stage<'_>) {
    let options = stage
        .options()
        .client_id(format!("exact-{:?}", stage.version))
        .clean_session(false)
        // RabbitMQ keeps a session for those that have subscribed.
        .subscribe(stage.name("exact"), QoS::AtLeastOnce)
        .poison_after(2);
    let message = Message::new("a", &[7]).exactly_once();
    let device = Device::connect(options.clone());
    let mut delivery = device.publish(&message);
    let outcome = device.wait(delivery.acknowledged());
    device.delivers(&Message::new("a", &[8]).at_least_once());
    let Some(end) = stage.expected.exactly_once_ends_link else {
        return assert!(outcome.is_ok(), "{outcome:?}");
    };
    assert_eq!(outcome, Err(DeliveryError::Poison));
    let mut device = Device::connect(options.reconnect(Reconnect::never()));
    drop(device.publish(&message));
    assert_eq!(end_of(&mut device), end);
}

/// Both clients have buffers of 4 KiB.
pub(super) fn a_hundred_kilobytes_in_chunks(stage: Stage<'_>) {
    const LEN: u32 = 100_000;
    let content: Vec<u8> = (0_u8..=250).cycle().take(LEN as usize).collect();
    let topic = stage.name("large");
    let options = || stage.options().tx_buffer(4096).rx_buffer(4096);
    let mut receiver = Device::connect(options().oversize(Oversize::Stream));
    let subscribe = receiver.client.subscribe(&topic, QoS::AtLeastOnce);
    receiver.wait(subscribe).expect("subscribed");
    let sender = Device::connect(options());
    let head = Message::new(&topic, b"").at_least_once();
    let mut reader = &content[..];
    let stream = sender.client.publish_stream(&head, LEN, &mut reader);
    let mut delivery = sender.wait(stream).expect("streamed");

    let Device {
        executor, inbox, ..
    } = &mut receiver;
    let mut message = executor.wait(inbox.next()).expect("a message");
    assert_eq!(message.total_len(), LEN);
    let mut arrived = Vec::new();
    while let Some(chunk) = executor.wait(message.chunk()).expect("a link") {
        arrived.extend_from_slice(chunk);
    }
    assert!(arrived == content, "{} bytes differ", arrived.len());
    drop(message);
    sender.wait(delivery.acknowledged()).expect("acknowledged");
}

pub(super) fn a_retained_message_is_kept_then_cleared(stage: Stage<'_>) {
    let topic = stage.name("kept");
    let publisher = Device::connect(stage.options());
    publisher.delivers(&Message::new(&topic, b"value").at_least_once().retain());

    let mut device = Device::connect(stage.options());
    let subscribe = device.client.subscribe(&topic, QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    let kept = device.message();
    assert_eq!((kept.payload(), kept.retain()), (&b"value"[..], true));
    drop(kept);
    // To those who are there it is news.
    publisher.delivers(&Message::new(&topic, b"").at_least_once().retain());
    let cleared = device.message();
    assert_eq!((cleared.payload(), cleared.retain()), (&b""[..], false));
    drop(cleared);

    let mut late = Device::connect(stage.options());
    let subscribe = late.client.subscribe(&topic, QoS::AtLeastOnce);
    late.wait(subscribe).expect("subscribed");
    publisher.delivers(&Message::new(&topic, b"first").at_least_once());
    assert_eq!(late.message().payload(), b"first");
}

pub(super) fn a_will_is_published_on_death(stage: Stage<'_>) {
    let topic = stage.name("will");
    let mut heir = Device::connect(stage.options());
    let subscribe = heir.client.subscribe(&topic, QoS::AtLeastOnce);
    heir.wait(subscribe).expect("subscribed");
    let options = stage
        .options()
        .will(&topic, "gone", QoS::AtLeastOnce, false);
    // In good order first: then there is none.
    let mut leaving = Device::connect(options.clone());
    leaving.wait(leaving.client.disconnect());
    leaving.ends().expect("a clean end");
    drop(Device::connect(options));
    assert_eq!(heir.message().payload(), b"gone");
    drop(heir.publish(&Message::new(&topic, b"last").at_least_once()));
    assert_eq!(heir.message().payload(), b"last");
}

pub(super) fn wildcards_and_overlapping_subscriptions(stage: Stage<'_>) {
    let [one_level, many_levels] = ["house/+/light", "house/#"].map(|filter| stage.name(filter));
    let mut device = Device::connect(stage.options());
    let subscribe = device.client.subscribe(&one_level, QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    let publishes = |device: &Device, topic: &str| {
        let topic = stage.name(topic);
        drop(device.publish(&Message::new(&topic, topic.as_bytes()).at_least_once()));
    };
    let hears = |device: &mut Device, topic: &str| {
        assert_eq!(device.message().topic().as_str(), stage.name(topic));
    };
    // One level is neither none nor two.
    for topic in [
        "house/light",
        "house/a/b/light",
        "house/a/lamp",
        "house/a/light",
    ] {
        publishes(&device, topic);
    }
    hears(&mut device, "house/a/light");
    let subscribe = device.client.subscribe(&many_levels, QoS::AtLeastOnce);
    device.wait(subscribe).expect("subscribed");
    // Many levels are none as well; both filters match the one in the middle.
    for topic in ["house", "house/b/light", "house/a/b/light"] {
        publishes(&device, topic);
    }
    hears(&mut device, "house");
    for _ in 0..of(stage.version, stage.expected.overlapping) {
        hears(&mut device, "house/b/light");
    }
    hears(&mut device, "house/a/b/light");
}
