//! Registers of devices, and memory that a device reads and writes.

use core::{cell::UnsafeCell, ptr};

/// A register of 32 bits, or one of 8 where a device has such.
#[derive(Clone, Copy)]
pub(crate) struct Register {
    address: usize,
}

impl Register {
    /// The register at an address.
    ///
    /// # Safety
    ///
    /// It must be a register of a device of this machine, aligned to its width. If the device works on memory (a
    /// register may tell it where), then whoever writes the register must own that memory.
    pub(crate) const unsafe fn new(address: usize) -> Self {
        Self { address }
    }

    /// Reads 32 bits. Some devices take a read as an acknowledgement.
    pub(crate) fn read(self) -> u32 {
        // SAFETY: `new` was promised a register here, that is no memory of Rust.
        unsafe { ptr::with_exposed_provenance::<u32>(self.address).read_volatile() }
    }

    /// Reads 8 bits.
    pub(crate) fn read_byte(self) -> u8 {
        // SAFETY: as in `read`.
        unsafe { ptr::with_exposed_provenance::<u8>(self.address).read_volatile() }
    }

    /// Writes 32 bits.
    pub(crate) fn write(self, value: u32) {
        // SAFETY: `new` was promised a register here, and what the device then does to memory is the writer's own.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.address).write_volatile(value) }
    }
}

/// An unsigned integer in memory that a device reads and writes too.
#[repr(transparent)]
pub(crate) struct Shared<T>(UnsafeCell<T>);

impl<T: Copy> Shared<T> {
    pub(crate) fn get(&self) -> T {
        // SAFETY: the pointer is that of the cell. All accesses, the device's as well, are single loads and stores.
        unsafe { self.0.get().read_volatile() }
    }

    pub(crate) fn set(&self, value: T) {
        // SAFETY: as in `get`; nobody holds a reference to the inside.
        unsafe { self.0.get().write_volatile(value) }
    }
}
