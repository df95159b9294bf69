//! Remote procedure calls in both directions.

use serde::Serialize;

use crate::{
    codec::{EncodeError, Subscription, Writer},
    json::write_json,
    platform::ApplicationMessage,
    platform::json::{JsonStr, ObjectWriter, RawJson},
};

use super::{
    BadPayload, Device, Topics,
    downlink::{json, object},
    topics::{number_behind, subscription},
    uplink::{Body, Uplink},
};

/// After this many milliseconds without an answer of the rule chain the server answers `{"error":"timeout"}`.
///
/// It does so under the number of the request, even if that was answered meanwhile. So a number must not be used again
/// before, and it is best to wait a little longer: an own time-out of 65,000 ms does.
pub const RPC_TIMEOUT_MS: u32 = 60_000;

/// A call by the server.
///
/// The server repeats calls that were acknowledged but not answered, under the same number, after every new
/// subscription: after every reconnect. See [`SeenRequests`](super::SeenRequests). PUBACK means "delivered": a message
/// is to be acknowledged when the call is safely in the application's hands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RpcRequest<'a> {
    /// The number under which to answer. 0 is one too. They begin anew when the server restarts.
    pub id: u32,
    /// What to do.
    pub method: JsonStr<'a>,
    /// How; `null` if the call has none.
    pub params: RawJson<'a>,
}

/// The answer to a call by the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RpcResponse<'a> {
    /// The number of the request.
    pub id: u32,
    /// Whatever the rule chain has answered.
    pub value: RawJson<'a>,
}

impl<'a> RpcResponse<'a> {
    /// Whether the server gave up waiting for its rule chain.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.error().is_some_and(|error| error == *"timeout")
    }

    /// The member `error` of the answer, if that is a string.
    #[must_use]
    pub fn error(&self) -> Option<JsonStr<'a>> {
        self.value.member("error")?.string()
    }
}

impl Device {
    /// The subscription to calls by the server. Without it none are sent.
    ///
    /// Every new subscription, within a link too, makes the server repeat all calls that are not answered.
    #[must_use]
    pub const fn rpc_requests(&self) -> Subscription<'static> {
        subscription(self.topics.rpc_request_filter())
    }

    /// The subscription to answers of the server. They come without it too, but then at QoS 1 in any case.
    #[must_use]
    pub const fn rpc_responses(&self) -> Subscription<'static> {
        subscription(self.topics.rpc_response_filter())
    }

    /// Reads a call by the server; `None` if the topic is another.
    ///
    /// # Errors
    ///
    /// [`BadPayload`], with the number under which an error can be replied, if the payload is not an object with a
    /// `method`.
    pub fn rpc_request<'a>(
        &self,
        message: impl ApplicationMessage<'a>,
    ) -> Result<Option<RpcRequest<'a>>, BadPayload> {
        let (topic, payload) = message.topic_and_payload();
        let (spelling, v1) = (self.topics.rpc_request(), Topics::V1.rpc_request());
        let Some(id) = number_behind(topic, spelling, v1) else {
            return Ok(None);
        };
        call(object(payload, Some(id))?, id).map(Some)
    }

    /// Answers a call by the server. One-way calls expect no answer; one that is given does no harm.
    pub const fn rpc_reply<'a, T: Serialize + ?Sized>(
        &self,
        id: u32,
        value: &'a T,
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::numbered(self.topics.rpc_response(), id, Value(value))
    }

    /// Calls the server under the number `id`, see [`Requests`](super::Requests). Its rule chain answers.
    pub const fn rpc<'a, T: Serialize + ?Sized>(
        &self,
        id: u32,
        method: &'a str,
        params: &'a T,
    ) -> Uplink<'a, impl Body + use<'a, T>> {
        Uplink::numbered(self.topics.rpc_request(), id, Call { method, params })
    }

    /// Asks for the limits of this session, see [`RpcResponse::session_limits`]. The server itself answers.
    ///
    /// The server knows this call on its v1 topic only.
    pub const fn session_limits_request(&self, id: u32) -> Uplink<'static, impl Body + use<>> {
        let call = Call {
            method: "getSessionLimits",
            params: &NoParams {},
        };
        Uplink::numbered(Topics::V1.rpc_request(), id, call)
    }

    /// Reads an answer to a call by the device; `None` if the topic is another.
    ///
    /// # Errors
    ///
    /// [`BadPayload`], with the number of the request, if the payload is not JSON.
    pub fn rpc_response<'a>(
        &self,
        message: impl ApplicationMessage<'a>,
    ) -> Result<Option<RpcResponse<'a>>, BadPayload> {
        let (topic, payload) = message.topic_and_payload();
        let (spelling, v1) = (self.topics.rpc_response(), Topics::V1.rpc_response());
        let Some(id) = number_behind(topic, spelling, v1) else {
            return Ok(None);
        };
        let value = json(payload, Some(id))?;
        Ok(Some(RpcResponse { id, value }))
    }
}

/// Reads the method and parameters of a call.
pub(super) fn call(call: RawJson<'_>, id: u32) -> Result<RpcRequest<'_>, BadPayload> {
    let method = call.member("method").and_then(RawJson::string);
    Ok(RpcRequest {
        id,
        method: method.ok_or(BadPayload::member(Some(id), "method"))?,
        params: call.member("params").unwrap_or(RawJson::NULL),
    })
}

struct Value<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Body for Value<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_json(payload, self.0)
    }
}

struct Call<'a, T: ?Sized> {
    method: &'a str,
    params: &'a T,
}

impl<T: Serialize + ?Sized> Body for Call<'_, T> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut object = ObjectWriter::new(payload)?;
        object.member("method", self.method)?;
        object.member("params", self.params)?;
        object.end()
    }
}

/// `{}`
struct NoParams {}

impl Serialize for NoParams {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        serializer.serialize_struct("", 0)?.end()
    }
}
