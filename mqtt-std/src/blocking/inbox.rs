//! The blocking handle to receive with.

use std::{fmt, sync::Arc, time::Duration};

use mqtt_core::{
    client::Stopped,
    codec::{QoS, ReasonCode},
    platform::ApplicationMessage,
    session::AckToken,
};

use super::thread::Worker;
use crate::{
    Error, Received,
    wait::{block_on, block_on_timeout},
};

/// Receives messages, one at a time.
pub struct Inbox {
    receiver: crate::Inbox,
    client: crate::Client,
    worker: Arc<Worker>,
}

impl Inbox {
    pub(super) fn new(receiver: crate::Inbox, client: crate::Client, worker: Arc<Worker>) -> Self {
        Self {
            receiver,
            client,
            worker,
        }
    }

    /// Waits for the next message. It lies in the receive buffer; dropping it acknowledges it.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the client has disconnected, or has failed for good: see [`failure`](Self::failure).
    #[expect(
        clippy::should_implement_trait,
        reason = "the message borrows the inbox, which an iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Received<'_>, Stopped> {
        block_on(self.receiver.next())
    }

    /// As [`next`](Self::next); `None` if none came for so long.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Received<'_>, Stopped>> {
        block_on_timeout(self.receiver.next(), timeout)
    }

    /// The messages to come, each copied out of the receive buffer, until the client stops.
    ///
    /// A message is acknowledged when the copy is dropped.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter {
            inbox: self,
            timeout: None,
        }
    }

    /// As [`iter`](Self::iter), but ends also when no message comes for `timeout`.
    pub fn iter_timeout(&mut self, timeout: Duration) -> Iter<'_> {
        Iter {
            inbox: self,
            timeout: Some(timeout),
        }
    }

    /// Why the client has stopped, if it has, and not by [`disconnect`](super::Client::disconnect).
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.worker.failure(&self.client)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

/// See [`Inbox::iter`].
#[derive(Debug)]
pub struct Iter<'i> {
    inbox: &'i mut Inbox,
    timeout: Option<Duration>,
}

impl Iterator for Iter<'_> {
    type Item = OwnedMessage;

    fn next(&mut self) -> Option<OwnedMessage> {
        let client = self.inbox.client.clone();
        loop {
            let received = match self.timeout {
                None => self.inbox.next(),
                Some(timeout) => self.inbox.next_timeout(timeout)?,
            };
            // A large message that the link broke off is no message: the broker sends it again.
            if let Some(message) = block_on(OwnedMessage::of(received.ok()?, &client)) {
                return Some(message);
            }
        }
    }
}

/// A message of its own, copied out of the receive buffer. Dropping it acknowledges it.
///
/// Messages are acknowledged in the order in which they came: keep one, and those after it wait too.
pub struct OwnedMessage {
    topic: String,
    payload: Vec<u8>,
    total_len: u32,
    qos: QoS,
    retain: bool,
    dup: bool,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<Vec<u8>>,
    user_properties: Vec<(String, String)>,
    client: crate::Client,
    token: Option<AckToken>,
}

impl OwnedMessage {
    /// `None` if the link was lost before all of a large message had come.
    async fn of(mut received: Received<'_>, client: &crate::Client) -> Option<Self> {
        let mut message = Self::head(&received, client.clone());
        while let Some(chunk) = received.chunk().await.ok()? {
            message.payload.extend_from_slice(chunk);
        }
        message.token = received.defer_ack();
        Some(message)
    }

    fn head(received: &Received<'_>, client: crate::Client) -> Self {
        let publish = received.publish();
        let properties = publish.properties;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            topic: publish.topic.as_str().to_owned(),
            payload: publish.payload.to_vec(),
            total_len: received.total_len(),
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            content_type: properties.content_type().map(str::to_owned),
            response_topic: properties
                .response_topic()
                .map(|topic| topic.as_str().to_owned()),
            correlation_data: properties.correlation_data().map(<[u8]>::to_vec),
            user_properties: properties.user_properties().map(owned).collect(),
            client,
            token: None,
        }
    }

    /// The topic. Empty if it did not fit into the receive buffer.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The payload, all of it, unless [`is_whole`](Self::is_whole) says otherwise.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// `false` if the payload was skipped because it did not fit into the receive buffer, see
    /// [`Options::oversize`](crate::Options::oversize).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        u32::try_from(self.payload.len()) == Ok(self.total_len)
    }

    /// Length of the payload in bytes, also of one that was skipped.
    #[must_use]
    pub fn total_len(&self) -> u32 {
        self.total_len
    }

    /// The quality of service at which it came.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// It was kept by the broker.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// It may have come before.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.dup
    }

    /// The content type (MQTT 5).
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The topic on which an answer is expected (MQTT 5).
    #[must_use]
    pub fn response_topic(&self) -> Option<&str> {
        self.response_topic.as_deref()
    }

    /// What the answer must carry (MQTT 5).
    #[must_use]
    pub fn correlation_data(&self) -> Option<&[u8]> {
        self.correlation_data.as_deref()
    }

    /// The user properties, in their order (MQTT 5).
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.user_properties
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Refuses the message; the broker does not send it again. On 3.1.1, which has no refusals, it is acknowledged.
    pub fn reject(mut self, code: ReasonCode) {
        if let Some(token) = self.token.take() {
            self.client.reject(token, code);
        }
    }
}

impl<'m> ApplicationMessage<'m> for &'m OwnedMessage {
    fn topic_and_payload(self) -> (&'m [u8], &'m [u8]) {
        (self.topic.as_bytes(), &self.payload)
    }
}

impl Drop for OwnedMessage {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.client.acknowledge(token);
        }
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedMessage")
            .field("topic", &self.topic)
            .field("total_len", &self.total_len)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .finish_non_exhaustive()
    }
}
