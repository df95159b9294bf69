//! What the tests of this workspace share: a scripted MQTT peer, real brokers, certificates,
//! and the `probe` program that drives the client by lines.
//!
//! Everything listens on 127.0.0.1 on a port of the system's choice, and everything that waits
//! has a time-out: a broken client ends in a failed test, not in a hung one.

#![allow(
    clippy::missing_panics_doc,
    reason = "a test peer tells what it missed by a panic"
)]

pub mod bad_packet;
pub mod certificates;
pub mod device;
pub mod echo;
pub mod hex;
pub mod mosquitto;
pub mod pair;
pub mod peer;
pub mod ports;
pub mod probe;
pub mod proxy;
pub mod raw;
pub mod recorder;
pub mod simulator;
pub mod statements;
