//! What the tests have in common.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "it is a part of each test file")]

pub mod certificates;
pub mod net;
pub mod pipe;
#[cfg(feature = "tls")]
pub mod rogue;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use embedded_io_async::{Read, Write};
use rand_core::SeedableRng;

/// How long a test may take.
const PATIENCE: Duration = Duration::from_mins(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end, and panics if that takes too long.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let end = Instant::now() + PATIENCE;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let rest = end.saturating_duration_since(Instant::now());
        assert!(!rest.is_zero(), "the test hangs");
        thread::park_timeout(rest);
    }
}

pub fn random() -> rand_chacha::ChaCha8Rng {
    rand_chacha::ChaCha8Rng::seed_from_u64(7)
}

pub fn leak(len: usize) -> &'static mut [u8] {
    vec![0; len].leak()
}

/// Bytes in which a lost, doubled or moved one is seen.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap())
        .collect()
}

/// Reads exactly so many bytes.
pub async fn read_exact(reader: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        let count = reader.read(&mut bytes[done..]).await.unwrap();
        assert_ne!(count, 0, "the stream ended after {done} bytes");
        done += count;
    }
    bytes
}

/// Writes all in pieces of `piece` bytes, and flushes.
pub async fn write_all(writer: &mut impl Write, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        writer.write_all(piece).await.unwrap();
    }
    writer.flush().await.unwrap();
}

/// As [`Read::read_exact`], of which an end before the end is an error.
pub async fn try_read_exact(reader: &mut impl Read, bytes: &mut [u8]) -> Result<(), ()> {
    reader.read_exact(bytes).await.map_err(drop)
}

pub async fn try_write_all(writer: &mut impl Write, bytes: &[u8]) -> Result<(), ()> {
    writer.write_all(bytes).await.map_err(drop)
}

/// How often a waker was called.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Count {
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

pub fn counting_wakers(len: usize) -> (Vec<Waker>, Vec<Arc<Count>>) {
    let counts: Vec<_> = (0..len).map(|_| Arc::new(Count::default())).collect();
    let wakers = counts.iter().cloned().map(Waker::from).collect();
    (wakers, counts)
}

/// `defmt` has no destination on an operating system; this one is for the linker.
#[cfg(feature = "defmt")]
mod logger {
    #[defmt::global_logger]
    struct Nowhere;

    // SAFETY: it does nothing, so nothing can go wrong between its calls.
    unsafe impl defmt::Logger for Nowhere {
        fn acquire() {}
        unsafe fn flush() {}
        unsafe fn release() {}
        unsafe fn write(_bytes: &[u8]) {}
    }

    defmt::timestamp!("");

    #[defmt::panic_handler]
    fn panic() -> ! {
        panic!("by defmt")
    }
}
