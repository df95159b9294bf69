//! Servers that must not be trusted, each in the eyes of a whole client: an error of its own, and not a byte of MQTT.
#![cfg(feature = "tls")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use mqtt_std::{ConnectFailure, Error, Options, Reconnect, Stage};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

const LIMIT: Duration = Duration::from_secs(20);
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What only CONNECT holds.
const USER_NAME: &str = "user-of-the-test";

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, those that follow it in the chain, and its key.
struct Identity {
    chain: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issues(&self, set: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = certificate("localhost");
        set(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity {
            chain: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signed by a certificate of ours that is no authority.
    fn issues_through_a_device(&self) -> Identity {
        let device = certificate("device");
        let device_key = KeyPair::generate().unwrap();
        let signed = device.signed_by(&device_key, &self.0).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&device, &device_key);
        let certificate = certificate("localhost").signed_by(&key, &issuer).unwrap();
        Identity {
            chain: certificate.pem() + &signed.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn certificate(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn signed_by_itself() -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity {
        chain: certificate("localhost").self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A TLS server; `clients` has signed the certificates that it asks for.
fn config(
    identity: &Identity,
    version: &'static SupportedProtocolVersion,
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

/// A connection whose other end is overheard.
struct Tap {
    stream: TcpStream,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.stream.read(buffer)?;
        self.heard.lock().unwrap().extend(&buffer[..len]);
        Ok(len)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// What a server heard: on the wire, and after decryption.
struct Heard {
    wire: Vec<u8>,
    plain: Vec<u8>,
}

/// Why a client that trusts `authority` does not connect to a server that does `serve`, which returns what it decrypted.
fn outcome(
    authority: &Authority,
    set: impl FnOnce(Options) -> Options,
    serve: impl FnOnce(&mut Tap) -> Vec<u8> + Send + 'static,
) -> (ConnectFailure, Heard) {
    let (error, heard) = meeting(authority, set, serve);
    let Error::Connect { failure, .. } = error else {
        panic!("{error:?}");
    };
    (failure, heard)
}

/// How the client ends, whose user name and password are in the URL.
fn meeting(
    authority: &Authority,
    set: impl FnOnce(Options) -> Options,
    serve: impl FnOnce(&mut Tap) -> Vec<u8> + Send + 'static,
) -> (Error, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let heard = Arc::default();
        let mut tap = Tap {
            stream,
            heard: Arc::clone(&heard),
        };
        let plain = serve(&mut tap);
        // Whatever else comes.
        let _ = tap.read_to_end(&mut Vec::new());
        let wire = heard.lock().unwrap().clone();
        Heard { wire, plain }
    });
    let url = format!("mqtts://{USER_NAME}:sesame@localhost:{port}/device");
    let options = Options::from_url(&url)
        .unwrap()
        .ca_pem(authority.0.pem())
        .reconnect(Reconnect::never());
    let error = run(set(options));
    (error, server.join().unwrap())
}

fn run(options: Options) -> Error {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (_client, _inbox, mut runner) = mqtt_std::new(options).unwrap();
        let ended = tokio::time::timeout(LIMIT, runner.run()).await;
        ended.expect("an end").expect_err("no link")
    })
}

/// Serves TLS as far as it comes, and returns what the client sent inside.
fn tls(config: Arc<ServerConfig>) -> impl FnOnce(&mut Tap) -> Vec<u8> + Send + 'static {
    move |tap| {
        let mut connection = ServerConnection::new(config).unwrap();
        let mut plain = Vec::new();
        let _ = rustls::Stream::new(&mut connection, tap).read_to_end(&mut plain);
        plain
    }
}

/// Takes the `ClientHello`, and answers with these bytes.
fn answers(bytes: &'static [u8]) -> impl FnOnce(&mut Tap) -> Vec<u8> + Send + 'static {
    move |tap| {
        let _ = tap.read(&mut [0; 4096]).unwrap();
        tap.write_all(bytes).unwrap();
        let _ = tap.stream.shutdown(Shutdown::Write);
        Vec::new()
    }
}

/// Whether a failure is the right one.
type Check = fn(&ConnectFailure) -> bool;

#[track_caller]
fn heard_no_mqtt(name: &str, heard: &Heard) {
    assert_eq!(heard.wire.first(), Some(&0x16), "{name}: no ClientHello");
    assert!(!has_mqtt(&heard.wire), "{name}: in the clear");
    assert_eq!(
        heard.plain, b"",
        "{name}: sent to a server that is not verified"
    );
}

fn has_mqtt(bytes: &[u8]) -> bool {
    [b"MQTT", USER_NAME.as_bytes()]
        .iter()
        .any(|text| bytes.windows(text.len()).any(|part| part == *text))
}

#[test]
fn a_good_server_hears_mqtt_inside_tls_only() {
    let authority = Authority::new("ours");
    let identity = authority.issues(|_| {});
    for version in VERSIONS {
        let config = config(&identity, version, None);
        let serve = move |tap: &mut Tap| {
            let mut connection = ServerConnection::new(config).unwrap();
            let mut plain = vec![0; 1024];
            let len = rustls::Stream::new(&mut connection, tap).read(&mut plain);
            plain.truncate(len.unwrap());
            let _ = tap.stream.shutdown(Shutdown::Write);
            plain
        };
        let (error, heard) = meeting(&authority, |options| options, serve);
        assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
        assert!(has_mqtt(&heard.plain));
        assert!(!has_mqtt(&heard.wire));
    }
}

#[test]
fn a_server_whose_certificate_is_not_good_is_named_and_hears_no_mqtt() {
    let authority = Authority::new("ours");
    let is_unknown: Check = |failure| matches!(failure, ConnectFailure::UnknownAuthority);
    let cases: [(&str, Identity, Check); 8] = [
        (
            "another authority",
            Authority::new("theirs").issues(|_| {}),
            is_unknown,
        ),
        (
            "a namesake",
            Authority::new("ours").issues(|_| {}),
            is_unknown,
        ),
        ("signed by itself", signed_by_itself(), is_unknown),
        (
            "signed by a device",
            authority.issues_through_a_device(),
            |failure| matches!(failure, ConnectFailure::BadCertificate(_)),
        ),
        (
            "an authority as server",
            authority.issues(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            |failure| matches!(failure, ConnectFailure::BadCertificate(_)),
        ),
        (
            "another name",
            authority.issues(|params| *params = certificate("broker.example")),
            |failure| matches!(failure, ConnectFailure::WrongName { .. }),
        ),
        (
            "expired",
            authority.issues(|params| {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            }),
            |failure| matches!(failure, ConnectFailure::Expired),
        ),
        (
            "not valid yet",
            authority.issues(|params| {
                params.not_before = date_time_ymd(2100, 1, 1);
                params.not_after = date_time_ymd(2101, 1, 1);
            }),
            |failure| matches!(failure, ConnectFailure::NotYetValid),
        ),
    ];
    for (name, identity, check) in &cases {
        for version in VERSIONS {
            let config = config(identity, version, None);
            let (failure, heard) = outcome(&authority, |options| options, tls(config));
            assert!(check(&failure), "{name}, {version:?}: {failure:?}");
            heard_no_mqtt(name, &heard);
        }
    }
}

#[test]
fn a_server_that_does_not_speak_tls_or_an_old_one_is_named_and_hears_no_mqtt() {
    let authority = Authority::new("ours");
    // ServerHello of TLS 1.1 and 1.0, with TLS_RSA_WITH_AES_128_CBC_SHA.
    let hello = |minor: u8| -> &'static [u8] {
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        body.extend([0, 0, 0x2f, 0]);
        let len = u8::try_from(body.len()).unwrap();
        [&[0x16, 3, minor, 0, len + 4, 2, 0, 0, len][..], &body]
            .concat()
            .leak()
    };
    let is_tls: Check = |failure| matches!(failure, ConnectFailure::Tls(_));
    let is_plain: Check = |failure| matches!(failure, ConnectFailure::NotTls);
    let is_closed: Check = |failure| matches!(failure, ConnectFailure::Closed(Stage::Tls));
    let cases: [(&str, &'static [u8], Check); 7] = [
        ("TLS 1.1", hello(2), is_tls),
        ("TLS 1.0", hello(1), is_tls),
        (
            "only older versions, as an alert",
            &[0x15, 3, 2, 0, 2, 2, 70],
            is_tls,
        ),
        ("a CONNACK", &[0x20, 2, 0, 0, 0, 0, 0, 0], is_plain),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", is_plain),
        // As a server does that offers TLS on demand.
        ("a greeting", b"220 ready to start TLS\r\n", is_plain),
        ("nothing", &[], is_closed),
    ];
    for (name, answer, check) in cases {
        let (failure, heard) = outcome(&authority, |options| options, answers(answer));
        assert!(check(&failure), "{name}: {failure:?}");
        heard_no_mqtt(name, &heard);
    }
    let silent = |options: Options| options.connect_timeout(Duration::from_millis(200));
    let (failure, heard) = outcome(&authority, silent, |_| Vec::new());
    assert!(
        matches!(failure, ConnectFailure::TimedOut(Stage::Tls)),
        "{failure:?}"
    );
    heard_no_mqtt("silence", &heard);
}

#[test]
fn a_client_certificate_that_is_missing_or_foreign_is_named() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let foreign = Authority::new("foreign").issues(|_| {});
    let expired = clients.issues(|params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let identity = authority.issues(|_| {});
    for version in VERSIONS {
        for shown in [None, Some(&foreign), Some(&expired)] {
            let config = config(&identity, version, Some(&clients));
            let show = |options: Options| match shown {
                None => options,
                Some(identity) => {
                    options.client_certificate_pem(identity.chain.clone(), identity.key.clone())
                }
            };
            let (failure, _) = outcome(&authority, show, tls(config));
            assert!(
                matches!(failure, ConnectFailure::ClientCertificate(_)),
                "{version:?}: {failure:?}"
            );
        }
    }
}

#[test]
fn each_failure_has_a_text_of_its_own() {
    let failures = [
        ConnectFailure::UnknownAuthority,
        ConnectFailure::Expired,
        ConnectFailure::NotYetValid,
        ConnectFailure::WrongName {
            expected: "a".into(),
            presented: vec!["b".into()],
        },
        ConnectFailure::BadCertificate("x".into()),
        ConnectFailure::ClientCertificate("x".into()),
        ConnectFailure::NotTls,
        ConnectFailure::SpeaksTls,
        ConnectFailure::Tls("x".into()),
        ConnectFailure::Closed(Stage::Tls),
        ConnectFailure::TimedOut(Stage::Tls),
    ];
    let mut texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(texts.iter().all(|text| text.len() > 15));
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), failures.len());
}
