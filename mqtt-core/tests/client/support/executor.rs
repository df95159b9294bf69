//! Tasks that are polled when they were woken, in the order in which they were spawned, by one thread.

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

#[derive(Default)]
pub struct Executor {
    tasks: Vec<Task>,
    /// Poll the youngest task first.
    pub backwards: bool,
    /// Poll in an order drawn by lot.
    pub lot: Option<Lot>,
}

/// Numbers that look drawn by lot and depend on nothing but the seed.
#[derive(Clone)]
pub struct Lot(Rc<Cell<u32>>);

impl Lot {
    pub fn new(seed: u32) -> Self {
        Self(Rc::new(Cell::new(seed.wrapping_mul(0x9e37_79b9) | 1)))
    }

    /// A number below `end`.
    pub fn below(&self, end: u32) -> u32 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.0.set(x);
        (x >> 8) % end
    }
}

struct Task {
    name: &'static str,
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Flag>,
    polls: usize,
    /// Drop the future instead of its n-th poll (from 0), or after it.
    cut: Option<Cut>,
}

/// When a future is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Woken, but no more polled.
    Before(usize),
    /// Right after this poll (from 0) has left it pending.
    After(usize),
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// What a task will have returned.
pub struct Outcome<T> {
    value: Rc<RefCell<Option<T>>>,
    name: &'static str,
    index: usize,
}

impl<T> Outcome<T> {
    pub fn is_ready(&self) -> bool {
        self.value.borrow().is_some()
    }

    /// The result, once.
    #[track_caller]
    pub fn take(&self) -> T {
        let value = self.value.borrow_mut().take();
        value.unwrap_or_else(|| panic!("task {:?} has not finished", self.name))
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn index(&self) -> usize {
        self.index
    }
}

impl Executor {
    pub fn spawn<T: 'static>(
        &mut self,
        name: &'static str,
        future: impl Future<Output = T> + 'static,
    ) -> Outcome<T> {
        let value = Rc::new(RefCell::new(None));
        let slot = value.clone();
        let future = async move {
            let result = future.await;
            *slot.borrow_mut() = Some(result);
        };
        self.tasks.push(Task {
            name,
            future: Some(Box::pin(future)),
            woken: Arc::new(Flag(AtomicBool::new(true))),
            polls: 0,
            cut: None,
        });
        Outcome {
            value,
            name,
            index: self.tasks.len() - 1,
        }
    }

    /// Has the future of a task dropped at some poll.
    pub fn cut(&mut self, index: usize, cut: Cut) {
        self.tasks[index].cut = Some(cut);
    }

    pub fn drop_task(&mut self, index: usize) {
        self.tasks[index].future = None;
    }

    pub fn polls(&self, index: usize) -> usize {
        self.tasks[index].polls
    }

    /// Polls every task that was woken, once; false if there was none.
    pub fn round(&mut self) -> bool {
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        if self.backwards {
            order.reverse();
        }
        if let Some(lot) = &self.lot {
            order.sort_by_cached_key(|_| lot.below(1000));
        }
        let mut any = false;
        for index in order {
            any |= self.tasks[index].poll();
        }
        any
    }
}

impl Task {
    fn poll(&mut self) -> bool {
        if self.future.is_none() || !self.woken.0.swap(false, SeqCst) {
            return false;
        }
        let poll = self.polls;
        self.polls += 1;
        if self.cut == Some(Cut::Before(poll)) {
            self.future = None;
            return true;
        }
        let waker = Waker::from(self.woken.clone());
        if let Some(future) = &mut self.future
            && future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
        {
            self.future = None;
        }
        if self.cut == Some(Cut::After(poll)) {
            self.future = None;
        }
        true
    }
}

/// Gives other tasks a turn.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A switch that tasks can wait for.
#[derive(Clone, Default)]
pub struct Gate(Rc<RefCell<(bool, Vec<Waker>)>>);

impl Gate {
    pub fn open(&self) {
        let mut inner = self.0.borrow_mut();
        inner.0 = true;
        inner.1.drain(..).for_each(Waker::wake);
    }

    pub fn close(&self) {
        self.0.borrow_mut().0 = false;
    }

    pub fn is_open(&self) -> bool {
        self.0.borrow().0
    }

    /// Waits until the gate is open; leaves it open.
    pub async fn wait(&self) {
        std::future::poll_fn(|cx| {
            let mut inner = self.0.borrow_mut();
            if inner.0 {
                return Poll::Ready(());
            }
            inner.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
