#[cfg(feature = "client")]
use crate::client::{Kind, Received};
use crate::{Message, codec::Publish};

/// A received message as the helpers read it: a topic and a payload.
///
/// Implemented for what this crate delivers, and for the pair `(topic, payload)`, so that a helper can be used with
/// any other MQTT client.
pub trait ApplicationMessage {
    /// The bytes of the topic name.
    fn topic(&self) -> &[u8];

    /// The payload, whole.
    fn payload(&self) -> &[u8];
}

impl<M: ApplicationMessage + ?Sized> ApplicationMessage for &M {
    fn topic(&self) -> &[u8] {
        (**self).topic()
    }

    fn payload(&self) -> &[u8] {
        (**self).payload()
    }
}

impl ApplicationMessage for (&str, &[u8]) {
    fn topic(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn payload(&self) -> &[u8] {
        self.1
    }
}

impl ApplicationMessage for Publish<'_> {
    fn topic(&self) -> &[u8] {
        self.topic.as_bytes()
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }
}

impl ApplicationMessage for Message<'_> {
    fn topic(&self) -> &[u8] {
        self.topic.as_bytes()
    }

    fn payload(&self) -> &[u8] {
        self.payload
    }
}

/// A message that is not whole has an empty payload, see [`Received::is_whole`].
#[cfg(feature = "client")]
impl<K: Kind> ApplicationMessage for Received<'_, K> {
    fn topic(&self) -> &[u8] {
        self.publish().topic.as_bytes()
    }

    fn payload(&self) -> &[u8] {
        self.payload()
    }
}
