//! Requests of the device to the server.

use serde::Serialize;

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
    platform::json::{JsonStr, ObjectWriter},
    write_json,
};

use super::{super::outgoing::limited, Target, UpdateStatus};

/// The name of a request of the device, by which its response is found: 8 hexadecimal digits that differ after each
/// start, a hyphen, and 8 that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestId {
    /// Differs after each start of the device.
    pub start: u32,
    /// Differs for each request.
    pub count: u32,
}

const DIGITS: usize = 8;

impl RequestId {
    pub(super) fn write(self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.bytes(b"\"")?;
        write_hexadecimal(self.start, writer)?;
        writer.bytes(b"-")?;
        write_hexadecimal(self.count, writer)?;
        writer.bytes(b"\"")
    }

    /// Reads what [`write`](Self::write) wrote; `None` for any other text.
    pub(super) fn read(text: JsonStr<'_>) -> Option<Self> {
        let (start, rest) = text.raw().split_first_chunk::<DIGITS>()?;
        let (b"-", count) = rest.split_first_chunk::<1>()? else {
            return None;
        };
        Some(Self {
            start: read_hexadecimal(*start)?,
            count: read_hexadecimal(count.try_into().ok()?)?,
        })
    }
}

fn write_hexadecimal(value: u32, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
    let mut rest = value;
    for _ in 0..DIGITS {
        rest = rest.rotate_left(4);
        let digit = char::from_digit(rest & 0xf, 16).unwrap_or('0');
        writer.bytes(&[digit as u8])?;
    }
    Ok(())
}

fn read_hexadecimal(digits: [u8; DIGITS]) -> Option<u32> {
    digits.into_iter().try_fold(0, |value: u32, digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

/// What the device asks of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestKind {
    /// To be managed.
    Manage,
    /// No longer to be managed.
    Unmanage,
    /// To take over the location.
    Location,
    /// To keep an error code.
    AddErrorCode,
    /// To forget all error codes.
    ClearErrorCodes,
    /// To keep a log entry.
    AddLog,
    /// To forget all log entries.
    ClearLog,
    /// To take over attributes that it observes.
    Notify,
}

impl RequestKind {
    const fn topic(self) -> &'static str {
        match self {
            Self::Manage => "mgmt/manage",
            Self::Unmanage => "mgmt/unmanage",
            Self::Location => "device/update/location",
            Self::AddErrorCode => "add/diag/errorCodes",
            Self::ClearErrorCodes => "clear/diag/errorCodes",
            Self::AddLog => "add/diag/log",
            Self::ClearLog => "clear/diag/log",
            Self::Notify => "notify",
        }
    }

    const fn has_data(self) -> bool {
        !matches!(
            self,
            Self::Unmanage | Self::ClearErrorCodes | Self::ClearLog
        )
    }
}

/// A request of the device, at QoS 1.
///
/// [`ManagedDevice::request`](super::ManagedDevice::request) makes one whose response is waited for. One made by
/// [`new`](Self::new) has no `reqId`, so the server does not answer it.
#[derive(Clone, Copy, Debug)]
#[must_use = "publish it"]
pub struct Request<'a, B> {
    target: Target<'a>,
    id: Option<RequestId>,
    body: &'a B,
}

impl<'a, B: RequestBody> Request<'a, B> {
    /// A request that is not answered.
    pub const fn new(target: Target<'a>, body: &'a B) -> Self {
        Self {
            target,
            id: None,
            body,
        }
    }

    /// With a name, so that it is answered.
    pub const fn id(mut self, id: RequestId) -> Self {
        self.id = Some(id);
        self
    }

    /// Its name, if it has one.
    #[must_use]
    pub const fn request_id(&self) -> Option<RequestId> {
        self.id
    }
}

impl<B: RequestBody> Publication for Request<'_, B> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.target.write_topic(B::KIND.topic(), topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        limited(payload, |payload| self.write(payload))
    }

    fn qos(&self) -> QoS {
        QoS::AtLeastOnce
    }
}

impl<B: RequestBody> Request<'_, B> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut request = ObjectWriter::new(payload)?;
        if B::KIND.has_data() {
            self.body.write_data(request.name("d")?)?;
        }
        if let Some(id) = self.id {
            id.write(request.name("reqId")?)?;
        }
        request.end()
    }
}

/// What a request says. The types of this module implement it; an application may have types of its own.
pub trait RequestBody {
    /// What is asked; decides on the topic.
    const KIND: RequestKind;

    /// Writes the value of `d`, an object. Not called where the [`KIND`](Self::KIND) has none.
    ///
    /// # Errors
    ///
    /// Those of [`Writer`].
    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"{}")
    }

    /// The attributes that a [`RequestKind::Notify`] tells of.
    fn attributes(&self) -> &[Attribute<'_>] {
        &[]
    }
}

/// No longer to be managed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unmanage;

impl RequestBody for Unmanage {
    const KIND: RequestKind = RequestKind::Unmanage;
}

/// Where the device is. `N` is any type that `serde` writes as a number. What is `None` is erased on the server.
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Location<'a, N> {
    /// Degrees, east is positive: -180 to 180. The server refuses others with 400.
    pub longitude: N,
    /// Degrees, north is positive: -90 to 90. The server refuses others with 400.
    pub latitude: N,
    /// Meters.
    pub elevation: Option<N>,
    /// Meters.
    pub accuracy: Option<N>,
    /// When it was measured, in ISO 8601.
    pub measured_date_time: Option<&'a str>,
    /// When it was last known to be so, in ISO 8601.
    pub updated_date_time: Option<&'a str>,
}

impl<N> Location<'_, N> {
    /// A location of which nothing else is known.
    pub const fn new(longitude: N, latitude: N) -> Self {
        Self {
            longitude,
            latitude,
            elevation: None,
            accuracy: None,
            measured_date_time: None,
            updated_date_time: None,
        }
    }
}

impl<N: Serialize> RequestBody for Location<'_, N> {
    const KIND: RequestKind = RequestKind::Location;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut data = ObjectWriter::new(data)?;
        data.member("longitude", &self.longitude)?;
        data.member("latitude", &self.latitude)?;
        if let Some(elevation) = &self.elevation {
            data.member("elevation", elevation)?;
        }
        if let Some(accuracy) = &self.accuracy {
            data.member("accuracy", accuracy)?;
        }
        data.text("measuredDateTime", self.measured_date_time)?;
        data.text("updatedDateTime", self.updated_date_time)?;
        data.end()
    }
}

/// An error code to be kept by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ErrorCode(
    /// The device's own number; 0 conventionally says that there is no error.
    pub i32,
);

impl RequestBody for ErrorCode {
    const KIND: RequestKind = RequestKind::AddErrorCode;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut data = ObjectWriter::new(data)?;
        data.member("errorCode", &self.0)?;
        data.end()
    }
}

/// Forget all error codes of the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClearErrorCodes;

impl RequestBody for ClearErrorCodes {
    const KIND: RequestKind = RequestKind::ClearErrorCodes;
}

/// An entry of the log that the server keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LogEntry<'a> {
    /// What happened.
    pub message: &'a str,
    /// When, in ISO 8601.
    pub timestamp: &'a str,
    /// Any bytes; sent as Base64. Left out if empty.
    pub data: &'a [u8],
    /// How bad it is.
    pub severity: Severity,
}

/// How bad a log entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Severity {
    /// Good to know.
    #[default]
    Information = 0,
    /// Something may go wrong.
    Warning = 1,
    /// Something went wrong.
    Error = 2,
}

impl RequestBody for LogEntry<'_> {
    const KIND: RequestKind = RequestKind::AddLog;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut data = ObjectWriter::new(data)?;
        data.member("message", self.message)?;
        data.member("timestamp", self.timestamp)?;
        if !self.data.is_empty() {
            write_base64(self.data, data.name("data")?)?;
        }
        data.member("severity", &(self.severity as u8))?;
        data.end()
    }
}

/// Forget all log entries of the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClearLog;

impl RequestBody for ClearLog {
    const KIND: RequestKind = RequestKind::ClearLog;
}

/// New values of attributes that the server observes. What changed together belongs into one.
#[derive(Clone, Copy, Debug)]
pub struct Notify<'a>(
    /// The attributes.
    pub &'a [Attribute<'a>],
);

impl RequestBody for Notify<'_> {
    const KIND: RequestKind = RequestKind::Notify;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut data = ObjectWriter::new(data)?;
        let fields = data.name("fields")?;
        let mut separator: &[u8] = b"[";
        for attribute in self.0 {
            fields.bytes(separator)?;
            let mut field = ObjectWriter::new(fields)?;
            field.member("field", attribute.name)?;
            attribute.value.write_json(field.name("value")?)?;
            field.end()?;
            separator = b",";
        }
        if self.0.is_empty() {
            fields.bytes(separator)?;
        }
        fields.bytes(b"]")?;
        data.end()
    }

    fn attributes(&self) -> &[Attribute<'_>] {
        self.0
    }
}

/// An attribute of the device: `location` for instance, or one of the application's own.
#[derive(Clone, Copy)]
pub struct Attribute<'a> {
    /// The name, the server's `field`.
    pub name: &'a str,
    /// The value.
    pub value: &'a (dyn JsonValue + Sync),
}

impl core::fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Attribute")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Anything that `serde` can write as JSON.
pub trait JsonValue {
    /// Writes the value.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if it does not fit, [`EncodeError::InvalidValue`] if it cannot be written as JSON.
    fn write_json(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError>;
}

impl<T: Serialize> JsonValue for T {
    fn write_json(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_json(writer, self)
    }
}

/// What changed of `mgmt.firmware`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FirmwareNotify {
    pub(super) state: super::FirmwareState,
    pub(super) update_status: Option<UpdateStatus>,
}

impl RequestBody for FirmwareNotify {
    const KIND: RequestKind = RequestKind::Notify;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"{\"fields\":[{\"field\":\"mgmt.firmware\",\"value\":")?;
        self.write_value(data)?;
        data.bytes(b"}]}")
    }
}

impl FirmwareNotify {
    pub(super) fn write_value(self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut value = ObjectWriter::new(writer)?;
        value.member("state", &(self.state as u8))?;
        if let Some(status) = self.update_status {
            value.member("updateStatus", &(status as u8))?;
        }
        value.end()
    }
}

/// Writes `data` as a JSON string in Base64 (RFC 4648 §4), which needs no escapes.
fn write_base64(data: &[u8], writer: &mut Writer<'_>) -> Result<(), EncodeError> {
    writer.bytes(b"\"")?;
    for chunk in data.chunks(3) {
        let byte = |at: usize| chunk.get(at).copied().unwrap_or_default();
        let bits = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
        let mut text = [18, 12, 6, 0].map(|shift| base64_digit(bits >> shift));
        // One digit more than bytes says something.
        text.iter_mut()
            .skip(chunk.len().saturating_add(1))
            .for_each(|digit| *digit = b'=');
        writer.bytes(&text)?;
    }
    writer.bytes(b"\"")
}

fn base64_digit(bits: u32) -> u8 {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let index = (bits & 63) as usize;
    ALPHABET.get(index).copied().unwrap_or_default()
}
