//! MQTT 3.1.1 and 5 for devices: a codec, a session and an asynchronous client. `no_std`, no allocator, no unsafe code.
//!
//! It holds all rules of the protocol. It does not open sockets, speak TLS, resolve names or read a clock: that is the
//! business of the crate above it, `mqtt-std` on Linux for example. It acts as client only, though the codec has both
//! directions, for test peers and simulators.
//!
//! ```text
//! socket -> ReceiveBuffer -> Received<'rx> -> Session::handle(.., now) -> Event<'rx> -> application
//! socket <- Session::transmit(.., now) <- transmit buffer <- Session::publish(.., now) <- application
//!                                         Session::next_deadline(), Session::tick(now)
//! ```
//!
//! | module | what it is | knows of |
//! | --- | --- | --- |
//! | [`codec`] | bytes to packets and back, strict, borrowed | nothing else |
//! | [`ReceiveBuffer`] | any split of the byte stream to packets, or to pieces of a large PUBLISH | `codec`, options and errors of `session` |
//! | [`Publication`] | what can be published; written in place | `codec` |
//! | [`session`] | the state machine: in-flight messages, keep-alive, resume | all of the above |
//! | [`platform`] | topics and payloads of ThingsBoard and others, for any MQTT client | `codec`, [`Publication`] |
//! | `client` (feature) | the driver: `Client`, `Inbox`, `Runner` over `embedded-io-async` | all of the above |
//! | `outbox` (feature `client`) | messages that outlive a loss of power | `client` |
//!
//! # What always holds
//!
//! - No call of the core waits, and none reads a clock: `now` is an argument. Only the client waits; its [clock] belongs
//!   to the platform.
//! - Memory belongs to the caller: buffers and tables are handed in, and nothing is allocated.
//! - Bytes from a peer cannot panic. What the standard forbids ends the link with a typed error and delivers nothing.
//! - A message too large for the receive buffer is streamed or skipped, never silently lost; the link stays up.
//! - What was accepted at QoS 1 or 2 is kept until it is acknowledged, or its end is reported as a
//!   [`DeliveryError`](session::DeliveryError). It is kept in memory: a restart of the device forgets it. What must
//!   outlive that goes through an `outbox`.
//!
//! [clock]: Instant
//!
//! # Without I/O
//!
//! A bare-metal loop, or a test, moves the bytes itself. Here the server's bytes are written out by hand:
//!
//! ```
//! use mqtt_core::{
//!     Instant, Message, ReceiveBuffer, Session,
//!     session::{Event, Options, SessionError, Slot},
//! };
//!
//! type Device = Session<[u8; 512], [Slot; 16]>;
//!
//! /// What the socket has received goes to the receive buffer, and from there to the session, packet by packet.
//! fn receive(
//!     bytes: &[u8],
//!     rx: &mut ReceiveBuffer<[u8; 256]>,
//!     session: &mut Device,
//!     now: Instant,
//! ) -> Result<(), SessionError> {
//!     rx.space()[..bytes.len()].copy_from_slice(bytes);
//!     rx.filled(bytes.len());
//!     while let Some(received) = rx.next()? {
//!         match session.handle(received, now)? {
//!             Event::Connected(connack) => assert!(!connack.session_present),
//!             _ => {} // `Event::Message` is what a subscriber waits for.
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let options = Options::new("thermometer");
//! let mut rx = ReceiveBuffer::new([0; 256]);
//! let mut session = Device::new([0; 512], [Slot::FREE; 16], &options)?;
//! let now = Instant::from_millis(0); // yours, from any clock
//! let mut out = [0; 128];
//!
//! // Once there is a link, CONNECT is the first thing to send.
//! rx.reset(&options);
//! session.connect(&options, now)?;
//! let len = session.transmit(&mut out, now);
//! assert_eq!(&out[..len], b"\x10\x17\0\x04MQTT\x04\x02\0\x3c\0\x0bthermometer");
//! receive(&[0x20, 2, 0, 0], &mut rx, &mut session, now)?; // CONNACK
//!
//! // `true`: we shall ask what became of it.
//! let ticket = session.publish(&Message::new("dw/demo", b"21.5").at_least_once(), true, now)?;
//! let len = session.transmit(&mut out, now);
//! let [0x32, 15, 0, 7, b'd', b'w', b'/', b'd', b'e', b'm', b'o', high, low, b'2', b'1', b'.', b'5'] = out[..len] else {
//!     panic!("PUBLISH at QoS 1")
//! };
//! assert_eq!(session.take_outcome(ticket), None);
//! receive(&[0x40, 2, high, low], &mut rx, &mut session, now)?; // PUBACK
//! assert!(matches!(session.take_outcome(ticket), Some(Ok(_))));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! A loop also calls [`Session::tick`] when [`Session::next_deadline`] has come, and [`Session::link_lost`] when a call
//! returned an error or the link is gone; then it may [`connect`](Session::connect) again. With the feature `client`
//! the driver does all that.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | effect |
//! | --- | --- |
//! | `v5` | MQTT 5 beside 3.1.1; the version is chosen by [`Options::version`](session::Options::version) at run time |
//! | `client` | the modules `client` and `outbox` |
//! | `defmt` | `defmt::Format` for packets, messages, errors, states and counters; not for handles, buffers and options. Log lines as with `log` |
//! | `log` | the client logs the state of the link and skipped messages |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]
#![warn(clippy::std_instead_of_core)]

#[cfg(test)]
extern crate std;

mod bytes;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
mod json;
#[cfg(feature = "client")]
pub mod outbox;
pub mod platform;
mod publication;
mod receive;
pub mod session;
mod time;

pub use codec::{QoS, Version};
pub use json::write_json;
pub use publication::{Json, Message, Publication, WrittenBy};
pub use receive::{ReceiveBuffer, Received};
pub use session::Session;
pub use time::Instant;
