//! A platform for tests.

use std::{
    sync::{self, Arc},
    task::Waker,
};

use mqtt_core::{
    Instant,
    client::{Kind, Mutex, Shared, Wakers},
    session::Slot,
};

use super::clock;

#[derive(Debug)]
pub enum Test {}

impl Kind for Test {
    type Buffer = Box<[u8]>;
    type Slots = Box<[Slot]>;
    type Mutex<T> = Lock<T>;
    type Wakers = WakerList;
    type Pointer = Arc<Shared<Self>>;

    fn now() -> Instant {
        clock::now()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> {
        clock::Sleep(deadline)
    }
}

/// Panics when it is taken twice: tests have one thread, so that would be a deadlock.
pub struct Lock<T>(sync::Mutex<T>);

impl<T> Mutex<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        match self.0.try_lock() {
            Ok(mut value) => f(&mut value),
            // A test that failed drops its handles too, and must not panic twice.
            Err(sync::TryLockError::Poisoned(error)) => f(&mut error.into_inner()),
            Err(sync::TryLockError::WouldBlock) => panic!("the lock was taken inside the lock"),
        }
    }
}

#[derive(Default)]
pub struct WakerList(Vec<Waker>);

impl Wakers for WakerList {
    const NEW: Self = Self(Vec::new());

    fn register(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}
