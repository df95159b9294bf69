//! The device of ThingsBoard in QEMU, which updates its firmware from a simulated platform.

use anyhow::{Result, ensure};

use crate::install;
use crate::steps::Steps;
use crate::workspace::{Workspace, read};

use super::elf::Elf;
use super::images::{cargo_in, target_dir};
use super::{harness, qemu, runs};

/// What boards share.
const LIBRARY: &str = "examples/firmware/thingsboard";
const BOARD: &str = "examples/firmware/qemu-arm";
const BINARY: &str = "thingsboard";
const TARGET: &str = "thumbv6m-none-eabi";

/// What the host side calls the image.
const NAME: &str = "thumbv6m-thingsboard";

/// Builds the image and boots it.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    install::for_firmware()?;
    let folder = qemu::install(workspace)?;
    let mut build = cargo_in(workspace, BOARD);
    read(build.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--bin",
        BINARY,
        "--target",
        TARGET,
    ]))?;
    let file = target_dir(workspace)
        .join(TARGET)
        .join("release")
        .join(BINARY);
    let mut harness = harness(workspace)?;
    harness
        .arg("--image")
        .arg(format!("{NAME},plain,{}", file.display()));
    if let Some(folder) = folder {
        harness.arg("--qemu").arg(folder);
    }
    runs::watch(&mut harness)?.1?;
    let elf = Elf::read(&file)?;
    println!("{NAME}: {} bytes of flash", elf.flash()?);
    let panics: Vec<_> = elf.panics()?.iter().map(ToString::to_string).collect();
    ensure!(
        panics.is_empty(),
        "{NAME} can panic at {}",
        panics.join(", ")
    );
    Ok(())
}

/// Lints of the library as a device has it; those of the binary are the board's. Alone it has no board that would bring the
/// atomic swap that thumbv6m lacks.
pub(super) fn lints(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    let mut clippy = cargo_in(workspace, LIBRARY);
    clippy.args(["clippy", "--locked", "--target", "thumbv7m-none-eabi"]);
    clippy.args(["--features", "defmt", "--", "-D", "warnings"]);
    steps.command("clippy: firmware thingsboard on a device", &mut clippy)
}
