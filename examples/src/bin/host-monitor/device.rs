//! The device: reads, publishes, listens, until told to stop.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use examples::ending::Interrupt;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mqtt_std::{
    Client, Delivery, DeliveryError, Inbox, Json, LinkState, Message, PublishError, ReasonCode,
    Received,
};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::arguments::Arguments;
use crate::commands::Command;
use crate::report::{Identity, Report};
use crate::round_trips::RoundTrips;
use crate::screen::{Outcome, Screen};
use crate::sensors::Sensors;
use crate::topics::Topics;

/// How long the last words may take when the program ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// The state of a running device.
pub(crate) struct Device {
    client: Client,
    topics: Topics,
    sensors: Sensors,
    screen: Screen,
    ticker: Interval,
    /// End after this many acknowledged reports.
    wanted: Option<u32>,
    sent: u32,
    acknowledged: u32,
    in_flight: FuturesUnordered<BoxFuture<'static, Answer>>,
    round_trips: RoundTrips,
}

/// What came back for a report.
struct Answer {
    report: Report,
    round_trip: Duration,
    result: Result<ReasonCode, DeliveryError>,
}

impl Device {
    pub(crate) fn new(
        client: Client,
        topics: Topics,
        screen: Screen,
        arguments: &Arguments,
    ) -> Self {
        Self {
            client,
            topics,
            sensors: Sensors::new("/"),
            screen,
            ticker: ticker(arguments.interval),
            wanted: arguments.count,
            sent: 0,
            acknowledged: 0,
            in_flight: FuturesUnordered::new(),
            round_trips: RoundTrips::default(),
        }
    }

    /// Reports and obeys until enough reports are acknowledged or the user interrupts.
    pub(crate) async fn live(
        &mut self,
        inbox: &mut Inbox,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<()> {
        let mut state = LinkState::Idle;
        while self.wanted.is_none_or(|wanted| self.acknowledged < wanted) {
            tokio::select! {
                () = interrupt.wait() => return Ok(()),
                next = self.client.state_change(state) => {
                    state = next;
                    self.link_changed(state)?;
                }
                Some(answer) = self.in_flight.next() => self.answered(&answer)?,
                _ = self.ticker.tick() => self.report()?,
                // An inbox that has stopped says less than the link, which stops with it.
                Ok(received) = inbox.next() => {
                    let command = read_command(&received);
                    drop(received);
                    self.obey(command)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for the last acknowledgements and says goodbye, as far as the broker listens.
    pub(crate) async fn leave(&mut self) -> anyhow::Result<()> {
        if !matches!(self.client.state(), LinkState::Connected { .. }) {
            return Ok(());
        }
        // What is not said by then, the will says for us.
        timeout(GOODBYE, self.say_goodbye()).await.unwrap_or(Ok(()))
    }

    async fn say_goodbye(&mut self) -> anyhow::Result<()> {
        let offline = self.presence(Topics::OFFLINE);
        while let Some(answer) = self.in_flight.next().await {
            self.answered(&answer)?;
        }
        if let Ok(mut offline) = offline {
            // Refused or not, there is nothing left to be done about it.
            let _ = offline.acknowledged().await;
        }
        Ok(())
    }

    fn presence(&self, state: &[u8]) -> Result<Delivery, PublishError> {
        let message = Message::new(&self.topics.presence, state);
        self.client.try_publish(&message.at_least_once().retain())
    }

    /// Shows how it all went.
    pub(crate) fn summarise(&self) -> anyhow::Result<()> {
        Ok(Screen::print(&self.summary())?)
    }

    fn summary(&self) -> String {
        let counts = format!(
            "{} reports sent, {} acknowledged",
            self.sent, self.acknowledged
        );
        match self.round_trips.spread() {
            Some(spread) => format!("{counts}, round trip {spread} (min / median / max)"),
            None => counts,
        }
    }

    /// Sends one report, unless those on their way will be enough.
    fn report(&mut self) -> anyhow::Result<()> {
        let awaited = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
        if self
            .wanted
            .is_some_and(|wanted| self.acknowledged.saturating_add(awaited) >= wanted)
        {
            return Ok(());
        }
        let report = Report::new(self.sent + 1, self.sensors.read()?);
        let head = Message::new(&self.topics.report, b"").at_least_once();
        let sent = Instant::now();
        match self.client.try_publish(&Json(head, &report)) {
            Ok(delivery) => {
                self.sent += 1;
                self.screen.sent(&report, &self.round_trips)?;
                self.in_flight
                    .push(Box::pin(answer(report, sent, delivery)));
                Ok(())
            }
            Err(PublishError::Full) => Ok(self
                .screen
                .note("no room for another report", &self.round_trips)?),
            // The link has ended for good: it says why.
            Err(PublishError::Stopped) => Ok(()),
            Err(error) => Err(error).context("cannot publish a report"),
        }
    }

    fn answered(&mut self, answer: &Answer) -> anyhow::Result<()> {
        let outcome = match answer.result {
            Ok(_) => {
                self.acknowledged += 1;
                self.round_trips.add(answer.round_trip);
                Outcome::Acknowledged(answer.round_trip)
            }
            Err(error) => Outcome::Failed(error.to_string()),
        };
        Ok(self
            .screen
            .done(&answer.report, &outcome, &self.round_trips)?)
    }

    /// After each connection the broker may have published our will: we are back, so say so again.
    fn link_changed(&mut self, state: LinkState) -> anyhow::Result<()> {
        if matches!(state, LinkState::Connected { .. }) {
            // Lost with the link, it is said again on the next one.
            self.note_failure("presence", &self.presence(Topics::ONLINE))?;
        }
        Ok(self.screen.link(state, &self.round_trips)?)
    }

    fn obey(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        match command {
            Ok(command) => {
                self.screen
                    .note(&format!("command: {command}"), &self.round_trips)?;
                self.execute(command)
            }
            Err(why) => Ok(self
                .screen
                .note(&format!("command ignored: {why}"), &self.round_trips)?),
        }
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Interval(every) => self.ticker = ticker(every),
            Command::ReportNow => self.report()?,
            Command::Identify => self.identify()?,
        }
        Ok(())
    }

    fn identify(&mut self) -> anyhow::Result<()> {
        let system = rustix::system::uname();
        let identity = Identity {
            host: &system.nodename().to_string_lossy(),
            system: &format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            program: concat!("host-monitor ", env!("CARGO_PKG_VERSION")),
            process: std::process::id(),
        };
        let head = Message::new(&self.topics.identity, b"").at_least_once();
        let delivery = self.client.try_publish(&Json(head, &identity));
        self.note_failure("identity", &delivery)
    }

    /// For what nobody waits for. That there is no room is worth a line, not the end of the device.
    fn note_failure(
        &mut self,
        what: &str,
        delivery: &Result<Delivery, PublishError>,
    ) -> anyhow::Result<()> {
        if let Err(error) = delivery {
            self.screen
                .note(&format!("{what} not published: {error}"), &self.round_trips)?;
        }
        Ok(())
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

/// A retained command would be obeyed again after each connection, so it is none.
fn read_command(received: &Received<'_>) -> Result<Command, String> {
    if received.retain() {
        return Err("retained".to_owned());
    }
    if !received.is_whole() {
        return Err(format!("{} bytes are too long", received.total_len()));
    }
    Command::parse(received.payload()).map_err(|error| error.to_string())
}
