//! Two tasks of the firmware publish while a third one receives.

use mqtt_tests::mosquitto::{Mosquitto, Setup};

use crate::numbers::Numbers;
use crate::stage::Stage;

const COUNT: u32 = 500;

pub(super) fn play(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    let mut host = stage.counterpart(&broker);
    let mut boot = stage.boot_for(&broker);
    boot.count = COUNT;
    stage.boot(&boot);
    host.hears_on(stage, "fw/up/ready");
    let (mut one, mut two) = (Numbers::new(), Numbers::new());
    let mut sent = 0;
    while one.count() + two.count() < 2 * COUNT as usize {
        while sent < COUNT && (one.allow(sent) || two.allow(sent)) {
            host.says_number(sent);
            sent += 1;
        }
        let arrived = host.hears(stage, "a message of one of the tasks");
        let numbers = match arrived.topic.as_str() {
            "fw/up/one" => &mut one,
            "fw/up/two" => &mut two,
            topic => panic!("unexpected: {topic}"),
        };
        numbers.add(&arrived.payload, arrived.qos);
    }
    one.are_as_sent(COUNT);
    two.are_as_sent(COUNT);
    stage.firmware_ends();
}
