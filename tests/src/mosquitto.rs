//! A mosquitto of our own on 127.0.0.1, with one listener per kind of transport.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::ports::{free_ports, is_open};

/// The user whom every listener knows; nobody at all is accepted too.
pub const USER: &str = "device";
/// The password of [`USER`]. No space: firmware in QEMU gets it on a command line.
pub const PASSWORD: &str = "correct-horse";

const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// One way to reach the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// Plain TCP.
    Plain,
    /// TLS 1.2 or later.
    Tls,
    /// TLS 1.3 only.
    Tls13,
    /// TLS that asks for a certificate of the client.
    ClientCertificate,
    /// WebSocket.
    WebSocket,
    /// WebSocket over TLS.
    SecureWebSocket,
}

impl Listener {
    const ALL: [Self; 6] = [
        Self::Plain,
        Self::Tls,
        Self::Tls13,
        Self::ClientCertificate,
        Self::WebSocket,
        Self::SecureWebSocket,
    ];

    const fn is_tls(self) -> bool {
        !matches!(self, Self::Plain | Self::WebSocket)
    }

    const fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket)
    }
}

/// What differs between the brokers of the tests.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Speak TLS 1.2 at most; the 1.3 listener is then of no use.
    pub tls_1_2_only: bool,
    /// Write sessions and messages to disk at each change, and read them at the start.
    pub persistence: bool,
    /// Lines for the global part of the configuration.
    pub extra: &'static str,
}

/// A running broker; it is killed when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    folder: TempDir,
    authority: Authority,
    ports: [u16; Listener::ALL.len()],
    setup: Setup,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker and waits until it listens.
    #[must_use]
    pub fn start(setup: Setup) -> Self {
        let mut broker = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            authority: Authority::new(),
            ports: [0; _],
            setup,
            child: None,
        };
        broker.write_secrets();
        broker.write_openssl_settings();
        // Another process may take a free port before mosquitto does.
        let started = (0..3).any(|_| {
            broker.ports = free_ports();
            fs::write(broker.path("mosquitto.conf"), broker.configuration()).expect("written");
            broker.spawn()
        });
        assert!(started, "mosquitto does not start:\n{}", broker.log());
        broker
    }

    /// Starts the broker again after [`terminate`](Self::terminate) or [`kill`](Self::kill), on
    /// the same ports.
    pub fn start_again(&mut self) {
        assert!(self.spawn(), "mosquitto does not restart:\n{}", self.log());
    }

    /// Ends the broker in good order (SIGTERM).
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("a running broker");
        let deadline = Instant::now() + STOP_LIMIT;
        while child.try_wait().expect("a state").is_none() {
            assert!(Instant::now() < deadline, "mosquitto does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the broker at once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only for a process that has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the broker in its tracks (SIGSTOP): connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the broker run again (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Replaces key and certificate of the broker by new ones of the same authority, while it runs (SIGHUP).
    pub fn rotate_certificate(&self) {
        self.presents(&self.authority);
    }

    /// Replaces key and certificate of the broker by those of an authority that nobody trusts, while it runs (SIGHUP).
    pub fn forge_certificate(&self) {
        self.presents(&Authority::new());
    }

    /// Replaces key and certificate of the broker by those of another authority, while it runs (SIGHUP).
    pub fn presents(&self, authority: &Authority) {
        self.write_server_certificate(authority);
        self.reload();
    }

    fn reload(&self) {
        let reloads = || self.log().matches("Reloading config.").count();
        let before = reloads();
        self.signal(Signal::HUP);
        let deadline = Instant::now() + START_LIMIT;
        while reloads() == before {
            assert!(Instant::now() < deadline, "mosquitto does not reload");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The port of that listener.
    #[must_use]
    pub const fn port(&self, listener: Listener) -> u16 {
        self.ports[listener as usize]
    }

    /// The certificate of the authority that signed the broker's and the client's.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The same in DER.
    #[must_use]
    pub fn authority_der_file(&self) -> PathBuf {
        self.path("ca.der")
    }

    /// Certificate and key of a client that [`Listener::ClientCertificate`] accepts.
    #[must_use]
    pub fn client_files(&self) -> (PathBuf, PathBuf) {
        (self.path("client.pem"), self.path("client.key"))
    }

    /// What the broker has logged up to now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("mosquitto.log")).unwrap_or_default()
    }

    /// Waits until the broker has logged `text`.
    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn spawn(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("mosquitto.log"))
            .expect("a log file");
        let child = Command::new(program("mosquitto"))
            .arg("-c")
            .arg(self.path("mosquitto.conf"))
            .env("OPENSSL_CONF", self.path("openssl.cnf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("mosquitto starts");
        self.child = Some(child);
        let deadline = Instant::now() + START_LIMIT;
        while !self.listens() {
            let ended = self.child.as_mut().is_none_or(has_ended);
            if ended || Instant::now() >= deadline {
                self.kill();
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn write_secrets(&self) {
        let client = self.authority.client(USER);
        self.write("ca.pem", self.authority.certificate());
        self.write("ca.der", self.authority.certificate_der());
        self.write("client.pem", client.certificate);
        self.write("client.key", client.key);
        self.write_server_certificate(&self.authority);
        let status = Command::new(program("mosquitto_passwd"))
            .args(["-b", "-c"])
            .arg(self.path("passwords"))
            .args([USER, PASSWORD])
            .status()
            .expect("mosquitto_passwd starts");
        assert!(status.success(), "mosquitto_passwd: {status}");
    }

    fn write_server_certificate(&self, authority: &Authority) {
        let server = authority.server();
        self.write("server.pem", server.certificate);
        self.write("server.key", server.key);
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("written");
    }

    fn write_openssl_settings(&self) {
        let maximum = if self.setup.tls_1_2_only {
            "MaxProtocol = TLSv1.2\n"
        } else {
            ""
        };
        let text = format!(
            "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n[limits]\n{maximum}"
        );
        fs::write(self.path("openssl.cnf"), text).expect("written");
    }

    fn listens(&self) -> bool {
        // It opens its listeners in the order of the configuration.
        let last = self.port(Listener::SecureWebSocket);
        is_open(last)
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let mut text = String::from("per_listener_settings true\nlog_dest stderr\nlog_type all\n");
        if rustix::process::geteuid().is_root() {
            // Otherwise it changes user and cannot read the private key.
            text.push_str("user root\n");
        }
        text.push_str("max_queued_messages 0\n");
        if self.setup.persistence {
            let _ = writeln!(text, "persistence true\npersistence_location {folder}/");
            text.push_str("autosave_on_changes true\nautosave_interval 1\n");
        }
        let _ = writeln!(text, "{}", self.setup.extra);
        for listener in Listener::ALL {
            text.push_str(&self.listener_configuration(listener));
        }
        text
    }

    fn listener_configuration(&self, listener: Listener) -> String {
        let folder = self.folder.path().display();
        let mut text = format!(
            "\nlistener {} 127.0.0.1\nallow_anonymous true\npassword_file {folder}/passwords\n",
            self.port(listener),
        );
        if listener.is_websocket() {
            text.push_str("protocol websockets\n");
        }
        if listener.is_tls() {
            let _ = write!(
                text,
                "cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
            );
        }
        match listener {
            Listener::Tls13 => text.push_str("tls_version tlsv1.3\n"),
            Listener::ClientCertificate => text.push_str("require_certificate true\n"),
            _ => {}
        }
        text
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running broker");
        kill_process(Pid::from_child(child), signal).expect("a signal to our own process");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("the end of the log of mosquitto:");
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Debian puts mosquitto where only root looks.
fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed"))
}
