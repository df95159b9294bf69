//! TLS where the broker knows its clients by certificate: connects, publishes one message, tells how long it took.
//!
//! With mosquitto: `require_certificate true`, and `use_identity_as_username true` to make the name in the certificate
//! the user name.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use examples::ending;
use examples::link;
use mqtt_std::{Message, Options, Reconnect};

/// Publishes one message over TLS with a client certificate.
#[derive(Debug, Parser)]
#[command(name = "tls-client-certificate")]
struct Arguments {
    /// The URL of the broker.
    #[arg(
        long,
        env = "MQTT_URL",
        hide_env_values = true,
        default_value = "mqtts://localhost:8883",
        help = "Broker, by mqtts or wss"
    )]
    url: String,
    /// Certificate authorities that may sign the broker's certificate, PEM; those of the platform when not given
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate, PEM, with the intermediate ones after it
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The private key of our certificate, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Topic to publish on
    #[arg(short, long, default_value = "example/tls")]
    topic: String,
    /// Text to publish
    #[arg(short, long, value_name = "TEXT", default_value = "hello")]
    message: String,
}

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut options = Options::from_url(&arguments.url)?
        .client_certificate(&arguments.cert, &arguments.key)
        .reconnect(Reconnect::never());
    if let Some(ca) = &arguments.ca {
        options = options.ca_file(ca);
    }
    let started = Instant::now();
    let (client, _inbox, link) = link::connect(&options).await?;
    println!("connected after {:.1?}", started.elapsed());

    let sent = Instant::now();
    let message = Message::new(&arguments.topic, arguments.message.as_bytes()).at_least_once();
    client.publish(&message).await?.acknowledged().await?;
    println!("acknowledged after {:.1?}", sent.elapsed());
    link.close().await;
    Ok(())
}
