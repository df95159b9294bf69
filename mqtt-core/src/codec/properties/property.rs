use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use super::Raw;
use crate::codec::{EncodeError, QoS, TopicName, Writer, text};

/// One property of an MQTT 5 packet (MQTT 5 §2.2.2.2).
///
/// Of authentication data, `Debug` and `defmt::Format` show the length only.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Property<'a> {
    /// `0x01`: whether the payload is UTF-8 text (`true`) or unspecified bytes.
    PayloadFormatIndicator(bool),
    /// `0x02`: lifetime of the message in seconds.
    MessageExpiryInterval(u32),
    /// `0x03`: what the payload is, often a MIME type.
    ContentType(&'a str),
    /// `0x08`: where the answer to a request goes.
    ResponseTopic(TopicName<'a>),
    /// `0x09`: what ties an answer to its request.
    CorrelationData(&'a [u8]),
    /// `0x0b`: 1 to 268,435,455: in SUBSCRIBE the name of the subscription, in PUBLISH those that it belongs to.
    SubscriptionIdentifier(NonZeroU32),
    /// `0x11`: how long the session lives on without a connection, in seconds; `u32::MAX` for ever.
    SessionExpiryInterval(u32),
    /// `0x12`: the client identifier that the server chose.
    AssignedClientIdentifier(&'a str),
    /// `0x13`: keep alive in seconds that the client must use instead of its own.
    ServerKeepAlive(u16),
    /// `0x15`: name of the authentication method.
    AuthenticationMethod(&'a str),
    /// `0x16`: a step of the authentication method.
    AuthenticationData(&'a [u8]),
    /// `0x17`: whether reason strings and user properties may come with failures.
    RequestProblemInformation(bool),
    /// `0x18`: seconds between the end of the connection and the will.
    WillDelayInterval(u32),
    /// `0x19`: whether the server should send response information.
    RequestResponseInformation(bool),
    /// `0x1a`: what the client may build response topics from.
    ResponseInformation(&'a str),
    /// `0x1c`: another server that the client should use.
    ServerReference(&'a str),
    /// `0x1f`: words for people about the reason code.
    ReasonString(&'a str),
    /// `0x21`: how many unacknowledged PUBLISH at QoS 1 and 2 the sender accepts.
    ReceiveMaximum(NonZeroU16),
    /// `0x22`: highest topic alias that the sender accepts; zero for none.
    TopicAliasMaximum(u16),
    /// `0x23`: a number that stands for the topic name on this connection.
    TopicAlias(NonZeroU16),
    /// `0x24`: highest QoS that the server accepts, 0 or 1.
    MaximumQoS(QoS),
    /// `0x25`: whether the server accepts retained messages.
    RetainAvailable(bool),
    /// `0x26`: name and value that mean something to the application only.
    UserProperty(&'a str, &'a str),
    /// `0x27`: longest packet that the sender accepts, in bytes with fixed header.
    MaximumPacketSize(NonZeroU32),
    /// `0x28`: whether the server accepts filters with wildcards.
    WildcardSubscriptionAvailable(bool),
    /// `0x29`: whether the server accepts subscription identifiers.
    SubscriptionIdentifierAvailable(bool),
    /// `0x2a`: whether the server accepts shared subscriptions.
    SharedSubscriptionAvailable(bool),
}

impl<'a> Property<'a> {
    /// The identifier on the wire.
    #[must_use]
    pub const fn identifier(&self) -> u8 {
        match self {
            Self::PayloadFormatIndicator(..) => 0x01,
            Self::MessageExpiryInterval(..) => 0x02,
            Self::ContentType(..) => 0x03,
            Self::ResponseTopic(..) => 0x08,
            Self::CorrelationData(..) => 0x09,
            Self::SubscriptionIdentifier(..) => 0x0b,
            Self::SessionExpiryInterval(..) => 0x11,
            Self::AssignedClientIdentifier(..) => 0x12,
            Self::ServerKeepAlive(..) => 0x13,
            Self::AuthenticationMethod(..) => 0x15,
            Self::AuthenticationData(..) => 0x16,
            Self::RequestProblemInformation(..) => 0x17,
            Self::WillDelayInterval(..) => 0x18,
            Self::RequestResponseInformation(..) => 0x19,
            Self::ResponseInformation(..) => 0x1a,
            Self::ServerReference(..) => 0x1c,
            Self::ReasonString(..) => 0x1f,
            Self::ReceiveMaximum(..) => 0x21,
            Self::TopicAliasMaximum(..) => 0x22,
            Self::TopicAlias(..) => 0x23,
            Self::MaximumQoS(..) => 0x24,
            Self::RetainAvailable(..) => 0x25,
            Self::UserProperty(..) => 0x26,
            Self::MaximumPacketSize(..) => 0x27,
            Self::WildcardSubscriptionAvailable(..) => 0x28,
            Self::SubscriptionIdentifierAvailable(..) => 0x29,
            Self::SharedSubscriptionAvailable(..) => 0x2a,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::PayloadFormatIndicator(..) => "PayloadFormatIndicator",
            Self::MessageExpiryInterval(..) => "MessageExpiryInterval",
            Self::ContentType(..) => "ContentType",
            Self::ResponseTopic(..) => "ResponseTopic",
            Self::CorrelationData(..) => "CorrelationData",
            Self::SubscriptionIdentifier(..) => "SubscriptionIdentifier",
            Self::SessionExpiryInterval(..) => "SessionExpiryInterval",
            Self::AssignedClientIdentifier(..) => "AssignedClientIdentifier",
            Self::ServerKeepAlive(..) => "ServerKeepAlive",
            Self::AuthenticationMethod(..) => "AuthenticationMethod",
            Self::AuthenticationData(..) => "AuthenticationData",
            Self::RequestProblemInformation(..) => "RequestProblemInformation",
            Self::WillDelayInterval(..) => "WillDelayInterval",
            Self::RequestResponseInformation(..) => "RequestResponseInformation",
            Self::ResponseInformation(..) => "ResponseInformation",
            Self::ServerReference(..) => "ServerReference",
            Self::ReasonString(..) => "ReasonString",
            Self::ReceiveMaximum(..) => "ReceiveMaximum",
            Self::TopicAliasMaximum(..) => "TopicAliasMaximum",
            Self::TopicAlias(..) => "TopicAlias",
            Self::MaximumQoS(..) => "MaximumQoS",
            Self::RetainAvailable(..) => "RetainAvailable",
            Self::UserProperty(..) => "UserProperty",
            Self::MaximumPacketSize(..) => "MaximumPacketSize",
            Self::WildcardSubscriptionAvailable(..) => "WildcardSubscriptionAvailable",
            Self::SubscriptionIdentifierAvailable(..) => "SubscriptionIdentifierAvailable",
            Self::SharedSubscriptionAvailable(..) => "SharedSubscriptionAvailable",
        }
    }

    pub(super) fn to_raw(self) -> Raw<'a> {
        let mut raw = Raw {
            id: self.identifier(),
            ..Raw::default()
        };
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => raw.integer = value.into(),
            Self::ServerKeepAlive(value) | Self::TopicAliasMaximum(value) => {
                raw.integer = value.into();
            }
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => {
                raw.integer = value.get().into();
            }
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value) => raw.integer = value,
            Self::SubscriptionIdentifier(value) | Self::MaximumPacketSize(value) => {
                raw.integer = value.get();
            }
            Self::MaximumQoS(value) => raw.integer = value as u32,
            Self::ContentType(value)
            | Self::AssignedClientIdentifier(value)
            | Self::AuthenticationMethod(value)
            | Self::ResponseInformation(value)
            | Self::ServerReference(value)
            | Self::ReasonString(value) => raw.bytes = value.as_bytes(),
            Self::ResponseTopic(value) => raw.bytes = value.as_bytes(),
            Self::CorrelationData(value) | Self::AuthenticationData(value) => raw.bytes = value,
            Self::UserProperty(name, value) => {
                raw.bytes = name.as_bytes();
                raw.value = value.as_bytes();
            }
        }
        raw
    }

    /// The property with its name; `None` cannot come of bytes that were checked.
    pub(super) fn from_raw(raw: Raw<'a>) -> Option<Self> {
        let boolean = raw.integer != 0;
        let two_byte = u16::try_from(raw.integer).ok();
        Some(match raw.id {
            0x01 => Self::PayloadFormatIndicator(boolean),
            0x02 => Self::MessageExpiryInterval(raw.integer),
            0x03 => Self::ContentType(text::as_str(raw.bytes)),
            0x08 => Self::ResponseTopic(TopicName::from_checked(raw.bytes)),
            0x09 => Self::CorrelationData(raw.bytes),
            0x0b => Self::SubscriptionIdentifier(NonZeroU32::new(raw.integer)?),
            0x11 => Self::SessionExpiryInterval(raw.integer),
            0x12 => Self::AssignedClientIdentifier(text::as_str(raw.bytes)),
            0x13 => Self::ServerKeepAlive(two_byte?),
            0x15 => Self::AuthenticationMethod(text::as_str(raw.bytes)),
            0x16 => Self::AuthenticationData(raw.bytes),
            0x17 => Self::RequestProblemInformation(boolean),
            0x18 => Self::WillDelayInterval(raw.integer),
            0x19 => Self::RequestResponseInformation(boolean),
            0x1a => Self::ResponseInformation(text::as_str(raw.bytes)),
            0x1c => Self::ServerReference(text::as_str(raw.bytes)),
            0x1f => Self::ReasonString(text::as_str(raw.bytes)),
            0x21 => Self::ReceiveMaximum(NonZeroU16::new(two_byte?)?),
            0x22 => Self::TopicAliasMaximum(two_byte?),
            0x23 => Self::TopicAlias(NonZeroU16::new(two_byte?)?),
            0x24 => Self::MaximumQoS(QoS::from_u8(u8::try_from(raw.integer).ok()?)?),
            0x25 => Self::RetainAvailable(boolean),
            0x26 => Self::UserProperty(text::as_str(raw.bytes), text::as_str(raw.value)),
            0x27 => Self::MaximumPacketSize(NonZeroU32::new(raw.integer)?),
            0x28 => Self::WildcardSubscriptionAvailable(boolean),
            0x29 => Self::SubscriptionIdentifierAvailable(boolean),
            0x2a => Self::SharedSubscriptionAvailable(boolean),
            _ => return None,
        })
    }
}

impl fmt::Debug for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple(self.name());
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => tuple.field(value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value) => tuple.field(value),
            Self::SubscriptionIdentifier(value) | Self::MaximumPacketSize(value) => {
                tuple.field(value)
            }
            Self::ServerKeepAlive(value) | Self::TopicAliasMaximum(value) => tuple.field(value),
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => tuple.field(value),
            Self::ContentType(value)
            | Self::AssignedClientIdentifier(value)
            | Self::AuthenticationMethod(value)
            | Self::ResponseInformation(value)
            | Self::ServerReference(value)
            | Self::ReasonString(value) => tuple.field(value),
            Self::ResponseTopic(value) => tuple.field(value),
            Self::MaximumQoS(value) => tuple.field(value),
            Self::CorrelationData(value) => tuple.field(value),
            Self::UserProperty(name, value) => tuple.field(name).field(value),
            // It may be a password.
            Self::AuthenticationData(value) => tuple.field(&format_args!("{} bytes", value.len())),
        };
        tuple.finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Property<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}(", self.name());
        match self {
            Self::PayloadFormatIndicator(value)
            | Self::RequestProblemInformation(value)
            | Self::RequestResponseInformation(value)
            | Self::RetainAvailable(value)
            | Self::WildcardSubscriptionAvailable(value)
            | Self::SubscriptionIdentifierAvailable(value)
            | Self::SharedSubscriptionAvailable(value) => defmt::write!(f, "{=bool})", *value),
            Self::MessageExpiryInterval(value)
            | Self::SessionExpiryInterval(value)
            | Self::WillDelayInterval(value) => defmt::write!(f, "{=u32})", *value),
            Self::SubscriptionIdentifier(value) | Self::MaximumPacketSize(value) => {
                defmt::write!(f, "{=u32})", value.get());
            }
            Self::ServerKeepAlive(value) | Self::TopicAliasMaximum(value) => {
                defmt::write!(f, "{=u16})", *value);
            }
            Self::ReceiveMaximum(value) | Self::TopicAlias(value) => {
                defmt::write!(f, "{=u16})", value.get());
            }
            Self::ContentType(value)
            | Self::AssignedClientIdentifier(value)
            | Self::AuthenticationMethod(value)
            | Self::ResponseInformation(value)
            | Self::ServerReference(value)
            | Self::ReasonString(value) => defmt::write!(f, "{=str})", value),
            Self::ResponseTopic(value) => defmt::write!(f, "{})", value),
            Self::MaximumQoS(value) => defmt::write!(f, "{})", value),
            Self::CorrelationData(value) => defmt::write!(f, "{=[u8]})", value),
            Self::UserProperty(name, value) => defmt::write!(f, "{=str}, {=str})", name, value),
            Self::AuthenticationData(value) => defmt::write!(f, "{=usize} bytes)", value.len()),
        }
    }
}

/// What is done with the properties of a user.
pub(super) struct ListOps {
    /// Drops all properties before the next with that identifier, and takes that one.
    pub(super) find: for<'a> fn(&mut &'a [Property<'a>], u8) -> Option<Raw<'a>>,
    pub(super) encoded_len: fn(&[Property<'_>]) -> usize,
    pub(super) write: fn(&[Property<'_>], &mut Writer<'_>) -> Result<(), EncodeError>,
}

pub(super) static LIST_OPS: ListOps = ListOps {
    find,
    encoded_len,
    write,
};

fn find<'a>(list: &mut &'a [Property<'a>], id: u8) -> Option<Raw<'a>> {
    while let Some((first, rest)) = list.split_first() {
        *list = rest;
        if first.identifier() == id {
            return Some(first.to_raw());
        }
    }
    None
}

fn encoded_len(list: &[Property<'_>]) -> usize {
    list.iter().fold(0, |len, property| {
        len.saturating_add(property.to_raw().encoded_len())
    })
}

fn write(list: &[Property<'_>], writer: &mut Writer<'_>) -> Result<(), EncodeError> {
    list.iter()
        .try_for_each(|property| property.to_raw().write(writer))
}
