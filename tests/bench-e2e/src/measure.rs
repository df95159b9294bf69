//! What is measured, how much of it, and where the red lines are.

use crate::client::{Kind, Task};

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) task: Task,
    pub(crate) figure: Figure,
    pub(crate) red_line: RedLine,
    pub(crate) goal: f64,
}

/// Which number of a run is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Thousand messages per second.
    Rate,
    /// Client CPU seconds per 100 000 messages.
    Cpu,
    /// Median round trip in microseconds.
    RoundTrip,
    /// System calls per message, counted by strace.
    SystemCalls,
}

/// What our client has to keep; the goal has the same unit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RedLine {
    /// At least so many times rumqttc's figure.
    FasterThanRumqttc(f64),
    /// At most so many times rumqttc's figure.
    CheaperThanRumqttc(f64),
    /// At most so many times the raw writer's figure.
    CloseToRaw(f64),
    /// At most this figure.
    NoMoreThan(f64),
}

pub(crate) const MEASURES: [Measure; 6] = [
    Measure {
        name: "publish QoS 0",
        unit: "k messages/s",
        task: Task::AtMostOnce,
        figure: Figure::Rate,
        red_line: RedLine::FasterThanRumqttc(3.0),
        goal: 10.0,
    },
    Measure {
        name: "publish QoS 1, window 20",
        unit: "k messages/s",
        task: Task::AtLeastOnce,
        figure: Figure::Rate,
        red_line: RedLine::FasterThanRumqttc(1.5),
        goal: 4.0,
    },
    Measure {
        name: "the same, client CPU",
        unit: "s per 100 k messages",
        task: Task::AtLeastOnce,
        figure: Figure::Cpu,
        red_line: RedLine::CheaperThanRumqttc(0.7),
        goal: 0.25,
    },
    Measure {
        name: "receive QoS 0 flood",
        unit: "k messages/s",
        task: Task::Receive,
        figure: Figure::Rate,
        red_line: RedLine::FasterThanRumqttc(1.5),
        goal: 3.0,
    },
    Measure {
        name: "QoS 1 round trip, p50",
        unit: "us",
        task: Task::RoundTrip,
        figure: Figure::RoundTrip,
        red_line: RedLine::CloseToRaw(1.15),
        goal: 1.05,
    },
    Measure {
        name: "system calls per QoS 1 publish",
        unit: "calls",
        task: Task::AtLeastOnce,
        figure: Figure::SystemCalls,
        red_line: RedLine::NoMoreThan(0.3),
        goal: 0.12,
    },
];

/// Messages in one run: enough for about a second of the fast ones.
pub(crate) const fn count(kind: Kind, task: Task) -> u32 {
    match (kind, task) {
        (Kind::Raw, Task::AtMostOnce | Task::Receive) => 20_000_000,
        (Kind::Raw, Task::AtLeastOnce) => 1_000_000,
        (Kind::Rumqttc, Task::AtMostOnce) => 500_000,
        (Kind::Rumqttc, Task::AtLeastOnce) => 200_000,
        (Kind::Rumqttc, Task::Receive) => 2_000_000,
        (Kind::Ours, Task::AtMostOnce) => 3_000_000,
        (Kind::Ours, Task::AtLeastOnce) => 400_000,
        (Kind::Ours, Task::Receive) => 5_000_000,
        (_, Task::RoundTrip) => 20_000,
    }
}
