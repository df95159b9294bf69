//! The client behind the commands.

use std::sync::Arc;

use mqtt_std::{Client, OptionsError, Runner};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_local, yield_now};

use crate::command::{Command, Connect, Oversize, Publish};
use crate::event::usage;
use crate::exchanges::{publish_in_order, subscribe, unsubscribe};
use crate::messages::{Held, report_messages};
use crate::options::options;
use crate::reporter::{Reporter, Run};

/// What the commands act on.
pub(crate) struct Session {
    host: String,
    port: u16,
    held: Held,
    active: Option<Active>,
}

/// A client, from its first `connect` on.
struct Active {
    client: Client,
    reporter: Arc<Reporter>,
    publications: UnboundedSender<Publish>,
    running: JoinHandle<Runner>,
    buffers: Buffers,
}

type Buffers = (Option<usize>, Option<usize>);

impl Session {
    pub(crate) fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            held: Held::default(),
            active: None,
        }
    }

    pub(crate) async fn obey(&mut self, command: Command) {
        match (command, &self.active) {
            (Command::Connect(connect), _) => Box::pin(self.connect(*connect)).await,
            (Command::Hold, _) => self.held.hold(),
            (Command::Release, active) => {
                self.held
                    .release(active.as_ref().map(|active| &active.client));
            }
            (Command::Quit, _) => {}
            (_, None) => usage(&"not connected yet"),
            (Command::Publish(publish), Some(active)) => {
                // The task that takes it lives as long as this sender.
                let _ = active.publications.send(publish);
            }
            (Command::Subscribe { filters }, Some(active)) => {
                spawn_local(subscribe(
                    active.client.clone(),
                    filters,
                    active.reporter.clone(),
                ));
            }
            (Command::Unsubscribe { filters }, Some(active)) => {
                spawn_local(unsubscribe(
                    active.client.clone(),
                    filters,
                    active.reporter.clone(),
                ));
            }
            (Command::Disconnect, Some(active)) => {
                let client = active.client.clone();
                spawn_local(async move { client.disconnect().await });
            }
        }
    }

    /// Runs the client of the last `connect` again, with its session, or a new one.
    async fn connect(&mut self, connect: Connect) {
        if self
            .active
            .as_ref()
            .is_some_and(|active| active.reporter.is_running())
        {
            return usage(&"connected already");
        }
        let result = match self.active.take() {
            // Buffers keep their size: another size is another client.
            Some(active) if active.buffers == buffers(&connect) => {
                let again = active.connects_again(&self.host, self.port, connect);
                Ok(Box::pin(again).await)
            }
            _ => Active::connects(&self.host, self.port, connect, &self.held),
        };
        match result {
            Ok(active) => self.active = active,
            Err(error) => usage(&error),
        }
    }
}

impl Active {
    fn connects(
        host: &str,
        port: u16,
        connect: Connect,
        held: &Held,
    ) -> Result<Option<Self>, OptionsError> {
        let (buffers, run) = (buffers(&connect), run_of(&connect));
        let (client, inbox, runner) = mqtt_std::new(options(host, port, connect))?;
        let reporter = Arc::new(Reporter::new(client.clone()));
        reporter.begins(run);
        spawn_local(report_messages(inbox, held.clone(), reporter.clone()));
        spawn_local(reporter.clone().watch());
        let (publications, queue) = unbounded_channel();
        spawn_local(publish_in_order(client.clone(), queue, reporter.clone()));
        Ok(Some(Self {
            client,
            running: spawn_local(drive(runner, reporter.clone())),
            reporter,
            publications,
            buffers,
        }))
    }

    /// `None` if the runner is gone, which it is only after a panic.
    async fn connects_again(self, host: &str, port: u16, connect: Connect) -> Option<Self> {
        let run = run_of(&connect);
        let mut runner = self.running.await.ok()?;
        *runner.options_mut() = options(host, port, connect);
        self.reporter.begins(run);
        let running = spawn_local(drive(runner, self.reporter.clone()));
        Some(Self { running, ..self })
    }
}

async fn drive(mut runner: Runner, reporter: Arc<Reporter>) -> Runner {
    let result = runner.run().await;
    // What came before the end is told before the end, by tasks that are ready now.
    for _ in 0..4 {
        yield_now().await;
    }
    reporter.ends(result);
    runner
}

const fn buffers(connect: &Connect) -> Buffers {
    (connect.rx_buffer, connect.tx_buffer)
}

fn run_of(connect: &Connect) -> Run {
    Run {
        version: connect.version.unwrap_or_default(),
        clean: connect.clean.unwrap_or(true),
        streams: matches!(connect.oversize, Some(Oversize::Stream)),
    }
}
