//! Nothing that mqtt-std prints, logs or returns as an error holds a secret: whole connections, those that fail first of all,
//! with every credential there is, under a logger that writes everything down.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mqtt_core::codec::{EncodeError, Writer};
use mqtt_core::session::Authentication;
use mqtt_std::{Message, Options, QoS, Version, blocking};
use mqtt_tests::device::Device;
use mqtt_tests::raw::{CONNACK, Raw, frame, listener};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A part of every secret here.
const SECRET: &str = "sesame";

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything at every level, but for the frames that tungstenite shows at the level of traces: SECURITY.md tells how to
/// leave these out.
fn write_all_down() {
    let targets = Targets::new()
        .with_default(LevelFilter::TRACE)
        .with_target("tungstenite", LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(|| Log);
    tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .init();
}

#[track_caller]
fn hides(what: &str, text: &str) {
    let list = |form: fn(&u8) -> String, separator| {
        let bytes: Vec<_> = SECRET.as_bytes().iter().map(form).collect();
        bytes.join(separator)
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for form in [
        SECRET.to_owned(),
        list(|byte| format!("{byte}"), ", "),
        list(|byte| format!("{byte:02x}"), ""),
        list(|byte| format!("{byte:02x}"), " "),
        // In Base64, as in a header: at each of the three places where it can begin.
        "c2VzYW1l".to_owned(),
        "Nlc2FtZ".to_owned(),
        "zZXNhbW".to_owned(),
    ] {
        assert!(!text.contains(&form), "{what}: {form:?} in {text}");
    }
}

#[track_caller]
fn debug_hides(what: &str, value: &impl Debug) {
    hides(what, &format!("{value:?} {value:#?}"));
}

/// Says its secret at every occasion.
struct Method;

impl Authentication for Method {
    fn method(&self) -> &'static str {
        "method"
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"sesame data")
    }

    fn respond(&self, _: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"sesame answer")
    }
}

fn with_secrets(options: Options) -> Options {
    options
        .user_name("sesame user")
        .password(*b"sesame password")
        .will("will/topic", *b"sesame will", QoS::AtLeastOnce, false)
        .user_property("name", "sesame property")
        .connect_timeout(Duration::from_millis(500))
        .connack_timeout(Duration::from_millis(500))
}

/// One way in which a connection goes.
struct Case {
    name: &'static str,
    set: fn(Options) -> Options,
    /// What the server does.
    serve: fn(&mut Raw),
}

const CASES: [Case; 9] = [
    Case {
        name: "accepted, and lost",
        set: |options| options,
        serve: |raw| {
            raw.reads();
            raw.sends(&CONNACK);
            raw.sends(&[0xff; 4]);
        },
    },
    Case {
        name: "refused",
        set: |options| options,
        serve: |raw| {
            raw.reads();
            raw.sends(&[0x20, 2, 0, 4]);
        },
    },
    Case {
        name: "no answer",
        set: |options| options,
        serve: |raw| {
            raw.reads();
            while !raw.is_closed() {}
        },
    },
    Case {
        name: "extended authentication, and a broker that sends everything back",
        set: |options| options.version(Version::V5).authentication(Method),
        serve: |raw| {
            let connect = raw.reads();
            // AUTH: continue, with method and data.
            let mut properties = b"\x15\x00\x06method\x16\x00\x0csesame askes".to_vec();
            let len = u8::try_from(properties.len()).expect("short");
            properties.splice(0..0, [0xf0, len + 2, 0x18, len]);
            raw.sends(&properties);
            raw.reads();
            raw.sends(&connect);
        },
    },
    Case {
        name: "a port without TLS",
        set: |options| options.tls().ca_pem(authority()),
        serve: |raw| {
            raw.reads();
            raw.sends(b"HTTP/1.1 400 Bad Request: sesame\r\n\r\n");
        },
    },
    Case {
        name: "a client certificate, and an alert",
        set: |options| {
            let identity = mqtt_tests::certificates::Authority::new().client("device");
            let options = options.tls().ca_pem(authority());
            options.client_certificate_pem(identity.certificate, identity.key)
        },
        serve: |raw| {
            raw.reads();
            raw.sends(&[0x15, 3, 3, 0, 2, 2, 48]);
        },
    },
    Case {
        name: "a refused WebSocket",
        set: web_socket,
        serve: |raw| {
            raw.reads();
            raw.sends(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        },
    },
    Case {
        name: "a WebSocket that answers nonsense",
        set: web_socket,
        serve: |raw| {
            let request = raw.reads();
            raw.sends(&request);
        },
    },
    Case {
        name: "a WebSocket",
        set: web_socket,
        serve: |raw| {
            raw.upgrades();
            raw.reads();
            raw.sends(&frame(0x82, &CONNACK));
            raw.sends(&frame(0x81, b"text"));
        },
    },
];

fn web_socket(options: Options) -> Options {
    options
        .websocket()
        .path("/mqtt?token=sesame")
        .header("Authorization", "Basic c2VzYW1lOnNlc2FtZQ==")
}

fn authority() -> String {
    mqtt_tests::certificates::Authority::new().certificate()
}

/// Lets a client and a server go the way of the case, and looks at all that can be printed.
fn run(case: &Case) {
    let (listener, options) = listener();
    let options = with_secrets((case.set)(options));
    debug_hides(case.name, &options);
    {
        let server = serve(&listener, case.serve);
        let mut device = Device::start(options.clone());
        let sent = device
            .client
            .try_publish(&Message::new("topic", b"payload"));
        debug_hides(case.name, &sent);
        let error = device.ends().expect_err("an end");
        debug_hides(case.name, &error);
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            write!(text, " {error} {error:?}").expect("memory");
            source = error.source();
        }
        hides(case.name, &text);
        debug_hides(case.name, &device);
        server.join().expect("no panic");
    }
    let server = serve(&listener, case.serve);
    let error = match blocking::connect(options) {
        Ok((client, mut inbox)) => {
            assert!(inbox.next().is_err(), "no message was sent");
            debug_hides(case.name, &(&client, &inbox));
            client.disconnect().expect_err("the link was lost")
        }
        Err(error) => error,
    };
    hides(case.name, &format!("{error} {error:?}"));
    server.join().expect("no panic");
}

fn serve(listener: &TcpListener, script: fn(&mut Raw)) -> thread::JoinHandle<()> {
    let listener = listener.try_clone().expect("another handle");
    thread::spawn(move || script(&mut Raw::accept(&listener)))
}

#[test]
fn whole_connections_show_no_secret_however_they_go() {
    write_all_down();
    log::trace!("my {SECRET}");
    tracing::trace!("my {SECRET}");
    let control = String::from_utf8(std::mem::take(&mut *log())).expect("text");
    assert_eq!(control.matches(SECRET).count(), 2, "it would be found");
    for case in &CASES {
        run(case);
        let lines = String::from_utf8(std::mem::take(&mut *log())).expect("text");
        assert!(lines.contains("connecting"), "{}: {lines}", case.name);
        hides(case.name, &lines);
    }
}

#[test]
fn options_that_cannot_be_used_show_no_secret() {
    for url in [
        "sesame",
        "sesame:sesame@host",
        "http://sesame:sesame@host",
        "mqtt://sesame:sesame@host:sesame",
        "mqtt://sesame:sesame@host:99999",
        "mqtt://sesame:sesame@",
        "mqtt://sesame:sesame@host/?sesame",
        "mqtt://sesame:sesame@host/#sesame",
        "mqtt://sesame%ff:sesame@host",
        "ws://sesame:sesame@[::sesame]/",
    ] {
        let error = Options::from_url(url).expect_err(url);
        debug_hides(url, &error);
        // A word that stands where the scheme should be was meant as one.
        hides(url, &error.to_string());
    }
    let cases = [
        Options::new("host").password(*b"sesame"),
        Options::new("host").header("Authorization", "sesame"),
        Options::new("host").websocket().header("Bad", "sesame\n"),
        Options::new("host")
            .websocket()
            .header("Bad name", "sesame"),
        Options::new("host").websocket().path("path?sesame"),
        Options::new("host").tls().ca_pem("sesame"),
        Options::new("host")
            .tls()
            .ca_pem(authority())
            .client_certificate_pem("sesame", "sesame"),
        Options::new("host")
            .tls()
            .ca_pem(authority())
            .client_certificate_pem(authority(), "-----BEGIN PRIVATE KEY-----\nsesame\n"),
        Options::new("host").user_name("sesame\0"),
        Options::new("host").user_name("sesame".repeat(20_000)),
        Options::new("host")
            .user_name("u")
            .password("sesame".repeat(20_000)),
        Options::new("host").will("topic", "sesame".repeat(20_000), QoS::AtMostOnce, false),
    ];
    for options in cases {
        debug_hides("options", &options);
        let error = mqtt_std::new(options).expect_err("no client");
        debug_hides("error", &error);
        hides("error", &error.to_string());
    }
}
