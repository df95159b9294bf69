use core::fmt;

/// A reason code of MQTT 5 (§2.4), or a return code of a 3.1.1 CONNACK or SUBACK.
///
/// The 3.1.1 return codes of CONNACK share their numbers with other reason codes;
/// [`ConnAck::reason`](super::ConnAck::reason) translates them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReasonCode(pub(crate) u8);

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal $text:literal,)*) => {
        impl ReasonCode {
            $(
                #[doc = concat!("`", stringify!($value), "`: ", $text, ".")]
                $(#[$doc])*
                pub const $name: Self = Self($value);
            )*

            /// The words of the standard for the code, in lower case; "unknown" if it has none.
            ///
            /// 0x00 reads "success", which also stands for normal disconnection and granted QoS 0.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    _ => "unknown",
                }
            }
        }
    };
}

reason_codes! {
    SUCCESS = 0x00 "success",
    GRANTED_QOS_1 = 0x01 "granted QoS 1",
    GRANTED_QOS_2 = 0x02 "granted QoS 2",
    DISCONNECT_WITH_WILL_MESSAGE = 0x04 "disconnect with will message",
    NO_MATCHING_SUBSCRIBERS = 0x10 "no matching subscribers",
    NO_SUBSCRIPTION_EXISTED = 0x11 "no subscription existed",
    CONTINUE_AUTHENTICATION = 0x18 "continue authentication",
    RE_AUTHENTICATE = 0x19 "re-authenticate",
    UNSPECIFIED_ERROR = 0x80 "unspecified error",
    MALFORMED_PACKET = 0x81 "malformed packet",
    PROTOCOL_ERROR = 0x82 "protocol error",
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83 "implementation specific error",
    UNSUPPORTED_PROTOCOL_VERSION = 0x84 "unsupported protocol version",
    CLIENT_IDENTIFIER_NOT_VALID = 0x85 "client identifier not valid",
    BAD_USER_NAME_OR_PASSWORD = 0x86 "bad user name or password",
    NOT_AUTHORIZED = 0x87 "not authorized",
    SERVER_UNAVAILABLE = 0x88 "server unavailable",
    SERVER_BUSY = 0x89 "server busy",
    BANNED = 0x8a "banned",
    SERVER_SHUTTING_DOWN = 0x8b "server shutting down",
    BAD_AUTHENTICATION_METHOD = 0x8c "bad authentication method",
    KEEP_ALIVE_TIMEOUT = 0x8d "keep alive timeout",
    SESSION_TAKEN_OVER = 0x8e "session taken over",
    TOPIC_FILTER_INVALID = 0x8f "topic filter invalid",
    TOPIC_NAME_INVALID = 0x90 "topic name invalid",
    PACKET_IDENTIFIER_IN_USE = 0x91 "packet identifier in use",
    PACKET_IDENTIFIER_NOT_FOUND = 0x92 "packet identifier not found",
    RECEIVE_MAXIMUM_EXCEEDED = 0x93 "receive maximum exceeded",
    TOPIC_ALIAS_INVALID = 0x94 "topic alias invalid",
    PACKET_TOO_LARGE = 0x95 "packet too large",
    MESSAGE_RATE_TOO_HIGH = 0x96 "message rate too high",
    QUOTA_EXCEEDED = 0x97 "quota exceeded",
    ADMINISTRATIVE_ACTION = 0x98 "administrative action",
    PAYLOAD_FORMAT_INVALID = 0x99 "payload format invalid",
    RETAIN_NOT_SUPPORTED = 0x9a "retain not supported",
    QOS_NOT_SUPPORTED = 0x9b "QoS not supported",
    USE_ANOTHER_SERVER = 0x9c "use another server",
    SERVER_MOVED = 0x9d "server moved",
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9e "shared subscriptions not supported",
    CONNECTION_RATE_EXCEEDED = 0x9f "connection rate exceeded",
    MAXIMUM_CONNECT_TIME = 0xa0 "maximum connect time",
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xa1 "subscription identifiers not supported",
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xa2 "wildcard subscriptions not supported",
}

impl ReasonCode {
    /// `0x00` in DISCONNECT: the connection ends normally, the will is not sent.
    pub const NORMAL_DISCONNECTION: Self = Self(0x00);
    /// `0x00` in SUBACK: the subscription was accepted at QoS 0.
    pub const GRANTED_QOS_0: Self = Self(0x00);

    /// Makes a code of any value, also of one the standard does not define.
    ///
    /// Encoders refuse a code that the packet cannot have.
    #[must_use]
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether the code means a failure, that is 0x80 or above.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReasonCode(0x{:02x} {})", self.0, self.name())
    }
}
