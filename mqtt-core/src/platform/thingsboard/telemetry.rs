//! Telemetry and the device's own attributes.

use serde::Serialize;

use crate::{
    codec::{EncodeError, Writer},
    json::{write_json, write_u64},
    platform::json::ObjectWriter,
};

use super::{
    Device,
    uplink::{Body, Uplink},
};

/// Values of one moment.
#[derive(Debug)]
pub struct Sample<'a, T: ?Sized> {
    /// Milliseconds since 1970 in UTC; `None` for the time at which the server receives it.
    pub ts_ms: Option<u64>,
    /// What serializes to an object: keys and values.
    pub values: &'a T,
}

impl<'a, T: ?Sized> Sample<'a, T> {
    /// Values of the time at which the server receives them.
    #[must_use]
    pub const fn now(values: &'a T) -> Self {
        Self {
            ts_ms: None,
            values,
        }
    }

    /// Values of the time `ts_ms`, in milliseconds since 1970 in UTC.
    #[must_use]
    pub const fn at(ts_ms: u64, values: &'a T) -> Self {
        Self {
            ts_ms: Some(ts_ms),
            values,
        }
    }
}

impl<T: ?Sized> Clone for Sample<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Sample<'_, T> {}

impl Device {
    /// Telemetry: `values` serializes to an object whose members are keys and values. The server adds its time.
    ///
    /// Refused with [`EncodeError::InvalidValue`] when published: what is not an object, and an object with a member
    /// `ts`, which the server would store under that name, or take for a time. Give times to
    /// [`telemetry_at`](Self::telemetry_at).
    pub const fn telemetry<'a, T: Serialize + ?Sized>(
        &self,
        values: &'a T,
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::new(self.topics.telemetry(), Telemetry(values))
    }

    /// Telemetry of the time `ts_ms`, in milliseconds since 1970 in UTC.
    pub const fn telemetry_at<'a, T: Serialize + ?Sized>(
        &self,
        ts_ms: u64,
        values: &'a T,
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::new(self.topics.telemetry(), TelemetryAt { ts_ms, values })
    }

    /// Telemetry of several moments in one message, with and without times.
    ///
    /// Refused with [`EncodeError::InvalidValue`] when published: no sample at all, and what
    /// [`telemetry`](Self::telemetry) refuses.
    pub const fn telemetry_batch<'a, T: Serialize>(
        &self,
        samples: &'a [Sample<'a, T>],
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::new(self.topics.telemetry(), Batch(samples))
    }

    /// The device's own ("client") attributes: `values` serializes to an object. The server stores what is in it and
    /// keeps the others.
    ///
    /// Refused with [`EncodeError::InvalidValue`] when published: what is not an object.
    pub const fn attributes<'a, T: Serialize + ?Sized>(
        &self,
        values: &'a T,
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::new(self.topics.attributes(), Attributes(values))
    }
}

struct Telemetry<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Body for Telemetry<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_values(payload, self.0)
    }
}

/// A type of its own, so that who sends no times does not link them.
struct TelemetryAt<'a, T: ?Sized> {
    ts_ms: u64,
    values: &'a T,
}

impl<T: Serialize + ?Sized> Body for TelemetryAt<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_values_at(payload, self.ts_ms, self.values)
    }
}

struct Batch<'a, T>(&'a [Sample<'a, T>]);

impl<T: Serialize> Body for Batch<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_samples(payload, self.0)
    }
}

struct Attributes<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Body for Attributes<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_object(payload, self.0, b"")
    }
}

/// Writes an array of samples.
pub(super) fn write_samples<T: Serialize>(
    payload: &mut Writer<'_>,
    samples: &[Sample<'_, T>],
) -> Result<(), EncodeError> {
    write_array(payload, samples, |payload, sample| match sample.ts_ms {
        Some(ts_ms) => write_values_at(payload, ts_ms, sample.values),
        None => write_values(payload, sample.values),
    })
}

/// Writes an array, which must not be empty.
pub(super) fn write_array<S>(
    payload: &mut Writer<'_>,
    samples: &[S],
    write: impl Fn(&mut Writer<'_>, &S) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    if samples.is_empty() {
        return Err(EncodeError::InvalidValue);
    }
    let mut before = b'[';
    for sample in samples {
        payload.u8(before)?;
        write(payload, sample)?;
        before = b',';
    }
    payload.u8(b']')
}

fn write_values<T: Serialize + ?Sized>(
    payload: &mut Writer<'_>,
    values: &T,
) -> Result<(), EncodeError> {
    write_object(payload, values, b"ts\"")
}

fn write_values_at<T: Serialize + ?Sized>(
    payload: &mut Writer<'_>,
    ts_ms: u64,
    values: &T,
) -> Result<(), EncodeError> {
    let mut object = ObjectWriter::new(payload)?;
    write_u64(object.name("ts")?, ts_ms)?;
    write_object(object.name("values")?, values, b"")?;
    object.end()
}

/// Writes what must be an object, without a member whose name begins with `forbidden` unless that is empty.
pub(super) fn write_object<T: Serialize + ?Sized>(
    payload: &mut Writer<'_>,
    value: &T,
    forbidden: &[u8],
) -> Result<(), EncodeError> {
    let spare = payload.spare();
    let len = {
        let mut inner = Writer::new(spare);
        write_json(&mut inner, value)?;
        inner.len()
    };
    check_object(payload.spare().get(..len).unwrap_or_default(), forbidden)?;
    payload.advance(len)
}

fn check_object(text: &[u8], forbidden: &[u8]) -> Result<(), EncodeError> {
    if text.first() != Some(&b'{') || (!forbidden.is_empty() && has_member(text, forbidden)) {
        return Err(EncodeError::InvalidValue);
    }
    Ok(())
}

/// Whether the name of a member of the object itself begins with `start`, in a text that is JSON.
fn has_member(object: &[u8], start: &[u8]) -> bool {
    let (mut rest, mut depth, mut in_string, mut before) = (object, 0_u32, false, 0);
    while let Some((&byte, tail)) = rest.split_first() {
        match byte {
            b'\\' => {
                rest = tail.get(1..).unwrap_or_default();
                continue;
            }
            b'"' => {
                let is_name = !in_string && depth == 1 && matches!(before, b'{' | b',');
                if is_name && tail.starts_with(start) {
                    return true;
                }
                in_string = !in_string;
            }
            _ if in_string => {}
            b'{' | b'[' => depth = depth.wrapping_add(1),
            b'}' | b']' => depth = depth.wrapping_sub(1),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
        rest = tail;
    }
    false
}
