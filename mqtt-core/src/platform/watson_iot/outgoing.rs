//! Events and commands to be published.

use core::fmt;

use serde::Serialize;

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
    write_json,
};

use super::{DeviceId, MAX_PAYLOAD};

/// An event or a command without its payload, at QoS 0 unless told otherwise.
///
/// The name is one level of a topic: not empty, without `/`, `+`, `#` and U+0000. It is checked when it is published; a
/// bad one is refused with [`EncodeError::InvalidValue`].
#[derive(Clone, Copy, PartialEq, Debug)]
#[must_use = "add a payload and publish it"]
pub struct Draft<'a> {
    address: Address<'a>,
    /// `/evt/` or `/cmd/`.
    kind: &'static str,
    name: &'a str,
    qos: QoS,
}

/// In whose name an event is published, or to whom a command goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Address<'a> {
    /// The device that is connected.
    Own,
    Device(DeviceId<'a>),
}

impl<'a> Draft<'a> {
    pub(super) const fn event(address: Address<'a>, name: &'a str) -> Self {
        Self::new(address, "/evt/", name)
    }

    pub(super) const fn command(device: DeviceId<'a>, name: &'a str) -> Self {
        Self::new(Address::Device(device), "/cmd/", name)
    }

    const fn new(address: Address<'a>, kind: &'static str, name: &'a str) -> Self {
        Self {
            address,
            kind,
            name,
            qos: QoS::AtMostOnce,
        }
    }

    /// With the quality of service `qos`.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// At QoS 1.
    pub const fn at_least_once(self) -> Self {
        self.qos(QoS::AtLeastOnce)
    }

    /// With `value` as JSON, in the format `json`.
    pub const fn json<T: Serialize + ?Sized>(self, value: &'a T) -> Outgoing<'a, Json<'a, T>> {
        Outgoing(self, Json(value))
    }

    /// With `{"d":value}` in the format `json`, the convention that the platform's dashboards read.
    pub const fn json_in_d<T: Serialize + ?Sized>(
        self,
        value: &'a T,
    ) -> Outgoing<'a, JsonInD<'a, T>> {
        Outgoing(self, JsonInD(value))
    }

    /// With `bytes` in any format. The name of the format is checked like that of the event.
    pub const fn bytes(self, format: &'a str, bytes: &'a [u8]) -> Outgoing<'a, Bytes<'a>> {
        Outgoing(self, Bytes { format, bytes })
    }

    /// With a payload in any format that `write` writes in place.
    pub const fn written_by<F>(self, format: &'a str, write: F) -> Outgoing<'a, WrittenBy<'a, F>>
    where
        F: Fn(&mut Writer<'_>) -> Result<(), EncodeError>,
    {
        Outgoing(self, WrittenBy { format, write })
    }
}

/// An event of a quickstart device, without its payload; always at QoS 0.
#[derive(Clone, Copy, PartialEq, Debug)]
#[must_use = "add a payload and publish it"]
pub struct QuickstartDraft<'a>(Draft<'a>);

impl<'a> QuickstartDraft<'a> {
    pub(super) const fn new(name: &'a str) -> Self {
        Self(Draft::event(Address::Own, name))
    }

    /// As [`Draft::json`].
    pub const fn json<T: Serialize + ?Sized>(self, value: &'a T) -> Outgoing<'a, Json<'a, T>> {
        self.0.json(value)
    }

    /// As [`Draft::json_in_d`], what the page of quickstart shows.
    pub const fn json_in_d<T: Serialize + ?Sized>(
        self,
        value: &'a T,
    ) -> Outgoing<'a, JsonInD<'a, T>> {
        self.0.json_in_d(value)
    }

    /// As [`Draft::bytes`].
    pub const fn bytes(self, format: &'a str, bytes: &'a [u8]) -> Outgoing<'a, Bytes<'a>> {
        self.0.bytes(format, bytes)
    }
}

/// An event or a command, ready to be published.
///
/// A payload above [`MAX_PAYLOAD`] is refused with [`EncodeError::TooLong`]: the platform would close the connection.
#[derive(Clone, Copy, PartialEq, Debug)]
#[must_use = "publish it"]
pub struct Outgoing<'a, B>(Draft<'a>, B);

impl<B: Body> Publication for Outgoing<'_, B> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_topic(&self.0, self.1.format(), topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        limited(payload, |payload| self.1.write(payload))
    }

    fn payload_len(&self) -> Option<usize> {
        self.1.known_len()
    }

    fn qos(&self) -> QoS {
        self.0.qos
    }
}

/// The payload of an event or a command, and what its format is called.
pub trait Body {
    /// The name of the format: one level of a topic, as the name of an [`Draft`].
    fn format(&self) -> &str;

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// Those of [`Writer`].
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// The length of the payload in bytes, when it is known before it is written.
    fn known_len(&self) -> Option<usize> {
        None
    }
}

/// A value as JSON.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Json<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Body for Json<'_, T> {
    fn format(&self) -> &'static str {
        "json"
    }

    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_json(payload, self.0)
    }
}

/// A value as member `d` of a JSON object.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct JsonInD<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Body for JsonInD<'_, T> {
    fn format(&self) -> &'static str {
        "json"
    }

    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(b"{\"d\":")?;
        write_json(payload, self.0)?;
        payload.bytes(b"}")
    }
}

/// Bytes in a format of the user's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bytes<'a> {
    format: &'a str,
    bytes: &'a [u8],
}

impl Body for Bytes<'_> {
    fn format(&self) -> &str {
        self.format
    }

    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(self.bytes)
    }

    fn known_len(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// What a closure writes, in a format of the user's.
#[derive(Clone, Copy)]
pub struct WrittenBy<'a, F> {
    format: &'a str,
    write: F,
}

impl<F> Body for WrittenBy<'_, F>
where
    F: Fn(&mut Writer<'_>) -> Result<(), EncodeError>,
{
    fn format(&self) -> &str {
        self.format
    }

    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        (self.write)(payload)
    }
}

impl<F> fmt::Debug for WrittenBy<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrittenBy")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

fn write_topic(event: &Draft<'_>, format: &str, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
    topic.bytes(b"iot-2")?;
    if let Address::Device(device) = event.address {
        write_device(device, topic)?;
    }
    topic.bytes(event.kind.as_bytes())?;
    write_level(event.name, topic)?;
    topic.bytes(b"/fmt/")?;
    write_level(format, topic)
}

/// Writes a payload, and refuses one that the platform would not take.
pub(super) fn limited<'b>(
    payload: &mut Writer<'b>,
    write: impl FnOnce(&mut Writer<'b>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let before = payload.len();
    write(payload)?;
    if payload.len().saturating_sub(before) > MAX_PAYLOAD {
        return Err(EncodeError::TooLong);
    }
    Ok(())
}

/// `/type/T/id/I`
pub(super) fn write_device(
    device: DeviceId<'_>,
    topic: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    topic.bytes(b"/type/")?;
    topic.bytes(device.type_id().as_bytes())?;
    topic.bytes(b"/id/")?;
    topic.bytes(device.device_id().as_bytes())
}

/// Writes one level, if it is one.
pub(super) fn write_level(level: &str, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
    if level.is_empty()
        || level
            .bytes()
            .any(|byte| matches!(byte, b'/' | b'+' | b'#' | 0))
    {
        return Err(EncodeError::InvalidValue);
    }
    topic.bytes(level.as_bytes())
}
