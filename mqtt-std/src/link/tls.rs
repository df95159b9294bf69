//! TLS by rustls, with ring for the arithmetic: it builds with nothing but a C compiler.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore,
    client::WantsClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    ConnectFailure, OptionsError, Stage,
    options::{Pem, TlsOptions},
};

/// All that a handshake needs, read and checked.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the files of `options`. The certificate must be for `host`, if no other name is asked for.
    pub(crate) fn new(options: &TlsOptions, host: &str) -> Result<Self, OptionsError> {
        let name = options.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| OptionsError::ServerName(name.to_owned()))?;
        let mut config = with_client_certificate(builder(roots(options)?)?, options)?;
        config.alpn_protocols.clone_from(&options.alpn);
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ConnectFailure> {
        let handshake = self.connector.connect(self.name.clone(), tcp);
        Box::pin(handshake).await.map_err(sort)
    }
}

fn builder(
    roots: RootCertStore,
) -> Result<rustls::ConfigBuilder<ClientConfig, WantsClientCert>, OptionsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OptionsError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots))
}

/// The CAs of the options and nobody else, or those of the platform.
fn roots(options: &TlsOptions) -> Result<RootCertStore, OptionsError> {
    let mut roots = RootCertStore::empty();
    if options.authorities.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return if roots.is_empty() {
            Err(OptionsError::NoPlatformRoots)
        } else {
            Ok(roots)
        };
    }
    for source in &options.authorities {
        for certificate in certificates(source)? {
            roots
                .add(certificate)
                .map_err(|error| OptionsError::bad_file(source, error))?;
        }
    }
    Ok(roots)
}

fn with_client_certificate(
    builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert>,
    options: &TlsOptions,
) -> Result<ClientConfig, OptionsError> {
    let Some((chain, key)) = &options.client_certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let private_key = PrivateKeyDer::from_pem_slice(&key.read()?)
        .map_err(|error| bad_pem(key, "private key", &error))?;
    builder
        .with_client_auth_cert(certificates(chain)?, private_key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                OptionsError::bad_file(key, "not the key of the client certificate")
            }
            other => OptionsError::bad_file(key, other),
        })
}

fn certificates(source: &Pem) -> Result<Vec<CertificateDer<'static>>, OptionsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&source.read()?).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(bad_pem(source, "certificate", &pem::Error::NoItemsFound))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(bad_pem(source, "certificate", &error)),
    }
}

/// The text of a PEM error may quote the file, and the file may be a key.
fn bad_pem(source: &Pem, wanted: &str, error: &pem::Error) -> OptionsError {
    match error {
        pem::Error::NoItemsFound => OptionsError::bad_file(source, format!("no {wanted} in it")),
        _ => OptionsError::bad_file(source, "not in PEM format"),
    }
}

/// The failure that a broken handshake stands for.
fn sort(error: io::Error) -> ConnectFailure {
    let Some(cause) = rustls_error(&error) else {
        return ConnectFailure::from_stage(Stage::Tls, error);
    };
    match cause {
        rustls::Error::InvalidCertificate(fault) => bad_certificate(fault),
        rustls::Error::AlertReceived(alert) => alert_received(*alert),
        rustls::Error::InvalidMessage(_) => ConnectFailure::NotTls,
        other => ConnectFailure::Tls(other.to_string()),
    }
}

/// The refusal that an error of an established link stands for, or the error back.
pub(super) fn refusal(error: io::Error) -> Result<ConnectFailure, io::Error> {
    match rustls_error(&error) {
        Some(rustls::Error::AlertReceived(alert)) => Ok(alert_received(*alert)),
        _ => Err(error),
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn bad_certificate(fault: &CertificateError) -> ConnectFailure {
    match fault {
        // A bad signature is what a namesake of our CA leaves: one that was made anew, for example.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ConnectFailure::UnknownAuthority
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ConnectFailure::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ConnectFailure::NotYetValid
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => ConnectFailure::WrongName {
            expected: expected.to_str().into_owned(),
            presented: presented.clone(),
        },
        other => ConnectFailure::BadCertificate(other.to_string()),
    }
}

fn alert_received(alert: AlertDescription) -> ConnectFailure {
    match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => ConnectFailure::ClientCertificate(format!("{alert:?}")),
        _ => ConnectFailure::Tls(format!("the broker answered with the alert {alert:?}")),
    }
}
