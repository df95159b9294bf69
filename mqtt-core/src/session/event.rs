//! What a session tells its caller.

use core::fmt;

use crate::codec::{ConnAck, PacketIdentifier, Publish, PublishHead, ReasonCode};

use super::DeliveryError;

/// The caller's name for a queued exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket(pub(super) u16);

/// How a delivery ended: acknowledged (by [`ReasonCode::SUCCESS`] or
/// [`ReasonCode::NO_MATCHING_SUBSCRIBERS`]), or not.
///
/// QoS 0 ends well when the bytes were given out.
pub type Outcome = Result<ReasonCode, DeliveryError>;

/// What came of a received packet.
///
/// Of authentication data, `Debug` shows the length only.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'rx> {
    /// Nothing for the application.
    None,
    /// The server accepted the connection.
    Connected(ConnAck<'rx>),
    /// A message.
    Message(Incoming<'rx>),
    /// The first part of a message larger than the receive buffer; its payload follows in pieces.
    ///
    /// The topic is empty if not even that fitted. To have no pieces, call
    /// [`ReceiveBuffer::skip`](crate::ReceiveBuffer::skip).
    LargeMessage(PublishHead<'rx>, Option<AckToken>),
    /// The next piece. After the last, acknowledge the message.
    Piece {
        /// Bytes of the payload, in order.
        bytes: &'rx [u8],
        /// Nothing follows.
        last: bool,
    },
    /// A step of extended authentication: answer with
    /// [`Session::authenticate`](super::Session::authenticate).
    #[cfg(feature = "v5")]
    Authentication {
        /// The server's data.
        data: &'rx [u8],
        /// The server is content: no answer is due.
        finished: bool,
    },
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Connected(connack) => f.debug_tuple("Connected").field(connack).finish(),
            Self::Message(incoming) => f.debug_tuple("Message").field(incoming).finish(),
            Self::LargeMessage(head, token) => f
                .debug_tuple("LargeMessage")
                .field(head)
                .field(token)
                .finish(),
            Self::Piece { bytes, last } => f
                .debug_struct("Piece")
                .field("bytes", bytes)
                .field("last", last)
                .finish(),
            #[cfg(feature = "v5")]
            Self::Authentication { data, finished } => f
                .debug_struct("Authentication")
                .field("data_len", &data.len())
                .field("finished", finished)
                .finish(),
        }
    }
}

/// A received message, and how to acknowledge it.
#[derive(Clone, Copy, Debug)]
#[must_use = "the server waits for the acknowledgement"]
pub struct Incoming<'rx> {
    /// The message.
    pub publish: Publish<'rx>,
    /// For [`Session::acknowledge`](super::Session::acknowledge); `None` at QoS 0.
    pub token: Option<AckToken>,
}

/// The right to acknowledge one received message, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "the server waits for the acknowledgement"]
pub struct AckToken {
    pub(super) id: PacketIdentifier,
    pub(super) epoch: u16,
}

/// What happened to a session since it was made. Counts wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted by the server.
    pub connections: u16,
    /// Messages accepted for sending.
    pub published: u32,
    /// Messages acknowledged as their QoS asks; at QoS 0 given to the transport.
    pub delivered: u32,
    /// Messages that ended with a [`DeliveryError`].
    pub failed: u32,
    /// Messages given to the application.
    pub received: u32,
    /// QoS 2 messages that came again and were not given to the application again.
    pub duplicates: u16,
    /// Subscriptions of the options that the server refused.
    pub subscriptions_refused: u16,
    /// Moves whenever room was made or an outcome became known; wraps.
    pub(crate) progress: u16,
}

impl Counters {
    pub(super) const NEW: Self = Self {
        connections: 0,
        published: 0,
        delivered: 0,
        failed: 0,
        received: 0,
        duplicates: 0,
        subscriptions_refused: 0,
        progress: 0,
    };
}

/// How an exchange failed, in one byte.
pub(super) mod failure {
    pub(in crate::session) const REJECTED: u8 = 1;
    #[cfg(feature = "v5")]
    pub(in crate::session) const EXPIRED: u8 = 2;
    pub(in crate::session) const DROPPED: u8 = 3;
    pub(in crate::session) const SESSION_LOST: u8 = 4;
    pub(in crate::session) const POISON: u8 = 5;
    pub(in crate::session) const LINK_LOST: u8 = 6;
}

pub(super) fn outcome(failure: u8, code: u8) -> Outcome {
    let code = ReasonCode::new(code);
    Err(match failure {
        0 => return Ok(code),
        failure::REJECTED => DeliveryError::Rejected(code),
        2 => DeliveryError::Expired,
        failure::DROPPED => DeliveryError::Dropped,
        failure::SESSION_LOST => DeliveryError::SessionLost,
        failure::POISON => DeliveryError::Poison,
        _ => DeliveryError::LinkLost,
    })
}
