//! The simulated platforms serve the SDKs, which were made for the real servers.

mod losant;
mod thingsboard;
mod watson_iot;

use mqtt_tests::simulator::{Event, Simulator};

use crate::interpreter::Interpreter;

fn start(platform: &str) -> (Simulator, Interpreter) {
    let simulator = Simulator::start(platform, "127.0.0.1:0").expect("a platform that is known");
    let sdk = Interpreter::start(platform, simulator.address(), None);
    (simulator, sdk)
}

/// Does what an operator would do.
fn order(simulator: &Simulator, line: &str) {
    simulator.command(line).expect(line);
}

/// Waits until the platform says exactly this.
fn notes(simulator: &Simulator, text: &str) {
    happens(
        simulator,
        text,
        |event| matches!(event, Event::Note(said) if said == text),
    );
}

/// Waits until a filter is answered: granted at a QoS, or refused by a code.
fn answers(simulator: &Simulator, filter: &str, code: u8) {
    happens(
        simulator,
        filter,
        |event| matches!(event, Event::Subscribed { filter: of, code: by } if of == filter && *by == code),
    );
}

fn happens(simulator: &Simulator, what: &str, is_it: impl Fn(&Event) -> bool) {
    let result = simulator.wait_for(is_it);
    result.unwrap_or_else(|events| panic!("no {what}, but {events:#?}"));
}
