//! The registers of a virtio device (virtio 1.1, §4.2 "Virtio Over MMIO").

use crate::{
    mmio::Register,
    virtqueue::{SLOTS, Virtqueue},
};

/// The machine has eight places for devices, with a block of registers and an interrupt each.
const PLACES: u32 = 8;
const FIRST_BASE: usize = 0x1000_1000;
const BLOCK_BYTES: usize = 0x1000;
const FIRST_INTERRUPT: u32 = 1;

const MAGIC: usize = 0x000;
const VERSION: usize = 0x004;
const DEVICE_ID: usize = 0x008;
const DEVICE_FEATURES: usize = 0x010;
const DEVICE_FEATURES_SELECT: usize = 0x014;
const DRIVER_FEATURES: usize = 0x020;
const DRIVER_FEATURES_SELECT: usize = 0x024;
const QUEUE_SELECT: usize = 0x030;
const QUEUE_SIZE_MAX: usize = 0x034;
const QUEUE_SIZE: usize = 0x038;
const QUEUE_READY: usize = 0x044;
const QUEUE_NOTIFY: usize = 0x050;
const INTERRUPT_STATUS: usize = 0x060;
const INTERRUPT_ACKNOWLEDGE: usize = 0x064;
const STATUS: usize = 0x070;
/// Addresses of descriptors, available ring, used ring. The upper halves, one word behind, stay zero.
const QUEUE_ADDRESSES: [usize; 3] = [0x080, 0x090, 0x0A0];
const CONFIG: usize = 0x100;

/// "virt"
const MAGIC_VALUE: u32 = 0x7472_6976;
const VERSION_MODERN: u32 = 2;

const STATUS_ACKNOWLEDGE: u32 = 1;
const STATUS_DRIVER: u32 = 2;
const STATUS_DRIVER_OK: u32 = 4;
const STATUS_FEATURES_OK: u32 = 8;

/// A device in one of the places.
#[derive(Clone, Copy)]
pub(crate) struct Device {
    place: u32,
}

impl Device {
    /// The first device of a kind, with a modern interface.
    pub(crate) fn find(id: u32) -> Option<Self> {
        (0..PLACES)
            .map(|place| Self { place })
            .find(|device| device.is_modern() && device.register(DEVICE_ID).read() == id)
    }

    /// The device that has interrupted.
    pub(crate) fn from_interrupt(interrupt: u32) -> Self {
        Self {
            place: interrupt - FIRST_INTERRUPT,
        }
    }

    /// The number of its interrupt.
    pub(crate) fn interrupt(self) -> u32 {
        FIRST_INTERRUPT + self.place
    }

    /// Resets the device and agrees on these features, no others (§3.1.1).
    ///
    /// # Panics
    ///
    /// If the device lacks one of them.
    pub(crate) fn negotiate(self, features: u64) {
        self.register(STATUS).write(0);
        self.add_status(STATUS_ACKNOWLEDGE | STATUS_DRIVER);
        for (half, wanted) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.register(DEVICE_FEATURES_SELECT).write(half);
            let offered = self.register(DEVICE_FEATURES).read();
            assert!(offered & wanted == wanted, "virtio feature missing");
            self.register(DRIVER_FEATURES_SELECT).write(half);
            self.register(DRIVER_FEATURES).write(wanted);
        }
        self.add_status(STATUS_FEATURES_OK);
        let status = self.register(STATUS).read();
        assert!(status & STATUS_FEATURES_OK != 0, "virtio features refused");
    }

    /// Gives a queue to the device.
    ///
    /// # Panics
    ///
    /// If the device takes shorter queues only.
    pub(crate) fn set_queue(self, index: u32, queue: &Virtqueue) {
        self.register(QUEUE_SELECT).write(index);
        let size_max = self.register(QUEUE_SIZE_MAX).read();
        assert!(size_max >= SLOTS as u32, "virtio queue too short");
        self.register(QUEUE_SIZE).write(SLOTS as u32);
        for (register, address) in QUEUE_ADDRESSES.into_iter().zip(queue.addresses()) {
            self.register(register).write(address);
        }
        self.register(QUEUE_READY).write(1);
    }

    /// Lets the device work, after features and queues are set.
    pub(crate) fn start(self) {
        self.add_status(STATUS_DRIVER_OK);
    }

    /// Tells the device to look into a queue.
    pub(crate) fn notify(self, queue: u32) {
        self.register(QUEUE_NOTIFY).write(queue);
    }

    /// Ends the interrupt. What happens in the queues from now on interrupts again.
    pub(crate) fn acknowledge_interrupt(self) {
        let reasons = self.register(INTERRUPT_STATUS).read();
        self.register(INTERRUPT_ACKNOWLEDGE).write(reasons);
    }

    /// A byte of the configuration, whose layout depends on the kind of device.
    pub(crate) fn config_byte(self, offset: usize) -> u8 {
        self.register(CONFIG + offset).read_byte()
    }

    fn is_modern(self) -> bool {
        self.register(MAGIC).read() == MAGIC_VALUE
            && self.register(VERSION).read() == VERSION_MODERN
    }

    fn add_status(self, bits: u32) {
        let status = self.register(STATUS);
        status.write(status.read() | bits);
    }

    fn register(self, offset: usize) -> Register {
        let base = FIRST_BASE + BLOCK_BYTES * self.place as usize;
        // SAFETY: a register of this place. Memory is given to the device by `set_queue` only, and a `Virtqueue` has
        // static memory made for that.
        unsafe { Register::new(base + offset) }
    }
}
