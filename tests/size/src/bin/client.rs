//! The job on `Client`, `Inbox` and `Runner`: one task for the connection, one for the application.

#![no_std]
#![no_main]

use core::ptr::addr_of_mut;

use mqtt_core::client::{Client, Content, Inbox, LinkEnd, Runner, Shared};
use mqtt_core::session::Slot;
use size_job::executor::{Memory, future_size, spin};
use size_job::job::{MESSAGES, OPTIONS};
use size_job::kind::{Bare, Masked, Network};
use size_job::stubs::{BUFFER_LEN, halt, is_stopped, write};
use size_job::{buffer, fact};

fact!(SIZE_OF_STATE, size_of::<Shared<Bare>>());
fact!(SIZE_OF_RUN_FUTURE, CONNECTION_LEN);
fact!(SIZE_OF_JOB_FUTURE, APPLICATION_LEN);
fact!(SIZE_OF_BUFFERS, 3 * BUFFER_LEN);

/// Eight messages in each direction, CONNECT and SUBSCRIBE.
const SLOTS_LEN: usize = 8 + 8 + 2;
const CONNECTION_LEN: usize = future_size(&connection);
const APPLICATION_LEN: usize = future_size(&application);

static CONNECTION: Memory<CONNECTION_LEN> = Memory::new();
static APPLICATION: Memory<APPLICATION_LEN> = Memory::new();
static mut SHARED: Shared<Bare> = Shared::empty(Masked::of(Content::new([Slot::FREE; SLOTS_LEN])));

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    run();
    halt()
}

/// `None` when something failed; there is nobody to tell.
fn run() -> Option<()> {
    // SAFETY: runs once, and nothing else names these statics.
    let (connection, application) = unsafe {
        let shared: &'static Shared<Bare> = &*addr_of_mut!(SHARED);
        shared
            .configure(buffer!(), buffer!(), buffer!(), &OPTIONS)
            .ok()?;
        let (client, inbox, runner) = mqtt_core::client::new(shared);
        (
            CONNECTION.place(connection(runner)),
            APPLICATION.place(application((client, inbox))),
        )
    };
    spin(connection, application)?;
    Some(())
}

async fn connection(mut runner: Runner<Bare>) -> Option<LinkEnd> {
    Some(runner.run(&mut Network, &OPTIONS).await)
}

#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` moves its arguments once more, which links `memcpy`"
)]
fn application(
    (client, mut inbox): (Client<Bare>, Inbox<Bare>),
) -> impl Future<Output = Option<()>> {
    async move {
        for message in &MESSAGES {
            drop(client.publish(message).await.ok()?);
        }
        while let Ok(message) = inbox.next().await {
            write(message.payload());
            drop(message);
            if is_stopped() {
                client.disconnect().await;
            }
        }
        Some(())
    }
}
