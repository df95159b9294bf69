//! The device: reads, reports, listens, until told to stop.

use std::time::Duration;

use examples::ending::Interrupt;
use examples::monitor::commands::Command;
use examples::monitor::report::Values;
use examples::monitor::{Due, Reporter, host_name, system_name};
use examples::simulator::{PlatformSimulator, said};
use examples::terminal::milliseconds_since_1970;
use mqtt_std::platform::losant;
use mqtt_std::{Inbox, LinkState, PublishError, Received, now};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::commands;

/// How long the last acknowledgements may take when the program ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// The state of a running device.
pub(crate) struct Device<'a> {
    device: losant::Device<'a>,
    reporter: Reporter,
    /// Who exceeds the rates of Losant is banned.
    limiter: losant::RateLimiter<1>,
}

impl<'a> Device<'a> {
    pub(crate) fn new(device: losant::Device<'a>, reporter: Reporter) -> Self {
        Self {
            device,
            reporter,
            limiter: losant::RateLimiter::new(),
        }
    }

    /// Reports and obeys until enough reports are acknowledged or the user interrupts.
    pub(crate) async fn live(
        &mut self,
        inbox: &mut Inbox,
        simulator: &mut Option<PlatformSimulator>,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<()> {
        while !self.reporter.is_done() {
            tokio::select! {
                () = interrupt.wait() => return Ok(()),
                due = self.reporter.next() => if due? == Due::Report {
                    self.report()?;
                },
                // An inbox that has stopped says less than the link, which stops with it.
                Ok(received) = inbox.next() => {
                    let command = self.read(&received);
                    drop(received);
                    self.obey(command)?;
                }
                said = said(simulator) => self.reporter.simulator_said(&said)?,
            }
        }
        Ok(())
    }

    /// Waits for the last acknowledgements, as far as Losant listens.
    pub(crate) async fn leave(&mut self) -> anyhow::Result<()> {
        if matches!(self.reporter.client().state(), LinkState::Connected { .. }) {
            timeout(GOODBYE, self.reporter.settle())
                .await
                .unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    /// How it all went.
    pub(crate) fn summary(&self) -> String {
        self.reporter.summary()
    }

    /// Reports the readings, unless that would be more than Losant allows: the next ones will do as well.
    fn report(&mut self) -> anyhow::Result<()> {
        if self.limiter.admit(self.device.id(), now()).is_err() {
            return Ok(self
                .reporter
                .note("report left out: Losant allows 30 in 15 s")?);
        }
        let device = &self.device;
        self.reporter.report(|client, report| {
            let values = Values::from(&report.reading);
            // Of the moment: what waits for the link must not get the time at which it arrives.
            let time = losant::Millis(milliseconds_since_1970());
            client.try_publish(&device.state(&values).at(time).at_least_once())
        })
    }

    fn read(&self, received: &Received<'_>) -> Result<Command, String> {
        let command = self.device.command(received);
        match command.map_err(|error| error.to_string())? {
            Some(command) => commands::read(&command).map_err(|error| error.to_string()),
            None => Err(format!("no command on {}", received.topic().as_str())),
        }
    }

    /// Obeys a command, and answers by state.
    fn obey(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        let text = match &command {
            Ok(command) => format!("command: {command}"),
            Err(why) => format!("command ignored: {why}"),
        };
        self.reporter.note(&text)?;
        let mut answer = Answer {
            last_command: &text,
            ..Answer::default()
        };
        let (host, system) = (host_name(), system_name());
        match command {
            Ok(Command::Interval(every)) => self.reporter.set_interval(every),
            Ok(Command::ReportNow) => self.report()?,
            Ok(Command::Identify) => {
                answer.host = Some(&host);
                answer.system = Some(&system);
            }
            Err(_) => {}
        }
        self.answer(&answer)
    }

    fn answer(&mut self, answer: &Answer<'_>) -> anyhow::Result<()> {
        if self.limiter.admit(self.device.id(), now()).is_err() {
            return Ok(self
                .reporter
                .note("answer left out: Losant allows 30 messages in 15 s")?);
        }
        let state = self.device.state(answer).at_least_once();
        let delivery = self.reporter.client().try_publish(&state);
        if delivery.as_ref().err() == Some(&PublishError::Stopped) {
            // The link has ended for good: it says why.
            return Ok(());
        }
        Ok(self.reporter.note_failure("answer", &delivery)?)
    }
}
