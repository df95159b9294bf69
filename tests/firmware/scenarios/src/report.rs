//! The figures of a run, in one line of the log that the host reads.
//!
//! `report: stack 5120 of 65536, storage 3500, run future 900, handshake 70 ms`

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::Memory;

/// Size of the largest future that keeps a link.
static RUN_FUTURE: AtomicUsize = AtomicUsize::new(0);

/// How long it took to make the last link.
static HANDSHAKE_MS: AtomicU32 = AtomicU32::new(0);

/// Takes note of the size of a future that keeps a link.
pub(crate) fn add_run_future(size: usize) {
    let largest = RUN_FUTURE.load(Ordering::Relaxed).max(size);
    RUN_FUTURE.store(largest, Ordering::Relaxed);
}

/// Takes note of how long it took to make a link, in milliseconds.
pub(crate) fn add_handshake(took_ms: u32) {
    HANDSHAKE_MS.store(took_ms, Ordering::Relaxed);
}

/// Logs the figures of the run. `stack` is what was used of it at most, and its size.
pub fn log((stack, stack_size): (usize, usize)) {
    defmt::info!(
        "report: stack {=usize} of {=usize}, storage {=usize}, run future {=usize}, handshake {=u32} ms",
        stack,
        stack_size,
        Memory::SIZE,
        RUN_FUTURE.load(Ordering::Relaxed),
        HANDSHAKE_MS.load(Ordering::Relaxed)
    );
}
