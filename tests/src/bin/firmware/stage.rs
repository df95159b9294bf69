//! Broker, emulator and the client on the other side.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_std::{Message, Options, QoS};
use mqtt_tests::certificates::Authority;
use mqtt_tests::device::{Device, soon};
use mqtt_tests::mosquitto::{Listener, Mosquitto, PASSWORD, USER};
use tempfile::TempDir;

use crate::Arguments;
use crate::case::Case;
use crate::emulator::{self, Emulator};
use crate::numbers::{payload, qos};

/// No wait for the firmware is longer.
const LIMIT: Duration = Duration::from_secs(30);

/// A message as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
}

/// What the firmware is told beside scenario, version and seed.
#[derive(Debug)]
pub(crate) struct Boot {
    pub(crate) port: u16,
    pub(crate) authority: PathBuf,
    pub(crate) server_name: &'static str,
    pub(crate) password: &'static str,
    /// Of messages.
    pub(crate) count: u32,
}

/// One run from the side of the host.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) case: &'a Case,
    pub(crate) arguments: &'a Arguments,
    emulator: &'a mut Option<Emulator>,
    folder: TempDir,
}

impl<'a> Stage<'a> {
    /// The emulator is put where the caller can get at it after a panic.
    pub(crate) fn new(
        case: &'a Case,
        arguments: &'a Arguments,
        emulator: &'a mut Option<Emulator>,
    ) -> Self {
        Self {
            case,
            arguments,
            emulator,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// How to boot a firmware that finds this broker by the transport of its image.
    pub(crate) fn boot_for(&self, broker: &Mosquitto) -> Boot {
        Boot {
            port: broker.port(self.case.image.transport.listener()),
            authority: broker.authority_der_file(),
            server_name: "localhost",
            password: PASSWORD,
            count: 100,
        }
    }

    /// An authority in a file, for the firmware to trust.
    pub(crate) fn authority_file(&self, authority: &Authority) -> PathBuf {
        let file = self.folder().join("authority.der");
        fs::write(&file, authority.certificate_der()).expect("written");
        file
    }

    /// A folder for files of this run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the firmware.
    pub(crate) fn boot(&mut self, boot: &Boot) {
        let Self {
            case, arguments, ..
        } = *self;
        let image = &case.image;
        if image.is_rp2040() {
            let bridge = arguments.bridge.as_deref().expect("--bridge");
            let command = emulator::rp2040(image, bridge, boot.port);
            *self.emulator = Some(Emulator::start(command, image));
            return;
        }
        self.boot_with(&[
            format!("scenario={}", case.scenario.argument()),
            format!("version={}", case.version_number()),
            format!("seed={}", arguments.seed),
            format!("port={}", boot.port),
            format!("count={}", boot.count),
            format!("password={}", boot.password),
            format!("ca={}", boot.authority.display()),
            format!("name={}", boot.server_name),
        ]);
    }

    /// Starts the firmware in QEMU with these arguments.
    pub(crate) fn boot_with(&mut self, items: &[String]) {
        let image = &self.case.image;
        let command = emulator::qemu(image, self.arguments.qemu.as_deref(), items);
        *self.emulator = Some(Emulator::start(command, image));
    }

    /// The client on the other side, which hears all that the firmware publishes.
    pub(crate) fn counterpart(&self, broker: &Mosquitto) -> Counterpart {
        let options = Options::new("localhost")
            .port(broker.port(Listener::Plain))
            .version(self.case.version)
            .client_id("host")
            .user_name(USER)
            .password(PASSWORD)
            .clean_session(false)
            .session_expiry_s(3600)
            .rx_buffer(256 * 1024)
            .tx_buffer(256 * 1024)
            .poison_after(0)
            // mosquitto 2.0.11 forgets the Receive Maximum when it restarts.
            .receive_maximum(1000)
            .reconnect(soon())
            .subscribe("fw/up/#", QoS::ExactlyOnce);
        let device = Device::connect(options);
        // The broker knows the subscription before the firmware publishes.
        broker.wait_for_log("fw/up/#");
        Counterpart(device)
    }

    /// Waits for the end of the firmware, which still needs its broker.
    pub(crate) fn firmware_ends(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while !self.firmware_has_ended() {
            assert!(Instant::now() < deadline, "the firmware does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the firmware has ended, so that nothing more will come.
    pub(crate) fn firmware_has_ended(&mut self) -> bool {
        self.emulator.as_mut().is_none_or(Emulator::has_ended)
    }
}

/// The client on the other side.
#[derive(Debug)]
pub(crate) struct Counterpart(pub(crate) Device);

impl Counterpart {
    /// The next message of the firmware. `what` is expected.
    pub(crate) fn hears(&mut self, stage: &mut Stage<'_>, what: &str) -> Arrived {
        let deadline = Instant::now() + LIMIT;
        loop {
            // Looked at before the last wait: what it sent at its end may still be on its way.
            let ended = stage.firmware_has_ended();
            if let Some(arrived) = self.hears_within(Duration::from_millis(300)) {
                return arrived;
            }
            assert!(!ended, "the firmware has ended; expected: {what}");
            assert!(Instant::now() < deadline, "nothing came; expected: {what}");
        }
    }

    /// The next message if there is one in that time.
    pub(crate) fn hears_within(&mut self, time: Duration) -> Option<Arrived> {
        let Device {
            executor, inbox, ..
        } = &mut self.0;
        let message = executor.wait_at_most(time, inbox.next())?;
        let message = message.expect("a running client");
        Some(Arrived {
            topic: message.topic().as_str().to_owned(),
            payload: message.payload().to_owned(),
            qos: message.qos(),
        })
    }

    /// The next message, which is on this topic. The answer is its payload.
    pub(crate) fn hears_on(&mut self, stage: &mut Stage<'_>, topic: &str) -> Vec<u8> {
        let arrived = self.hears(stage, topic);
        assert_eq!(arrived.topic, topic, "{:?}", arrived.payload);
        arrived.payload
    }

    /// Publishes a message. There is always room; the acknowledgement may lie behind messages of the firmware, so
    /// it is not waited for.
    pub(crate) fn says(&self, topic: &str, payload: &[u8], qos: QoS) {
        let _unwatched = self.0.publish(&Message::new(topic, payload).qos(qos));
    }

    /// The same with the numbered message.
    pub(crate) fn says_number(&self, number: u32) {
        self.says("fw/down/number", &payload(number), qos(number));
    }
}
