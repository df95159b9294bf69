//! What an update publishes.

use crate::{
    codec::{EncodeError, QoS, Writer},
    platform::thingsboard::{AttributeKeys, Uplink},
    publication::Publication,
};

use super::{PackageReport, package::ChunkRequest};

/// A message of an update, to be published.
#[derive(Clone, Copy, Debug)]
pub struct UpdateMessage<'a>(pub(super) Message<'a>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Message<'a> {
    Report(Uplink<'static, PackageReport<'a>>),
    Attributes(Uplink<'static, AttributeKeys<'static>>),
    Chunk(Uplink<'static, ChunkRequest>),
}

impl<'a> From<Message<'a>> for UpdateMessage<'a> {
    fn from(message: Message<'a>) -> Self {
        Self(message)
    }
}

impl UpdateMessage<'_> {
    fn inner(&self) -> &dyn Publication {
        match &self.0 {
            Message::Report(message) => message,
            Message::Attributes(message) => message,
            Message::Chunk(message) => message,
        }
    }
}

impl Publication for UpdateMessage<'_> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.inner().write_topic(topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.inner().write_payload(payload)
    }

    fn qos(&self) -> QoS {
        self.inner().qos()
    }
}
