//! Publishes a message, the lines of standard input, or a file of any size. Like `mosquitto_pub`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use embedded_io_adapters::tokio_1::FromTokio;
use examples::arguments::{Connection, parse_qos};
use examples::ending::{self, Interrupt};
use examples::link;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mqtt_std::{Client, Delivery, Message, QoS, Reconnect};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

/// Publishes to an MQTT broker.
#[derive(Debug, Parser)]
#[command(name = "publish", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Topic to publish on
    #[arg(short, long)]
    topic: String,
    #[command(flatten)]
    source: Source,
    /// Quality of service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = parse_qos)]
    qos: QoS,
    /// Ask the broker to keep the message for later subscribers
    #[arg(short, long)]
    retain: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// Publish this text
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Publish each line of standard input
    #[arg(short = 'l', long)]
    lines: bool,
    /// Publish the content of this file, whatever its size
    #[arg(short, long)]
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    // A link that breaks is an error here: the user will call us again.
    let options = arguments
        .connection
        .options()?
        .reconnect(Reconnect::never());
    let (client, _inbox, mut link) = tokio::select! {
        connected = link::connect(&options) => connected?,
        () = interrupt.wait() => return Ok(()),
    };
    tokio::select! {
        published = publish(&client, &arguments) => {
            published.with_context(|| format!("cannot publish on {}", arguments.topic))?;
        }
        error = link.ended() => return Err(error),
        () = interrupt.wait() => {}
    }
    link.close().await;
    Ok(())
}

async fn publish(client: &Client, arguments: &Arguments) -> anyhow::Result<()> {
    let head = Message {
        retain: arguments.retain,
        ..Message::new(&arguments.topic, b"").qos(arguments.qos)
    };
    if let Some(text) = &arguments.source.message {
        acknowledged(
            client
                .publish(&Message {
                    payload: text.as_bytes(),
                    ..head
                })
                .await?,
        )
        .await
    } else if let Some(path) = &arguments.source.file {
        Box::pin(publish_file(client, &head, path)).await
    } else {
        publish_lines(client, &head).await
    }
}

/// The file goes out as it is read; it is never in memory as a whole.
async fn publish_file(client: &Client, head: &Message<'_>, path: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    let file = File::open(path).await.with_context(unreadable)?;
    let len = file.metadata().await.with_context(unreadable)?.len();
    let len = u32::try_from(len).context("a file for MQTT has less than 256 MiB")?;
    acknowledged(
        client
            .publish_stream(head, len, &mut FromTokio::new(file))
            .await?,
    )
    .await
}

/// As many lines as the broker allows are on their way at once.
async fn publish_lines(client: &Client, head: &Message<'_>) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).split(b'\n');
    let mut deliveries = FuturesUnordered::new();
    while let Some(line) = lines
        .next_segment()
        .await
        .context("cannot read standard input")?
    {
        deliveries.push(acknowledged(
            client
                .publish(&Message {
                    payload: &line,
                    ..*head
                })
                .await?,
        ));
        while deliveries.len() > MAX_WAITING
            && let Some(delivered) = deliveries.next().await
        {
            delivered?;
        }
    }
    while let Some(delivered) = deliveries.next().await {
        delivered?;
    }
    Ok(())
}

/// Deliveries that are watched at once, at most.
const MAX_WAITING: usize = 100;

/// Waits until the broker has the message; at QoS 0 until it was handed to the network.
async fn acknowledged(mut delivery: Delivery) -> anyhow::Result<()> {
    delivery
        .acknowledged()
        .await
        .context("the message was not delivered")?;
    Ok(())
}
