//! The end of the program: a line in the log and an exit status, both by semihosting, which the emulator answers.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use defmt_semihosting as _;
use mqtt_embassy::{DeliveryError, LinkEnd, PublishError};
use semihosting::process;

const PANIC: i32 = 101;
const FAULT: i32 = 102;

/// What did not work.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub(crate) enum Failure {
    /// The storage is too small for the options.
    Options,
    Connect(LinkEnd),
    Subscribe,
    Publish(PublishError),
    Delivery(DeliveryError),
    Receive,
    /// Not the command that was sent.
    Command,
    /// The link was lost while there was nothing to send.
    KeepAlive,
    Disconnect,
}

impl Failure {
    fn status(self) -> i32 {
        match self {
            Self::Options => 1,
            Self::Connect(_) => 2,
            Self::Subscribe => 3,
            Self::Publish(_) => 4,
            Self::Delivery(_) => 5,
            Self::Receive => 6,
            Self::Command => 7,
            Self::KeepAlive => 8,
            Self::Disconnect => 9,
        }
    }
}

pub(crate) fn exit(verdict: Result<(), Failure>) -> ! {
    match verdict {
        Ok(()) => {
            defmt::info!("job done");
            process::exit(0)
        }
        Err(failure) => {
            defmt::error!("job failed: {}", failure);
            process::exit(failure.status())
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    if let Some(place) = info.location() {
        defmt::error!("panicked at {=str}:{=u32}", place.file(), place.line());
    }
    process::exit(PANIC)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("fault at {=u32:#010x}", frame.pc());
    process::exit(FAULT)
}
