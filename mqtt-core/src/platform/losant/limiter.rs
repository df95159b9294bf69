//! The rates at which Losant lets a device publish.

use core::fmt;

use crate::Instant;

/// Keeps a device within the rates of Losant: 30 messages in 15 s for each topic, and 300 for each link.
///
/// Ask it before publishing. `TOPICS` is the number of topics that are remembered; a gateway has one for each peripheral.
/// A topic takes 24 bytes, the rest 36.
///
/// ```
/// use mqtt_core::{Instant, platform::losant};
///
/// let mut limiter = losant::RateLimiter::<2>::new();
/// let now = Instant::from_millis(0); // from your clock
/// for _ in 0..30 {
///     limiter.admit("575ecf887ae143cd83dc4aa2", now)?;
/// }
/// let refused = limiter.admit("575ecf887ae143cd83dc4aa2", now).unwrap_err();
/// assert_eq!(refused.until, now.plus(16_000));
/// # Ok::<(), losant::TooFast>(())
/// ```
///
/// Messages are counted by whole seconds, over 16 of them: a second more than the rule, for what the network delays.
/// Messages that the session sends again after a lost link are not counted; they are as many as are in flight at most.
/// What waits for a link goes out at once when it is there, whenever it was admitted: let little wait, by
/// [`OutboxPolicy::KeepLatest`](crate::session::OutboxPolicy::KeepLatest) for example.
#[derive(Clone, Debug)]
pub struct RateLimiter<const TOPICS: usize> {
    link: Window<u16>,
    topics: [Topic; TOPICS],
}

/// Not yet: the message would exceed a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooFast {
    /// When it may be sent, unless others are sent before.
    pub until: Instant,
}

impl fmt::Display for TooFast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more messages than the platform allows")
    }
}

impl core::error::Error for TooFast {}

/// A topic, by its hash. Two that have the same share a limit.
#[derive(Clone, Copy, Debug)]
struct Topic {
    hash: u32,
    window: Window<u8>,
}

const TOPIC_LIMIT: u16 = 30;
const LINK_LIMIT: u16 = 300;

const SECOND_MS: u32 = 1_000;
const SECONDS: usize = 16;
const WINDOW_MS: u32 = 16_000;

impl<const TOPICS: usize> RateLimiter<TOPICS> {
    /// No message was sent yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            link: Window::new(0),
            topics: [Topic {
                hash: 0,
                window: Window::new(0),
            }; TOPICS],
        }
    }

    /// Counts a message, if it may be sent now. `topic` is its topic or, shorter, the identifier of the device whose state
    /// it is.
    ///
    /// # Errors
    ///
    /// [`TooFast`] if a rate would be exceeded; also if more than `TOPICS` topics were used in the last 16 s.
    pub fn admit(&mut self, topic: &str, now: Instant) -> Result<(), TooFast> {
        self.link.advance(now);
        for topic in &mut self.topics {
            topic.window.advance(now);
        }
        let link_room = self.link.room(LINK_LIMIT);
        let window = Self::window_of(&mut self.topics, hash(topic))?;
        window
            .room(TOPIC_LIMIT)
            .and(link_room)
            .map_err(|until| TooFast { until })?;
        window.count();
        self.link.count();
        Ok(())
    }

    /// The window of a topic, or one that nobody needs.
    fn window_of(topics: &mut [Topic], hash: u32) -> Result<&mut Window<u8>, TooFast> {
        let known = topics.iter().position(|topic| topic.hash == hash);
        let index = known.or_else(|| topics.iter().position(|topic| topic.window.sum() == 0));
        let earliest = topics.iter().map(|topic| topic.window.empty_at());
        let until = earliest.reduce(Instant::min).unwrap_or_default();
        let topic = index
            .and_then(|index| topics.get_mut(index))
            .ok_or(TooFast { until })?;
        topic.hash = hash;
        Ok(&mut topic.window)
    }
}

impl<const TOPICS: usize> Default for RateLimiter<TOPICS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Messages in each of the last 16 seconds, the running one first.
#[derive(Clone, Copy, Debug)]
struct Window<C> {
    /// When the running second began.
    start: Instant,
    counts: [C; SECONDS],
}

impl<C: Copy> Window<C> {
    const fn new(zero: C) -> Self {
        Self {
            start: Instant::from_millis(0),
            counts: [zero; SECONDS],
        }
    }
}

impl<C> Window<C>
where
    C: Copy + Default + Into<u16> + TryFrom<u16>,
{
    /// Begins a new second, or several.
    fn advance(&mut self, now: Instant) {
        if now.since(self.start) >= WINDOW_MS {
            self.counts = [C::default(); SECONDS];
            self.start = now;
        }
        while now.since(self.start) >= SECOND_MS {
            self.start = self.start.plus(SECOND_MS);
            self.counts.rotate_right(1);
            let [first, ..] = &mut self.counts;
            *first = C::default();
        }
    }

    fn count(&mut self) {
        let [first, ..] = &mut self.counts;
        let count: u16 = (*first).into();
        *first = C::try_from(count.saturating_add(1)).unwrap_or(*first);
    }

    fn sum(&self) -> u16 {
        self.counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add((*count).into()))
    }

    /// Whether one more is allowed, or when it is.
    fn room(&self, limit: u16) -> Result<(), Instant> {
        let Some(excess) = self.sum().checked_sub(limit) else {
            return Ok(());
        };
        let mut freed = 0u16;
        let mut until = self.start;
        for count in self.counts.iter().rev() {
            freed = freed.saturating_add((*count).into());
            until = until.plus(SECOND_MS);
            if freed > excess {
                break;
            }
        }
        Err(until)
    }

    /// When none is counted any more.
    fn empty_at(&self) -> Instant {
        self.start.plus(WINDOW_MS)
    }
}

/// FNV-1a.
fn hash(topic: &str) -> u32 {
    topic.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
