//! One entry of the session's table: what is known of a packet or of an exchange.

use crate::codec::QoS;
#[cfg(feature = "v5")]
use crate::time::Instant;

/// Offsets and lengths in the transmit buffer: a microcontroller's is below 64 KiB.
#[cfg(target_pointer_width = "32")]
pub(super) type Len = u16;
#[cfg(not(target_pointer_width = "32"))]
pub(super) type Len = u32;

/// Bytes of a transmit buffer that are used at most.
pub(super) const BYTES_MAX: usize = Len::MAX as usize;

/// Room to keep track of one packet that is queued or unacknowledged, in either direction.
///
/// The memory of a [`Session`](super::Session) beside its bytes is an array of these, filled with [`Slot::FREE`].
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// First byte of the packet.
    pub(super) at: Len,
    /// Length of the packet; 0 for an exchange without a packet of ours.
    pub(super) len: Len,
    /// Packet identifier. QoS 0 has one too, which is not sent: it is the caller's name for the message.
    pub(super) id: u16,
    pub(super) state: State,
    pub(super) kind: Kind,
    pub(super) marks: u8,
    /// Reason code to send; or of the outcome, if the exchange is done.
    pub(super) code: u8,
    /// When it was accepted.
    #[cfg(feature = "v5")]
    pub(super) since: Instant,
}

impl Slot {
    /// A free slot.
    pub const FREE: Self = Self {
        at: 0,
        len: 0,
        id: 0,
        state: State::FREE,
        kind: Kind(0),
        marks: 0,
        code: 0,
        #[cfg(feature = "v5")]
        since: Instant::from_millis(0),
    };

    pub(super) fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Field by field: as a whole, it would bring the 1,300 bytes of `memmove` into a program for thumbv6m.
    #[allow(clippy::assigning_clones, reason = "see above")]
    pub(super) fn become_copy_of(&mut self, other: &Self) {
        self.at = other.at;
        self.len = other.len;
        self.id = other.id;
        self.state = other.state;
        self.kind = other.kind;
        self.marks = other.marks;
        self.code = other.code;
        #[cfg(feature = "v5")]
        {
            self.since = other.since;
        }
    }

    /// Whether this is a message of ours of which nothing was ever sent.
    pub(super) fn is_unsent_publish(&self) -> bool {
        self.state == State::QUEUED && self.kind.is_publish() && !self.is(marks::SENT)
    }
}

/// Where an exchange stands. Those that await a packet are numbered as its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(pub(super) u8);

impl State {
    pub(super) const FREE: Self = Self(0);
    /// The outcome is known; somebody will ask for it.
    pub(super) const DONE: Self = Self(1);
    /// Waits to be sent.
    pub(super) const QUEUED: Self = Self(2);
    /// A payload is being handed over piece by piece.
    pub(super) const STREAM: Self = Self(3);
    pub(super) const AWAIT_PUBACK: Self = Self(4);
    pub(super) const AWAIT_PUBREC: Self = Self(5);
    /// Inbound QoS 2 message, PUBREC was sent.
    pub(super) const AWAIT_PUBREL: Self = Self(6);
    pub(super) const AWAIT_PUBCOMP: Self = Self(7);
    /// PUBREC has come, PUBREL waits to be sent.
    pub(super) const PUBREL: Self = Self(8);
    pub(super) const AWAIT_SUBACK: Self = Self(9);
    /// Inbound message, with the application.
    pub(super) const HELD: Self = Self(10);
    pub(super) const AWAIT_UNSUBACK: Self = Self(11);
    /// Inbound message, PUBACK or PUBREC waits to be sent.
    pub(super) const ACK: Self = Self(12);
    /// PUBREL has come, PUBCOMP waits to be sent.
    pub(super) const PUBCOMP: Self = Self(13);
    /// PUBREC has come for an identifier that is not in use, PUBREL waits to be sent.
    pub(super) const UNKNOWN_PUBREL: Self = Self(14);

    pub(super) const fn bit(self) -> u16 {
        1 << self.0
    }

    pub(super) const fn is_in(self, states: u16) -> bool {
        states & self.bit() != 0
    }
}

/// Sets of states.
pub(super) mod states {
    use super::State;

    /// Begun by the server.
    pub(in crate::session) const INBOUND: u16 = State::AWAIT_PUBREL.bit()
        | State::HELD.bit()
        | State::ACK.bit()
        | State::PUBCOMP.bit()
        | State::UNKNOWN_PUBREL.bit();
    /// Begun by us, the identifier is in use.
    pub(in crate::session) const OUTBOUND: u16 = !INBOUND & !State::FREE.bit();
    /// The server owes an answer to PUBLISH, or counts the message against the quota (MQTT 5 §4.9).
    pub(in crate::session) const IN_FLIGHT: u16 = State::AWAIT_PUBACK.bit()
        | State::AWAIT_PUBREC.bit()
        | State::PUBREL.bit()
        | State::AWAIT_PUBCOMP.bit();
    /// The server owes an answer to whatever it is.
    pub(in crate::session) const AWAITED: u16 =
        IN_FLIGHT | State::AWAIT_SUBACK.bit() | State::AWAIT_UNSUBACK.bit();
    /// An acknowledgement of ours waits to be sent.
    pub(in crate::session) const ACKS: u16 =
        State::PUBREL.bit() | State::ACK.bit() | State::PUBCOMP.bit() | State::UNKNOWN_PUBREL.bit();
}

/// What kind of exchange it is: a message by its QoS, or a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind(u8);

impl Kind {
    pub(super) const EXACTLY_ONCE: Self = Self(2);
    pub(super) const SUBSCRIBE: Self = Self(3);
    pub(super) const UNSUBSCRIBE: Self = Self(4);
    pub(super) const CONNECT: Self = Self(5);
    #[cfg(feature = "v5")]
    pub(super) const AUTH: Self = Self(6);

    pub(super) const fn publish(qos: QoS) -> Self {
        Self(qos as u8)
    }

    pub(super) const fn is_publish(self) -> bool {
        self.0 <= 2
    }

    /// Whether it may be sent before CONNACK.
    pub(super) const fn is_handshake(self) -> bool {
        self.0 >= Self::CONNECT.0
    }

    /// Whether it is a message at QoS 1 or 2.
    pub(super) const fn needs_quota(self) -> bool {
        self.0 == 1 || self.0 == 2
    }

    /// What comes after it was sent; `DONE` if nothing.
    pub(super) const fn awaited(self) -> State {
        match self.0 {
            1 => State::AWAIT_PUBACK,
            2 => State::AWAIT_PUBREC,
            3 => State::AWAIT_SUBACK,
            4 => State::AWAIT_UNSUBACK,
            _ => State::DONE,
        }
    }

    pub(super) const fn bit(self) -> u8 {
        1 << self.0
    }

    #[cfg(feature = "v5")]
    pub(super) fn qos(self) -> QoS {
        QoS::from_u8(self.0).unwrap_or(QoS::AtMostOnce)
    }
}

/// Marks on a slot.
pub(super) mod marks {
    /// Somebody will ask for the outcome.
    pub(in crate::session) const WATCHED: u8 = 1;
    /// Was sent before.
    pub(in crate::session) const SENT: u8 = 1 << 1;
    /// The identifier was not known: PUBREL and PUBCOMP say so on MQTT 5.
    pub(in crate::session) const UNKNOWN: u8 = 1 << 2;
    /// Carries a Message Expiry Interval.
    #[cfg(feature = "v5")]
    pub(in crate::session) const EXPIRES: u8 = 1 << 3;
    /// The upper bits count the links that the server closed while this was the oldest unacknowledged message.
    pub(in crate::session) const STRIKE: u8 = 1 << 4;
}
