//! Messages that outlive a loss of power: accepted into a [`Store`], published from there, removed when acknowledged.
//!
//! ```text
//! tasks --publish--> Outbox --append--> Store
//!                       |                 |
//!                 run   | <----find-------+ oldest first
//!                       v                 |
//!                    Client --acknowledged--remove-->
//! ```
//!
//! [`Outbox::publish`] returns when a message is durable. From then on it is delivered at least once, whatever happens in
//! between: lost links, restarts of the server, losses of power, futures that are dropped. It ends in one of these ways,
//! and no other: the server acknowledged it; it will never be acknowledged, which is told with its [`Loss`]; or the
//! policy of a full outbox gave it up, which is counted.
//!
//! A message may arrive twice when power is lost between its acknowledgement and its removal. That goes for QoS 2 as
//! well: exactly once is the business of a session, which ends with the power.
//!
//! On 3.1.1, use QoS 1, or connect with [`clean_session`](crate::session::Options::clean_session) on, or keep the session with a
//! [`SessionKeeper`](crate::client::SessionKeeper). Otherwise the server goes on with a session of which a restarted device
//! knows nothing, and may take a new message at QoS 2 for the repetition of an old one: it acknowledges it and drops it.
//! On MQTT 5 such a session is noticed and ended, unless [`session_known`](crate::session::Options::session_known) is set.
//!
//! ```
//! # async fn example<K: mqtt_core::client::Kind, S: mqtt_core::outbox::Store>(
//! #     client: mqtt_core::client::Client<K>, store: S, buffer: K::Buffer,
//! # ) -> Result<(), mqtt_core::outbox::AcceptError<S::Error>> {
//! use mqtt_core::{Message, outbox::Outbox};
//!
//! // Eight messages are under way at once. The buffer holds the longest record.
//! let outbox: Outbox<K, S, K::Buffer, 8> = Outbox::new(client, store, buffer);
//!
//! // In any task, with a link or without:
//! outbox.publish(&Message::new("meter/kwh", b"4711").at_least_once()).await?;
//!
//! // In one task, beside the runner of the client:
//! outbox.run(|_, _| Ok(()), |message, loss| { /* log message.topic and loss */ }).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Rates
//!
//! The first closure of [`Outbox::run`] says whether a message may be published now, or when. It is where limiters of
//! platforms go:
//!
//! ```
//! use mqtt_core::{Instant, Message, outbox::Interval, platform::{losant, thingsboard}};
//!
//! // 30 messages in 15 s and topic, as Losant has it:
//! let mut limiter = losant::RateLimiter::<2>::new();
//! let admit = move |message: &Message<'_>, now: Instant| {
//!     limiter.admit(message.topic, now).map_err(|too_fast| too_fast.until)
//! };
//! // The rates that a ThingsBoard server has announced:
//! let rates = thingsboard::Rates { messages: Some("10:1,300:60"), ..thingsboard::Rates::default() };
//! let mut limiter = thingsboard::RateLimiter::new(&rates)?;
//! let admit = move |_: &Message<'_>, now: Instant| limiter.try_send(thingsboard::Traffic::Other, now);
//! // No platform: one in 200 ms.
//! let mut interval = Interval::of_millis(200);
//! let admit = move |_: &Message<'_>, now: Instant| interval.admit(now);
//! # Ok::<(), thingsboard::BadRate>(())
//! ```
//!
//! # Memory and wear
//!
//! One buffer, as long as the longest record: 9 bytes, topic, properties and payload; with
//! [`OutboxPolicy::KeepLatest`] and the longest topic once more. Each message is written once and marked as removed once.

mod flush;
mod record;
mod store;

use core::{fmt, future::poll_fn, task::Poll};

use crate::{
    client::{Client, Delivery, Kind, Mutex, Wakers},
    codec::QoS,
    publication::Publication,
    session::{OutboxPolicy, PublishError},
};

use flush::Passage;

pub use flush::{Interval, Loss, RunError};
pub use store::{AppendError, RecordNumber, Store};

/// Accepts messages into a [`Store`], and publishes them from there through a [`Client`].
///
/// Many tasks may [`publish`](Self::publish); one runs [`run`](Self::run). All futures may be dropped at any time:
/// nothing that was accepted is lost by that.
///
/// `B` is the buffer for one record, see the [module](self). `WINDOW` is how many messages may be unacknowledged at once, 1
/// or more; each takes some 20 bytes. The transmit buffer of the client should hold as many.
pub struct Outbox<K: Kind, S, B, const WINDOW: usize> {
    client: Client<K>,
    state: K::Mutex<State<K, S, B, WINDOW>>,
}

struct State<K: Kind, S, B, const WINDOW: usize> {
    /// Absent while somebody works with it.
    desk: Option<Desk<S, B>>,
    policy: OutboxPolicy,
    /// The number of the next record; `None` before the store was looked through.
    next: Option<RecordNumber>,
    /// The newest record that was given to the client.
    newest_sent: Option<RecordNumber>,
    /// What was taken from the store and is not removed yet.
    window: [Passage<K>; WINDOW],
    /// A rate has admitted this one already.
    admitted: Option<RecordNumber>,
    /// There may be records that the flush has not seen.
    news: bool,
    /// Moves with each removal; wraps.
    freed: u16,
    counters: Counters,
    waiters: K::Wakers,
}

/// The store, and a buffer for one record.
struct Desk<S, B> {
    store: S,
    buffer: B,
}

/// What became of the messages since the outbox was made. Counts wrap.
///
/// A message that was given up while the store failed, or the future was dropped, may be counted and yet be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// Accepted: durable when [`Outbox::publish`] returned.
    pub accepted: u32,
    /// Acknowledged by the server and removed.
    pub delivered: u32,
    /// Given up, and told with a [`Loss`].
    pub lost: u32,
    /// Given up to make room, as [`OutboxPolicy::DropOldest`] and [`OutboxPolicy::KeepLatest`] say.
    pub dropped: u32,
    /// Replaced by a newer message with the same topic, as [`OutboxPolicy::KeepLatest`] says.
    pub replaced: u32,
}

/// Why a message was not accepted. It will not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AcceptError<E> {
    /// QoS 0 is not acknowledged, so nothing can be promised for it.
    AtMostOnce,
    /// No room, and the policy does not wait, or gives nothing up.
    Full,
    /// It could never be published: a topic that is none, or longer than the buffer of a record, the transmit buffer
    /// or the store can take, or above a limit that the server has announced.
    Publish(PublishError),
    /// The store failed. The message may be there, and be sent after the next restart.
    Store(E),
}

impl<E: fmt::Display> fmt::Display for AcceptError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMostOnce => f.write_str("QoS 0 cannot be promised"),
            Self::Full => f.write_str("outbox is full"),
            Self::Publish(error) => error.fmt(f),
            Self::Store(error) => write!(f, "store: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for AcceptError<E> {}

impl<K, S, B, const WINDOW: usize> Outbox<K, S, B, WINDOW>
where
    K: Kind,
    S: Store,
    B: AsMut<[u8]>,
{
    /// An outbox with what is in `store` already, to be published by `client`. When it is full, messages wait.
    #[must_use]
    pub fn new(client: Client<K>, store: S, buffer: B) -> Self {
        const { assert!(WINDOW > 0, "nothing could be sent") };
        Self {
            client,
            state: K::Mutex::new(State {
                desk: Some(Desk { store, buffer }),
                policy: OutboxPolicy::Wait,
                next: None,
                newest_sent: None,
                window: [const { Passage::Free }; WINDOW],
                admitted: None,
                news: true,
                freed: 0,
                counters: Counters::default(),
                waiters: K::Wakers::NEW,
            }),
        }
    }

    /// Sets what happens to messages that find no room. Before the first call it is [`OutboxPolicy::Wait`].
    ///
    /// Messages under way are neither dropped nor replaced. A store may free room in larger portions than one record, so
    /// that several are dropped at once: flash a block.
    pub fn set_policy(&self, policy: OutboxPolicy) {
        self.state.with(|state| state.policy = policy);
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.with(|state| state.counters)
    }

    /// Accepts a message: when this returns `Ok` it is durable.
    ///
    /// Properties of MQTT 5 are kept with it. A Message Expiry Interval counts from the moment when the message is given
    /// to the client: the time in the store is not counted, since no clock goes on without power.
    ///
    /// With [`OutboxPolicy::Wait`] it waits for room, which [`run`](Self::run) makes. Dropping the future leaves open
    /// whether the message was accepted; it is there in full or not at all.
    ///
    /// # Errors
    ///
    /// [`AcceptError`].
    pub async fn publish<P: Publication>(
        &self,
        publication: &P,
    ) -> Result<(), AcceptError<S::Error>> {
        if publication.qos() == QoS::AtMostOnce {
            return Err(AcceptError::AtMostOnce);
        }
        loop {
            let (policy, freed) = self.state.with(|state| (state.policy, state.freed));
            let stored = self.store(publication, policy).await;
            if policy != OutboxPolicy::Wait || !matches!(stored, Err(AcceptError::Full)) {
                return stored;
            }
            self.room_made(freed).await;
        }
    }

    /// Waits until something was removed after that moment.
    fn room_made(&self, freed: u16) -> impl Future<Output = ()> {
        poll_fn(move |cx| {
            self.state.with(|state| {
                if state.freed != freed {
                    return Poll::Ready(());
                }
                state.waiters.register(cx.waker());
                Poll::Pending
            })
        })
    }

    async fn store<P: Publication>(
        &self,
        publication: &P,
        policy: OutboxPolicy,
    ) -> Result<(), AcceptError<S::Error>> {
        let mut loan = self.lend().await;
        loan.brings_news = true;
        let number = self.take_number(&mut loan).await?;
        let lengths = loop {
            let lengths = record::encode(publication, number, loan.buffer())?;
            self.client.check_publish(publication, &lengths)?;
            if policy == OutboxPolicy::KeepLatest && !loan.has_room_beside(&lengths) {
                return Err(AcceptError::Publish(PublishError::TooLarge));
            }
            match loan.append(lengths.record).await {
                Ok(()) => break lengths,
                Err(AppendError::Full) => {}
                Err(AppendError::TooLarge) => {
                    return Err(AcceptError::Publish(PublishError::TooLarge));
                }
                Err(AppendError::Store(error)) => return Err(AcceptError::Store(error)),
            }
            let may_drop = matches!(policy, OutboxPolicy::DropOldest | OutboxPolicy::KeepLatest);
            if !may_drop || !self.drop_oldest(&mut loan).await? {
                return Err(AcceptError::Full);
            }
        };
        self.count(|counters| &mut counters.accepted);
        if policy == OutboxPolicy::KeepLatest {
            // It is accepted, whatever happens to the older ones: they are sent before it, if they stay.
            let _ = self.replace_older(&mut loan, number, lengths.topic).await;
        }
        Ok(())
    }

    /// The number of the next record. It is used up, whether the record is written or not.
    async fn take_number(
        &self,
        loan: &mut Loan<'_, K, S, B, WINDOW>,
    ) -> Result<RecordNumber, AcceptError<S::Error>> {
        let number = if let Some(number) = self.state.with(|state| state.next) {
            number
        } else {
            let newest = loan.newest().await.map_err(AcceptError::Store)?;
            // Of what was sent nothing may be left in the store; the next must be newer all the same.
            let newest_sent = self.state.with(|state| state.newest_sent);
            let newest = newest_of(newest, newest_sent);
            newest.map_or(RecordNumber::FIRST, RecordNumber::next)
        };
        self.state.with(|state| state.next = Some(number.next()));
        Ok(number)
    }

    /// Gives up the oldest record that is not under way; false if there is none.
    async fn drop_oldest(
        &self,
        loan: &mut Loan<'_, K, S, B, WINDOW>,
    ) -> Result<bool, AcceptError<S::Error>> {
        let under_way = self.under_way();
        let oldest = loan
            .find(&mut |record| !is_in(&under_way, RecordNumber::of(record)))
            .await
            .map_err(AcceptError::Store)?;
        let Some(oldest) = oldest else {
            return Ok(false);
        };
        // Counted before: dropped in the middle, this future may have removed it.
        self.count(|counters| &mut counters.dropped);
        loan.remove(oldest).await.map_err(AcceptError::Store)?;
        self.freed();
        Ok(true)
    }

    /// Gives up the records that are older than that number, have the topic of the record in the buffer, and are not
    /// under way. More than one there is only after a loss of power in the middle of this.
    async fn replace_older(
        &self,
        loan: &mut Loan<'_, K, S, B, WINDOW>,
        number: RecordNumber,
        topic_len: usize,
    ) -> Result<(), S::Error> {
        let under_way = self.under_way();
        loan.keep_topic(topic_len);
        while let Some(older) = loan
            .find_topic(topic_len, &mut |candidate| {
                number.is_after(candidate) && !is_in(&under_way, Some(candidate))
            })
            .await?
        {
            self.count(|counters| &mut counters.replaced);
            loan.remove_beside(older, topic_len).await?;
            self.freed();
        }
        Ok(())
    }

    /// The numbers of the records that were taken from the store.
    fn under_way(&self) -> [Option<RecordNumber>; WINDOW] {
        self.state.with(|state| {
            let mut numbers = [None; WINDOW];
            for (number, passage) in numbers.iter_mut().zip(&state.window) {
                *number = passage.number();
            }
            numbers
        })
    }

    fn count(&self, counter: impl FnOnce(&mut Counters) -> &mut u32) {
        self.state.with(|state| {
            let counter = counter(&mut state.counters);
            *counter = counter.wrapping_add(1);
        });
    }

    /// A record is gone. Those who wait for room are woken when the store is at hand again.
    fn freed(&self) {
        self.state
            .with(|state| state.freed = state.freed.wrapping_add(1));
    }

    /// Waits for store and buffer, which go back when the loan is dropped.
    async fn lend(&self) -> Loan<'_, K, S, B, WINDOW> {
        let desk = poll_fn(|cx| {
            self.state.with(|state| {
                if let Some(desk) = state.desk.take() {
                    return Poll::Ready(desk);
                }
                state.waiters.register(cx.waker());
                Poll::Pending
            })
        })
        .await;
        Loan {
            outbox: self,
            desk: Some(desk),
            brings_news: false,
        }
    }
}

impl<K: Kind, S, B, const WINDOW: usize> fmt::Debug for Outbox<K, S, B, WINDOW> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.state.with(|state| state.counters);
        f.debug_struct("Outbox")
            .field("counters", &counters)
            .finish_non_exhaustive()
    }
}

impl<E> From<PublishError> for AcceptError<E> {
    fn from(error: PublishError) -> Self {
        Self::Publish(error)
    }
}

fn newest_of(one: Option<RecordNumber>, other: Option<RecordNumber>) -> Option<RecordNumber> {
    match (one, other) {
        (Some(one), Some(other)) if other.is_after(one) => Some(other),
        (one, other) => one.or(other),
    }
}

fn is_in(numbers: &[Option<RecordNumber>], number: Option<RecordNumber>) -> bool {
    number.is_some() && numbers.contains(&number)
}

/// Store and buffer in the hands of one task. They go back when it is dropped, wherever that task was.
struct Loan<'o, K: Kind, S, B, const WINDOW: usize> {
    outbox: &'o Outbox<K, S, B, WINDOW>,
    /// Absent only while this is dropped.
    desk: Option<Desk<S, B>>,
    /// It may leave a record of which nobody was told.
    brings_news: bool,
}

impl<K: Kind, S: Store, B: AsMut<[u8]>, const WINDOW: usize> Loan<'_, K, S, B, WINDOW> {
    /// The part of the buffer that a record can be read back into.
    fn buffer(&mut self) -> &mut [u8] {
        match &mut self.desk {
            Some(desk) => split_end(desk.buffer.as_mut(), 0, desk.store.word_len()).0,
            None => &mut [],
        }
    }

    /// Whether the topic can be kept while records as long as this one are read.
    fn has_room_beside(&mut self, lengths: &record::Lengths) -> bool {
        self.desk.as_mut().is_some_and(|desk| {
            let word_len = desk.store.word_len();
            let (scratch, _) = split_end(desk.buffer.as_mut(), lengths.topic, word_len);
            scratch.len() >= lengths.record
        })
    }

    /// Appends the first `len` bytes of the buffer.
    async fn append(&mut self, len: usize) -> Result<(), AppendError<S::Error>> {
        let Some(desk) = &mut self.desk else {
            return Err(AppendError::Full);
        };
        let record = desk.buffer.as_mut().get(..len).unwrap_or_default();
        desk.store.append(record).await
    }

    /// The number of the newest record.
    async fn newest(&mut self) -> Result<Option<RecordNumber>, S::Error> {
        let mut newest = None;
        self.find(&mut |record| {
            newest = RecordNumber::of(record);
            false
        })
        .await?;
        Ok(newest)
    }

    /// Reads the oldest record that is wanted into the buffer.
    async fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Option<RecordNumber>, S::Error> {
        let Some(record) = self.read(wanted).await? else {
            return Ok(None);
        };
        Ok(RecordNumber::of(record))
    }

    /// As [`find`](Self::find); the whole record.
    async fn read(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Result<Option<&[u8]>, S::Error> {
        let Some(desk) = &mut self.desk else {
            return Ok(None);
        };
        let (buffer, _) = split_end(desk.buffer.as_mut(), 0, desk.store.word_len());
        let len = desk.store.find(wanted, buffer).await?;
        Ok(len.and_then(|len| buffer.get(..len)))
    }

    async fn remove(&mut self, number: RecordNumber) -> Result<(), S::Error> {
        self.remove_beside(number, 0).await
    }

    /// Removes a record, and leaves the last `kept` bytes of the buffer as they are.
    async fn remove_beside(&mut self, number: RecordNumber, kept: usize) -> Result<(), S::Error> {
        let Some(desk) = &mut self.desk else {
            return Ok(());
        };
        let (scratch, _) = split_end(desk.buffer.as_mut(), kept, desk.store.word_len());
        desk.store.remove(number, scratch).await
    }

    /// Copies the topic of the record in the buffer to the end of the buffer.
    fn keep_topic(&mut self, len: usize) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        let (record, kept) = split_end(desk.buffer.as_mut(), len, desk.store.word_len());
        let topic = record::topic_of(record).unwrap_or_default();
        for (to, from) in kept.iter_mut().zip(topic) {
            *to = *from;
        }
    }

    /// The oldest record with the topic at the end of the buffer whose number is wanted.
    async fn find_topic(
        &mut self,
        len: usize,
        wanted: &mut (dyn FnMut(RecordNumber) -> bool + Send),
    ) -> Result<Option<RecordNumber>, S::Error> {
        let Some(desk) = &mut self.desk else {
            return Ok(None);
        };
        let (scratch, kept) = split_end(desk.buffer.as_mut(), len, desk.store.word_len());
        let topic = kept.get(..len);
        let mut found = None;
        desk.store
            .find(
                &mut |record| {
                    found = RecordNumber::of(record).filter(|number| wanted(*number));
                    found.is_some() && record::topic_of(record) == topic
                },
                scratch,
            )
            .await
            .map(|len| len.and(found))
    }
}

impl<K: Kind, S, B, const WINDOW: usize> Drop for Loan<'_, K, S, B, WINDOW> {
    fn drop(&mut self) {
        self.outbox.state.with(|state| {
            state.desk = self.desk.take();
            state.news |= self.brings_news;
            state.waiters.wake();
        });
    }
}

/// The last `len` bytes or some more, and whole words before them.
fn split_end(bytes: &mut [u8], len: usize, word_len: usize) -> (&mut [u8], &mut [u8]) {
    let at = bytes.len().saturating_sub(len);
    let at = at.saturating_sub(at.checked_rem(word_len).unwrap_or(0));
    bytes.split_at_mut_checked(at).unwrap_or_default()
}

/// What a message at QoS 1 or 2 would take, asked of the client before it is stored.
impl<K: Kind> Client<K> {
    fn check_publish(
        &self,
        publication: &dyn Publication,
        lengths: &record::Lengths,
    ) -> Result<(), PublishError> {
        let body = lengths
            .topic
            .saturating_add(2 + 2)
            .saturating_add(lengths.payload);
        self.check(
            publication.qos(),
            publication.retain(),
            body,
            lengths.section,
        )
    }
}
