//! Memory, lock, wakers and clock of mqtt-core on Embassy.

use core::{cell::RefCell, fmt, task::Waker};

use embassy_sync::{
    blocking_mutex::{Mutex as BlockingMutex, raw::CriticalSectionRawMutex},
    waitqueue::MultiWakerRegistration,
};
use mqtt_core::{
    Instant,
    client::{Kind, Mutex, Shared, Wakers},
    session::Slot,
};

use crate::clock;

/// Buffers in statics, locked by a critical section; the clock is that of embassy-time.
///
/// The aliases of the crate root name it, so that applications need not.
#[derive(Clone, Copy, Debug)]
pub enum Embassy {}

impl Kind for Embassy {
    type Buffer = &'static mut [u8];
    type Slots = &'static mut [Slot];
    type Mutex<T> = Lock<T>;
    type Wakers = WakerSet;
    type Pointer = &'static Shared<Self>;

    fn now() -> Instant {
        clock::now()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> {
        clock::sleep_until(deadline)
    }
}

/// A value that is touched in a critical section only, so that tasks of all executors and interrupts may share it.
pub struct Lock<T>(BlockingMutex<CriticalSectionRawMutex, RefCell<T>>);

impl<T> Lock<T> {
    /// As [`Mutex::new`], for statics.
    pub const fn of(value: T) -> Self {
        Self(BlockingMutex::new(RefCell::new(value)))
    }
}

impl<T> Mutex<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self::of(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.0.lock(|value| f(&mut value.borrow_mut()))
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Tasks that wait for room, for an outcome, or for another state of the link, at the same moment.
///
/// One more works too, but then they wake each other in turn.
pub const WAITING_TASKS: usize = 8;

/// The tasks that wait for one connection.
#[derive(Debug)]
pub struct WakerSet(MultiWakerRegistration<WAITING_TASKS>);

impl Wakers for WakerSet {
    const NEW: Self = Self(MultiWakerRegistration::new());

    fn register(&mut self, waker: &Waker) {
        self.0.register(waker);
    }

    fn wake(&mut self) {
        self.0.wake();
    }
}
