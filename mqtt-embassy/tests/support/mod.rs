//! What the tests have in common.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "it is a part of each test file")]

pub mod certificates;
pub mod net;
pub mod pipe;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use embedded_io_async::{Read, Write};
use rand_core::SeedableRng;

/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(60);

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
