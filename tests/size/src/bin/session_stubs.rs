//! What the session's job uses of the stubs, without a session.

#![no_std]
#![no_main]

use size_job::stubs::{BUFFER_LEN, halt, is_stopped, now_ms, read, write};
use size_job::{buffer, fact};

fact!(SIZE_OF_BUFFERS, BUFFER_LEN);

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    let buffer = buffer!();
    while !is_stopped() {
        let len = read(buffer);
        write(buffer.get(..len).unwrap_or_default());
        write(&now_ms().to_le_bytes());
    }
    halt()
}
