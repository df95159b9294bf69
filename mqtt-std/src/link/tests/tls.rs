use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

use super::{
    certificates::{Authority, Identity},
    *,
};
use crate::{
    OptionsError, Stage,
    options::{Pem, TlsOptions},
};

pub(super) struct Server<'a> {
    identity: Identity,
    version: &'static SupportedProtocolVersion,
    clients: Option<&'a Authority>,
}

impl Server<'_> {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_protocol_versions(&[self.version]).unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(&authority.pem()).unwrap())
                    .unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(self.identity.chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Serves one connection by echoing, and gives the options that lead there.
    async fn start(&self, trusted: &Authority) -> Transport {
        let (listener, mut transport) = listen().await;
        let acceptor = self.acceptor();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(accept(listener).await).await {
                echo(stream).await;
            }
        });
        transport.tls = true;
        transport.tls_options.authorities = vec![Pem::Text(trusted.pem())];
        transport
    }
}

pub(super) fn server(identity: Identity) -> Server<'static> {
    Server {
        identity,
        version: &TLS13,
        clients: None,
    }
}

/// MQTT 3.1.1 [MQTT-7.1.2-1]
/// MQTT 5 [MQTT-4.2.0-1]
#[tokio::test]
async fn both_versions_carry_bytes_both_ways() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let server = Server {
            version,
            ..server(authority.issue("localhost"))
        };
        let (reader, writer) = connected(&server.start(&authority).await).await;
        converse(reader, writer).await;
    }
}

#[tokio::test]
async fn an_address_can_be_certified_too() {
    let authority = Authority::new();
    let mut transport = server(authority.issue("127.0.0.1")).start(&authority).await;
    transport.host = "127.0.0.1".to_owned();
    let (reader, writer) = connected(&transport).await;
    converse(reader, writer).await;
}

#[tokio::test]
async fn a_foreign_authority_is_not_trusted() {
    for name in ["somebody else", "a namesake"] {
        let theirs = Authority::named(name).issue("localhost");
        let transport = server(theirs).start(&Authority::named("a namesake")).await;
        let failure = failure(&transport).await;
        assert!(
            matches!(failure, ConnectFailure::UnknownAuthority),
            "{name}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let transport = server(authority.issue_expired("localhost"))
        .start(&authority)
        .await;
    assert!(matches!(failure(&transport).await, ConnectFailure::Expired));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let transport = server(authority.issue("broker.example"))
        .start(&authority)
        .await;
    let failure = failure(&transport).await;
    let text = failure.to_string();
    assert!(
        matches!(failure, ConnectFailure::WrongName { .. }),
        "{failure:?}"
    );
    assert!(
        text.contains("localhost") && text.contains("broker.example"),
        "{text}"
    );
}

#[tokio::test]
async fn the_server_name_replaces_the_host() {
    let authority = Authority::new();
    let mut transport = server(authority.issue("broker.example"))
        .start(&authority)
        .await;
    transport.tls_options.server_name = Some("broker.example".to_owned());
    let (reader, writer) = connected(&transport).await;
    converse(reader, writer).await;
}

#[tokio::test]
async fn alpn_is_offered_and_must_suit_the_broker() {
    let authority = Authority::new();
    for (offered, agreed) in [("mqtt", true), ("something-else", false)] {
        let mut transport = server(authority.issue("localhost")).start(&authority).await;
        transport.tls_options.alpn = vec![offered.into()];
        assert_eq!(
            connector(&transport).connect().await.is_ok(),
            agreed,
            "{offered}"
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let server = Server {
            version,
            clients: Some(&clients),
            ..server(authority.issue("localhost"))
        };
        let mut transport = server.start(&authority).await;
        transport.tls_options.client_certificate = Some(texts(&clients.issue("device")));
        let (reader, writer) = connected(&transport).await;
        converse(reader, writer).await;
    }
}

/// TLS 1.2 refuses within the handshake, TLS 1.3 after it: both tell the same story.
#[tokio::test]
async fn a_missing_client_certificate_is_named() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let server = Server {
            version,
            clients: Some(&clients),
            ..server(authority.issue("localhost"))
        };
        let transport = server.start(&authority).await;
        let mut connector = connector(&transport);
        if let Ok((mut reader, _writer)) = connector.connect().await {
            timeout(LIMIT, reader.read(&mut [0; 16]))
                .await
                .unwrap()
                .unwrap_err();
        }
        let failure = connector.trace.failure().unwrap();
        assert!(
            matches!(failure, ConnectFailure::ClientCertificate(_)),
            "{version:?}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_port_does_not_speak_tls() {
    let authority = Authority::new();
    let (listener, mut transport) = listen().await;
    tokio::spawn(async {
        let mut stream = accept(listener).await;
        stream.read_exact(&mut [0; 16]).await.unwrap();
        stream
            .write_all(&[0x20, 2, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    transport.tls = true;
    transport.tls_options.authorities = vec![Pem::Text(authority.pem())];
    assert!(matches!(failure(&transport).await, ConnectFailure::NotTls));
}

#[tokio::test]
async fn a_broker_that_hangs_up_on_a_client_hello_is_told_apart() {
    let (listener, mut transport) = listen().await;
    tokio::spawn(async { drop(accept(listener).await) });
    transport.tls = true;
    transport.tls_options.authorities = vec![Pem::Text(Authority::new().pem())];
    assert!(matches!(
        failure(&transport).await,
        ConnectFailure::Closed(Stage::Tls)
    ));
}

#[test]
fn certificate_and_key_that_were_mixed_up_are_told() {
    let authority = Authority::new();
    let (ours, other) = (authority.issue("device"), authority.issue("other"));
    let told = |chain, key| {
        prepare(TlsOptions {
            client_certificate: Some((chain, key)),
            ..TlsOptions::default()
        })
        .unwrap_err()
        .to_string()
    };
    let (chain, key) = texts(&ours);
    assert_eq!(
        told(key.clone(), key.clone()),
        "certificate or key: no certificate in it"
    );
    assert_eq!(
        told(chain.clone(), chain.clone()),
        "certificate or key: no private key in it"
    );
    assert_eq!(
        told(chain, texts(&other).1),
        "certificate or key: not the key of the client certificate"
    );
}

#[test]
fn a_broken_file_is_named_and_not_shown() {
    let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!!\n-----END PRIVATE KEY-----\n";
    let authority = Authority::new();
    let key = Pem::Text(secret.into());
    let chain = Pem::Text(authority.issue("device").chain.into());
    let error = prepare(TlsOptions {
        client_certificate: Some((chain, key)),
        ..TlsOptions::default()
    })
    .unwrap_err();
    assert!(matches!(error, OptionsError::Pem(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));

    let missing = Pem::File("/no/such/ca.pem".into());
    let error = prepare(TlsOptions {
        authorities: vec![missing],
        ..TlsOptions::default()
    })
    .unwrap_err();
    assert!(
        error.to_string().starts_with("/no/such/ca.pem: "),
        "{error}"
    );
}

fn prepare(tls_options: TlsOptions) -> Result<(), OptionsError> {
    let authorities = match tls_options.authorities.as_slice() {
        [] => vec![Pem::Text(Authority::new().pem())],
        given => given.to_vec(),
    };
    let tls_options = TlsOptions {
        authorities,
        ..tls_options
    };
    let transport = Transport {
        host: "localhost".to_owned(),
        tls: true,
        tls_options,
        ..Transport::default()
    };
    transport.connector(Arc::new(Trace::default())).map(drop)
}

fn texts(identity: &Identity) -> (Pem, Pem) {
    (
        Pem::Text(identity.chain.clone().into()),
        Pem::Text(identity.key.clone().into()),
    )
}
