use core::fmt;

use super::ReasonCode;

/// Which of the two ways of being wrong the standard knows (MQTT 5 §4.13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// The bytes cannot be parsed as the packet they claim to be.
    Malformed,
    /// The packet can be parsed, but the protocol does not allow it.
    ProtocolError,
}

/// Why received bytes were refused. The peer is at fault; the only answer is to close the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum DecodeError {
    /// The packet ends before one of its fields does.
    Truncated,
    /// Bytes are left after the last field.
    TrailingBytes,
    /// A packet type the protocol version does not have.
    PacketType,
    /// Reserved bits are not as the standard wants them.
    ReservedBits,
    /// Both QoS bits are set.
    QoS,
    /// DUP is set in a PUBLISH at QoS 0.
    Dup,
    /// A variable byte integer has more than four bytes, or more than it needs.
    VariableByteInteger,
    /// A string is not UTF-8 as MQTT wants it: ill-formed, a surrogate, or with U+0000.
    String,
    /// A return or reason code that this packet cannot have.
    ReasonCode,
    /// The property length does not end where a property does.
    PropertyLength,
    /// A property identifier that the standard does not define.
    UnknownProperty,
    /// A property that this packet cannot have.
    PropertyNotAllowed,
    /// CONNECT has a password but no user name, which 3.1.1 forbids.
    PasswordWithoutUserName,
    /// A packet identifier is zero.
    PacketIdentifierZero,
    /// A topic name is empty and no topic alias stands for it.
    TopicEmpty,
    /// A topic name holds a wildcard.
    TopicWildcard,
    /// A topic filter breaks the rules for wildcards or shared subscriptions.
    TopicFilter,
    /// A topic alias is zero.
    TopicAlias,
    /// A property that may be there once appears again.
    PropertyTwice,
    /// A property has a value outside its range.
    PropertyValue,
    /// Authentication data without an authentication method, or AUTH without a method.
    AuthenticationMethod,
    /// CONNACK refuses the connection and yet announces a session.
    SessionPresent,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter, SUBACK or UNSUBACK without a code.
    EmptyList,
    /// No Local was asked for on a shared subscription.
    NoLocal,
    /// CONNECT names another protocol or another version of it.
    ProtocolVersion,
    /// An empty client identifier with a session to be kept, which 3.1.1 forbids.
    ClientIdentifier,
    /// A packet, code or property that flows only from client to server.
    WrongDirection,
}

impl DecodeError {
    /// Whether the packet was malformed or a protocol error.
    #[must_use]
    pub const fn kind(self) -> Fault {
        if (self as u8) < Self::PacketIdentifierZero as u8 {
            Fault::Malformed
        } else {
            Fault::ProtocolError
        }
    }

    /// The reason code with which an MQTT 5 DISCONNECT, or a server's CONNACK, names the fault.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::TopicAlias => ReasonCode::TOPIC_ALIAS_INVALID,
            Self::TopicWildcard => ReasonCode::TOPIC_NAME_INVALID,
            Self::ProtocolVersion => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            Self::ClientIdentifier => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            _ => match self.kind() {
                Fault::Malformed => ReasonCode::MALFORMED_PACKET,
                Fault::ProtocolError => ReasonCode::PROTOCOL_ERROR,
            },
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "packet ends inside a field",
            Self::TrailingBytes => "bytes left after the last field",
            Self::PacketType => "unknown packet type",
            Self::ReservedBits => "reserved bits set",
            Self::QoS => "both QoS bits set",
            Self::Dup => "DUP set at QoS 0",
            Self::VariableByteInteger => "bad variable byte integer",
            Self::String => "string is not legal UTF-8",
            Self::ReasonCode => "code not defined for this packet",
            Self::PropertyLength => "property length is wrong",
            Self::UnknownProperty => "unknown property",
            Self::PropertyNotAllowed => "property not allowed in this packet",
            Self::PasswordWithoutUserName => "password without user name",
            Self::PacketIdentifierZero => "packet identifier is zero",
            Self::TopicEmpty => "empty topic name",
            Self::TopicWildcard => "wildcard in a topic name",
            Self::TopicFilter => "bad topic filter",
            Self::TopicAlias => "topic alias is zero",
            Self::PropertyTwice => "property appears twice",
            Self::PropertyValue => "property value out of range",
            Self::AuthenticationMethod => "authentication method missing",
            Self::SessionPresent => "session present in a refusal",
            Self::EmptyList => "no filter or no code",
            Self::NoLocal => "no local on a shared subscription",
            Self::ProtocolVersion => "other protocol or version",
            Self::ClientIdentifier => "empty client identifier",
            Self::WrongDirection => "only a client may send this",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet was not written. The caller is at fault, or its buffer is too small; nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum EncodeError {
    /// The buffer ends before the packet does.
    NoRoom,
    /// A string or binary field above 65,535 bytes, or a packet above 268,435,455.
    TooLong,
    /// A property that this packet cannot have.
    PropertyNotAllowed,
    /// A property that may be there once was given twice.
    PropertyTwice,
    /// A value the standard forbids: U+0000 in a string, a packet identifier where the QoS has none
    /// or none where it needs one, DUP at QoS 0, an empty topic without topic alias, a code that the
    /// packet cannot have, authentication data without method.
    InvalidValue,
    /// A password without a user name, which only MQTT 5 allows [MQTT-3.1.2-22].
    PasswordWithoutUserName,
    /// An empty client identifier with `clean_session` false, which 3.1.1 forbids [MQTT-3.1.3-7].
    ClientIdentifier,
    /// SUBSCRIBE or UNSUBSCRIBE without a filter, SUBACK or UNSUBACK without a code.
    EmptyList,
    /// No Local on a shared subscription [MQTT-3.8.3-4].
    NoLocal,
    /// A packet that the protocol version does not have: AUTH in 3.1.1.
    PacketType,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "no room for the packet",
            Self::TooLong => "field or packet too long",
            Self::PropertyNotAllowed => "property not allowed in this packet",
            Self::PropertyTwice => "property given twice",
            Self::InvalidValue => "value not allowed",
            Self::PasswordWithoutUserName => "password without user name",
            Self::ClientIdentifier => "empty client identifier",
            Self::EmptyList => "no filter or no code",
            Self::NoLocal => "no local on a shared subscription",
            Self::PacketType => "packet type not in this version",
        })
    }
}

impl core::error::Error for EncodeError {}
