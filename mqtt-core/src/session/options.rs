//! What a session is to be like.

#[cfg(feature = "v5")]
use crate::codec::{EncodeError, Writer};
use crate::codec::{Subscription, Version, Will};

/// How to connect, and how to treat messages.
///
/// Borrowed throughout; the session copies what it needs. Every field has a sensible default, see [`Options::new`].
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Options<'a> {
    /// The protocol version. Default: 3.1.1.
    pub version: Version,
    /// The client identifier. Empty: the server assigns one (3.1.1: only with `clean_session`).
    pub client_id: &'a str,
    /// Forget the session of earlier connections (MQTT 5: Clean Start). Default: true.
    ///
    /// Messages of ours that were not acknowledged are sent again either way.
    pub clean_session: bool,
    /// Keep Alive in seconds, 0 switches it off. Default: 60. An MQTT 5 server may replace it.
    pub keep_alive_s: u16,
    /// The user name, if any.
    pub user_name: Option<&'a str>,
    /// The password, if any. 3.1.1 wants a user name with it.
    pub password: Option<&'a [u8]>,
    /// What the server publishes when the link ends without DISCONNECT.
    pub will: Option<Will<'a>>,
    /// Subscribed after every CONNACK that announces no session.
    pub subscriptions: &'a [Subscription<'a>],
    /// Subscribe even if the server says that it kept the session. Default: false.
    ///
    /// For servers whose answer cannot be trusted.
    pub always_resubscribe: bool,
    /// The server is known to have a session for this client identifier, from before this device restarted.
    /// Default: false.
    ///
    /// Without it, an MQTT 5 session that the server kept but we do not know ends the link, as
    /// [MQTT-3.2.2-4] demands, and the next CONNECT starts clean.
    pub session_known: bool,
    /// Messages at QoS 1 and 2 sent and not yet acknowledged, at most. Default: 20. An MQTT 5 server may lower it.
    pub max_in_flight: u16,
    /// Inbound messages at QoS 1 and 2 not yet acknowledged, at most. Default: 8. Announced on MQTT 5.
    ///
    /// A [`Slot`](super::Slot) is set aside for each. On 3.1.1 a server that sends more QoS 2 messages at once than
    /// there are free slots ends the link: mosquitto's default is 20.
    pub receive_maximum: u16,
    /// Inbound packets larger than this end the link; 0 for no limit (the default). Announced on MQTT 5.
    pub maximum_packet_size: u32,
    /// What to do with a message that does not fit into the receive buffer. Default: skip and report.
    pub oversize: Oversize,
    /// Send QoS 2 messages again when the server lost the session, at the risk of doubling them. Default: false,
    /// they are reported as [`SessionLost`](super::DeliveryError::SessionLost).
    pub redeliver_exactly_once: bool,
    /// Set a message aside after the server has closed this many links in a row while it was the oldest
    /// unacknowledged one; 0, or more than 15, to never do so. Default: 10, since links are cut for other reasons too.
    pub poison_after: u8,
    /// Longest wait for CONNACK in milliseconds. Default: 30,000.
    pub connack_timeout_ms: u32,
    /// Longest wait for PINGRESP in milliseconds. Default: 10,000.
    pub ping_timeout_ms: u32,
    /// Longest time in milliseconds without any acknowledgement while one is due, and for one write to complete; 0 to
    /// wait for ever. Default: 120,000. The link is ended then: MQTT 5 allows repetition only on a new one.
    pub ack_timeout_ms: u32,
    /// Longest wait for the transport in milliseconds. Default: 30,000.
    pub connect_timeout_ms: u32,
    /// When to connect again.
    pub reconnect: Reconnect,
    /// What only MQTT 5 has.
    pub v5: V5Options<'a>,
}

impl<'a> Options<'a> {
    /// The defaults, with a client identifier.
    #[must_use]
    pub const fn new(client_id: &'a str) -> Self {
        Self {
            version: Version::V3_1_1,
            client_id,
            clean_session: true,
            keep_alive_s: 60,
            user_name: None,
            password: None,
            will: None,
            subscriptions: &[],
            always_resubscribe: false,
            session_known: false,
            max_in_flight: 20,
            receive_maximum: 8,
            maximum_packet_size: 0,
            oversize: Oversize::Skip,
            redeliver_exactly_once: false,
            poison_after: 10,
            connack_timeout_ms: 30_000,
            ping_timeout_ms: 10_000,
            ack_timeout_ms: 120_000,
            connect_timeout_ms: 30_000,
            reconnect: Reconnect::new(),
            v5: V5Options::new(),
        }
    }

    /// With user name and password.
    #[must_use]
    pub const fn credentials(mut self, user_name: &'a str, password: &'a [u8]) -> Self {
        self.user_name = Some(user_name);
        self.password = Some(password);
        self
    }

    /// With subscriptions that outlive the link.
    #[must_use]
    pub const fn subscriptions(mut self, subscriptions: &'a [Subscription<'a>]) -> Self {
        self.subscriptions = subscriptions;
        self
    }
}

// Without credentials and payload. A token may be the user name as well.
impl core::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Options")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("keep_alive_s", &self.keep_alive_s)
            .field("will", &self.will.map(|will| will.topic))
            .field("subscriptions", &self.subscriptions)
            .field("max_in_flight", &self.max_in_flight)
            .field("receive_maximum", &self.receive_maximum)
            .field("maximum_packet_size", &self.maximum_packet_size)
            .field("oversize", &self.oversize)
            .field("reconnect", &self.reconnect)
            .field("v5", &self.v5)
            .finish_non_exhaustive()
    }
}

/// What happens to an inbound message larger than the receive buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Oversize {
    /// It is reported with topic and length, acknowledged, and its payload is thrown away.
    #[default]
    Skip,
    /// It is delivered piece by piece, and acknowledged after the last piece.
    Stream,
}

/// When to connect again: exponential back-off with full jitter.
///
/// The n-th wait is drawn evenly from `floor_ms ..= max(floor_ms, min(max_ms, initial_ms * 2^n))`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reconnect {
    /// Connect again at all. Default: true. A refusal of the credentials is final in any case.
    pub enabled: bool,
    /// Upper bound of the first wait in milliseconds. Default: 1,000.
    pub initial_ms: u32,
    /// Upper bound of any wait in milliseconds. Default: 60,000.
    pub max_ms: u32,
    /// Lower bound of any wait in milliseconds, for servers that ban hasty clients. Default: 0.
    pub floor_ms: u32,
    /// The back-off starts anew after a link that lasted this long, in milliseconds. Default: 10,000.
    pub stable_after_ms: u32,
    /// Give up after this many failures in a row; 0 (the default) for never.
    pub max_attempts: u16,
}

impl Reconnect {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enabled: true,
            initial_ms: 1_000,
            max_ms: 60_000,
            floor_ms: 0,
            stable_after_ms: 10_000,
            max_attempts: 0,
        }
    }

    /// One link only.
    #[must_use]
    pub const fn never() -> Self {
        let mut never = Self::new();
        never.enabled = false;
        never
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new()
    }
}

/// Options of MQTT 5; without the feature `v5` there are none. 3.1.1 ignores them.
#[derive(Clone, Copy)]
pub struct V5Options<'a> {
    /// Session Expiry Interval in seconds: how long the server keeps the session after the link. Default: 0.
    #[cfg(feature = "v5")]
    pub session_expiry_s: u32,
    /// Topic aliases the server may use. Default: 0. Their topics are kept in the receive buffer.
    ///
    /// Of effect only after `enable_topic_aliases` of the client, or of session and receive buffer.
    #[cfg(feature = "v5")]
    pub topic_alias_maximum: u16,
    /// Bytes of the transmit buffer in which topics are remembered, so that the session can send an alias instead;
    /// 0 (the default) for none. Each topic takes its length and 2. Of effect only after `enable_topic_aliases`.
    #[cfg(feature = "v5")]
    pub topic_alias_memory: u16,
    /// The server may send reason strings and user properties with anything. Default: true.
    #[cfg(feature = "v5")]
    pub request_problem_information: bool,
    /// Ask for response information in CONNACK. Default: false.
    #[cfg(feature = "v5")]
    pub request_response_information: bool,
    /// User properties of CONNECT.
    #[cfg(feature = "v5")]
    pub user_properties: &'a [(&'a str, &'a str)],
    /// Extended authentication. Needs `enable_authentication` of the client or the session.
    #[cfg(feature = "v5")]
    pub authentication: Option<&'a (dyn Authentication + Sync)>,
    #[cfg(not(feature = "v5"))]
    _lifetime: core::marker::PhantomData<&'a ()>,
}

impl V5Options<'_> {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            #[cfg(feature = "v5")]
            session_expiry_s: 0,
            #[cfg(feature = "v5")]
            topic_alias_maximum: 0,
            #[cfg(feature = "v5")]
            topic_alias_memory: 0,
            #[cfg(feature = "v5")]
            request_problem_information: true,
            #[cfg(feature = "v5")]
            request_response_information: false,
            #[cfg(feature = "v5")]
            user_properties: &[],
            #[cfg(feature = "v5")]
            authentication: None,
            #[cfg(not(feature = "v5"))]
            _lifetime: core::marker::PhantomData,
        }
    }
}

impl Default for V5Options<'_> {
    fn default() -> Self {
        Self::new()
    }
}

// Authentication may hold secrets and need not implement `Debug`.
impl core::fmt::Debug for V5Options<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("V5Options");
        #[cfg(feature = "v5")]
        out.field("session_expiry_s", &self.session_expiry_s)
            .field("topic_alias_maximum", &self.topic_alias_maximum)
            .field("topic_alias_memory", &self.topic_alias_memory);
        out.finish_non_exhaustive()
    }
}

/// A method of extended authentication, supplied by the caller (MQTT 5 §4.12).
#[cfg(feature = "v5")]
pub trait Authentication {
    /// The name of the method, sent with CONNECT and every AUTH.
    fn method(&self) -> &str;

    /// Writes the Authentication Data that CONNECT, or an AUTH that begins a re-authentication, carries.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if it does not fit.
    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Answers the server's data.
    ///
    /// # Errors
    ///
    /// Any error fails the authentication and ends the link.
    fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Judges the data that came with the server's acceptance.
    ///
    /// # Errors
    ///
    /// Any error fails the authentication and ends the link.
    fn finish(&self, server_data: &[u8]) -> Result<(), EncodeError> {
        let _ = server_data;
        Ok(())
    }
}

/// The parts of [`Options`] that the session keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) version: Version,
    pub(super) redeliver_exactly_once: bool,
    pub(super) always_resubscribe: bool,
    pub(super) poison_after: u8,
    pub(super) receive_maximum: u16,
    pub(super) max_in_flight: u16,
    pub(super) connack_timeout_ms: u32,
    pub(super) ping_timeout_ms: u32,
    pub(super) ack_timeout_ms: u32,
}

impl Settings {
    /// Nothing is set.
    pub(super) const NEW: Self = Self {
        version: Version::V3_1_1,
        redeliver_exactly_once: false,
        always_resubscribe: false,
        poison_after: 0,
        receive_maximum: 0,
        max_in_flight: 0,
        connack_timeout_ms: 0,
        ping_timeout_ms: 0,
        ack_timeout_ms: 0,
    };

    pub(super) const fn of(options: &Options<'_>) -> Self {
        Self {
            version: options.version,
            redeliver_exactly_once: options.redeliver_exactly_once,
            always_resubscribe: options.always_resubscribe,
            poison_after: if options.poison_after.wrapping_sub(1) < 15 {
                options.poison_after
            } else {
                // A slot counts to 15.
                16
            },
            receive_maximum: at_least_one(options.receive_maximum),
            max_in_flight: at_least_one(options.max_in_flight),
            connack_timeout_ms: comparable(options.connack_timeout_ms),
            ping_timeout_ms: comparable(options.ping_timeout_ms),
            ack_timeout_ms: comparable(options.ack_timeout_ms),
        }
    }
}

/// The longest time that [`Instant`](crate::Instant) can compare, or less.
const fn comparable(ms: u32) -> u32 {
    if ms < u32::MAX / 2 { ms } else { u32::MAX / 2 }
}

const fn at_least_one(value: u16) -> u16 {
    if value == 0 { 1 } else { value }
}
