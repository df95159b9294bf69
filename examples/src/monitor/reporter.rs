//! Reads, reports, and shows what becomes of the reports.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mqtt_std::{Client, Delivery, DeliveryError, LinkState, PublishError, ReasonCode};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::report::Report;
use super::round_trips::RoundTrips;
use super::screen::{Outcome, Screen};
use super::sensors::Sensors;
use crate::simulator::Said;

/// Sends the readings of this machine again and again.
#[derive(Debug)]
pub struct Reporter {
    client: Client,
    sensors: Sensors,
    screen: Screen,
    link: LinkState,
    ticker: Interval,
    /// End after this many acknowledged reports.
    wanted: Option<u32>,
    sent: u32,
    acknowledged: u32,
    in_flight: FuturesUnordered<BoxFuture<'static, Answer>>,
    round_trips: RoundTrips,
}

/// What it is time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: something was shown.
    Nothing,
    /// Another report.
    Report,
    /// What is to be said at the start of each link.
    Connected,
}

/// What came back for a report.
struct Answer {
    report: Report,
    round_trip: Duration,
    result: Result<ReasonCode, DeliveryError>,
}

impl Reporter {
    /// Reports every `every`, `wanted` times or for ever. Title and subtitle are shown on a terminal.
    #[must_use]
    pub fn new(
        client: Client,
        every: Duration,
        wanted: Option<u32>,
        title: &str,
        subtitle: &str,
    ) -> Self {
        Self::with_screen(client, every, wanted, Screen::new(title, subtitle))
    }

    /// As [`Reporter::new`], but shows plain lines on a terminal too.
    #[must_use]
    pub fn in_lines(client: Client, every: Duration, wanted: Option<u32>) -> Self {
        Self::with_screen(client, every, wanted, Screen::lines())
    }

    fn with_screen(client: Client, every: Duration, wanted: Option<u32>, screen: Screen) -> Self {
        Self {
            client,
            sensors: Sensors::new("/"),
            screen,
            link: LinkState::Idle,
            ticker: ticker(every),
            wanted,
            sent: 0,
            acknowledged: 0,
            in_flight: FuturesUnordered::new(),
            round_trips: RoundTrips::default(),
        }
    }

    /// Waits until something is due, and shows what happens meanwhile. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// When nobody reads what is shown.
    pub async fn next(&mut self) -> io::Result<Due> {
        tokio::select! {
            state = self.client.state_change(self.link) => {
                self.link = state;
                self.screen.link(state, &self.round_trips)?;
                let is_connected = matches!(state, LinkState::Connected { .. });
                Ok(if is_connected { Due::Connected } else { Due::Nothing })
            }
            Some(answer) = self.in_flight.next() => {
                self.answered(&answer)?;
                Ok(Due::Nothing)
            }
            _ = self.ticker.tick() => Ok(Due::Report),
        }
    }

    /// Sends one report by `publish`, unless those on their way will be enough.
    ///
    /// # Errors
    ///
    /// When the machine cannot be read, or the report not be published: not for want of room, nor because of the link.
    pub fn report(
        &mut self,
        publish: impl FnOnce(&Client, &Report) -> Result<Delivery, PublishError>,
    ) -> anyhow::Result<()> {
        let awaited = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
        if self
            .wanted
            .is_some_and(|wanted| self.acknowledged.saturating_add(awaited) >= wanted)
        {
            return Ok(());
        }
        let report = Report::new(self.sent + 1, self.sensors.read()?);
        let sent = Instant::now();
        match publish(&self.client, &report) {
            Ok(delivery) => {
                self.sent += 1;
                self.screen.sent(&report, &self.round_trips)?;
                self.in_flight
                    .push(Box::pin(answer(report, sent, delivery)));
                Ok(())
            }
            Err(PublishError::Full) => Ok(self.note("no room for another report")?),
            // The link has ended for good: it says why.
            Err(PublishError::Stopped) => Ok(()),
            Err(error) => Err(error).context("cannot publish a report"),
        }
    }

    /// Reports this often from now on, the first time at once.
    pub fn set_interval(&mut self, every: Duration) {
        self.ticker = ticker(every);
    }

    /// Waits until all that was sent is acknowledged or given up.
    ///
    /// # Errors
    ///
    /// When nobody reads what is shown.
    pub async fn settle(&mut self) -> io::Result<()> {
        while let Some(answer) = self.in_flight.next().await {
            self.answered(&answer)?;
        }
        Ok(())
    }

    /// Shows that something happened that deserves a line.
    ///
    /// # Errors
    ///
    /// When nobody reads it.
    pub fn note(&mut self, note: &str) -> io::Result<()> {
        self.screen.note(note, &self.round_trips)
    }

    /// Shows what a simulator says.
    ///
    /// # Errors
    ///
    /// When nobody reads it.
    pub fn simulator_said(&mut self, said: &Said) -> io::Result<()> {
        if said.is_answer {
            self.screen.line_typed();
        }
        self.note(&said.text)
    }

    /// For what nobody waits for. That there is no room is worth a line, not the end of the device.
    ///
    /// # Errors
    ///
    /// When nobody reads what is shown.
    pub fn note_failure(
        &mut self,
        what: &str,
        delivery: &Result<Delivery, PublishError>,
    ) -> io::Result<()> {
        match delivery {
            Ok(_) => Ok(()),
            Err(error) => self.note(&format!("{what} not published: {error}")),
        }
    }

    /// The client it reports by.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether enough reports are acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.wanted
            .is_some_and(|wanted| self.acknowledged >= wanted)
    }

    /// How it all went.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = format!(
            "{} reports sent, {} acknowledged",
            self.sent, self.acknowledged
        );
        match self.round_trips.spread() {
            Some(spread) => format!("{counts}, round trip {spread} (min / median / max)"),
            None => counts,
        }
    }

    fn answered(&mut self, answer: &Answer) -> io::Result<()> {
        let outcome = match answer.result {
            Ok(_) => {
                self.acknowledged += 1;
                self.round_trips.add(answer.round_trip);
                Outcome::Acknowledged(answer.round_trip)
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.screen
            .done(&answer.report, &outcome, &self.round_trips)
    }
}

/// The first tick comes at once; ticks that were missed while the machine slept are not made up for.
fn ticker(every: Duration) -> Interval {
    let mut ticker = interval(every);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

async fn answer(report: Report, sent: Instant, mut delivery: Delivery) -> Answer {
    let result = delivery.acknowledged().await;
    Answer {
        report,
        round_trip: sent.elapsed(),
        result,
    }
}
