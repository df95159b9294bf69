//! IBM Watson IoT Platform, and Maximo Monitor, which kept its topics.

mod filter;
mod identity;
mod incoming;
pub mod management;
mod outgoing;
mod status;
mod text;

pub use filter::Filter;
pub use identity::{
    Application, COMMANDS, Device, DeviceId, Gateway, Host, IdError, MANAGED, QUICKSTART,
    Quickstart, TOKEN_USER_NAME,
};
pub use incoming::{Content, MalformedMessage, ToApplication, ToGateway};
pub use outgoing::{Body, Bytes, Draft, Json, JsonInD, Outgoing, QuickstartDraft, WrittenBy};
pub use status::{CloseCode, Notification, Status, StatusAction};

/// The port for TLS, also for WebSocket over TLS.
pub const PORT_TLS: u16 = 8883;
/// The other port for TLS, the only one of Maximo Monitor.
pub const PORT_TLS_WEB: u16 = 443;
/// The port without TLS: quickstart, and organizations that allow it.
pub const PORT_PLAIN: u16 = 1883;
/// The other port without TLS.
pub const PORT_PLAIN_WEB: u16 = 80;

/// Bytes of a payload, at most. The platform closes the connection of a client that sends more, and would do so again
/// at each attempt to redeliver.
pub const MAX_PAYLOAD: usize = 131_072;
