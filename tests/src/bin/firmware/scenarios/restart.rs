//! The broker is killed three times, while it stands still with messages that it has not acknowledged.

use std::thread;
use std::time::Duration;

use mqtt_std::QoS;
use mqtt_tests::mosquitto::{Mosquitto, Setup};

use crate::numbers::Numbers;
use crate::stage::{Arrived, Counterpart, Stage};

const ROUNDS: u8 = 3;

pub(super) fn play(stage: &mut Stage<'_>) {
    let mut broker = Mosquitto::start(Setup {
        persistence: true,
        ..Setup::default()
    });
    let mut host = stage.counterpart(&broker);
    stage.boot(&stage.boot_for(&broker));
    host.hears_on(stage, "fw/up/ready");
    let mut numbers = Numbers::new();
    for round in 1..=ROUNDS {
        let running = |host: &mut Counterpart, stage: &mut Stage<'_>, numbers: &mut Numbers| {
            let enough = numbers.count() + 50;
            while numbers.count() < enough {
                let arrived = host.hears(stage, "fw/up/number");
                take(numbers, &arrived);
            }
        };
        running(&mut host, stage, &mut numbers);
        host.says("fw/down/pause", &[round], QoS::AtLeastOnce);
        // All that the broker has acknowledged is here then, and it knows no more.
        let paused = hear_until(&mut host, stage, &mut numbers, "fw/up/paused");
        numbers.none_is_lost(paused);
        broker.pause();
        // The firmware goes on: what it sends now, nobody acknowledges.
        thread::sleep(Duration::from_millis(500));
        broker.kill();
        broker.start_again();
        running(&mut host, stage, &mut numbers);
    }
    host.says("fw/down/stop", &[ROUNDS + 1], QoS::AtLeastOnce);
    let sent = hear_until(&mut host, stage, &mut numbers, "fw/up/sent");
    numbers.none_is_lost(sent);
    stage.firmware_ends();
}

/// Takes numbered messages up to one on that topic, which says how many have been sent.
fn hear_until(
    host: &mut Counterpart,
    stage: &mut Stage<'_>,
    numbers: &mut Numbers,
    topic: &str,
) -> u32 {
    loop {
        let arrived = host.hears(stage, topic);
        if arrived.topic == topic {
            return u32::from_be_bytes(arrived.payload.try_into().expect("a count"));
        }
        take(numbers, &arrived);
    }
}

/// A restarted broker repeats things, `fw/up/paused` and `fw/up/ready` too.
fn take(numbers: &mut Numbers, arrived: &Arrived) {
    if arrived.topic == "fw/up/number" {
        numbers.add(&arrived.payload, arrived.qos);
    }
}
