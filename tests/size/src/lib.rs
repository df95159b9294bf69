//! Stubs that every job shares: a transport, a clock, a critical section and an executor. Each byte that passes is
//! one volatile access, so that the optimizer cannot see through them and they cost the same in each job.

#![no_std]

pub mod companion;
pub mod executor;
pub mod job;
#[cfg(feature = "client")]
pub mod kind;
#[cfg(feature = "losant")]
pub mod losant;
#[cfg(feature = "place-os")]
pub mod place_os;
#[cfg(feature = "reading")]
pub mod reading;
pub mod stubs;
#[cfg(feature = "thingsboard")]
pub mod thingsboard;
#[cfg(feature = "watson-iot")]
pub mod watson_iot;

use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stubs::halt()
}

/// Exports a number as the size of a symbol in the section `.facts`.
#[macro_export]
macro_rules! fact {
    ($name:ident, $value:expr) => {
        #[used]
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".facts")]
        static $name: [u8; $value] = [0; $value];
    };
}

/// A `&'static mut [u8]` of [`stubs::BUFFER_LEN`] bytes in static memory. Each use in the source may run only once.
#[macro_export]
macro_rules! buffer {
    () => {{
        static mut BUFFER: [u8; $crate::stubs::BUFFER_LEN] = [0; $crate::stubs::BUFFER_LEN];
        // SAFETY: the job runs once, and nothing else names this static.
        let buffer: &'static mut [u8] = unsafe { &mut *core::ptr::addr_of_mut!(BUFFER) };
        buffer
    }};
}
