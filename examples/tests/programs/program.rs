//! Runs one of the programs, bounded in time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No test needs nearly as long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: thread::JoinHandle<String>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The lines of standard output that the test has not read before.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts the program at `path`, one of `env!("CARGO_BIN_EXE_…")`.
    pub(crate) fn start(path: &str, arguments: &[&str]) -> Self {
        Self::start_with_input(path, arguments, b"")
    }

    /// As [`Program::start`], with something to read on standard input.
    pub(crate) fn start_with_input(path: &str, arguments: &[&str], input: &[u8]) -> Self {
        let mut program = Self::start_with_keyboard(path, arguments);
        let mut stdin = program.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        program
    }

    /// As [`Program::start`], with a standard input on which [`Program::enter`] types.
    pub(crate) fn start_with_keyboard(path: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        // Ends, and with it closes the pipe, as soon as the test does not listen any more.
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        let mut errors = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        Self {
            child,
            stdin,
            lines,
            stderr,
        }
    }

    /// Reads standard output up to the first line that contains `text`, and returns that line.
    pub(crate) fn line_with(&self, text: &str) -> String {
        self.line_within(PATIENCE, text)
    }

    /// As [`Program::line_with`], with another limit.
    pub(crate) fn line_within(&self, limit: Duration, text: &str) -> String {
        let deadline = Instant::now() + limit;
        let mut seen = Vec::new();
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in time after {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {text:?} after {seen:#?}")
                }
            }
        }
    }

    /// Types a line.
    pub(crate) fn enter(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("started with a keyboard");
        writeln!(stdin, "{line}").unwrap();
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    }

    /// Closes the reading end of standard output.
    pub(crate) fn stop_reading(&mut self) {
        let (_, closed) = channel();
        self.lines = closed;
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let lines = self.lines.iter().collect();
        let stderr = std::mem::replace(&mut self.stderr, thread::spawn(String::new))
            .join()
            .unwrap();
        Ended {
            status,
            lines,
            stderr,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
