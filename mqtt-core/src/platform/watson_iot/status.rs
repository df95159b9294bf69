//! What the platform says about clients: to applications by a status, to gateways by a notification.

use crate::platform::json::{JsonStr, RawJson};

use super::MalformedMessage;

/// A client connected or disconnected.
///
/// Members that the platform left out, or sent with another type, are `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status<'a> {
    /// What it did.
    pub action: StatusAction<'a>,
    /// When, in ISO 8601.
    pub time: JsonStr<'a>,
    /// The client identifier.
    pub client_id: JsonStr<'a>,
    /// The network address of the client.
    pub client_address: Option<JsonStr<'a>>,
    /// The server's port.
    pub port: Option<u16>,
    /// Whether TLS was used.
    pub secure: Option<bool>,
    /// `mqtt3`, `mqtt4`, `mqtt5`, `mqtt4-ws` and so on.
    pub protocol: Option<JsonStr<'a>>,
    /// The user name.
    pub user: Option<JsonStr<'a>>,
    /// The common name of the client's certificate.
    pub certificate_name: Option<JsonStr<'a>>,
    /// When it had connected, in ISO 8601; with a disconnect.
    pub connect_time: Option<JsonStr<'a>>,
    /// Why the connection ended, see [`CloseCode`].
    pub close_code: Option<CloseCode>,
    /// The same in words.
    pub reason: Option<JsonStr<'a>>,
    /// Bytes that the platform read from the client.
    pub read_bytes: Option<u64>,
    /// Messages that the platform read from the client.
    pub read_messages: Option<u64>,
    /// Bytes that the platform wrote to the client.
    pub write_bytes: Option<u64>,
    /// Messages that the platform wrote to the client.
    pub write_messages: Option<u64>,
}

/// What a client did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StatusAction<'a> {
    /// It connected.
    Connect,
    /// It tried to, and was refused.
    FailedConnect,
    /// It disconnected, or was disconnected.
    Disconnect,
    /// An action that the platform's documentation does not name.
    Other(JsonStr<'a>),
}

/// Why the platform closed a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CloseCode(
    /// The number.
    pub u16,
);

impl CloseCode {
    /// The normal end.
    pub const NORMAL: Self = Self(0);
    /// The client closed the connection without DISCONNECT.
    pub const BY_CLIENT: Self = Self(91);
    /// The server closed the connection.
    pub const BY_SERVER: Self = Self(92);
    /// Nothing came for one and a half times the keep-alive.
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(160);
    /// Not authorized.
    pub const NOT_AUTHORIZED: Self = Self(180);
    /// The length of a message is not right.
    pub const BAD_LENGTH: Self = Self(271);
    /// A topic that this client must not use.
    pub const TOPIC_NOT_VALID: Self = Self(276);
    /// A payload above the limit, see [`MAX_PAYLOAD`](super::MAX_PAYLOAD).
    pub const TOO_LARGE: Self = Self(287);
    /// Another client connected with the same client identifier.
    pub const CLIENT_ID_REUSED: Self = Self(288);
}

impl<'a> Status<'a> {
    /// Reads the payload of a status.
    ///
    /// # Errors
    ///
    /// [`MalformedMessage`] if it is not a JSON object with at least `Action`, `Time` and `ClientID`.
    pub fn parse(payload: &'a [u8]) -> Result<Self, MalformedMessage> {
        let json = RawJson::parse(payload)?;
        let text = |name| json.member(name).and_then(RawJson::string);
        let count = |name| json.member(name).and_then(RawJson::integer::<u64>);
        let small = |name| json.member(name).and_then(RawJson::integer::<u16>);
        Ok(Self {
            action: StatusAction::of(text("Action").ok_or(MalformedMessage::Member("Action"))?),
            time: text("Time").ok_or(MalformedMessage::Member("Time"))?,
            client_id: text("ClientID").ok_or(MalformedMessage::Member("ClientID"))?,
            client_address: text("ClientAddr"),
            port: small("Port"),
            secure: json.member("Secure").and_then(RawJson::boolean),
            protocol: text("Protocol"),
            user: text("User"),
            certificate_name: text("Certname"),
            connect_time: text("ConnectTime"),
            close_code: small("CloseCode").map(CloseCode),
            reason: text("Reason"),
            read_bytes: count("ReadBytes"),
            read_messages: count("ReadMsg"),
            write_bytes: count("WriteBytes"),
            write_messages: count("WriteMsg"),
        })
    }
}

impl<'a> StatusAction<'a> {
    fn of(action: JsonStr<'a>) -> Self {
        if action == "Connect" {
            Self::Connect
        } else if action == "FailedConnect" {
            Self::FailedConnect
        } else if action == "Disconnect" {
            Self::Disconnect
        } else {
            Self::Other(action)
        }
    }
}

/// The platform refused something that a gateway did for itself or for a device behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Notification<'a> {
    /// `publish` or `subscribe`.
    pub request: JsonStr<'a>,
    /// When, in ISO 8601.
    pub time: Option<JsonStr<'a>>,
    /// The topic of the request.
    pub topic: Option<JsonStr<'a>>,
    /// The type of the device concerned. Missing if the topic was not valid.
    pub type_id: Option<JsonStr<'a>>,
    /// The identifier of the device concerned. Missing if the topic was not valid.
    pub device_id: Option<JsonStr<'a>>,
    /// The client identifier of the gateway.
    pub client: Option<JsonStr<'a>>,
    /// The platform's code: a string or a number.
    pub code: Option<RawJson<'a>>,
    /// The reason in words.
    pub message: Option<JsonStr<'a>>,
}

impl<'a> Notification<'a> {
    /// Reads the payload of a notification.
    ///
    /// # Errors
    ///
    /// [`MalformedMessage`] if it is not a JSON object with at least `Request`.
    pub fn parse(payload: &'a [u8]) -> Result<Self, MalformedMessage> {
        let json = RawJson::parse(payload)?;
        let text = |name| json.member(name).and_then(RawJson::string);
        Ok(Self {
            request: text("Request").ok_or(MalformedMessage::Member("Request"))?,
            time: text("Time"),
            topic: text("Topic"),
            type_id: text("Type"),
            device_id: text("Id"),
            client: text("Client"),
            code: json.member("RC"),
            message: text("Message"),
        })
    }
}
