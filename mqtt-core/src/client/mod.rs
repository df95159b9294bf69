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
mod kind;
mod process;
mod runner;
mod state;

use core::task::Waker;

use crate::{
    receive::ReceiveBuffer,
    session::{AckToken, Options, Oversize, PublishError, Session},
};

pub use handle::{Client, Delivery, StreamError, SubscribeError};
pub use inbox::{Inbox, Received, Stopped};
pub use kind::{Close, Connect, ConnectError, Kind, Mutex, Wakers};
pub use runner::Runner;
pub use state::{LinkEnd, LinkState, Report};

use process::Ready;

/// What client, inbox and runner share.
pub struct Shared<K: Kind> {
    inner: K::Mutex<Inner<K>>,
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
    /// As [`Session::new`].
    pub fn new(
        rx: K::Buffer,
        tx: K::Buffer,
        slots: K::Slots,
        wire: K::Buffer,
        options: &Options<'_>,
    ) -> Result<Self, PublishError> {
        let session = Session::new(tx, slots, options)?;
        Ok(Self {
            inner: K::Mutex::new(Inner::new(session, ReceiveBuffer::new(rx), wire)),
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner<K>) -> R) -> R {
        self.inner.with(f)
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

/// The shared state, under the lock.
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
struct Inner<K: Kind> {
    session: Session<K::Buffer, K::Slots>,
    /// Absent while the receive pump or the inbox has it.
    rx: Option<ReceiveBuffer<K::Buffer>>,
    /// Absent while a runner runs.
    wire: Option<K::Buffer>,
    /// The message, or piece of one, that was found last in the receive buffer and that the inbox has not taken.
    ready: Option<Ready>,
    /// Pieces of a large message are thrown away; the token acknowledges it after the last.
    #[allow(clippy::option_option, reason = "at QoS 0 there is no token")]
    discard: Option<Option<AckToken>>,
    /// The rest of a large message is to be thrown away, once the receive buffer is at hand.
    skip: bool,
    /// The inbox has a message out.
    held: bool,
    /// The inbox waits and will take what becomes ready.
    inbox_waits: bool,
    /// Somebody may ask for messages.
    has_inbox: bool,
    /// What is done with large messages.
    oversize: Oversize,
    /// The user wants the runner to end.
    stop: bool,
    /// Why the link is about to end, while its last bytes go out.
    ending: Option<LinkEnd>,
    state: LinkState,
    report: Report,
    /// The clock as the pumps saw it last.
    now: crate::time::Instant,
    /// The deadline for which the runner sleeps.
    armed: Option<crate::time::Instant>,
    seen_progress: u32,
    inbox_waker: Option<Waker>,
    receive_waker: Option<Waker>,
    transmit_waker: Option<Waker>,
    transmit_wanted: bool,
    watch_waker: Option<Waker>,
    watch_wanted: bool,
    /// Tasks that wait for room or for an outcome.
    progress: K::Wakers,
    /// Tasks that wait for the state to change.
    state_wakers: K::Wakers,
}

impl<K: Kind> Inner<K> {
    fn new(
        session: Session<K::Buffer, K::Slots>,
        rx: ReceiveBuffer<K::Buffer>,
        wire: K::Buffer,
    ) -> Self {
        Self {
            session,
            rx: Some(rx),
            wire: Some(wire),
            ready: None,
            discard: None,
            skip: false,
            held: false,
            inbox_waits: false,
            has_inbox: false,
            oversize: Oversize::Skip,
            stop: false,
            ending: None,
            state: LinkState::Idle,
            report: Report::default(),
            now: crate::time::Instant::default(),
            armed: None,
            seen_progress: 0,
            inbox_waker: None,
            receive_waker: None,
            transmit_waker: None,
            transmit_wanted: false,
            watch_waker: None,
            watch_wanted: false,
            progress: K::Wakers::NEW,
            state_wakers: K::Wakers::NEW,
        }
    }

    /// Wakes whom the session has news for: the clock too, for a new deadline may be sooner than the one it was set
    /// for. To be called after every use of the session.
    fn notify(&mut self) {
        if self.session.has_output() {
            self.wake_transmit();
        }
        self.notify_others();
    }

    fn wake_transmit(&mut self) {
        self.transmit_wanted = true;
        wake(&mut self.transmit_waker);
    }

    fn wake_watch(&mut self) {
        self.watch_wanted = true;
        wake(&mut self.watch_waker);
    }

    fn set_state(&mut self, state: LinkState) {
        if self.state != state {
            self.state = state;
            self.state_wakers.wake();
            self.progress.wake();
            wake(&mut self.inbox_waker);
        }
    }

    /// Nothing that waits for the peer can go on before the application has taken a message.
    fn is_receive_blocked(&self) -> bool {
        self.held || (self.ready.is_some() && !self.inbox_waits)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Remembers who waits, without cloning a waker that is there already.
fn register(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(old) if old.will_wake(waker) => {}
        _ => *slot = Some(waker.clone()),
    }
}
