//! QoS 2 while links break and the broker comes to harm.

use std::ops::Range;
use std::time::{Duration, Instant};

use mqtt_core::codec::Version;
use mqtt_std::{Delivery, DeliveryError, Message, Options};
use mqtt_tests::device::Device;
use mqtt_tests::pair::Pair;
use mqtt_tests::proxy::{Cut, Direction, Proxy};

use crate::Stage;
use crate::broker::Broker;
use crate::expected::{AfterKill, Expected, LostPubComp, of};

const EMPTY: Message<'_> = Message::new("a", b"");

/// As many as meet all the cuts.
const MESSAGES: usize = 50;

/// Some messages are cut on a dozen links.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each link of a device that publishes is cut one byte later than the one before, from CONNECT to the end of PUBREL: the
/// answer to each packet gets lost once.
pub(super) fn a_lost_answer_to_qos_2_is_asked_for_again(stage: Stage<'_>) {
    if !stage.expected.has_exactly_once() {
        return;
    }
    let cuts = (60..100).map(|after| Cut {
        direction: Direction::ToBroker,
        after,
    });
    let proxy = Proxy::start_with_cuts(stage.broker.port(stage.version), cuts);
    let options = resident(stage, "answers").port(proxy.port());
    let lost = of(stage.version, stage.expected.lost_pubcomp);
    let is_given_up = lost == LostPubComp::GivenUp(DeliveryError::Poison);
    // No message has so many bytes that it could be cut in 15 times.
    let device = Device::connect(options.poison_after(if is_given_up { 3 } else { 15 }));
    if let LostPubComp::EndsLinks(end) = lost {
        return links_end(&device, end);
    }
    let mut ends = Vec::new();
    for _ in 0..MESSAGES {
        let mut delivery = device.publish(&EMPTY.exactly_once());
        let ended = device
            .executor
            .wait_at_most(PATIENCE, delivery.acknowledged());
        ends.extend(ended.expect("in time").err());
    }
    // A link that has ended before the byte of its cut was not cut.
    assert!(proxy.cuts_done() > 8, "{} cuts", proxy.cuts_done());
    ends.dedup();
    let expected = match lost {
        LostPubComp::GivenUp(error) => vec![error],
        _ => vec![],
    };
    assert_eq!(ends, expected);
    device.delivers(&EMPTY.at_least_once());
}

/// Publishes until a link ends like this, for which there is no reason but a PUBREL.
fn links_end(device: &Device, end: &str) {
    for _ in 0..MESSAGES {
        let mut delivery = device.publish(&EMPTY.exactly_once());
        let deadline = Instant::now() + PATIENCE;
        let a_while = Duration::from_millis(100);
        while device
            .executor
            .wait_at_most(a_while, delivery.acknowledged())
            .is_none()
        {
            let last_end = device.client.report().last_end;
            if last_end.is_some_and(|last_end| last_end.to_string() == end) {
                return;
            }
            assert!(Instant::now() < deadline, "{last_end:?}");
        }
    }
    panic!("each PUBREL was answered");
}

/// Cuts in both directions, from the first packet of a link to the third message, for publisher and subscriber.
pub(super) fn exactly_once_wherever_the_link_is_cut(stage: Stage<'_>) {
    const CUTS: usize = 48;
    if !stage.expected.keeps_exactly_once(stage.version) {
        return;
    }
    let cuts = (12..).step_by(8).flat_map(|after| {
        [Direction::ToBroker, Direction::ToClient].map(|direction| Cut { direction, after })
    });
    let proxy = Proxy::start_with_cuts(stage.broker.port(stage.version), cuts.take(CUTS));
    let options = stage.options().port(proxy.port());
    let mut pair = Pair::connect(&options, &stage.name("cut/exact"));
    for round in 0..60 {
        let numbers = odd(round * 6..round * 6 + 6);
        pair.publishes(numbers.clone());
        pair.all_have_arrived(numbers);
    }
    pair.all_are_acknowledged();
    pair.none_came_twice();
    // A link that has ended before the byte of its cut was not cut.
    let cuts_done = proxy.cuts_done();
    assert!(cuts_done > CUTS * 3 / 4, "{cuts_done} cuts");
}

/// The links end for the devices and not for the broker: they come back as somebody who takes over.
pub(super) fn exactly_once_although_the_broker_holds_the_old_link(stage: Stage<'_>) {
    const ROUNDS: u16 = 6;
    if !stage.expected.keeps_exactly_once(stage.version) {
        return;
    }
    let proxy = Proxy::start(stage.broker.port(stage.version));
    let options = stage.options().port(proxy.port());
    let mut pair = Pair::connect(&options, &stage.name("held/exact"));
    for round in 0..ROUNDS {
        let first = u32::from(round) * 40;
        pair.publishes(odd(first..first + 40));
        let some = usize::from(round) * 20 + usize::from(round);
        pair.receives_until(|received| received.len() > some);
        proxy.leave_half_open();
        pair.publisher_has_connected(round + 2);
    }
    pair.all_are_acknowledged();
    pair.all_have_arrived(odd(0..u32::from(ROUNDS) * 40));
    pair.none_came_twice();
}

/// For longer than the keep-alive: when the broker goes on, it finds devices that have left, and their next links.
pub(super) fn exactly_once_over_a_broker_that_stands_still(
    broker: &mut dyn Broker,
    expected: &Expected,
) {
    let pairs = stages(broker, expected)
        .filter(|stage| expected.keeps_exactly_once(stage.version))
        .map(|stage| Pair::connect(&impatient(stage.options()), &stage.name("still/exact")));
    let mut pairs: Vec<_> = pairs.collect();
    for pair in &mut pairs {
        pair.publishes(odd(0..40));
        pair.receives_until(|received| received.len() > 5);
    }
    broker.pause();
    for pair in &mut pairs {
        pair.publishes(odd(40..80));
    }
    for pair in &pairs {
        pair.publisher_notices();
    }
    broker.resume();
    for pair in &mut pairs {
        pair.all_are_acknowledged();
        pair.all_have_arrived(odd(0..80));
        pair.none_came_twice();
    }
}

/// A killed broker may have forgotten what it had begun. Whatever it does: each delivery ends, and the device goes on.
pub(super) fn qos_2_ends_although_the_broker_is_killed(
    broker: &mut dyn Broker,
    expected: &Expected,
) {
    if !expected.has_exactly_once() {
        return;
    }
    let stages = stages(broker, expected).filter(|stage| {
        let lost = of(stage.version, expected.lost_pubcomp);
        !matches!(lost, LostPubComp::EndsLinks(_))
    });
    let devices = stages.map(|stage| {
        let device = Device::connect(impatient(resident(stage, "killed")));
        (device, Vec::new())
    });
    let mut devices: Vec<(Device, Vec<Delivery>)> = devices.collect();
    let mut publish = |number: u8| {
        for (device, deliveries) in &mut devices {
            deliveries.push(device.publish(&Message::new("a", &[number]).exactly_once()));
        }
    };
    (0..10).for_each(&mut publish);
    // What is sent from here on is seen by nobody.
    broker.pause();
    (10..20).for_each(publish);
    broker.kill();
    broker.start_again();
    for (device, mut deliveries) in devices {
        let ends = deliveries
            .iter_mut()
            .map(|delivery| device.wait(delivery.acknowledged()).err());
        let (forgotten, ends): (Vec<_>, Vec<_>) = ends
            .flatten()
            .partition(|end| *end == DeliveryError::SessionLost);
        // The device is told that they may or may not have arrived.
        assert!(!forgotten.is_empty() || expected.after_kill != AfterKill::Nothing);
        assert!(
            ends.iter().all(|end| *end == DeliveryError::Poison),
            "{ends:?}"
        );
        device.delivers(&EMPTY.at_least_once());
    }
}

impl Expected {
    fn has_exactly_once(&self) -> bool {
        self.exactly_once_ends_link.is_none()
    }

    /// Whether QoS 2 is more than a word when links end.
    fn keeps_exactly_once(&self, version: Version) -> bool {
        self.has_exactly_once() && of(version, self.lost_pubcomp) == LostPubComp::Sent
    }
}

/// A publisher whose session the broker is asked to keep. What it cannot get rid of it gives up.
fn resident(stage: Stage<'_>, name: &str) -> Options {
    stage.resident(name).poison_after(3)
}

fn impatient(options: Options) -> Options {
    options
        .keep_alive_s(1)
        .ping_timeout(Duration::from_millis(300))
}

fn stages<'a>(broker: &'a dyn Broker, expected: &'a Expected) -> impl Iterator<Item = Stage<'a>> {
    expected.versions.iter().map(move |&version| Stage {
        broker,
        version,
        expected,
    })
}

/// What a pair sends at QoS 2.
fn odd(numbers: Range<u32>) -> impl Iterator<Item = u32> + Clone {
    numbers.filter(|number| number % 2 == 1)
}
