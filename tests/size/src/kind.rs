//! The client's needs, met by the stubs: what a transport crate for this machine would hold.

use core::cell::UnsafeCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};

use mqtt_core::Instant;
use mqtt_core::client::{Connect, ConnectError, Kind, Link, Mutex, Sender, Shared, Wakers};
use mqtt_core::session::Slot;

use crate::stubs::{Transport, now_ms};

/// The machine without an operating system.
#[derive(Debug)]
pub struct Bare;

impl Kind for Bare {
    type Buffer = &'static mut [u8];
    type Slots = [Slot; 8 + 8 + 2];
    type Mutex<T> = Masked<T>;
    type Wakers = OneWaker;
    type Pointer = &'static Shared<Self>;

    fn now() -> Instant {
        Instant::from_millis(now_ms())
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> {
        poll_fn(move |context| {
            if Self::now().has_reached(deadline) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

/// A value that is touched in a critical section only.
#[derive(Debug)]
pub struct Masked<T>(UnsafeCell<T>);

impl<T> Masked<T> {
    /// As [`Mutex::new`], for statics.
    pub const fn of(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

impl<T> Mutex<T> for Masked<T> {
    fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the critical section excludes everybody else, and the trait says that `f` does not come back here.
        critical_section::with(|_| f(unsafe { &mut *self.0.get() }))
    }
}

/// Room for one task that waits; another one displaces it, awake.
#[derive(Debug)]
pub struct OneWaker(Option<Waker>);

impl Wakers for OneWaker {
    const NEW: Self = Self(None);

    fn register(&mut self, waker: &Waker) {
        if self.0.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return;
        }
        self.wake();
        self.0 = Some(waker.clone());
    }

    fn wake(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// Gives the stub link.
#[derive(Debug)]
pub struct Network;

impl Connect for Network {
    type Link<'a> = Transport;

    fn connect(&mut self) -> impl Future<Output = Result<Transport, ConnectError>> {
        core::future::ready(Ok(Transport))
    }
}

impl Link for Transport {
    type Reader<'l> = Self;
    type Writer<'l> = Self;

    fn split(&mut self) -> (Self, Self) {
        (Self, Self)
    }

    fn close(self) -> impl Future<Output = ()> {
        core::future::ready(())
    }
}

impl Sender for Transport {}
