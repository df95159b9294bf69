//! The end of a program that went wrong: a line in the log, and an exit status.

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering},
};

use cortex_m_rt::{ExceptionFrame, exception};

use crate::{exit, status};

static PANICKED: AtomicBool = AtomicBool::new(false);

/// Logs where, and the text unless it has arguments: no formatting code is linked only for this.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    if PANICKED.load(Ordering::Relaxed) {
        // The log itself panicked.
        exit(status::PANIC);
    }
    PANICKED.store(true, Ordering::Relaxed);
    let text = info.message().as_str().unwrap_or("see the source");
    if let Some(place) = info.location() {
        defmt::error!(
            "panicked at {=str}:{=u32}: {=str}",
            place.file(),
            place.line(),
            text
        );
    }
    exit(status::PANIC)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!(
        "fault at {=u32:#010x}, called from {=u32:#010x}",
        frame.pc(),
        frame.lr()
    );
    exit(status::FAULT)
}

pub(crate) fn unexpected_interrupt(number: i16) -> ! {
    defmt::error!("interrupt {=i16} has no handler", number);
    exit(status::FAULT)
}
