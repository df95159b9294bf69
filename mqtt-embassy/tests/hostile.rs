//! Servers that mean harm, against the whole client: none keeps it for ever, none hears MQTT before it is verified, and what
//! it sends passes through buffers that do not grow.
#![cfg(any(feature = "tls", feature = "websocket"))]
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::{
    io::{Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use mqtt_embassy::{
    ConnectError, Inbox, LinkEnd, Options, Reconnect, Storage, mqtt_core::client::Connect,
};
use support::{
    block_on,
    pipe::{Pipes, Server},
    random,
};

/// What only CONNECT holds, besides the name of the protocol.
const USER_NAME: &str = "user-of-the-test";

/// For one link. In seconds and milliseconds that a test has time for.
fn options() -> Options<'static> {
    let mut options = Options::new("device");
    options.user_name = Some(USER_NAME);
    options.reconnect = Reconnect::never();
    options.connect_timeout_ms = 400;
    options.keep_alive_s = 1;
    options.ping_timeout_ms = 300;
    options.ack_timeout_ms = 300;
    options
}

/// How the one link of a client ends.
fn end_of(connector: &mut impl Connect) -> LinkEnd {
    end_beside(connector, async |_| std::future::pending().await)
}

/// The same, while `work` is done with the inbox.
fn end_beside(connector: &mut impl Connect, work: impl AsyncFnOnce(&mut Inbox)) -> LinkEnd {
    let storage = Box::leak(Box::new(Storage::<256, 512>::new()));
    let options = options();
    let (_client, mut inbox, mut runner) = mqtt_embassy::new(storage, &options).unwrap();
    block_on(async {
        let work = async {
            work(&mut inbox).await;
            std::future::pending::<()>().await;
        };
        match embassy_futures::select::select(runner.run(connector, &options), work).await {
            embassy_futures::select::Either::First(end) => end,
            embassy_futures::select::Either::Second(()) => unreachable!("it is pending"),
        }
    })
}

/// All that servers have read.
type Heard = Arc<Mutex<Vec<u8>>>;

/// The end of a server, overheard.
struct Tap {
    server: Server,
    heard: Heard,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.server.read(buffer)?;
        self.heard.lock().unwrap().extend(&buffer[..len]);
        Ok(len)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.server.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Links to a server that does `work` with each in a thread, and what it hears.
fn pipes(work: impl Fn(Tap) + Clone + Send + 'static) -> (Pipes<impl FnMut(Server)>, Heard) {
    let heard = Heard::default();
    let shared = heard.clone();
    let pipes = Pipes::new(500, move |server| {
        let (work, heard) = (work.clone(), shared.clone());
        thread::spawn(move || work(Tap { server, heard }));
    });
    (pipes, heard)
}

fn has_mqtt(bytes: &[u8]) -> bool {
    [b"MQTT", USER_NAME.as_bytes()]
        .iter()
        .any(|text| bytes.windows(text.len()).any(|part| part == *text))
}

/// One byte every 20 ms, until the client is gone.
fn drips(tap: &mut Tap, bytes: impl Iterator<Item = u8>) {
    for byte in bytes {
        thread::sleep(Duration::from_millis(20));
        if tap.write_all(&[byte]).is_err() {
            return;
        }
    }
}

/// Sends the same again and again, until the client is gone.
fn floods(tap: &mut Tap, bytes: &[u8]) {
    while tap.write_all(bytes).is_ok() {}
}

#[track_caller]
fn is_given_up_in_time(connector: &mut impl Connect) {
    let start = Instant::now();
    assert_eq!(end_of(connector), LinkEnd::Connect(ConnectError::TimedOut));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[cfg(feature = "tls")]
mod tls {
    use mqtt_embassy::{
        TlsConnector, TlsOptions,
        tls::{CertificateFault, Clock, NoClock},
    };
    use rand_core::CryptoRngCore;
    use rustls::{
        ServerConfig, ServerConnection, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        version::{TLS12, TLS13},
    };
    use support::{
        certificates::{AFTER, Authority, BEFORE, Identity},
        leak,
    };

    use super::*;

    const NAME: &str = "broker.test";

    fn connector<F: FnMut(Server), C: Clock>(
        pipes: Pipes<F>,
        authority: &Authority,
    ) -> TlsConnector<'_, Pipes<F>, impl CryptoRngCore + use<F, C>, C> {
        let options = TlsOptions::new(NAME, authority.der());
        TlsConnector::new(pipes, options, random(), leak(16_640), leak(2_048)).with_clock::<C>()
    }

    fn config(identity: Identity, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth();
        let chain = identity.chain.into_iter().map(CertificateDer::from);
        let key = PrivateKeyDer::try_from(identity.key).unwrap();
        Arc::new(builder.with_single_cert(chain.collect(), key).unwrap())
    }

    struct Late;

    impl Clock for Late {
        fn unix_time_s() -> Option<u64> {
            Some(AFTER)
        }
    }

    struct Early;

    impl Clock for Early {
        fn unix_time_s() -> Option<u64> {
            Some(BEFORE)
        }
    }

    /// How a client that trusts `authority` ends with such a server, which hears no MQTT.
    fn refusal<C: Clock>(
        authority: &Authority,
        config: Arc<ServerConfig>,
    ) -> (LinkEnd, Option<CertificateFault>) {
        let plain = Heard::default();
        let decrypted = plain.clone();
        let (pipes, heard) = pipes(move |mut tap| {
            let mut session = ServerConnection::new(config.clone()).unwrap();
            let mut bytes = Vec::new();
            let _ = rustls::Stream::new(&mut session, &mut tap).read_to_end(&mut bytes);
            decrypted.lock().unwrap().extend(bytes);
        });
        let mut connector = connector::<_, C>(pipes, authority);
        let end = end_of(&mut connector);
        assert!(!has_mqtt(&heard.lock().unwrap()), "in the clear");
        assert_eq!(
            *plain.lock().unwrap(),
            b"",
            "sent to a server that is not verified"
        );
        (end, connector.certificate_fault())
    }

    #[test]
    fn a_server_whose_certificate_is_not_good_is_named_and_hears_no_mqtt() {
        let ours = Authority::new();
        let refused = |identity, fault| {
            let (end, found) = refusal::<NoClock>(&ours, config(identity, &TLS13));
            assert_eq!(end, LinkEnd::Connect(ConnectError::Certificate));
            assert_eq!(found, Some(fault));
        };
        refused(
            Authority::new().issue(NAME),
            CertificateFault::UnknownAuthority,
        );
        refused(
            Authority::signed_by_itself(NAME),
            CertificateFault::UnknownAuthority,
        );
        refused(
            ours.impostor().issue(NAME),
            CertificateFault::NotAnAuthority,
        );
        refused(ours.issue("other.test"), CertificateFault::WrongName);
        let out_of_date = (
            LinkEnd::Connect(ConnectError::Certificate),
            Some(CertificateFault::OutOfDate),
        );
        let dated = || config(ours.issue(NAME), &TLS13);
        assert_eq!(refusal::<Late>(&ours, dated()), out_of_date);
        assert_eq!(refusal::<Early>(&ours, dated()), out_of_date);
    }

    #[test]
    fn a_server_that_offers_less_than_tls_1_3_hears_no_mqtt() {
        let ours = Authority::new();
        let (end, fault) = refusal::<NoClock>(&ours, config(ours.issue(NAME), &TLS12));
        assert_eq!(end, LinkEnd::Connect(ConnectError::Tls));
        assert_eq!(fault, None);
        // ServerHello of TLS 1.1, an alert of TLS 1.0, no TLS at all.
        let hello = [
            &[0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..],
            &[7; 32],
            &[0, 0, 0x2f, 0],
        ];
        for answer in [
            hello.concat(),
            b"\x15\x03\x01\0\x02\x02\x46".to_vec(),
            b"220 hello\r\n".to_vec(),
        ] {
            let (pipes, heard) = pipes(move |mut tap| {
                let _ = tap.read(&mut [0; 1_000]);
                let _ = tap.write_all(&answer);
            });
            let end = end_of(&mut connector::<_, NoClock>(pipes, &ours));
            assert_eq!(end, LinkEnd::Connect(ConnectError::Tls));
            assert!(!has_mqtt(&heard.lock().unwrap()));
        }
    }

    #[test]
    fn a_handshake_that_drips_in_is_given_up_at_the_time_out() {
        let ours = Authority::new();
        // A record of 16 KiB of which a ServerHello begins.
        let head = [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3];
        let (pipes, _) = pipes(move |mut tap| {
            drips(&mut tap, head.into_iter().chain(std::iter::repeat(0)));
        });
        is_given_up_in_time(&mut connector::<_, NoClock>(pipes, &ours));
    }

    #[test]
    fn a_handshake_without_an_end_is_given_up() {
        let ours = Authority::new();
        let record = |kind: u8, body: &[u8]| {
            let len = u16::try_from(body.len()).unwrap().to_be_bytes();
            [&[kind, 3, 3][..], &len, body].concat()
        };
        // Change cipher spec, which is ignored; warnings; parts of a handshake message of 16 MiB.
        for endless in [
            record(0x14, &[1]),
            record(0x15, &[1, 0]),
            record(0x16, &[&[2, 0xff, 0xff, 0xff][..], &[0; 1_000]].concat()),
        ] {
            let (pipes, _) = pipes(move |mut tap| floods(&mut tap, &endless));
            let end = end_of(&mut connector::<_, NoClock>(pipes, &ours));
            assert!(
                matches!(
                    end,
                    LinkEnd::Connect(ConnectError::Tls | ConnectError::TimedOut)
                ),
                "{end:?}"
            );
        }
    }
}

#[cfg(feature = "websocket")]
mod websocket {
    use mqtt_embassy::{SessionError, WsConnector};
    use tungstenite::handshake::derive_accept_key;

    use super::*;

    fn connector<F: FnMut(Server)>(
        pipes: Pipes<F>,
    ) -> WsConnector<'static, Pipes<F>, impl rand_core::RngCore + use<F>> {
        WsConnector::new(pipes, "broker.test", "/mqtt", random())
    }

    /// Grants the WebSocket, and accepts the client.
    fn accepts(tap: &mut Tap) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tap.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        let (_, rest) = request.split_once("Sec-WebSocket-Key: ").unwrap();
        let (key, _) = rest.split_once("\r\n").unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        tap.write_all(answer.as_bytes()).unwrap();
        tap.write_all(b"\x82\x04\x20\x02\0\0").unwrap();
    }

    /// How a client ends with a server that floods it, and within which time.
    fn end_of_flood(bytes: Vec<u8>) -> LinkEnd {
        let (pipes, _) = pipes(move |mut tap| {
            accepts(&mut tap);
            floods(&mut tap, &bytes);
        });
        let start = Instant::now();
        let end = end_of(&mut connector(pipes));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        end
    }

    #[test]
    fn a_broker_that_pings_and_never_reads_does_not_keep_the_client_for_ever() {
        // The answer to a ping is under way for ever, and the ping of MQTT waits behind it.
        let ping = [&[0x89, 125][..], &[0; 125]].concat();
        assert_eq!(
            end_of_flood(ping),
            LinkEnd::Session(SessionError::WriteTimeout)
        );
    }

    #[test]
    fn frames_without_content_do_not_hide_that_no_ping_is_answered() {
        // Binary, empty, more follows; then the same as continuation, and pongs between.
        let (pipes, _) = pipes(move |mut tap| {
            accepts(&mut tap);
            let _ = tap.write_all(&[0x02, 0]);
            floods(&mut tap, &[0x00, 0, 0x8a, 0]);
        });
        let end = end_of(&mut connector(pipes));
        assert_eq!(end, LinkEnd::Session(SessionError::PingTimeout));
    }

    #[test]
    fn a_message_as_long_as_can_be_passes_through_frames_as_long_as_can_be() {
        // A PUBLISH of 268,435,455 bytes in a frame of 2^63 - 1, of which some megabytes come.
        let header = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff\x30\xff\xff\xff\x7f\0\x03big";
        let (pipes, _) = pipes(move |mut tap| {
            accepts(&mut tap);
            let _ = tap.write_all(header);
            floods(&mut tap, &[0; 500]);
        });
        let mut total = 0;
        let end = end_beside(&mut connector(pipes), async |inbox| {
            total = inbox.next().await.unwrap().total_len();
            assert!(inbox.next().await.is_err());
        });
        assert_eq!(total, 268_435_450);
        assert_eq!(end, LinkEnd::Session(SessionError::PingTimeout));
    }

    #[test]
    fn an_upgrade_that_drips_in_is_given_up_at_the_time_out() {
        let (pipes, heard) = pipes(|mut tap| {
            let head = b"HTTP/1.1 101 Switching\r\nX: ";
            drips(
                &mut tap,
                head.iter().copied().chain(std::iter::repeat(b'x')),
            );
        });
        is_given_up_in_time(&mut connector(pipes));
        assert!(!has_mqtt(&heard.lock().unwrap()));
    }
}
