//! One entry of the arena's table: what is known of a packet or of an exchange.

use crate::{codec::QoS, time::Instant};

use super::Ticket;

/// Bytes of the transmit buffer that each queued or unacknowledged packet takes beside its own.
pub const SLOT_LEN: usize = if cfg!(feature = "v5") { 24 } else { 20 };

/// Where an exchange stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State(u8);

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
    /// PUBREC has come, PUBREL waits to be sent.
    pub(super) const PUBREL: Self = Self(6);
    pub(super) const AWAIT_PUBCOMP: Self = Self(7);
    pub(super) const AWAIT_SUBACK: Self = Self(8);
    pub(super) const AWAIT_UNSUBACK: Self = Self(9);
    /// Inbound message, with the application.
    pub(super) const HELD: Self = Self(10);
    /// Inbound message, PUBACK or PUBREC waits to be sent.
    pub(super) const ACK: Self = Self(11);
    /// Inbound QoS 2 message, PUBREL is awaited.
    pub(super) const AWAIT_PUBREL: Self = Self(12);
    /// PUBREL has come, PUBCOMP waits to be sent.
    pub(super) const PUBCOMP: Self = Self(13);

    /// Whether the exchange was begun by the server.
    pub(super) const fn is_inbound(self) -> bool {
        self.0 >= Self::HELD.0
    }

    /// Whether the packet identifier is one of ours and in use.
    pub(super) const fn owns_identifier(self) -> bool {
        self.0 >= Self::QUEUED.0 && self.0 <= Self::AWAIT_UNSUBACK.0
    }

    /// Whether an unacknowledged PUBLISH or PUBREL counts against the send quota (MQTT 5 §4.9).
    pub(super) const fn is_in_flight(self) -> bool {
        self.0 >= Self::AWAIT_PUBACK.0 && self.0 <= Self::AWAIT_PUBCOMP.0
    }

    /// Whether an acknowledgement of ours waits to be sent.
    pub(super) fn is_ack(self) -> bool {
        self == Self::PUBREL || self == Self::ACK || self == Self::PUBCOMP
    }
}

/// Flags of a slot: the QoS in the lowest two bits.
pub(super) mod flags {
    /// Somebody will ask for the outcome.
    pub(in crate::session) const WATCHED: u8 = 1 << 2;
    /// Was sent before: a repetition is marked with DUP.
    pub(in crate::session) const SENT: u8 = 1 << 3;
    /// A SUBSCRIBE packet.
    pub(in crate::session) const SUBSCRIBE: u8 = 1 << 4;
    /// An UNSUBSCRIBE packet.
    pub(in crate::session) const UNSUBSCRIBE: u8 = 1 << 5;
    /// Carries a Message Expiry Interval.
    #[cfg(feature = "v5")]
    pub(in crate::session) const EXPIRES: u8 = 1 << 6;
    /// The identifier was not known: PUBREL and PUBCOMP say so on MQTT 5.
    pub(in crate::session) const UNKNOWN: u8 = 1 << 7;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// First byte of the packet.
    pub(super) offset: usize,
    /// Length of the packet.
    pub(super) len: usize,
    /// The caller's name for it.
    pub(super) ticket: Ticket,
    /// Packet identifier, 0 if none.
    pub(super) id: u16,
    pub(super) state: State,
    pub(super) flags: u8,
    /// Reason code to send, or [`Outcome`](super::Outcome) when done.
    pub(super) code: u8,
    /// Failure of a finished exchange that is not the server's.
    pub(super) failure: u8,
    /// Links that the server closed while this was the oldest unacknowledged message.
    pub(super) strikes: u8,
    /// When it was accepted.
    #[cfg_attr(
        not(feature = "v5"),
        allow(dead_code, reason = "message expiry is of MQTT 5")
    )]
    pub(super) since: Instant,
}

impl Slot {
    pub(super) const FREE: Self = Self {
        offset: 0,
        len: 0,
        ticket: Ticket(0),
        id: 0,
        state: State::FREE,
        flags: 0,
        code: 0,
        failure: 0,
        strikes: 0,
        since: Instant::from_millis(0),
    };

    pub(super) fn is(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn qos(self) -> QoS {
        QoS::from_u8(self.flags & 3).unwrap_or(QoS::AtMostOnce)
    }

    /// Whether this is a message of ours that waits for its first or next transmission.
    pub(super) fn is_queued_publish(self) -> bool {
        self.state == State::QUEUED && !self.is(flags::SUBSCRIBE | flags::UNSUBSCRIBE)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "buffers above 4 GiB are refused"
    )]
    pub(super) fn to_bytes(self) -> [u8; SLOT_LEN] {
        let mut bytes = [0; SLOT_LEN];
        let words = [
            (self.offset as u32).to_ne_bytes(),
            (self.len as u32).to_ne_bytes(),
            self.ticket.0.to_ne_bytes(),
            {
                let [a, b] = self.id.to_ne_bytes();
                [a, b, self.state.0, self.flags]
            },
            [self.code, self.failure, self.strikes, 0],
            #[cfg(feature = "v5")]
            self.since.as_millis().to_ne_bytes(),
        ];
        for (to, from) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&from);
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; SLOT_LEN]) -> Self {
        let mut words = bytes.as_chunks::<4>().0.iter().copied();
        let mut word = || words.next().unwrap_or_default();
        let offset = u32::from_ne_bytes(word()) as usize;
        let len = u32::from_ne_bytes(word()) as usize;
        let ticket = Ticket(u32::from_ne_bytes(word()));
        let [a, b, state, flags] = word();
        let [code, failure, strikes, _] = word();
        Self {
            offset,
            len,
            ticket,
            id: u16::from_ne_bytes([a, b]),
            state: State(state),
            flags,
            code,
            failure,
            strikes,
            since: Instant::from_millis(u32::from_ne_bytes(word())),
        }
    }
}
