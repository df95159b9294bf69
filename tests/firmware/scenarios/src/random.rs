//! Random enough for tests, and the same on both sides: the host has this function too.

use core::convert::Infallible;

use embedded_io_async::{ErrorType, Read};

/// Marsaglia's xorshift with 32 bits.
#[derive(Clone, Debug)]
pub(crate) struct Random(u32);

impl Random {
    pub(crate) const fn new(seed: u32) -> Self {
        // Zero would stay zero.
        Self(if seed == 0 { 1 } else { seed })
    }

    pub(crate) const fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number below `bound`, which is small.
    pub(crate) const fn below(&mut self, bound: u32) -> u32 {
        (self.next() >> 8) % bound
    }
}

/// A payload of random bytes that is in no memory.
#[derive(Debug)]
pub(crate) struct RandomBytes(pub(crate) Random);

impl ErrorType for RandomBytes {
    type Error = Infallible;
}

impl Read for RandomBytes {
    /// Gives less than asked for now and then, as a file system would.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = buffer.len().min(97);
        for byte in buffer.iter_mut().take(len) {
            *byte = self.0.next().to_be_bytes()[0];
        }
        Ok(len)
    }
}
