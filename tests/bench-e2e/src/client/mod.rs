//! The clients that are compared. Each does one task in a process of its own and prints one line about itself.

mod ours;
mod raw;
#[allow(
    clippy::large_futures,
    reason = "they are rumqttc's, and live on a host"
)]
mod rumqttc;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};

/// Publishes in flight at a time.
pub(crate) const WINDOW: u16 = 20;

/// Whose client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Writes packets encoded beforehand: how fast it could be.
    Raw,
    /// rumqttc 0.25, async.
    Rumqttc,
    /// mqtt-std.
    Ours,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Raw, Self::Rumqttc, Self::Ours];
}

/// What is to be done `count` times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// Publish at QoS 0.
    AtMostOnce,
    /// Publish at QoS 1 with [`WINDOW`] in flight.
    AtLeastOnce,
    /// Publish at QoS 1, the next after the acknowledgement.
    RoundTrip,
    /// Subscribe and receive at QoS 0.
    Receive,
}

/// What a client knows about its own run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Report {
    /// CPU time of the process, user and system.
    pub(crate) cpu: Duration,
    /// Median time to the acknowledgement, zero for the other tasks.
    pub(crate) round_trip: Duration,
}

impl Report {
    /// Reads the line that [`run`] prints.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let (cpu, round_trip) = line.trim().split_once(' ').context("report")?;
        Ok(Self {
            cpu: Duration::from_nanos(cpu.parse()?),
            round_trip: Duration::from_nanos(round_trip.parse()?),
        })
    }
}

/// Does the task and prints the report.
pub(crate) fn run(kind: Kind, task: Task, port: u16, count: u32) -> Result<()> {
    let mut round_trips = match kind {
        Kind::Raw => raw::run(task, port, count)?,
        Kind::Rumqttc => rumqttc::run(task, port, count)?,
        Kind::Ours => ours::run(task, port, count)?,
    };
    round_trips.sort_unstable();
    let median = round_trips.get(round_trips.len() / 2).copied();
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(cpu).context("CPU time")?;
    let round_trip = median.unwrap_or_default();
    println!("{} {}", cpu.as_nanos(), round_trip.as_nanos());
    Ok(())
}
