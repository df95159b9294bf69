//! One client on the public API of `mqtt-std`, driven by lines: commands on stdin, events on stdout.
//!
//! `probe --host 127.0.0.1 --port N` reads one JSON command per line and writes one JSON event per
//! line, so that a scripted peer in any language can judge the client. It ends with status 0 on
//! `quit` and at the end of the input.

mod authentication;
mod command;
mod event;
mod exchanges;
mod messages;
mod options;
mod properties;
mod reporter;
mod session;

use std::env;
use std::io::stdin;
use std::process::ExitCode;
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;

use command::Command;
use event::usage;
use session::Session;

fn main() -> ExitCode {
    let Some((host, port)) = address(env::args().skip(1)) else {
        eprintln!("usage: probe --host HOST --port PORT");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let obeying = obey(lines(), Session::new(host, port));
            LocalSet::new().block_on(&runtime, obeying);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn address(mut arguments: impl Iterator<Item = String>) -> Option<(String, u16)> {
    let (mut host, mut port) = (None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--host" => host = arguments.next(),
            "--port" => port = arguments.next()?.parse().ok(),
            _ => return None,
        }
    }
    Some((host?, port?))
}

async fn obey(mut lines: UnboundedReceiver<Vec<u8>>, mut session: Session) {
    while let Some(line) = lines.recv().await {
        match serde_json::from_slice(&line) {
            Ok(Command::Quit) => break,
            Ok(command) => session.obey(command).await,
            Err(error) => usage(&error),
        }
    }
}

/// Reads stdin on a thread of its own: a read there cannot be given up.
fn lines() -> UnboundedReceiver<Vec<u8>> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        let mut lines = stdin().lock();
        let mut line = Vec::new();
        while std::io::BufRead::read_until(&mut lines, b'\n', &mut line).is_ok_and(|len| len > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    receiver
}
