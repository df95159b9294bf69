//! A broker that asks for a client certificate.

use std::net::Ipv4Addr;
use std::path::Path;

use mqtt5::broker::config::{AuthConfig, StorageBackend, StorageConfig, TlsConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::program::Program;

const TLS_CLIENT_CERTIFICATE: &str = env!("CARGO_BIN_EXE_tls-client-certificate");

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `<name>.pem` and `<name>.key`, signed by `authority`.
fn certificate(directory: &Path, name: &str, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

/// The port of a broker that knows clients by certificates of `ca.pem`.
async fn broker(directory: &Path) -> u16 {
    let file = |name: &str| directory.join(name);
    let tls = TlsConfig::new(file("localhost.pem"), file("localhost.key"))
        .with_ca_file(file("ca.pem"))
        .with_require_client_cert(true)
        .with_bind_address((Ipv4Addr::LOCALHOST, 0));
    let config = BrokerConfig::default()
        .with_bind_address((Ipv4Addr::LOCALHOST, 0))
        .with_auth(AuthConfig::new().with_allow_anonymous(true))
        .with_storage(StorageConfig::new().with_backend(StorageBackend::Memory))
        .with_tls(tls);
    let mut broker = Box::pin(MqttBroker::with_config(config)).await.unwrap();
    let port = broker.tls_local_addr().unwrap().port();
    tokio::spawn(async move { Box::pin(broker.run()).await });
    port
}

#[test]
fn only_the_right_certificate_opens_the_door() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let ours = authority();
    std::fs::write(path.join("ca.pem"), ours.pem()).unwrap();
    certificate(path, "localhost", &ours);
    certificate(path, "device", &ours);
    certificate(path, "stranger", &authority());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("mqtts://localhost:{}", runtime.block_on(broker(path)));
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let run = |name: &str| {
        let (cert, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        let arguments = [
            "--url",
            &url,
            "--ca",
            &file("ca.pem"),
            "--cert",
            &cert,
            "--key",
            &key,
        ];
        Program::start(TLS_CLIENT_CERTIFICATE, &arguments).end()
    };

    let device = run("device");
    assert!(device.status.success(), "{device:?}");
    assert!(
        device
            .lines
            .last()
            .unwrap()
            .starts_with("acknowledged after"),
        "{device:?}"
    );

    let stranger = run("stranger");
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert_eq!(stranger.stderr.lines().count(), 1, "{stranger:?}");

    let missing = run("nobody");
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(missing.stderr.contains("nobody."), "{missing:?}");
}
