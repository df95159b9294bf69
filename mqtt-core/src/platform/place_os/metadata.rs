//! Metadata: the models of zones, systems and drivers.

use core::str::from_utf8;

use serde::Serialize;

use crate::{
    codec::{EncodeError, Writer},
    platform::{
        ApplicationMessage,
        json::{JsonError, RawJson},
    },
};

use super::{METADATA, ROOT, ReadError, Removal, Stamped, Value, publication::Topic, write_level};

/// Where the model of a zone, system or driver is published.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MetadataTopic<'a> {
    /// The first tag of the hierarchy, [`DEFAULT_SCOPE`](Self::DEFAULT_SCOPE) as a rule; not the identifier of a zone.
    pub scope: &'a str,
    /// The identifier of the model.
    pub id: &'a str,
}

/// A received model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Metadata<'m> {
    /// Of what.
    pub topic: MetadataTopic<'m>,
    /// When it was so, in milliseconds since 1970 in UTC, unless the model came without time.
    pub time_ms: Option<i64>,
    /// The model, any JSON; `None` when it was deleted.
    pub model: Option<RawJson<'m>>,
}

impl<'a> MetadataTopic<'a> {
    /// The first tag of the default hierarchy.
    pub const DEFAULT_SCOPE: &'static str = "org";

    /// What to subscribe for all models.
    pub const FILTER: &'static str = "placeos/+/metadata/+";

    /// The model of `id` in a deployment with the default scope.
    #[must_use]
    pub const fn new(id: &'a str) -> Self {
        Self {
            scope: Self::DEFAULT_SCOPE,
            id,
        }
    }

    /// A model to be published, retained. `time_s`: seconds since 1970 in UTC. PlaceOS publishes `()` (`null`) when a model
    /// is deleted.
    pub const fn model<'v, T: Serialize>(
        &'v self,
        time_s: u64,
        model: &'v T,
    ) -> Stamped<'v, Self, T> {
        Stamped::new(self, time_s, model)
    }

    /// Clears what is retained.
    pub const fn removal(&self) -> Removal<'_, Self> {
        Removal(self)
    }

    fn parse(topic: &'a [u8]) -> Option<Self> {
        let (scope, rest) = from_utf8(topic)
            .ok()?
            .strip_prefix(ROOT)?
            .strip_prefix('/')?
            .split_once('/')?;
        let id = rest.strip_prefix(METADATA)?.strip_prefix('/')?;
        let is_legal = !scope.is_empty() && !id.is_empty() && !id.contains('/');
        is_legal.then_some(Self { scope, id })
    }
}

/// Reads a model, wrapped with its time or bare; `None` if the topic is not that of metadata.
///
/// # Errors
///
/// [`ReadError::Payload`] if the payload is not JSON, or neither an object nor `null`.
pub fn read_metadata<'m>(
    message: impl ApplicationMessage<'m>,
) -> Result<Option<Metadata<'m>>, ReadError> {
    let (topic, payload) = message.topic_and_payload();
    let Some(topic) = MetadataTopic::parse(topic) else {
        return Ok(None);
    };
    let (time_ms, model) = match payload {
        [] => (None, None),
        payload => read_model(RawJson::parse(payload)?)?,
    };
    Ok(Some(Metadata {
        topic,
        time_ms,
        model,
    }))
}

fn read_model(json: RawJson<'_>) -> Result<(Option<i64>, Option<RawJson<'_>>), JsonError> {
    let (time_ms, model) = match Value::of(json) {
        Some(value) => (Some(value.time_ms), value.json),
        None => (None, json),
    };
    if model.is_null() {
        return Ok((time_ms, None));
    }
    // The model of anything is an object.
    model.members().ok_or(JsonError::Type)?;
    Ok((time_ms, Some(model)))
}

impl Topic for MetadataTopic<'_> {
    fn write(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(ROOT.as_bytes())?;
        write_level(topic, self.scope)?;
        write_level(topic, METADATA)?;
        write_level(topic, self.id)
    }
}
