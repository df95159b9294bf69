//! How a program runs and ends: asked to by Ctrl-C or `kill`, or with one line that says what went wrong.

use std::io::ErrorKind;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs a program on tokio to its exit status, see [`exit_code`].
pub fn run(program: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code(Err(error.into())),
    };
    let result = runtime.block_on(Box::pin(program));
    // Dropping the runtime would wait for a read of standard input that may never return.
    runtime.shutdown_background();
    exit_code(result)
}

/// The exit status for the result of a program: 0, or 1 after one line on standard error.
///
/// That the reader of our output has gone away (`subscribe … | head`) is no failure.
#[must_use]
pub fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Err(error) if !is_broken_pipe(&error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// The error and its causes. Some errors already tell their cause; it is not told twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Ctrl-C and SIGTERM, caught from the moment this is made.
#[derive(Debug)]
pub struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    /// Starts to catch both signals instead of dying by them.
    ///
    /// # Errors
    ///
    /// When the system refuses a signal handler.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them. May be dropped at any time, no signal is lost by it.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("connection refused").context("cannot connect: connection refused");
        assert_eq!(one_line(&error), "cannot connect: connection refused");
        let error = anyhow!("no such file").context("cannot read ca.pem");
        assert_eq!(one_line(&error), "cannot read ca.pem: no such file");
    }

    #[test]
    fn closed_output_is_no_failure() {
        let closed: Result<(), _> = Err(std::io::Error::from(ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&closed.context("cannot print").unwrap_err()));
        assert!(!is_broken_pipe(&anyhow!("broken pipe")));
    }
}
