//! The device: reads, publishes, listens, until told to stop.

use std::time::Duration;

use examples::ending::Interrupt;
use examples::monitor::commands::Command;
use examples::monitor::report::Identity;
use examples::monitor::{Due, Reporter, host_name, system_name};
use mqtt_std::{Delivery, Inbox, Json, LinkState, Message, PublishError, Received};
use tokio::time::timeout;

use crate::topics::Topics;

/// How long the last words may take when the program ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// The state of a running device.
pub(crate) struct Device {
    reporter: Reporter,
    topics: Topics,
}

impl Device {
    pub(crate) fn new(reporter: Reporter, topics: Topics) -> Self {
        Self { reporter, topics }
    }

    /// Reports and obeys until enough reports are acknowledged or the user interrupts.
    pub(crate) async fn live(
        &mut self,
        inbox: &mut Inbox,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<()> {
        while !self.reporter.is_done() {
            tokio::select! {
                () = interrupt.wait() => return Ok(()),
                due = self.reporter.next() => match due? {
                    Due::Nothing => {}
                    Due::Report => self.report()?,
                    // The broker may have published our will: we are back, so say so again. Lost with the link, it is
                    // said again on the next one.
                    Due::Connected => {
                        let online = self.presence(Topics::ONLINE);
                        self.reporter.note_failure("presence", &online)?;
                    }
                },
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
        if !matches!(self.reporter.client().state(), LinkState::Connected { .. }) {
            return Ok(());
        }
        // What is not said by then, the will says for us.
        timeout(GOODBYE, self.say_goodbye()).await.unwrap_or(Ok(()))
    }

    /// How it all went.
    pub(crate) fn summary(&self) -> String {
        self.reporter.summary()
    }

    async fn say_goodbye(&mut self) -> anyhow::Result<()> {
        let offline = self.presence(Topics::OFFLINE);
        self.reporter.settle().await?;
        if let Ok(mut offline) = offline {
            // Refused or not, there is nothing left to be done about it.
            let _ = offline.acknowledged().await;
        }
        Ok(())
    }

    fn presence(&self, state: &[u8]) -> Result<Delivery, PublishError> {
        let message = Message::new(&self.topics.presence, state);
        self.reporter
            .client()
            .try_publish(&message.at_least_once().retain())
    }

    fn report(&mut self) -> anyhow::Result<()> {
        let head = Message::new(&self.topics.report, b"").at_least_once();
        self.reporter
            .report(|client, report| client.try_publish(&Json(head, report)))
    }

    fn obey(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        match command {
            Ok(command) => {
                self.reporter.note(&format!("command: {command}"))?;
                self.execute(command)
            }
            Err(why) => Ok(self.reporter.note(&format!("command ignored: {why}"))?),
        }
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Interval(every) => self.reporter.set_interval(every),
            Command::ReportNow => self.report()?,
            Command::Identify => self.identify()?,
        }
        Ok(())
    }

    fn identify(&mut self) -> anyhow::Result<()> {
        let identity = Identity {
            host: &host_name(),
            system: &system_name(),
            program: concat!("host-monitor ", env!("CARGO_PKG_VERSION")),
            process: std::process::id(),
        };
        let head = Message::new(&self.topics.identity, b"").at_least_once();
        let delivery = self.reporter.client().try_publish(&Json(head, &identity));
        Ok(self.reporter.note_failure("identity", &delivery)?)
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
