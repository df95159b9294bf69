//! The client of `mqtt-std` beside a script: its runner has a thread of its own.

use std::time::Duration;

use mqtt_std::{Client, Delivery, Error, Inbox, Options, Publication, Received, Reconnect, Runner};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::peer::LIMIT;

/// A client that runs in the background.
#[derive(Debug)]
pub struct Device {
    /// Waits for futures.
    pub executor: Executor,
    /// The client.
    pub client: Client,
    /// Its messages.
    pub inbox: Inbox,
    running: JoinHandle<(Runner, Result<(), Error>)>,
}

impl Device {
    /// Starts the runner; waits for nothing.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let executor = Executor::new();
        let (client, inbox, runner) = mqtt_std::new(options).expect("good options");
        let running = executor.0.spawn(run(runner));
        Self {
            executor,
            client,
            inbox,
            running,
        }
    }

    /// Starts the runner and waits for the first connection.
    #[must_use]
    pub fn connect(options: Options) -> Self {
        let device = Self::start(options);
        device.connected();
        device
    }

    /// Waits for the connection; tells whether the broker had a session.
    pub fn connected(&self) -> bool {
        self.wait(self.client.connected()).expect("a connection")
    }

    /// Hands a message to the client.
    pub fn publish(&self, message: &impl Publication) -> Delivery {
        self.wait(self.client.publish(message)).expect("room")
    }

    /// Publishes and waits for the acknowledgement.
    pub fn delivers(&self, message: &impl Publication) {
        let mut delivery = self.publish(message);
        self.wait(delivery.acknowledged()).expect("acknowledged");
    }

    /// Waits for the next message.
    pub fn message(&mut self) -> Received<'_> {
        self.executor.wait(self.inbox.next()).expect("a message")
    }

    /// Whether no message comes in that time.
    pub fn hears_nothing(&mut self, time: Duration) -> bool {
        self.executor
            .wait_at_most(time, self.inbox.next())
            .is_none()
    }

    /// Waits for a future, for no longer than [`LIMIT`].
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.executor.wait(future)
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    ///
    /// Those of the run.
    pub fn ends(&mut self) -> Result<(), Error> {
        let ended = self.executor.wait(&mut self.running);
        ended.expect("no panic").1
    }
}

/// Waits, but not for ever.
#[derive(Debug)]
pub struct Executor(Runtime);

impl Executor {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self(runtime.expect("a runtime"))
    }

    /// Waits for a future, for no longer than [`LIMIT`].
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.wait_at_most(LIMIT, future).expect("it comes in time")
    }

    /// Waits for a future, for no longer than that; drops it then.
    pub fn wait_at_most<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let result = self.0.block_on(async { timeout(limit, future).await });
        result.ok()
    }
}

async fn run(mut runner: Runner) -> (Runner, Result<(), Error>) {
    let result = runner.run().await;
    (runner, result)
}

/// Reconnects within milliseconds.
#[must_use]
pub const fn soon() -> Reconnect {
    let mut soon = Reconnect::new();
    soon.initial_ms = 20;
    soon.max_ms = 50;
    soon
}
