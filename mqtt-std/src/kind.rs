//! Memory, locks, wakers and the clock of mqtt-core on an operating system.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    task::Waker,
};

use mqtt_core::{
    Instant,
    client::{Kind, Mutex, Shared, Wakers},
    session::Slot,
};

use crate::timer;

/// Buffers on the heap, shared by `Arc`, locked by the mutex of the standard library; the clock is tokio's.
///
/// The aliases of the crate root name it, so that applications need not.
#[derive(Clone, Copy, Debug)]
pub enum Std {}

impl Kind for Std {
    type Buffer = Box<[u8]>;
    type Slots = Box<[Slot]>;
    type Mutex<T> = Lock<T>;
    type Wakers = WakerList;
    type Pointer = Arc<Shared<Self>>;

    fn now() -> Instant {
        timer::now()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> {
        timer::sleep_until(deadline)
    }
}

/// A mutex that does not mind a panic: what it guards is consistent between any two statements of the core, and a
/// panicking user task must not take the link down.
#[derive(Debug, Default)]
pub struct Lock<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The tasks that wait for one thing. Rarely more than two.
#[derive(Default)]
pub struct WakerList(Vec<Waker>);

/// Tasks that were dropped while they waited are forgotten when this many have gathered.
const WAKERS: usize = 64;

impl Wakers for WakerList {
    const NEW: Self = Self(Vec::new());

    fn register(&mut self, waker: &Waker) {
        if self.0.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.0.len() == WAKERS {
            self.wake();
        }
        self.0.push(waker.clone());
    }

    fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

impl fmt::Debug for WakerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WakerList").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_panic_does_not_poison_the_lock() {
        let lock = Lock::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| lock.with(|_| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(lock.with(|value| *value), 1);
    }

    #[test]
    fn a_task_is_registered_once_and_woken_once() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut list = WakerList::NEW;
        list.register(&waker);
        list.register(&waker);
        list.wake();
        list.wake();
        assert_eq!(count.0.load(SeqCst), 1);
    }

    #[test]
    fn a_crowd_is_woken_rather_than_lost() {
        let counts: Vec<_> = (0..=WAKERS).map(|_| Arc::new(Count::default())).collect();
        let mut list = WakerList::NEW;
        for count in &counts {
            list.register(&Waker::from(count.clone()));
        }
        assert!(list.0.len() <= WAKERS);
        list.wake();
        assert!(counts.iter().all(|count| count.0.load(SeqCst) == 1));
    }
}
