//! IBM Watson IoT Platform, and Maximo Monitor, which kept its clients and topics.
//!
//! ```
//! use mqtt_core::platform::{Decimal, watson_iot::Device};
//!
//! #[derive(serde::Serialize)]
//! struct Reading { temperature: Decimal<1> }
//!
//! #[derive(serde::Deserialize)]
//! struct SetInterval { seconds: u16 }
//!
//! # fn publish(_: &impl mqtt_core::Publication) {}
//! # let message = ("iot-2/cmd/set-interval/fmt/json", &br#"{"seconds":10}"#[..]);
//! let device = Device::new("za6xa7", "thermometer", "kitchen")?;
//! let options = device.options("authentication-token");
//!
//! let reading = Reading { temperature: Decimal::new(215) };
//! publish(&device.event("status").at_least_once().json_in_d(&reading));
//!
//! match device.command(&message) {
//!     Some(command) if command.name == "set-interval" => {
//!         let SetInterval { seconds } = command.json()?;
//! #       assert_eq!(seconds, 10);
//!     }
//!     _ => {} // another command, or no command
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Host and port are the connector's: [`Device::host`] and [`PORT_TLS`] are those of the public service, which was
//! announced to end in 2023; an installation of Maximo has a host name of its own and [`PORT_TLS_WEB`] only.
//!
//! # Clients
//!
//! | client | identifier | credentials | here |
//! | --- | --- | --- | --- |
//! | device | `d:org:type:id` | `use-token-auth` and a token | [`Device`] |
//! | device of anybody | `d:quickstart:type:id` | none | [`Quickstart`] |
//! | gateway | `g:org:type:id` | `use-token-auth` and a token | [`Gateway`] |
//! | application | `a:org:app`, `A:org:app`, `A:org:app:instance` | API key and its token | [`Application`] |
//!
//! # Topics
//!
//! `D` is `type/<type>/id/<device>`.
//!
//! | topic | direction | here |
//! | --- | --- | --- |
//! | `iot-2/evt/<event>/fmt/<format>` | device to platform | [`Device::event`], [`Quickstart::event`] |
//! | `iot-2/cmd/<command>/fmt/<format>` | platform to device | [`COMMANDS`], [`Device::command`] |
//! | `iot-2/D/evt/<event>/fmt/<format>` | gateway to platform to application | [`Gateway::event`], [`Gateway::event_of`], [`Application::event`], [`Application::message`] |
//! | `iot-2/D/cmd/<command>/fmt/<format>` | application to platform to gateway | [`Application::command`], [`Gateway::message`] |
//! | `iot-2/D/notify` | platform to gateway | [`Gateway::message`] |
//! | `iot-2/D/mon`, `iot-2/app/<app>/mon` | platform to application | [`Application::message`] |
//! | `iot-2/D/intf/<interface>/evt/state`, `iot-2/D/err/data` | platform to application | [`Application::message`] |
//! | `iotdevice-1/..`, of gateways `iotdevice-1/D/..` | managed device to platform | [`management`] |
//! | `iotdm-1/..`, to gateways `iotdm-1/D/..` | platform to managed device | [`MANAGED`], [`management`] |
//!
//! What an application subscribes to is made by [`Filter`], with a wildcard for each level that is left open. Left out are
//! the topics of things, `iot-2/thing/type/<type>/id/<thing>/..`, by which an application is told of the state and the
//! errors of what the platform composes of several devices: an application that wants them writes the filters itself, and
//! [`Application::message`] gives them back as unknown.
//!
//! # Limits
//!
//! | what | limit | what happens |
//! | --- | --- | --- |
//! | payload | 131,072 bytes ([`MAX_PAYLOAD`]) | refused here with [`TooLong`](crate::codec::EncodeError::TooLong) |
//! | names of types, devices, applications | 36 of `A-Z a-z 0-9 - _ .` | others refused here with [`IdError`] |
//! | names of events, commands, formats | one level of a topic | others refused here with [`InvalidValue`](crate::codec::EncodeError::InvalidValue) |
//! | unacknowledged messages | 10 each way | set in the options |
//! | quickstart | QoS 0 only, no commands, management or session; more than one message a second may be dropped | nothing else can be said here, but the rate is the application's business |
//! | rate of a device | 5 messages or 20 KB a second in the Lite plan, 10 messages in others; 1 or 2 to the device | the application's business |
//! | subscriptions | 50 | two or three here |
//! | messages kept for a lasting session | 48 hours to 7 days; 50 or 5,000 of them, the documents disagree | - |
//! | keep-alive of shared applications | 1 to 3,600 s | 60 s in the options |
//!
//! # Traps
//!
//! - **A payload above the limit closes the connection**, and would do so again each time it is redelivered. It never
//!   gets into the transmit buffer.
//! - **Two clients with one identifier** throw each other out for ever ([`CloseCode::CLIENT_ID_REUSED`]). The back-off
//!   of the options slows that down; the cure is another identifier.
//! - **Requests of yesterday.** With a lasting session the platform delivers a reboot or an update that it has reported
//!   as failed long ago. The options ask for a clean session; and what was
//!   [accepted](management::ManagedDevice::accept) once is not done again.
//! - **The retain flag is ignored**, so there is none here. Who is there, the platform itself tells applications by a
//!   [`Status`].
//! - **QoS 2.** An old document allows 0 and 1 only; the platform takes 2 as well. Device management is QoS 1.
//! - **Formats.** The official Python client stops receiving at a command whose format it does not know. Here any
//!   command is delivered, as bytes; `json` in the topic is believed when [`Content::json`] has parsed it.
//! - **`cleanStart` of the official Python client is inverted.** `clean_session` means here what it says.
//! - **An empty level** in a topic of the platform makes it none of ours: the message is given back as unknown.

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
