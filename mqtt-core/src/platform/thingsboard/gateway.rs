//! The gateway API: a device that speaks for others.
//!
//! The device must be marked as gateway on the server, otherwise all of this is ignored without an acknowledgement. Any
//! message for a device that the server does not know creates it.
//!
//! All messages go at QoS 1: the server answers QoS 0 on these topics with a PUBACK for identifier 65,535.

use serde::Serialize;

use crate::{
    codec::{EncodeError, Subscription, Writer},
    json::write_u64,
    platform::ApplicationMessage,
    platform::json::{JsonStr, ObjectWriter, RawJson},
};

use super::{
    AttributeUpdate, BadPayload, Claim, RpcRequest, Sample,
    attributes::update,
    downlink::object,
    rpc::call,
    telemetry::{write_array, write_object, write_samples},
    topics::subscription,
    uplink::{Body, Uplink},
};

const CONNECT: &str = "v1/gateway/connect";
const DISCONNECT: &str = "v1/gateway/disconnect";
const TELEMETRY: &str = "v1/gateway/telemetry";
const ATTRIBUTES: &str = "v1/gateway/attributes";
const ATTRIBUTE_REQUEST: &str = "v1/gateway/attributes/request";
const ATTRIBUTE_RESPONSE: &str = "v1/gateway/attributes/response";
const CLAIM: &str = "v1/gateway/claim";
const RPC: &str = "v1/gateway/rpc";

/// Says that a device is there: from now on its attribute updates and calls come. `device_profile` is for one that the
/// server does not know yet; `None` for the default profile.
///
/// Refused with [`EncodeError::InvalidValue`] when published, here and in all other messages: an empty name.
pub const fn connect<'a>(
    device: &'a str,
    device_profile: Option<&'a str>,
) -> Uplink<'static, impl Body + use<'a>> {
    Uplink::new(
        CONNECT,
        Presence {
            device,
            device_profile,
        },
    )
}

/// Says that a device is gone.
pub const fn disconnect(device: &str) -> Uplink<'static, impl Body + use<'_>> {
    Uplink::new(
        DISCONNECT,
        Presence {
            device,
            device_profile: None,
        },
    )
}

/// Telemetry of one or more devices: their names, each with its samples.
///
/// Refused with [`EncodeError::InvalidValue`] when published: no device, a device without samples, and what
/// [`Device::telemetry`](super::Device::telemetry) refuses. A member `metadata` of values without a time is not stored:
/// the server takes it for [`Metadata`].
pub const fn telemetry<'a, T: Serialize>(
    devices: &'a [(&'a str, &'a [Sample<'a, T>])],
) -> Uplink<'static, impl Body + use<'a, T>> {
    Uplink::new(TELEMETRY, Telemetry(devices))
}

/// Telemetry of one or more devices: their names, each with its samples and how they came to the gateway.
///
/// Refused with [`EncodeError::InvalidValue`] when published: no device, a device without samples, and values that are
/// not an object.
pub const fn traced_telemetry<'a, T: Serialize>(
    devices: &'a [(&'a str, &'a [TracedSample<'a, T>])],
) -> Uplink<'static, impl Body + use<'a, T>> {
    Uplink::new(TELEMETRY, TracedTelemetry(devices))
}

/// Values of one moment, and how they came to the gateway.
#[derive(Debug)]
pub struct TracedSample<'a, T: ?Sized> {
    /// Milliseconds since 1970 in UTC.
    pub ts_ms: u64,
    /// What serializes to an object: keys and values.
    pub values: &'a T,
    /// How they came.
    pub metadata: Metadata<'a>,
}

impl<T: ?Sized> Clone for TracedSample<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for TracedSample<'_, T> {}

/// How values came to the gateway. The server does not store it with them, but keeps statistics of the delays for each
/// connector. Older servers ignore it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Metadata<'a> {
    /// The name of what reads the devices: a bus, for example.
    pub connector: &'a str,
    /// When the gateway received the values, in milliseconds since 1970 in UTC.
    pub received_ts_ms: u64,
    /// When it publishes them, in the same unit.
    pub published_ts_ms: u64,
}

/// Attributes of one or more devices: their names, each with what serializes to an object.
///
/// Refused with [`EncodeError::InvalidValue`] when published: no device, and what is not an object.
pub const fn attributes<'a, T: Serialize>(
    devices: &'a [(&'a str, T)],
) -> Uplink<'static, impl Body + use<'a, T>> {
    Uplink::new(ATTRIBUTES, Attributes(devices))
}

/// Whose attributes a gateway asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scope {
    /// The device's own.
    Client,
    /// Those that the server's users set.
    Shared,
}

/// Asks for attributes of a device under the number `id`, see [`Requests`](super::Requests).
///
/// Refused with [`EncodeError::InvalidValue`] when published: no key, and an empty one.
pub const fn attribute_request<'a>(
    id: u32,
    device: &'a str,
    scope: Scope,
    keys: &'a [&'a str],
) -> Uplink<'static, impl Body + use<'a>> {
    Uplink::new(
        ATTRIBUTE_REQUEST,
        AttributeRequest {
            id,
            device,
            scope,
            keys,
        },
    )
}

/// Answers a call by the server to a device.
pub const fn rpc_reply<'a, T: Serialize + ?Sized>(
    device: &'a str,
    id: u32,
    data: &'a T,
) -> Uplink<'static, impl Body + use<'a, T>> {
    Uplink::new(RPC, RpcReply { device, id, data })
}

/// Makes devices claimable: their names, each with its claim.
///
/// Refused with [`EncodeError::InvalidValue`] when published: no device.
pub const fn claim<'a>(
    devices: &'a [(&'a str, Claim<'a>)],
) -> Uplink<'static, impl Body + use<'a>> {
    Uplink::new(CLAIM, Claims(devices))
}

/// The subscription to changes of shared attributes of all devices. Without it none are sent.
#[must_use]
pub const fn attribute_updates() -> Subscription<'static> {
    subscription(ATTRIBUTES)
}

/// The subscription to answers. They come without it too.
#[must_use]
pub const fn attribute_responses() -> Subscription<'static> {
    subscription(ATTRIBUTE_RESPONSE)
}

/// The subscription to calls by the server to all devices. Without it none are sent.
#[must_use]
pub const fn rpc_requests() -> Subscription<'static> {
    subscription(RPC)
}

/// Something for a device behind the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct For<'a, T> {
    /// The name of the device.
    pub device: JsonStr<'a>,
    /// What is for it.
    pub content: T,
}

/// Reads a change or deletion of shared attributes of a device; `None` if the topic is another.
///
/// # Errors
///
/// [`BadPayload`].
pub fn attribute_update<'a>(
    message: impl ApplicationMessage<'a>,
) -> Result<Option<For<'a, AttributeUpdate<'a>>>, BadPayload> {
    let (topic, payload) = message.topic_and_payload();
    if topic != ATTRIBUTES.as_bytes() {
        return Ok(None);
    }
    let (device, message) = device_of(payload)?;
    let data = message
        .member("data")
        .filter(|data| data.members().is_some());
    Ok(Some(For {
        device,
        content: update(data.ok_or(BadPayload::member(None, "data"))?),
    }))
}

/// The answer to a request of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttributeResponse<'a> {
    /// The number of the request.
    pub id: u32,
    /// What was found.
    pub found: Found<'a>,
}

/// Attributes that were found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Found<'a> {
    /// None of them.
    Nothing,
    /// The value of the one that was asked for.
    Value(RawJson<'a>),
    /// An object of those that were found.
    Values(RawJson<'a>),
}

/// Reads the answer to a request of attributes; `None` if the topic is another.
///
/// # Errors
///
/// [`BadPayload`], with the number of the request if it can be read.
pub fn attribute_response<'a>(
    message: impl ApplicationMessage<'a>,
) -> Result<Option<For<'a, AttributeResponse<'a>>>, BadPayload> {
    let (topic, payload) = message.topic_and_payload();
    if topic != ATTRIBUTE_RESPONSE.as_bytes() {
        return Ok(None);
    }
    let (device, message) = device_of(payload)?;
    let id = id_of(message)?;
    let found = match (message.member("values"), message.member("value")) {
        (Some(values), _) if values.members().is_some() => Found::Values(values),
        (Some(_), _) => return Err(BadPayload::member(Some(id), "values")),
        (None, Some(value)) => Found::Value(value),
        (None, None) => Found::Nothing,
    };
    Ok(Some(For {
        device,
        content: AttributeResponse { id, found },
    }))
}

/// Reads a call by the server to a device; `None` if the topic is another.
///
/// # Errors
///
/// [`BadPayload`], with the number under which an error can be replied if it can be read.
pub fn rpc_request<'a>(
    message: impl ApplicationMessage<'a>,
) -> Result<Option<For<'a, RpcRequest<'a>>>, BadPayload> {
    let (topic, payload) = message.topic_and_payload();
    if topic != RPC.as_bytes() {
        return Ok(None);
    }
    let (device, message) = device_of(payload)?;
    let data = message
        .member("data")
        .ok_or(BadPayload::member(None, "data"))?;
    let content = call(data, id_of(data)?)?;
    Ok(Some(For { device, content }))
}

/// Reads that the server has disconnected a device, and the MQTT 5 reason code; only MQTT 5 servers send it. `None` if
/// the topic is another.
///
/// # Errors
///
/// [`BadPayload`].
pub fn disconnected<'a>(
    message: impl ApplicationMessage<'a>,
) -> Result<Option<For<'a, Option<u8>>>, BadPayload> {
    let (topic, payload) = message.topic_and_payload();
    if topic != DISCONNECT.as_bytes() {
        return Ok(None);
    }
    let (device, message) = device_of(payload)?;
    let content = message.member("reason").and_then(RawJson::integer);
    Ok(Some(For { device, content }))
}

/// What became of a device on the server: it comes as a call to the gateway itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Notice<'a> {
    /// It has another name now.
    Renamed {
        /// The name that it had.
        from: JsonStr<'a>,
        /// The name that it has.
        to: JsonStr<'a>,
    },
    /// It was deleted.
    Deleted(JsonStr<'a>),
}

impl<'a> Notice<'a> {
    /// Whether a call to the gateway, read by [`Device::rpc_request`](super::Device::rpc_request), is a notice.
    #[must_use]
    pub fn of(request: &RpcRequest<'a>) -> Option<Self> {
        if request.method == *"gateway_device_deleted" {
            return request.params.string().map(Self::Deleted);
        }
        if request.method != *"gateway_device_renamed" {
            return None;
        }
        let (from, to) = request.params.members()?.next()?;
        Some(Self::Renamed {
            from,
            to: to.string()?,
        })
    }
}

fn device_of(payload: &[u8]) -> Result<(JsonStr<'_>, RawJson<'_>), BadPayload> {
    let message = object(payload, None)?;
    let device = message.member("device").and_then(RawJson::string);
    Ok((device.ok_or(BadPayload::member(None, "device"))?, message))
}

fn id_of(object: RawJson<'_>) -> Result<u32, BadPayload> {
    let id = object.member("id").and_then(RawJson::integer::<i32>);
    id.and_then(|id| u32::try_from(id).ok())
        .ok_or(BadPayload::member(None, "id"))
}

struct Presence<'a> {
    device: &'a str,
    device_profile: Option<&'a str>,
}

impl Body for Presence<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut object = ObjectWriter::new(payload)?;
        object.member("device", named(self.device)?)?;
        object.text("type", self.device_profile)?;
        object.end()
    }
}

struct Telemetry<'a, T>(&'a [(&'a str, &'a [Sample<'a, T>])]);

impl<T: Serialize> Body for Telemetry<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_devices(payload, self.0, |payload, samples| {
            write_samples(payload, samples)
        })
    }
}

struct TracedTelemetry<'a, T>(&'a [(&'a str, &'a [TracedSample<'a, T>])]);

impl<T: Serialize> Body for TracedTelemetry<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_devices(payload, self.0, |payload, samples| {
            write_array(payload, samples, write_traced)
        })
    }
}

fn write_traced<T: Serialize>(
    payload: &mut Writer<'_>,
    sample: &TracedSample<'_, T>,
) -> Result<(), EncodeError> {
    let mut object = ObjectWriter::new(payload)?;
    write_u64(object.name("ts")?, sample.ts_ms)?;
    write_object(object.name("values")?, sample.values, b"")?;
    write_metadata(object.name("metadata")?, &sample.metadata)?;
    object.end()
}

fn write_metadata(payload: &mut Writer<'_>, metadata: &Metadata<'_>) -> Result<(), EncodeError> {
    let mut object = ObjectWriter::new(payload)?;
    object.member("connector", metadata.connector)?;
    write_u64(object.name("receivedTs")?, metadata.received_ts_ms)?;
    write_u64(object.name("publishedTs")?, metadata.published_ts_ms)?;
    object.end()
}

struct Attributes<'a, T>(&'a [(&'a str, T)]);

impl<T: Serialize> Body for Attributes<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_devices(payload, self.0, |payload, values| {
            write_object(payload, values, b"")
        })
    }
}

struct Claims<'a>(&'a [(&'a str, Claim<'a>)]);

impl Body for Claims<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_devices(payload, self.0, |payload, claim| claim.write(payload))
    }
}

struct AttributeRequest<'a> {
    id: u32,
    device: &'a str,
    scope: Scope,
    keys: &'a [&'a str],
}

impl Body for AttributeRequest<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        if i32::try_from(self.id).is_err() || self.keys.iter().any(|key| key.is_empty()) {
            return Err(EncodeError::InvalidValue);
        }
        let mut object = ObjectWriter::new(payload)?;
        write_u64(object.name("id")?, u64::from(self.id))?;
        object.member("device", named(self.device)?)?;
        object.member("client", &(self.scope == Scope::Client))?;
        match self.keys {
            [] => return Err(EncodeError::InvalidValue),
            [key] => object.member("key", *key)?,
            keys => object.member("keys", keys)?,
        }
        object.end()
    }
}

struct RpcReply<'a, T: ?Sized> {
    device: &'a str,
    id: u32,
    data: &'a T,
}

impl<T: Serialize + ?Sized> Body for RpcReply<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut object = ObjectWriter::new(payload)?;
        object.member("device", named(self.device)?)?;
        write_u64(object.name("id")?, u64::from(self.id))?;
        object.member("data", self.data)?;
        object.end()
    }
}

/// Writes an object with a member for each device.
fn write_devices<T>(
    payload: &mut Writer<'_>,
    devices: &[(&str, T)],
    write: impl Fn(&mut Writer<'_>, &T) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    if devices.is_empty() {
        return Err(EncodeError::InvalidValue);
    }
    let mut object = ObjectWriter::new(payload)?;
    for (device, content) in devices {
        write(object.name(named(device)?)?, content)?;
    }
    object.end()
}

fn named(device: &str) -> Result<&str, EncodeError> {
    if device.is_empty() {
        Err(EncodeError::InvalidValue)
    } else {
        Ok(device)
    }
}
