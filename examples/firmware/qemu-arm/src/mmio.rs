//! Device registers.

use core::ptr;

/// A 32-bit device register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register {
    address: usize,
}

impl Register {
    /// Names the register at `address`.
    ///
    /// # Safety
    ///
    /// A device register of this machine lies at `address`, aligned to four bytes, and whatever is read from it or
    /// written to it changes no memory that Rust knows of.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self { address }
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: a register of this machine, by the contract of `at`.
        unsafe { ptr::with_exposed_provenance::<u32>(self.address).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: a register of this machine, by the contract of `at`.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.address).write_volatile(value) }
    }
}
