//! The end after a panic or an exception: a line in the log and an exit status.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use riscv::register::{mcause, mepc, mtval};
use riscv_rt::TrapFrame;

use crate::{host::exit, status};

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    if is_first() {
        defmt::error!("{}", defmt::Display2Format(info));
    }
    exit(status::PANIC)
}

/// A panic by way of `defmt`, which has logged it already.
#[defmt::panic_handler]
fn on_defmt_panic() -> ! {
    exit(status::PANIC)
}

#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn on_exception(frame: &TrapFrame) -> ! {
    if is_first() {
        defmt::error!(
            "exception {=usize} at {=usize:#010x}, value {=usize:#010x}, called from {=usize:#010x}",
            mcause::read().code(),
            mepc::read(),
            mtval::read(),
            frame.ra,
        );
    }
    exit(status::FAULT)
}

/// False if the log itself brought us here a second time: then it cannot be used.
fn is_first() -> bool {
    static IS_SEEN: AtomicBool = AtomicBool::new(false);
    // No other code runs any more, so load and store need not be one step.
    riscv::interrupt::disable();
    let is_seen = IS_SEEN.load(Ordering::Relaxed);
    IS_SEEN.store(true, Ordering::Relaxed);
    !is_seen
}
