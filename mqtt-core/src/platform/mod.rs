//! Topics and payloads of device platforms, spoken correctly.
//!
//! A helper is pure: it makes a [`Publication`](crate::Publication), options and subscriptions, and reads topic and
//! payload of what was received into typed, borrowed values. It has no socket, no clock and no allocation, so it works with
//! any MQTT client. What a platform forbids is refused before a byte is sent. What is not used is not linked.

mod decimal;
mod deserialize;
pub mod json;
pub mod losant;
mod message;
pub mod place_os;
pub mod recipes;
pub mod thingsboard;
pub mod update;
pub mod watson_iot;

pub use decimal::{Decimal, Mantissa};
pub use message::ApplicationMessage;
