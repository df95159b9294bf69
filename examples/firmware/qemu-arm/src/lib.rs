//! Board support for QEMU's Arm machine `mps2-an385`: network, time, executor, and what the host provides.
//!
//! An emulated board for firmware that is built with the instruction set of real ones: thumbv6m (RP2040) or thumbv7m.
//! It has an Ethernet controller, so the whole of embassy-net, TLS and the client run as they would on a board, and its
//! exit status tells a test how it went.
//!
//! ```ignore
//! #[cortex_m_rt::entry]
//! fn main() -> ! {
//!     let network = board::init();
//!     board::run(|spawner| spawner.spawn(application(spawner, network).unwrap()))
//! }
//! ```
#![no_std]

mod crash;
mod executor;
mod host;
mod interrupt;
mod lan9118;
mod mmio;
pub mod stack;
mod timer;

use defmt_semihosting as _;

pub use executor::run;
pub use host::{Random, argument, argument_number, exit, unix_time_s};
pub use lan9118::{Network, ReceiveToken, TransmitToken};
pub use timer::set_time_limit_s;

/// Exit statuses that the board itself uses. Firmware has all others for its own verdicts.
pub mod status {
    /// The program panicked.
    pub const PANIC: u8 = 101;
    /// The processor took a fault, or an interrupt that nobody handles.
    pub const FAULT: u8 = 102;
    /// The time of [`set_time_limit_s`](crate::set_time_limit_s) is over.
    pub const TIME_LIMIT: u8 = 103;
}

/// Starts the timers and the Ethernet controller, and returns the latter.
///
/// # Panics
///
/// If called twice, or on a machine without this Ethernet controller.
#[must_use]
pub fn init() -> Network {
    timer::start();
    Network::start()
}
