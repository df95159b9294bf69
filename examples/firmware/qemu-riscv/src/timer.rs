//! The time of embassy, on the timer of the processor, CLINT: `mtime` counts at 10 MHz, and while it is not below
//! `mtimecmp` the timer interrupt is pending.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;
use riscv::{interrupt::Interrupt, register::mie};

use crate::{host::exit, mmio::Register, status};

const MTIMECMP_LOW: usize = 0x0200_4000;
const MTIMECMP_HIGH: usize = 0x0200_4004;
const MTIME_LOW: usize = 0x0200_BFF8;
const MTIME_HIGH: usize = 0x0200_BFFC;

const COUNTS_PER_TICK: u64 = 10;
const TICKS_PER_SECOND: u64 = embassy_time_driver::TICK_HZ;
/// QEMU 7.2 does not notice a connection that the guest opens before something wakes its main loop, up to a second
/// later. So wake it often.
const LONGEST_SLEEP: u64 = TICKS_PER_SECOND / 200;

time_driver_impl!(static TIMER: Timer = Timer {
    queue: Mutex::new(RefCell::new(Queue::new())),
    time_limit: Mutex::new(Cell::new(u64::MAX)),
});

defmt::timestamp!("{=u64:us}", TIMER.now());

/// Ends the firmware with [`status::TIME_LIMIT`] if it still runs in `seconds` from now, even if a task never lets
/// go of the processor. A second call replaces the limit. It is watched from [`run`](crate::run) on.
pub fn set_time_limit_s(seconds: u32) {
    let limit = TIMER.now() + u64::from(seconds) * TICKS_PER_SECOND;
    critical_section::with(|cs| TIMER.time_limit.borrow(cs).set(limit));
}

/// Starts the alarms. Interrupts must be enabled afterwards.
pub(crate) fn start() {
    critical_section::with(|cs| TIMER.wake_expired(cs));
    // SAFETY: called outside of any critical section, and the handler below is prepared.
    unsafe { mie::enable(Interrupt::MachineTimer) };
}

struct Timer {
    queue: Mutex<RefCell<Queue>>,
    time_limit: Mutex<Cell<u64>>,
}

impl Driver for Timer {
    fn now(&self) -> u64 {
        mtime() / COUNTS_PER_TICK
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let is_changed = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
            if is_changed {
                self.wake_expired(cs);
            }
        });
    }
}

impl Timer {
    /// Wakes all that are due, and sets the alarm for the next. An alarm in the past rings at once.
    fn wake_expired(&self, cs: CriticalSection<'_>) {
        let now = self.now();
        let next = self.queue.borrow_ref_mut(cs).next_expiration(now);
        set_mtimecmp(next.min(now + LONGEST_SLEEP) * COUNTS_PER_TICK);
    }
}

#[riscv_rt::core_interrupt(Interrupt::MachineTimer)]
fn on_timer_interrupt() {
    let time_limit = critical_section::with(|cs| {
        TIMER.wake_expired(cs);
        TIMER.time_limit.borrow(cs).get()
    });
    if TIMER.now() >= time_limit {
        defmt::error!("time limit reached");
        exit(status::TIME_LIMIT);
    }
}

/// Both halves of the counter, read again if the upper one moved in between.
fn mtime() -> u64 {
    loop {
        let high = register(MTIME_HIGH).read();
        let low = register(MTIME_LOW).read();
        if register(MTIME_HIGH).read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn set_mtimecmp(count: u64) {
    // The upper half at its end meanwhile: no mixture of old and new may ring.
    register(MTIMECMP_HIGH).write(u32::MAX);
    register(MTIMECMP_LOW).write(count as u32);
    register(MTIMECMP_HIGH).write((count >> 32) as u32);
}

fn register(address: usize) -> Register {
    // SAFETY: the constants above are registers of the CLINT, which knows no memory.
    unsafe { Register::new(address) }
}
