//! The network device, virtio-net (virtio 1.1, §5.1).
//!
//! Of all features only the MAC address is taken, so each frame comes whole, in one buffer, behind a header of 12 bytes
//! that may be zero.

use core::{array, task::Context};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

use crate::{
    plic,
    virtio_mmio::Device,
    virtqueue::{BUFFER_BYTES, Direction, Memory, SLOTS, Slot, Virtqueue},
};

const DEVICE_ID_NETWORK: u32 = 1;
/// `VIRTIO_NET_F_MAC` and `VIRTIO_F_VERSION_1`.
const FEATURES: u64 = 1 << 5 | 1 << 32;

const RECEIVE_QUEUE: u32 = 0;
const TRANSMIT_QUEUE: u32 = 1;

const HEADER_BYTES: usize = 12;
const FRAME_BYTES_MAX: usize = 1514;

/// The task of the network stack.
static WAKER: AtomicWaker = AtomicWaker::new();

/// The network device: an Ethernet card whose link is always up. Made by [`init`](crate::init), to be given to
/// `embassy_net::new`.
pub struct Network {
    device: Device,
    mac: [u8; 6],
    receive: Virtqueue,
    transmit: Virtqueue,
    /// Slots of `transmit` that are not with the device.
    free: [Option<Slot>; SLOTS],
}

impl Network {
    pub(crate) fn new() -> Self {
        static RECEIVE: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
        static TRANSMIT: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

        let device = Device::find(DEVICE_ID_NETWORK).expect("a modern virtio-net-device");
        let (mut receive, empty) = Virtqueue::new(RECEIVE.take(), Direction::Receive);
        let (transmit, free) = Virtqueue::new(TRANSMIT.take(), Direction::Transmit);

        device.negotiate(FEATURES);
        device.set_queue(RECEIVE_QUEUE, &receive);
        device.set_queue(TRANSMIT_QUEUE, &transmit);
        device.start();
        for slot in empty {
            receive.offer(slot, BUFFER_BYTES as u32);
        }
        device.notify(RECEIVE_QUEUE);
        plic::enable(device.interrupt());

        Self {
            device,
            mac: array::from_fn(|index| device.config_byte(index)),
            receive,
            transmit,
            free: free.map(Some),
        }
    }

    /// Takes back what has been sent.
    fn reclaim(&mut self) {
        while let Some((slot, _)) = self.transmit.take_back() {
            if let Some(place) = self.free.iter_mut().find(|place| place.is_none()) {
                *place = Some(slot);
            }
        }
    }

    fn has_room(&mut self) -> bool {
        self.reclaim();
        self.free.iter().any(Option::is_some)
    }
}

impl Driver for Network {
    type RxToken<'a> = Receive<'a>;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Receive<'_>, Transmit<'_>)> {
        // Before the look at the rings, else an interrupt in between is missed.
        WAKER.register(context.waker());
        if !self.has_room() || !self.receive.has_used() {
            return None;
        }
        let receive = Receive {
            device: self.device,
            queue: &mut self.receive,
        };
        let transmit = Transmit {
            device: self.device,
            queue: &mut self.transmit,
            free: &mut self.free,
        };
        Some((receive, transmit))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Transmit<'_>> {
        WAKER.register(context.waker());
        if !self.has_room() {
            return None;
        }
        Some(Transmit {
            device: self.device,
            queue: &mut self.transmit,
            free: &mut self.free,
        })
    }

    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}

/// A frame that has arrived.
pub struct Receive<'a> {
    device: Device,
    queue: &'a mut Virtqueue,
}

impl RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let (mut slot, length) = self
            .queue
            .take_back()
            .expect("there was a frame, and nobody else takes it");
        let result = f(&mut self.queue.buffer(&mut slot)[HEADER_BYTES..length]);
        self.queue.offer(slot, BUFFER_BYTES as u32);
        self.device.notify(RECEIVE_QUEUE);
        result
    }
}

/// Room for a frame to be sent.
pub struct Transmit<'a> {
    device: Device,
    queue: &'a mut Virtqueue,
    free: &'a mut [Option<Slot>; SLOTS],
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut slot = self
            .free
            .iter_mut()
            .find_map(Option::take)
            .expect("there was room, and nobody else takes it");
        // Nobody writes into the header, so it stays zero.
        let end = HEADER_BYTES + length;
        let result = f(&mut self.queue.buffer(&mut slot)[HEADER_BYTES..end]);
        self.queue.offer(slot, end as u32);
        self.device.notify(TRANSMIT_QUEUE);
        result
    }
}

/// Called by the interrupt controller: frames have arrived, or were sent.
pub(crate) fn on_interrupt(interrupt: u32) {
    Device::from_interrupt(interrupt).acknowledge_interrupt();
    WAKER.wake();
}
