//! Stands where your HAL will be, so that the template can be built. An image with it says what is missing, and stops.
//!
//! It is empty when the steps of README.md are done: delete it then.

use core::task::{Context, Waker};

use embassy_net::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time_driver::time_driver_impl;
use rand_core::{CryptoRng, Error, RngCore};

/// Step 2: time stands still.
struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        0
    }

    fn schedule_wake(&self, _at: u64, _waker: &Waker) {}
}

/// Step 3: a generator that refuses to make keys.
pub(crate) struct Random;

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        defmt::panic!("this board has no random numbers yet")
    }

    fn next_u64(&mut self) -> u64 {
        self.next_u32().into()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u32().to_le_bytes()[0]);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}

/// Step 4: a cable that is never plugged in.
pub(crate) struct Network;

impl Driver for Network {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Frame;

    fn receive(&mut self, _context: &mut Context<'_>) -> Option<(Frame, Frame)> {
        None
    }

    fn transmit(&mut self, _context: &mut Context<'_>) -> Option<Frame> {
        None
    }

    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        LinkState::Down
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([0x02, 0, 0, 0, 0, 1])
    }
}

/// None ever comes.
pub(crate) enum Frame {}

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _read: F) -> R {
        match self {}
    }
}

impl TxToken for Frame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _len: usize, _write: F) -> R {
        match self {}
    }
}
