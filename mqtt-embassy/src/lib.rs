//! MQTT for Embassy firmware.
//!
//! Today this crate is [`mqtt_core`] with its feature `client` and nothing more. To run that client, implement
//! [`Connect`](mqtt_core::client::Connect) and [`Kind`](mqtt_core::client::Kind) for your network stack. Connectors on
//! embassy-net and the clock will live here.

#![no_std]
#![forbid(unsafe_code)]

pub use mqtt_core;
