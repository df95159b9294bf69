//! Numbers of requests, and which of them wait for an answer.

use crate::{Instant, bytes::fingerprint, platform::json::RawJson};

use super::{RpcRequest, topics::MAX_ID};

/// Requests of the device that wait for an answer: at most `N`, each with a note `T` of what it was about.
///
/// For requests of attributes, calls of the server, and requests of a gateway; one table can serve all. A number comes
/// again after 2,147,483,648 requests only, so never within the 60 seconds in which the server may still end an older call
/// of the same number.
///
/// ```
/// use mqtt_core::{Instant, platform::thingsboard::{ATTRIBUTE_TIMEOUT_MS, AttributeKeys, Device, Requests}};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum About { Configuration }
///
/// const DEVICE: Device = Device::new();
/// let now = Instant::from_millis(0);
/// let mut requests = Requests::<About, 4>::new();
/// let id = requests.begin(About::Configuration, ATTRIBUTE_TIMEOUT_MS, now).ok_or("all in use")?;
/// let publication = DEVICE.attribute_request(id, AttributeKeys::shared(&["interval"]));
/// // The answer, or the end of the wait:
/// assert_eq!(requests.end(id), Some(About::Configuration));
/// assert_eq!(requests.expired(now.plus(ATTRIBUTE_TIMEOUT_MS)), None);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Requests<T, const N: usize> {
    next: u32,
    waiting: [Option<Waiting<T>>; N],
}

#[derive(Debug)]
struct Waiting<T> {
    id: u32,
    until: Instant,
    about: T,
}

impl<T, const N: usize> Requests<T, N> {
    /// No request yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            next: 1,
            waiting: [const { None }; N],
        }
    }

    /// The number of a new request, whose answer is waited for `timeout_ms` milliseconds (2^31 - 1 at most); `None` if `N`
    /// are waiting.
    pub fn begin(&mut self, about: T, timeout_ms: u32, now: Instant) -> Option<u32> {
        let place = self.waiting.iter_mut().find(|place| place.is_none())?;
        let id = self.next;
        self.next = id.wrapping_add(1) & MAX_ID;
        *place = Some(Waiting {
            id,
            until: now.plus(timeout_ms),
            about,
        });
        Some(id)
    }

    /// The answer has come, or the request is given up: what it was about. `None` if it was not waited for, or not
    /// any more.
    pub fn end(&mut self, id: u32) -> Option<T> {
        self.take(|waiting| waiting.id == id)
            .map(|(_, about)| about)
    }

    /// A request whose time is over: its number and what it was about. To be called until it gives none.
    pub fn expired(&mut self, now: Instant) -> Option<(u32, T)> {
        self.take(|waiting| now.has_reached(waiting.until))
    }

    /// When to call [`expired`](Self::expired) next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.waiting.iter().flatten().map(|waiting| waiting.until);
        deadlines.reduce(Instant::min)
    }

    fn take(&mut self, is_meant: impl Fn(&Waiting<T>) -> bool) -> Option<(u32, T)> {
        let is_meant = |place: &&mut Option<Waiting<T>>| place.as_ref().is_some_and(&is_meant);
        let waiting = self.waiting.iter_mut().find(is_meant)?.take()?;
        Some((waiting.id, waiting.about))
    }
}

impl<T, const N: usize> Default for Requests<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The last `N` calls by the server, so that one that comes again is not carried out twice.
///
/// The server repeats what was not answered, after a reconnect for example. A call is recognized by its number and its
/// text, since the numbers begin anew when the server restarts.
#[derive(Debug)]
pub struct SeenRequests<const N: usize> {
    seen: [Option<Request>; N],
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Request {
    id: u32,
    fingerprint: u32,
    answered: bool,
}

/// Whether a call is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Seen {
    /// It has not been here, or so long ago that it is forgotten. Carry it out.
    New,
    /// It is being carried out. Do nothing.
    Running,
    /// It was answered, and the answer may have been lost. Answer again.
    Answered,
}

impl<const N: usize> SeenRequests<N> {
    /// No call yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seen: [None; N],
            next: 0,
        }
    }

    /// Whether `request` is new; notes it if so, in the place of the oldest.
    pub fn note(&mut self, request: &RpcRequest<'_>) -> Seen {
        let fingerprint = fingerprint_of(request);
        let mut known = self.seen.iter().flatten();
        if let Some(known) =
            known.find(|known| known.id == request.id && known.fingerprint == fingerprint)
        {
            return if known.answered {
                Seen::Answered
            } else {
                Seen::Running
            };
        }
        if let Some(oldest) = self.seen.get_mut(self.next) {
            *oldest = Some(Request {
                id: request.id,
                fingerprint,
                answered: false,
            });
        }
        self.next = self.next.wrapping_add(1);
        if self.next >= N {
            self.next = 0;
        }
        Seen::New
    }

    /// The newest call of the number `id` was answered.
    pub fn answered(&mut self, id: u32) {
        let (newer, older) = self
            .seen
            .split_at_mut_checked(self.next)
            .unwrap_or_default();
        let mut newest_first = newer
            .iter_mut()
            .rev()
            .chain(older.iter_mut().rev())
            .flatten();
        if let Some(request) = newest_first.find(|request| request.id == id) {
            request.answered = true;
        }
    }
}

impl<const N: usize> Default for SeenRequests<N> {
    fn default() -> Self {
        Self::new()
    }
}

fn fingerprint_of(request: &RpcRequest<'_>) -> u32 {
    let method = fingerprint(0, request.method.raw());
    fingerprint(method, RawJson::as_bytes(request.params))
}
