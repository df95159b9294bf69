//! Time driver on the two CMSDK timers of the machine: one tick is a microsecond.
//!
//! Both are 32 bits wide, run at 25 MHz and count down. TIMER0 runs freely and tells the time. TIMER1 is the alarm. It
//! goes off at least every [`LONGEST_SLEEP_US`], for three reasons: QEMU's main loop may else not notice for up to a
//! second that its network has something for us; TIMER0 wraps after 171 s and must be looked at before; and
//! the time limit must end even a program that waits for nothing.
//!
//! | offset | register |
//! | --- | --- |
//! | 0x0 | CTRL: bit 0 enables the counter, bit 3 the interrupt |
//! | 0x4 | VALUE |
//! | 0x8 | RELOAD: written, it is VALUE at once too |
//! | 0xC | INTSTATUS, and INTCLEAR when a one is written |

use core::{cell::RefCell, task::Waker};

use critical_section::Mutex;
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use crate::{exit, interrupt::Interrupt, mmio::Register, status};

const CYCLES_PER_US: u32 = 25;
const LONGEST_SLEEP_US: u32 = 5_000;
const ENABLE: u32 = 1;
const INTERRUPT_ENABLE: u32 = 1 << 3;

const CLOCK: Timer = Timer::at(0x4000_0000);
const ALARM: Timer = Timer::at(0x4000_1000);

time_driver_impl!(static DRIVER: TimeDriver = TimeDriver::new());

/// Starts the clock at zero. Does nothing if it runs already.
pub(crate) fn start() {
    critical_section::with(|section| DRIVER.state.borrow_ref_mut(section).start());
}

/// Ends the program with [`status::TIME_LIMIT`] `seconds` from now, whatever it does then.
///
/// A guard for tests: a firmware that hangs reports it by itself. A later call replaces the limit.
pub fn set_time_limit_s(seconds: u32) {
    critical_section::with(|section| {
        let mut state = DRIVER.state.borrow_ref_mut(section);
        state.limit_us = state.now_us() + u64::from(seconds) * 1_000_000;
    });
}

pub(crate) fn on_alarm() {
    ALARM.clear_interrupt();
    let over = critical_section::with(|section| {
        let mut state = DRIVER.state.borrow_ref_mut(section);
        state.wake_and_set_alarm();
        state.now_us() >= state.limit_us
    });
    if over {
        defmt::error!("time limit reached");
        exit(status::TIME_LIMIT);
    }
}

struct TimeDriver {
    state: Mutex<RefCell<State>>,
}

impl TimeDriver {
    const fn new() -> Self {
        Self {
            state: Mutex::new(RefCell::new(State::new())),
        }
    }
}

impl Driver for TimeDriver {
    fn now(&self) -> u64 {
        critical_section::with(|section| self.state.borrow_ref_mut(section).now_us())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let mut state = self.state.borrow_ref_mut(section);
            if state.queue.schedule_wake(at, waker) {
                state.wake_and_set_alarm();
            }
        });
    }
}

struct State {
    queue: Queue,
    /// Whole microseconds up to `mark`.
    elapsed_us: u64,
    /// What the clock's counter read then.
    mark: u32,
    running: bool,
    limit_us: u64,
}

impl State {
    const fn new() -> Self {
        Self {
            queue: Queue::new(),
            elapsed_us: 0,
            mark: 0,
            running: false,
            limit_us: u64::MAX,
        }
    }

    fn start(&mut self) {
        if self.running {
            return;
        }
        self.running = true;
        self.mark = u32::MAX;
        CLOCK.reload(u32::MAX);
        CLOCK.control(ENABLE);
        self.wake_and_set_alarm();
        ALARM.control(ENABLE | INTERRUPT_ENABLE);
        Interrupt::Alarm.enable();
    }

    /// Adds what has passed since `mark`, in whole microseconds. The mark moves by as much, so that nothing is lost, and
    /// no 64-bit division is needed.
    fn now_us(&mut self) -> u64 {
        let passed_us = self.mark.wrapping_sub(CLOCK.value()) / CYCLES_PER_US;
        self.mark = self.mark.wrapping_sub(passed_us * CYCLES_PER_US);
        self.elapsed_us += u64::from(passed_us);
        self.elapsed_us
    }

    /// Wakes what is due, and sets the alarm for what comes next.
    fn wake_and_set_alarm(&mut self) {
        let now_us = self.now_us();
        let sleep_us = self.queue.next_expiration(now_us).saturating_sub(now_us);
        let sleep_us = u32::try_from(sleep_us)
            .unwrap_or(u32::MAX)
            .clamp(1, LONGEST_SLEEP_US);
        ALARM.reload(sleep_us * CYCLES_PER_US);
    }
}

/// One CMSDK timer.
struct Timer {
    control: Register,
    value: Register,
    reload: Register,
    interrupt: Register,
}

impl Timer {
    const fn at(base: usize) -> Self {
        // SAFETY: only called with the bases of the machine's two timers. They do not access memory.
        unsafe {
            Self {
                control: Register::at(base),
                value: Register::at(base + 0x4),
                reload: Register::at(base + 0x8),
                interrupt: Register::at(base + 0xC),
            }
        }
    }

    fn control(&self, bits: u32) {
        self.control.write(bits);
    }

    fn reload(&self, cycles: u32) {
        self.reload.write(cycles);
    }

    fn clear_interrupt(&self) {
        self.interrupt.write(1);
    }

    fn value(&self) -> u32 {
        self.value.read()
    }
}
