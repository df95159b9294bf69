//! Publishes the lines of standard input through a file: what was taken in arrives, whatever happens to the link, to this
//! program or to the machine.
//!
//! Start it without a broker, type some lines, kill it; then start a broker, and it again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use examples::arguments::Connection;
use examples::ending::{self, Interrupt};
use examples::link;
use mqtt_std::{Interval, Loss, Message, Outbox, OutboxFile};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

/// Publishes each line of standard input, at least once.
#[derive(Debug, Parser)]
#[command(name = "durable", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Topic to publish on
    #[arg(short, long)]
    topic: String,
    /// File that keeps the messages until the broker has them
    #[arg(short, long, value_name = "FILE")]
    outbox: PathBuf,
    /// Milliseconds between two messages
    #[arg(long, value_name = "MS", default_value = "0")]
    pause: u32,
}

/// Bytes of messages that are kept at most; then reading waits.
const CAPACITY: u64 = 1 << 20;

/// Bytes of the longest topic and line together, and some for the rest.
const RECORD_LEN: usize = 16 << 10;

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    let path = &arguments.outbox;
    let store = OutboxFile::open(path, CAPACITY)
        .with_context(|| format!("cannot open {}", path.display()))?;
    if !store.is_empty() {
        eprintln!("{} messages from before", store.len());
    }
    let (client, _inbox, mut runner) = mqtt_std::new(arguments.connection.options()?)?;
    let outbox = mqtt_std::outbox(&client, store, RECORD_LEN);
    let running = tokio::spawn(async move { runner.run().await });
    let done = tokio::select! {
        done = deliver(&outbox, &arguments) => done,
        never = link::tell(&client) => match never {},
        () = interrupt.wait() => {
            eprintln!("what is not delivered waits in {}", path.display());
            Ok(())
        }
    };
    client.disconnect().await;
    // First, as it knows more of a link that is given up: which broker it was.
    running.await??;
    done
}

/// Takes all lines in, and returns when the broker has them.
async fn deliver(outbox: &Outbox, arguments: &Arguments) -> anyhow::Result<()> {
    let mut interval = Interval::of_millis(arguments.pause);
    let mut admit = |_: &Message<'_>, now| interval.admit(now);
    let lost = |message: &Message<'_>, loss: Loss| eprintln!("{}: {loss}", message.topic);
    tokio::select! {
        taken = take_in(outbox, &arguments.topic) => taken?,
        end = outbox.run(&mut admit, lost) => return Err(end.into()),
    }
    Ok(Box::pin(outbox.flush(&mut admit, lost)).await?)
}

async fn take_in(outbox: &Outbox, topic: &str) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).split(b'\n');
    while let Some(line) = lines
        .next_segment()
        .await
        .context("cannot read standard input")?
    {
        let message = Message::new(topic, &line).at_least_once();
        let taken = Box::pin(outbox.publish(&message)).await;
        taken.with_context(|| format!("cannot publish on {topic}"))?;
    }
    Ok(())
}
