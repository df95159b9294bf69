//! A device that IBM Watson IoT (or Maximo Monitor) manages: it reports this machine, tells its location and keeps a log
//! there, and lets itself be rebooted, reset, and given new firmware.
//!
//! Nothing happens to the machine: a reboot is a new start of the device within the program. Without `--org` it brings a
//! simulated platform, so that it works without an account.

mod actions;
mod arguments;
mod device;
mod fetch;
mod state;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use examples::ending::{self, Interrupt};
use examples::link;
use examples::monitor::Reporter;
use examples::simulator::PlatformSimulator;
use examples::terminal;
use mqtt_std::platform::watson_iot::{self, COMMANDS, MANAGED};
use mqtt_std::{Options, OutboxPolicy};

use crate::arguments::{Account, Arguments};
use crate::device::{Device, End};
use crate::state::State;

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
    let mut state = State::open(arguments.state_folder(&account)?)?;
    let device =
        watson_iot::Device::new(&account.organization, &account.type_id, &account.device_id)
            .context("--org, --type or --id")?;
    let mut options = options(&arguments, &account, &device)?;
    loop {
        let life = live(
            &arguments,
            &options,
            &device,
            &mut state,
            &mut simulator,
            &mut interrupt,
        );
        match Box::pin(life).await? {
            End::Stop => return Ok(()),
            End::Restart => terminal::print_with_time("restarting the device, not this machine")?,
        }
        // A device that starts connects when it can.
        options = options.fail_fast(false);
    }
}

/// One life of the device, from its start until it ends or restarts.
async fn live(
    arguments: &Arguments,
    options: &Options,
    device: &watson_iot::Device<'_>,
    state: &mut State,
    simulator: &mut Option<PlatformSimulator>,
    interrupt: &mut Interrupt,
) -> anyhow::Result<End> {
    let version = state.version()?;
    terminal::print_with_time(&format!("running firmware {version}"))?;
    let (client, mut inbox, mut link) = tokio::select! {
        connected = Box::pin(link::connect_as_told(options.clone())) => connected?,
        () = interrupt.wait() => return Ok(End::Stop),
    };
    let reporter = Reporter::in_lines(client, arguments.interval, arguments.count);
    let profile = device::profile(&version);
    let mut record = device::record();
    let mut device = Device::new(
        *device,
        reporter,
        &profile,
        &mut record,
        state,
        arguments.location(simulator.is_some()),
    )?;
    let lived = tokio::select! {
        lived = device.live(&mut inbox, simulator, interrupt) => lived,
        error = link.ended() => Err(error),
    };
    drop(inbox);
    let left = device.leave().await;
    let summary = device.summary();
    link.close().await;
    let end = lived?;
    left?;
    terminal::print(&summary)?;
    Ok(end)
}

fn options(
    arguments: &Arguments,
    account: &Account,
    device: &watson_iot::Device<'_>,
) -> anyhow::Result<Options> {
    let subscriptions = [COMMANDS, MANAGED].concat();
    let preset = device
        .options(account.token.reveal())
        .subscriptions(&subscriptions);
    let mut options = Options::from_url(&account.url)?
        .preset(&preset)
        .outbox(OutboxPolicy::DropOldest)
        .fail_fast(true);
    if let Some(file) = &arguments.ca_file {
        options = options.ca_file(file);
    }
    Ok(options)
}

/// Starts a platform in this program, and tells what can be done with it.
fn simulator() -> anyhow::Result<PlatformSimulator> {
    let simulator = PlatformSimulator::start("watson-iot")?;
    let device = Account::SIMULATED;
    terminal::print(&format!(
        "simulated Watson IoT on {}, for this machine only; do what an operator does by typing a line, for example\n\
         \n  reboot {device}\
         \n  factory-reset {device}\
         \n  firmware {device} file:///bin/true 2.0\
         \n  command {device} interval json {{\"seconds\":3}}\
         \n  help\n",
        simulator.address()
    ))?;
    simulator.obey_standard_input();
    Ok(simulator)
}
