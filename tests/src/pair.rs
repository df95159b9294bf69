//! A publisher and a subscriber in numbered traffic: what is lost, what comes twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mqtt_std::{Delivery, DeliveryError, LinkState, Message, Options, QoS};

use crate::device::Device;

/// How long what was sent may take to arrive, a restart of the broker included.
const LIMIT: Duration = Duration::from_secs(20);

/// A publisher and a subscriber whose sessions the broker keeps. Messages are numbers; those at even ones are sent at
/// QoS 1, the others at QoS 2.
#[derive(Debug)]
pub struct Pair {
    topic: String,
    publisher: Device,
    subscriber: Device,
    sent: Vec<(u32, Delivery)>,
    received: Vec<u32>,
}

impl Pair {
    /// Connects both, by `options` but for what makes the broker keep their sessions.
    #[must_use]
    pub fn connect(options: &Options, topic: &str) -> Self {
        let options = |role: &str| {
            options
                .clone()
                .client_id(format!("{role}-{}", topic.replace('/', "-")))
                .clean_session(false)
                .session_expiry_s(3600)
                // A link that is cut again at once says nothing about its messages.
                .poison_after(0)
                // mosquitto 2.0.11 forgets the Receive Maximum when it restarts.
                .receive_maximum(1000)
        };
        let subscriber = options("subscriber").subscribe(topic, QoS::ExactlyOnce);
        Self {
            topic: topic.to_owned(),
            subscriber: Device::connect(subscriber),
            publisher: Device::connect(options("publisher")),
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Hands messages to the publisher.
    pub fn publishes(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let payload = number.to_be_bytes();
            let message = Message::new(&self.topic, &payload).qos(qos(number));
            self.sent.push((number, self.publisher.publish(&message)));
        }
    }

    /// Receives until that is enough, or too much time has gone by.
    pub fn receives_until(&mut self, enough: impl Fn(&[u32]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !enough(&self.received) && Instant::now() < deadline {
            self.receives_within(Duration::from_secs(1));
        }
    }

    fn receives_within(&mut self, time: Duration) {
        let next = self.subscriber.inbox.next();
        if let Some(message) = self.subscriber.executor.wait_at_most(time, next) {
            let message = message.expect("a message");
            let number = message.payload().try_into().expect("four bytes");
            self.received.push(u32::from_be_bytes(number));
        }
    }

    /// Waits until all that was published is acknowledged.
    pub fn all_are_acknowledged(&mut self) {
        assert_eq!(self.given_up(), []);
    }

    /// Waits until each publication has ended; those that ended by an error.
    pub fn given_up(&mut self) -> Vec<(u32, DeliveryError)> {
        let mut given_up = Vec::new();
        for (number, delivery) in &mut self.sent {
            let executor = &self.publisher.executor;
            let ended = executor.wait_at_most(LIMIT, delivery.acknowledged());
            if let Err(error) = ended.expect("in time") {
                given_up.push((*number, error));
            }
        }
        given_up
    }

    /// Which have not been acknowledged.
    pub fn pending(&mut self) -> BTreeSet<u32> {
        let pending = self.sent.iter_mut().filter_map(|(number, delivery)| {
            let outcome = delivery.try_acknowledged();
            outcome.is_none().then_some(*number)
        });
        pending.collect()
    }

    /// Waits until all of these have arrived.
    pub fn all_have_arrived(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let numbers: BTreeSet<u32> = numbers.into_iter().collect();
        self.receives_until(|received| lost(received, &numbers).is_empty());
        let lost = lost(&self.received, &numbers);
        assert!(lost.is_empty(), "lost: {lost:?}");
    }

    /// None of those sent at QoS 2 has come twice.
    pub fn none_came_twice(&self) {
        let twice = self.came_twice();
        assert!(twice.is_empty(), "QoS 2 came twice: {twice:?}");
    }

    /// Which of those sent at QoS 2 have come more than once.
    #[must_use]
    pub fn came_twice(&self) -> BTreeSet<u32> {
        let mut seen = BTreeSet::new();
        let exactly = self.received.iter().copied();
        exactly
            .filter(|number| qos(*number) == QoS::ExactlyOnce && !seen.insert(*number))
            .collect()
    }

    /// Waits until the publisher has noticed that its link is gone.
    pub fn publisher_notices(&self) {
        let publisher = &self.publisher;
        while let connected @ LinkState::Connected { .. } = publisher.client.state() {
            publisher.wait(publisher.client.state_change(connected));
        }
    }

    /// Whether the broker had the session of the subscriber when that connected last.
    #[must_use]
    pub fn session_was_kept(&self) -> bool {
        self.subscriber.connected()
    }

    /// Waits until the publisher has connected so many times since it exists.
    pub fn publisher_has_connected(&self, times: u16) {
        let Device {
            client, executor, ..
        } = &self.publisher;
        let deadline = Instant::now() + LIMIT;
        while client.report().session.connections < times {
            assert!(Instant::now() < deadline, "not {times} connections");
            let state = client.state();
            executor.wait_at_most(Duration::from_millis(10), client.state_change(state));
        }
    }

    /// Publishes until something arrives, that is, until the subscription is there: even numbers from `first` on.
    pub fn subscribes_again(&mut self, first: u32) {
        let deadline = Instant::now() + LIMIT;
        for number in (first..).step_by(2) {
            assert!(Instant::now() < deadline, "nothing arrives");
            self.publishes([number]);
            self.receives_within(Duration::from_millis(20));
            if self.received.iter().any(|number| *number >= first) {
                break;
            }
        }
    }
}

fn qos(number: u32) -> QoS {
    if number.is_multiple_of(2) {
        QoS::AtLeastOnce
    } else {
        QoS::ExactlyOnce
    }
}

fn lost(received: &[u32], sent: &BTreeSet<u32>) -> BTreeSet<u32> {
    sent - &received.iter().copied().collect()
}
