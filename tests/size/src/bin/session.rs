//! The job on `Session` alone: a loop, no executor.

#![no_std]
#![no_main]

use core::ptr::addr_of_mut;

use mqtt_core::codec::ReasonCode;
use mqtt_core::session::{Event, Incoming, Session, Slot};
use mqtt_core::{Instant, ReceiveBuffer};
use size_job::companion::Companion;
use size_job::job::{JobSession, MESSAGES, OPTIONS, SLOTS};
#[cfg(feature = "losant")]
use size_job::losant;
#[cfg(feature = "place-os")]
use size_job::place_os;
#[cfg(feature = "reading")]
use size_job::reading::Reading;
use size_job::stubs::{BUFFER_LEN, halt, is_stopped, now_ms, read, write};
#[cfg(feature = "thingsboard")]
use size_job::thingsboard;
#[cfg(feature = "watson-iot")]
use size_job::watson_iot;
use size_job::{buffer, fact};

// Four messages in each direction, CONNECT and SUBSCRIBE.
fact!(
    SIZE_OF_SESSION,
    size_of::<Session<[u8; 0], [Slot; 4 + 4 + 2]>>()
);
fact!(SIZE_OF_BUFFERS, 3 * BUFFER_LEN);

static mut SESSION: JobSession = Session::unconfigured([0; BUFFER_LEN], [Slot::FREE; SLOTS]);

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    // SAFETY: runs once, and nothing else names this static.
    run(unsafe { &mut *addr_of_mut!(SESSION) });
    halt()
}

/// `None` when something failed; there is nobody to tell.
#[inline(never)]
fn run(session: &mut JobSession) -> Option<()> {
    let wire = buffer!();
    let mut rx = ReceiveBuffer::new(buffer!());
    rx.reset(&OPTIONS);
    session.configure(&OPTIONS).ok()?;
    session.connect(&OPTIONS, now()).ok()?;
    let mut companion = Companion::new()?;
    let mut messages = &MESSAGES[..];
    #[cfg(feature = "losant")]
    session
        .publish(&losant::report(&Reading::new(now_ms())), false, now())
        .ok()?;
    #[cfg(feature = "thingsboard")]
    session
        .publish(
            &thingsboard::telemetry(&Reading::new(now_ms())),
            false,
            now(),
        )
        .ok()?;
    #[cfg(feature = "watson-iot")]
    session
        .publish(&watson_iot::event(&Reading::new(now_ms())), false, now())
        .ok()?;
    #[cfg(feature = "place-os")]
    session
        .publish(
            &place_os::state(u64::from(now_ms()), &Reading::new(now_ms())),
            false,
            now(),
        )
        .ok()?;
    while !session.is_closed() {
        if let [message, rest @ ..] = messages
            && session.publish(message, false, now()).is_ok()
        {
            messages = rest;
        }
        companion.upkeep(session);
        transmit(session, wire);
        receive(session, &mut companion, &mut rx)?;
        session.tick(now()).ok()?;
        if is_stopped() {
            session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        }
    }
    Some(())
}

fn transmit(session: &mut JobSession, wire: &mut [u8]) {
    loop {
        let len = session.transmit(wire, now());
        match wire.get(..len) {
            None | Some([]) => return,
            Some(bytes) => write(bytes),
        }
    }
}

fn receive(
    session: &mut JobSession,
    companion: &mut Companion,
    rx: &mut ReceiveBuffer<&'static mut [u8]>,
) -> Option<()> {
    let len = read(rx.space());
    rx.filled(len);
    while let Some(received) = rx.next().ok()? {
        let event = session.handle(received, now()).ok()?;
        companion.see(&event);
        if let Event::Message(message) = event {
            take(session, companion, message);
        }
    }
    Some(())
}

fn take(session: &mut JobSession, companion: &mut Companion, message: Incoming<'_>) {
    write(message.publish.payload);
    companion.take(session, &message.publish);
    if let Some(token) = message.token {
        session.acknowledge(token, ReasonCode::SUCCESS);
    }
}

fn now() -> Instant {
    Instant::from_millis(now_ms())
}
