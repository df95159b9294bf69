//! What only MQTT 5 has.

use std::num::NonZero;
use std::time::{Duration, Instant};

use mqtt_core::codec::{
    Properties, Property, QoS, ReasonCode, RetainHandling, Subscription, TopicFilter, TopicName,
    Version,
};
use mqtt_std::{Message, Options};
use mqtt_tests::device::Device;
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};
use mqtt_tests::peer::LIMIT;

const MOMENT: Duration = Duration::from_millis(50);

fn options(broker: &Mosquitto) -> Options {
    super::options(broker, Listener::Plain).version(Version::V5)
}

fn subscription(filter: &str) -> Subscription<'_> {
    let filter = TopicFilter::new(filter).expect("a filter");
    Subscription::new(filter, QoS::AtLeastOnce)
}

fn subscribe(device: &Device, subscription: Subscription<'_>, properties: Properties<'_>) {
    let mut codes = [ReasonCode::SUCCESS];
    let filters = [subscription];
    let subscribe = device
        .client
        .subscribe_all(&filters, properties, &mut codes);
    device.wait(subscribe).expect("an answer");
    assert_eq!(codes, [ReasonCode::GRANTED_QOS_1]);
}

#[test]
fn a_response_finds_its_request() {
    let broker = Mosquitto::start(Setup::default());
    let (mut asker, mut teller) = (
        Device::connect(options(&broker)),
        Device::connect(options(&broker)),
    );
    subscribe(&asker, subscription("answers/1"), Properties::NONE);
    subscribe(&teller, subscription("questions"), Properties::NONE);
    let properties = [
        Property::ResponseTopic(TopicName::new("answers/1").expect("a topic")),
        Property::CorrelationData(b"\x00\x2a"),
    ];
    let question = Message::new("questions", b"?").properties(Properties::from(&properties[..]));
    drop(asker.publish(&question));

    let question = teller
        .executor
        .wait(teller.inbox.next())
        .expect("a question");
    let response_topic = question.properties().response_topic().expect("a topic");
    let correlation = question.properties().correlation_data().expect("data");
    let properties = [Property::CorrelationData(correlation)];
    // Sent while the question is held.
    let answer =
        Message::new(response_topic.as_str(), b"!").properties(Properties::from(&properties[..]));
    let published = teller.executor.wait(teller.client.publish(&answer));
    drop(published.expect("room"));

    let answer = asker.message();
    assert_eq!(answer.payload(), b"!");
    assert_eq!(
        answer.properties().correlation_data(),
        Some(&b"\x00\x2a"[..])
    );
}

#[test]
fn a_shared_subscription_shares() {
    let broker = Mosquitto::start(Setup::default());
    let mut workers = [
        Device::connect(options(&broker)),
        Device::connect(options(&broker)),
    ];
    for worker in &workers {
        subscribe(
            worker,
            subscription("$share/workers/jobs/#"),
            Properties::NONE,
        );
    }
    let foreman = Device::connect(options(&broker));
    for number in 0..20 {
        foreman.delivers(&Message::new("jobs/a", &[number]).at_least_once());
    }
    let mut done = [Vec::new(), Vec::new()];
    let deadline = Instant::now() + LIMIT;
    while done.iter().flatten().count() < 20 && Instant::now() < deadline {
        for (worker, done) in workers.iter_mut().zip(&mut done) {
            let job = worker.executor.wait_at_most(MOMENT, worker.inbox.next());
            done.extend(job.map(|job| job.expect("a job").payload()[0]));
        }
    }
    assert!(
        done.iter().all(|done| !done.is_empty()),
        "one worker does it all"
    );
    let mut done = done.concat();
    done.sort_unstable();
    assert!(done.iter().copied().eq(0..20), "{done:?}");
    assert!(
        workers
            .iter_mut()
            .all(|worker| worker.hears_nothing(MOMENT))
    );
}

#[test]
fn a_message_names_the_subscription_it_comes_from() {
    let broker = Mosquitto::start(Setup::default());
    let mut device = Device::connect(options(&broker));
    let identifiers = [7, 300_000].map(|number| NonZero::new(number).expect("not zero"));
    for (filter, identifier) in ["a/#", "b/#"].into_iter().zip(identifiers) {
        let properties = [Property::SubscriptionIdentifier(identifier)];
        subscribe(
            &device,
            subscription(filter),
            Properties::from(&properties[..]),
        );
    }
    for (topic, identifier) in ["a/1", "b/1"].into_iter().zip(identifiers) {
        drop(device.publish(&Message::new(topic, b"")));
        let message = device.message();
        let identifiers: Vec<_> = message.properties().subscription_identifiers().collect();
        assert_eq!(identifiers, [identifier.get()]);
    }
}

#[test]
fn retained_messages_come_when_they_are_asked_for() {
    let broker = Mosquitto::start(Setup::default());
    let mut device = Device::connect(options(&broker));
    device.delivers(&Message::new("kept", b"1").at_least_once().retain());
    let with = |retain_handling| Subscription {
        retain_handling,
        ..subscription("kept")
    };
    subscribe(&device, with(RetainHandling::DoNotSend), Properties::NONE);
    assert!(device.hears_nothing(MOMENT));
    subscribe(&device, with(RetainHandling::SendIfNew), Properties::NONE);
    assert!(device.hears_nothing(MOMENT));
    subscribe(
        &device,
        with(RetainHandling::SendAtSubscribe),
        Properties::NONE,
    );
    assert!(device.message().retain());

    // mosquitto 2.0.11 takes this option of a new subscription only.
    let mut device = Device::connect(options(&broker));
    let as_published = Subscription {
        retain_as_published: true,
        ..with(RetainHandling::DoNotSend)
    };
    subscribe(&device, as_published, Properties::NONE);
    drop(device.publish(&Message::new("kept", b"2").at_least_once().retain()));
    assert!(device.message().retain());
}

#[test]
fn own_messages_stay_away_on_demand() {
    let broker = Mosquitto::start(Setup::default());
    let mut device = Device::connect(options(&broker));
    let no_local = Subscription {
        no_local: true,
        ..subscription("a")
    };
    subscribe(&device, no_local, Properties::NONE);
    device.delivers(&Message::new("a", b"mine").at_least_once());
    assert!(device.hears_nothing(MOMENT));
    Device::connect(options(&broker)).delivers(&Message::new("a", b"yours").at_least_once());
    assert_eq!(device.message().payload(), b"yours");
}

#[test]
fn an_expired_message_does_not_come_any_more() {
    let broker = Mosquitto::start(Setup::default());
    let sleeper = || {
        options(&broker)
            .client_id("sleeper")
            .clean_session(false)
            .session_expiry_s(60)
            .session_known(true)
    };
    let mut device = Device::connect(sleeper());
    subscribe(&device, subscription("news"), Properties::NONE);
    device.wait(device.client.disconnect());
    device.ends().expect("a clean end");

    let reporter = Device::connect(options(&broker));
    for (payload, expiry) in [(b"old", 1), (b"new", 60)] {
        let properties = [Property::MessageExpiryInterval(expiry)];
        let news = Message::new("news", payload).at_least_once();
        reporter.delivers(&news.properties(Properties::from(&properties[..])));
    }
    // The broker counts whole seconds.
    std::thread::sleep(Duration::from_millis(2100));
    let mut device = Device::connect(sleeper());
    let message = device.message();
    assert_eq!(message.payload(), b"new");
    let left = message
        .properties()
        .message_expiry_interval()
        .expect("what is left");
    assert!((50..60).contains(&left), "{left}");
}

#[test]
fn topics_sent_as_aliases_arrive_in_full() {
    let broker = Mosquitto::start(Setup::default());
    let mut device = Device::connect(options(&broker).topic_alias_memory(128));
    subscribe(&device, subscription("long/#"), Properties::NONE);
    for round in 0..3 {
        for topic in ["long/topic/one", "long/topic/two"] {
            drop(device.publish(&Message::new(topic, &[round]).at_least_once()));
            let message = device.message();
            assert_eq!(
                (message.topic().as_str(), message.payload()),
                (topic, &[round][..])
            );
        }
    }
}

#[test]
fn the_broker_is_never_sent_more_than_it_takes() {
    let setup = Setup {
        // Announced as Receive Maximum; exceeding it would cost the connection.
        extra: "max_inflight_messages 3",
        ..Setup::default()
    };
    let broker = Mosquitto::start(setup);
    let device = Device::connect(options(&broker));
    let mut deliveries: Vec<_> = (0..60)
        .map(|number| device.publish(&Message::new("a", &[number]).exactly_once()))
        .collect();
    for delivery in &mut deliveries {
        device.wait(delivery.acknowledged()).expect("acknowledged");
    }
    assert_eq!(device.client.report().session.connections, 1);
}
