//! The same client for programs without a runtime.
//!
//! [`connect`] starts one thread that does the work; [`Client`] and [`Inbox`] have the methods of their asynchronous
//! namesakes, without `.await`. What can take long has a second form with a time limit, which returns `None` when the
//! time is over: nothing is lost by that, the call can be repeated.
//!
//! ```no_run
//! use mqtt_std::{Message, Options, QoS, blocking};
//!
//! let options = Options::from_url("mqtt://localhost/thermometer")?.subscribe("commands/#", QoS::AtLeastOnce);
//! let (client, mut inbox) = blocking::connect(options)?;
//! client.publish_and_wait(&Message::new("readings", b"21.5").at_least_once())?;
//! for message in inbox.iter() {
//!     println!("{}: {} bytes", message.topic(), message.payload().len());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Dropping all clients and the inbox ends the link without a `Disconnect`, so that the broker publishes the will, and
//! stops the thread. [`Client::disconnect`] takes leave properly.

mod client;
mod inbox;
#[cfg(unix)]
mod outbox;
mod thread;

use std::sync::Arc;

#[cfg(unix)]
pub use self::outbox::Outbox;
use self::thread::Worker;
pub use self::{
    client::{Client, Delivery, NotDelivered},
    inbox::{Inbox, Iter, OwnedMessage},
};
use crate::{Error, Options, wait};

/// Connects to the broker, and returns when the link is up.
///
/// Afterwards the link is kept up as [`Options::reconnect`] says.
///
/// # Errors
///
/// [`Error`] if the options cannot be used, or if this first connection fails, for whatever reason: it is not repeated.
pub fn connect(options: Options) -> Result<(Client, Inbox), Error> {
    let (client, inbox, runner) = crate::new(options.fail_fast(true))?;
    let worker = Arc::new(Worker::start(runner)?);
    wait::block_on(worker.connected(&client))?;
    Ok((
        Client::new(client.clone(), worker.clone()),
        Inbox::new(inbox, client, worker),
    ))
}
