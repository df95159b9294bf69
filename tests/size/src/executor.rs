//! The smallest executor: polls two tasks in turn until one of them is done.

use core::cell::UnsafeCell;
use core::future::poll_fn;
use core::mem::{MaybeUninit, replace};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// Static memory for the future of one task, as Embassy's task pools have it.
#[repr(align(8))]
pub struct Memory<const LEN: usize>(UnsafeCell<[MaybeUninit<u8>; LEN]>);

// SAFETY: one hart; `place` is called once.
unsafe impl<const LEN: usize> Sync for Memory<LEN> {}

impl<const LEN: usize> Memory<LEN> {
    /// Memory with nothing in it.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([MaybeUninit::uninit(); LEN]))
    }

    /// Moves a future here.
    ///
    /// # Safety
    ///
    /// To be called once for each memory, whose `LEN` is the size of this future.
    #[allow(clippy::mut_from_ref, reason = "a cell that is borrowed once")]
    pub unsafe fn place<F: Future>(&'static self, future: F) -> Pin<&'static mut F> {
        const { assert!(align_of::<F>() <= 8 && size_of::<F>() <= LEN) };
        let place = self.0.get().cast::<F>();
        // SAFETY: large enough and aligned by the assertion; static and used once, so pinned for ever.
        unsafe {
            place.write(future);
            Pin::new_unchecked(&mut *place)
        }
    }
}

impl<const LEN: usize> Default for Memory<LEN> {
    fn default() -> Self {
        Self::new()
    }
}

/// Polls both tasks until the first one is done.
pub fn spin<F: Future>(mut first: Pin<&mut F>, mut second: Pin<&mut impl Future>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    let mut second_runs = true;
    loop {
        if let Poll::Ready(output) = first.as_mut().poll(&mut context) {
            return output;
        }
        if second_runs && second.as_mut().poll(&mut context).is_ready() {
            second_runs = false;
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
