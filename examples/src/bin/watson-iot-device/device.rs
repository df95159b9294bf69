//! The device: reports, obeys commands, and is managed, until told to stop.

use examples::ending::Interrupt;
use examples::monitor::commands::{Command, CommandError, interval};
use examples::monitor::report::Values;
use examples::monitor::{Due, Reporter, host_name, system_name};
use examples::simulator::{PlatformSimulator, said};
use mqtt_std::platform::json::JsonError;
use mqtt_std::platform::watson_iot::management::{DeviceInfo, Profile};
use mqtt_std::platform::watson_iot::{self, Content};
use mqtt_std::{Inbox, Received, now, sleep_until};
use serde::Deserialize;
use serde_json::json;

use crate::actions::Actions;
use crate::state::{RECORD_LEN, State};

/// So often, in milliseconds, it is looked whether there is room again for what the management has to say.
const LOOK_MS: u32 = 1_000;

/// How the life of a device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    Restart,
}

/// The state of a running device.
pub(crate) struct Device<'a> {
    identity: watson_iot::Device<'a>,
    reporter: Reporter,
    actions: Actions<'a>,
}

/// What the platform is told of a device whose firmware has this version.
pub(crate) fn profile(version: &str) -> Profile<'_> {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.device_info = DeviceInfo {
        model: Some("host monitor"),
        description: Some("reports the readings of a machine with Linux"),
        firmware_version: Some(version),
        ..DeviceInfo::NONE
    };
    profile
}

/// Memory for what the device management remembers.
pub(crate) fn record() -> Vec<u8> {
    vec![0; RECORD_LEN]
}

impl<'a> Device<'a> {
    pub(crate) fn new(
        identity: watson_iot::Device<'a>,
        reporter: Reporter,
        profile: &'a Profile<'a>,
        record: &'a mut [u8],
        state: &'a mut State,
        location: Option<(f64, f64)>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            identity,
            reporter,
            actions: Actions::new(profile, record, state, location)?,
        })
    }

    /// Goes on until enough events are acknowledged, the user interrupts, or the device is to start anew.
    pub(crate) async fn live(
        &mut self,
        inbox: &mut Inbox,
        simulator: &mut Option<PlatformSimulator>,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<End> {
        self.actions.resume(&mut self.reporter).await?;
        while !self.reporter.is_done() {
            self.actions.upkeep(&mut self.reporter).await?;
            if self.actions.is_over() {
                return Ok(End::Restart);
            }
            let look = now().plus(LOOK_MS);
            let deadline = self
                .actions
                .next_deadline()
                .map_or(look, |due| due.min(look));
            tokio::select! {
                () = interrupt.wait() => return Ok(End::Stop),
                due = self.reporter.next() => match due? {
                    Due::Nothing => {}
                    Due::Report => self.report()?,
                    Due::Connected => self.actions.connected(),
                },
                // An inbox that has stopped says less than the link, which stops with it.
                Ok(received) = inbox.next() => Box::pin(self.take(received)).await?,
                progress = self.actions.next() => {
                    self.actions.went_on(progress, &mut self.reporter)?;
                }
                said = said(simulator) => self.reporter.simulator_said(&said)?,
                () = sleep_until(deadline) => {}
            }
        }
        Ok(End::Stop)
    }

    /// Waits for the last acknowledgements, as far as the platform listens.
    pub(crate) async fn leave(&mut self) -> anyhow::Result<()> {
        Ok(self.reporter.leave().await?)
    }

    /// How it all went.
    pub(crate) fn summary(&self) -> String {
        self.reporter.summary()
    }

    fn report(&mut self) -> anyhow::Result<()> {
        let device = &self.identity;
        self.reporter.report(|client, report| {
            let values = Values::from(&report.reading);
            client.try_publish(&device.event("status").at_least_once().json_in_d(&values))
        })
    }

    async fn take(&mut self, received: Received<'_>) -> anyhow::Result<()> {
        let device = self.identity;
        match device.command(&received) {
            Some(command) => self.obey(read(&command)),
            None => Box::pin(self.actions.take(&received, &mut self.reporter)).await,
        }
    }

    fn obey(&mut self, command: Result<Command, Refusal>) -> anyhow::Result<()> {
        match command {
            Ok(command) => {
                self.reporter.note(&format!("command: {command}"))?;
                self.execute(command)
            }
            Err(refusal) => Ok(self.reporter.note(&format!("command ignored: {refusal}"))?),
        }
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Interval(every) => self.reporter.set_interval(every),
            Command::ReportNow => self.report()?,
            Command::Identify => {
                let identity = json!({"host": host_name(), "system": system_name()});
                let event = self.identity.event("identity").at_least_once();
                let sent = self
                    .reporter
                    .client()
                    .try_publish(&event.json_in_d(&identity));
                self.reporter.note_failure("identity", &sent)?;
            }
        }
        Ok(())
    }
}

/// Why a command is not obeyed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("not as it should be: {0}")]
    Json(#[from] JsonError),
}

#[derive(Deserialize)]
struct Seconds {
    seconds: f64,
}

/// Reads `interval` with `{"seconds":2}`, `identify` and `report-now`, whatever the format is called.
fn read(command: &Content<'_>) -> Result<Command, Refusal> {
    match command.name {
        "interval" => {
            let Seconds { seconds } = command.json()?;
            Ok(Command::Interval(interval(seconds)?))
        }
        "identify" => Ok(Command::Identify),
        "report-now" => Ok(Command::ReportNow),
        _ => Err(CommandError::Unknown.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn command(name: &str, payload: &str) -> Result<Command, Refusal> {
        read(&Content {
            name,
            format: "json",
            payload: payload.as_bytes(),
        })
    }

    #[test]
    fn commands_are_read_with_their_payload() {
        let two_seconds = Command::Interval(Duration::from_secs(2));
        let read = command("interval", r#"{"seconds":2}"#).unwrap();
        assert_eq!(read, two_seconds);
        assert_eq!(command("identify", "").unwrap(), Command::Identify);
        assert!(command("interval", "2 s").is_err());
        assert!(command("dance", "{}").is_err());
    }
}
