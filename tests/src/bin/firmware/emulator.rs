//! QEMU with a firmware in it.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use defmt_decoder::{DecodeError, Table};

use crate::case::Image;

/// The firmware has a limit of its own, which is shorter.
const LIMIT: Duration = Duration::from_secs(150);

/// A running emulator; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Emulator {
    child: Child,
    log: Option<JoinHandle<String>>,
    started: Instant,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status, if there is one.
    pub(crate) status: Option<i32>,
    /// The log of the firmware, a line each.
    pub(crate) log: String,
    pub(crate) took: Duration,
}

impl Emulator {
    /// Boots an image.
    pub(crate) fn start(mut command: Command, image: &Image) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let elf = fs::read(&image.file).expect("an image");
        let mut output = child.stdout.take().expect("a pipe");
        let log = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What has come before an error is the log.
            let _ = output.read_to_end(&mut bytes);
            decode(&elf, &bytes)
        });
        Self {
            child,
            log: Some(log),
            started: Instant::now(),
        }
    }

    /// Whether it runs no longer.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end; for no longer than that, then it is killed and there is no status.
    pub(crate) fn end_within(mut self, patience: Duration) -> Ended {
        let deadline = (Instant::now() + patience).min(self.started + LIMIT);
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.try_wait().ok().flatten();
        let took = self.started.elapsed();
        self.kill();
        let log = self.log.take().map(JoinHandle::join);
        Ended {
            status: status.and_then(|status| status.code()),
            log: log.and_then(Result::ok).unwrap_or_default(),
            took,
        }
    }

    fn kill(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// QEMU for an image, with a network of its own in which 10.0.2.2 is the host's loopback; each argument of the firmware
/// is `name=value`.
pub(crate) fn qemu(image: &Image, folder: Option<&Path>, arguments: &[String]) -> Command {
    let mut command = machine(image, folder);
    let mut semihosting = "enable=on,target=native,arg=firmware".to_owned();
    for argument in arguments {
        // A comma is doubled within a value.
        let _ = write!(semihosting, ",arg={}", argument.replace(',', ",,"));
    }
    command
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", &semihosting])
        .arg("-kernel")
        .arg(&image.file);
    command
}

fn machine(image: &Image, folder: Option<&Path>) -> Command {
    let program = |name: &str| {
        let in_folder = folder.map(|folder| folder.join(name));
        Command::new(in_folder.unwrap_or_else(|| name.into()))
    };
    if image.target.starts_with("thumb") {
        let mut command = program("qemu-system-arm");
        command.args(["-M", "mps2-an385", "-nic", "user,model=lan9118"]);
        return command;
    }
    let mut command = program("qemu-system-riscv32");
    command
        .args(["-M", "virt", "-bios", "none", "-m", "8M"])
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .args(["-netdev", "user,id=net"])
        .args(["-device", "virtio-net-device,netdev=net"]);
    command
}

/// The emulator of the RP2040, its UART joined to a port of the host. It takes the raw bytes that lie beside the image.
pub(crate) fn rp2040(image: &Image, bridge: &Path, port: u16) -> Command {
    let mut command = Command::new("node");
    command
        .arg(bridge)
        .arg(image.file.with_extension("bin"))
        .arg(port.to_string());
    command
}

/// The log in words. What is no defmt frame ends it: the firmware was cut off.
fn decode(elf: &[u8], bytes: &[u8]) -> String {
    let table = match Table::parse(elf) {
        Ok(Some(table)) => table,
        Ok(None) => return "the image has no log strings\n".to_owned(),
        Err(error) => return format!("log strings of the image: {error}\n"),
    };
    let mut decoder = table.new_stream_decoder();
    decoder.received(bytes);
    let mut log = String::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("     ", |level| level.as_str());
                let time = frame.display_timestamp().map(|time| format!("{time} "));
                let time = time.unwrap_or_default();
                let _ = writeln!(log, "{time}{level} {}", frame.display_message());
            }
            Err(DecodeError::UnexpectedEof) => return log,
            Err(DecodeError::Malformed) if table.encoding().can_recover() => {}
            Err(DecodeError::Malformed) => return log + "the rest of the log is damaged\n",
        }
    }
}
