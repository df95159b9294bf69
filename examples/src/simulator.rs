//! A platform inside the program, so that an example runs without an account.

use std::io::{BufRead as _, stdin};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, anyhow};
use mqtt_tests::simulator::{Event, Simulator};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A simulated platform on a free port of 127.0.0.1. What an operator would do there is typed: the lines of standard
/// input are its commands.
#[derive(Debug)]
pub struct PlatformSimulator {
    simulator: Arc<Simulator>,
    says: UnboundedSender<Said>,
    said: UnboundedReceiver<Said>,
}

/// Something that the simulator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// One line or more.
    pub text: String,
    /// It answers a line that was typed: on a terminal the cursor went down by it.
    pub is_answer: bool,
}

impl PlatformSimulator {
    /// Starts a platform: `losant`, `thingsboard`, `watson-iot` or `placeos`.
    ///
    /// # Errors
    ///
    /// When no port can be opened on 127.0.0.1.
    pub fn start(platform: &str) -> anyhow::Result<Self> {
        let simulator = Simulator::start(platform, "127.0.0.1:0")
            .with_context(|| format!("cannot start the simulator of {platform}"))?;
        let (says, said) = unbounded_channel();
        let tell = says.clone();
        simulator.listen(move |event| {
            // That nobody listens any more means that the program ends.
            let _ = telling(event).map(|text| tell.send(Said::new(&text, false)));
        });
        Ok(Self {
            simulator: Arc::new(simulator),
            says,
            said,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.simulator.address()
    }

    /// Does what an operator would do.
    ///
    /// # Errors
    ///
    /// When the simulator does not know the command.
    pub fn command(&self, line: &str) -> anyhow::Result<()> {
        let done = self.simulator.command(line);
        done.map(drop)
            .map_err(|why| anyhow!("simulator: {line}: {why}"))
    }

    /// From now on, each line of standard input is a command to the simulator; its answers are [`said`](Self::said).
    pub fn obey_standard_input(&self) {
        let (simulator, says) = (Arc::clone(&self.simulator), self.says.clone());
        // A read of standard input cannot be given up, so no task of the runtime may be in it.
        thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                let answer = match simulator.command(&line) {
                    _ if line.trim().is_empty() => continue,
                    Ok(answer) if answer.is_empty() => "done".to_owned(),
                    Ok(answer) => answer,
                    Err(why) => format!("{line}: {why}"),
                };
                if says.send(Said::new(&answer, true)).is_err() {
                    return;
                }
            }
        });
    }

    /// What the simulator says next. Dropping the future loses nothing.
    pub async fn said(&mut self) -> Said {
        match self.said.recv().await {
            Some(said) => said,
            // Cannot be: we hold the other end ourselves.
            None => std::future::pending().await,
        }
    }
}

impl Said {
    fn new(text: &str, is_answer: bool) -> Self {
        Self {
            text: format!("simulator: {}", text.trim_end()),
            is_answer,
        }
    }
}

/// What the simulator says next; nothing ever, if there is none.
pub async fn said(simulator: &mut Option<PlatformSimulator>) -> Said {
    match simulator {
        Some(simulator) => simulator.said().await,
        None => std::future::pending().await,
    }
}

/// What is worth a line. Messages are not: the program shows its own.
fn telling(event: &Event) -> Option<String> {
    match event {
        // That our own reports have come is shown by their acknowledgements.
        Event::Note(text) if is_echo(text) => None,
        Event::Note(text) => Some(text.clone()),
        Event::Refused { client_id, .. } => Some(format!("refused {client_id}")),
        Event::Closed { client_id, reason } if client_id.is_empty() => {
            Some(format!("link ended: {reason}"))
        }
        Event::Closed { client_id, reason } => Some(format!("link of {client_id} ended: {reason}")),
        _ => None,
    }
}

fn is_echo(note: &str) -> bool {
    let is_report = ["state of ", "telemetry of ", "event "]
        .iter()
        .any(|start| note.starts_with(start));
    is_report && note.contains(": {")
}
