//! NOR flash in RAM: it keeps its content over a reset, is erased to 0xff, and a write can only clear bits.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ops::Range;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use static_cell::StaticCell;

use crate::boot::BootLoader;

const BLOCK: usize = 4096;
const WORD: usize = 4;
const ERASED: u8 = 0xff;

/// The largest image.
const IMAGE: usize = 32 * BLOCK;
/// Where the update remembers how far it is.
const RECORDS: usize = 2 * BLOCK;
/// What the boot loader knows.
const BOOT: usize = BLOCK;

/// Says that this RAM has been flash before: when the machine is switched on it is all zero.
const IN_USE: u32 = 0x464c_4153;

struct Memory {
    in_use: u32,
    bytes: [u8; IMAGE + RECORDS + BOOT],
}

/// Not touched by the start-up code.
struct Uninitialized(UnsafeCell<MaybeUninit<Memory>>);

// SAFETY: `memory` hands it out once.
unsafe impl Sync for Uninitialized {}

#[unsafe(link_section = ".uninit.flash")]
static MEMORY: Uninitialized = Uninitialized(UnsafeCell::new(MaybeUninit::uninit()));

/// A part of the flash.
pub(crate) struct RamFlash(&'static mut [u8]);

/// The parts for the image, for the records of the update, and of the boot loader. To be called once.
pub(crate) fn partitions() -> (RamFlash, RamFlash, BootLoader) {
    let memory = memory();
    if memory.in_use != IN_USE {
        memory.bytes.fill(ERASED);
        memory.in_use = IN_USE;
    }
    let (image, rest) = memory.bytes.split_at_mut(IMAGE);
    let (records, boot) = rest.split_at_mut(RECORDS);
    (
        RamFlash(image),
        RamFlash(records),
        BootLoader::new(RamFlash(boot)),
    )
}

fn memory() -> &'static mut Memory {
    static TAKEN: StaticCell<()> = StaticCell::new();
    // Panics the second time.
    TAKEN.init(());
    // SAFETY: nobody else has a reference, as this is reached once. Every content of the memory is a valid one, and it is
    // not undefined: QEMU gives it zeroed, and nothing but this module writes to it.
    unsafe { (*MEMORY.0.get()).assume_init_mut() }
}

impl RamFlash {
    /// What is there.
    pub(crate) const fn bytes(&self) -> &[u8] {
        self.0
    }

    /// A range within the flash that begins and ends at multiples of `unit`.
    fn range(&self, at: u32, len: usize, unit: usize) -> Result<Range<usize>, NorFlashErrorKind> {
        let start = at as usize;
        let end = start.checked_add(len).filter(|end| *end <= self.0.len());
        let end = end.ok_or(NorFlashErrorKind::OutOfBounds)?;
        if !start.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        Ok(start..end)
    }
}

impl ErrorType for RamFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash {
    const READ_SIZE: usize = WORD;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let range = self.range(offset, bytes.len(), WORD)?;
        bytes.copy_from_slice(&self.0[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for RamFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = BLOCK;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.checked_sub(from).ok_or(NorFlashErrorKind::OutOfBounds)?;
        let range = self.range(from, len as usize, BLOCK)?;
        self.0[range].fill(ERASED);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let range = self.range(offset, bytes.len(), WORD)?;
        for (cell, byte) in self.0[range].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}
