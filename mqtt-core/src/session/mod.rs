//! The session: what MQTT asks of a client, as a state machine without I/O and without a clock.
//!
//! ```text
//! received packets -> handle(..)   -> events for the application
//! publish(..), subscribe(..), acknowledge(..)
//! bytes to send    <- transmit(..)
//!                     next_deadline() -> tick(..)
//! ```
//!
//! No call ever waits. `now` is an argument everywhere. A life goes like this: [`Session::connect`], then
//! [`Session::transmit`] and [`Session::handle`] until one of them, or [`Session::tick`], says that the link must end,
//! then [`Session::link_lost`], and [`Session::connect`] again with the messages kept.

mod error;
mod event;
mod handshake;
mod inbound;
mod keep_alive;
mod kept;
mod options;
mod outbound;
mod outbox;
mod slot;
mod stream;
mod table;
mod transmit;

use crate::{
    codec::{ReasonCode, Version},
    receive::Received,
    time::Instant,
};

use options::Settings;
use slot::{Len, State, marks, states};

pub use error::{DeliveryError, ProtocolError, PublishError, SessionError};
pub use event::{AckToken, Counters, Event, Incoming, Outcome, Ticket};
pub use kept::RestoreError;
#[cfg(feature = "v5")]
pub use options::Authentication;
pub use options::{Options, Oversize, Reconnect, V5Options};
pub use outbox::OutboxPolicy;
pub use slot::Slot;

/// The client's side of an MQTT session.
///
/// `B` is the transmit buffer: packets lie in it from the moment they are accepted until they are acknowledged. It
/// must hold CONNECT, the SUBSCRIBE of the options, and every packet to be kept; of more than 65,535 bytes a 32-bit
/// processor uses no more.
///
/// `S` is its table: a [`Slot`] for each of these packets, for each inbound message that may be unacknowledged
/// ([`Options::receive_maximum`]), and two for CONNECT and SUBSCRIBE. Example: CONNECT with 80 bytes, ten queued
/// messages of 100 bytes, 8 inbound messages: 1,080 bytes and 20 slots.
#[repr(C)] // What is used most lies within reach of short instructions, see `Core`.
pub struct Session<B, S> {
    core: Core,
    outbox: outbox::Outbox<B, S>,
    stream_ops: Option<stream::StreamOps<B, S>>,
    /// Follows extended authentication, if that is enabled.
    #[cfg(feature = "v5")]
    handle_auth: Option<handshake::HandleAuth<B, S>>,
    #[cfg(feature = "v5")]
    begin_auth: Option<handshake::Begin>,
    /// Sends a message with a topic alias, if that is enabled.
    #[cfg(feature = "v5")]
    send_with_alias: Option<transmit::SendWithAlias<B, S>>,
    /// Stands for a slot that does not exist.
    nobody: Slot,
    slots: S,
    buffer: B,
}

impl<B, S> Session<B, S> {
    /// A session that knows no options yet, to be put into a static: [`configure`](Session::configure) comes next.
    #[must_use]
    pub const fn unconfigured(buffer: B, slots: S) -> Self {
        Self {
            buffer,
            slots,
            core: Core::NEW,
            outbox: outbox::Outbox::WAIT,
            stream_ops: None,
            #[cfg(feature = "v5")]
            handle_auth: None,
            #[cfg(feature = "v5")]
            begin_auth: None,
            #[cfg(feature = "v5")]
            send_with_alias: None,
            nobody: Slot::FREE,
        }
    }
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// A session without a link. Messages can be queued at once.
    ///
    /// # Errors
    ///
    /// As [`configure`](Self::configure).
    pub fn new(buffer: B, slots: S, options: &Options<'_>) -> Result<Self, PublishError> {
        let mut session = Self::unconfigured(buffer, slots);
        session.configure(options)?;
        Ok(session)
    }

    /// Takes in what [`ReceiveBuffer::next`](crate::ReceiveBuffer::next) gave.
    ///
    /// # Errors
    ///
    /// The link must end: [`transmit`](Self::transmit) what is left (DISCONNECT on MQTT 5), then close it.
    pub fn handle<'rx>(
        &mut self,
        received: Received<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        let result = self.handle_received(received, now);
        if let Err(error) = result {
            self.core.fail(error);
        }
        result
    }

    /// Ends the connection with DISCONNECT, after what can be sent of the queue.
    ///
    /// `code` is [`ReasonCode::NORMAL_DISCONNECTION`] or, on MQTT 5,
    /// [`ReasonCode::DISCONNECT_WITH_WILL_MESSAGE`]; 3.1.1 then sends nothing, which makes the server publish the will.
    /// A code that DISCONNECT cannot have is sent as [`ReasonCode::UNSPECIFIED_ERROR`].
    pub fn disconnect(&mut self, code: ReasonCode) {
        // It could not be written, and the connection would never end.
        #[cfg(feature = "v5")]
        let code = if code.is_of(crate::codec::PacketType::Disconnect) {
            code
        } else {
            ReasonCode::UNSPECIFIED_ERROR
        };
        self.core.disconnect(code);
    }

    #[cfg(feature = "client")]
    pub(crate) fn buffer_mut(&mut self) -> &mut B {
        &mut self.buffer
    }

    /// When [`tick`](Self::tick) has something to do next, unless something else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    /// Does what time demands: queues PINGREQ, or finds that the link is dead.
    ///
    /// # Errors
    ///
    /// The link must end.
    pub fn tick(&mut self, now: Instant) -> Result<(), SessionError> {
        let result = self.core.tick(now);
        if let Err(error) = result {
            self.core.fail(error);
        }
        result
    }

    /// The application does not take what has been received: time-outs that need the peer's bytes stand still.
    pub fn set_receive_blocked(&mut self, blocked: bool, now: Instant) {
        self.core.set_receive_blocked(blocked, now);
    }

    /// Whether CONNACK has come and the link is in use.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.phase == Phase::Connected
    }

    /// Whether the last byte of this connection was given out by [`transmit`](Self::transmit).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.core.phase, Phase::Idle | Phase::Closed)
    }

    /// Whether nothing is queued or in flight in either direction.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.is_empty()
    }

    /// Which link this is: counts [`connect`](Self::connect).
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.core.epoch
    }

    /// The protocol version in use.
    #[must_use]
    pub fn version(&self) -> Version {
        self.core.settings.version
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.counters
    }

    /// Whether [`transmit`](Self::transmit) may have something to give out. False negatives do not occur.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.core.output
    }

    /// Ends the connection for an error that was found elsewhere, by [`ReceiveBuffer::next`](crate::ReceiveBuffer::next)
    /// for example.
    pub fn fail(&mut self, error: SessionError) {
        self.core.fail(error);
    }
}

impl<B, S> core::fmt::Debug for Session<B, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.core.fmt(f)
    }
}

/// All that the session knows, beside its buffer and table.
///
/// Small fields first: an Arm Cortex-M0 reaches bytes up to offset 31 and half-words up to 62 in one instruction.
#[derive(Debug)]
#[repr(C)]
struct Core {
    subscribe_filters: u8,
    phase: Phase,
    /// Code of the DISCONNECT to send.
    leave_code: ReasonCode,
    /// There may be something to transmit.
    output: bool,
    /// A session exists, as far as we know.
    session_known: bool,
    clean_session: bool,
    /// CONNACK has come on this link.
    was_connected: bool,
    /// The server has answered the SUBSCRIBE of the options, in this session.
    subscribed: bool,
    outbox_policy: OutboxPolicy,
    /// The large inbound message is a repetition: its pieces are not for the application.
    large_ignored: bool,
    /// Identifier of the large inbound message of which pieces are still to come, 0 if there is none.
    large_id: u16,
    /// End of CONNECT and SUBSCRIBE, which stay at the front of the buffer.
    base: Len,
    /// Length of CONNECT.
    connect_len: Len,
    /// End of the packets.
    tail: Len,
    /// How much was sent of the packet that was begun, and its identifier.
    partial_sent: Len,
    /// Slots in use, freed ones included; those before `first` are free, those before `next` do not wait to be sent.
    used: u16,
    first: u16,
    next: u16,
    partial: u16,
    /// Counts connections.
    epoch: u16,
    /// The last packet identifier given out, and how many after it are free for sure.
    last_id: u16,
    free_ids: u16,
    /// Unacknowledged messages of ours on this link (MQTT 5 §4.9), and how many there may be.
    in_flight: u16,
    quota: u16,
    /// SUBSCRIBE and UNSUBSCRIBE sent and not yet answered.
    requests: u16,
    /// Inbound messages not yet done with.
    inbound: u16,
    /// The packet identifier of the SUBSCRIBE of the options, 0 if there is none; and the number of its filters.
    subscribe_id: u16,
    timers: keep_alive::Timers,
    settings: Settings,
    counters: Counters,
    stream: Option<stream::Stream>,
    #[cfg(feature = "v5")]
    v5: handshake::V5State,
}

/// The first slot is for the SUBSCRIBE of the options: it is sent before all others.
const FIRST_SLOT: u16 = 1;

/// Where the connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// No link.
    Idle,
    /// CONNECT is being sent or was sent.
    Connecting,
    /// CONNACK has come.
    Connected,
    /// DISCONNECT follows what can be sent.
    Leaving,
    /// DISCONNECT is sent at once.
    Failing,
    /// Nothing is sent any more.
    Closed,
}

impl Core {
    /// Before it is configured. All zero, so that a session in a static takes no flash for its initial state.
    const NEW: Self = Self {
        phase: Phase::Idle,
        leave_code: ReasonCode::SUCCESS,
        output: false,
        session_known: false,
        clean_session: false,
        was_connected: false,
        subscribed: false,
        outbox_policy: OutboxPolicy::Wait,
        large_ignored: false,
        large_id: 0,
        subscribe_filters: 0,
        base: 0,
        connect_len: 0,
        tail: 0,
        partial_sent: 0,
        used: 0,
        first: 0,
        next: 0,
        partial: 0,
        epoch: 0,
        last_id: 0,
        free_ids: 0,
        in_flight: 0,
        quota: 0,
        requests: 0,
        inbound: 0,
        subscribe_id: 0,
        timers: keep_alive::Timers::NEW,
        settings: Settings::NEW,
        counters: Counters::NEW,
        stream: None,
        #[cfg(feature = "v5")]
        v5: handshake::V5State::ZERO,
    };

    fn version(&self) -> Version {
        self.settings.version
    }

    fn is_v5(&self) -> bool {
        self.version().is_v5()
    }

    /// Whether packets other than those of the handshake are sent, within the limits that the server announced.
    #[cfg(feature = "v5")]
    fn is_in_use(&self) -> bool {
        matches!(self.phase, Phase::Connected | Phase::Leaving)
    }

    /// The link must end; on MQTT 5 the server is told why, once it has accepted us.
    fn fail(&mut self, error: SessionError) {
        let phase = self.phase;
        self.phase = Phase::Closed;
        if self.is_v5() && matches!(phase, Phase::Connected | Phase::Leaving) {
            self.leave_code = error.reason_code();
            if self.leave_code != ReasonCode::SUCCESS {
                self.phase = Phase::Failing;
            }
        }
        self.output = true;
    }

    fn disconnect(&mut self, code: ReasonCode) {
        match self.phase {
            Phase::Connected | Phase::Leaving => {
                self.leave_code = code;
                self.phase = Phase::Leaving;
            }
            Phase::Connecting => self.phase = Phase::Closed,
            // A DISCONNECT that names an error keeps its code.
            _ => {}
        }
        self.output = true;
    }

    /// Whether no slot is in use.
    fn is_empty(&self) -> bool {
        self.first == self.used
    }

    /// Room was made, or an outcome became known.
    fn progress(&mut self) {
        self.counters.progress = self.counters.progress.wrapping_add(1);
    }
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// An identifier that is not in use [MQTT-2.3.1-2].
    fn new_identifier(&mut self) -> u16 {
        // Each round passes one identifier that is in use, and there are more identifiers than slots.
        while self.core.free_ids == 0 {
            let candidate = self.core.last_id.wrapping_add(1);
            let subscribe = self.core.subscribe_id;
            // 0 is never given out.
            let mut free = 0_u16.wrapping_sub(candidate);
            if subscribe != 0 {
                free = free.min(subscribe.wrapping_sub(candidate));
            }
            for slot in self.live() {
                if slot.state.is_in(states::OUTBOUND) {
                    free = free.min(slot.id.wrapping_sub(candidate));
                }
            }
            self.core.free_ids = free;
            if free == 0 {
                self.core.last_id = candidate;
            }
        }
        self.core.free_ids = self.core.free_ids.wrapping_sub(1);
        self.core.last_id = self.core.last_id.wrapping_add(1);
        self.core.last_id
    }

    /// Ends an exchange of ours: the outcome is kept if somebody asked for it, else counted.
    fn finish(&mut self, index: usize, failure: u8, code: u8) {
        let slot = self.slot(index);
        let state = slot.state;
        let is_publish = slot.kind.is_publish();
        let watched = slot.is(marks::WATCHED);
        slot.state = State::DONE;
        slot.marks = failure;
        slot.code = code;
        if is_publish {
            slot.len = 0;
        }
        if state.is_in(states::IN_FLIGHT) {
            self.core.in_flight = self.core.in_flight.wrapping_sub(1);
        } else if state.is_in(states::AWAITED) {
            self.core.requests = self.core.requests.wrapping_sub(1);
        }
        if is_publish {
            bump(if failure == 0 {
                &mut self.core.counters.delivered
            } else {
                &mut self.core.counters.failed
            });
        }
        self.core.output = true;
        self.core.progress();
        if !watched {
            self.free(index);
        }
    }
}

/// Counts one more.
fn bump(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
