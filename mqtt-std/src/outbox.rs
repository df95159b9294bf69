//! Messages that outlive the process and a loss of power.

use mqtt_core::outbox;

use crate::{Client, OutboxFile, Std};

/// Messages under way at once.
const WINDOW: usize = 32;

/// Accepts messages into a file, and publishes them from there. See [`outbox()`].
pub type Outbox = outbox::Outbox<Std, OutboxFile, Box<[u8]>, WINDOW>;

/// Makes an outbox: what it has accepted is delivered at least once, also after a crash or a loss of power.
///
/// `record_len` is the length of the longest record: 9 bytes, topic, properties and payload. The methods are those of
/// [`mqtt_core::outbox::Outbox`]; share it by an `Arc`, or borrow it.
///
/// ```no_run
/// use std::sync::Arc;
/// use mqtt_std::{Message, Options, OutboxFile};
///
/// # async fn program() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, _inbox, mut runner) = mqtt_std::new(Options::from_url("mqtts://broker.example/meter")?)?;
/// let store = OutboxFile::open("/var/lib/meter/outbox", 1 << 20)?;
/// let outbox = Arc::new(mqtt_std::outbox(&client, store, 4096));
/// tokio::spawn(async move { runner.run().await });
/// let flushing = outbox.clone();
/// tokio::spawn(async move {
///     flushing.run(|_, _| Ok(()), |message, loss| eprintln!("{}: {loss}", message.topic)).await
/// });
///
/// outbox.publish(&Message::new("meter/kwh", b"4711").at_least_once()).await?;
/// // It is on the disk now.
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn outbox(client: &Client, store: OutboxFile, record_len: usize) -> Outbox {
    Outbox::new(
        client.clone(),
        store,
        vec![0; record_len].into_boxed_slice(),
    )
}
