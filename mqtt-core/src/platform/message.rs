#[cfg(feature = "client")]
use crate::client::{Kind, Received};
use crate::{
    Message,
    codec::{Publish, TopicName},
};

/// A received message as the helpers read it: a topic and a payload, which what is read from them borrows.
///
/// Implemented for what this crate delivers, and for the pair `(topic, payload)`, so that a helper can be used with any
/// other MQTT client.
pub trait ApplicationMessage<'m> {
    /// The bytes of the topic name, and the whole payload.
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]);
}

impl<'m> ApplicationMessage<'m> for (&'m str, &'m [u8]) {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.0.as_bytes(), self.1)
    }
}

impl<'m> ApplicationMessage<'m> for (TopicName<'m>, &'m [u8]) {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.0.as_bytes(), self.1)
    }
}

impl<'m> ApplicationMessage<'m> for Publish<'m> {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.topic.as_bytes(), self.payload)
    }
}

impl<'m> ApplicationMessage<'m> for Message<'m> {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.topic.as_bytes(), self.payload)
    }
}

impl<'m, M: ApplicationMessage<'m> + Copy> ApplicationMessage<'m> for &M {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (*self).topic_and_payload()
    }
}

/// A message that is not whole has an empty payload, see [`Received::is_whole`].
#[cfg(feature = "client")]
impl<'m, K: Kind> ApplicationMessage<'m> for &'m Received<'_, K> {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.topic().as_bytes(), self.payload())
    }
}
