//! What the client's job uses of the stubs, without a client.

#![no_std]
#![no_main]

use core::future::pending;
use core::pin::pin;

use embedded_io_async::{Read as _, Write as _};
use size_job::executor::spin;
use size_job::stubs::{BUFFER_LEN, Transport, halt, is_stopped, now_ms, write};
use size_job::{buffer, fact};

fact!(SIZE_OF_BUFFERS, BUFFER_LEN);

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    spin(pin!(echo()), pin!(pending::<()>()));
    halt()
}

async fn echo() {
    let buffer = buffer!();
    while !is_stopped() {
        let Ok(_) = Transport.read(buffer).await;
        let Ok(_) = Transport.write(buffer).await;
        critical_section::with(|_| write(&now_ms().to_le_bytes()));
    }
}
