//! The executor: one, in thread mode. Between two polls it sleeps in `wfi`.

use embassy_executor::{Executor, Spawner};
use riscv::{interrupt, interrupt::Interrupt, register::mie};
use static_cell::StaticCell;

use crate::timer;

/// Starts the time driver and the interrupts, lets `main` spawn the tasks, and runs them for ever.
///
/// # Panics
///
/// On a second call.
pub fn run(main: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor = EXECUTOR.init(Executor::new());
    timer::start();
    // SAFETY: outside of any critical section; the handler is in the module `plic`.
    unsafe { mie::enable(Interrupt::MachineExternal) };
    // SAFETY: as above, and that of the timer is in the module `timer`.
    unsafe { interrupt::enable() };
    executor.run(main)
}
