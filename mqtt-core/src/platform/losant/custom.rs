use crate::{
    Message, Publication,
    codec::{EncodeError, Writer},
};

use super::{MAX_PAYLOAD, TOPIC_START};

/// A message on a topic of the application's own, which workflows and other devices may subscribe to.
///
/// Publishing fails with [`EncodeError::InvalidValue`] if the topic begins with `losant/`, and with
/// [`EncodeError::TooLong`] if the payload is longer than [`MAX_PAYLOAD`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "has to be published"]
pub struct CustomMessage<'a>(Message<'a>);

impl<'a> CustomMessage<'a> {
    /// A message at QoS 0.
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self(Message::new(topic, payload))
    }

    /// At QoS 1, the highest that Losant takes.
    pub const fn at_least_once(self) -> Self {
        Self(self.0.at_least_once())
    }
}

impl Publication for CustomMessage<'_> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        if self.0.topic.as_bytes().starts_with(TOPIC_START) {
            return Err(EncodeError::InvalidValue);
        }
        self.0.write_topic(topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        if self.0.payload.len() > MAX_PAYLOAD {
            return Err(EncodeError::TooLong);
        }
        self.0.write_payload(payload)
    }

    fn payload_len(&self) -> Option<usize> {
        self.0.payload_len()
    }

    fn qos(&self) -> crate::QoS {
        self.0.qos
    }
}
