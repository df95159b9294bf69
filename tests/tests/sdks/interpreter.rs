//! An official SDK in an interpreter of its own.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt_tests::recorder::PATIENCE;
use serde_json::{Value, json};

/// Does actions, one after the other, and says what the SDK's callbacks got meanwhile.
#[derive(Debug)]
pub(crate) struct Interpreter {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    delivered: VecDeque<Value>,
    complaints: Option<JoinHandle<String>>,
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "actions are written where they are asked for"
)]
impl Interpreter {
    /// Starts that of a platform; it does nothing yet. After each action it publishes to `barrier`, if there is one.
    pub(crate) fn start(platform: &str, server: SocketAddr, barrier: Option<&str>) -> Self {
        let script = format!("{}.py", platform.replace('-', "_"));
        let mut child = Command::new(python(platform))
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("sdks")
                    .join(script),
            )
            .args([server.ip().to_string(), server.port().to_string()])
            .args(barrier)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut complaints = child.stderr.take().expect("its complaints");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let values = output.lines().map_while(Result::ok);
            let values = values.filter_map(|line| serde_json::from_str(&line).ok());
            // Fails when nobody listens any more.
            let _ = values.map(|value| sender.send(value)).find(Result::is_err);
        });
        Self {
            input: child.stdin.take().expect("its input"),
            lines,
            delivered: VecDeque::new(),
            complaints: Some(thread::spawn(move || {
                let mut text = String::new();
                let _ = complaints.read_to_string(&mut text);
                text
            })),
            child,
        }
    }

    /// Does an action; what it returned.
    pub(crate) fn does(&mut self, action: Value) -> Value {
        self.begins(action);
        self.done()
    }

    /// Begins an action.
    pub(crate) fn begins(&mut self, action: Value) {
        writeln!(self.input, "{action}").expect("the interpreter runs");
    }

    /// Waits for the end of the action; what it returned.
    pub(crate) fn done(&mut self) -> Value {
        loop {
            let line = self.next_line();
            if line.get("done").is_some() {
                return line["result"].clone();
            }
            self.delivered.push_back(line);
        }
    }

    /// What a callback of the SDK got next: the name of the callback, and the value.
    pub(crate) fn next_delivered(&mut self) -> Value {
        let line = self.delivered.pop_front();
        let line = line.unwrap_or_else(|| self.next_line());
        assert!(line.get("delivered").is_some(), "{line} without a callback");
        json!([line["delivered"], line["value"]])
    }

    /// Whether it neither sends nor says anything for a while.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.lines.recv_timeout(Duration::from_millis(300)).is_err()
    }

    /// Whether no callback was called.
    pub(crate) fn has_delivered_nothing(&self) -> bool {
        self.delivered.is_empty()
    }

    fn next_line(&self) -> Value {
        self.lines
            .recv_timeout(PATIENCE)
            .expect("the interpreter says something")
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let complaints = self.complaints.take().map(JoinHandle::join);
        if thread::panicking()
            && let Some(Ok(text)) = complaints
        {
            eprintln!("what the interpreter complained of:\n{text}");
        }
    }
}

fn python(platform: &str) -> PathBuf {
    // The folder for temporary files of tests lies in the build output.
    let build_output = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let folder = build_output.expect("a folder").join("sdks").join(platform);
    let python = folder.join("bin/python");
    assert!(
        folder.join("requirements.txt").is_file(),
        "no {}: install the SDKs by `cargo xtask sdks`",
        python.display()
    );
    python
}
