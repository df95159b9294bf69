//! TLS 1.3 by embedded-tls.

mod authority;
mod client_key;
mod der;
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
    clock: PhantomData<C>,
}

impl<'a, T: Transport, R: CryptoRngCore> TlsConnector<'a, T, R> {
    /// A connector that trusts whom `options` say.
    ///
    /// - `random` makes the keys: a generator of true randomness, or seeded by one. It is of `rand_core` 0.6, which
    ///   this crate re-exports.
    /// - `read_record` holds one record of the server: 16,640 bytes are always enough, see the [module](self).
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
            clock: PhantomData,
        }
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
        provider.judge(result)?;
        self.established.set(true);
        Ok(link)
    }
}

impl<'a> TlsOptions<'a> {
    /// Nobody has to show a certificate who knows the key, which is then part of all other keys.
    fn verifier<C: Clock>(&self) -> Option<Verifier<'a, C>> {
        match self.trust {
            Trust::Authority(authority) => Some(Verifier::new(authority)),
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
    fn judge(&self, result: Result<(), TlsError>) -> Result<(), ConnectError> {
        let verifier = self.verifier.as_ref();
        if verifier.is_some_and(Verifier::has_refused) {
            warning!("tls: the certificate of the broker is not accepted");
            return Err(ConnectError::Certificate);
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
            warning!("tls: the broker has not shown a certificate");
            return Err(ConnectError::Certificate);
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
