//! The host side of the firmware in QEMU: plays the broker and whoever else a scenario needs, boots the images, judges.
//!
//! `cargo xtask firmware` builds the images and calls it. Each finished run is one line of JSON on the standard
//! output; what went wrong, with the log of the firmware, goes to the standard error. The status is 1 if a run failed.

mod case;
mod emulator;
mod matrix;
mod numbers;
mod run;
mod scenarios;
mod stage;
mod tls_server;

use std::io::{Write as _, stdout};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use clap::Parser;

use case::{Case, Image, Scenario};

/// Boots firmware images and judges them.
#[derive(Parser, Debug)]
#[command(name = "firmware")]
struct Arguments {
    /// An image: target, transport (plain, tls, ws or wss) and file, with commas between them
    #[arg(long = "image", value_name = "TARGET,TRANSPORT,FILE", required = true)]
    images: Vec<Image>,
    /// The folder with qemu-system-arm and qemu-system-riscv32, unless they are in PATH
    #[arg(long, value_name = "FOLDER")]
    qemu: Option<PathBuf>,
    /// The program that boots images for the RP2040
    #[arg(long, value_name = "FILE")]
    bridge: Option<PathBuf>,
    /// Only this scenario
    #[arg(long)]
    scenario: Option<Scenario>,
    /// Only this version of MQTT: 3 or 5
    #[arg(long, value_parser = clap::value_parser!(u8).range(3..=5))]
    version: Option<u8>,
    /// All versions and transports for every scenario, not only the usual choice
    #[arg(long)]
    all: bool,
    /// Of everything random
    #[arg(long, default_value_t = 1)]
    seed: u32,
    /// Emulators at the same time
    #[arg(long, default_value_t = default_jobs())]
    jobs: usize,
    /// Where the log of each run goes
    #[arg(long, value_name = "FOLDER")]
    logs: PathBuf,
}

/// Some more than processors: most runs wait most of the time.
fn default_jobs() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get) + 1
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cases = matrix::cases(&arguments);
    if cases.is_empty() {
        eprintln!("no scenario fits what was asked for");
        return ExitCode::FAILURE;
    }
    // A panic in a scenario is a verdict, which is shown in its place.
    std::panic::set_hook(Box::new(|_| {}));
    if run_all(cases, &arguments) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether all passed.
fn run_all(cases: Vec<Case>, arguments: &Arguments) -> bool {
    let waiting = Mutex::new(cases.into_iter());
    let passed = Mutex::new(true);
    let work = || {
        while let Some(case) = lock(&waiting).next() {
            let outcome = run::run(&case, arguments);
            let mut passed = lock(&passed);
            *passed &= outcome.passed;
            if !outcome.passed {
                eprintln!("\n{case}: {}\n{}", outcome.verdict, outcome.log);
            }
            println!("{}", outcome.json(&case));
            // Fails only if nobody reads, and then nobody cares.
            let _ = stdout().flush();
        }
    };
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(work);
        }
    });
    passed.into_inner().unwrap_or(false)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
