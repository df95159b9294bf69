//! A simulator and a client that is connected to it.

use mqtt_core::session;
use mqtt_std::{Error, Options};
use mqtt_tests::{
    device::{Device, soon},
    simulator::{Event, Simulator},
};

pub(crate) fn simulator(platform: &str) -> Simulator {
    Simulator::start(platform, "127.0.0.1:0").expect("a free port")
}

/// What a helper has preset, for a simulator; it comes back fast.
pub(crate) fn options(simulator: &Simulator, preset: &session::Options<'_>) -> Options {
    Options::new("127.0.0.1")
        .port(simulator.address().port())
        .preset(preset)
        .reconnect(soon())
}

pub(crate) fn connect(simulator: &Simulator, preset: &session::Options<'_>) -> Device {
    Device::connect(options(simulator, preset))
}

/// Waits until the platform says this.
pub(crate) fn noted(simulator: &Simulator, text: &str) {
    let found = simulator.wait_for(|event| matches!(event, Event::Note(note) if note == text));
    found.unwrap_or_else(|events| panic!("{text}, but {events:?}"));
}

/// Waits until a link is closed for that reason.
pub(crate) fn closed(simulator: &Simulator, reason: &str) {
    let is_it = |event: &Event| matches!(event, Event::Closed { reason: of, .. } if of == reason);
    simulator
        .wait_for(is_it)
        .unwrap_or_else(|events| panic!("closed: {reason}, but {events:?}"));
}

/// Waits until a filter is subscribed.
pub(crate) fn subscribed(simulator: &Simulator, filter: &str) {
    let is_it = |event: &Event| matches!(event, Event::Subscribed { filter: of, code } if of == filter && *code < 0x80);
    simulator
        .wait_for(is_it)
        .unwrap_or_else(|events| panic!("subscribed: {filter}, but {events:?}"));
}

/// The code of the CONNACK that ended the run.
pub(crate) fn refusal(error: &Error) -> Option<u8> {
    match error {
        Error::Refused { code, .. } => Some(code.value()),
        _ => None,
    }
}

/// Waits until the client is back, on both sides.
pub(crate) fn reconnected(simulator: &Simulator, device: &Device) {
    let is_it = |event: &Event| matches!(event, Event::Connected { .. });
    simulator.wait_for(is_it).expect("a connection");
    device.connected();
}
