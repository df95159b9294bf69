//! What all messages to the server have in common.

use core::fmt;

use crate::{
    codec::{EncodeError, QoS, Writer},
    json::write_i32,
    publication::Publication,
};

use super::topics::MAX_ID;

/// Bytes that topic, packet identifier and payload of a message may have together: `NETTY_MAX_PAYLOAD_SIZE` of the
/// server, by default. It closes the link of a device that sends more.
pub const MAX_MESSAGE_LEN: usize = 65_536;

/// A message to ThingsBoard, ready to be published by any client.
///
/// It is sent at QoS 1 and not retained, unless said otherwise. There is no way to say QoS 2 or retained: the server
/// answers QoS 2 with a PUBACK, which no client waits for, and retains nothing.
#[derive(Clone, Copy)]
#[must_use = "does nothing unless it is published"]
pub struct Uplink<'a, B> {
    topic: &'a str,
    id: Option<u32>,
    chunk: Option<u32>,
    qos: QoS,
    body: B,
}

/// The payload of an [`Uplink`].
pub trait Body {
    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// Those of [`Publication::write_payload`]; [`EncodeError::InvalidValue`] for what the server would refuse by
    /// closing the link.
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError>;
}

impl<'a, B: Body> Uplink<'a, B> {
    pub(super) const fn new(topic: &'a str, body: B) -> Self {
        Self {
            topic,
            id: None,
            chunk: None,
            qos: QoS::AtLeastOnce,
            body,
        }
    }

    /// With the number of a request at the end of the topic.
    pub(super) const fn numbered(topic: &'a str, id: u32, body: B) -> Self {
        let mut uplink = Self::new(topic, body);
        uplink.id = Some(id);
        uplink
    }

    pub(super) const fn chunk(mut self, chunk: u32) -> Self {
        self.chunk = Some(chunk);
        self
    }

    /// At QoS 0: sent once, and lost with the link.
    pub const fn at_most_once(mut self) -> Self {
        self.qos = QoS::AtMostOnce;
        self
    }

    /// To the topic by which the device profile has replaced the usual one: it can do so for telemetry and attributes.
    pub const fn to_topic(mut self, topic: &'a str) -> Self {
        self.topic = topic;
        self
    }
}

impl<B: Body> Publication for Uplink<'_, B> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(self.topic.as_bytes())?;
        write_number(topic, self.id)?;
        if self.chunk.is_some() {
            topic.bytes(CHUNK.as_bytes())?;
        }
        write_number(topic, self.chunk)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let before = payload.len();
        self.body.write(payload)?;
        // The length of the topic, its own, and the packet identifier. A number is taken as ten digits.
        let numbers = [self.id, self.chunk].iter().flatten().count();
        let overhead = self
            .topic
            .len()
            .saturating_add(numbers.saturating_mul(10).saturating_add(4));
        let len = payload.len().saturating_sub(before);
        if len.saturating_add(overhead) > MAX_MESSAGE_LEN {
            return Err(EncodeError::TooLong);
        }
        Ok(())
    }

    fn qos(&self) -> QoS {
        self.qos
    }
}

// A payload may hold secrets: those of claims and of provisioning do.
impl<B> fmt::Debug for Uplink<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uplink")
            .field("topic", &self.topic)
            .field("id", &self.id)
            .field("chunk", &self.chunk)
            .field("qos", &self.qos)
            .finish_non_exhaustive()
    }
}

/// Between the numbers of a request and of a chunk.
pub(super) const CHUNK: &str = "/chunk/";

fn write_number(topic: &mut Writer<'_>, number: Option<u32>) -> Result<(), EncodeError> {
    match number {
        Some(number) if number > MAX_ID => Err(EncodeError::InvalidValue),
        Some(number) => write_i32(topic, number.cast_signed(), 0),
        None => Ok(()),
    }
}
