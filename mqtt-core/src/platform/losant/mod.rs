//! Losant.
//!
//! ```
//! use mqtt_core::platform::{Decimal, losant};
//!
//! #[derive(serde::Serialize)]
//! struct Reading { temperature: Decimal<1> }
//!
//! #[derive(serde::Deserialize)]
//! struct SetTemperature { temperature: i16 }
//!
//! # fn publish(_: &impl mqtt_core::Publication) {}
//! # let message = ("losant/575ecf887ae143cd83dc4aa2/command", &br#"{"name":"reboot"}"#[..]);
//! let device = losant::Device::new("575ecf887ae143cd83dc4aa2")?;
//! let subscriptions = [device.command_subscription()];
//! let options = device.options("access-key", "access-secret").subscriptions(&subscriptions);
//!
//! publish(&device.state(&Reading { temperature: Decimal::new(725) }).at_least_once());
//!
//! match device.command(message)? {
//!     Some(command) if command.name == "set-temperature" => {
//!         let SetTemperature { temperature } = command.payload()?;
//!     }
//!     _ => {} // another command, or no command
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Topics
//!
//! | topic | direction | here |
//! | --- | --- | --- |
//! | `losant/<device id>/state` | to the server | [`Device::state`], [`Device::states`] |
//! | `losant/<device id>/command` | to the device | [`Device::command_subscription`], [`Device::command`] |
//! | the same with the id of a peripheral | its gateway | a [`Device`] for each peripheral; [`read_command`] for any of them |
//! | any that does not begin with `losant/` | both | [`CustomMessage`] |
//!
//! A gateway makes a [`Device`] for itself, which gives the options, and one for each peripheral; all publish over the
//! gateway's link. Topics of the edge agents (`toAgent`, `fromAgent`) are no concern of a device.
//!
//! # Limits
//!
//! | what | limit | what happens |
//! | --- | --- | --- |
//! | payload | 256 KiB ([`MAX_PAYLOAD`]) | refused here |
//! | value of a string attribute | 64 KiB | refused here |
//! | names of attributes | letters, digits, `-`, `_`; declared on the platform before | others refused here; what is not declared is dropped by the server |
//! | messages | 30 in 15 s for each topic, 300 in 15 s for each link | [`RateLimiter`] |
//! | QoS | 0 and 1 to publish, 0 to subscribe | nothing else can be said here |
//! | session, retained messages | none | nothing else can be said here |
//!
//! # Traps
//!
//! - **The ban.** Who exceeds the rates is disconnected and banned for 30 s, offenders for up to an hour.
//!   [`Device::options`] never connects again within 30 s, and backs off up to an hour; [`RateLimiter`] keeps a backlog
//!   from being flushed at once.
//! - **Wrong credentials.** The refusal of a key is final, see [`Reconnect::enabled`]; some clients ask again every second.
//! - **No session.** The server forgets subscriptions and messages with the link. The session subscribes again, and sends
//!   again what was not acknowledged.
//! - **QoS of commands.** Older documents forbid only QoS 2, newer ones allow to subscribe at QoS 0 only; QoS 0 it is.
//! - **Bad reports vanish.** No error comes back for an unknown attribute, nor for a time more than 30 days ago or a day
//!   ahead. Seconds and milliseconds are told apart by an undocumented rule: prefer [`Millis`].
//! - **The documents' first example** has a comma too many, their example for GGA shows GLL, and their gateway leaves
//!   out `/state`: none of these is followed.
//! - **Arrays of reports** are documented for HTTP only; one of Losant's own clients sends its backlog so over MQTT. Try it
//!   with your application before you rely on [`Device::states`].
//! - **Dates in commands** come as `{"$date":..}` with a string or a number; [`Date`] takes both.
//!
//! [`Reconnect::enabled`]: crate::session::Reconnect::enabled

mod command;
mod custom;
mod data;
mod date;
mod gps;
mod limiter;
mod state;
mod time;

use core::fmt;

use serde::Serialize;

use super::{ApplicationMessage, json::JsonError};
use crate::{
    codec::{QoS, Subscription, TopicFilter},
    session::Options,
};

pub use command::{Command, read_command};
pub use custom::CustomMessage;
pub use date::Date;
pub use gps::{NmeaSentence, Position, SexagesimalPosition};
pub use limiter::{RateLimiter, TooFast};
pub use state::{Report, State, States};
pub use time::{Ago, DateText, IsoDate, Millis, Now, Seconds, StateTime};

/// The host name of the service.
pub const HOST: &str = "broker.losant.com";

/// The longest payload in bytes.
pub const MAX_PAYLOAD: usize = 262_144;

/// The longest identifier of a device that is taken here; those of the service have 24 characters.
const MAX_ID: usize = 32;

const TOPIC_START: &[u8] = b"losant/";
const COMMAND_END: &[u8] = b"/command";
const FILTER_LEN: usize = TOPIC_START.len() + MAX_ID + COMMAND_END.len();

/// The ways to the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// TCP without encryption.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket without encryption.
    WebSocket,
    /// WebSocket in TLS.
    SecureWebSocket,
}

impl Transport {
    /// The port of the service.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
            Self::WebSocket => 80,
            Self::SecureWebSocket => 443,
        }
    }

    /// The URL of the service. The path of the WebSocket is `/`.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Tcp => "mqtt://broker.losant.com:1883",
            Self::Tls => "mqtts://broker.losant.com:8883",
            Self::WebSocket => "ws://broker.losant.com:80/",
            Self::SecureWebSocket => "wss://broker.losant.com:443/",
        }
    }
}

/// A device: standalone, gateway or peripheral.
///
/// Takes 64 bytes; made in a `const` or `static` it takes no code.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    id: &'a str,
    /// The topic of its commands, which the subscription borrows.
    filter: [u8; FILTER_LEN],
}

/// Why a text is no identifier of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DeviceIdError {
    /// It is empty, or longer than 32 bytes.
    Length,
    /// It holds something else than letters, digits, `-` and `_`.
    Character,
}

impl fmt::Display for DeviceIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "device id empty or too long",
            Self::Character => "bad character in device id",
        })
    }
}

impl core::error::Error for DeviceIdError {}

impl<'a> Device<'a> {
    /// The device with this identifier, as the platform shows it (24 hexadecimal digits).
    ///
    /// # Errors
    ///
    /// [`DeviceIdError`] if it cannot be one.
    pub const fn new(id: &'a str) -> Result<Self, DeviceIdError> {
        if id.is_empty() || id.len() > MAX_ID {
            return Err(DeviceIdError::Length);
        }
        if !is_id(id.as_bytes()) {
            return Err(DeviceIdError::Character);
        }
        let mut filter = [0; FILTER_LEN];
        let rest = append(&mut filter, TOPIC_START);
        let rest = append(rest, id.as_bytes());
        append(rest, COMMAND_END);
        Ok(Self { id, filter })
    }

    /// How to connect as this device, with an access key and its secret; of a gateway, not of a peripheral.
    ///
    /// Clean session, client identifier as the platform wants it, and a back-off of 30 s to an hour because of the ban.
    /// Keep-alive, the will and the rest may be changed; the subscriptions are to be added.
    #[must_use]
    pub const fn options(&self, access_key: &'a str, access_secret: &'a str) -> Options<'a> {
        let mut options = Options::new(self.id).credentials(access_key, access_secret.as_bytes());
        // Only QoS 0 comes in.
        options.receive_maximum = 1;
        options.reconnect.initial_ms = BAN_MS;
        options.reconnect.floor_ms = BAN_MS;
        options.reconnect.max_ms = LONGEST_BAN_MS;
        options
    }

    /// What to subscribe for the commands to this device: at QoS 0, all that Losant offers.
    #[must_use]
    pub const fn command_subscription(&self) -> Subscription<'_> {
        Subscription::new(
            TopicFilter::from_checked(self.command_topic()),
            QoS::AtMostOnce,
        )
    }

    /// Reports `data`, an object with a member for each attribute. At QoS 0, unless it is changed.
    pub const fn state<'s, T: Serialize>(&'s self, data: &'s T) -> State<'s, T> {
        State::new(self.id, data)
    }

    /// Reports several states in one message. At QoS 0, unless it is changed.
    ///
    /// Workflows run for each of them. See the traps of [this module](self).
    pub const fn states<'s, T: Serialize, W: StateTime>(
        &'s self,
        reports: &'s [Report<'s, T, W>],
    ) -> States<'s, T, W> {
        States::new(self.id, reports)
    }

    /// Reads a command to this device; `None` if the topic is another one.
    ///
    /// # Errors
    ///
    /// The payload is not JSON, or [`JsonError::Type`]: no object with a string `name`.
    pub fn command<'m>(
        &self,
        message: impl ApplicationMessage<'m>,
    ) -> Result<Option<Command<'m>>, JsonError> {
        let (topic, payload) = message.topic_and_payload();
        if topic != self.command_topic() {
            return Ok(None);
        }
        Command::read(payload).map(Some)
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    const fn command_topic(&self) -> &[u8] {
        let len = TOPIC_START
            .len()
            .saturating_add(self.id.len())
            .saturating_add(COMMAND_END.len());
        match self.filter.split_at_checked(len) {
            Some((topic, _)) => topic,
            None => &self.filter,
        }
    }
}

impl fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.id).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Device<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Device({=str})", self.id);
    }
}

/// The shortest ban.
const BAN_MS: u32 = 30_000;

const LONGEST_BAN_MS: u32 = 3_600_000;

/// Letters, digits, `-` and `_`, so that it is one level of a topic.
const fn is_id(id: &[u8]) -> bool {
    let mut rest = id;
    while let Some((&byte, tail)) = rest.split_first() {
        if !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_' {
            return false;
        }
        rest = tail;
    }
    true
}

/// Copies `bytes` to the start of `place`, and returns what is left of it.
const fn append<'p>(place: &'p mut [u8], bytes: &[u8]) -> &'p mut [u8] {
    match place.split_at_mut_checked(bytes.len()) {
        Some((head, rest)) => {
            head.copy_from_slice(bytes);
            rest
        }
        None => &mut [],
    }
}
