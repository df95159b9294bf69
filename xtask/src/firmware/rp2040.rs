//! The image for a genuine RP2040, in an emulator of that chip.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::install;
use crate::steps::Steps;
use crate::workspace::{Workspace, command, llvm_tool, read, root};

use super::images::{cargo_in, target_dir};
use super::{harness, runs};

const IMAGE: &str = "tests/firmware/rp2040-uart";
const BRIDGE: &str = "tests/firmware/rp2040js";
const BINARY: &str = "firmware-rp2040-uart";

/// Builds the image and boots it.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    install::for_firmware()?;
    install::programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let bridge = install_bridge(workspace)?;
    let mut build = cargo_in(workspace, IMAGE);
    read(build.args(["build", "--quiet", "--release", "--locked"]))?;
    let elf = target_dir(workspace)
        .join("thumbv6m-none-eabi/release")
        .join(BINARY);
    let mut objcopy = command(llvm_tool("llvm-objcopy")?);
    read(
        objcopy
            .args(["-O", "binary"])
            .arg(&elf)
            .arg(elf.with_extension("bin")),
    )?;
    let mut harness = harness(workspace)?;
    harness.arg("--bridge").arg(bridge);
    harness
        .arg("--image")
        .arg(format!("rp2040js,plain,{}", elf.display()));
    runs::watch(&mut harness)?.1
}

/// Format of the image. Its lints would build all its dependencies a second time.
pub(super) fn lints(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    let mut format = cargo_in(workspace, IMAGE);
    steps.command(
        "format: firmware rp2040-uart",
        format.args(["fmt", "--check"]),
    )
}

/// The emulator comes as a package of npm, into the folder of all that is built.
fn install_bridge(workspace: &Workspace) -> Result<PathBuf> {
    let folder = target_dir(workspace).join("rp2040js");
    fs::create_dir_all(&folder)?;
    for name in ["bridge.mjs", "package.json", "package-lock.json"] {
        let from = root().join(BRIDGE).join(name);
        fs::copy(&from, folder.join(name)).with_context(|| format!("{}", from.display()))?;
    }
    let mut npm = command("npm");
    npm.current_dir(&folder)
        .args(["ci", "--no-audit", "--no-fund"]);
    read(&mut npm)?;
    Ok(folder.join("bridge.mjs"))
}
