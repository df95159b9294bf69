//! What the full run needs: Rust targets and components by rustup, programs by apt. What is missing and cannot be
//! installed is a failure, never a reason to skip.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::deny;
use crate::workspace::{DEVICE_TARGETS, command, read};

const COMPONENTS: [&str; 3] = ["clippy", "rustfmt", "llvm-tools"];

/// Programs and the Debian packages they come from.
const PROGRAMS: [(&str, &str); 3] = [
    ("mosquitto", "mosquitto"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("valgrind", "valgrind"),
];

/// Installs whatever the full run needs and does not find.
pub(crate) fn everything() -> Result<()> {
    for_devices()?;
    programs(&PROGRAMS)?;
    deny::install()
}

/// What building and measuring for devices needs.
pub(crate) fn for_devices() -> Result<()> {
    targets()?;
    components()
}

/// What building, booting and judging firmware needs, besides QEMU.
pub(crate) fn for_firmware() -> Result<()> {
    for_devices()?;
    programs(&PROGRAMS[..1])
}

/// Brings the lists of packages up to date.
pub(crate) fn apt_update() -> Result<()> {
    apt_get(&["update", "-q"], &[])
}

/// Installs the programs that are missing, each given with its Debian package.
pub(crate) fn programs(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|wanted| !is_in_path(wanted.0))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages(&wanted)?;
    for (program, package) in missing {
        ensure!(
            is_in_path(program),
            "no {program} after installing {package}"
        );
    }
    Ok(())
}

/// Installs Debian packages.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    apt_update()?;
    apt_get(&["install", "-q", "-y", "--no-install-recommends"], names)
}

/// Whether the user could start this program; mosquitto lies where only root looks by itself.
pub(crate) fn is_in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

fn targets() -> Result<()> {
    let installed = read(command("rustup").args(["target", "list", "--installed"]))?;
    // QEMU's Arm machine has a Cortex-M3.
    let missing = DEVICE_TARGETS
        .iter()
        .chain(&["thumbv7m-none-eabi"])
        .filter(|&target| !installed.lines().any(|line| line == *target));
    rustup_add("target", missing.copied())
}

fn components() -> Result<()> {
    let installed = read(command("rustup").args(["component", "list", "--installed"]))?;
    let missing = COMPONENTS
        .iter()
        .filter(|&component| !installed.lines().any(|line| line.starts_with(component)));
    rustup_add("component", missing.copied())
}

fn rustup_add(kind: &str, names: impl Iterator<Item = &'static str>) -> Result<()> {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    succeed(command("rustup").args([kind, "add"]).args(names))
}

fn apt_get(arguments: &[&str], packages: &[&str]) -> Result<()> {
    let mut apt_get = if read(command("id").arg("-u"))?.trim() == "0" {
        command("apt-get")
    } else {
        let mut sudo = command("sudo");
        // Never wait for a password that nobody will type.
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    // Steps that run at the same time wait for each other here.
    apt_get.args(["-o", "DPkg::Lock::Timeout=300"]);
    succeed(apt_get.args(arguments).args(packages))
}

pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
