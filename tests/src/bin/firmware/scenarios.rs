//! The part of the host in each scenario. What is not as it should be is a panic.

mod basics;
mod bulk;
mod cuts;
mod large;
mod refused;
mod restart;
mod tasks;
mod thingsboard;

use mqtt_tests::mosquitto::{Mosquitto, Setup};

use crate::case::Scenario;
use crate::stage::Stage;

/// Plays it to the end of what the host has to do; the firmware may go on for a while.
pub(crate) fn play(mut stage: Stage<'_>) {
    let stage = &mut stage;
    match stage.case.scenario {
        Scenario::Basics => basics::play(stage),
        Scenario::Bulk => bulk::play(stage),
        Scenario::Large => large::play(stage),
        Scenario::Cuts => cuts::play(stage),
        Scenario::Restart => restart::play(stage),
        Scenario::Tasks => tasks::play(stage),
        Scenario::Uart => uart(stage),
        Scenario::Thingsboard => thingsboard::play(stage),
        refusal => refused::play(stage, refusal),
    }
}

/// The firmware plays both sides itself.
fn uart(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    stage.boot(&stage.boot_for(&broker));
    stage.firmware_ends();
}
