//! The asynchronous client: one driver for all platforms, generic over links, clock and memory.
//!
//! ```text
//!  tasks --publish--> Client ---> Shared { Session, ReceiveBuffer } <--- Inbox --messages--> task
//!                                      |                   ^
//!                        transmit pump v                   | receive pump
//!                                   Writer     Runner    Reader
//! ```
//!
//! [`new`] makes a [`Client`] (as many clones as there are tasks that publish), one [`Inbox`] (for the task that
//! receives) and one [`Runner`] (to be run somewhere). Futures of `Client` and `Inbox` touch memory only, so each of
//! them may be dropped at any time; those that touch the link live in the runner, which drops them only together
//! with the link.
//!
//! The receive buffer has one owner at a time: the receive pump while it waits for bytes, the inbox while a message
//! is out. Back-pressure is nothing but the pump waiting for the buffer to come back.

mod backoff;
mod handle;
mod inbox;
mod kept;
mod kind;
mod process;
mod runner;
mod state;

use core::task::Waker;

use crate::{
    receive::{Lent, ReceiveBuffer},
    session::{AckToken, Options, Oversize, PublishError, Session},
    time::Instant,
};

pub use handle::{Client, Delivery, StreamError, SubscribeError};
pub use inbox::{Inbox, Received, Stopped};
pub use kept::{Kept, KeptError, KeptLink, KeptWriter, SessionKeeper, SessionStore};
pub use kind::{Close, Connect, ConnectError, Kind, Link, Mutex, Sender, Wakers};
pub use runner::Runner;
pub use state::{LinkEnd, LinkState, Report};

use process::Ready;
use runner::Step;

/// What client, inbox and runner share.
pub struct Shared<K: Kind> {
    content: K::Mutex<Content<K>>,
}

impl<K: Kind> Shared<K> {
    /// Makes the shared state.
    ///
    /// - `rx` holds received bytes, see [`ReceiveBuffer`] for its size;
    /// - `tx` holds queued and unacknowledged packets, `slots` their table, see [`Session`];
    /// - `wire` holds the bytes of one write to the link: 128 bytes do, more make fewer and larger writes.
    ///
    /// # Errors
    ///
    /// As [`configure`](Self::configure).
    pub fn new(
        rx: K::Buffer,
        tx: K::Buffer,
        slots: K::Slots,
        wire: K::Buffer,
        options: &Options<'_>,
    ) -> Result<Self, PublishError> {
        let shared = Self::empty(K::Mutex::new(Content::new(slots)));
        shared.configure(rx, tx, wire, options)?;
        Ok(shared)
    }

    /// The same in two steps, so that the state can lie in a static from the start, without an image in flash;
    /// [`configure`](Self::configure) comes next.
    pub const fn empty(content: K::Mutex<Content<K>>) -> Self {
        Self { content }
    }

    /// Takes the buffers, and the options for what is published before the runner is run.
    ///
    /// # Errors
    ///
    /// As [`Session::configure`].
    pub fn configure(
        &self,
        rx: K::Buffer,
        tx: K::Buffer,
        wire: K::Buffer,
        options: &Options<'_>,
    ) -> Result<(), PublishError> {
        self.with(|inner| {
            inner.rx.buffer_mut().0 = Some(rx);
            inner.session.buffer_mut().0 = Some(tx);
            inner.wire = Some(wire);
            inner.session.configure(options)
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner<K>) -> R) -> R {
        self.content.with(|content| f(&mut content.0))
    }
}

impl<K: Kind> core::fmt::Debug for Shared<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Makes the three handles of one connection.
///
/// The runner connects with the options that it is given; those of [`Shared::new`] are for what is published before.
pub fn new<K: Kind>(shared: K::Pointer) -> (Client<K>, Inbox<K>, Runner<K>) {
    shared.with(|inner| inner.has_inbox = true);
    (
        Client::new(shared.clone()),
        Inbox::new(shared.clone()),
        Runner::new(shared),
    )
}

/// What lies under the lock of [`Shared`].
pub struct Content<K: Kind>(Inner<K>);

impl<K: Kind> Content<K> {
    /// A connection that has its table, and no other memory yet.
    #[must_use]
    pub const fn new(slots: K::Slots) -> Self {
        Self(Inner::new(slots))
    }
}

impl<K: Kind> core::fmt::Debug for Content<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

/// The receive buffer in one of the places where it can be.
type Rx<K> = ReceiveBuffer<Lent<<K as Kind>::Buffer>>;

/// The shared state, under the lock.
///
/// Small fields first: an Arm Cortex-M0 reaches bytes up to offset 31 and words up to 124 in one instruction.
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
#[repr(C)]
struct Inner<K: Kind> {
    /// What the runner is about.
    step: Step,
    /// The user wants the runner to end.
    stop: bool,
    /// The rest of a large message is to be thrown away, once the receive buffer is at hand.
    skip: bool,
    /// Pieces of a large message are thrown away; `discard_token` acknowledges it after the last.
    discard: bool,
    /// The inbox has a message out.
    held: bool,
    /// The inbox waits and will take what becomes ready.
    inbox_waits: bool,
    /// Somebody may ask for messages.
    has_inbox: bool,
    /// What is done with large messages.
    oversize: Oversize,
    /// Why the link is about to end, while its last bytes go out.
    ending: Option<LinkEnd>,
    last_end: Option<LinkEnd>,
    discard_token: Option<AckToken>,
    seen_progress: u16,
    /// The message, or piece of one, that was found last in the receive buffer and that the inbox has not taken.
    ready: Option<Ready>,
    /// The clock as the pumps saw it last.
    now: Instant,
    /// When the present step of the runner is over.
    limit: Option<Instant>,
    /// When CONNACK came, on the present link.
    connected: Option<Instant>,
    runner_waker: Option<Waker>,
    inbox_waker: Option<Waker>,
    state: LinkState,
    attempts: u32,
    skipped: u32,
    discarded: u32,
    /// Follows extended authentication, if that is enabled.
    #[cfg(feature = "v5")]
    authenticate: Option<process::Authenticate<K>>,
    /// Tasks that wait for room, for an outcome, or for the state to change.
    waiters: K::Wakers,
    /// Absent while the receive pump or the inbox has it.
    rx: Rx<K>,
    /// Absent while a runner runs.
    wire: Option<K::Buffer>,
    session: Session<Lent<K::Buffer>, K::Slots>,
}

impl<K: Kind> Inner<K> {
    const fn new(slots: K::Slots) -> Self {
        Self {
            step: Step::Pausing,
            stop: false,
            skip: false,
            discard: false,
            held: false,
            inbox_waits: false,
            has_inbox: false,
            oversize: Oversize::Skip,
            ending: None,
            last_end: None,
            discard_token: None,
            seen_progress: 0,
            ready: None,
            now: Instant::from_millis(0),
            limit: None,
            connected: None,
            runner_waker: None,
            inbox_waker: None,
            state: LinkState::Idle,
            attempts: 0,
            skipped: 0,
            discarded: 0,
            #[cfg(feature = "v5")]
            authenticate: None,
            waiters: K::Wakers::NEW,
            rx: ReceiveBuffer::new(Lent(None)),
            wire: None,
            session: Session::unconfigured(Lent(None), slots),
        }
    }

    /// Wakes whom the session has news for. To be called after every use of the session.
    #[inline(never)]
    fn notify(&mut self) {
        if self.session.has_output() {
            self.wake_runner();
        }
        self.notify_waiters();
    }

    /// As [`notify`](Self::notify), for the runner, which need not wake itself.
    #[inline(never)]
    fn notify_waiters(&mut self) {
        let progress = self.session.counters().progress;
        if progress != self.seen_progress {
            self.seen_progress = progress;
            self.waiters.wake();
        }
    }

    /// Lets the runner look at everything again: both pumps and the clock.
    ///
    /// Its waker stays, so that nothing is lost that happens while it runs.
    #[inline(never)]
    fn wake_runner(&self) {
        if let Some(waker) = &self.runner_waker {
            waker.wake_by_ref();
        }
    }

    #[inline(never)]
    fn wake_inbox(&mut self) {
        if let Some(waker) = self.inbox_waker.take() {
            waker.wake();
        }
    }

    #[inline(never)]
    fn set_state(&mut self, state: LinkState) {
        #[cfg(feature = "log")]
        log::info!("link: {state}");
        #[cfg(feature = "defmt")]
        defmt::info!("link: {}", state);
        self.state = state;
        self.waiters.wake();
        self.wake_inbox();
    }

    /// Nothing that waits for the peer can go on before the application has taken a message.
    fn is_receive_blocked(&self) -> bool {
        self.held || (self.ready.is_some() && !self.inbox_waits)
    }
}

/// Remembers who waits, without cloning a waker that is there already; whether it is a new one.
#[inline(never)]
fn register(slot: &mut Option<Waker>, waker: &Waker) -> bool {
    if slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
        return false;
    }
    *slot = Some(waker.clone());
    true
}
