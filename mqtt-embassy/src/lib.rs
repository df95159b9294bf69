//! MQTT for Embassy firmware.
//!
//! Today this crate is [`mqtt_core`] with its feature `client` and nothing more: implement that client's connector
//! and timer traits for your network stack to run it. Connectors on embassy-net and the clock will live here.

#![no_std]
#![forbid(unsafe_code)]

pub use mqtt_core;
