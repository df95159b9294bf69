//! A device of ThingsBoard: telemetry, attributes, calls in both directions, and firmware updates that go on after a lost
//! link and after a restart.
//!
//! Without `--url` it brings a simulated ThingsBoard, so that it works without a server.

mod arguments;
mod calls;
mod device;
mod firmware;
mod provision;
mod state;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use examples::ending::{self, Interrupt};
use examples::link;
use examples::monitor::Reporter;
use examples::simulator::PlatformSimulator;
use examples::terminal;
use mqtt_std::platform::thingsboard;
use mqtt_std::{Options, OutboxPolicy};

use crate::arguments::{Arguments, Command};
use crate::device::{Device, End};
use crate::firmware::Firmware;
use crate::state::{Credentials, State};

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

/// Runs the device until `--count` is reached, Ctrl-C, or a failure that no reconnect can mend.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    let mut simulator = match arguments.url {
        Some(_) => None,
        None => Some(simulator(&arguments)?),
    };
    let url = match (&arguments.url, &simulator) {
        (None, Some(simulator)) => format!("mqtt://{}", simulator.address()),
        (url, _) => url.clone().unwrap_or_default(),
    };
    let state = State::open(arguments.state_folder(&url)?)?;
    let credentials = tokio::select! {
        credentials = credentials(&arguments, &url, &state) => credentials?,
        () = interrupt.wait() => return Ok(()),
    };
    let mut options = options(&arguments, &url, &credentials)?;
    loop {
        let end = Box::pin(live(
            &arguments,
            &options,
            &state,
            &mut simulator,
            &mut interrupt,
        ))
        .await?;
        if end == End::Stop {
            return Ok(());
        }
        // The new firmware of a real device connects when it likes; so does this one.
        options = options.fail_fast(false);
    }
}

/// One life of the device, from its start until it ends or restarts with another firmware.
async fn live(
    arguments: &Arguments,
    options: &Options,
    state: &State,
    simulator: &mut Option<PlatformSimulator>,
    interrupt: &mut Interrupt,
) -> anyhow::Result<End> {
    let installed = state.boot()?;
    terminal::print_with_time(&format!(
        "running {} {}",
        installed.title, installed.version
    ))?;
    let firmware = Firmware::open(state, &installed, arguments.chunk_len).await?;
    let (client, mut inbox, mut link) = tokio::select! {
        connected = Box::pin(link::connect_as_told(options.clone())) => connected?,
        () = interrupt.wait() => return Ok(End::Stop),
    };
    let reporter = Reporter::in_lines(client, arguments.interval, arguments.count);
    let mut device = Device::new(reporter, firmware, arguments.call.clone());
    let lived = tokio::select! {
        lived = device.live(&mut inbox, simulator, interrupt) => lived,
        error = link.ended() => Err(error),
    };
    drop(inbox);
    let left = device.leave().await;
    link.close().await;
    let end = lived?;
    left?;
    terminal::print(&device.summary())?;
    Ok(end)
}

/// Those of the command line; else what provisioning gets or has got.
async fn credentials(
    arguments: &Arguments,
    url: &str,
    state: &State,
) -> anyhow::Result<Credentials> {
    if let Some(Command::Provision(provision)) = &arguments.command {
        let credentials = Box::pin(provision::provision(arguments, provision, url)).await?;
        if arguments.url.is_some() {
            state.keep(&credentials)?;
        }
        return Ok(credentials);
    }
    if let Some(credentials) = arguments.credentials() {
        return Ok(credentials);
    }
    if arguments.url.is_none() {
        return Ok(Credentials::token("A1_TEST_TOKEN"));
    }
    state.kept()?.context(
        "no credentials: give --token or others, or provision the device first; see --help",
    )
}

fn options(arguments: &Arguments, url: &str, credentials: &Credentials) -> anyhow::Result<Options> {
    let device = thingsboard::Device::new();
    let subscriptions = device::subscriptions(device);
    let preset = device
        .options(&credentials.borrowed()?)
        .subscriptions(&subscriptions);
    let options = arguments
        .connect(url, &preset)?
        .outbox(OutboxPolicy::DropOldest)
        .fail_fast(true);
    Ok(options)
}

/// Starts a ThingsBoard in this program, and tells what can be done with it.
fn simulator(arguments: &Arguments) -> anyhow::Result<PlatformSimulator> {
    let simulator = PlatformSimulator::start("thingsboard")?;
    simulator.command("reply getTime {\"time\":\"now\"}")?;
    terminal::print(&format!(
        "simulated ThingsBoard on {}, for this machine only; do what an operator does by typing a line, for example\n\
         \n  rpc thermometer identify\
         \n  rpc thermometer setInterval {{\"seconds\":3}}\
         \n  shared thermometer {{\"interval\":0.5}}\
         \n  {}        (Ctrl-C meanwhile; --offer 2.0 goes on)\
         \n  help\n",
        simulator.address(),
        offer("2.0")
    ))?;
    if let Some(version) = &arguments.offer {
        simulator.command(&offer(version))?;
    }
    simulator.obey_standard_input();
    Ok(simulator)
}

/// The order to offer some 20 MB as this version of the firmware.
fn offer(version: &str) -> String {
    format!("fw thermometer {} {version} 20000000 SHA256", State::TITLE)
}
