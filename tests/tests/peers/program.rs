//! A broker that is a program: started, killed, stopped in its tracks.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_tests::ports::is_open;
use rustix::process::{Pid, Signal, kill_process_group};

/// RabbitMQ takes ten seconds when the machine has nothing else to do.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A process and all that it starts, in a group of its own; killed when dropped.
pub(crate) struct Program {
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// Nothing runs yet. What it prints goes into that file.
    pub(crate) const fn new(log: PathBuf) -> Self {
        Self { log, child: None }
    }

    /// Starts it and waits until it listens on these ports and has printed that text; whether it does.
    pub(crate) fn start(&mut self, command: &mut Command, ports: &[u16], text: &str) -> bool {
        let earlier = self.log().len();
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a log file");
        command
            // Programs of ours end when this pipe does.
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .process_group(0);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.child = Some(child);
        let deadline = Instant::now() + START_LIMIT;
        while !ports.iter().all(|port| is_open(*port)) || !self.log()[earlier..].contains(text) {
            let child = self.child.as_mut().expect("it was started");
            if !matches!(child.try_wait(), Ok(None)) || Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Sends a signal to the group, if it is there.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // Fails only for a group that has ended.
            let _ = kill_process_group(Pid::from_child(child), signal);
        }
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
