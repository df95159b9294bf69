//! The brokers, each on free ports of 127.0.0.1 and with a folder of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqtt_core::codec::Version;
use mqtt_tests::certificates::Authority;
use mqtt_tests::mosquitto::{Listener, Mosquitto, PASSWORD, Setup, USER};
use mqtt_tests::ports::free_ports;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::Program;

/// How many messages those brokers that can be told so keep for a device that is away.
pub(crate) const QUEUE_LIMIT: usize = 10;

/// A running broker; it is killed when dropped.
pub(crate) trait Broker: Sync {
    /// Where it speaks that version.
    fn port(&self, version: Version) -> u16;

    /// Where it speaks 3.1.1 over TLS.
    fn tls_port(&self) -> u16;

    /// Gives it a certificate of that authority, by what it has for that; it may be killed and started again.
    fn presents(&mut self, authority: &Authority);

    /// Ends it at once (SIGKILL).
    fn kill(&mut self);

    /// Starts it again after [`kill`](Self::kill), on the same ports and with the same files.
    fn start_again(&mut self);

    /// Stops it in its tracks (SIGSTOP): connections stay open, nothing is answered.
    fn pause(&self);

    /// Lets it run again (SIGCONT).
    fn resume(&self);

    /// What it has logged.
    fn log(&self) -> String;

    /// The last lines of its log.
    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// mosquitto, which writes to disk at each change and every second.
pub(crate) fn mosquitto() -> Box<dyn Broker> {
    Box::new(Mosquitto::start(Setup {
        persistence: true,
        ..Setup::default()
    }))
}

/// mosquitto that keeps few messages.
pub(crate) fn bounded_mosquitto() -> Box<dyn Broker> {
    Box::new(Mosquitto::start(Setup {
        extra: "max_queued_messages 10",
        ..Setup::default()
    }))
}

/// RabbitMQ with its MQTT plugin and nothing else. It keeps few messages for clients whose name begins with `bounded`.
pub(crate) fn rabbitmq() -> Box<dyn Broker> {
    Peer::start(Recipe {
        prepare: write_rabbitmq_files,
        // It listens earlier than it knows its users.
        started: "Server startup complete",
        new_certificate: NewCertificate::Noticed,
        ..Recipe::new("RabbitMQ", rabbitmq_command)
    })
}

/// The broker of the `mqtt5` crate, with its files.
pub(crate) fn embedded() -> Box<dyn Broker> {
    Peer::start(Recipe::new("the embedded broker", |peer| {
        embedded_command(peer, 10_000)
    }))
}

/// The broker of the `mqtt5` crate, keeping few messages.
pub(crate) fn bounded_embedded() -> Box<dyn Broker> {
    Peer::start(Recipe::new("the embedded broker", |peer| {
        embedded_command(peer, QUEUE_LIMIT)
    }))
}

/// rumqttd, which has one port for each version.
pub(crate) fn rumqttd() -> Box<dyn Broker> {
    Peer::start(Recipe {
        port_of_5: 1,
        ..Recipe::new("rumqttd", |peer| {
            let mut command = Command::new(installed("debug/rumqttd"));
            command.args(peer.ports[..2].iter().map(u16::to_string));
            command.arg(peer.tls_port().to_string()).arg(peer.folder());
            command
        })
    })
}

/// aedes in node.
pub(crate) fn aedes() -> Box<dyn Broker> {
    Peer::start(Recipe {
        new_certificate: NewCertificate::Signalled,
        ..Recipe::new("aedes", |peer| {
            let mut command = Command::new("node");
            command.arg(installed("aedes/broker.js"));
            command.args([peer.ports[0], peer.tls_port()].map(|port| port.to_string()));
            command.arg(peer.folder());
            command
        })
    })
}

/// A broker that is a program.
struct Peer {
    recipe: Recipe,
    folder: TempDir,
    /// The last one is for TLS. What a broker does not need stays free.
    ports: [u16; 4],
    program: Program,
}

/// How to run it.
struct Recipe {
    name: &'static str,
    /// Writes its files.
    prepare: fn(&Peer),
    /// The program and its arguments, to which a user and a password are added.
    command: fn(&Peer) -> Command,
    /// Which of the ports speaks MQTT 5; the first one speaks 3.1.1.
    port_of_5: usize,
    /// What it prints when it is ready.
    started: &'static str,
    /// How it comes to know another certificate.
    new_certificate: NewCertificate,
}

/// How a broker comes to know that the file of its certificate has changed.
enum NewCertificate {
    /// It is started again.
    Restarted,
    /// By SIGHUP.
    Signalled,
    /// It looks by itself from time to time.
    Noticed,
}

impl Recipe {
    const fn new(name: &'static str, command: fn(&Peer) -> Command) -> Self {
        Self {
            name,
            prepare: |_| (),
            command,
            port_of_5: 0,
            started: "",
            new_certificate: NewCertificate::Restarted,
        }
    }
}

impl Peer {
    fn start(recipe: Recipe) -> Box<dyn Broker> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut peer = Self {
            recipe,
            program: Program::new(folder.path().join("log")),
            folder,
            ports: [0; _],
        };
        // Another process may take a free port before the broker does.
        let started = (0..3).any(|_| {
            peer.program.kill();
            peer.ports = free_ports();
            peer.write_certificate(&Authority::new());
            (peer.recipe.prepare)(&peer);
            peer.spawn()
        });
        assert!(
            started,
            "{} does not start:\n{}",
            peer.recipe.name,
            peer.log_end()
        );
        Box::new(peer)
    }

    fn spawn(&mut self) -> bool {
        let mut command = (self.recipe.command)(self);
        command.args([USER, PASSWORD]);
        let [first, .., tls] = self.ports;
        let ports = [first, self.ports[self.recipe.port_of_5], tls];
        self.program
            .start(&mut command, &ports, self.recipe.started)
    }

    fn write_certificate(&self, authority: &Authority) {
        let server = authority.server();
        for (name, content) in [
            ("server.pem", server.certificate),
            ("server.key", server.key),
        ] {
            fs::write(self.folder().join(name), content).expect("written");
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Broker for Peer {
    fn port(&self, version: Version) -> u16 {
        match version {
            Version::V3_1_1 => self.ports[0],
            Version::V5 => self.ports[self.recipe.port_of_5],
        }
    }

    fn tls_port(&self) -> u16 {
        let [.., tls] = self.ports;
        tls
    }

    fn presents(&mut self, authority: &Authority) {
        self.write_certificate(authority);
        match self.recipe.new_certificate {
            NewCertificate::Restarted => {
                self.kill();
                self.start_again();
            }
            NewCertificate::Signalled => self.program.signal(Signal::HUP),
            NewCertificate::Noticed => {}
        }
    }

    fn kill(&mut self) {
        self.program.kill();
    }

    fn start_again(&mut self) {
        assert!(
            self.spawn(),
            "{} does not restart:\n{}",
            self.recipe.name,
            self.log_end()
        );
    }

    fn pause(&self) {
        self.program.signal(Signal::STOP);
    }

    fn resume(&self) {
        self.program.signal(Signal::CONT);
    }

    fn log(&self) -> String {
        self.program.log()
    }
}

impl Broker for Mosquitto {
    fn port(&self, _: Version) -> u16 {
        Self::port(self, Listener::Plain)
    }

    fn tls_port(&self) -> u16 {
        Self::port(self, Listener::Tls)
    }

    fn presents(&mut self, authority: &Authority) {
        Self::presents(self, authority);
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn start_again(&mut self) {
        Self::start_again(self);
    }

    fn pause(&self) {
        Self::pause(self);
    }

    fn resume(&self) {
        Self::resume(self);
    }

    fn log(&self) -> String {
        Self::log(self)
    }
}

/// What `cargo xtask peers` has put into the build output.
fn installed(path: &str) -> PathBuf {
    // The folder for temporary files of tests lies there.
    let build_output = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let file = build_output.expect("a folder").join("peers").join(path);
    assert!(
        file.is_file(),
        "no {}: install the brokers by `cargo xtask peers`",
        file.display()
    );
    file
}

fn embedded_command(peer: &Peer, queue_limit: usize) -> Command {
    let mut command = Command::new(installed("debug/embedded"));
    command.args([peer.ports[0], peer.tls_port()].map(|port| port.to_string()));
    command.arg(peer.folder()).arg(queue_limit.to_string());
    command
}

fn write_rabbitmq_files(peer: &Peer) {
    let [port, .., tls_port] = peer.ports;
    let definitions = peer.folder().join("definitions.json");
    // All that is printed is its log; no ports but those of MQTT.
    let configuration = format!(
        "listeners.tcp = none\n\
         mqtt.listeners.tcp.1 = 127.0.0.1:{port}\n\
         mqtt.listeners.ssl.1 = 127.0.0.1:{tls_port}\n\
         ssl_options.certfile = {folder}/server.pem\n\
         ssl_options.keyfile = {folder}/server.key\n\
         log.file = false\n\
         log.console = true\n\
         load_definitions = {definitions}\n",
        folder = peer.folder().display(),
        definitions = definitions.display()
    );
    // With definitions of its own, it makes none of the usual ones.
    let definitions = serde_json::json!({
        "vhosts": [{ "name": "/" }],
        "users": [{ "name": USER, "password": PASSWORD, "tags": "" }],
        "permissions": [{
            "user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"
        }],
        "policies": [{
            "name": "bounded",
            "vhost": "/",
            "pattern": "^mqtt-subscription-bounded",
            "apply-to": "queues",
            "definition": { "max-length": QUEUE_LIMIT },
        }],
    });
    for (name, content) in [
        ("rabbitmq.conf", configuration),
        ("definitions.json", definitions.to_string()),
        ("enabled_plugins", "[rabbitmq_mqtt].\n".to_owned()),
    ] {
        fs::write(peer.folder().join(name), content).expect("written");
    }
}

/// Its port mapper is a process beside it, which would stay for ever if RabbitMQ started it. All end with the pipe.
const RABBITMQ: &str = "epmd -port $ERL_EPMD_PORT -address 127.0.0.1 & \
     /usr/lib/rabbitmq/bin/rabbitmq-server & \
     read -r nothing; kill -KILL 0";

fn rabbitmq_command(peer: &Peer) -> Command {
    let [_, mapper, distribution, _] = peer.ports;
    let folder = peer.folder();
    let mut command = Command::new("sh");
    command
        .args(["-c", RABBITMQ])
        .env("HOME", folder)
        .env("ERL_EPMD_PORT", mapper.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("RABBITMQ_NODENAME", format!("peer{mapper}@localhost"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env(
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            folder.join("enabled_plugins"),
        )
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder)
        .env("RABBITMQ_GENERATED_CONFIG_DIR", folder.join("generated"))
        .env("RABBITMQ_SCHEMA_DIR", folder.join("schema"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        // Nobody outside may connect, files of certificates are looked at every second instead of every two minutes, and
        // a scheduler without work sleeps.
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1} -ssl ssl_pem_cache_clean 1000 \
             +sbwt none +sbwtdcpu none +sbwtdio none",
        );
    command
}
