//! What a bridge publishes.

use serde::Serialize;

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
    json::{write_json, write_u64},
};

/// A topic that is written in place.
pub(super) trait Topic {
    fn write(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError>;
}

/// A value with its time, to be published and retained.
///
/// Fails with [`EncodeError::InvalidValue`] if a level of the topic is empty, holds `/` or a wildcard, or a zone is `_`.
#[derive(Debug)]
#[must_use = "has to be published"]
pub struct Stamped<'a, P, T> {
    topic: &'a P,
    time_s: u64,
    value: &'a T,
    qos: QoS,
}

/// Clears what is retained. Fails as [`Stamped`] does.
#[derive(Debug)]
#[must_use = "has to be published"]
pub struct Removal<'a, P>(pub(super) &'a P);

impl<'a, P, T> Stamped<'a, P, T> {
    pub(super) const fn new(topic: &'a P, time_s: u64, value: &'a T) -> Self {
        Self {
            topic,
            time_s,
            value,
            qos: QoS::AtMostOnce,
        }
    }

    /// At QoS 1. PlaceOS itself publishes at QoS 0.
    pub const fn at_least_once(mut self) -> Self {
        self.qos = QoS::AtLeastOnce;
        self
    }
}

impl<P, T> Clone for Stamped<'_, P, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, T> Copy for Stamped<'_, P, T> {}

impl<P> Clone for Removal<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Removal<'_, P> {}

impl<P: Topic, T: Serialize> Publication for Stamped<'_, P, T> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.topic.write(topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(br#"{"time":"#)?;
        write_u64(payload, self.time_s)?;
        payload.bytes(br#","value":"#)?;
        write_json(payload, self.value)?;
        payload.bytes(b"}")
    }

    fn qos(&self) -> QoS {
        self.qos
    }

    fn retain(&self) -> bool {
        true
    }
}

impl<P: Topic> Publication for Removal<'_, P> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.write(topic)
    }

    fn write_payload(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn payload_len(&self) -> Option<usize> {
        Some(0)
    }

    fn retain(&self) -> bool {
        true
    }
}
