//! The forms in which Losant takes the time of a report.

use crate::{
    codec::{EncodeError, Writer},
    json::{write_i32, write_json, write_u64},
};

/// When a report's data was so. Without it, the server takes the time at which it receives the report.
///
/// The server drops what is older than 30 days or more than a day ahead, and says nothing. A second report for the
/// same millisecond overwrites the attributes of the first. In an `Option`, `None` is [`Now`].
pub trait StateTime: Member {}

/// The time at which the server receives the report: no `time` is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Now;

/// Milliseconds since 1970 in UTC. The form to prefer, where the device has a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Millis(
    /// The milliseconds.
    pub u64,
);

/// Seconds since 1970 in UTC.
///
/// Where the server takes a number for seconds and where for milliseconds is not documented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Seconds(
    /// The seconds.
    pub u32,
);

/// This many milliseconds before the server receives the report: for a device without a clock.
///
/// Sent as a negative number; 0 is [`Now`]. What waits in the device, because there is no link, gets younger by the
/// wait: then report with [`Millis`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ago(
    /// The milliseconds, at most 2^31 - 1 (24.8 days).
    pub u32,
);

/// An ISO 8601 date with time, `2016-11-04T19:42:06.710Z`, sent as `{"$date":".."}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IsoDate<'a>(
    /// The text. The server takes its own time, if it cannot read it.
    pub &'a str,
);

/// Any text that `Date.parse` of JavaScript understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DateText<'a>(
    /// The text. The server takes its own time, if it cannot read it.
    pub &'a str,
);

pub(super) mod sealed {
    use crate::codec::{EncodeError, Writer};

    #[allow(unnameable_types, reason = "sealed")]
    pub trait Member {
        /// Writes the member with the comma before it, or nothing.
        fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError>;
    }
}

use sealed::Member;

impl StateTime for Now {}
impl StateTime for Millis {}
impl StateTime for Seconds {}
impl StateTime for Ago {}
impl StateTime for IsoDate<'_> {}
impl StateTime for DateText<'_> {}
impl<W: StateTime> StateTime for Option<W> {}

const NAME: &[u8] = br#","time":"#;

impl Member for Now {
    fn write_member(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl Member for Millis {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(NAME)?;
        write_u64(payload, self.0)
    }
}

impl Member for Seconds {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(NAME)?;
        write_u64(payload, u64::from(self.0))
    }
}

impl Member for Ago {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        if self.0 == 0 {
            return Ok(());
        }
        let millis = i32::try_from(self.0).map_err(|_| EncodeError::InvalidValue)?;
        payload.bytes(NAME)?;
        write_i32(payload, millis.saturating_neg(), 0)
    }
}

impl Member for IsoDate<'_> {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(NAME)?;
        payload.bytes(br#"{"$date":"#)?;
        write_json(payload, self.0)?;
        payload.bytes(b"}")
    }
}

impl Member for DateText<'_> {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(NAME)?;
        write_json(payload, self.0)
    }
}

impl<W: StateTime> Member for Option<W> {
    fn write_member(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.as_ref()
            .map_or(Ok(()), |time| time.write_member(payload))
    }
}
