//! Runs under `cargo xtask miri` only, for a target of 32 bits.
#![cfg(all(test, target_pointer_width = "32"))]

#[path = "../../size/src/executor.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part of it is tested here")]
mod executor;
#[path = "../../../examples/firmware/qemu-riscv/src/mmio.rs"]
#[allow(dead_code, reason = "there are no registers here")]
mod mmio;
#[path = "../../../examples/firmware/qemu-riscv/src/virtqueue.rs"]
mod virtqueue;

/// A device that works on a ring as virtio says, by the addresses it was told.
mod device {
    use std::ptr;

    const BUFFERS: u32 = crate::virtqueue::SLOTS as u32;

    pub(crate) struct Device {
        descriptors: u32,
        available: u32,
        used: u32,
        /// Entries of the available ring that were looked at, and of the used ring that were written.
        seen: u16,
        done: u16,
    }

    /// What a buffer is, to the device.
    #[derive(Clone, Copy)]
    pub(crate) struct Buffer {
        slot: u16,
        address: u32,
        pub(crate) len: u32,
        pub(crate) is_for_writing: bool,
    }

    impl Device {
        pub(crate) fn new([descriptors, available, used]: [u32; 3]) -> Self {
            Self {
                descriptors,
                available,
                used,
                seen: 0,
                done: 0,
            }
        }

        /// The next buffer that the driver offers.
        pub(crate) fn take(&mut self) -> Option<Buffer> {
            if get::<u16>(self.available + 2) == self.seen {
                return None;
            }
            let entry = u32::from(self.seen) % BUFFERS;
            self.seen = self.seen.wrapping_add(1);
            let slot = get::<u16>(self.available + 4 + 2 * entry);
            let descriptor = self.descriptors + 16 * u32::from(slot);
            assert_eq!(get::<u32>(descriptor + 4), 0, "the high half of an address");
            Some(Buffer {
                slot,
                address: get(descriptor),
                len: get(descriptor + 8),
                is_for_writing: get::<u16>(descriptor + 12) == 2,
            })
        }

        /// Gives a buffer back, with so many bytes written.
        pub(crate) fn give(&mut self, buffer: Buffer, written: u32) {
            let entry = self.used + 4 + 8 * (u32::from(self.done) % BUFFERS);
            set(entry, u32::from(buffer.slot));
            set(entry + 4, written);
            self.done = self.done.wrapping_add(1);
            set(self.used + 2, self.done);
        }
    }

    impl Buffer {
        pub(crate) fn read(self) -> Vec<u8> {
            (0..self.len).map(|at| get(self.address + at)).collect()
        }

        pub(crate) fn write(self, bytes: &[u8]) {
            assert!(self.is_for_writing && bytes.len() <= self.len as usize);
            for (at, byte) in (0..).zip(bytes) {
                set(self.address + at, *byte);
            }
        }
    }

    fn get<T: Copy>(address: u32) -> T {
        // SAFETY: the driver has given the address away, for the device to read there.
        unsafe { ptr::with_exposed_provenance::<T>(address as usize).read_volatile() }
    }

    fn set<T>(address: u32, value: T) {
        // SAFETY: as in `get`, and to write there.
        unsafe { ptr::with_exposed_provenance_mut::<T>(address as usize).write_volatile(value) }
    }
}

mod tests {
    use std::pin::pin;

    use super::{
        device::Device,
        executor,
        virtqueue::{BUFFER_BYTES, Direction, Memory, SLOTS, Virtqueue},
    };

    fn ring(direction: Direction) -> (Virtqueue, Vec<super::virtqueue::Slot>, Device) {
        let memory = Box::leak(Box::new(Memory::new()));
        let (queue, slots) = Virtqueue::new(memory, direction);
        let device = Device::new(queue.addresses());
        (queue, slots.into(), device)
    }

    #[test]
    fn what_the_driver_sends_is_what_the_device_reads() {
        let (mut queue, mut slots, mut device) = ring(Direction::Transmit);
        for round in 0..40_u8 {
            let mut slot = slots.pop().unwrap();
            let len = 60 + usize::from(round);
            queue.buffer(&mut slot)[..len].fill(round);
            queue.offer(slot, len as u32);
            let buffer = device.take().unwrap();
            assert!(!buffer.is_for_writing);
            assert_eq!(buffer.read(), vec![round; len]);
            assert!(queue.take_back().is_none());
            device.give(buffer, 0);
            slots.push(queue.take_back().unwrap().0);
        }
        assert!(device.take().is_none());
    }

    #[test]
    fn what_the_device_writes_is_what_the_driver_receives_in_any_order() {
        let (mut queue, slots, mut device) = ring(Direction::Receive);
        for slot in slots {
            queue.offer(slot, BUFFER_BYTES as u32);
        }
        for round in 0..5_u8 {
            let mut buffers: Vec<_> = std::iter::from_fn(|| device.take()).collect();
            assert_eq!(buffers.len(), SLOTS);
            buffers.rotate_left(usize::from(round));
            for (number, buffer) in (0..).zip(buffers) {
                buffer.write(&[number; 64]);
                device.give(buffer, 64);
            }
            for number in 0..SLOTS as u8 {
                let (mut slot, len) = queue.take_back().unwrap();
                assert_eq!(queue.buffer(&mut slot)[..len], [number; 64]);
                // The device may write while the driver works on another buffer.
                queue.offer(slot, BUFFER_BYTES as u32);
            }
            assert!(!queue.has_used());
        }
    }

    #[test]
    fn a_future_in_its_memory_is_polled_to_its_end() {
        type Task = std::future::Ready<Box<u32>>;
        static MEMORY: executor::Memory<{ size_of::<Task>() }> = executor::Memory::new();
        // SAFETY: once, and of this size.
        let task = unsafe { MEMORY.place::<Task>(std::future::ready(Box::new(7))) };
        let other = pin!(executor::once_pending(|| ()));
        assert_eq!(*executor::spin(task, other), 7);
    }
}
