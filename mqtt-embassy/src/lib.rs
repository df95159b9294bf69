//! MQTT for Embassy firmware: 3.1.1 and 5, over TCP, TLS 1.3 and WebSocket, on embassy-net.
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

#[cfg(feature = "flash")]
pub use self::flash::{Activate, FlashError, FlashFault, FlashStore, UnsuitableFlash};
#[cfg(feature = "tls")]
pub use self::tls::{TlsConnector, TlsOptions};
#[cfg(feature = "websocket")]
pub use self::websocket::{WsConnector, WsLink, WsReader, WsWriter};

/// Publishes and subscribes. Cheap to clone, `Send` and `Sync`.
pub type Client = mqtt_core::client::Client<Embassy>;
/// Receives messages.
pub type Inbox = mqtt_core::client::Inbox<Embassy>;
/// Connects to the broker and keeps the link up.
pub type Runner = mqtt_core::client::Runner<Embassy>;
/// What becomes of one publication.
pub type Delivery = mqtt_core::client::Delivery<Embassy>;
/// A received message, still in the receive buffer.
pub type Received<'i> = mqtt_core::client::Received<'i, Embassy>;
