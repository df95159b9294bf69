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

mod arena;
mod error;
mod event;
mod handshake;
mod inbound;
mod keep_alive;
mod options;
mod outbound;
mod slot;
mod stream;
mod transmit;

use crate::{
    codec::{PacketIdentifier, QoS, ReasonCode, Version},
    publication::Publication,
    time::Instant,
};

use arena::{Arena, Layout};
use options::Settings;
use slot::{Slot, State, flags};

pub use error::{DeliveryError, ProtocolError, PublishError, SessionError};
pub use event::{AckToken, Counters, Event, Incoming, Outcome, Ticket};
#[cfg(feature = "v5")]
pub use options::Authentication;
pub use options::{Options, OutboxPolicy, Oversize, Reconnect, V5Options};
pub use slot::SLOT_LEN;

/// The client's side of an MQTT session.
///
/// `B` is the transmit buffer: packets lie in it from the moment they are accepted until they are acknowledged.
/// It must hold CONNECT, [`SLOT_LEN`] bytes for each inbound message that may be unacknowledged
/// ([`Options::receive_maximum`]), and every packet to be kept with [`SLOT_LEN`] bytes each. Example: CONNECT with
/// 80 bytes, 8 inbound messages, ten queued messages of 100 bytes: `80 + 8 * 20 + 10 * (100 + 20)` = 1,440 bytes.
#[derive(Debug)]
pub struct Session<B> {
    buffer: B,
    core: Core,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Session<B> {
    /// A session without a link. Messages can be queued at once.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`] if CONNECT does not fit into the buffer, [`PublishError::Encode`] if the options
    /// contradict each other.
    pub fn new(buffer: B, options: &Options<'_>) -> Result<Self, PublishError> {
        let core = Core::new(buffer.as_ref().len());
        let mut session = Self { buffer, core };
        session.with(|mut core| core.set_options(options))?;
        Ok(session)
    }

    /// Begins a connection on a new link: CONNECT is the next thing to transmit.
    ///
    /// Everything of an earlier link is over; a packet of which only a part was sent is sent again in full.
    ///
    /// # Errors
    ///
    /// As [`Session::new`]; [`PublishError::Full`] if the options ask for another protocol version, or more reserved
    /// bytes, while messages are queued.
    pub fn connect(&mut self, options: &Options<'_>, now: Instant) -> Result<(), PublishError> {
        self.with(|mut core| core.connect(options, now))
    }

    /// The link is gone. `by_peer`: the other side closed it, so that a message may be the cause.
    pub fn link_lost(&mut self, by_peer: bool) {
        self.with(|mut core| core.link_lost(by_peer));
    }

    /// Takes in what [`ReceiveBuffer::next`](crate::ReceiveBuffer::next) gave.
    ///
    /// # Errors
    ///
    /// The link must end: [`transmit`](Self::transmit) what is left (DISCONNECT on MQTT 5), then close it.
    pub fn handle<'rx>(
        &mut self,
        received: crate::receive::Received<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        self.with(|mut core| {
            let result = core.handle(received, now);
            if let Err(error) = result {
                core.state.fail(error);
            }
            result
        })
    }

    /// Writes what is to be sent to `out`, as many packets as fit, and returns the number of bytes.
    ///
    /// Calling it says that the bytes of the call before have been handed to the transport, at `now`. So call it
    /// until it returns 0, and again when a call of another method gave it something to do. `out` should have 16
    /// bytes or more; packets larger than `out` come in pieces.
    #[must_use = "the bytes count as sent"]
    pub fn transmit(&mut self, out: &mut [u8], now: Instant) -> usize {
        self.with(|mut core| core.transmit(out, now))
    }

    /// Queues a publication. Never waits.
    ///
    /// `watched`: the outcome is kept until [`take_outcome`](Self::take_outcome) or [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn publish(
        &mut self,
        publication: &dyn Publication,
        watched: bool,
        now: Instant,
    ) -> Result<Ticket, PublishError> {
        self.with(|mut core| core.publish(publication, watched, now))
    }

    /// Queues SUBSCRIBE. The granted QoS are read by [`take_codes`](Self::take_codes).
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn subscribe(
        &mut self,
        filters: &[crate::codec::Subscription<'_>],
        properties: crate::codec::Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        self.with(|mut core| core.subscribe(filters, properties, watched))
    }

    /// Queues UNSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn unsubscribe(
        &mut self,
        filters: &[crate::codec::TopicFilter<'_>],
        properties: crate::codec::Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        self.with(|mut core| core.unsubscribe(filters, properties, watched))
    }

    /// How the exchange of a watched ticket ended; `None` while it has not.
    ///
    /// An answer ends the watch, except for SUBSCRIBE and UNSUBSCRIBE, see [`take_codes`](Self::take_codes).
    pub fn take_outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.with(|mut core| core.take_outcome(ticket))
    }

    /// The server's answer to a watched SUBSCRIBE or UNSUBSCRIBE, one code for each filter: `None` while there is none.
    ///
    /// UNSUBACK of 3.1.1 has no codes; they count as success. An answer ends the watch.
    pub fn take_codes(&mut self, ticket: Ticket, codes: &mut [ReasonCode]) -> Option<Outcome> {
        self.with(|mut core| core.take_codes(ticket, codes))
    }

    /// Nobody will ask for the outcome of `ticket` any more.
    pub fn forget(&mut self, ticket: Ticket) {
        self.with(|mut core| core.forget(ticket));
    }

    /// Acknowledges a received message; [`ReasonCode::SUCCESS`], or on MQTT 5 a code from 0x80 to refuse it.
    ///
    /// A token of an earlier link is ignored: the server has forgotten or will repeat the message.
    pub fn acknowledge(&mut self, token: AckToken, code: ReasonCode) {
        self.with(|mut core| core.acknowledge(token, code));
    }

    /// Sends AUTH: [`ReasonCode::CONTINUE_AUTHENTICATION`] answers the server, [`ReasonCode::RE_AUTHENTICATE`] begins
    /// anew on a connection in use (MQTT 5 §4.12). `write` writes the Authentication Data.
    ///
    /// # Errors
    ///
    /// [`PublishError::NotConnected`] if CONNECT named no method, or there is no link; [`PublishError::Full`]; what
    /// `write` failed with.
    #[cfg(feature = "v5")]
    pub fn authenticate(
        &mut self,
        code: ReasonCode,
        write: &mut dyn FnMut(
            &mut crate::codec::Writer<'_>,
        ) -> Result<(), crate::codec::EncodeError>,
    ) -> Result<(), PublishError> {
        self.with(|mut core| core.authenticate(code, write))
    }

    /// Ends the connection with DISCONNECT, after what can be sent of the queue.
    ///
    /// `code` is [`ReasonCode::NORMAL_DISCONNECTION`] or, on MQTT 5,
    /// [`ReasonCode::DISCONNECT_WITH_WILL_MESSAGE`]; 3.1.1 then sends nothing, which makes the server publish the will.
    pub fn disconnect(&mut self, code: ReasonCode) {
        self.core.disconnect(code);
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
        self.core.layout.is_empty()
    }

    /// Which link this is: counts [`connect`](Self::connect).
    #[must_use]
    pub fn epoch(&self) -> u16 {
        self.core.epoch
    }

    /// What a publication without room does.
    #[must_use]
    pub fn outbox_policy(&self) -> OutboxPolicy {
        self.core.settings.outbox
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
        self.core.has_output()
    }

    /// Ends the connection for an error that was found elsewhere.
    #[cfg(feature = "client")]
    pub(crate) fn fail(&mut self, error: SessionError) {
        self.core.fail(error);
    }

    fn with<R>(&mut self, f: impl FnOnce(Working<'_>) -> R) -> R {
        f(Working {
            state: &mut self.core,
            bytes: self.buffer.as_mut(),
        })
    }
}

/// All that the session knows, beside the bytes of its buffer.
#[derive(Debug)]
struct Core {
    layout: Layout,
    settings: Settings,
    counters: Counters,
    phase: Phase,
    /// Counts connections.
    epoch: u16,
    /// The last packet identifier given out.
    last_id: u16,
    last_ticket: u32,
    /// Unacknowledged messages of ours on this link (MQTT 5 §4.9).
    in_flight: u16,
    /// Send quota in full: the least of option and server's Receive Maximum.
    quota: u16,
    /// Inbound messages not yet done with.
    inbound: u16,
    /// SUBSCRIBE and UNSUBSCRIBE sent and not yet answered.
    requests: u16,
    /// Slots with an acknowledgement to send.
    acks: u16,
    /// The reserved bytes from here to `control_end` are to be sent.
    control: usize,
    control_end: usize,
    /// The SUBSCRIBE of the options lies behind CONNECT, up to here.
    subscribe_end: usize,
    /// Its packet identifier while it is unanswered or may be sent, and the number of its filters.
    subscribe_id: u16,
    subscribe_filters: u16,
    /// The packet of which a part was sent, and how much.
    partial: Option<Ticket>,
    partial_sent: usize,
    /// Code of the DISCONNECT to send.
    leave_code: ReasonCode,
    /// A session exists, as far as we know.
    session_known: bool,
    clean_session: bool,
    /// The large inbound message is a repetition: its pieces are not for the application.
    large_ignored: bool,
    stream: Option<stream::Stream>,
    timers: keep_alive::Timers,
    #[cfg(feature = "v5")]
    v5: handshake::V5State,
}

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
    /// DISCONNECT is sent at once, if at all.
    Failing,
    /// Nothing is sent any more.
    Closed,
}

impl Core {
    fn new(len: usize) -> Self {
        Self {
            layout: Layout::new(len),
            settings: Settings::of(&Options::new("")),
            counters: Counters::default(),
            phase: Phase::Idle,
            epoch: 0,
            last_id: 0,
            last_ticket: 0,
            in_flight: 0,
            quota: 0,
            inbound: 0,
            requests: 0,
            acks: 0,
            control: 0,
            control_end: 0,
            subscribe_end: 0,
            subscribe_id: 0,
            subscribe_filters: 0,
            partial: None,
            partial_sent: 0,
            leave_code: ReasonCode::SUCCESS,
            session_known: false,
            clean_session: true,
            large_ignored: false,
            stream: None,
            timers: keep_alive::Timers::default(),
            #[cfg(feature = "v5")]
            v5: handshake::V5State::default(),
        }
    }

    fn version(&self) -> Version {
        self.settings.version
    }

    fn is_v5(&self) -> bool {
        self.version().is_v5()
    }

    /// The link must end; on MQTT 5 the server is told why, once it has accepted us.
    fn fail(&mut self, error: SessionError) {
        let code = error.reason_code();
        let speak = self.is_v5()
            && code != ReasonCode::SUCCESS
            && matches!(self.phase, Phase::Connected | Phase::Leaving);
        self.leave_code = code;
        self.phase = if speak { Phase::Failing } else { Phase::Closed };
    }

    fn has_output(&self) -> bool {
        match self.phase {
            Phase::Idle | Phase::Closed => false,
            Phase::Leaving | Phase::Failing => true,
            Phase::Connecting | Phase::Connected => {
                self.control < self.control_end
                    || self.acks != 0
                    || self.timers.ping_is_due()
                    || self.layout.has_unsent()
            }
        }
    }

    fn disconnect(&mut self, code: ReasonCode) {
        self.leave_code = code;
        self.phase = match self.phase {
            Phase::Connected => Phase::Leaving,
            Phase::Connecting => Phase::Closed,
            other => other,
        };
    }
}

/// The session with its buffer at hand: what the methods in the files beside this one work on.
struct Working<'s> {
    state: &'s mut Core,
    bytes: &'s mut [u8],
}

impl Working<'_> {
    fn arena(&mut self) -> Arena<'_> {
        Arena::new(self.bytes, &mut self.state.layout)
    }

    /// A packet identifier that is not in use [MQTT-2.3.1-2].
    fn new_identifier(&mut self) -> Option<PacketIdentifier> {
        // Every slot holds one identifier at most, so some candidate is free.
        let candidates = self.arena().indices().len().saturating_add(3);
        for _ in 0..candidates {
            self.state.last_id = self.state.last_id.checked_add(1).unwrap_or(1);
            let id = self.state.last_id;
            let used = self.state.subscribe_id == id
                || self
                    .arena()
                    .find(|slot| slot.id == id && slot.state.owns_identifier())
                    .is_some();
            if !used {
                return PacketIdentifier::new(id);
            }
        }
        None
    }

    fn new_ticket(&mut self) -> Ticket {
        self.state.last_ticket = self.state.last_ticket.wrapping_add(1);
        Ticket(self.state.last_ticket)
    }

    fn find_ticket(&mut self, ticket: Ticket) -> Option<(usize, Slot)> {
        self.arena()
            .find(|slot| slot.ticket == ticket && !slot.state.is_inbound())
    }

    /// Ends an exchange of ours: the outcome is kept if somebody asked for it, else counted.
    fn finish(&mut self, index: usize, mut slot: Slot, outcome: Outcome) {
        if slot.state.is_in_flight() {
            self.state.in_flight = self.state.in_flight.saturating_sub(1);
        }
        if slot.state.is_ack() {
            self.state.acks = self.state.acks.saturating_sub(1);
        }
        if !slot.is(flags::SUBSCRIBE | flags::UNSUBSCRIBE) {
            match outcome {
                Ok(_) => bump(&mut self.state.counters.delivered),
                Err(_) => bump(&mut self.state.counters.failed),
            }
        }
        if slot.is(flags::WATCHED) {
            slot.state = State::DONE;
            slot.id = 0;
            (slot.failure, slot.code) = event::encode_outcome(outcome);
            self.arena().store(index, slot);
        } else {
            self.arena().free(index);
        }
        self.state.counters.progress = self.state.counters.progress.wrapping_add(1);
    }
}

/// Counts one more, and stays at the end of the scale.
fn bump(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// The QoS bits of a slot's flags.
fn qos_flags(qos: QoS) -> u8 {
    qos as u8
}
