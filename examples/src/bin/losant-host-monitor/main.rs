//! This machine as a device of Losant: it reports its load, memory, disk, temperature and network counters as state, and
//! obeys commands.
//!
//! Without `--device-id` it brings a simulated Losant, so that it works without an account.

mod answer;
mod arguments;
mod commands;
mod device;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use examples::arguments::{has_path, without_user};
use examples::ending::{self, Interrupt};
use examples::link;
use examples::monitor::{Reporter, host_name};
use examples::simulator::PlatformSimulator;
use examples::terminal;
use mqtt_std::platform::losant;
use mqtt_std::{Options, OutboxPolicy};

use crate::arguments::{Account, Arguments};
use crate::device::Device;

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

/// Runs the device until `--count` is reached, Ctrl-C, or a failure that no reconnect can mend.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    let (account, mut simulator) = if let Some(account) = arguments.account() {
        (account, None)
    } else {
        let simulator = simulator()?;
        (Account::simulated(simulator.address())?, Some(simulator))
    };
    let device = losant::Device::new(&account.device_id).context("--device-id")?;
    let options = options(&arguments, &account, &device)?;
    let (client, mut inbox, mut link) = tokio::select! {
        connected = link::connect(&options) => connected?,
        () = interrupt.wait() => return Ok(()),
    };
    let title = format!("{} -> {}", host_name(), without_user(&account.url));
    let topic = format!("losant/{}/state", device.id());
    let Arguments {
        interval, count, ..
    } = arguments;
    let reporter = Reporter::new(client, interval, count, &title, &topic);
    let mut device = Device::new(device, reporter);
    let lived = tokio::select! {
        lived = device.live(&mut inbox, &mut simulator, &mut interrupt) => lived,
        error = link.ended() => Err(error),
    };
    drop(inbox);
    let left = device.leave().await;
    link.close().await;
    lived.and(left)?;
    Ok(terminal::print(&device.summary())?)
}

fn options(
    arguments: &Arguments,
    account: &Account,
    device: &losant::Device<'_>,
) -> anyhow::Result<Options> {
    let subscriptions = [device.command_subscription()];
    let preset = device
        .options(account.access_key.reveal(), account.access_secret.reveal())
        .subscriptions(&subscriptions);
    let mut options = Options::from_url(&account.url)?
        .preset(&preset)
        // What waits for the link goes out at once when it is back, and Losant bans for more than 30 messages in 15 s.
        .outbox(OutboxPolicy::KeepLatest);
    if account.url.starts_with("ws") && !has_path(&account.url) {
        // The path of Losant's WebSocket.
        options = options.path("/");
    }
    if let Some(file) = &arguments.ca_file {
        options = options.ca_file(file);
    }
    Ok(options)
}

/// Starts a Losant in this program, and tells what can be done with it.
fn simulator() -> anyhow::Result<PlatformSimulator> {
    let simulator = PlatformSimulator::start("losant")?;
    let id = Account::SIMULATED;
    terminal::print(&format!(
        "simulated Losant on {}, for this machine only; give commands by typing a line, for example\n\
         \n  command {id} {{\"name\":\"interval\",\"payload\":{{\"seconds\":3}}}}\
         \n  command {id} {{\"name\":\"identify\"}}\
         \n  command {id} {{\"name\":\"report-now\"}}\
         \n  help\n",
        simulator.address()
    ))?;
    simulator.obey_standard_input();
    Ok(simulator)
}
