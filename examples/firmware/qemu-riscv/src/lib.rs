//! Board support for QEMU's RISC-V machine `virt`, instruction set riscv32imc as in the ESP32-C3.
//!
//! [`init`] makes the network device, [`run`] starts the executor. The rest is what a program that is judged by its
//! exit status needs: [`argument`], [`exit`], [`set_time_limit_s`], and the high-water mark of the [`stack`].
//!
//! ```text
//! virtio_net  network device over    virtqueue  two rings shared with the device
//! timer       time driver on CLINT   plic       interrupt of the network device
//! executor    tasks, sleeps in wfi   host       arguments, exit, randomness, wall clock
//! fault       panics and exceptions  stack      painted before main
//! mmio        registers and memory that a device changes
//! ```
//!
//! Logs are defmt frames on QEMU's standard output.

#![no_std]

use defmt_semihosting as _;

mod executor;
mod fault;
mod host;
mod mmio;
mod plic;
pub mod stack;
mod timer;
mod virtio_mmio;
mod virtio_net;
mod virtqueue;

pub use executor::run;
pub use host::{Random, argument, argument_number, exit, unix_time_s};
pub use timer::set_time_limit_s;
pub use virtio_net::Network;

/// Brings up the network device. To be called once, before [`run`].
///
/// # Panics
///
/// On a second call, and if the machine has no `virtio-net-device` with a modern interface
/// (`-global virtio-mmio.force-legacy=false`).
#[must_use]
pub fn init() -> Network {
    Network::new()
}

/// Exit statuses of the board itself. A firmware chooses other ones.
pub mod status {
    /// The firmware panicked.
    pub const PANIC: u8 = 101;
    /// The processor met an exception, such as an access to an address where nothing is.
    pub const FAULT: u8 = 102;
    /// The time given to [`set_time_limit_s`](crate::set_time_limit_s) is over.
    pub const TIME_LIMIT: u8 = 103;
}
