//! A device that is this machine: it publishes its load, memory, disk, temperature and network counters, and obeys
//! commands.
//!
//! Without `--broker` it brings its own broker, so that `cargo run` works with nothing installed.

mod arguments;
mod device;
mod topics;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use examples::arguments::{version_name, without_user};
use examples::broker::EmbeddedBroker;
use examples::ending::{self, Interrupt};
use examples::link;
use examples::monitor::{Reporter, host_name};
use examples::terminal;
use mqtt_std::{Options, OutboxPolicy, QoS};

use crate::arguments::Arguments;
use crate::device::Device;
use crate::topics::Topics;

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

/// Runs the device until `--count` is reached, Ctrl-C, or a failure that no reconnect can mend.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    let topics = Topics::new(arguments.topic.as_deref());
    let url = match &arguments.broker {
        Some(url) => url.clone(),
        None => embedded_broker(&topics).await?,
    };
    let options = options(&arguments, &url, &topics)?;
    let (client, mut inbox, mut link) = tokio::select! {
        connected = link::connect(&options) => connected?,
        () = interrupt.wait() => return Ok(()),
    };
    let title = title(&url, &arguments);
    let Arguments {
        interval, count, ..
    } = arguments;
    let reporter = Reporter::new(client, interval, count, &title, &topics.report);
    let mut device = Device::new(reporter, topics);
    let lived = tokio::select! {
        lived = device.live(&mut inbox, &mut interrupt) => lived,
        error = link.ended() => Err(error),
    };
    // Commands come too late now, and the last acknowledgements may lie behind one.
    drop(inbox);
    let left = device.leave().await;
    link.close().await;
    lived.and(left)?;
    Ok(terminal::print(&device.summary())?)
}

fn options(arguments: &Arguments, url: &str, topics: &Topics) -> anyhow::Result<Options> {
    Ok(arguments
        .session
        .options(url)?
        .will(&topics.presence, Topics::OFFLINE, QoS::AtLeastOnce, true)
        .subscribe(&topics.command, QoS::AtLeastOnce)
        // While the broker is away the latest readings are worth more than the oldest.
        .outbox(OutboxPolicy::DropOldest))
}

/// Starts a broker in this program and tells how a second terminal joins.
async fn embedded_broker(topics: &Topics) -> anyhow::Result<String> {
    let broker = EmbeddedBroker::start().await?;
    let (url, port) = (broker.url(), broker.port());
    let (all, command) = (topics.all(), &topics.command);
    terminal::print(&format!(
        "embedded broker on {url}, for this machine only; join from a second terminal:\n\
         \n  mosquitto_sub -h 127.0.0.1 -p {port} -t '{all}' -v\
         \n  cargo run -p examples --bin subscribe -- --url {url} -t '{all}' -v\
         \n  cargo run -p examples --bin publish -- --url {url} -t {command} -m 'interval 0.2'\n"
    ))?;
    Ok(url)
}

/// Who is connected to what. Not with the password that the URL may hold.
fn title(url: &str, arguments: &Arguments) -> String {
    format!(
        "{} -> {}, MQTT {}",
        host_name(),
        without_user(url),
        version_name(arguments.session.version)
    )
}
