//! Provisioning: a device gets its credentials from the server.
//!
//! It takes a connection of its own. Connect with [`options`] (and [`subscription`], if you like), publish a
//! [`Provisioning::request`], read the answer with [`response`], keep what it says, and connect anew with it. The
//! server ends the connection 60 seconds after its answer, and at once when anything else is published.
//!
//! An answer that was lost cannot be had again: a device that was provisioned is refused as one whose name exists. With the
//! strategy "X.509 certificate chain" no message is needed: the device connects with its certificate.

use core::fmt;

use crate::{
    codec::{EncodeError, Subscription, Writer},
    platform::ApplicationMessage,
    platform::json::{JsonStr, ObjectWriter, RawJson},
    session::Options,
};

use super::{
    BadPayload, Credentials, Device,
    downlink::object,
    topics,
    uplink::{Body, Uplink},
};

/// The documentation says `/provision`, but the server listens on this.
const REQUEST: &str = "/provision/request";
const RESPONSE: &str = "/provision/response";

/// How to connect for provisioning.
#[must_use]
pub const fn options() -> Options<'static> {
    Device::new().options(&Credentials::provisioning())
}

/// The subscription to the answer, which comes without it too. No other is granted.
#[must_use]
pub const fn subscription() -> Subscription<'static> {
    topics::subscription(RESPONSE)
}

/// A request for credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Provisioning<'a> {
    key: &'a str,
    secret: &'a str,
    device_name: Option<&'a str>,
    gateway: Option<bool>,
    credentials: Wanted<'a>,
}

/// Which credentials the device wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// An access token that the server makes.
    Server,
    /// This access token.
    AccessToken(&'a str),
    /// Those of them that are given.
    Basic {
        /// The client identifier.
        client_id: Option<&'a str>,
        /// The user name.
        user_name: Option<&'a str>,
        /// The password.
        password: Option<&'a str>,
    },
    /// This client certificate, as text (PEM).
    X509 {
        /// The certificate.
        certificate: &'a str,
    },
}

/// Why a request would be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProvisioningError {
    /// Key or secret of the device profile are empty: the server would close the link without an answer.
    NoKey,
    /// The name of the device is blank.
    BlankName,
    /// The wanted credentials are empty: the server would make an access token instead.
    NoCredentials,
}

impl<'a> Provisioning<'a> {
    /// A request with key and secret of the device profile, for a device named by the server.
    ///
    /// # Errors
    ///
    /// [`ProvisioningError::NoKey`], [`ProvisioningError::NoCredentials`].
    pub fn new(
        key: &'a str,
        secret: &'a str,
        credentials: Wanted<'a>,
    ) -> Result<Self, ProvisioningError> {
        if key.is_empty() || secret.is_empty() {
            return Err(ProvisioningError::NoKey);
        }
        if credentials.is_empty() {
            return Err(ProvisioningError::NoCredentials);
        }
        Ok(Self {
            key,
            secret,
            device_name: None,
            gateway: None,
            credentials,
        })
    }

    /// For a device of this name.
    ///
    /// # Errors
    ///
    /// [`ProvisioningError::BlankName`].
    pub fn device_name(mut self, name: &'a str) -> Result<Self, ProvisioningError> {
        if name.trim_ascii().is_empty() {
            return Err(ProvisioningError::BlankName);
        }
        self.device_name = Some(name);
        Ok(self)
    }

    /// For a gateway.
    #[must_use]
    pub const fn gateway(mut self) -> Self {
        self.gateway = Some(true);
        self
    }

    /// The message.
    pub const fn request(self) -> Uplink<'static, impl Body + use<'a>> {
        Uplink::new(REQUEST, self)
    }
}

impl Wanted<'_> {
    fn is_empty(&self) -> bool {
        let empty = |text: Option<&str>| text.is_none_or(str::is_empty);
        match *self {
            Self::Server => false,
            Self::AccessToken(text) | Self::X509 { certificate: text } => text.is_empty(),
            Self::Basic {
                client_id,
                user_name,
                password,
            } => empty(client_id) && empty(user_name) && empty(password),
        }
    }
}

impl Body for Provisioning<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        // What is optional must be absent, never null: that would close the link.
        let mut object = ObjectWriter::new(payload)?;
        object.text("deviceName", self.device_name)?;
        object.member("provisionDeviceKey", self.key)?;
        object.member("provisionDeviceSecret", self.secret)?;
        if let Some(gateway) = self.gateway {
            object.member("gateway", &gateway)?;
        }
        match self.credentials {
            Wanted::Server => {}
            Wanted::AccessToken(token) => {
                object.member("credentialsType", ACCESS_TOKEN)?;
                object.member("token", token)?;
            }
            Wanted::Basic {
                client_id,
                user_name,
                password,
            } => {
                object.member("credentialsType", MQTT_BASIC)?;
                object.text("username", user_name)?;
                object.text("password", password)?;
                object.text("clientId", client_id)?;
            }
            Wanted::X509 { certificate } => {
                object.member("credentialsType", X509_CERTIFICATE)?;
                // The text of the certificate, despite the name.
                object.member("hash", certificate)?;
            }
        }
        object.end()
    }
}

const ACCESS_TOKEN: &str = "ACCESS_TOKEN";
const MQTT_BASIC: &str = "MQTT_BASIC";
const X509_CERTIFICATE: &str = "X509_CERTIFICATE";

/// The server's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Provisioned<'a> {
    /// An access token: what was asked for, or one that the server made.
    AccessToken(JsonStr<'a>),
    /// Client identifier, user name and password. Those not in use may be absent, or empty.
    Basic {
        /// The client identifier.
        client_id: Option<JsonStr<'a>>,
        /// The user name.
        user_name: Option<JsonStr<'a>>,
        /// The password.
        password: Option<JsonStr<'a>>,
    },
    /// The certificate is accepted.
    X509(JsonStr<'a>),
    /// The server refused. Asking again with the same name gives the same answer.
    Refused {
        /// Key or secret are unknown. Otherwise a device of that name exists, or was provisioned before.
        not_found: bool,
        /// The server's explanation.
        message: Option<JsonStr<'a>>,
    },
}

/// Reads the answer; `None` if the topic is another.
///
/// # Errors
///
/// [`BadPayload`] if it is not as it should be.
pub fn response<'a>(
    message: impl ApplicationMessage<'a>,
) -> Result<Option<Provisioned<'a>>, BadPayload> {
    let (topic, payload) = message.topic_and_payload();
    if topic != RESPONSE.as_bytes() {
        return Ok(None);
    }
    let response = object(payload, None)?;
    let status = text(response, "status")?;
    if status != *"SUCCESS" {
        return Ok(Some(Provisioned::Refused {
            not_found: status == *"NOT_FOUND",
            message: optional_text(response, "errorMsg"),
        }));
    }
    credentials(response).map(Some)
}

fn credentials(response: RawJson<'_>) -> Result<Provisioned<'_>, BadPayload> {
    let kind = text(response, "credentialsType")?;
    if kind == *ACCESS_TOKEN {
        text(response, VALUE).map(Provisioned::AccessToken)
    } else if kind == *X509_CERTIFICATE {
        text(response, VALUE).map(Provisioned::X509)
    } else if kind == *MQTT_BASIC {
        let value = response
            .member(VALUE)
            .filter(|value| value.members().is_some());
        let value = value.ok_or(BadPayload::member(None, VALUE))?;
        Ok(Provisioned::Basic {
            client_id: optional_text(value, "clientId"),
            // Written otherwise than in the request.
            user_name: optional_text(value, "userName"),
            password: optional_text(value, "password"),
        })
    } else {
        Err(BadPayload::member(None, "credentialsType"))
    }
}

const VALUE: &str = "credentialsValue";

fn text<'a>(object: RawJson<'a>, name: &'static str) -> Result<JsonStr<'a>, BadPayload> {
    optional_text(object, name).ok_or(BadPayload::member(None, name))
}

fn optional_text<'a>(object: RawJson<'a>, name: &str) -> Option<JsonStr<'a>> {
    object.member(name)?.string()
}

/// Neither shows a secret.
impl fmt::Debug for Provisioning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioning")
            .field("device_name", &self.device_name)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::AccessToken(_) => "AccessToken",
            Self::Basic { .. } => "Basic",
            Self::X509 { .. } => "X509",
        })
    }
}

impl fmt::Debug for Provisioned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken(_) => "AccessToken",
            Self::Basic { .. } => "Basic",
            Self::X509(_) => "X509",
            Self::Refused { message, .. } => {
                return f.debug_tuple("Refused").field(message).finish();
            }
        })
    }
}

impl fmt::Display for ProvisioningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "no provisioning key or secret",
            Self::BlankName => "blank device name",
            Self::NoCredentials => "no credentials wanted",
        })
    }
}

impl core::error::Error for ProvisioningError {}
