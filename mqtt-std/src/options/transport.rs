//! The options of the way to the broker.

use std::{borrow::Cow, fmt, fs, net::Ipv6Addr, path::PathBuf, sync::Arc};

use super::OptionsError;
#[cfg(feature = "tls")]
use crate::link::Tls;
#[cfg(feature = "websocket")]
use crate::link::Upgrade;
use crate::link::{Connector, Endpoint, Trace};

/// Where the broker is and how to get there.
#[derive(Clone, Default)]
pub(crate) struct Transport {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) tls: bool,
    pub(crate) websocket: bool,
    pub(crate) path: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) tls_options: TlsOptions,
}

/// How the broker proves who it is, and how we do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsOptions {
    /// Empty: those of the platform.
    pub(crate) authorities: Vec<Pem>,
    /// Certificate chain and private key.
    pub(crate) client_certificate: Option<(Pem, Pem)>,
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// Text in PEM format, in a file or at hand.
#[derive(Clone, PartialEq)]
pub(crate) enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Transport {
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match (self.websocket, self.tls) {
            (false, false) => 1883,
            (false, true) => 8883,
            (true, false) => 80,
            (true, true) => 443,
        })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        match (self.websocket, self.tls) {
            (false, false) => "mqtt",
            (false, true) => "mqtts",
            (true, false) => "ws",
            (true, true) => "wss",
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/mqtt")
    }

    /// Reads the files and checks all that can be checked without the network.
    pub(crate) fn connector(&self, trace: Arc<Trace>) -> Result<Connector, OptionsError> {
        self.check()?;
        let endpoint = Endpoint {
            host: self.host.clone(),
            port: self.port(),
        };
        Ok(Connector {
            kept: None,
            #[cfg(feature = "tls")]
            tls: self
                .tls
                .then(|| Tls::new(&self.tls_options, &self.host))
                .transpose()?,
            #[cfg(feature = "websocket")]
            upgrade: self
                .websocket
                .then(|| Upgrade::new(&endpoint.to_string(), self.path(), &self.headers))
                .transpose()?,
            endpoint,
            trace,
        })
    }

    /// A colon is part of an IPv6 address, or somebody has given a port or a URL.
    fn has_good_host(&self) -> bool {
        let foreign = |c: char| c.is_whitespace() || "/@%?#[]".contains(c);
        let is_v6 = || self.host.parse::<Ipv6Addr>().is_ok();
        !self.host.is_empty()
            && !self.host.contains(foreign)
            && (!self.host.contains(':') || is_v6())
    }

    /// An option that would silently have no effect is an error: above all, a CA beside a scheme without TLS.
    fn check(&self) -> Result<(), OptionsError> {
        if !self.has_good_host() {
            // In front of an `@` there may be a password.
            let shown = self.host.rsplit('@').next().unwrap_or_default();
            return Err(OptionsError::Host(shown.to_owned()));
        }
        if !self.tls && self.tls_options != TlsOptions::default() {
            return Err(OptionsError::NeedsTls);
        }
        if !self.websocket && (self.path.is_some() || !self.headers.is_empty()) {
            return Err(OptionsError::NeedsWebSocket);
        }
        if self.websocket && !self.path().starts_with('/') {
            return Err(OptionsError::Path);
        }
        if self.tls && !cfg!(feature = "tls") {
            return Err(OptionsError::WithoutFeature("tls"));
        }
        if self.websocket && !cfg!(feature = "websocket") {
            return Err(OptionsError::WithoutFeature("websocket"));
        }
        Ok(())
    }
}

/// Header values and the query of the path are secrets as often as not: only names are shown.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = self
            .path()
            .split_once('?')
            .map_or((self.path(), false), |(path, _)| (path, true));
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Transport")
            .field("scheme", &self.scheme())
            .field("host", &self.host)
            .field("port", &self.port())
            .field("path", &path)
            .field("query", &if query { "(not shown)" } else { "" })
            .field("headers", &headers)
            .field("tls", &self.tls_options)
            .finish_non_exhaustive()
    }
}

impl Pem {
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "only TLS reads certificates")
    )]
    pub(crate) fn read(&self) -> Result<Cow<'_, [u8]>, OptionsError> {
        match self {
            Self::File(path) => {
                fs::read(path)
                    .map(Cow::Owned)
                    .map_err(|error| OptionsError::File {
                        path: path.clone(),
                        reason: error.to_string(),
                    })
            }
            Self::Text(text) => Ok(Cow::Borrowed(text)),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => fmt::Debug::fmt(path, f),
            Self::Text(_) => f.write_str("(not shown)"),
        }
    }
}
