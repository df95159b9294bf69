//! What cargo cannot express: the full test run with everything it needs, sizes on microcontrollers, instruction
//! counts, and the table of statements. `cargo xtask --help` lists the commands; `CONTRIBUTING.md` says when to use which.

mod bench;
mod codec;
mod deny;
mod firmware;
mod fuzz;
mod image;
mod install;
mod miri;
mod mutants;
mod peers;
mod sdks;
mod simulate;
mod size;
mod statements;
mod steps;
mod table;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that decides about a change; installs what it needs
    Test {
        /// Run the remaining steps after a failure
        #[arg(long)]
        keep_going: bool,
        /// Run only the steps whose name contains this text, without installing anything
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,
    },
    /// Install the platforms' official Python SDKs, for `cargo test -p mqtt-tests --features sdks`
    Sdks,
    /// Install the brokers of the tests, for `cargo test -p mqtt-tests --features brokers`
    Peers,
    /// Traffic over links that are cut every few seconds, with a real mosquitto: nothing lost, doubled or grown
    Soak {
        /// How long, in minutes
        #[arg(long, default_value_t = 10)]
        minutes: u32,
    },
    /// Flash, RAM and panic branches of the size jobs
    Size,
    /// Boots firmware in emulators with a real broker, and builds it for the boards that have none
    Firmware(firmware::Arguments),
    /// Instructions per packet, then the end-to-end table; fails on a red line
    Bench {
        /// Interleaved runs of the end-to-end measures, of which the median is taken
        #[arg(long, default_value_t = 5)]
        runs: u32,
    },
    /// Random bytes and operations for everything that takes a peer's bytes, guided by coverage
    Fuzz(fuzz::Arguments),
    /// Licences, sources and bans of all dependencies; installs cargo-deny
    Deny,
    /// Simulated lives of a device, by seeds; the first failure is told in as few decisions as possible
    Simulate(simulate::Arguments),
    /// Deliberate mistakes in session and client, each of which the simulation must catch
    Mutants(mutants::Arguments),
    /// Unsafe code of examples and size jobs, and the session's buffers, in Miri; needs a nightly toolchain
    Miri,
    /// Writes `docs/statements.md`: each statement of the standard, and its tests
    Statements,
}

fn main() -> ExitCode {
    let Err(error) = run() else {
        return ExitCode::SUCCESS;
    };
    // Without the backtrace that `main() -> Result` would print: it says nothing about the step.
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run() -> Result<()> {
    match Arguments::parse().command {
        Command::Test { keep_going, only } => test::run(keep_going, only),
        Command::Sdks => sdks::install(),
        Command::Peers => peers::install(),
        Command::Soak { minutes } => peers::soak(minutes),
        Command::Size => size::print(),
        Command::Firmware(arguments) => firmware::run(&arguments),
        Command::Bench { runs } => bench::run(runs),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Deny => deny::run(),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Miri => miri::run(),
        Command::Statements => statements::write(),
    }
}
