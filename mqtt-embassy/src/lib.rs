//! An MQTT client for Embassy firmware: 3.1.1 and 5, over TCP, TLS 1.3 and WebSocket, on embassy-net.
//!
//! The protocol is that of [`mqtt_core`], the same as on Linux; this crate adds the ways to the broker, the clock and
//! the memory. It is `no_std`, allocates nothing and has no `unsafe` of its own. A whole program, except for what the
//! board needs:
//!
//! ```no_run
//! use embassy_executor::Spawner;
//! use embassy_futures::select::{Either, select};
//! use embassy_net::Stack;
//! use embassy_time::{Duration, Ticker};
//! use mqtt_embassy::{
//!     LinkState, Message, Options, QoS, Runner, Storage, Subscription, TcpConnector, TopicFilter,
//! };
//! use static_cell::ConstStaticCell;
//!
//! static STORAGE: ConstStaticCell<Storage<1024, 2048>> = ConstStaticCell::new(Storage::new());
//! static TCP_RX: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
//! static TCP_TX: ConstStaticCell<[u8; 1024]> = ConstStaticCell::new([0; 1024]);
//!
//! const COMMANDS: TopicFilter<'_> = match TopicFilter::new("thermometer/command") {
//!     Ok(filter) => filter,
//!     Err(_) => panic!("not a topic filter"),
//! };
//! static SUBSCRIPTIONS: [Subscription<'_>; 1] = [Subscription::new(COMMANDS, QoS::AtLeastOnce)];
//! static OPTIONS: Options<'_> = Options::new("thermometer")
//!     .credentials("user", b"password")
//!     .subscriptions(&SUBSCRIPTIONS);
//!
//! /// Connects, moves bytes, connects again.
//! #[embassy_executor::task]
//! async fn mqtt(mut runner: Runner, stack: Stack<'static>) {
//!     let mut connector =
//!         TcpConnector::new(stack, "broker.example", 1883, TCP_RX.take(), TCP_TX.take());
//!     let end = runner.run(&mut connector, &OPTIONS).await;
//!     board::log("mqtt ended", end); // wrong password, for example
//! }
//!
//! #[embassy_executor::main]
//! async fn main(spawner: Spawner) {
//!     let stack = board::network(spawner).await;
//!     let (client, mut inbox, runner) = mqtt_embassy::new(STORAGE.take(), &OPTIONS).unwrap();
//!     spawner.spawn(mqtt(runner, stack).unwrap());
//!     let mut ticker = Ticker::every(Duration::from_secs(10));
//!     loop {
//!         match select(inbox.next(), ticker.next()).await {
//!             // It is acknowledged at the end of this arm, after it was obeyed.
//!             Either::First(Ok(message)) => board::obey(message.payload()),
//!             Either::First(Err(stopped)) => return board::log("no more messages", stopped.0),
//!             Either::Second(()) => {
//!                 let reading = board::temperature();
//!                 let message = Message::new("thermometer/celsius", &reading).at_least_once();
//!                 // Queued with or without a link. Full: nothing was sent for long.
//!                 if client.try_publish(&message).is_err() {
//!                     board::log("a reading is lost", client.state());
//!                 }
//!             }
//!         }
//!     }
//! }
//! # mod board {
//! #     use super::*;
//! #     pub async fn network(_: Spawner) -> Stack<'static> { unimplemented!() }
//! #     pub fn log<T>(_: &str, _: T) {}
//! #     pub fn obey(_: &[u8]) {}
//! #     pub fn temperature() -> [u8; 4] { *b"21.5" }
//! # }
//! ```
//!
//! # The ways to the broker
//!
//! | | connector | feature |
//! | --- | --- | --- |
//! | TCP | [`TcpConnector`] | |
//! | TLS 1.3 | `TlsConnector` over a [`TcpConnector`], see the module `tls` | `tls` |
//! | WebSocket | `WsConnector` over a [`TcpConnector`] | `websocket` |
//! | secure WebSocket | `WsConnector` over a `TlsConnector` | `tls`, `websocket` |
//!
//! ```
//! # #[cfg(all(feature = "tls", feature = "websocket"))]
//! # fn example<'a, R: mqtt_embassy::rand_core::CryptoRngCore + Clone + 'a>(
//! #     stack: embassy_net::Stack<'a>, random: R, rx: &'a mut [u8], tx: &'a mut [u8], read: &'a mut [u8], write: &'a mut [u8],
//! # ) -> impl mqtt_embassy::mqtt_core::client::Connect + 'a {
//! # use mqtt_embassy::{TcpConnector, TlsConnector, TlsOptions, WsConnector};
//! # static CA: &[u8] = &[];
//! let tcp = TcpConnector::new(stack, "broker.example", 443, rx, tx);
//! let tls = TlsConnector::new(tcp, TlsOptions::new("broker.example", CA), random.clone(), read, write);
//! WsConnector::new(tls, "broker.example", "/mqtt", random)
//! # }
//! ```
//!
//! Another network, a modem with TCP inside for example, implements [`Transport`]; TLS and WebSocket run over that too.
//! A link that is none of these, a UART for example, implements [`Connect`](mqtt_core::client::Connect).
//!
//! # Tasks, executors and interrupts
//!
//! The state is locked by a critical section, for the length of one call; at worst the content of the transmit buffer is
//! moved meanwhile. So [`Client`] is `Clone`, `Send` and `Sync`, and [`Inbox`], [`Runner`] and [`Delivery`] are `Send`: tasks of executors of different priority
//! share one connection, and an interrupt may call [`try_publish`](mqtt_core::client::Client::try_publish). Connectors
//! stay where the network stack is.
//!
//! Every future of `Client`, `Inbox` and `Delivery` may be dropped at any time, in a `select` for example. Up to
//! [`WAITING_TASKS`] tasks wait for one connection without waking each other.
//!
//! # The state of the link, on a light
//!
//! ```
//! # use mqtt_embassy::{Client, LinkState};
//! async fn light(client: Client, mut set: impl FnMut(bool)) {
//!     let mut state = client.state();
//!     loop {
//!         set(matches!(state, LinkState::Connected { .. }));
//!         state = client.state_change(state).await;
//!     }
//! }
//! ```
//!
//! [`LinkState::Waiting`] tells why the last link ended, [`LinkState::Stopped`] why there will be no other.
//!
//! # Memory
//!
//! See [`Storage`], which says how to choose its sizes. Beside it: the two buffers of TCP; with TLS, two buffers for
//! records; and the future of the task that runs the [`Runner`].
//!
//! # Time
//!
//! Milliseconds come from embassy-time. At 1,000, 32,768 or a multiple of 1,000 ticks per second, up to 65,536,000, the
//! conversion needs no division of 64 bits.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | effect |
//! | --- | --- |
//! | `v5` | MQTT 5 beside 3.1.1; the version is chosen by [`Options::version`] at run time |
//! | `tls` | `TlsConnector`, by embedded-tls |
//! | `websocket` | `WsConnector` |
//! | `flash` | `FlashStore`, `FlashQueue` and `FlashSession`: images, messages and the session, in NOR flash |
//! | `ipv6` | brokers with an IPv6 address |
//! | `defmt` | `defmt::Format` for messages, errors, states and counters; not for handles, connectors and options. Log lines: *info* for the state of the link, *warn* for whatever keeps it from being made, *debug* for each step |
//! | `log` | the same lines by the crate `log` |
//!
//! embassy-net is used with `tcp`, `dns`, `proto-ipv4` and `medium-ethernet`; the firmware adds what else it needs, `dhcpv4`
//! for example.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod macros;
mod clock;
#[cfg(feature = "flash")]
mod flash;
#[cfg(feature = "flash")]
mod flash_queue;
#[cfg(feature = "flash")]
mod flash_session;
mod kind;
mod storage;
mod stream;
mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "websocket")]
mod websocket;

pub use mqtt_core;
pub use mqtt_core::{
    Json, Message, Publication, WrittenBy,
    client::{ConnectError, LinkEnd, LinkState, Report, Stopped, StreamError, SubscribeError},
    codec::{
        DecodeError, EncodeError, Fault, PacketIdentifier, Properties, QoS, ReasonCode,
        RetainHandling, Subscription, TopicError, TopicFilter, TopicName, Version, Will, Writer,
    },
    session::{
        AckToken, Counters, DeliveryError, Options, OutboxPolicy, Oversize, ProtocolError,
        PublishError, Reconnect, SessionError,
    },
};
#[cfg(feature = "v5")]
pub use mqtt_core::{codec::Property, session::Authentication};
#[cfg(any(feature = "tls", feature = "websocket"))]
pub use rand_core;

pub use self::{
    kind::{Embassy, Lock, WAITING_TASKS, WakerSet},
    storage::{Storage, new},
    stream::{Stream, Transport},
    tcp::{TcpConnector, TcpLink, TcpStream},
};

#[cfg(feature = "tls")]
pub use self::tls::{TlsConnector, TlsOptions};
#[cfg(feature = "websocket")]
pub use self::websocket::{WsConnector, WsLink, WsReader, WsWriter};
#[cfg(feature = "flash")]
pub use self::{
    flash::{Activate, FlashError, FlashFault, FlashStore, UnsuitableFlash},
    flash_queue::{FlashQueue, FlashQueueError},
    flash_session::FlashSession,
};

/// Publishes and subscribes. Cheap to clone, `Send` and `Sync`.
pub type Client = mqtt_core::client::Client<Embassy>;
/// Receives messages.
pub type Inbox = mqtt_core::client::Inbox<Embassy>;
/// Connects to the broker and keeps the link up.
pub type Runner = mqtt_core::client::Runner<Embassy>;
/// What becomes of one publication.
pub type Delivery = mqtt_core::client::Delivery<Embassy>;
/// Keeps a copy of the session in a store, a `FlashSession` for example.
pub type SessionKeeper<S> = mqtt_core::client::SessionKeeper<Embassy, S, &'static mut [u8]>;
/// Accepts messages into a store, a `FlashQueue` for example, and publishes them from there: eight at once.
pub type Outbox<S> = mqtt_core::outbox::Outbox<Embassy, S, &'static mut [u8], 8>;
/// A received message, still in the receive buffer.
pub type Received<'i> = mqtt_core::client::Received<'i, Embassy>;
