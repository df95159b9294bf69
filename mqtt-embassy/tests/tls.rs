//! `TlsConnector` against rustls.
#![cfg(feature = "tls")]
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use embassy_futures::{
    select::{Either, select},
    yield_now,
};
use embedded_io_async::Read;
use mqtt_embassy::{
    ConnectError, TlsConnector, TlsOptions,
    mqtt_core::client::{Connect, Link},
    tls::{CertificateFault, Clock, FragmentLength, NoClock},
};
use rand_core::CryptoRngCore;
use rcgen::{BasicConstraints, KeyUsagePurpose};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use support::{
    block_on,
    certificates::{AFTER, Authority, DURING, Identity},
    leak,
    net::both,
    pattern,
    pipe::{Pipes, Server},
    random, read_exact, write_all,
};

const NAME: &str = "broker.test";
type Session = StreamOwned<ServerConnection, Server>;

struct Peer {
    version: &'static SupportedProtocolVersion,
    identity: Identity,
    clients: Option<Vec<u8>>,
    fragment: Option<usize>,
}

impl Peer {
    fn new(identity: Identity) -> Self {
        Self {
            version: &TLS13,
            identity,
            clients: None,
            fragment: None,
        }
    }

    fn config(self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(authority)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = self.identity.chain.into_iter().map(CertificateDer::from);
        let key = PrivateKeyDer::try_from(self.identity.key).unwrap();
        let mut config = builder.with_single_cert(chain.collect(), key).unwrap();
        config.max_fragment_size = self.fragment;
        Arc::new(config)
    }

    /// A transport to this peer, which does `work` with each link in a thread.
    fn pipes(self, work: impl Fn(Session) + Clone + Send + 'static) -> Pipes<impl FnMut(Server)> {
        let config = self.config();
        Pipes::new(2000, move |pipe| {
            let session = ServerConnection::new(config.clone()).unwrap();
            let stream = StreamOwned::new(session, pipe);
            let work = work.clone();
            thread::spawn(move || work(stream));
        })
    }
}

/// Sends everything back until the end.
fn echo(mut session: Session) {
    let mut buffer = [0; 1000];
    while let Ok(len @ 1..) = session.read(&mut buffer) {
        if session.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
}

fn connector<F: FnMut(Server)>(
    pipes: Pipes<F>,
    options: TlsOptions<'_>,
) -> TlsConnector<'_, Pipes<F>, impl CryptoRngCore> {
    TlsConnector::new(pipes, options, random(), leak(16_640), leak(2_048))
}

/// What becomes of a handshake with a server that has `identity`, for a client that trusts `authority`.
fn outcome_at<C: Clock>(authority: &Authority, identity: Identity) -> Result<(), ConnectError> {
    let options = TlsOptions::new(NAME, authority.der());
    let mut connector = connector(Peer::new(identity).pipes(echo), options).with_clock::<C>();
    block_on(async { connector.connect().await.map(drop) })
}

/// Why a handshake was refused.
fn fault_at<C: Clock>(authority: &Authority, identity: Identity) -> Option<CertificateFault> {
    let options = TlsOptions::new(NAME, authority.der());
    let mut connector = connector(Peer::new(identity).pipes(echo), options).with_clock::<C>();
    let refused = block_on(async { connector.connect().await.map(drop) });
    assert_eq!(refused, Err(ConnectError::Certificate));
    connector.certificate_fault()
}

fn outcome(authority: &Authority, identity: Identity) -> Result<(), ConnectError> {
    outcome_at::<NoClock>(authority, identity)
}

struct During;
impl Clock for During {
    fn unix_time_s() -> Option<u64> {
        Some(DURING)
    }
}

struct After;
impl Clock for After {
    fn unix_time_s() -> Option<u64> {
        Some(AFTER)
    }
}

#[test]
fn a_certificate_of_the_authority_for_the_name_is_accepted() {
    let authority = Authority::new();
    assert_eq!(outcome(&authority, authority.issue(NAME)), Ok(()));
    // Many servers send their authority along.
    let mut identity = authority.issue(NAME);
    identity.chain.push(authority.der().to_vec());
    assert_eq!(outcome(&authority, identity), Ok(()));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let identity = authority.issue("other.test");
    assert_eq!(
        outcome(&authority, identity),
        Err(ConnectError::Certificate)
    );
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let identity = Authority::new().issue(NAME);
    let refused = outcome(&Authority::new(), identity);
    assert_eq!(refused, Err(ConnectError::Certificate));
}

#[test]
fn dates_are_checked_by_the_clock_if_there_is_one() {
    let authority = Authority::new();
    let identity = authority.issue(NAME);
    assert_eq!(outcome_at::<During>(&authority, identity.clone()), Ok(()));
    let late = outcome_at::<After>(&authority, identity.clone());
    assert_eq!(late, Err(ConnectError::Certificate));
    assert_eq!(outcome_at::<NoClock>(&authority, identity), Ok(()));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let authority = Authority::new();
    let expired = fault_at::<After>(&authority, authority.issue(NAME));
    assert_eq!(expired, Some(CertificateFault::OutOfDate));
    let name = fault_at::<During>(&authority, authority.issue("other.test"));
    assert_eq!(name, Some(CertificateFault::WrongName));
    let other = fault_at::<During>(&authority, Authority::new().issue(NAME));
    assert_eq!(other, Some(CertificateFault::UnknownAuthority));
    let signer = fault_at::<During>(&authority, authority.impostor().issue(NAME));
    assert_eq!(signer, Some(CertificateFault::NotAnAuthority));
}

#[test]
fn an_accepted_certificate_leaves_no_fault() {
    let authority = Authority::new();
    let options = TlsOptions::new(NAME, authority.der());
    let mut connector = connector(Peer::new(authority.issue(NAME)).pipes(echo), options);
    block_on(async { connector.connect().await.map(drop) }).expect("accepted");
    assert_eq!(connector.certificate_fault(), None);
}

#[test]
fn intermediate_authorities_may_sign() {
    let root = Authority::new();
    let first = root.intermediate(BasicConstraints::Unconstrained);
    assert_eq!(outcome(&root, first.issue(NAME)), Ok(()));
    let second = first.intermediate(BasicConstraints::Constrained(0));
    assert_eq!(outcome(&root, second.issue(NAME)), Ok(()));
}

#[test]
fn a_certificate_that_is_not_an_authoritys_may_not_sign() {
    let root = Authority::new();
    let device = root.impostor();
    let refused = outcome(&root, device.issue(NAME));
    assert_eq!(refused, Err(ConnectError::Certificate));
    // Nor in the middle of a longer chain, nor with the root sent along.
    let below = device.intermediate(BasicConstraints::Unconstrained);
    let mut identity = below.issue(NAME);
    identity.chain.push(root.der().to_vec());
    assert_eq!(outcome(&root, identity), Err(ConnectError::Certificate));
}

#[test]
fn an_authority_signs_only_what_it_may() {
    let root = Authority::new();
    let other_use = root.intermediate_for(KeyUsagePurpose::DigitalSignature);
    let refused = outcome(&root, other_use.issue(NAME));
    assert_eq!(refused, Err(ConnectError::Certificate));
    let same_use = root.intermediate_for(KeyUsagePurpose::KeyCertSign);
    assert_eq!(outcome(&root, same_use.issue(NAME)), Ok(()));
    // Nothing but servers below the first.
    let first = root.intermediate(BasicConstraints::Constrained(0));
    let second = first.intermediate(BasicConstraints::Unconstrained);
    let refused = outcome(&root, second.issue(NAME));
    assert_eq!(refused, Err(ConnectError::Certificate));
}

#[test]
fn a_server_without_tls_1_3_is_an_error_of_tls() {
    let authority = Authority::new();
    let mut peer = Peer::new(authority.issue(NAME));
    peer.version = &TLS12;
    let mut connector = connector(peer.pipes(echo), TlsOptions::new(NAME, authority.der()));
    let refused = block_on(async { connector.connect().await.map(drop) });
    assert_eq!(refused, Err(ConnectError::Tls));
}

#[test]
fn without_verification_anybody_is_accepted() {
    let peer = Peer::new(Authority::new().issue("other.test"));
    let options = TlsOptions::dangerous_without_verification(NAME);
    let mut connector = connector(peer.pipes(echo), options);
    assert!(block_on(async { connector.connect().await.map(drop) }).is_ok());
}

/// Says what the client sent, once.
fn reporter() -> (
    impl Fn(Session) + Clone + Send + 'static,
    Receiver<std::io::Result<Vec<u8>>>,
) {
    let (sender, receiver) = channel();
    let work = move |mut session: Session| {
        let mut buffer = vec![0; 100];
        let read = session.read(&mut buffer).map(|len| buffer[..len].to_vec());
        sender.send(read).unwrap();
        echo(session);
    };
    (work, receiver)
}

#[test]
fn the_client_shows_its_certificate() {
    let authority = Authority::new();
    let device = authority.issue("device.test");
    let mut peer = Peer::new(authority.issue(NAME));
    peer.clients = Some(authority.der().to_vec());
    let (work, report) = reporter();
    let options = TlsOptions::new(NAME, authority.der())
        .with_client_certificate(&device.chain[0], &device.key);
    let mut connector = connector(peer.pipes(work), options);
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (_, mut writer) = link.split();
        write_all(&mut writer, b"hello", 5).await;
        assert_eq!(report.recv().unwrap().unwrap(), b"hello");
    });
}

#[test]
fn a_client_without_the_certificate_that_is_asked_for_is_sent_away() {
    let authority = Authority::new();
    let mut peer = Peer::new(authority.issue(NAME));
    peer.clients = Some(authority.der().to_vec());
    let mut connector = connector(peer.pipes(echo), TlsOptions::new(NAME, authority.der()));
    block_on(async {
        // In TLS 1.3 our part of the handshake may end before the server has judged.
        match connector.connect().await {
            Err(error) => assert_eq!(error, ConnectError::Certificate),
            Ok(mut link) => assert!(link.split().0.read(&mut [0; 10]).await.is_err()),
        }
    });
}

#[test]
fn a_key_that_is_none_is_an_error_of_the_certificate() {
    let authority = Authority::new();
    let device = authority.issue("device.test");
    let mut peer = Peer::new(authority.issue(NAME));
    peer.clients = Some(authority.der().to_vec());
    let options =
        TlsOptions::new(NAME, authority.der()).with_client_certificate(&device.chain[0], b"no key");
    let mut connector = connector(peer.pipes(echo), options);
    let refused = block_on(async { connector.connect().await.map(drop) });
    assert_eq!(refused, Err(ConnectError::Certificate));
}

#[test]
fn much_passes_both_ways_at_once_link_after_link() {
    let authority = Authority::new();
    let peer = Peer::new(authority.issue(NAME));
    let mut connector = connector(peer.pipes(echo), TlsOptions::new(NAME, authority.der()));
    let bytes = pattern(200_000);
    block_on(async {
        for piece in [1, 128, 5_000] {
            let bytes = &bytes[..bytes.len().min(piece * 5_000)];
            let mut link = connector.connect().await.unwrap();
            {
                // The server does not read on while nobody reads what it sends.
                let (mut reader, mut writer) = link.split();
                let read = read_exact(&mut reader, bytes.len());
                let (received, ()) = both(read, write_all(&mut writer, bytes, piece)).await;
                assert_eq!(received, bytes);
            }
            link.close().await;
        }
    });
}

#[test]
fn a_read_that_waits_does_not_block_a_write() {
    let authority = Authority::new();
    let peer = Peer::new(authority.issue(NAME));
    let (work, report) = reporter();
    let mut connector = connector(peer.pipes(work), TlsOptions::new(NAME, authority.der()));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, mut writer) = link.split();
        let mut buffer = [0; 1];
        let write = async {
            // The read has been polled, and nothing comes.
            yield_now().await;
            write_all(&mut writer, b"hello", 5).await;
            report.recv().unwrap().unwrap()
        };
        match select(reader.read(&mut buffer), write).await {
            Either::First(read) => panic!("nothing was sent: {read:?}"),
            Either::Second(received) => assert_eq!(received, b"hello"),
        }
    });
}

#[test]
fn short_records_need_short_buffers() {
    let authority = Authority::new();
    let mut peer = Peer::new(authority.issue(NAME));
    // rustls counts the header too.
    peer.fragment = Some(2_048);
    let options =
        TlsOptions::new(NAME, authority.der()).with_max_fragment_length(FragmentLength::Bytes2048);
    let transport = peer.pipes(echo);
    let mut connector = TlsConnector::new(transport, options, random(), leak(2_304), leak(1_024));
    let bytes = pattern(50_000);
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, mut writer) = link.split();
        let read = read_exact(&mut reader, bytes.len());
        let (received, ()) = both(read, write_all(&mut writer, &bytes, 700)).await;
        assert_eq!(received, bytes);
    });
}

#[test]
fn a_record_that_does_not_fit_ends_the_link() {
    let authority = Authority::new();
    let transport = Peer::new(authority.issue(NAME)).pipes(|mut session| {
        let _ = session.write_all(&pattern(8_000));
    });
    let options = TlsOptions::new(NAME, authority.der());
    let mut connector = TlsConnector::new(transport, options, random(), leak(2_304), leak(1_024));
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, _) = link.split();
        assert!(reader.read(&mut [0; 10]).await.is_err());
    });
}

#[test]
fn the_end_by_close_notify_and_the_end_without_are_both_ends() {
    let authority = Authority::new();
    for notify in [true, false] {
        let peer = Peer::new(authority.issue(NAME));
        let transport = peer.pipes(move |mut session| {
            session.write_all(b"bye").unwrap();
            if notify {
                session.conn.send_close_notify();
            }
            let _ = session.flush();
        });
        let mut connector = connector(transport, TlsOptions::new(NAME, authority.der()));
        block_on(async {
            let mut link = connector.connect().await.unwrap();
            let (mut reader, _) = link.split();
            assert_eq!(read_exact(&mut reader, 3).await, b"bye");
            assert_eq!(reader.read(&mut [0; 10]).await, Ok(0));
        });
    }
}

#[test]
fn closing_says_goodbye_and_dropping_aborts() {
    let authority = Authority::new();
    let (sender, ends) = channel();
    let transport = Peer::new(authority.issue(NAME)).pipes(move |mut session| {
        let end = session.read(&mut [0; 10]).map_err(|error| error.kind());
        sender.send((end, session.sock.was_aborted())).unwrap();
    });
    let mut connector = connector(transport, TlsOptions::new(NAME, authority.der()));
    block_on(async {
        connector.connect().await.unwrap().close().await;
        assert_eq!(ends.recv().unwrap(), (Ok(0), false));
        drop(connector.connect().await.unwrap());
        let (end, was_aborted) = ends.recv().unwrap();
        assert!(end.is_err() && was_aborted);
    });
}

#[test]
fn what_is_not_tls_is_an_error_of_tls() {
    let authority = Authority::new();
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"",
        &[0x20, 2, 0, 0],
    ] {
        let pipes = Pipes::new(2000, move |mut pipe: Server| {
            thread::spawn(move || {
                let _ = pipe.read(&mut [0; 100]);
                let _ = pipe.write_all(answer);
            });
        });
        let mut connector = connector(pipes, TlsOptions::new(NAME, authority.der()));
        let refused = block_on(async { connector.connect().await.map(drop) });
        assert_eq!(refused, Err(ConnectError::Tls));
    }
}
