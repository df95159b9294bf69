//! Interrupts: which ones are used, and where they go.
//!
//! There is no device crate for this machine, so cortex-m-rt sends every interrupt to `DefaultHandler`.

use cortex_m::{interrupt::InterruptNumber, peripheral::NVIC};
use cortex_m_rt::exception;

use crate::{crash, lan9118, timer};

/// The interrupts in use, by their number.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(crate) enum Interrupt {
    Alarm = 9,
    Network = 13,
}

impl Interrupt {
    /// Lets the interrupt through. The device must be set up.
    pub(crate) fn enable(self) {
        // SAFETY: no critical section relies on a single masked interrupt; all of them mask all interrupts.
        unsafe { NVIC::unmask(self) }
    }
}

// SAFETY: both numbers are interrupt lines of this machine.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

const ALARM: i16 = Interrupt::Alarm as i16;
const NETWORK: i16 = Interrupt::Network as i16;

#[exception]
unsafe fn DefaultHandler(number: i16) {
    match number {
        ALARM => timer::on_alarm(),
        NETWORK => lan9118::on_interrupt(),
        _ => crash::unexpected_interrupt(number),
    }
}
