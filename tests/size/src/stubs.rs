//! The outside world, as registers. Nothing here is inlined: what a job and its stubs share drops out when one is
//! subtracted from the other.

use core::convert::Infallible;
use core::future::ready;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};

use crate::executor::once_pending;

/// Bytes in each of a job's buffers.
pub const BUFFER_LEN: usize = 512;

static mut RECEIVED: u8 = 0;
static mut SENT: u8 = 0;
static mut TIME: u8 = 0;
static mut MASKED: bool = false;
static mut STOP: bool = false;

/// Reads some bytes from the peer.
#[inline(never)]
pub fn read(buffer: &mut [u8]) -> usize {
    for byte in buffer.iter_mut() {
        // SAFETY: one hart and no interrupts: nothing else touches the cell.
        *byte = unsafe { read_volatile(addr_of_mut!(RECEIVED)) };
    }
    buffer.len()
}

/// Writes bytes to the peer.
#[inline(never)]
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        // SAFETY: as in `read`.
        unsafe { write_volatile(addr_of_mut!(SENT), byte) };
    }
}

/// The clock, in milliseconds.
#[inline(never)]
pub fn now_ms() -> u32 {
    // SAFETY: as in `read`.
    let byte = || u32::from(unsafe { read_volatile(addr_of_mut!(TIME)) });
    byte() | byte() << 8 | byte() << 16 | byte() << 24
}

/// Whether the job was told to stop.
#[inline(never)]
pub fn is_stopped() -> bool {
    // SAFETY: as in `read`.
    unsafe { read_volatile(addr_of_mut!(STOP)) }
}

/// The end of a job, or of a panic.
#[inline(never)]
pub fn halt() -> ! {
    loop {
        write(&[0]);
    }
}

/// Both halves of the link.
#[derive(Debug)]
pub struct Transport;

impl embedded_io_async::ErrorType for Transport {
    type Error = Infallible;
}

// Futures written by hand: an `async fn` here would add its own panic branch, for a poll after completion.
impl embedded_io_async::Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, Infallible>> {
        once_pending(move || Ok(read(buffer)))
    }
}

impl embedded_io_async::Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Infallible>> {
        once_pending(move || {
            write(bytes);
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Infallible>> {
        ready(Ok(()))
    }
}

struct Mask;
critical_section::set_impl!(Mask);

// SAFETY: one hart and no interrupts, so there is nothing to exclude; the cell stands for the mask register.
unsafe impl critical_section::Impl for Mask {
    unsafe fn acquire() -> bool {
        mask()
    }

    unsafe fn release(was: bool) {
        restore(was);
    }
}

#[inline(never)]
fn mask() -> bool {
    // SAFETY: as in `read`.
    let was = unsafe { read_volatile(addr_of_mut!(MASKED)) };
    restore(true);
    was
}

#[inline(never)]
fn restore(masked: bool) {
    // SAFETY: as in `read`.
    unsafe { write_volatile(addr_of_mut!(MASKED), masked) };
}
