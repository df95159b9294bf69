//! The blocking handles to publish and subscribe with.

use std::{error, fmt, io, sync::Arc, time::Duration};

use mqtt_core::{
    Publication,
    client::{LinkState, Report, StreamError, SubscribeError},
    codec::{Properties, QoS, ReasonCode, Subscription, TopicFilter},
    session::{AckToken, DeliveryError, PublishError},
};

use super::thread::Worker;
use crate::{
    Error,
    wait::{block_on, block_on_timeout},
};

/// Publishes and subscribes. Cheap to clone, and to be used from any thread.
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
    worker: Arc<Worker>,
}

impl Client {
    pub(super) fn new(client: crate::Client, worker: Arc<Worker>) -> Self {
        Self { client, worker }
    }

    /// The client that it is a facade of.
    #[cfg(unix)]
    pub(super) const fn inner(&self) -> &crate::Client {
        &self.client
    }

    /// Publishes, waiting for room in the transmit buffer as [`Options::outbox`](crate::Options::outbox) says. The
    /// [`Delivery`] tells when it has arrived, and may be dropped.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if it is refused here; then nothing is sent.
    pub fn publish(&self, publication: &impl Publication) -> Result<Delivery, PublishError> {
        block_on(self.client.publish(publication)).map(Delivery)
    }

    /// As [`publish`](Self::publish); `None` if there was no room for so long.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_timeout(
        &self,
        publication: &impl Publication,
        timeout: Duration,
    ) -> Option<Result<Delivery, PublishError>> {
        let publishing = block_on_timeout(self.client.publish(publication), timeout)?;
        Some(publishing.map(Delivery))
    }

    /// Publishes if there is room now.
    ///
    /// # Errors
    ///
    /// [`PublishError::Full`] if there is none, others as [`publish`](Self::publish).
    pub fn try_publish(&self, publication: &impl Publication) -> Result<Delivery, PublishError> {
        self.client.try_publish(publication).map(Delivery)
    }

    /// Publishes and waits until the broker has acknowledged it; at QoS 0, until it was handed to the transport.
    ///
    /// # Errors
    ///
    /// [`NotDelivered`] says whether it was refused here, or lost on the way.
    pub fn publish_and_wait(
        &self,
        publication: &impl Publication,
    ) -> Result<ReasonCode, NotDelivered> {
        block_on(self.deliver(publication))
    }

    /// As [`publish_and_wait`](Self::publish_and_wait); `None` if it took longer. It may still arrive then.
    ///
    /// # Errors
    ///
    /// As [`publish_and_wait`](Self::publish_and_wait).
    pub fn publish_and_wait_timeout(
        &self,
        publication: &impl Publication,
        timeout: Duration,
    ) -> Option<Result<ReasonCode, NotDelivered>> {
        block_on_timeout(self.deliver(publication), timeout)
    }

    async fn deliver(&self, publication: &impl Publication) -> Result<ReasonCode, NotDelivered> {
        let mut delivery = self
            .client
            .publish(publication)
            .await
            .map_err(NotDelivered::Refused)?;
        delivery.acknowledged().await.map_err(NotDelivered::Lost)
    }

    /// Publishes a payload of `len` bytes that need not fit into the transmit buffer. That of `head` is ignored.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if it is refused, if the link ends meanwhile, or if `reader` fails or ends too early.
    pub fn publish_stream(
        &self,
        head: &impl Publication,
        len: u32,
        reader: &mut impl io::Read,
    ) -> Result<Delivery, StreamError<io::Error>> {
        block_on(self.client.publish_stream(head, len, &mut Blocking(reader))).map(Delivery)
    }

    /// Subscribes, and waits for the answer: the QoS that the broker grants.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] if it is refused, here or by the broker, or if the link ends meanwhile.
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<QoS, SubscribeError> {
        block_on(self.client.subscribe(filter, qos))
    }

    /// As [`subscribe`](Self::subscribe); `None` if the answer took longer.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    #[must_use]
    pub fn subscribe_timeout(
        &self,
        filter: &str,
        qos: QoS,
        timeout: Duration,
    ) -> Option<Result<QoS, SubscribeError>> {
        block_on_timeout(self.client.subscribe(filter, qos), timeout)
    }

    /// Subscribes to several filters in one packet; `codes` receives the answer to each.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_all(
        &self,
        filters: &[Subscription<'_>],
        properties: Properties<'_>,
        codes: &mut [ReasonCode],
    ) -> Result<(), SubscribeError> {
        block_on(self.client.subscribe_all(filters, properties, codes))
    }

    /// Ends a subscription, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] if it is refused, here or by the broker, or if the link ends meanwhile.
    pub fn unsubscribe(&self, filter: &str) -> Result<(), SubscribeError> {
        block_on(self.client.unsubscribe(filter))
    }

    /// As [`unsubscribe`](Self::unsubscribe); `None` if the answer took longer.
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    #[must_use]
    pub fn unsubscribe_timeout(
        &self,
        filter: &str,
        timeout: Duration,
    ) -> Option<Result<(), SubscribeError>> {
        block_on_timeout(self.client.unsubscribe(filter), timeout)
    }

    /// Ends several subscriptions by one packet; `codes` receives the answer to each.
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub fn unsubscribe_all(
        &self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
        codes: &mut [ReasonCode],
    ) -> Result<(), SubscribeError> {
        block_on(self.client.unsubscribe_all(filters, properties, codes))
    }

    /// Acknowledges a message that was deferred.
    pub fn acknowledge(&self, token: AckToken) {
        self.client.acknowledge(token);
    }

    /// Refuses a message that was deferred. On 3.1.1, which has no refusals, it is acknowledged.
    pub fn reject(&self, token: AckToken, code: ReasonCode) {
        self.client.reject(token, code);
    }

    /// Sends what is queued, takes leave of the broker, and waits until the link is closed. No will is published.
    ///
    /// # Errors
    ///
    /// [`Error`] if the client had stopped before for another reason.
    pub fn disconnect(&self) -> Result<(), Error> {
        block_on(self.client.disconnect());
        block_on(self.worker.ended())
    }

    /// As [`disconnect`](Self::disconnect), but asks the broker to publish the will. MQTT 5 only.
    ///
    /// # Errors
    ///
    /// As [`disconnect`](Self::disconnect).
    pub fn disconnect_with_will(&self) -> Result<(), Error> {
        block_on(self.client.disconnect_with_will());
        block_on(self.worker.ended())
    }

    /// What the link does now.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.client.state()
    }

    /// Waits until the state is another than `from`.
    #[must_use]
    pub fn state_change(&self, from: LinkState) -> LinkState {
        block_on(self.client.state_change(from))
    }

    /// As [`state_change`](Self::state_change); `None` if that took longer than `timeout`.
    #[must_use]
    pub fn state_change_timeout(&self, from: LinkState, timeout: Duration) -> Option<LinkState> {
        block_on_timeout(self.client.state_change(from), timeout)
    }

    /// Counters, and why the link ended the last time.
    #[must_use]
    pub fn report(&self) -> Report {
        self.client.report()
    }

    /// Why the client has stopped, if it has, and not by [`disconnect`](Self::disconnect).
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        self.worker.failure(&self.client)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What becomes of one publication. May be dropped at any time: the publication goes its way.
#[derive(Debug)]
pub struct Delivery(crate::Delivery);

impl Delivery {
    /// Waits until the broker has acknowledged it; at QoS 0, until it was handed to the transport.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] says why it did not arrive, or may not have.
    pub fn acknowledged(&mut self) -> Result<ReasonCode, DeliveryError> {
        block_on(self.0.acknowledged())
    }

    /// As [`acknowledged`](Self::acknowledged); `None` if it took longer.
    ///
    /// # Errors
    ///
    /// As [`acknowledged`](Self::acknowledged).
    pub fn acknowledged_timeout(
        &mut self,
        timeout: Duration,
    ) -> Option<Result<ReasonCode, DeliveryError>> {
        block_on_timeout(self.0.acknowledged(), timeout)
    }
}

/// Why [`Client::publish_and_wait`] failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotDelivered {
    /// It was refused here; nothing was sent.
    Refused(PublishError),
    /// It was accepted, but did not arrive, or may not have.
    Lost(DeliveryError),
}

impl fmt::Display for NotDelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Lost(error) => error.fmt(f),
        }
    }
}

impl error::Error for NotDelivered {}

/// A blocking reader, read by the thread that asked for it.
struct Blocking<'r, R>(&'r mut R);

impl<R: io::Read> embedded_io_async::ErrorType for Blocking<'_, R> {
    type Error = io::Error;
}

impl<R: io::Read> embedded_io_async::Read for Blocking<'_, R> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}
