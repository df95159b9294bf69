//! A proxy cuts link after link in mid-packet.

use std::time::{Duration, Instant};

use mqtt_std::QoS;
use mqtt_tests::mosquitto::{Mosquitto, Setup};
use mqtt_tests::proxy::{Cut, Direction, Proxy};

use crate::numbers::{Numbers, Random};
use crate::stage::{Counterpart, Stage};

const CUTS: usize = 50;
const LIMIT: Duration = Duration::from_secs(100);

/// The firmware can count so many.
const MOST: u32 = 2_000;

pub(super) fn play(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    let mut host = stage.counterpart(&broker);
    let mut boot = stage.boot_for(&broker);
    let proxy = Proxy::start_with_cuts(boot.port, cuts(stage));
    boot.port = proxy.port();
    stage.boot(&boot);

    let mut numbers = Numbers::new();
    let mut sent = 0;
    let deadline = Instant::now() + LIMIT;
    let mut ready = false;
    while proxy.cuts_done() < CUTS {
        assert!(!stage.firmware_has_ended(), "the firmware has ended");
        let done = proxy.cuts_done();
        assert!(Instant::now() < deadline, "{done} cuts in {LIMIT:?}");
        if ready && sent < MOST && numbers.allow(sent) {
            host.says_number(sent);
            sent += 1;
        }
        ready |= take(&mut host, &mut numbers);
    }
    host.says("fw/down/stop", &sent.to_be_bytes(), QoS::AtLeastOnce);
    let count = loop {
        let arrived = host.hears(stage, "fw/up/number or fw/up/sent");
        match arrived.topic.as_str() {
            "fw/up/number" => numbers.add(&arrived.payload, arrived.qos),
            "fw/up/ready" => {}
            "fw/up/sent" => break u32::from_be_bytes(arrived.payload.try_into().expect("a count")),
            topic => panic!("unexpected: {topic}"),
        }
    };
    numbers.none_is_lost(count);
    numbers.none_is_doubled_at_qos_2();
    assert!(
        count as usize > CUTS,
        "only {count} messages over {CUTS} links"
    );
    stage.firmware_ends();
}

/// Takes what has come; whether the firmware is ready.
fn take(host: &mut Counterpart, numbers: &mut Numbers) -> bool {
    let mut ready = false;
    let mut patience = Duration::from_millis(3);
    while let Some(arrived) = host.hears_within(patience) {
        match arrived.topic.as_str() {
            "fw/up/number" => numbers.add(&arrived.payload, arrived.qos),
            "fw/up/ready" => ready = true,
            topic => panic!("unexpected: {topic}"),
        }
        patience = Duration::ZERO;
    }
    ready
}

/// Anywhere: in the handshakes of TLS and WebSocket, in CONNECT, and most often in the messages.
fn cuts(stage: &Stage<'_>) -> Vec<Cut> {
    let mut random = Random::new(stage.arguments.seed);
    // A TLS handshake takes about 2 KB from the broker.
    let most = if stage.case.image.transport.is_tls() {
        8_000
    } else {
        4_000
    };
    let mut cut = || Cut {
        direction: if random.below(2) == 0 {
            Direction::ToBroker
        } else {
            Direction::ToClient
        },
        after: 1 + random.below(most) as usize,
    };
    (0..CUTS).map(|_| cut()).collect()
}
