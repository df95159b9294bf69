//! Nothing that is printed or logged holds a secret.
#![cfg(any(feature = "tls", feature = "websocket"))]
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::{fmt::Debug, io::Read, thread};

use mqtt_embassy::{Options, Reconnect, Storage, mqtt_core::client::Connect};
use support::{
    block_on,
    pipe::{Pipes, Server},
    random,
};

/// A part of every secret here.
const SECRET: &str = "sesame";

#[track_caller]
fn hides(text: &str) {
    let bytes: Vec<_> = SECRET.bytes().map(|byte| byte.to_string()).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for form in [SECRET.to_owned(), bytes.join(", ")] {
        assert!(!text.contains(&form), "{form:?} in {text}");
    }
}

#[track_caller]
fn debug_hides(value: &impl Debug) {
    hides(&format!("{value:?} {value:#?}"));
}

/// What was logged by the crate `log`, at any level.
#[cfg(feature = "log")]
mod lines {
    use std::sync::Mutex;

    static LINES: Mutex<String> = Mutex::new(String::new());

    struct Lines;

    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            use std::fmt::Write;
            let mut lines = LINES.lock().unwrap();
            writeln!(lines, "{}: {}", record.target(), record.args()).unwrap();
        }

        fn flush(&self) {}
    }

    pub(super) fn begin() {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    }

    pub(super) fn take() -> String {
        std::mem::take(&mut LINES.lock().unwrap())
    }
}

/// Tries one connection with all credentials, and gives the handles to be looked at.
fn run(connector: &mut impl Connect) {
    let storage = Box::leak(Box::new(Storage::<256, 512>::new()));
    debug_hides(storage);
    let mut options = Options::new("device").credentials("sesame user", b"sesame password");
    options.reconnect = Reconnect::never();
    options.connect_timeout_ms = 500;
    options.connack_timeout_ms = 500;
    let (client, inbox, mut runner) = mqtt_embassy::new(storage, &options).unwrap();
    let end = block_on(runner.run(connector, &options));
    debug_hides(&(&options, &client, &inbox, &runner, end));
    hides(&end.to_string());
}

/// Links to a server that says `answer` when it has heard something.
fn pipes(answer: &'static [u8]) -> Pipes<impl FnMut(Server)> {
    Pipes::new(2_000, move |mut server: Server| {
        thread::spawn(move || {
            let _ = server.read(&mut [0; 1_000]);
            let _ = std::io::Write::write_all(&mut server, answer);
        });
    })
}

/// One test, since there is one logger.
#[test]
fn connectors_and_what_they_log_show_no_secret() {
    #[cfg(feature = "log")]
    {
        lines::begin();
        log::debug!("my {SECRET}");
        assert!(lines::take().contains(SECRET), "it would be found");
    }
    #[cfg(feature = "tls")]
    tls();
    #[cfg(feature = "websocket")]
    websocket();
    #[cfg(feature = "log")]
    {
        let lines = lines::take();
        hides(&lines);
        assert!(lines.contains("link: connecting"), "{lines}");
    }
}

#[cfg(feature = "tls")]
fn tls() {
    use mqtt_embassy::{TlsConnector, TlsOptions};
    use support::leak;

    let authority = support::certificates::Authority::new();
    let key = b"sesame sesame 16";
    for options in [
        TlsOptions::pre_shared_key("broker.test", b"sesame identity", key),
        TlsOptions::new("broker.test", authority.der())
            .with_client_certificate(b"certificate", b"sesame key"),
        TlsOptions::dangerous_without_verification("broker.test"),
    ] {
        debug_hides(&options);
        for answer in [
            &b"HTTP/1.1 400 sesame\r\n\r\n"[..],
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"",
        ] {
            let (read, write) = (leak(4_096), leak(1_024));
            let mut connector =
                TlsConnector::new(Shown(pipes(answer)), options, random(), read, write);
            debug_hides(&connector);
            run(&mut connector);
        }
    }
}

#[cfg(feature = "websocket")]
fn websocket() {
    use mqtt_embassy::WsConnector;

    let headers = [("Authorization", "Bearer sesame")];
    for answer in [
        &b"HTTP/1.1 401 Unauthorized\r\nX: sesame\r\n\r\n"[..],
        b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: sesame\r\n\r\n",
        b"sesame\n\n",
        b"",
    ] {
        let path = "/mqtt?token=sesame";
        let connector = WsConnector::new(Shown(pipes(answer)), "broker.test", path, random());
        let mut connector = connector.with_headers(&headers);
        debug_hides(&connector);
        assert!(format!("{connector:?}").contains("\"/mqtt\""));
        run(&mut connector);
    }
    let bad = [("Bad\nname", "sesame")];
    let connector = WsConnector::new(Shown(pipes(b"")), "broker.test", "/sesame path", random());
    run(&mut connector.with_headers(&bad));
}

/// With a `Debug`, as a transport of the user's has.
struct Shown<T>(T);

impl<T> Debug for Shown<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl<F: FnMut(Server)> mqtt_embassy::Transport for Shown<Pipes<F>> {
    type Stream<'a>
        = support::pipe::Client<'a>
    where
        Self: 'a;

    async fn open(&mut self) -> Result<Self::Stream<'_>, mqtt_embassy::ConnectError> {
        self.0.open().await
    }
}

impl<F: FnMut(Server)> Connect for Shown<Pipes<F>> {
    type Link<'a>
        = support::pipe::Client<'a>
    where
        Self: 'a;

    async fn connect(&mut self) -> Result<Self::Link<'_>, mqtt_embassy::ConnectError> {
        self.0.connect().await
    }
}
