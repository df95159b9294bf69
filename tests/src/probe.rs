//! Drives the `probe` program: commands in, events out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::peer::LIMIT;

/// A running probe; it is killed when dropped.
#[derive(Debug)]
pub struct Probe {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Value>,
}

impl Probe {
    /// Starts the program (`env!("CARGO_BIN_EXE_probe")`), which will connect to that port.
    #[must_use]
    pub fn start(program: &str, port: u16) -> Self {
        let mut child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the probe starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, events) = channel();
        thread::spawn(move || forward(BufReader::new(stdout), &sender));
        Self {
            stdin: child.stdin.take(),
            child,
            events,
        }
    }

    /// Sends one command.
    pub fn command(&mut self, command: &Value) {
        self.line(&command.to_string());
    }

    /// Sends one line, whatever it is.
    pub fn line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open pipe");
        // A probe that has ended is found out by the event that does not come.
        let _ = writeln!(stdin, "{line}");
    }

    /// The next event.
    #[must_use]
    pub fn event(&mut self) -> Value {
        self.event_within(LIMIT).expect("an event")
    }

    /// The next event if there is one in that time.
    #[must_use]
    pub fn event_within(&mut self, limit: Duration) -> Option<Value> {
        match self.events.recv_timeout(limit) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the probe has ended"),
        }
    }

    /// Takes the next event, which must have that name.
    pub fn expects(&mut self, name: &str) -> Value {
        let event = self.event();
        assert_eq!(event["event"], name, "{event}");
        event
    }

    /// Ends the input and waits for the end of the program.
    #[must_use]
    pub fn ends(mut self) -> ExitStatus {
        drop(self.stdin.take());
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a state") {
                return status;
            }
            assert!(Instant::now() < deadline, "the probe does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(lines: impl BufRead, events: &Sender<Value>) {
    for line in lines.lines().map_while(Result::ok) {
        let event = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error} in the event {line}"));
        if events.send(event).is_err() {
            break;
        }
    }
}
