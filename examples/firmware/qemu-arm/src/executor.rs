//! The executor's loop.
//!
//! The ready-made one idles with WFE. QEMU takes WFE for no operation, so that waiting firmware would keep a core of
//! the host busy. WFI does sleep.

use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::asm;
use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

use crate::timer;

/// A task was woken since the executor began to poll.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Starts the time driver, calls `main` to spawn the first tasks, and runs them for ever.
///
/// # Panics
///
/// If called twice.
pub fn run(main: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    timer::start();
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    main(executor.spawner());
    loop {
        WOKEN.store(false, Ordering::Relaxed);
        // SAFETY: this is the only call, and the pender does not poll.
        unsafe { executor.poll() };
        sleep_unless_woken();
    }
}

/// With interrupts masked nothing can wake a task between the look and WFI, and WFI still ends with the first interrupt,
/// which is then taken when they are unmasked.
fn sleep_unless_woken() {
    critical_section::with(|_| {
        if !WOKEN.load(Ordering::Relaxed) {
            asm::wfi();
        }
    });
}

#[unsafe(export_name = "__pender")]
fn wake_executor(_context: *mut ()) {
    WOKEN.store(true, Ordering::Relaxed);
}
