//! From the store to the server.

use core::{
    fmt,
    future::poll_fn,
    mem::replace,
    pin::pin,
    task::{Context, Poll},
};

use crate::{
    Message,
    client::{LinkEnd, LinkState},
    session::DeliveryError,
    time::Instant,
};

use super::{
    Delivery, Kind, Mutex, Outbox, PublishError, RecordNumber, State, Store, Wakers, record,
};

/// While others fill the transmit buffer, room is looked for so often, in milliseconds.
const FULL_RETRY_MS: u32 = 250;

/// Where a record is between the store and its removal from there.
pub(super) enum Passage<K: Kind> {
    /// None.
    Free,
    /// To be published again: the client has given it up.
    Again(RecordNumber),
    /// With the client.
    Sent(RecordNumber, Delivery<K>),
    /// To be removed; before, the loss is to be told.
    Over(RecordNumber, Option<Loss>),
    /// To be removed; the loss was told.
    Told(RecordNumber),
}

impl<K: Kind> Passage<K> {
    pub(super) const fn number(&self) -> Option<RecordNumber> {
        match self {
            Self::Free => None,
            Self::Again(number)
            | Self::Sent(number, _)
            | Self::Over(number, _)
            | Self::Told(number) => Some(*number),
        }
    }

    /// Looks what has become of a message; whether anything has.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Self::Sent(number, delivery) = self else {
            return false;
        };
        let number = *number;
        let Poll::Ready(outcome) = pin!(delivery.acknowledged()).poll(cx) else {
            return false;
        };
        *self = match outcome {
            Ok(_) => Self::Over(number, None),
            // It waits with the client, for the next run of the runner.
            Err(DeliveryError::Stopped) => return false,
            Err(DeliveryError::Dropped | DeliveryError::LinkLost | DeliveryError::SessionLost) => {
                Self::Again(number)
            }
            Err(error) => Self::Over(number, Some(Loss::Undelivered(error))),
        };
        true
    }
}

/// Why an accepted message will not arrive. It is not in the store any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Loss {
    /// It can never be published: above a limit that the server announced after it was accepted, or too large for a
    /// transmit buffer that is smaller than that of the firmware which accepted it.
    Refused(PublishError),
    /// The server refused it, it expired, or the server kept closing the link on it.
    Undelivered(DeliveryError),
    /// Written by another version of the firmware, in a form that this one cannot read. The message has no topic, and
    /// the record for its payload.
    Unreadable,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Undelivered(error) => error.fmt(f),
            Self::Unreadable => f.write_str("record of another version"),
        }
    }
}

impl core::error::Error for Loss {}

/// Why the outbox publishes no more. It can be run again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RunError<E> {
    /// The runner of the client has ended.
    Stopped(LinkEnd),
    /// The store failed.
    Store(E),
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(end) => end.fmt(f),
            Self::Store(error) => write!(f, "store: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for RunError<E> {}

/// The simplest rate: one message in so much time.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    millis: u32,
    last: Option<Instant>,
}

impl Interval {
    /// One message in `millis` milliseconds.
    #[must_use]
    pub const fn of_millis(millis: u32) -> Self {
        Self { millis, last: None }
    }

    /// Counts a message, if it may be sent now.
    ///
    /// # Errors
    ///
    /// When it may.
    pub fn admit(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(last) = self.last
            && now.since(last) < self.millis
        {
            return Err(last.plus(self.millis));
        }
        self.last = Some(now);
        Ok(())
    }
}

/// Why nothing can be published at the moment.
enum Pause {
    /// Nothing is left that is not under way.
    Empty,
    /// The window is full.
    Busy,
    /// No link: this state has to change.
    Link(LinkState),
    /// Not before then.
    Until(Instant),
    /// A record is to be told of and removed first.
    Settle,
}

impl<K, S, B, const WINDOW: usize> Outbox<K, S, B, WINDOW>
where
    K: Kind,
    S: Store,
    B: AsMut<[u8]>,
{
    /// Publishes what is in the store, oldest first, and what is accepted meanwhile; removes what the server has
    /// acknowledged. To be run beside the runner of the client, by one task.
    ///
    /// `admit` is asked before each message whether it may be published now; if not, its error says when to ask again.
    /// `lost` is told of each message that will never arrive, before it is removed; after a loss of power perhaps twice.
    ///
    /// Nothing is taken from the store while there is no link. Messages are published in the order of their acceptance;
    /// one that has to be sent again, after the server lost a session in the middle of QoS 2, comes later. Dropping
    /// the future loses nothing: the next call goes on with what is under way.
    pub async fn run(
        &self,
        mut admit: impl FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
        mut lost: impl FnMut(&Message<'_>, Loss),
    ) -> RunError<S::Error> {
        loop {
            if let Err(error) = self.drive(&mut admit, &mut lost, false).await {
                return error;
            }
        }
    }

    /// As [`run`](Self::run), until the store is empty: before a device goes to sleep, say.
    ///
    /// # Errors
    ///
    /// [`RunError`]: there may be messages left.
    pub async fn flush(
        &self,
        mut admit: impl FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
        mut lost: impl FnMut(&Message<'_>, Loss),
    ) -> Result<(), RunError<S::Error>> {
        self.drive(&mut admit, &mut lost, true).await
    }

    async fn drive<A, L>(
        &self,
        admit: &mut A,
        lost: &mut L,
        until_empty: bool,
    ) -> Result<(), RunError<S::Error>>
    where
        A: FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
        L: FnMut(&Message<'_>, Loss),
    {
        loop {
            self.settle(lost).await.map_err(RunError::Store)?;
            let pause = self.feed(admit).await.map_err(RunError::Store)?;
            match pause {
                Pause::Link(LinkState::Stopped(end)) => return Err(RunError::Stopped(end)),
                Pause::Empty if until_empty && self.is_idle() => return Ok(()),
                Pause::Settle => {}
                pause => self.wait(&pause).await,
            }
        }
    }

    /// Removes what the server has acknowledged, and what will never be.
    async fn settle<L: FnMut(&Message<'_>, Loss)>(&self, lost: &mut L) -> Result<(), S::Error> {
        while let Some((index, number, loss)) = self.state.with(|state| state.next_over()) {
            let mut loan = self.lend().await;
            if let Some(loss) = loss {
                let record = loan
                    .read(&mut |record| RecordNumber::of(record) == Some(number))
                    .await?;
                if let Some(record) = record {
                    let unreadable = Message::new("", record);
                    lost(&record::decode(record).unwrap_or(unreadable), loss);
                }
                self.set(index, Passage::Told(number));
            }
            loan.remove(number).await?;
            let was_told = self.state.with(|state| state.clear(index));
            self.freed();
            self.count(|counters| {
                if was_told {
                    &mut counters.lost
                } else {
                    &mut counters.delivered
                }
            });
        }
        Ok(())
    }

    /// Publishes as many records as may be; says why no more.
    async fn feed<A>(&self, admit: &mut A) -> Result<Pause, S::Error>
    where
        A: FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
    {
        loop {
            let link = self.client.state();
            if !matches!(link, LinkState::Connected { .. }) {
                return Ok(Pause::Link(link));
            }
            let Some((index, again)) = self.state.with(|state| state.next_place()) else {
                return Ok(Pause::Busy);
            };
            let mut loan = self.lend().await;
            let newest_sent = self.state.with(|state| {
                state.news = false;
                state.newest_sent
            });
            let record = loan
                .read(&mut |record| match (again, RecordNumber::of(record)) {
                    (None, Some(number)) => newest_sent.is_none_or(|sent| number.is_after(sent)),
                    (again, number) => again == number,
                })
                .await?;
            let Some(record) = record else {
                if again.is_none() {
                    return Ok(Pause::Empty);
                }
                // Somebody else has removed it.
                self.set(index, Passage::Free);
                continue;
            };
            if let Some(pause) = self.offer(index, record, admit) {
                return Ok(pause);
            }
        }
    }

    /// Gives a record to the client, if that may be.
    fn offer<A>(&self, index: usize, record: &[u8], admit: &mut A) -> Option<Pause>
    where
        A: FnMut(&Message<'_>, Instant) -> Result<(), Instant>,
    {
        let number = RecordNumber::of(record)?;
        let Some(message) = record::decode(record) else {
            self.take(index, number, Passage::Over(number, Some(Loss::Unreadable)));
            return Some(Pause::Settle);
        };
        let now = K::now();
        let is_admitted = self.state.with(|state| state.admitted == Some(number));
        if !is_admitted {
            if let Err(until) = admit(&message, now) {
                return Some(Pause::Until(until));
            }
            self.state.with(|state| state.admitted = Some(number));
        }
        match self.client.try_publish(&message) {
            Ok(delivery) => {
                self.take(index, number, Passage::Sent(number, delivery));
                None
            }
            Err(PublishError::Full | PublishError::NotConnected | PublishError::Stopped) => {
                Some(Pause::Until(now.plus(FULL_RETRY_MS)))
            }
            Err(error) => {
                let loss = Loss::Refused(error);
                self.take(index, number, Passage::Over(number, Some(loss)));
                Some(Pause::Settle)
            }
        }
    }

    /// The record is under way from now on.
    fn take(&self, index: usize, number: RecordNumber, passage: Passage<K>) {
        self.state.with(|state| {
            if state.newest_sent.is_none_or(|sent| number.is_after(sent)) {
                state.newest_sent = Some(number);
            }
        });
        self.set(index, passage);
    }

    fn set(&self, index: usize, passage: Passage<K>) {
        self.state.with(|state| state.set(index, passage));
    }

    fn is_idle(&self) -> bool {
        self.state.with(|state| {
            let mut window = state.window.iter();
            !state.news && window.all(|passage| matches!(passage, Passage::Free))
        })
    }

    /// Waits until there may be something to do again.
    async fn wait(&self, pause: &Pause) {
        let mut sleep = pin!(match pause {
            Pause::Until(until) => Some(K::sleep_until(*until)),
            _ => None,
        });
        let link = match pause {
            Pause::Link(link) => *link,
            _ => self.client.state(),
        };
        let mut change = pin!(self.client.state_change(link));
        poll_fn(|cx| {
            if change.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if let Some(sleep) = sleep.as_mut().as_pin_mut()
                && sleep.poll(cx).is_ready()
            {
                return Poll::Ready(());
            }
            self.state.with(|state| {
                let mut is_over = false;
                for passage in &mut state.window {
                    is_over |= passage.poll(cx);
                }
                if is_over || (matches!(pause, Pause::Empty) && state.news) {
                    return Poll::Ready(());
                }
                state.waiters.register(cx.waker());
                Poll::Pending
            })
        })
        .await;
    }
}

impl<K: Kind, S, B, const WINDOW: usize> State<K, S, B, WINDOW> {
    /// A record that is to be removed.
    fn next_over(&self) -> Option<(usize, RecordNumber, Option<Loss>)> {
        let mut window = self.window.iter().enumerate();
        window.find_map(|(index, passage)| match passage {
            Passage::Over(number, loss) => Some((index, *number, *loss)),
            Passage::Told(number) => Some((index, *number, None)),
            _ => None,
        })
    }

    /// Where the next record to publish has its place: the oldest that has to be sent again, or a free one.
    fn next_place(&self) -> Option<(usize, Option<RecordNumber>)> {
        let mut place = None;
        for (index, passage) in self.window.iter().enumerate() {
            match (passage, place) {
                (Passage::Again(number), Some((_, Some(oldest)))) if number.is_after(oldest) => {}
                (Passage::Again(number), _) => place = Some((index, Some(*number))),
                (Passage::Free, None) => place = Some((index, None)),
                _ => {}
            }
        }
        place
    }

    fn set(&mut self, index: usize, passage: Passage<K>) {
        if let Some(place) = self.window.get_mut(index) {
            *place = passage;
        }
    }

    /// Frees a place; whether the loss of its message was told.
    fn clear(&mut self, index: usize) -> bool {
        let Some(place) = self.window.get_mut(index) else {
            return false;
        };
        matches!(replace(place, Passage::Free), Passage::Told(_))
    }
}
