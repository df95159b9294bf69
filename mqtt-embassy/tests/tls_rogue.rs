//! `TlsConnector` against servers that no TLS library would be, and with a pre-shared key.
#![cfg(feature = "tls")]
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::thread;

use embedded_io_async::Read;
use mqtt_embassy::{
    ConnectError, TlsConnector, TlsOptions,
    mqtt_core::client::{Connect, Link},
};

use support::{
    block_on,
    certificates::Authority,
    leak,
    pipe::{Pipes, Server},
    random, read_exact,
    rogue::{CERTIFICATE_VERIFY, ENCRYPTED_EXTENSIONS, FINISHED, Rogue},
    write_all,
};

const NAME: &str = "broker.test";
const KEY: &[u8] = b"16 random bytes.";

/// Links to a server that does `work` after `ServerHello`.
fn pipes(
    key: Option<&'static [u8]>,
    work: impl Fn(Rogue) + Clone + Send + 'static,
) -> Pipes<impl FnMut(Server)> {
    Pipes::new(2000, move |pipe| {
        let work = work.clone();
        thread::spawn(move || {
            let mut rogue = Rogue::accept(pipe, key);
            rogue.handshake(ENCRYPTED_EXTENSIONS, &[0, 0]);
            work(rogue);
        });
    })
}

fn connector<F: FnMut(Server)>(
    pipes: Pipes<F>,
    options: TlsOptions<'_>,
) -> TlsConnector<'_, Pipes<F>, impl rand_core::CryptoRngCore> {
    TlsConnector::new(pipes, options, random(), leak(4_096), leak(1_024))
}

/// What becomes of a handshake with a server that does `work`, for a client that wants a certificate.
fn outcome(work: impl Fn(Rogue) + Clone + Send + 'static) -> Result<(), ConnectError> {
    let authority = Authority::new();
    let mut connector = connector(pipes(None, work), TlsOptions::new(NAME, authority.der()));
    block_on(async { connector.connect().await.map(drop) })
}

#[test]
fn a_server_without_a_certificate_is_refused() {
    let refused = outcome(|mut rogue| {
        rogue.finish();
        rogue.wait();
    });
    assert_eq!(refused, Err(ConnectError::Certificate));
}

#[test]
fn a_proof_without_a_certificate_is_refused() {
    let refused = outcome(|mut rogue| {
        // ECDSA with SHA-256, a signature of one byte.
        rogue.handshake(CERTIFICATE_VERIFY, &[4, 3, 0, 1, 0]);
        rogue.finish();
        rogue.wait();
    });
    assert_eq!(refused, Err(ConnectError::Certificate));
}

#[test]
fn a_record_without_content_is_refused() {
    let refused = outcome(|mut rogue| {
        rogue.nothing();
        rogue.wait();
    });
    assert_eq!(refused, Err(ConnectError::Tls));
}

#[test]
fn a_shared_key_needs_no_certificate() {
    let work = |mut rogue: Rogue| {
        rogue.finish();
        rogue.begin_data();
        assert_eq!(rogue.receive(), b"hello");
        rogue.data(b"world");
        rogue.wait();
    };
    let options = TlsOptions::pre_shared_key(NAME, b"thermometer", KEY);
    let mut connector = connector(pipes(Some(KEY), work), options);
    block_on(async {
        let mut link = connector.connect().await.unwrap();
        let (mut reader, mut writer) = link.split();
        write_all(&mut writer, b"hello", 5).await;
        assert_eq!(read_exact(&mut reader, 5).await, b"world");
    });
}

#[test]
fn a_server_with_another_key_or_with_none_is_refused() {
    for key in [Some(&b"another 16 bytes"[..]), None] {
        let options = TlsOptions::pre_shared_key(NAME, b"thermometer", KEY);
        let work = |mut rogue: Rogue| {
            rogue.finish();
            rogue.wait();
        };
        let mut connector = connector(pipes(key, work), options);
        let refused = block_on(async { connector.connect().await.map(drop) });
        assert_eq!(refused, Err(ConnectError::Tls));
    }
}

#[test]
fn records_in_the_clear_after_the_handshake_end_the_link() {
    for kind in [20, 21, 22] {
        let work = move |mut rogue: Rogue| {
            rogue.finish();
            rogue.begin_data();
            rogue.data(b"good");
            let mut finished = vec![FINISHED, 0, 0, 32];
            finished.extend([0; 32]);
            rogue.clear(kind, &finished);
            rogue.wait();
        };
        let options = TlsOptions::pre_shared_key(NAME, b"thermometer", KEY);
        let mut connector = connector(pipes(Some(KEY), work), options);
        block_on(async {
            let mut link = connector.connect().await.unwrap();
            let (mut reader, _) = link.split();
            assert_eq!(read_exact(&mut reader, 4).await, b"good");
            assert!(reader.read(&mut [0; 10]).await.is_err());
        });
    }
}
