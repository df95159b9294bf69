//! The clock: stands still until a test moves it.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use mqtt_core::Instant;

/// Not far from the wrap, so that every test crosses nothing but long ones do.
const START: u32 = u32::MAX - 100_000;

thread_local! {
    static NOW: Cell<u32> = const { Cell::new(START) };
    static SLEEPERS: RefCell<Vec<(Instant, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// A new test begins.
pub fn reset() {
    NOW.set(START);
    SLEEPERS.take();
}

pub fn now() -> Instant {
    Instant::from_millis(NOW.get())
}

/// Milliseconds since the test began.
pub fn elapsed() -> u32 {
    NOW.get().wrapping_sub(START)
}

/// Wakes who sleeps until the earliest deadline not after `target`, at that time; false if nobody does.
pub fn step(target: Instant) -> bool {
    let due = SLEEPERS.with_borrow(|sleepers| {
        let deadlines = sleepers.iter().map(|(deadline, _)| *deadline);
        deadlines
            .reduce(Instant::min)
            .filter(|at| target.has_reached(*at))
    });
    let at = due.unwrap_or(target);
    if at.has_reached(now()) {
        NOW.set(at.as_millis());
    }
    let woken = SLEEPERS.with_borrow_mut(|sleepers| {
        sleepers
            .extract_if(.., |(deadline, _)| now().has_reached(*deadline))
            .collect::<Vec<_>>()
    });
    for (_, waker) in woken {
        waker.wake();
    }
    due.is_some()
}

pub struct Sleep(pub Instant);

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now().has_reached(self.0) {
            return Poll::Ready(());
        }
        SLEEPERS.with_borrow_mut(|sleepers| sleepers.push((self.0, cx.waker().clone())));
        Poll::Pending
    }
}
