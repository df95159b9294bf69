//! The blocking client: no runtime, no `async`. Sends itself three messages and prints what comes back.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use examples::arguments::Connection;
use examples::ending;
use mqtt_std::blocking;
use mqtt_std::{Message, QoS};

/// Publishes three messages to itself, with the blocking client.
#[derive(Debug, Parser)]
#[command(name = "blocking", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    connection: Connection,
}

const TOPIC: &str = "example/blocking";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    ending::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (client, mut inbox) = blocking::connect(arguments.connection.options()?)?;
    client.subscribe(TOPIC, QoS::AtLeastOnce)?;
    for text in ["one", "two", "three"] {
        let message = Message::new(TOPIC, text.as_bytes()).at_least_once();
        let mut delivery = client.publish(&message)?;
        // Taken first: the acknowledgement may lie behind the message that came back.
        let received = inbox
            .next_timeout(PATIENCE)
            .context("nothing came back")??;
        println!("received {}", String::from_utf8_lossy(received.payload()));
        drop(received);
        let acknowledged = delivery.acknowledged_timeout(PATIENCE);
        acknowledged.context("not acknowledged in time")??;
    }
    client.disconnect()?;
    Ok(())
}
