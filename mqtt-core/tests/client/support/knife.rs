//! Drops futures in the middle.

use std::{cell::Cell, future::poll_fn, rc::Rc, task::Poll};

use super::executor::yield_now;

/// Drops one future at one of its polls.
#[derive(Clone)]
pub struct Knife(Rc<KnifeState>);

struct KnifeState {
    /// Polls until it strikes.
    left: Cell<usize>,
    struck: Cell<bool>,
    /// Strikes behind the poll that left the future pending, else instead of the poll.
    after: bool,
}

impl Knife {
    pub fn new(poll: usize, after: bool) -> Self {
        Self(Rc::new(KnifeState {
            left: Cell::new(poll),
            struck: Cell::new(false),
            after,
        }))
    }

    /// Whether it has struck.
    pub fn has_struck(&self) -> bool {
        self.0.struck.get()
    }

    fn strikes(&self) -> bool {
        let left = self.0.left.get();
        self.0.left.set(left.saturating_sub(1));
        let strikes = left == 0 && !self.0.struck.get();
        if strikes {
            self.0.struck.set(true);
        }
        strikes
    }

    /// Polls the future that `make` makes; when the knife strikes it is dropped, and a new one made.
    pub async fn on<T>(&self, mut make: impl AsyncFnMut() -> T) -> T {
        loop {
            let polled = {
                let mut future = Box::pin(make());
                poll_fn(|cx| {
                    let strikes = self.strikes();
                    if strikes && !self.0.after {
                        return Poll::Ready(None);
                    }
                    match future.as_mut().poll(cx) {
                        Poll::Ready(value) => Poll::Ready(Some(value)),
                        Poll::Pending if strikes => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await
            };
            if let Some(value) = polled {
                return value;
            }
            yield_now().await;
        }
    }
}
