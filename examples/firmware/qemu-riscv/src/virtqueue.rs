//! One ring of buffers shared with a virtio device (virtio 1.1, §2.6 "Split Virtqueues").
//!
//! A buffer belongs to the driver or to the device. A [`Slot`] is the driver's proof that it has the buffer:
//! [`Virtqueue::offer`] takes it away, [`Virtqueue::take_back`] returns it.

use core::{
    array,
    cell::UnsafeCell,
    mem,
    sync::atomic::{Ordering, fence},
};

use crate::mmio::Shared;

/// Buffers in a ring, a power of two.
pub(crate) const SLOTS: usize = 8;
/// The virtio header of 12 bytes and an Ethernet frame of 1514, and 2 bytes to the next word.
pub(crate) const BUFFER_BYTES: usize = 1528;

const FLAG_DEVICE_WRITES: u16 = 2;

/// The memory of a ring, to be put into a static. All zero, so it takes no flash.
#[repr(C, align(16))]
pub(crate) struct Memory {
    descriptors: [Descriptor; SLOTS],
    available: Available,
    used: Used,
    buffers: [UnsafeCell<[u8; BUFFER_BYTES]>; SLOTS],
}

/// Where a buffer lies.
#[repr(C)]
struct Descriptor {
    address_low: Shared<u32>,
    address_high: Shared<u32>,
    length: Shared<u32>,
    flags: Shared<u16>,
    next: Shared<u16>,
}

/// What the driver offers to the device.
#[repr(C)]
struct Available {
    flags: Shared<u16>,
    /// Counts all entries ever written, wrapping.
    index: Shared<u16>,
    ring: [Shared<u16>; SLOTS],
    used_event: Shared<u16>,
}

/// What the device has done with.
#[repr(C, align(4))]
struct Used {
    flags: Shared<u16>,
    /// Counts all entries ever written, wrapping.
    index: Shared<u16>,
    ring: [UsedEntry; SLOTS],
    available_event: Shared<u16>,
}

#[repr(C)]
struct UsedEntry {
    slot: Shared<u32>,
    length: Shared<u32>,
}

impl Memory {
    pub(crate) const fn new() -> Self {
        // SAFETY: it consists of integers.
        unsafe { mem::zeroed() }
    }
}

/// The right to use a buffer of its queue. There is at most one for each buffer.
pub(crate) struct Slot(u16);

/// Which way the buffers go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The driver writes, the device reads.
    Transmit,
    /// The device writes, the driver reads.
    Receive,
}

/// The driver's side of a ring.
pub(crate) struct Virtqueue {
    memory: &'static Memory,
    /// Next entry of the available ring, wrapping.
    next_available: u16,
    /// Next entry of the used ring, wrapping.
    next_used: u16,
}

impl Virtqueue {
    /// Prepares the memory. All buffers belong to the driver.
    pub(crate) fn new(memory: &'static mut Memory, direction: Direction) -> (Self, [Slot; SLOTS]) {
        for (descriptor, buffer) in memory.descriptors.iter().zip(&memory.buffers) {
            descriptor.address_low.set(address(buffer.get()));
            descriptor.flags.set(match direction {
                Direction::Transmit => 0,
                Direction::Receive => FLAG_DEVICE_WRITES,
            });
        }
        let queue = Self {
            memory,
            next_available: 0,
            next_used: 0,
        };
        (queue, array::from_fn(|index| Slot(index as u16)))
    }

    /// Addresses of the descriptors, of the available and of the used ring, as the device wants to know them.
    pub(crate) fn addresses(&self) -> [u32; 3] {
        [
            address(&raw const self.memory.descriptors),
            address(&raw const self.memory.available),
            address(&raw const self.memory.used),
        ]
    }

    /// The buffer of a slot.
    pub(crate) fn buffer<'a>(&'a mut self, slot: &'a mut Slot) -> &'a mut [u8; BUFFER_BYTES] {
        // SAFETY: while there is a slot, the device leaves the buffer alone, and the slot is borrowed as mutable.
        unsafe { &mut *self.memory.buffers[usize::from(slot.0)].get() }
    }

    /// Hands `length` bytes of the buffer to the device: as room to write, or to be sent. The device must be notified.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller gives up the slot"
    )]
    pub(crate) fn offer(&mut self, slot: Slot, length: u32) {
        self.memory.descriptors[usize::from(slot.0)]
            .length
            .set(length);
        let entry = usize::from(self.next_available) % SLOTS;
        self.memory.available.ring[entry].set(slot.0);
        self.next_available = self.next_available.wrapping_add(1);
        // The device must not see the index before it can see the entry and what is in the buffer.
        fence(Ordering::SeqCst);
        self.memory.available.index.set(self.next_available);
        fence(Ordering::SeqCst);
    }

    /// Whether [`take_back`](Self::take_back) would return a slot.
    pub(crate) fn has_used(&self) -> bool {
        self.memory.used.index.get() != self.next_used
    }

    /// The next buffer that the device is done with, and how many bytes it has written.
    pub(crate) fn take_back(&mut self) -> Option<(Slot, usize)> {
        if !self.has_used() {
            return None;
        }
        // Entry and buffer must not be read before the index.
        fence(Ordering::SeqCst);
        let entry = &self.memory.used.ring[usize::from(self.next_used) % SLOTS];
        self.next_used = self.next_used.wrapping_add(1);
        Some((Slot(entry.slot.get() as u16), entry.length.get() as usize))
    }
}

/// The address for the device, which may then work on what lies there.
fn address<T>(pointer: *const T) -> u32 {
    pointer.expose_provenance() as u32
}
