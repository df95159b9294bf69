//! Memory, locks and a clock that leaps: what a board brings, for one test.

use std::{
    sync::{Arc, Mutex as StdMutex},
    task::Waker,
    time::Duration,
};

use mqtt_core::{
    Instant,
    client::{Kind, Mutex, Shared, Wakers},
    session::Slot,
};

/// A test is one thread with a clock of its own.
pub(crate) enum Platform {}

thread_local! {
    static START: tokio::time::Instant = tokio::time::Instant::now();
}

impl Kind for Platform {
    type Buffer = Box<[u8]>;
    type Slots = Box<[Slot]>;
    type Mutex<T> = Lock<T>;
    type Wakers = WakerList;
    type Pointer = Arc<Shared<Self>>;

    fn now() -> Instant {
        let elapsed = START.with(tokio::time::Instant::elapsed);
        Instant::from_millis(u32::try_from(elapsed.as_millis()).unwrap())
    }

    async fn sleep_until(deadline: Instant) {
        let now = Self::now();
        if !now.has_reached(deadline) {
            tokio::time::sleep(Duration::from_millis(deadline.since(now).into())).await;
        }
    }
}

pub(crate) struct Lock<T>(StdMutex<T>);

impl<T> Mutex<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self(StdMutex::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }
}

pub(crate) struct WakerList(Vec<Waker>);

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
