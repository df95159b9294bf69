//! An MQTT client for Linux: 3.1.1 and 5, over TCP, TLS and WebSocket, for tokio and for programs without a runtime.
//!
//! The protocol is that of `mqtt-core`, the same as on a microcontroller; this crate adds the ways to the broker, the
//! clock and the memory. With tokio:
//!
//! ```no_run
//! # async fn program() -> Result<(), Box<dyn std::error::Error>> {
//! use mqtt_std::{Message, Options, QoS};
//!
//! let options = Options::from_url("mqtts://user:password@broker.example/my-device")?
//!     .subscribe("my-device/command", QoS::AtLeastOnce);
//! let (client, mut inbox, mut runner) = mqtt_std::new(options)?;
//! let running = tokio::spawn(async move { runner.run().await });
//! client.publish(&Message::new("my-device/state", b"on").at_least_once().retain()).await?.acknowledged().await?;
//! while let Ok(message) = inbox.next().await {
//!     println!("{}: {:?}", message.topic(), message.payload());
//! }
//! running.await??; // why it ended
//! # Ok(())
//! # }
//! ```
//!
//! Without a runtime, in [`blocking`], the same words:
//!
//! ```no_run
//! # fn program() -> Result<(), Box<dyn std::error::Error>> {
//! use mqtt_std::{Message, Options, QoS, blocking};
//!
//! let options = Options::from_url("mqtts://user:password@broker.example/my-device")?
//!     .subscribe("my-device/command", QoS::AtLeastOnce);
//! let (client, mut inbox) = blocking::connect(options)?;
//! client.publish_and_wait(&Message::new("my-device/state", b"on").at_least_once().retain())?;
//! while let Ok(message) = inbox.next() {
//!     println!("{}: {:?}", message.topic(), message.payload());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] is `Clone + Send + Sync`: many tasks publish while one receives. Every future of [`Client`], [`Inbox`] and
//!   [`Delivery`] may be dropped at any time.
//! - [`Runner::run`] connects, and connects again after a failure. Messages that were accepted and not acknowledged are
//!   sent again; what ended the link is told by [`Client::state`](mqtt_core::client::Client::state) at once and by
//!   [`Error`] in full.
//! - A message is acknowledged when it is dropped, that is after it was processed.
//! - TLS always verifies the certificate of the broker. There is no option to switch that off.
//! - Nothing that the crate prints or logs (by `tracing`) holds a password, a key or a token. But tungstenite, below the
//!   WebSocket, logs whole frames and headers at the level `trace` (by `log`): leave it out, as in
//!   `RUST_LOG=trace,tungstenite=debug`.
//!
//! Features, both on by default: `tls` for `mqtts` and `wss`, `websocket` for `ws` and `wss`.
#![forbid(unsafe_code)]

pub mod blocking;
mod durable;
mod error;
mod failure;
mod kind;
mod link;
mod options;
#[cfg(unix)]
mod outbox;
#[cfg(unix)]
mod outbox_file;
mod runner;
mod session_file;
mod timer;
#[cfg(unix)]
mod update_file;
mod wait;

pub use mqtt_core::{
    Instant, Json, Message, Publication, WrittenBy,
    client::{ConnectError, LinkEnd, LinkState, Report, Stopped, StreamError, SubscribeError},
    codec::{
        DecodeError, EncodeError, Fault, PacketIdentifier, Properties, Property, QoS, ReasonCode,
        RetainHandling, Subscription, TopicError, TopicFilter, TopicName, Version, Writer,
    },
    outbox::{AcceptError, Interval, Loss, RunError},
    platform,
    session::{
        AckToken, Authentication, Counters, DeliveryError, OutboxPolicy, Oversize, ProtocolError,
        PublishError, Reconnect, SessionError,
    },
};

pub use self::{
    error::Error,
    failure::{ConnectFailure, Stage},
    kind::{Lock, Std, WakerList},
    options::{Options, OptionsError, Will},
    runner::{Runner, new},
    timer::{now, sleep_until},
};
#[cfg(unix)]
pub use self::{
    outbox::{Outbox, outbox},
    outbox_file::OutboxFile,
    update_file::UpdateFile,
};

/// Publishes and subscribes. Cheap to clone, `Send` and `Sync`.
pub type Client = mqtt_core::client::Client<Std>;
/// Receives messages.
pub type Inbox = mqtt_core::client::Inbox<Std>;
/// What becomes of one publication.
pub type Delivery = mqtt_core::client::Delivery<Std>;
/// A received message, still in the receive buffer.
pub type Received<'i> = mqtt_core::client::Received<'i, Std>;
