//! The session, as conversations with a scripted peer.

mod common;

mod connect;
mod cut;
mod errors;
mod kept;
mod outbox;
mod publish;
mod random;
mod receive;
mod requests;
mod reserve;
mod resume;
mod rules;
mod stream;
mod time;
#[cfg(feature = "v5")]
mod v5;
#[cfg(feature = "v5")]
mod v5_limits;
