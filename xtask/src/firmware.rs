//! `cargo xtask firmware`: builds the images, boots those that an emulator can, measures all, and judges.

mod boards;
mod elf;
mod images;
mod qemu;
mod red_lines;
mod rp2040;
mod runs;
mod thingsboard;

use std::process::Command;

use anyhow::{Result, ensure};
use clap::Args;

use crate::install;
use crate::steps::Steps;
use crate::workspace::{Workspace, cargo};
use images::{Image, MACHINES, Transport};

/// The board that is an image of the RP2040 in an emulator of that chip.
const RP2040: &str = "rp2040js";

/// The device of ThingsBoard, on a board in QEMU.
const THINGSBOARD: &str = "thingsboard";

/// What to build and run. Without anything: everything that is usual.
#[derive(Args, Debug, Default, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "switches of the command line"
)]
pub(crate) struct Arguments {
    /// qemu-arm, qemu-riscv, rp2040js, thingsboard, or a folder of examples/firmware; all of them unless given
    #[arg(value_name = "BOARD")]
    boards: Vec<String>,
    /// Images over plain TCP
    #[arg(long)]
    plain: bool,
    /// Images over TLS
    #[arg(long)]
    tls: bool,
    /// Images over WebSocket
    #[arg(long)]
    ws: bool,
    /// Images over secure WebSocket
    #[arg(long)]
    wss: bool,
    /// Only this scenario, with every image that is built
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only this version of MQTT, 3 or 5
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Every scenario with every image in both versions, which takes a while
    #[arg(long)]
    all: bool,
    /// Of everything random in the scenarios; 1 unless given
    #[arg(long, value_name = "NUMBER")]
    seed: Option<String>,
}

/// Builds, boots, measures and judges what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    check(arguments)?;
    let images = images(arguments);
    let mut failures = Vec::new();
    if !images.is_empty() {
        failures.extend(boot(&workspace, &images, arguments).err());
    }
    let whole = arguments.scenario.is_none() && transports(arguments).len() == Transport::ALL.len();
    if arguments.wants(RP2040) && whole {
        failures.extend(rp2040::run(&workspace).err());
    }
    if arguments.wants(THINGSBOARD) && whole {
        failures.extend(thingsboard::run(&workspace).err());
    }
    if whole {
        failures.extend(boards::run(&workspace, |folder| arguments.wants(folder), true).err());
    }
    for failure in &failures {
        eprintln!("{failure:#}");
    }
    ensure!(failures.is_empty(), "firmware is not as it should be");
    Ok(())
}

/// The same in steps of the full run.
pub(crate) fn steps(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    lints(steps, workspace)?;
    for machine in MACHINES {
        let arguments = Arguments {
            boards: vec![machine.board.to_owned()],
            ..Arguments::default()
        };
        let mut images = images(&arguments);
        images.retain(Image::is_usual);
        let name = format!("firmware: {} in QEMU", machine.board);
        steps.call(&name, || boot(workspace, &images, &arguments))?;
    }
    steps.call("firmware: RP2040 in rp2040js", || rp2040::run(workspace))?;
    steps.call("firmware: ThingsBoard in QEMU", || {
        thingsboard::run(workspace)
    })?;
    steps.call("firmware: boards", || {
        // The device of ThingsBoard for the same board has all of its code, and more.
        boards::run(workspace, |folder| folder != "rp2040-w5500", false)
    })
}

/// Format and lints of the workspaces that the root does not have.
fn lints(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    for machine in MACHINES {
        // Of the same machine, the code of all targets is the same.
        for target in &machine.targets[..1] {
            let mut clippy = images::cargo_in(workspace, images::FOLDER);
            clippy.args(["clippy", "--release", "--locked", "--target", target]);
            clippy.args(["--features", "tls,websocket", "--", "-D", "warnings"]);
            steps.command(&format!("clippy: firmware {target}"), &mut clippy)?;
        }
    }
    let mut format = images::cargo_in(workspace, images::FOLDER);
    steps.command("format: firmware", format.args(["fmt", "--all", "--check"]))?;
    rp2040::lints(steps, workspace)?;
    thingsboard::lints(steps, workspace)?;
    boards::lints(steps, workspace)
}

impl Arguments {
    fn wants(&self, board: &str) -> bool {
        self.boards.is_empty() || self.boards.iter().any(|wanted| wanted == board)
    }
}

/// A board that does not exist is a mistake, and not a reason to do nothing.
fn check(arguments: &Arguments) -> Result<()> {
    let mut known: Vec<String> = boards::folders()?;
    known.extend(MACHINES.map(|machine| machine.board.to_owned()));
    known.extend([RP2040, THINGSBOARD].map(str::to_owned));
    for board in &arguments.boards {
        ensure!(
            known.contains(board),
            "no board {board}; there are: {}",
            known.join(", ")
        );
    }
    Ok(())
}

fn transports(arguments: &Arguments) -> Vec<Transport> {
    let asked = [
        (arguments.plain, Transport::Plain),
        (arguments.tls, Transport::Tls),
        (arguments.ws, Transport::Ws),
        (arguments.wss, Transport::Wss),
    ];
    let some: Vec<_> = asked.iter().filter(|(asked, _)| *asked).collect();
    if some.is_empty() {
        return Transport::ALL.to_vec();
    }
    some.into_iter().map(|(_, transport)| *transport).collect()
}

/// The images that an emulator boots.
fn images(arguments: &Arguments) -> Vec<Image> {
    let mut images = Vec::new();
    for machine in MACHINES {
        for target in machine.targets {
            for transport in transports(arguments) {
                if arguments.wants(machine.board) {
                    images.push(Image { target, transport });
                }
            }
        }
    }
    images
}

fn boot(workspace: &Workspace, images: &[Image], arguments: &Arguments) -> Result<()> {
    install::for_firmware()?;
    let qemu = qemu::install(workspace)?;
    for image in images {
        image.build(workspace)?;
    }
    let mut command = harness(workspace)?;
    for image in images {
        let file = image.file(workspace);
        command
            .arg("--image")
            .arg(format!("{image},{}", file.display()));
    }
    if let Some(folder) = qemu {
        command.arg("--qemu").arg(folder);
    }
    for (option, value) in [
        ("--scenario", &arguments.scenario),
        ("--version", &arguments.version),
        ("--seed", &arguments.seed),
    ] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    if arguments.all {
        command.arg("--all");
    }
    let (runs, result) = runs::watch(&mut command)?;
    let judged = red_lines::judge(workspace, images, &runs);
    result.and(judged)
}

/// The host side, which wants images.
fn harness(workspace: &Workspace) -> Result<Command> {
    let logs = images::target_dir(workspace).join("logs");
    std::fs::create_dir_all(&logs)?;
    let mut command = cargo();
    command
        .args(["run", "-q", "-p", "mqtt-tests", "--features", "firmware"])
        .args(["--bin", "firmware", "--", "--logs"])
        .arg(logs);
    Ok(command)
}
