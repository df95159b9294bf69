//! The figures of a run, in one line of the log that the host reads.
//!
//! `report: stack 5120 of 65536, storage 3500, run future 900, handshake 70 ms`

use core::cell::Cell;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

use crate::Memory;

/// What the links of a run have told.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Report {
    /// Size of the future that keeps the link, in bytes.
    pub(crate) run_future: usize,
    /// How long it took to make the last link.
    pub(crate) handshake_ms: u32,
}

static REPORT: Mutex<CriticalSectionRawMutex, Cell<Report>> = Mutex::new(Cell::new(Report {
    run_future: 0,
    handshake_ms: 0,
}));

/// Takes note of the largest future and the last handshake.
pub(crate) fn add(new: Report) {
    REPORT.lock(|report| {
        let run_future = report.get().run_future.max(new.run_future);
        report.set(Report { run_future, ..new });
    });
}

/// Logs the figures of the run. `stack` is what was used of it at most, and its size.
pub fn log((stack, stack_size): (usize, usize)) {
    let report = REPORT.lock(Cell::get);
    defmt::info!(
        "report: stack {=usize} of {=usize}, storage {=usize}, run future {=usize}, handshake {=u32} ms",
        stack,
        stack_size,
        Memory::SIZE,
        report.run_future,
        report.handshake_ms
    );
}
