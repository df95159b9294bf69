//! The smallest executor: polls until it is done.

use core::future::poll_fn;
use core::mem::replace;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Polls the future until it is ready.
pub fn spin<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Pending once, then what the function returns, as a driver is that waits for its interrupt.
pub fn once_pending<T>(mut action: impl FnMut() -> T) -> impl Future<Output = T> {
    let mut waited = false;
    poll_fn(move |context| {
        if replace(&mut waited, true) {
            return Poll::Ready(action());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// The size of the future that a function returns.
pub const fn future_size<A, F, R>(_: &F) -> usize
where
    F: FnOnce(A) -> R,
{
    size_of::<R>()
}
