//! The blocking outbox.

use std::{
    fmt, io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use mqtt_core::{
    Instant, Message, Publication,
    outbox::{AcceptError, Counters, Loss, RunError},
};
use tokio::{runtime, sync::oneshot, time::sleep};

use super::Client;
use crate::{
    OutboxFile,
    wait::{block_on, block_on_timeout, select},
};

/// A file that fails is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Accepts messages into a file; a thread of its own publishes them from there. To be used from any thread.
///
/// ```no_run
/// use mqtt_std::{Message, Options, OutboxFile, blocking};
///
/// let (client, _inbox) = blocking::connect(Options::from_url("mqtts://broker.example/meter")?)?;
/// let store = OutboxFile::open("/var/lib/meter/outbox", 1 << 20)?;
/// let lost = |message: &Message<'_>, loss| eprintln!("{}: {loss}", message.topic);
/// let outbox = blocking::Outbox::start(&client, store, 4096, |_, _| Ok(()), lost)?;
/// outbox.publish(&Message::new("meter/kwh", b"4711").at_least_once())?;
/// // It is on the disk now.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it stops the thread. What is not delivered then waits in the file.
pub struct Outbox {
    inner: Arc<crate::Outbox>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Outbox {
    /// Begins to publish what is in `store`. `record_len` is the length of the longest record: 9 bytes, topic, properties and
    /// payload.
    ///
    /// `admit` is asked before each message whether it may be published now, or when; `lost` is told of each that will
    /// never arrive. Both are called by the thread.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub fn start(
        client: &Client,
        store: OutboxFile,
        record_len: usize,
        admit: impl FnMut(&Message<'_>, Instant) -> Result<(), Instant> + Send + 'static,
        lost: impl FnMut(&Message<'_>, Loss) + Send + 'static,
    ) -> io::Result<Self> {
        let outbox = Arc::new(crate::outbox(client.inner(), store, record_len));
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let running = outbox.clone();
        let thread = thread::Builder::new()
            .name("mqtt-outbox".to_owned())
            .spawn(move || {
                let run = Box::pin(run(&running, admit, lost));
                runtime.block_on(select(run, stopped));
            })?;
        Ok(Self {
            inner: outbox,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Accepts a message: when this returns `Ok` it is on the disk. Waits for room.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]: it will not be sent.
    pub fn publish(&self, publication: &impl Publication) -> Result<(), AcceptError<io::Error>> {
        block_on(self.inner.publish(publication))
    }

    /// As [`publish`](Self::publish); `None` if there was no room for so long.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_timeout(
        &self,
        publication: &impl Publication,
        timeout: Duration,
    ) -> Option<Result<(), AcceptError<io::Error>>> {
        block_on_timeout(self.inner.publish(publication), timeout)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner.counters()
    }

    /// Sets what happens to messages that find no room, see [`mqtt_core::outbox::Outbox::set_policy`].
    pub fn set_policy(&self, policy: crate::OutboxPolicy) {
        self.inner.set_policy(policy);
    }
}

/// Publishes until the client has stopped, for good.
async fn run(
    outbox: &crate::Outbox,
    mut admit: impl FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
    mut lost: impl FnMut(&Message<'_>, Loss),
) {
    while let RunError::Store(error) = outbox.run(&mut admit, &mut lost).await {
        tracing::error!("outbox: {error}");
        sleep(RETRY).await;
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
