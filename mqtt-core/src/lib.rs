//! MQTT 3.1.1 and 5 for devices.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]
#![warn(clippy::std_instead_of_core)]

#[cfg(test)]
extern crate std;

mod bytes;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
mod publication;
mod receive;
pub mod session;
mod time;

pub use codec::{QoS, Version};
pub use publication::{Json, Message, Publication, WrittenBy, write_json};
pub use receive::{ReceiveBuffer, Received};
pub use session::Session;
pub use time::Instant;
