//! The receiving end for the application.

use core::{
    fmt,
    future::poll_fn,
    mem::take,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{
    codec::{Properties, Publish, QoS, ReasonCode, TopicName},
    session::AckToken,
};

use super::{
    Inner, Kind, LinkEnd, LinkState, Rx, Wakers,
    process::{Ready, ReadyKind, Turn},
    register,
};

/// Where received messages come out, one at a time.
///
/// While a message waits here or is out, nothing further is read from the link, acknowledgements included: the
/// server is slowed down through TCP. So take messages even if you have no use for them, or drop the inbox: then they
/// are acknowledged unseen.
pub struct Inbox<K: Kind> {
    shared: K::Pointer,
    hand: Hand<K>,
}

/// What the inbox has of the shared things.
struct Hand<K: Kind> {
    /// The receive buffer, while a message is out or the next one is looked for.
    rx: Rx<K>,
    /// What lies in it.
    current: Option<Ready>,
}

/// The runner has ended, so no message will come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stopped(
    /// Why it has ended.
    pub LinkEnd,
);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped: {}", self.0)
    }
}

impl core::error::Error for Stopped {}

impl<K: Kind> Inbox<K> {
    pub(super) fn new(shared: K::Pointer) -> Self {
        Self {
            shared,
            hand: Hand {
                rx: Rx::<K>::away(),
                current: None,
            },
        }
    }

    /// The next message.
    ///
    /// Dropping the future loses nothing. While the runner pauses between two links it just takes longer.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when the runner has ended; after the next run has begun, messages come again.
    #[allow(
        clippy::should_implement_trait,
        reason = "lends from itself, as no iterator can"
    )]
    pub fn next(&mut self) -> impl Future<Output = Result<Received<'_, K>, Stopped>> {
        Next { inbox: Some(self) }
    }

    /// The next message, if there is one already.
    pub fn try_next(&mut self) -> Option<Received<'_, K>> {
        let Self { shared, hand } = self;
        shared
            .with(|inner| hand.look(inner))
            .then_some(Received { inbox: self })
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<(), Stopped>> {
        let Self { shared, hand } = self;
        shared.with(|inner| {
            inner.inbox_waits = false;
            if hand.look(inner) {
                return Poll::Ready(Ok(()));
            }
            if let LinkState::Stopped(end) = inner.state {
                return Poll::Ready(Err(Stopped(end)));
            }
            register(&mut inner.inbox_waker, cx.waker());
            inner.inbox_waits = true;
            Poll::Pending
        })
    }

    /// The message that is out is done with; what comes next is prepared, so that the link never waits for a call
    /// of [`next`](Self::next).
    fn release(&mut self, code: ReasonCode, acknowledge: bool) {
        let Self { shared, hand } = self;
        shared.with(|inner| hand.finish(inner, code, acknowledge));
    }
}

impl<K: Kind> Hand<K> {
    /// Looks for something to deliver; if there is nothing, the pump gets the buffer.
    fn look(&mut self, inner: &mut Inner<K>) -> bool {
        // A guard that was forgotten instead of dropped: its message stays unacknowledged.
        self.finish(inner, ReasonCode::SUCCESS, false);
        if !self.fetch(inner) {
            return false;
        }
        self.current = inner.ready.take();
        inner.held = true;
        true
    }

    /// Whether something is ready, with the receive buffer here.
    fn fetch(&mut self, inner: &mut Inner<K>) -> bool {
        if inner.ready.is_none() {
            return self.advance(inner);
        }
        if !self.rx.is_here() {
            inner.rx.pass(&mut self.rx);
        }
        self.rx.is_here()
    }

    /// Handles what lies in the receive buffer, if it is here, and gives it back if nothing is found.
    fn advance(&mut self, inner: &mut Inner<K>) -> bool {
        if !self.rx.is_here() {
            return false;
        }
        if inner.process(&mut self.rx, None) == Turn::Deliver {
            return true;
        }
        self.give_back(inner);
        false
    }

    fn give_back(&mut self, inner: &mut Inner<K>) {
        if self.rx.is_here() {
            self.rx.pass(&mut inner.rx);
            inner.wake_runner();
        }
    }

    #[inline(never)]
    fn finish(&mut self, inner: &mut Inner<K>, code: ReasonCode, acknowledge: bool) {
        let Some(current) = self.current.take() else {
            return;
        };
        inner.held = false;
        let token = current.token.filter(|_| acknowledge);
        if current.kind != ReadyKind::Whole
            && self.is_unfinished(inner)
            && current.epoch == inner.session.epoch()
        {
            inner.discard_rest(token);
        } else if let Some(token) = token {
            inner.session.acknowledge(token, code);
        }
        self.advance(inner);
        inner.notify();
    }

    /// Whether pieces of the large message are still to come.
    fn is_unfinished(&mut self, inner: &mut Inner<K>) -> bool {
        if !self.rx.is_here()
            && let Some(piece) = inner.ready.take_if(|ready| ready.kind.is_piece())
        {
            // One that was asked for, and came when nobody asked any more.
            inner.rx.pass(&mut self.rx);
            inner.wake_runner();
            return piece.kind == ReadyKind::Piece;
        }
        !self.rx.is_here() || self.rx.is_in_large()
    }
}

impl<K: Kind> Drop for Inbox<K> {
    fn drop(&mut self) {
        let Self { shared, hand } = self;
        shared.with(|inner| {
            hand.finish(inner, ReasonCode::SUCCESS, false);
            inner.has_inbox = false;
            if let Some(ready) = inner.ready.take() {
                inner.discard(ready);
            }
            hand.give_back(inner);
            inner.wake_runner();
            inner.notify();
        });
    }
}

impl<K: Kind> fmt::Debug for Inbox<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// Waits for a message, and tells the others when the inbox no longer waits.
struct Next<'i, K: Kind> {
    /// Absent when it is done.
    inbox: Option<&'i mut Inbox<K>>,
}

impl<'i, K: Kind> Future for Next<'i, K> {
    type Output = Result<Received<'i, K>, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(inbox) = self.inbox.take() else {
            return Poll::Pending;
        };
        match inbox.poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Received { inbox })),
            Poll::Ready(Err(stopped)) => Poll::Ready(Err(stopped)),
            Poll::Pending => {
                self.inbox = Some(inbox);
                Poll::Pending
            }
        }
    }
}

impl<K: Kind> Drop for Next<'_, K> {
    fn drop(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.shared.with(|inner| {
                // Who waits for room may have to stop waiting now.
                if take(&mut inner.inbox_waits) && inner.ready.is_some() {
                    inner.waiters.wake();
                }
            });
        }
    }
}

/// A received message, lying in the receive buffer.
///
/// QoS 1 and 2 are acknowledged when it is dropped, that is after it was processed. Until then no other message is
/// received. It may be held as long as needed, keep-alive goes on; and messages may be published meanwhile, as long
/// as there is room.
pub struct Received<'i, K: Kind> {
    inbox: &'i mut Inbox<K>,
}

impl<K: Kind> Received<'_, K> {
    /// The message as it was decoded: topic, payload, QoS, flags and properties.
    ///
    /// The payload is empty if the message is [not whole](Self::is_whole). Decodes anew with each call.
    #[must_use]
    pub fn publish(&self) -> Publish<'_> {
        let publish = if self.has_head() {
            self.inbox.hand.rx.current()
        } else {
            None
        };
        publish.unwrap_or(Publish::new(TopicName::EMPTY, &[]))
    }

    /// The topic. Empty if it did not fit into the receive buffer.
    #[must_use]
    pub fn topic(&self) -> TopicName<'_> {
        self.publish().topic
    }

    /// The payload, empty if the message is [not whole](Self::is_whole).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let whole = self.inbox.hand.current.filter(|_| self.is_whole());
        let len = whole.map_or(0, |current| current.len as usize);
        self.inbox.hand.rx.current_tail(len)
    }

    /// The quality of service at which it came.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.publish().qos
    }

    /// It was kept by the server.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.publish().retain
    }

    /// It may have come before.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.publish().dup
    }

    /// The properties of MQTT 5.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        self.publish().properties
    }

    /// Whether the message fitted into the receive buffer.
    ///
    /// If not, [`Options::oversize`](crate::session::Options::oversize) says what comes:
    /// [`chunk`](Self::chunk) gives the payload, or it has been skipped and `chunk` gives nothing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.kind(), Some(ReadyKind::Whole))
    }

    /// Length of the payload in bytes, also of one that is streamed or was skipped.
    #[must_use]
    pub fn total_len(&self) -> u32 {
        self.inbox.hand.current.map_or(0, |current| current.len)
    }

    /// The next piece of the payload of a message that is not whole, `None` after the last one.
    ///
    /// A whole message gives nothing here. Dropping the future loses nothing, but topic and properties are empty until
    /// the next piece has come: the buffer is being received into. Dropping the message skips the rest.
    ///
    /// # Errors
    ///
    /// The link was lost in the middle: the rest will not come. The server repeats the message from its start, if it
    /// has kept the session and the QoS is 1; nothing was acknowledged.
    pub async fn chunk(&mut self) -> Result<Option<&[u8]>, LinkEnd> {
        if !poll_fn(|cx| self.poll_chunk(cx)).await? {
            return Ok(None);
        }
        Ok(Some(self.inbox.hand.rx.current_piece()))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, LinkEnd>> {
        let Inbox { shared, hand } = &mut *self.inbox;
        shared.with(|inner| {
            let Some(current) = hand.current.filter(|current| current.kind.is_large()) else {
                return Poll::Ready(Ok(false));
            };
            if inner.discard {
                return Poll::Ready(Ok(false));
            }
            // What has come is there, whatever became of the link: of the last piece no more than this one copy is.
            if inner.ready.is_none_or(|ready| ready.epoch != current.epoch) {
                if hand.rx.is_here() && !hand.rx.is_in_large() {
                    return Poll::Ready(Ok(false));
                }
                if current.epoch != inner.session.epoch() || !inner.session.is_connected() {
                    return Poll::Ready(Err(inner.last_end.unwrap_or(LinkEnd::Io)));
                }
            }
            if !hand.fetch(inner) {
                register(&mut inner.inbox_waker, cx.waker());
                return Poll::Pending;
            }
            inner.ready = None;
            // The end of a payload that was skipped is an empty piece.
            Poll::Ready(Ok(!hand.rx.current_piece().is_empty()))
        })
    }

    /// Takes the acknowledgement out of the message: it is then given by
    /// [`Client::acknowledge`](super::Client::acknowledge), at any later time. `None` at QoS 0.
    ///
    /// Acknowledgements are sent in the order of the messages, whatever the order of the calls. If the token is never
    /// used, the server repeats the message on the next link, and stops sending once it has
    /// [`receive_maximum`](crate::session::Options::receive_maximum) unacknowledged messages.
    #[must_use]
    pub fn defer_ack(self) -> Option<AckToken> {
        let token = self.inbox.hand.current.and_then(|current| current.token);
        self.inbox.release(ReasonCode::SUCCESS, false);
        token
    }

    /// Refuses the message; the server does not send it again. `code` from 0x80, see [`ReasonCode`]. 3.1.1 knows no
    /// refusal: there it is acknowledged like any other.
    pub fn reject(self, code: ReasonCode) {
        self.inbox.release(code, true);
    }

    fn kind(&self) -> Option<ReadyKind> {
        self.inbox.hand.current.map(|current| current.kind)
    }

    /// Whether topic and properties are in the buffer.
    fn has_head(&self) -> bool {
        !matches!(self.kind(), None | Some(ReadyKind::Nameless))
    }
}

impl<K: Kind> Drop for Received<'_, K> {
    fn drop(&mut self) {
        self.inbox.release(ReasonCode::SUCCESS, true);
    }
}

impl<K: Kind> fmt::Debug for Received<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.publish().fmt(f)
    }
}
