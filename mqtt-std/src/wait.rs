//! Waiting for a future without a runtime, and for the first of two.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Runs `future` on this thread. It must not need a runtime: those of `Client` and `Inbox` only touch memory.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// As [`block_on`], but gives up after `timeout` and drops the future.
pub(crate) fn block_on_timeout<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
    let Some(deadline) = Instant::now().checked_add(timeout) else {
        return Some(block_on(future));
    };
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Which of two futures was ready.
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for the first of two futures and drops the other. The first is polled first.
pub(crate) async fn select<A: Future, B: Future>(
    first: A,
    second: B,
) -> Either<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::mpsc};

    use super::*;

    #[test]
    fn a_future_woken_by_another_thread_completes() {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let waking = thread::spawn(move || receiver.recv().unwrap().wake());
        let mut asked = false;
        block_on(poll_fn(|context| {
            if asked {
                return Poll::Ready(());
            }
            asked = true;
            sender.send(context.waker().clone()).unwrap();
            Poll::Pending
        }));
        waking.join().unwrap();
    }

    #[test]
    fn waiting_ends_with_its_time() {
        let timeout = Duration::from_millis(20);
        let start = Instant::now();
        assert_eq!(block_on_timeout(pending::<()>(), timeout), None);
        assert!(start.elapsed() >= timeout);
        assert_eq!(block_on_timeout(async { 7 }, Duration::ZERO), Some(7));
        assert_eq!(block_on_timeout(async { 7 }, Duration::MAX), Some(7));
    }

    #[test]
    fn the_first_of_two_wins() {
        assert!(matches!(
            block_on(select(async { 1 }, async { 2 })),
            Either::First(1)
        ));
        assert!(matches!(
            block_on(select(pending::<()>(), async { 2 })),
            Either::Second(2)
        ));
    }
}
