//! Simulated lives of a device: `mqtt-simulation` lives them, built with every check on.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::steps::Steps;
use crate::workspace::{Workspace, cargo, command};

/// Built faster than a release, and with overflow checks.
pub(crate) const PROFILE: &str = "simulation";

/// Seeds of the full run: always the same, so that a change decides about the result and nothing else.
const TEST_SEEDS: u32 = 100_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000_000)]
    seeds: u64,
    /// The first of them: another every night
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed only
    #[arg(long)]
    seed: Option<u64>,
    /// Tell it line by line
    #[arg(long, requires = "seed")]
    trace: bool,
}

/// Lives all seeds; the first that fails is told in as few decisions as possible.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut simulate = command(build()?);
    match arguments.seed {
        Some(seed) => simulate.args(["--seed", &seed.to_string()]),
        None => simulate
            .args(["--seeds", &arguments.seeds.to_string()])
            .args(["--from", &arguments.from.to_string()]),
    };
    if arguments.trace {
        simulate.arg("--trace");
    }
    let status = simulate.status().context("simulate")?;
    ensure!(status.success(), "a rule did not hold");
    Ok(())
}

/// The bounded form.
pub(crate) fn steps(steps: &mut Steps) -> Result<()> {
    let seeds = TEST_SEEDS.to_string();
    let mut simulate = cargo();
    simulate.args(["run", "--quiet", "--profile", PROFILE]);
    simulate.args(["-p", "mqtt-simulation", "--", "--seeds", &seeds]);
    steps.command("simulation: 100,000 seeds", &mut simulate)
}

fn build() -> Result<PathBuf> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--profile",
        PROFILE,
        "-p",
        "mqtt-simulation",
    ]);
    ensure!(
        build.status().context("cargo")?.success(),
        "the simulation does not build"
    );
    Ok(Workspace::load()?.target_dir.join(PROFILE).join("simulate"))
}
