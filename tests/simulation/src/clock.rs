//! The clock of the device: virtual, 32 bits wide for the client, moved by the world only.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use mqtt_core::Instant;

thread_local! {
    static START: Cell<u32> = const { Cell::new(0) };
    static ELAPSED: Cell<u64> = const { Cell::new(0) };
    static SLEEPERS: RefCell<Sleepers> = const { RefCell::new(Sleepers { last: 0, waiting: Vec::new() }) };
}

struct Sleepers {
    last: u64,
    waiting: Vec<(u64, u64, Waker)>,
}

/// A new life begins: the client's clock shows `start`.
pub(crate) fn reset(start: u32) {
    START.set(start);
    ELAPSED.set(0);
    SLEEPERS.with_borrow_mut(|sleepers| sleepers.waiting.clear());
}

/// What the client sees.
pub(crate) fn now() -> Instant {
    Instant::from_millis(START.get().wrapping_add(ELAPSED.get() as u32))
}

/// Milliseconds since the beginning; does not wrap.
pub(crate) fn elapsed() -> u64 {
    ELAPSED.get()
}

/// When the first sleeper is to be woken.
pub(crate) fn next() -> Option<u64> {
    SLEEPERS.with_borrow(|sleepers| sleepers.waiting.iter().map(|(at, ..)| *at).min())
}

/// Lets the clock show `at` milliseconds, and wakes who has slept until then.
pub(crate) fn advance(at: u64) {
    ELAPSED.set(at.max(ELAPSED.get()));
    SLEEPERS.with_borrow_mut(|sleepers| {
        sleepers.waiting.retain(|(until, _, waker)| {
            let due = *until <= ELAPSED.get();
            if due {
                waker.wake_by_ref();
            }
            !due
        });
    });
}

/// Waits for some time.
pub(crate) fn sleep(millis: u32) -> Sleep {
    Sleep::until(elapsed() + u64::from(millis))
}

/// Waits until the client's clock has reached `deadline`.
pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    let now = now();
    let left = if now.has_reached(deadline) {
        0
    } else {
        deadline.since(now)
    };
    sleep(left)
}

/// A future that is ready at some time.
pub(crate) struct Sleep {
    until: u64,
    registered: Option<u64>,
}

impl Sleep {
    fn until(until: u64) -> Self {
        Self {
            until,
            registered: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.until <= elapsed() {
            return Poll::Ready(());
        }
        if self.registered.is_none() {
            let until = self.until;
            let number = SLEEPERS.with_borrow_mut(|sleepers| {
                sleepers.last += 1;
                let number = sleepers.last;
                sleepers.waiting.push((until, number, cx.waker().clone()));
                number
            });
            self.registered = Some(number);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.registered {
            SLEEPERS.with_borrow_mut(|sleepers| {
                sleepers.waiting.retain(|(_, other, _)| *other != number);
            });
        }
    }
}
