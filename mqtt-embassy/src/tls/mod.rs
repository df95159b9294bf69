//! TLS 1.3, by embedded-tls.
//!
//! ```
//! use embassy_net::Stack;
//! use mqtt_embassy::{TcpConnector, TlsConnector, TlsOptions, rand_core::CryptoRngCore, tls::Clock};
//! use static_cell::ConstStaticCell;
//!
//! static READ: ConstStaticCell<[u8; 16_640]> = ConstStaticCell::new([0; 16_640]);
//! static WRITE: ConstStaticCell<[u8; 1_024]> = ConstStaticCell::new([0; 1_024]);
//! # const CA: &[u8] = &[];
//! # macro_rules! include_bytes { ($file:literal) => { CA } }
//! static AUTHORITY: &[u8] = include_bytes!("ca.der");
//!
//! /// Set by SNTP, or a clock with a battery.
//! struct WallClock;
//!
//! impl Clock for WallClock {
//!     fn unix_time_s() -> Option<u64> {
//!         None // not known yet
//!     }
//! }
//!
//! fn connector<'a, R: CryptoRngCore>(
//!     stack: Stack<'a>,
//!     random: R,
//!     rx: &'a mut [u8],
//!     tx: &'a mut [u8],
//! ) -> TlsConnector<'a, TcpConnector<'a>, R, WallClock> {
//!     let tcp = TcpConnector::new(stack, "broker.example", 8883, rx, tx);
//!     let options = TlsOptions::new("broker.example", AUTHORITY);
//!     TlsConnector::new(tcp, options, random, READ.take(), WRITE.take()).with_clock::<WallClock>()
//! }
//! ```
//!
//! # What the broker must offer
//!
//! TLS 1.3 with `TLS_AES_128_GCM_SHA256` and key exchange by P-256 (`secp256r1`), and a certificate that
//!
//! - has a P-256 key and is signed by ECDSA with SHA-256, and so is every other one of the chain. RSA, P-384 and Ed25519 are
//!   not supported, so most public web authorities are not either: use an authority of your own;
//! - bears the server name as one of its first three DNS names (`subjectAltName`), or as its common name. Wildcards are
//!   followed. The name has at most 64 bytes;
//! - comes in a chain of at most 4,096 bytes, the server's own first.
//!
//! An **IP address** as name works only as a common name, or where the certificate has it as a *DNS* name: entries of type
//! IP address are not looked at. But the name need not be the host: let [`TcpConnector`](crate::TcpConnector) connect to
//! `"192.168.1.10"`, and give `TlsOptions` the DNS name that is in the certificate.
//!
//! An authority and a broker certificate that do:
//!
//! ```text
//! openssl ecparam -name prime256v1 -genkey -noout -out ca.key
//! openssl req -x509 -new -key ca.key -sha256 -days 7300 -subj "/CN=My CA" -out ca.pem
//! openssl ecparam -name prime256v1 -genkey -noout -out broker.key
//! openssl req -new -key broker.key -subj "/CN=broker.example" -out broker.csr
//! echo "subjectAltName=DNS:broker.example" > broker.ext
//! openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days 825 -extfile broker.ext -out broker.pem
//! ```
//!
//! Firmware wants DER: `openssl x509 -in ca.pem -outform DER -out ca.der` for a certificate, `openssl ec -in device.key
//! -outform DER -out device.key.der` for a key.
//!
//! # What is verified
//!
//! That the chain leads to the authority of [`TlsOptions::new`]; the name; that the server owns the certificate; with a
//! [`Clock`], the dates. embedded-tls 0.19 leaves gaps, which are closed here:
//!
//! - every certificate that signs another must be allowed to: basic constraints, path length and key usage. embedded-tls
//!   alone accepts a broker with a certificate that any device has signed with its own;
//! - the server must show a certificate at all. embedded-tls alone accepts a handshake without one, from anybody;
//! - records that nobody sends in good faith, and on which embedded-tls panics, end the link.
//!
//! Not verified: revocation, and the purpose of the certificate (extended key usage). Not supported: `HelloRetryRequest`,
//! key update, resumption. A broker that starts a key update ends the link, and the runner makes a new one.
//!
//! With [`pre_shared_key`](TlsOptions::pre_shared_key) both sides prove that they know a key, and certificates play no part.
//!
//! # Client certificates
//!
//! [`with_client_certificate`](TlsOptions::with_client_certificate) takes one for a P-256 key. In TLS 1.3 the broker may judge
//! it after our side of the handshake is over: a refusal then shows as a link that ends before it is in use, with a line
//! of the log that says so, instead of [`ConnectError::Certificate`].
//!
//! # RAM for records
//!
//! | buffer | bytes |
//! | --- | --- |
//! | read, any server | 16,640 |
//! | read, with [`with_max_fragment_length`](TlsOptions::with_max_fragment_length) of 2,048, a server on OpenSSL (mosquitto) | 2,304 |
//! | write, without client certificate | 1,024 |
//! | write, with client certificate | its length and 300, at least 1,024 |
//!
//! embedded-tls then warns of the small read buffer; a record that does not fit ends the link with a line of the log.
//! A server that ignores the request, as rustls does, sends long records nevertheless when it sends much at once.
//! Each record, encrypted, costs 22 bytes.
//!
//! The handshake takes some 40 KB of stack on a Cortex-M, most of it to verify the chain: certificates of the size of those
//! above are copied and parsed there. It is the deepest the stack goes in a program of this kind.

mod authority;
mod client_key;
mod der;
mod fault;
mod link;
mod options;
mod provider;
mod records;
mod verifier;

use core::{cell::Cell, fmt, marker::PhantomData};

use embedded_tls::{TlsConfig, TlsContext, TlsError, alert::AlertDescription};
use mqtt_core::client::{Connect, ConnectError};
use rand_core::CryptoRngCore;

use self::{
    link::Connection, options::Trust, provider::Provider, records::Records, verifier::Verifier,
};
use crate::{Transport, stream::Guard};

pub use self::{
    fault::CertificateFault,
    link::{TlsLink, TlsReader, TlsWriter},
    options::{Clock, FragmentLength, NoClock, TlsOptions},
};

/// Bytes of a write buffer that embedded-tls keeps for itself.
const OVERHEAD: usize = 128;

/// Makes links over TLS 1.3, on top of a [`Transport`], which is a [`TcpConnector`](crate::TcpConnector) mostly.
pub struct TlsConnector<'a, T, R, C = NoClock> {
    transport: T,
    options: TlsOptions<'a>,
    random: R,
    read_record: &'a mut [u8],
    write_record: &'a mut [u8],
    established: Cell<bool>,
    fault: Cell<Option<CertificateFault>>,
    clock: PhantomData<C>,
}

impl<'a, T: Transport, R: CryptoRngCore> TlsConnector<'a, T, R> {
    /// A connector that trusts whom `options` say.
    ///
    /// - `random` makes the keys: a generator of true randomness, or seeded by one. It is of `rand_core` 0.6, which
    ///   this crate re-exports.
    /// - `read_record` holds one record of the server: 16,640 bytes are always enough, see the [module](self#ram-for-records).
    /// - `write_record` holds one of ours, and the first message of the handshake: 1,024 bytes will do; with a client
    ///   certificate its length and 300 bytes.
    pub fn new(
        transport: T,
        options: TlsOptions<'a>,
        random: R,
        read_record: &'a mut [u8],
        write_record: &'a mut [u8],
    ) -> Self {
        Self {
            transport,
            options,
            random,
            read_record,
            write_record,
            established: Cell::new(false),
            fault: Cell::new(None),
            clock: PhantomData,
        }
    }

    /// Checks the dates of certificates by `K`.
    #[must_use]
    pub fn with_clock<K: Clock>(self) -> TlsConnector<'a, T, R, K> {
        TlsConnector {
            transport: self.transport,
            options: self.options,
            random: self.random,
            read_record: self.read_record,
            write_record: self.write_record,
            established: self.established,
            fault: self.fault,
            clock: PhantomData,
        }
    }
}

impl<T, R, C> TlsConnector<'_, T, R, C> {
    /// Why the certificates of the broker were not accepted, if that is what the last attempt failed of:
    /// [`ConnectError::Certificate`] in detail. It is in the log too.
    #[must_use]
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        self.fault.get()
    }
}

impl<T: Transport, R: CryptoRngCore, C: Clock> Connect for TlsConnector<'_, T, R, C> {
    type Link<'s>
        = TlsLink<'s, T::Stream<'s>>
    where
        Self: 's;

    async fn connect(&mut self) -> Result<TlsLink<'_, T::Stream<'_>>, ConnectError> {
        if self.write_record.len() <= OVERHEAD {
            warning!("tls: the write buffer is too small");
            return Err(ConnectError::Tls);
        }
        let stream = self.transport.open().await?;
        self.established.set(false);
        self.fault.set(None);
        let records = Records::new(stream, &self.established);
        let mut link = TlsLink {
            connection: Connection::new(records, self.read_record, self.write_record),
            guard: Guard::new(stream),
        };
        debug!("tls: handshake with {}", self.options.server_name);
        let mut provider = Provider::<R, C> {
            random: &mut self.random,
            verifier: self.options.verifier(),
            identity: self.options.identity,
            was_asked: false,
        };
        let config = self.options.config();
        let context = TlsContext::new(&config, &mut provider);
        let result = link.connection.open(context).await;
        provider.judge(result, &self.fault)?;
        self.established.set(true);
        Ok(link)
    }
}

impl<'a> TlsOptions<'a> {
    /// Nobody has to show a certificate who knows the key, which is then part of all other keys.
    fn verifier<C: Clock>(&self) -> Option<Verifier<'a, C>> {
        match self.trust {
            Trust::Authority(authority) => Some(Verifier::new(authority, self.server_name)),
            Trust::PreSharedKey { .. } => None,
            Trust::Anybody => {
                warning!("tls: the broker is not verified");
                None
            }
        }
    }

    fn config(&self) -> TlsConfig<'_> {
        let mut config = TlsConfig::new().with_server_name(self.server_name);
        if let Some(length) = self.fragment {
            config = config.with_max_fragment_length(length.into());
        }
        if let Some(protocols) = self.protocols {
            config = config.with_alpn(protocols);
        }
        if let Trust::PreSharedKey { name, key } = &self.trust {
            config = config.with_psk(key, name);
        }
        config
    }
}

impl<R, C: Clock> Provider<'_, R, C> {
    /// What the end of the handshake means.
    fn judge(
        &self,
        result: Result<(), TlsError>,
        fault: &Cell<Option<CertificateFault>>,
    ) -> Result<(), ConnectError> {
        let refuse = |reason: CertificateFault| {
            warning!("tls: certificate not accepted: {}", reason.text());
            fault.set(Some(reason));
            Err(ConnectError::Certificate)
        };
        let verifier = self.verifier.as_ref();
        if let Some(verifier) = verifier.filter(|verifier| verifier.has_refused()) {
            return refuse(verifier.fault());
        }
        if let Err(error) = result {
            warning!("tls: handshake failed: {:?}", error);
            if self.was_asked {
                warning!("tls: the broker wants a client certificate that it accepts");
                return Err(ConnectError::Certificate);
            }
            return Err(sort(error));
        }
        if !verifier.is_none_or(Verifier::is_proven) {
            return refuse(CertificateFault::NotProven);
        }
        Ok(())
    }
}

fn sort(error: TlsError) -> ConnectError {
    match error {
        TlsError::HandshakeAborted(
            _,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCa
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired,
        ) => ConnectError::Certificate,
        _ => ConnectError::Tls,
    }
}

impl<T: fmt::Debug, R, C> fmt::Debug for TlsConnector<'_, T, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector")
            .field("transport", &self.transport)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
