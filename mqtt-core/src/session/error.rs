//! What can go wrong, by who is at fault.

use core::fmt;

use crate::codec::{DecodeError, EncodeError, Fault, ReasonCode, TopicError};

/// Why a link must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The peer sent bytes that the standard forbids.
    Decode(DecodeError),
    /// The peer sent a legal packet at a moment that the standard forbids.
    Protocol(ProtocolError),
    /// CONNACK refused the connection. 3.1.1: return codes 1 to 5, MQTT 5: reason codes from 0x80.
    Refused(ReasonCode),
    /// The server sent DISCONNECT (MQTT 5).
    ServerDisconnect(ReasonCode),
    /// No CONNACK in time.
    ConnAckTimeout,
    /// No PINGRESP in time.
    PingTimeout,
    /// No acknowledgement in time.
    AckTimeout,
    /// The transport did not take our bytes in time.
    WriteTimeout,
    /// The method of extended authentication rejected the server's data.
    AuthenticationFailed,
    /// The writer of a streamed payload stopped before its announced end.
    StreamAborted,
}

/// How a legal packet can be out of place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum ProtocolError {
    /// A packet other than CONNACK or AUTH before CONNACK, or a second CONNACK.
    UnexpectedPacket,
    /// AUTH although CONNECT named no authentication method, or with another method.
    Authentication,
    /// CONNACK announces a session that we do not have.
    SessionPresent,
    /// The answer does not fit the request: another kind of packet, or another number of codes.
    WrongAcknowledgement,
    /// More unacknowledged messages than Receive Maximum allows, or than there is room for.
    ReceiveMaximum,
    /// Larger than the maximum packet size.
    PacketTooLarge,
    /// A packet other than PUBLISH that does not fit into the receive buffer.
    BufferTooSmall,
    /// A topic alias above our Topic Alias Maximum, or never set on this connection.
    TopicAlias,
    /// The topics of the aliases do not fit into the receive buffer.
    TopicAliasMemory,
}

impl SessionError {
    /// Whether the peer broke the standard, and how.
    #[must_use]
    pub const fn fault(self) -> Option<Fault> {
        match self {
            Self::Decode(error) => Some(error.kind()),
            Self::Protocol(_) => Some(Fault::ProtocolError),
            _ => None,
        }
    }

    /// The reason code of the DISCONNECT by which an MQTT 5 session takes its leave.
    ///
    /// [`ReasonCode::SUCCESS`] where none is sent.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::Decode(error) => error.reason_code(),
            Self::Protocol(ProtocolError::ReceiveMaximum) => ReasonCode::RECEIVE_MAXIMUM_EXCEEDED,
            Self::Protocol(ProtocolError::PacketTooLarge | ProtocolError::BufferTooSmall) => {
                ReasonCode::PACKET_TOO_LARGE
            }
            Self::Protocol(ProtocolError::TopicAlias) => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::Protocol(ProtocolError::TopicAliasMemory) => ReasonCode::QUOTA_EXCEEDED,
            Self::Protocol(_) => ReasonCode::PROTOCOL_ERROR,
            Self::AuthenticationFailed => ReasonCode::NOT_AUTHORIZED,
            Self::PingTimeout | Self::AckTimeout => ReasonCode::UNSPECIFIED_ERROR,
            _ => ReasonCode::SUCCESS,
        }
    }

    /// Whether connecting again with the same options is bound to fail: the server refused who we are.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Refused(code) => matches!(
                code,
                // 3.1.1: protocol version, identifier, user name or password, not authorized.
                ReasonCode(1 | 2 | 4 | 5)
                    | ReasonCode::UNSUPPORTED_PROTOCOL_VERSION
                    | ReasonCode::CLIENT_IDENTIFIER_NOT_VALID
                    | ReasonCode::BAD_USER_NAME_OR_PASSWORD
                    | ReasonCode::NOT_AUTHORIZED
                    | ReasonCode::BANNED
                    | ReasonCode::BAD_AUTHENTICATION_METHOD
            ),
            Self::AuthenticationFailed => true,
            _ => false,
        }
    }
}

impl From<DecodeError> for SessionError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<ProtocolError> for SessionError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decode(error) => return write!(f, "server sent a bad packet: {error}"),
            Self::Protocol(error) => return write!(f, "server broke the protocol: {error}"),
            Self::Refused(code) => return write!(f, "refused: {}", refusal(*code)),
            Self::ServerDisconnect(code) => return write!(f, "server disconnected: {code}"),
            Self::ConnAckTimeout => "no answer to CONNECT",
            Self::PingTimeout => "no answer to PINGREQ",
            Self::AckTimeout => "no acknowledgement in time",
            Self::WriteTimeout => "link takes no more bytes",
            Self::AuthenticationFailed => "authentication failed",
            Self::StreamAborted => "streamed payload was not finished",
        })
    }
}

impl core::error::Error for SessionError {}

/// The text of a CONNACK code of either version.
fn refusal(code: ReasonCode) -> &'static str {
    match code.value() {
        1 => "unacceptable protocol version",
        2 => "identifier rejected",
        3 => "server unavailable",
        4 => "bad user name or password",
        5 => "not authorized",
        _ => code.name(),
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedPacket => "packet out of place",
            Self::Authentication => "authentication out of place",
            Self::SessionPresent => "unknown session present",
            Self::WrongAcknowledgement => "answer does not fit the request",
            Self::ReceiveMaximum => "receive maximum exceeded",
            Self::PacketTooLarge => "packet too large",
            Self::BufferTooSmall => "packet larger than the receive buffer",
            Self::TopicAlias => "topic alias not valid",
            Self::TopicAliasMemory => "no memory for topic aliases",
        })
    }
}

impl core::error::Error for ProtocolError {}

/// Why a call was refused. Nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PublishError {
    /// No room now; acknowledgements will make some.
    Full,
    /// Does not fit into the transmit buffer at all.
    TooLarge,
    /// The topic name is not one.
    Topic(TopicError),
    /// The packet cannot be encoded: a property that it cannot have, a payload that failed to write itself.
    Encode(EncodeError),
    /// The server announced a lower Maximum QoS.
    QoSNotSupported,
    /// The server announced that it retains nothing.
    RetainNotSupported,
    /// Larger than the server's Maximum Packet Size.
    PacketTooLarge,
    /// The server announced that it has no wildcard subscriptions.
    WildcardsNotSupported,
    /// The server announced that it has no shared subscriptions.
    SharedSubscriptionsNotSupported,
    /// The server announced that it has no subscription identifiers.
    SubscriptionIdentifiersNotSupported,
    /// A payload is being streamed already.
    StreamBusy,
    /// The options name a method of extended authentication, and `enable_authentication` was not called.
    AuthenticationNotEnabled,
    /// No link, and this kind of request is not kept for the next one.
    NotConnected,
    /// The runner has ended, so nothing would ever make room.
    Stopped,
}

impl PublishError {
    /// Whether a limit that the server announced is the reason; and by which code the server would have said so.
    #[must_use]
    pub const fn server_limit(self) -> Option<ReasonCode> {
        Some(match self {
            Self::QoSNotSupported => ReasonCode::QOS_NOT_SUPPORTED,
            Self::RetainNotSupported => ReasonCode::RETAIN_NOT_SUPPORTED,
            Self::PacketTooLarge => ReasonCode::PACKET_TOO_LARGE,
            Self::WildcardsNotSupported => ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
            Self::SharedSubscriptionsNotSupported => ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            Self::SubscriptionIdentifiersNotSupported => {
                ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED
            }
            _ => return None,
        })
    }
}

impl From<EncodeError> for PublishError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<TopicError> for PublishError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no room in the transmit buffer",
            Self::TooLarge => "larger than the transmit buffer",
            Self::Topic(error) => return error.fmt(f),
            Self::Encode(error) => return error.fmt(f),
            Self::QoSNotSupported => "server does not support this QoS",
            Self::RetainNotSupported => "server does not retain messages",
            Self::PacketTooLarge => "larger than the server accepts",
            Self::WildcardsNotSupported => "server has no wildcard subscriptions",
            Self::SharedSubscriptionsNotSupported => "server has no shared subscriptions",
            Self::SubscriptionIdentifiersNotSupported => "server has no subscription identifiers",
            Self::StreamBusy => "another payload is being streamed",
            Self::AuthenticationNotEnabled => "extended authentication is not enabled",
            Self::NotConnected => "not connected",
            Self::Stopped => "client has stopped",
        })
    }
}

impl core::error::Error for PublishError {}

/// Why an accepted message did not arrive, or may not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DeliveryError {
    /// The server refused it (MQTT 5), or would have by a limit it announced.
    Rejected(ReasonCode),
    /// Its Message Expiry Interval was over before it could be sent.
    Expired,
    /// It made room for a newer one, as [`OutboxPolicy`](super::OutboxPolicy) says.
    Dropped,
    /// The server lost the session in the middle of a QoS 2 exchange: the message may or may not have arrived.
    SessionLost,
    /// The server kept closing the link on it, or on its PUBREL; it was set aside, and may or may not have arrived.
    Poison,
    /// The link ended before a streamed payload did. Nothing is repeated, since nothing was kept.
    LinkLost,
    /// The runner has ended; the message waits for its next run.
    Stopped,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected(code) => return write!(f, "rejected: {code}"),
            Self::Expired => "expired before it could be sent",
            Self::Dropped => "dropped for a newer message",
            Self::SessionLost => "server lost the session",
            Self::Poison => "set aside, the server closed the link on it repeatedly",
            Self::LinkLost => "link lost in the middle of a streamed payload",
            Self::Stopped => "client has stopped",
        })
    }
}

impl core::error::Error for DeliveryError {}
