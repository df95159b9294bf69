//! Prints what is published on some topics. Like `mosquitto_sub`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use examples::arguments::{Connection, parse_qos};
use examples::ending::{self, Interrupt};
use examples::link;
use mqtt_std::{Client, Inbox, LinkState, Oversize, QoS, Received};

/// Subscribes to an MQTT broker and prints the messages.
#[derive(Debug, Parser)]
#[command(name = "subscribe", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Topic filter, such as sensors/+/temperature or sensors/#; may be given more than once
    #[arg(short, long = "topic", required = true, value_name = "FILTER")]
    topics: Vec<String>,
    /// Highest quality of service of the messages: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = parse_qos)]
    qos: QoS,
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print the topic before each payload
    #[arg(short, long)]
    verbose: bool,
}

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    // A message larger than the receive buffer is printed piece by piece.
    let options = arguments.connection.options()?.oversize(Oversize::Stream);
    let (client, mut inbox, mut link) = tokio::select! {
        connected = link::connect(&options) => connected?,
        () = interrupt.wait() => return Ok(()),
    };
    let ended = tokio::select! {
        printed = print_messages(&mut inbox, &arguments) => printed,
        failed = keep_subscribed(&client, &arguments) => failed,
        never = link::tell(&client) => match never {},
        error = link.ended() => Err(error),
        () = interrupt.wait() => Ok(()),
    };
    link.close().await;
    ended
}

/// Subscribes on each link on which the broker does not remember us.
///
/// `Options::subscribe` does the same by itself; here the user wants to know what the broker refuses.
async fn keep_subscribed(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let mut state = client.state();
    loop {
        if matches!(
            state,
            LinkState::Connected {
                session_present: false
            }
        ) {
            for filter in &arguments.topics {
                let granted = client.subscribe(filter, arguments.qos).await;
                granted.with_context(|| format!("cannot subscribe to {filter}"))?;
            }
        }
        state = client.state_change(state).await;
    }
}

async fn print_messages(inbox: &mut Inbox, arguments: &Arguments) -> anyhow::Result<()> {
    let mut printed = 0;
    while arguments.count.is_none_or(|count| printed < count) {
        let received = inbox.next().await?;
        print(received, arguments.verbose).await?;
        printed += 1;
    }
    Ok(())
}

/// The message is acknowledged when it has been printed: when nobody can read it, the broker keeps it.
async fn print(mut received: Received<'_>, verbose: bool) -> anyhow::Result<()> {
    let mut out = io::stdout();
    if verbose {
        write!(out, "{} ", received.topic().as_str())?;
    }
    if received.is_whole() {
        out.write_all(received.payload())?;
    } else {
        while let Some(piece) = received.chunk().await? {
            out.write_all(piece)?;
        }
    }
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}
