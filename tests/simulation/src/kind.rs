//! The platform of the simulated device.

use std::{cell::RefCell, rc::Rc, task::Waker};

use mqtt_core::{
    Instant,
    client::{Kind, Mutex, Shared, Wakers},
    session::Slot,
};

use crate::clock;

pub(crate) type Client = mqtt_core::client::Client<Simulated>;
pub(crate) type Inbox = mqtt_core::client::Inbox<Simulated>;
pub(crate) type Runner = mqtt_core::client::Runner<Simulated>;
pub(crate) type Delivery = mqtt_core::client::Delivery<Simulated>;
pub(crate) type Received<'i> = mqtt_core::client::Received<'i, Simulated>;

/// One thread, memory of the heap, and the virtual clock.
#[derive(Debug)]
pub(crate) enum Simulated {}

impl Kind for Simulated {
    type Buffer = Box<[u8]>;
    type Slots = Box<[Slot]>;
    type Mutex<T> = Cell<T>;
    type Wakers = Set;
    type Pointer = Rc<Shared<Self>>;

    fn now() -> Instant {
        clock::now()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> {
        clock::sleep_until(deadline)
    }
}

/// A lock that panics when it is taken twice.
pub(crate) struct Cell<T>(RefCell<T>);

impl<T> Mutex<T> for Cell<T> {
    fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

/// As many wakers as there are tasks.
pub(crate) struct Set(Vec<Waker>);

impl Wakers for Set {
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
