//! The sending end for the application.

use core::{
    fmt,
    future::poll_fn,
    mem::replace,
    task::{Context, Poll, ready},
};

use embedded_io_async::Read;

use crate::{
    codec::{EncodeError, Properties, QoS, ReasonCode, Subscription, TopicFilter},
    publication::Publication,
    session::{AckToken, DeliveryError, OutboxPolicy, Outcome, PublishError, RestoreError, Ticket},
};

use super::{Inner, Kind, LinkEnd, LinkState, Report, Wakers};

/// Publishes, subscribes, and tells how the link fares. Clones share one connection.
///
/// All futures touch memory only: dropping one at any await point leaves the connection and its bytes intact.
pub struct Client<K: Kind> {
    shared: K::Pointer,
}

impl<K: Kind> Clone for Client<K> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<K: Kind> Client<K> {
    pub(super) fn new(shared: K::Pointer) -> Self {
        Self { shared }
    }

    /// Queues a publication, with or without a link, and waits for room if need be.
    ///
    /// With [`OutboxPolicy::Wait`] it waits; other policies never do. Dropping the future before it is ready means
    /// that nothing was queued. The [`Delivery`] tells when the server has acknowledged; drop it if you do not care.
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`]. [`PublishError::Full`] also with [`OutboxPolicy::Wait`], when a
    /// received message has not been taken from the [`Inbox`](super::Inbox) or is still held: acknowledgements may
    /// lie behind it, so waiting might never end. Take it, then try again.
    pub fn publish(
        &self,
        publication: &impl Publication,
    ) -> impl Future<Output = Result<Delivery<K>, PublishError>> {
        poll_fn(|cx| self.poll_publish(publication, cx))
    }

    /// Queues a publication if there is room now.
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn try_publish(&self, publication: &impl Publication) -> Result<Delivery<K>, PublishError> {
        let publication: &dyn Publication = publication;
        self.queue(|inner| inner.session.publish(publication, true, K::now()))
            .map(|ticket| self.delivery(ticket))
    }

    fn poll_publish(
        &self,
        publication: &dyn Publication,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Delivery<K>, PublishError>> {
        self.poll_queue(cx, |inner| {
            inner.session.publish(publication, true, K::now())
        })
        .map_ok(|ticket| self.delivery(ticket))
    }

    /// Publishes a payload of `len` bytes that is read from `reader`, so that it needs no room of its own.
    ///
    /// `publication` says everything but the payload. Waits for the link; while the payload is on its way nothing
    /// else is sent. A QoS above 0 is honoured, but the message cannot be repeated: if the link ends before the
    /// acknowledgement, the delivery fails with [`DeliveryError::LinkLost`], and it is for the caller to start anew.
    /// At QoS 2 a server that keeps the session keeps the unfinished exchange, too, and may take the message that gets the
    /// same identifier, 65,535 messages later, for a repetition: prefer QoS 1.
    ///
    /// Dropping the future before all bytes were read ends the link, if a part of the packet was sent: the server
    /// drops the incomplete packet, and the runner connects again.
    ///
    /// # Errors
    ///
    /// [`StreamError::Publish`]: nothing was sent. [`StreamError::Read`] or [`StreamError::End`]: the reader failed,
    /// or ended early, with the effect of dropping the future. [`StreamError::LinkLost`].
    pub async fn publish_stream<R: Read>(
        &self,
        publication: &impl Publication,
        len: u32,
        reader: &mut R,
    ) -> Result<Delivery<K>, StreamError<R::Error>> {
        let ticket = poll_fn(|cx| {
            self.poll_queue(cx, |inner| {
                match inner.session.stream_begin(publication, len, true, K::now()) {
                    // Both pass; waiting for room includes waiting for them.
                    Err(PublishError::NotConnected | PublishError::StreamBusy) => {
                        Err(PublishError::Full)
                    }
                    result => result,
                }
            })
        })
        .await
        .map_err(StreamError::Publish)?;
        let mut feed = Feed {
            client: self,
            ticket,
            done: len == 0,
        };
        while !feed.done {
            let mut chunk = [0; CHUNK_LEN];
            let room = poll_fn(|cx| self.poll_stream_room(ticket, cx)).await;
            let room = room.ok_or(StreamError::LinkLost)?;
            let wanted = chunk.get_mut(..room.min(CHUNK_LEN)).unwrap_or_default();
            let read = reader.read(wanted).await.map_err(StreamError::Read)?;
            if read == 0 {
                return Err(StreamError::End);
            }
            let filled = self.fill_stream(ticket, wanted.get(..read).unwrap_or_default());
            feed.done = filled.ok_or(StreamError::LinkLost)?;
        }
        Ok(self.delivery(ticket))
    }

    /// How many bytes can be filled in; `None` if the stream is over.
    fn poll_stream_room(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.shared.with(|inner| {
            let room = inner.session.stream_room(ticket).map(|room| room.len());
            match room {
                Some(0) => inner.pend(cx),
                room => Poll::Ready(room),
            }
        })
    }

    /// True when the payload is complete; `None` if the stream is over.
    fn fill_stream(&self, ticket: Ticket, bytes: &[u8]) -> Option<bool> {
        self.shared.with(|inner| {
            let room = inner.session.stream_room(ticket)?;
            room.get_mut(..bytes.len())?.copy_from_slice(bytes);
            let done = inner.session.stream_filled(ticket, bytes.len());
            inner.wake_runner();
            Some(done)
        })
    }

    /// Subscribes to one filter, and waits for the server's answer: the QoS it grants.
    ///
    /// The request is kept over a reconnect until it is answered. The subscription itself lives as long as the
    /// server keeps the session; to have it renewed on every link, put it into
    /// [`Options::subscriptions`](crate::session::Options::subscriptions). Dropping the future does not withdraw the request.
    ///
    /// # Errors
    ///
    /// [`SubscribeError::Rejected`] by the server; otherwise nothing was sent.
    pub async fn subscribe(&self, filter: &str, qos: QoS) -> Result<QoS, SubscribeError> {
        let filter = TopicFilter::new(filter).map_err(PublishError::Topic)?;
        let mut codes = [ReasonCode::SUCCESS];
        self.subscribe_all(
            &[Subscription::new(filter, qos)],
            Properties::NONE,
            &mut codes,
        )
        .await?;
        let [code] = codes;
        QoS::from_u8(code.value()).ok_or(SubscribeError::Rejected(code))
    }

    /// Subscribes to several filters at once; `codes` receives the server's answer to each: a granted QoS, or a
    /// reason code from 0x80.
    ///
    /// # Errors
    ///
    /// Nothing was sent, see [`PublishError`]; or the runner has ended.
    pub fn subscribe_all(
        &self,
        filters: &[Subscription<'_>],
        properties: Properties<'_>,
        codes: &mut [ReasonCode],
    ) -> impl Future<Output = Result<(), SubscribeError>> {
        let mut request = None;
        poll_fn(move |cx| {
            self.poll_request(cx, &mut request, codes, |inner| {
                inner.session.subscribe(filters, properties, true)
            })
        })
    }

    /// Ends a subscription, and waits for the server's answer.
    ///
    /// # Errors
    ///
    /// [`SubscribeError::Rejected`] by an MQTT 5 server; otherwise nothing was sent.
    pub async fn unsubscribe(&self, filter: &str) -> Result<(), SubscribeError> {
        let filter = TopicFilter::new(filter).map_err(PublishError::Topic)?;
        let mut codes = [ReasonCode::SUCCESS];
        self.unsubscribe_all(&[filter], Properties::NONE, &mut codes)
            .await?;
        let [code] = codes;
        if code.is_error() {
            return Err(SubscribeError::Rejected(code));
        }
        Ok(())
    }

    /// Ends several subscriptions at once; `codes` receives the server's answer to each.
    ///
    /// # Errors
    ///
    /// Nothing was sent, see [`PublishError`]; or the runner has ended.
    pub fn unsubscribe_all(
        &self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
        codes: &mut [ReasonCode],
    ) -> impl Future<Output = Result<(), SubscribeError>> {
        let mut request = None;
        poll_fn(move |cx| {
            self.poll_request(cx, &mut request, codes, |inner| {
                inner.session.unsubscribe(filters, properties, true)
            })
        })
    }

    /// Queues a request by `f` if that was not done yet, then waits for the answer.
    fn poll_request(
        &self,
        cx: &mut Context<'_>,
        request: &mut Option<Delivery<K>>,
        codes: &mut [ReasonCode],
        f: impl FnOnce(&mut Inner<K>) -> Result<Ticket, PublishError>,
    ) -> Poll<Result<(), SubscribeError>> {
        let delivery = match request {
            Some(delivery) => delivery,
            None => request.insert(self.delivery(ready!(self.poll_queue(cx, f))?)),
        };
        let answer =
            ready!(delivery.poll_with(cx, |inner, ticket| inner.session.take_codes(ticket, codes)));
        let stopped = SubscribeError::Request(PublishError::Stopped);
        Poll::Ready(answer.map(|_| ()).map_err(|_| stopped))
    }

    /// Acknowledges a message whose acknowledgement was deferred.
    pub fn acknowledge(&self, token: AckToken) {
        self.reject(token, ReasonCode::SUCCESS);
    }

    /// Refuses a message whose acknowledgement was deferred, by a reason code from 0x80 (MQTT 5).
    pub fn reject(&self, token: AckToken, code: ReasonCode) {
        self.shared.with(|inner| {
            inner.session.acknowledge(token, code);
            inner.notify();
        });
    }

    /// Begins a re-authentication with the method of the options (MQTT 5 §4.12.1).
    ///
    /// # Errors
    ///
    /// [`PublishError::NotConnected`] without a link or a method.
    #[cfg(feature = "v5")]
    pub fn reauthenticate(
        &self,
        method: &(dyn crate::session::Authentication + Sync),
    ) -> Result<(), PublishError> {
        self.queue(|inner| {
            inner
                .session
                .authenticate(ReasonCode::RE_AUTHENTICATE, &mut |data| method.begin(data))
        })
    }

    /// Ends the connection: sends what can be sent of the queue, then DISCONNECT; the runner returns.
    ///
    /// Waits until it has. Dropping the future does not call it off. Unacknowledged messages stay for the next run.
    pub fn disconnect(&self) -> impl Future<Output = ()> {
        self.leave(ReasonCode::NORMAL_DISCONNECTION)
    }

    /// As [`disconnect`](Self::disconnect), but the server publishes the will.
    pub fn disconnect_with_will(&self) -> impl Future<Output = ()> {
        self.leave(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE)
    }

    fn leave(&self, code: ReasonCode) -> impl Future<Output = ()> {
        let mut asked = false;
        poll_fn(move |cx| {
            self.shared.with(|inner| {
                if matches!(inner.state, LinkState::Idle | LinkState::Stopped(_)) {
                    return Poll::Ready(());
                }
                if !replace(&mut asked, true) {
                    inner.stop = true;
                    inner.session.disconnect(code);
                    inner.end(LinkEnd::Disconnected);
                }
                inner.pend(cx)
            })
        })
    }

    /// Sets what happens to publications that find no room. Before the first call it is [`OutboxPolicy::Wait`].
    pub fn set_outbox_policy(&self, policy: OutboxPolicy) {
        self.shared
            .with(|inner| inner.session.set_outbox_policy(policy));
    }

    /// Lets the runner follow the method of extended authentication that the options name. To be called before the
    /// runner is run.
    ///
    /// A program that does not call it does not contain the code.
    ///
    /// # Errors
    ///
    /// As [`Session::configure`](crate::Session::configure): CONNECT becomes longer by the method and its data.
    #[cfg(feature = "v5")]
    pub fn enable_authentication(
        &self,
        options: &crate::session::Options<'_>,
    ) -> Result<(), PublishError> {
        self.shared.with(|inner| {
            inner.session.enable_authentication();
            inner.authenticate = Some(Inner::authenticate);
            inner.session.configure(options)
        })
    }

    /// Lets both sides use topic aliases, as far as the options say. To be called before anything is published or restored,
    /// since CONNECT becomes longer.
    ///
    /// A program that does not call it does not contain the code.
    #[cfg(feature = "v5")]
    pub fn enable_topic_aliases(&self) {
        self.shared.with(|inner| {
            inner.session.enable_topic_aliases();
            inner.rx.enable_topic_aliases();
        });
    }

    /// Writes a copy of the session into `out`; see [`Session::save`](crate::Session::save).
    /// [`SessionKeeper`](super::SessionKeeper) does it at the right moments.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`]: `out` is too short.
    pub fn save_session(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.shared.with(|inner| inner.session.save(out))
    }

    /// Takes over a copy of the session, before anything is published or the runner is run; see
    /// [`Session::restore`](crate::Session::restore).
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing was taken over.
    pub fn restore_session(&self, copy: &[u8]) -> Result<(), RestoreError> {
        self.shared
            .with(|inner| inner.session.restore(copy, K::now()))
    }

    /// Where the link stands.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.shared.with(|inner| inner.state)
    }

    /// Waits until the state is another than `from`.
    pub fn state_change(&self, from: LinkState) -> impl Future<Output = LinkState> {
        poll_fn(move |cx| {
            self.shared.with(|inner| {
                if inner.state != from {
                    return Poll::Ready(inner.state);
                }
                inner.pend(cx)
            })
        })
    }

    /// Waits until the link is in use; the answer is whether the server has kept the session.
    ///
    /// # Errors
    ///
    /// The runner has ended, for this reason.
    pub fn connected(&self) -> impl Future<Output = Result<bool, LinkEnd>> {
        poll_fn(|cx| {
            self.shared.with(|inner| match inner.state {
                LinkState::Connected { session_present } => Poll::Ready(Ok(session_present)),
                LinkState::Stopped(end) => Poll::Ready(Err(end)),
                _ => inner.pend(cx),
            })
        })
    }

    /// Counters, and why the last link ended.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.with(|inner| Report {
            session: inner.session.counters(),
            attempts: inner.attempts,
            skipped: inner.skipped,
            discarded: inner.discarded,
            last_end: inner.last_end,
        })
    }

    /// Whether a message could be published at all: `body` bytes behind the fixed header, with MQTT 5 `section` more.
    pub(crate) fn check(
        &self,
        qos: QoS,
        retain: bool,
        body: usize,
        section: usize,
    ) -> Result<(), PublishError> {
        self.shared
            .with(|inner| inner.session.check(qos, retain, body, section))
    }

    fn queue<T>(
        &self,
        f: impl FnOnce(&mut Inner<K>) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        self.shared.with(|inner| {
            let result = f(inner);
            inner.notify();
            result
        })
    }

    /// Queues by `f`, or waits for room.
    fn poll_queue(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Inner<K>) -> Result<Ticket, PublishError>,
    ) -> Poll<Result<Ticket, PublishError>> {
        self.shared.with(|inner| {
            let result = f(inner);
            inner.queued(result, cx)
        })
    }

    fn delivery(&self, ticket: Ticket) -> Delivery<K> {
        Delivery {
            shared: self.shared.clone(),
            ticket,
            outcome: None,
        }
    }
}

impl<K: Kind> Inner<K> {
    /// Whether to wait for room, after something was queued or not.
    #[inline(never)]
    fn queued(
        &mut self,
        result: Result<Ticket, PublishError>,
        cx: &Context<'_>,
    ) -> Poll<Result<Ticket, PublishError>> {
        self.notify();
        if !matches!(result, Err(PublishError::Full)) {
            return Poll::Ready(result);
        }
        if let LinkState::Stopped(_) = self.state {
            return Poll::Ready(Err(PublishError::Stopped));
        }
        if self.session.outbox_policy() != OutboxPolicy::Wait || self.is_receive_blocked() {
            return Poll::Ready(result);
        }
        self.pend(cx)
    }

    /// Waits for room, for an outcome, or for another state.
    #[inline(never)]
    fn pend<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waiters.register(cx.waker());
        Poll::Pending
    }

    /// What is said of an outcome that may be known by now.
    #[inline(never)]
    fn answered(&mut self, outcome: Option<Outcome>, cx: &Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = outcome {
            // It takes no room any more: whoever waits for some tries again.
            self.waiters.wake();
            return Poll::Ready(outcome);
        }
        if let LinkState::Stopped(_) = self.state {
            return Poll::Ready(Err(DeliveryError::Stopped));
        }
        self.pend(cx)
    }
}

impl<K: Kind> fmt::Debug for Client<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Bytes that [`Client::publish_stream`] reads at once. They lie in its future.
const CHUNK_LEN: usize = 128;

/// Ends the stream if its future is dropped before its end.
struct Feed<'c, K: Kind> {
    client: &'c Client<K>,
    ticket: Ticket,
    done: bool,
}

impl<K: Kind> Drop for Feed<'_, K> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.client.shared.with(|inner| {
            if let Err(error) = inner.session.stream_abort(self.ticket) {
                inner.end(LinkEnd::Session(error));
            }
            inner.session.forget(self.ticket);
            inner.notify();
        });
    }
}

/// What becomes of one publication. May be dropped: the message is delivered all the same.
#[must_use = "drop it to say that the outcome does not matter"]
pub struct Delivery<K: Kind> {
    shared: K::Pointer,
    ticket: Ticket,
    outcome: Option<Outcome>,
}

impl<K: Kind> Delivery<K> {
    /// Waits until the message has been acknowledged as its QoS asks; at QoS 0, until it was given to the transport.
    ///
    /// The code is [`ReasonCode::SUCCESS`] or [`ReasonCode::NO_MATCHING_SUBSCRIBERS`]. Dropping the future loses
    /// nothing; it can be called again. It waits for ever while the same task holds a received message, behind
    /// which the acknowledgement may lie.
    ///
    /// # Errors
    ///
    /// The message will not arrive, see [`DeliveryError`]; except that with [`DeliveryError::Stopped`] it waits for
    /// the runner's next run, and so can the caller.
    pub fn acknowledged(&mut self) -> impl Future<Output = Result<ReasonCode, DeliveryError>> {
        poll_fn(move |cx| self.poll_with(cx, |inner, ticket| inner.session.take_outcome(ticket)))
    }

    /// The outcome if it is known by now.
    pub fn try_acknowledged(&mut self) -> Option<Result<ReasonCode, DeliveryError>> {
        if self.outcome.is_none() {
            self.outcome = self.shared.with(|inner| {
                let outcome = inner.session.take_outcome(self.ticket);
                if outcome.is_some() {
                    inner.waiters.wake();
                }
                outcome
            });
        }
        self.outcome
    }

    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Inner<K>, Ticket) -> Option<Outcome>,
    ) -> Poll<Outcome> {
        if let Some(outcome) = self.outcome {
            return Poll::Ready(outcome);
        }
        self.shared.with(|inner| {
            self.outcome = take(inner, self.ticket);
            inner.answered(self.outcome, cx)
        })
    }
}

impl<K: Kind> Drop for Delivery<K> {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.shared.with(|inner| {
                inner.session.forget(self.ticket);
                // What nobody will ask for takes no room: whoever waits for some tries again.
                inner.waiters.wake();
            });
        }
    }
}

impl<K: Kind> fmt::Debug for Delivery<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").finish_non_exhaustive()
    }
}

/// Why there is no subscription, or still one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SubscribeError {
    /// The request was not made.
    Request(PublishError),
    /// The server refused: 0x80 on 3.1.1, on MQTT 5 a code that says why.
    Rejected(ReasonCode),
}

impl From<PublishError> for SubscribeError {
    fn from(error: PublishError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Rejected(code) => write!(f, "rejected: {code}"),
        }
    }
}

impl core::error::Error for SubscribeError {}

/// Why a streamed payload was not sent to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamError<E> {
    /// Nothing was sent.
    Publish(PublishError),
    /// The reader failed.
    Read(E),
    /// The reader ended before the announced length.
    End,
    /// The link ended first.
    LinkLost,
}

impl<E: fmt::Display> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(error) => error.fmt(f),
            Self::Read(error) => write!(f, "payload: {error}"),
            Self::End => f.write_str("payload ended before its announced length"),
            Self::LinkLost => f.write_str("link lost in the middle of the payload"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for StreamError<E> {}
