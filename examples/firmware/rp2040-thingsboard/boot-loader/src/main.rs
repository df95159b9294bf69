//! The boot loader of an RP2040: embassy-boot, under a watchdog.
//!
//! It starts what lies in the partition `ACTIVE`. When the firmware has asked for it, it swaps `ACTIVE` and `DFU` first; when
//! the new firmware has not confirmed itself by the next reset, it swaps them back. Both go on where they were after a loss
//! of power.
#![no_std]
#![no_main]

use core::{cell::RefCell, panic::PanicInfo};

use embassy_boot_rp::{BootLoader, BootLoaderConfig, WatchdogFlash};
use embassy_rp::flash::FLASH_BASE;
use embassy_sync::blocking_mutex::{Mutex, raw::NoopRawMutex};
use embassy_time::Duration;
use portable_atomic as _;

/// Bytes of the flash on the board.
const FLASH_SIZE: usize = 2 * 1024 * 1024;

/// Fed by each access to the flash, and by the firmware later: one that hangs before it does so is reset, too. The hardware
/// can count to 8.3 seconds.
const WATCHDOG: Duration = Duration::from_secs(8);

#[cortex_m_rt::entry]
fn main() -> ! {
    let p = embassy_rp::init(embassy_rp::config::Config::default());
    let flash = WatchdogFlash::<FLASH_SIZE>::start(p.FLASH, p.WATCHDOG, WATCHDOG);
    let flash = Mutex::<NoopRawMutex, _>::new(RefCell::new(flash));
    let partitions = BootLoaderConfig::from_linkerfile_blocking(&flash, &flash, &flash);
    let firmware = FLASH_BASE as u32 + partitions.active.offset();
    let boot_loader: BootLoader = BootLoader::prepare(partitions);
    // SAFETY: firmware for this address is flashed there, by hand or by the swap; nothing of the boot loader is in use any
    // more.
    unsafe { boot_loader.load(firmware) }
}

/// The flash has failed. The watchdog resets the chip, and it is tried again.
#[panic_handler]
fn wait_for_watchdog(_: &PanicInfo<'_>) -> ! {
    loop {}
}
