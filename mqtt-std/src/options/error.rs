//! What can be wrong with options.

use std::{fmt, path::PathBuf};

use mqtt_core::session::PublishError;

#[cfg(feature = "tls")]
use super::transport::Pem;

/// Options that cannot be used, found before anything is sent. The text never holds a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OptionsError {
    /// Not a URL at all.
    Url(&'static str),
    /// The scheme of the URL is none of `mqtt`, `mqtts`, `ws`, `wss`.
    Scheme(String),
    /// The URL carries something that has no meaning here: a query of `mqtt` and `mqtts`, a fragment of any.
    UrlPart(&'static str),
    /// User name, or client identifier, of the URL is not UTF-8 after percent-decoding.
    NotUtf8(&'static str),
    /// Not a host name and not an IP address.
    Host(String),
    /// The path of the WebSocket does not start with `/`, or has characters that no path has.
    Path,
    /// A header that cannot be sent, or that belongs to the handshake itself; its name.
    Header(String),
    /// A certificate authority, client certificate, server name or ALPN was given, but the link is to be plain.
    NeedsTls,
    /// A path or a header was given, but the link is not to be a WebSocket.
    NeedsWebSocket,
    /// The crate was built without this feature.
    WithoutFeature(&'static str),
    /// A file could not be read, or holds something else.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key that was given as text holds something else.
    Pem(String),
    /// The server name is not one that a certificate can be for.
    ServerName(String),
    /// The platform has no certificate authorities installed (on Debian: package `ca-certificates`).
    NoPlatformRoots,
    /// The TLS library refuses its configuration.
    Tls(String),
    /// A topic, or topic filter, that the standard does not allow; which.
    Topic(String),
    /// Longer than 65,535 bytes, which is all that MQTT can carry; what.
    TooLong(&'static str),
    /// A password without a user name, which MQTT 3.1.1 forbids [MQTT-3.1.2-22].
    PasswordWithoutUserName,
    /// Without a client identifier the session cannot outlive the link [MQTT-3.1.3-7]: `clean_session` must be set.
    ClientIdNeeded,
    /// The buffer of this name is smaller than 128 bytes.
    Buffer(&'static str),
    /// The transmit buffer has no room for what the options ask for, or they make no `Connect`.
    Session(PublishError),
}

impl OptionsError {
    /// Names the file, but never shows what is in it.
    #[cfg(feature = "tls")]
    pub(crate) fn bad_file(source: &Pem, reason: impl fmt::Display) -> Self {
        match source {
            Pem::File(path) => Self::File {
                path: path.clone(),
                reason: reason.to_string(),
            },
            Pem::Text(_) => Self::Pem(reason.to_string()),
        }
    }
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(reason) => write!(f, "not a broker URL: {reason}"),
            Self::Scheme(scheme) => write!(
                f,
                "unknown scheme {scheme} (mqtt, mqtts, ws and wss are known)"
            ),
            Self::UrlPart(part) => write!(f, "the broker URL cannot have a {part}"),
            Self::NotUtf8(what) => write!(f, "the {what} in the broker URL is not UTF-8"),
            Self::Host(host) => write!(f, "not a host: {host:?}"),
            Self::Path => f.write_str("not a path for a WebSocket"),
            Self::Header(name) => write!(f, "header {name} cannot be sent"),
            Self::NeedsTls => {
                f.write_str("certificates, server name and ALPN need TLS (mqtts:// or wss://)")
            }
            Self::NeedsWebSocket => {
                f.write_str("path and headers need a WebSocket (ws:// or wss://)")
            }
            Self::WithoutFeature(feature) => write!(f, "built without the feature {feature}"),
            Self::File { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Pem(reason) => write!(f, "certificate or key: {reason}"),
            Self::ServerName(name) => write!(f, "not a server name: {name:?}"),
            Self::NoPlatformRoots => {
                f.write_str("no certificate authorities are installed on this machine")
            }
            Self::Tls(reason) => write!(f, "TLS: {reason}"),
            Self::Topic(topic) => write!(f, "not a valid topic: {topic:?}"),
            Self::TooLong(what) => write!(f, "{what} is longer than 65535 bytes"),
            Self::PasswordWithoutUserName => {
                f.write_str("a password needs a user name (MQTT 3.1.1)")
            }
            Self::ClientIdNeeded => f.write_str("a session that is kept needs a client identifier"),
            Self::Buffer(name) => write!(f, "the {name} buffer needs 128 bytes at least"),
            Self::Session(error) => write!(f, "no Connect can be made of the options: {error}"),
        }
    }
}

impl std::error::Error for OptionsError {}
