//! Attributes that the server keeps: asked for, changed and deleted.

use crate::{
    bytes::move_down,
    codec::{EncodeError, Subscription, Writer},
    json::write_json,
    platform::ApplicationMessage,
    platform::json::{Elements, JsonStr, ObjectWriter, RawJson},
};

use super::{
    BadPayload, Device, Topics,
    downlink::object,
    topics::{number_behind, subscription},
    uplink::{Body, Uplink},
};

/// How long to wait for the answer to a request of attributes, in milliseconds, as the official SDK does. On an error
/// the server does not answer.
pub const ATTRIBUTE_TIMEOUT_MS: u32 = 20_000;

/// Which attributes to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttributeKeys<'a> {
    /// Keys of the device's own attributes, if some are wanted.
    pub client: Option<&'a [&'a str]>,
    /// Keys of shared attributes, which the server's users set, if some are wanted.
    pub shared: Option<&'a [&'a str]>,
}

impl<'a> AttributeKeys<'a> {
    /// All attributes of both scopes.
    pub const ALL: AttributeKeys<'static> = AttributeKeys {
        client: None,
        shared: None,
    };

    /// Some shared attributes.
    #[must_use]
    pub const fn shared(keys: &'a [&'a str]) -> Self {
        Self {
            client: None,
            shared: Some(keys),
        }
    }

    /// Some of the device's own attributes.
    #[must_use]
    pub const fn client(keys: &'a [&'a str]) -> Self {
        Self {
            client: Some(keys),
            shared: None,
        }
    }
}

/// News about shared attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AttributeUpdate<'a> {
    /// An object of those that have changed, with their new values.
    Changed(RawJson<'a>),
    /// The keys of those that were deleted.
    Deleted(Keys<'a>),
}

/// Keys in a message of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Keys<'a>(RawJson<'a>);

impl<'a> Keys<'a> {
    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = JsonStr<'a>> + use<'a> {
        self.elements()
            .into_iter()
            .flatten()
            .filter_map(RawJson::string)
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.iter().any(|deleted| deleted == *key)
    }

    fn elements(&self) -> Option<Elements<'a>> {
        self.0.elements()
    }
}

/// The answer to a request of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttributeResponse<'a> {
    /// The number of the request.
    pub id: u32,
    /// The device's own attributes that were found, as an object; `None` if there are none.
    pub client: Option<RawJson<'a>>,
    /// The shared attributes that were found, as an object; `None` if there are none.
    pub shared: Option<RawJson<'a>>,
}

impl Device {
    /// Asks for attributes under the number `id`, see [`Requests`](super::Requests).
    ///
    /// There is one answer at most; wait [`ATTRIBUTE_TIMEOUT_MS`] for it. Refused with [`EncodeError::InvalidValue`] when
    /// published: an empty list, an empty key and a key with a comma, which cannot be asked for.
    pub const fn attribute_request<'a>(
        &self,
        id: u32,
        keys: AttributeKeys<'a>,
    ) -> Uplink<'a, AttributeKeys<'a>> {
        Uplink::numbered(self.topics.attribute_request(), id, keys)
    }

    /// The subscription to changes and deletions of shared attributes. Without it none are sent.
    #[must_use]
    pub const fn attribute_updates(&self) -> Subscription<'static> {
        subscription(self.topics.attributes())
    }

    /// The subscription to answers. They come without it too, but then at QoS 1 in any case.
    #[must_use]
    pub const fn attribute_responses(&self) -> Subscription<'static> {
        subscription(self.topics.attribute_response_filter())
    }

    /// Reads a change or deletion of shared attributes; `None` if the topic is another.
    ///
    /// # Errors
    ///
    /// [`BadPayload`] if the payload is not an object.
    pub fn attribute_update<'a>(
        &self,
        message: impl ApplicationMessage<'a>,
    ) -> Result<Option<AttributeUpdate<'a>>, BadPayload> {
        let (topic, payload) = message.topic_and_payload();
        // A profile that renames the topic renames the filter only.
        if topic != self.topics.attributes().as_bytes()
            && topic != Topics::V1.attributes().as_bytes()
        {
            return Ok(None);
        }
        object(payload, None).map(|changed| Some(update(changed)))
    }

    /// Reads the answer to a request of attributes; `None` if the topic is another.
    ///
    /// # Errors
    ///
    /// [`BadPayload`], with the number of the request, if the payload is not as it should be.
    pub fn attribute_response<'a>(
        &self,
        message: impl ApplicationMessage<'a>,
    ) -> Result<Option<AttributeResponse<'a>>, BadPayload> {
        let (topic, payload) = message.topic_and_payload();
        let spelling = self.topics.attribute_response();
        let v1 = Topics::V1.attribute_response();
        let Some(id) = number_behind(topic, spelling, v1) else {
            return Ok(None);
        };
        let response = object(payload, Some(id))?;
        Ok(Some(AttributeResponse {
            id,
            client: scope(response, "client", id)?,
            shared: scope(response, "shared", id)?,
        }))
    }
}

/// Tells a change from a deletion, which never come in one message.
pub(super) fn update(changed: RawJson<'_>) -> AttributeUpdate<'_> {
    match changed.member("deleted").filter(|keys| is_keys(*keys)) {
        Some(keys) => AttributeUpdate::Deleted(Keys(keys)),
        None => AttributeUpdate::Changed(changed),
    }
}

/// Only an array of strings is a notice: otherwise an attribute happens to be called `deleted`.
fn is_keys(value: RawJson<'_>) -> bool {
    value
        .elements()
        .is_some_and(|mut keys| keys.all(|key| key.string().is_some()))
}

fn scope<'a>(
    response: RawJson<'a>,
    name: &'static str,
    id: u32,
) -> Result<Option<RawJson<'a>>, BadPayload> {
    match response.member(name) {
        Some(scope) if scope.members().is_none() => Err(BadPayload::member(Some(id), name)),
        scope => Ok(scope),
    }
}

impl Body for AttributeKeys<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut object = ObjectWriter::new(payload)?;
        for (name, keys) in [("clientKeys", self.client), ("sharedKeys", self.shared)] {
            if let Some(keys) = keys {
                write_keys(object.name(name)?, keys)?;
            }
        }
        object.end()
    }
}

/// Writes keys as one string, with commas and no blanks between them: the server does not trim.
fn write_keys(payload: &mut Writer<'_>, keys: &[&str]) -> Result<(), EncodeError> {
    let mut before = b'"';
    for key in keys {
        if key.is_empty() || key.as_bytes().contains(&b',') {
            return Err(EncodeError::InvalidValue);
        }
        payload.u8(before)?;
        write_json_inside(payload, key)?;
        before = b',';
    }
    if keys.is_empty() {
        return Err(EncodeError::InvalidValue);
    }
    payload.u8(b'"')
}

/// Writes a string as JSON, without the quotation marks.
fn write_json_inside(payload: &mut Writer<'_>, text: &str) -> Result<(), EncodeError> {
    let spare = payload.spare();
    let mut inner = Writer::new(spare);
    write_json(&mut inner, text)?;
    let len = inner.len();
    let inside = len.saturating_sub(2);
    move_down(spare, 1, inside, 0);
    payload.advance(inside)
}
