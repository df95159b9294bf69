//! The brokers of the tests that are more than a Debian package, and the long run against one of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::install;
use crate::steps::Steps;
use crate::workspace::{Workspace, cargo, command, read, root};

/// Programs and the Debian packages they come from.
const PROGRAMS: [(&str, &str); 4] = [
    ("mosquitto", "mosquitto"),
    ("rabbitmq-server", "rabbitmq-server"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// aedes 1.2 asks for it.
const NODE: u32 = 20;

const MANIFEST: [&str; 2] = ["--manifest-path", "tests/peers/Cargo.toml"];

const AEDES_FILES: [&str; 3] = ["package.json", "package-lock.json", "broker.js"];

/// Installs what is missing, or is there in another version: programs by apt, aedes by npm, brokers written in Rust by
/// cargo. The latter two lie in the folder `peers` of the build output.
pub(crate) fn install() -> Result<()> {
    install::programs(&PROGRAMS)?;
    aedes()?;
    brokers_in_rust()
}

/// Runs traffic over links that are cut, for so many minutes.
pub(crate) fn soak(minutes: u32) -> Result<()> {
    install::programs(&PROGRAMS[..1])?;
    let seconds = minutes.saturating_mul(60).to_string();
    let mut soak = cargo();
    soak.args(["run", "--quiet", "-p", "mqtt-tests"]).args([
        "--features",
        "brokers",
        "--bin",
        "soak",
        "--",
        &seconds,
    ]);
    install::succeed(&mut soak)
}

/// The brokers written in Rust are a workspace of their own.
pub(crate) fn lints(steps: &mut Steps) -> Result<()> {
    let mut format = cargo();
    format.args(["fmt", "--check"]).args(MANIFEST);
    steps.command("format: brokers of the tests", &mut format)?;
    // As `cargo clippy`, but on top of the build that is there: to check all that two brokers depend on would take longer
    // than the other lints together. The manifest denies warnings.
    let mut clippy = build()?;
    clippy.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    steps.command("clippy: brokers of the tests", &mut clippy)
}

fn aedes() -> Result<()> {
    let version = read(command("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next();
    let major: Option<u32> = major.and_then(|major| major.parse().ok());
    ensure!(
        major >= Some(NODE),
        "node {NODE} or later is needed, not {version}"
    );
    let source = root().join("tests/peers/aedes");
    let folder = folder()?.join("aedes");
    let wanted = fs::read_to_string(source.join("package-lock.json"))?;
    fs::create_dir_all(&folder)?;
    for file in AEDES_FILES {
        fs::copy(source.join(file), folder.join(file))?;
    }
    // Written last, so that a broken installation is made anew.
    let stamp = folder.join("installed.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut npm = command("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    install::succeed(npm.arg("--loglevel=error").current_dir(&folder))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn brokers_in_rust() -> Result<()> {
    install::succeed(build()?.arg("--quiet"))
}

fn build() -> Result<Command> {
    let mut build = cargo();
    build.args(["build", "--locked"]).args(MANIFEST);
    build.arg("--target-dir").arg(folder()?);
    Ok(build)
}

fn folder() -> Result<PathBuf> {
    Ok(Workspace::load()?.target_dir.join("peers"))
}
