//! The asynchronous client, in a world with a clock, links and a broker of its own.
#![cfg(feature = "client")]

mod support;

mod chaos;
mod drops;
mod hostile;
mod kept;
mod large;
mod link;
mod messages;
mod outbox;
mod types;
mod update;
#[cfg(feature = "v5")]
mod v5;
