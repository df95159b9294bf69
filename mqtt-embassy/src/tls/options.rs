//! How to connect by TLS.

use core::fmt;

use embedded_tls::MaxFragmentLength;

/// Whom to trust, and who we are.
///
/// Certificates and keys are in DER, the bytes between the lines of a PEM file. They are borrowed: `include_bytes!`
/// keeps them in flash.
#[derive(Clone, Copy)]
pub struct TlsOptions<'a> {
    pub(super) server_name: &'a str,
    pub(super) trust: Trust<'a>,
    pub(super) identity: Option<Identity<'a>>,
    pub(super) fragment: Option<FragmentLength>,
    pub(super) protocols: Option<&'a [&'a [u8]]>,
}

#[derive(Clone, Copy)]
pub(super) enum Trust<'a> {
    Authority(&'a [u8]),
    PreSharedKey { name: [&'a [u8]; 1], key: &'a [u8] },
    Anybody,
}

/// A client certificate and its key.
#[derive(Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) key: &'a [u8],
}

impl<'a> TlsOptions<'a> {
    /// Trusts the servers whose certificate is for `server_name` and comes from `authority`, the certificate of a CA in
    /// DER.
    ///
    /// `server_name` is compared with the DNS names of the certificate, or with its common name; at most 64 bytes. It
    /// need not be the host that the [`TcpConnector`](crate::TcpConnector) connects to.
    #[must_use]
    pub const fn new(server_name: &'a str, authority: &'a [u8]) -> Self {
        Self::trusting(server_name, Trust::Authority(authority))
    }

    /// Trusts the server that knows `key`, and shows it that we know it too, under the name `identity` (RFC 8446
    /// §4.2.11). No certificate is needed on either side. `key` is to be random, of 16 bytes or more: the server's
    /// answer lets an attacker try all weak ones.
    #[must_use]
    pub const fn pre_shared_key(server_name: &'a str, identity: &'a [u8], key: &'a [u8]) -> Self {
        let name = [identity];
        Self::trusting(server_name, Trust::PreSharedKey { name, key })
    }

    /// Trusts anybody. Whoever is between here and the broker can read and change everything, the password of MQTT
    /// included. For a try in the laboratory.
    #[must_use]
    pub const fn dangerous_without_verification(server_name: &'a str) -> Self {
        Self::trusting(server_name, Trust::Anybody)
    }

    const fn trusting(server_name: &'a str, trust: Trust<'a>) -> Self {
        Self {
            server_name,
            trust,
            identity: None,
            fragment: None,
            protocols: None,
        }
    }

    /// Shows a client certificate when the server asks for one. It is for a P-256 key; `key` in DER, SEC 1 or PKCS #8.
    #[must_use]
    pub const fn with_client_certificate(mut self, certificate: &'a [u8], key: &'a [u8]) -> Self {
        self.identity = Some(Identity { certificate, key });
        self
    }

    /// Asks the server for shorter records, so that a smaller record buffer will do (RFC 6066 §4). A server may ignore
    /// it: those on OpenSSL obey. Default: not asked for.
    #[must_use]
    pub const fn with_max_fragment_length(mut self, length: FragmentLength) -> Self {
        self.fragment = Some(length);
        self
    }

    /// Names the protocols to be spoken (ALPN, RFC 7301), for servers with several on one port: `&[b"mqtt"]`.
    /// Default: none.
    #[must_use]
    pub const fn with_alpn(mut self, protocols: &'a [&'a [u8]]) -> Self {
        self.protocols = Some(protocols);
        self
    }
}

// Without the keys.
impl fmt::Debug for TlsOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("fragment", &self.fragment)
            .finish_non_exhaustive()
    }
}

/// The longest content of a record. The record buffer for reading takes 256 bytes more.
///
/// No message of the handshake may be longer: the server's certificates have to fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FragmentLength {
    /// 512 bytes: for servers with a pre-shared key, or with a very short certificate.
    Bytes512,
    /// 1,024 bytes.
    Bytes1024,
    /// 2,048 bytes.
    Bytes2048,
    /// 4,096 bytes.
    Bytes4096,
}

impl From<FragmentLength> for MaxFragmentLength {
    fn from(length: FragmentLength) -> Self {
        match length {
            FragmentLength::Bytes512 => Self::Bits9,
            FragmentLength::Bytes1024 => Self::Bits10,
            FragmentLength::Bytes2048 => Self::Bits11,
            FragmentLength::Bytes4096 => Self::Bits12,
        }
    }
}

/// The time of day, for the dates of certificates.
pub trait Clock {
    /// Seconds since 1970-01-01 00:00 UTC; `None` while it is not known: then dates are not checked.
    fn unix_time_s() -> Option<u64>;
}

/// No time of day: the dates of certificates are not checked.
#[derive(Clone, Copy, Debug)]
pub enum NoClock {}

impl Clock for NoClock {
    fn unix_time_s() -> Option<u64> {
        None
    }
}
