//! Readings, commands, replies, an orderly end; then a link that breaks, and the will.

use std::time::Duration;

use mqtt_std::QoS;
use mqtt_tests::mosquitto::{Mosquitto, PASSWORD, Setup, USER};

use crate::stage::{Arrived, Stage};

const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

pub(super) fn play(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    let mut host = stage.counterpart(&broker);
    let boot = stage.boot_for(&broker);
    assert_eq!(boot.password, PASSWORD);
    stage.boot(&boot);
    for (qos, payload) in QUALITIES.into_iter().zip(["0", "1", "2"]) {
        let reading = host.hears(stage, "a reading");
        assert_eq!(reading, arrived("fw/up/reading", payload, qos));
    }
    host.hears_on(stage, "fw/up/ready");
    for (qos, command) in QUALITIES.into_iter().zip(["report", "identify", "restart"]) {
        host.says("fw/down/command", command.as_bytes(), qos);
        let reply = host.hears(stage, "a reply");
        assert_eq!(reply, arrived("fw/up/reply", command, qos));
    }
    // The will would come before the next link: that one left in good order.
    host.hears_on(stage, "fw/up/leaving");
    assert_eq!(host.hears_on(stage, "fw/up/will"), b"gone");
    let more = host.hears_within(Duration::from_millis(100));
    assert_eq!(more, None, "nothing more was to come");
    let as_user = format!("u'{USER}'");
    assert!(
        log_of_firmware(&broker.log()).all(|line| line.contains(&as_user)),
        "the firmware did not give its name: {as_user}"
    );
}

/// The lines about its links.
fn log_of_firmware(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(" as firmware ("))
}

fn arrived(topic: &str, payload: &str, qos: QoS) -> Arrived {
    Arrived {
        topic: topic.to_owned(),
        payload: payload.into(),
        qos,
    }
}
