//! PlaceOS.
//!
//! PlaceOS publishes what its modules report, and a device follows it: a dashboard, a door sign. There are no commands.
//! A bridge with the rights to do so may publish in the same form.
//!
//! ```
//! use mqtt_core::{codec::{QoS, Subscription}, platform::place_os::{self, Level, StateFilter, Token, WithRegion}};
//!
//! # let message = (
//! #     "placeos/zone-org/state/_/zone-bld/zone-lvl/_/sys-abc/driver-xyz/Display/1/power",
//! #     &br#"{"time":1700000000,"value":true}"#[..],
//! # );
//! let zones = WithRegion { building: Level::Is("zone-bld"), ..WithRegion::ANY };
//! let filter = StateFilter { scope: Level::Is("zone-org"), module: Level::Is("Display"), ..StateFilter::all(zones) };
//! let mut memory = [0; 128];
//! let subscriptions = [Subscription::new(filter.write(&mut memory)?, QoS::AtMostOnce)];
//! let options = place_os::options("dashboard-1", Token::new("hhhh.pppp.ssss")?).subscriptions(&subscriptions);
//!
//! if let Some(state) = place_os::read_state::<WithRegion<_>>(message)? {
//!     match state.value {
//!         Some(value) if state.topic.key == "power" => assert!(value.to::<bool>()?),
//!         Some(_) => {} // another key
//!         None => {}    // the key is gone
//!     }
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Topics
//!
//! | topic | payload | here |
//! | --- | --- | --- |
//! | `placeos/<scope>/state/<zones..>/<system>/<driver>/<module>/<index>/<key>` | `{"time":..,"value":..}`, retained; empty when the key is removed | [`read_state`], [`StateTopic`], [`StateFilter`] |
//! | `placeos/<scope tag>/metadata/<id>` | `{"time":..,"value":{model}}`, retained; `null` when the model is deleted | [`read_metadata`], [`MetadataTopic`] |
//!
//! The zones are those of the deployment's hierarchy after its first entry, which is the scope: region, building, level
//! and area by default ([`WithRegion`]), without the region in older ones ([`WithoutRegion`]), or any other number
//! ([`OtherZones`]). A zone that is missing is `_` in the topic, `None` here.
//!
//! # Connection
//!
//! WebSocket in TLS at [`PATH`] with the subprotocol [`SUBPROTOCOL`]. The broker looks at the user name only and wants a
//! password: [`options`] sends the token as both, so the transmit buffer needs twice its length (a JWT has 500 to 2,000
//! bytes).
//!
//! # Limits
//!
//! | what | limit |
//! | --- | --- |
//! | publishing | needs support rights and the scope `mqtt` with write access; else the broker drops it silently |
//! | rate of updates | the newest value of each key every 40 ms; values between them are lost |
//! | metadata | only of zones directly below the scope, and of systems and drivers in them |
//!
//! # Traps
//!
//! - **Time is in seconds**, whatever older documents say. [`Value::time_ms`] takes numbers above 100,000,000,000 for
//!   milliseconds.
//! - **The region level** came in 2024, and the documented filters, with one level less, match nothing since. The number of
//!   levels is part of every type here.
//! - **Metadata is published under the word** `org` (the tag of the scope), not under the identifier of an organization, and
//!   wrapped as state is. [`read_metadata`] takes both forms.
//! - **An empty message** is a removed key, not a broken one.
//! - **All retained state arrives at once** after each subscription.
//! - **A key may hold `/`**: levels are counted from the left.
//! - **A token that has expired** keeps its link and fails at the next: the refusal is final, so renew the token before
//!   that and run again with new options.
//! - **Hashed values**: what looks personal may be replaced by 64 hexadecimal digits, in the middle of a value.

mod filter;
mod metadata;
mod publication;
mod state;
mod token;
mod zones;

use core::fmt;

use super::json::{JsonError, RawJson};
use crate::codec::{EncodeError, Writer};

pub use filter::{Level, StateFilter};
pub use metadata::{Metadata, MetadataTopic, read_metadata};
pub use publication::{Removal, Stamped};
pub use state::{State, StateTopic, read_state, zone_levels};
pub use token::{PATH, SUBPROTOCOL, Token, TokenError, TokenKind, options};
pub use zones::{OtherZones, WithRegion, WithoutRegion, Zones};

/// Why a message on a topic of PlaceOS was not understood. The link is not affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// A state topic with too few levels for the hierarchy, or with an empty one.
    Levels,
    /// The index of the module is not a number.
    ModuleIndex,
    /// The payload is not JSON, or has no `time` or `value`, or the time is not a number.
    Payload(JsonError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels => f.write_str("topic does not fit the hierarchy"),
            Self::ModuleIndex => f.write_str("module index is not a number"),
            Self::Payload(error) => write!(f, "payload: {error}"),
        }
    }
}

impl core::error::Error for ReadError {}

impl From<JsonError> for ReadError {
    fn from(error: JsonError) -> Self {
        Self::Payload(error)
    }
}

/// A value with its time, borrowed from the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<'m> {
    /// When it was so, in milliseconds since 1970 in UTC; to the second as the servers are today.
    pub time_ms: i64,
    /// Any JSON, also `null`.
    pub json: RawJson<'m>,
}

impl<'m> Value<'m> {
    /// The value as a type of the application.
    ///
    /// # Errors
    ///
    /// As [`RawJson::to`].
    pub fn to<T: serde::Deserialize<'m>>(&self) -> Result<T, JsonError> {
        self.json.to()
    }

    fn read(payload: &'m [u8]) -> Result<Self, JsonError> {
        Self::of(RawJson::parse(payload)?).ok_or(JsonError::Type)
    }

    /// `None` if time or value are missing.
    fn of(json: RawJson<'m>) -> Option<Self> {
        Some(Self {
            time_ms: time_ms(json.member("time")?)?,
            json: json.member("value")?,
        })
    }
}

/// Numbers above this are milliseconds: as seconds they lie beyond the year 5000.
const LATEST_S: i64 = 100_000_000_000;

fn time_ms(time: RawJson<'_>) -> Option<i64> {
    let time: i64 = time.integer()?;
    if time > LATEST_S {
        return Some(time);
    }
    time.checked_mul(1000)
}

const ROOT: &str = "placeos";
const STATE: &str = "state";
const METADATA: &str = "metadata";

/// What stands for a zone that is missing.
const MISSING: &str = "_";

/// Writes one level of a topic, with `/` before it.
fn write_level(topic: &mut Writer<'_>, level: &str) -> Result<(), EncodeError> {
    let is_legal = !level.is_empty() && !level.contains(['/', '+', '#', '\0']);
    if !is_legal {
        return Err(EncodeError::InvalidValue);
    }
    topic.bytes(b"/")?;
    topic.bytes(level.as_bytes())
}
