//! Miri: an interpreter that finds undefined behaviour. Published crates have no unsafe code; this looks at that of the
//! examples and of the size jobs, next to a model of what it works with, and at the buffers of mqtt-core.
//!
//! It needs a nightly toolchain, which the full run does not: this is a command of its own.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::install::succeed;
use crate::steps::Steps;
use crate::workspace::{Workspace, command, read};

/// The toolchain that has Miri.
const TOOLCHAIN: &str = "nightly";

/// Of a device's width: the addresses that it hands to hardware must fit.
const NARROW: &str = "i686-unknown-linux-gnu";

/// Tests of mqtt-core that move memory most, and take an interpreter no longer than some minutes.
const CORE: [&str; 2] = ["receive::a_", "stream::"];

pub(crate) fn run() -> Result<()> {
    let installed = read(command("rustup").args(["toolchain", "list"]))?;
    ensure!(
        installed.contains(TOOLCHAIN),
        "Miri needs a toolchain of its own: rustup toolchain install {TOOLCHAIN}"
    );
    let components = ["component", "add", "miri", "rust-src", "--toolchain"];
    succeed(command("rustup").args(components).arg(TOOLCHAIN))?;

    let target_dir = Workspace::load()?.target_dir;
    let mut steps = Steps::new(true, None, target_dir.join("xtask"))?;
    let mut models = miri();
    models
        .args(["--manifest-path", "tests/miri/Cargo.toml"])
        .args(["--target", NARROW])
        .env("CARGO_TARGET_DIR", &target_dir);
    steps.command("miri: unsafe code beside a model", &mut models)?;
    let mut core = miri();
    core.args([
        "-p",
        "mqtt-core",
        "--features",
        "v5",
        "--test",
        "session",
        "--",
    ]);
    steps.command("miri: mqtt-core", core.args(CORE))?;
    steps.finish()
}

/// `cargo miri test`, by the toolchain that has it.
fn miri() -> Command {
    let mut miri = command("rustup");
    miri.args(["run", TOOLCHAIN, "cargo", "miri", "test"]);
    // Tests leak what would lie in a static, and a device knows addresses only.
    let flags = "-Zmiri-ignore-leaks -Zmiri-permissive-provenance";
    miri.env("MIRIFLAGS", flags);
    // Those of the toolchain that runs this program.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        miri.env_remove(variable);
    }
    miri
}
