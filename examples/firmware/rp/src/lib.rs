//! What the boards with an RP2040 or RP2350 share.
#![no_std]

#[cfg(feature = "rp2040")]
mod random;
mod thermometer;
mod watchdog;
#[cfg(feature = "wifi")]
pub mod wifi;

#[cfg(feature = "rp2040")]
pub use random::random;
pub use thermometer::{Reading, Thermometer};
pub use watchdog::{watch, watch_until};
