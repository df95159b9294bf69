//! Who the device is, and how it connects.

use core::fmt;

use crate::session::{Options, Reconnect};

use super::Device;

/// How a device proves who it is.
///
/// ```
/// use mqtt_core::platform::thingsboard::{Credentials, Device};
///
/// let credentials = Credentials::access_token("A1_TEST_TOKEN")?;
/// let subscriptions = [Device::new().rpc_requests()];
/// let options = Device::new().options(&credentials).subscriptions(&subscriptions);
/// assert_eq!(options.user_name, Some("A1_TEST_TOKEN"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    client_id: &'a str,
    user_name: Option<&'a str>,
    password: Option<&'a str>,
}

/// Why credentials cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CredentialsError {
    /// The token, or all of client identifier, user name and password, are missing.
    Empty,
    /// `provision` as user name or client identifier: the server takes that for a device that wants to be provisioned.
    Reserved,
    /// A password without a user name, which MQTT 3.1.1 forbids and the server does not look at.
    PasswordWithoutUserName,
}

impl<'a> Credentials<'a> {
    /// An access token, sent as user name.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Empty`] or [`CredentialsError::Reserved`].
    pub const fn access_token(token: &'a str) -> Result<Self, CredentialsError> {
        Self::basic(None, Some(token), None)
    }

    /// Any of client identifier, user name and password that are set on the server ("MQTT Basic"). All of those that
    /// are set there must be given.
    ///
    /// # Errors
    ///
    /// See [`CredentialsError`].
    pub const fn basic(
        client_id: Option<&'a str>,
        user_name: Option<&'a str>,
        password: Option<&'a str>,
    ) -> Result<Self, CredentialsError> {
        let credentials = Self {
            client_id: match client_id {
                Some(client_id) => client_id,
                None => "",
            },
            user_name: none_if_empty(user_name),
            password: none_if_empty(password),
        };
        match (credentials.user_name, credentials.password) {
            (None, Some(_)) => Err(CredentialsError::PasswordWithoutUserName),
            (None, None) if credentials.client_id.is_empty() => Err(CredentialsError::Empty),
            (Some(user_name), _) if is_reserved(user_name) => Err(CredentialsError::Reserved),
            _ if is_reserved(credentials.client_id) => Err(CredentialsError::Reserved),
            _ => Ok(credentials),
        }
    }

    /// A client certificate, which the TLS connection presents. The server looks at nothing else.
    #[must_use]
    pub const fn x509() -> Self {
        Self {
            client_id: "",
            user_name: None,
            password: None,
        }
    }

    /// A device that wants to be provisioned.
    pub(super) const fn provisioning() -> Self {
        Self {
            client_id: "",
            user_name: Some(PROVISION),
            password: None,
        }
    }
}

/// Neither shows the token or the password.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no credentials",
            Self::Reserved => "the name provision is reserved",
            Self::PasswordWithoutUserName => "password without user name",
        })
    }
}

impl core::error::Error for CredentialsError {}

impl Device {
    /// How to connect: MQTT 3.1.1, a clean session, and always subscribing anew.
    ///
    /// - The server keeps no session, though it says so in CONNACK when it was asked for one.
    /// - A message that the server does not like makes it close the link without a word, and a message at QoS 1 is sent
    ///   again on the next one: after three such links it is set aside
    ///   ([`poison_after`](Options::poison_after)) and reported.
    /// - Of two devices with the same token, each closes the link of the other. A second between attempts, and a
    ///   back-off that starts anew only after half a minute, keep that bearable.
    /// - The server closes a link that is silent for 600 seconds; [`keep_alive_s`](Options::keep_alive_s) must
    ///   stay well below.
    ///
    /// MQTT 5 works the same with [`Options::version`].
    #[must_use]
    pub const fn options<'a>(&self, credentials: &Credentials<'a>) -> Options<'a> {
        let mut options = Options::new(credentials.client_id);
        options.user_name = credentials.user_name;
        options.password = match credentials.password {
            Some(password) => Some(password.as_bytes()),
            None => None,
        };
        options.clean_session = true;
        options.always_resubscribe = true;
        options.poison_after = 3;
        options.reconnect = Reconnect::new();
        options.reconnect.floor_ms = 1_000;
        options.reconnect.stable_after_ms = 30_000;
        options
    }
}

/// The user name, or client identifier, that asks for provisioning.
const PROVISION: &str = "provision";

const fn none_if_empty(text: Option<&str>) -> Option<&str> {
    match text {
        Some(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

const fn is_reserved(name: &str) -> bool {
    matches!(name.as_bytes(), b"provision")
}
