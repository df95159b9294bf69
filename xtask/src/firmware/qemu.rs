//! QEMU: that of the system, or a copy of our own.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::install;
use crate::workspace::{Workspace, command, read};

const PROGRAMS: [&str; 2] = ["qemu-system-arm", "qemu-system-riscv32"];
const PACKAGES: [&str; 2] = ["qemu-system-arm", "qemu-system-misc"];

/// Makes sure of a QEMU. The answer is its folder, if it is not in the path.
pub(super) fn install(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let folder = workspace.target_dir.join("qemu");
    let bin = folder.join("bin");
    if PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        return Ok(Some(bin));
    }
    let in_path = |program: &str| install::is_in_path(program);
    if PROGRAMS.into_iter().all(in_path) {
        return Ok(None);
    }
    install::apt_update()?;
    if can_install() {
        install::programs(&[(PROGRAMS[0], PACKAGES[0]), (PROGRAMS[1], PACKAGES[1])])?;
        return Ok(None);
    }
    unpack(&folder).context("QEMU can neither be installed nor unpacked")?;
    Ok(Some(bin))
}

/// Whether apt would do it without taking away what is there.
fn can_install() -> bool {
    let mut simulation = command("apt-get");
    simulation.args(["install", "-s", "-y", "--no-install-recommends"]);
    let plan = read(simulation.args(PACKAGES));
    plan.is_ok_and(|plan| !plan.lines().any(|line| line.starts_with("Remv")))
}

/// Where a newer qemu-utils is installed, Debian's QEMU cannot be: so its packages are unpacked side by side.
fn unpack(folder: &Path) -> Result<()> {
    let debs = folder.join("debs");
    // What an interrupted run has left would be taken for a package.
    if debs.exists() {
        fs::remove_dir_all(&debs)?;
    }
    fs::create_dir_all(&debs)?;
    let packages = needed()?;
    read(
        command("apt-get")
            .current_dir(&debs)
            .arg("download")
            .args(packages),
    )?;
    let root = folder.join("root");
    for package in fs::read_dir(&debs)? {
        read(command("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
    }
    fs::remove_dir_all(&debs)?;
    fs::create_dir_all(folder.join("bin"))?;
    for program in PROGRAMS {
        wrap(folder, program)?;
    }
    Ok(())
}

/// The packages of QEMU and its libraries that this machine lacks.
fn needed() -> Result<Vec<String>> {
    let versions = read(command("apt-cache").args(["madison", "qemu-utils"]))?;
    let version = versions
        .split('|')
        .nth(1)
        .context("qemu-utils in apt's lists")?;
    let mut simulation = command("apt-get");
    simulation
        .args([
            "install",
            "-s",
            "-y",
            "--no-install-recommends",
            "--allow-downgrades",
        ])
        .args(PACKAGES)
        // Of the same release, or apt would take it away.
        .arg(format!("qemu-utils={}", version.trim()));
    let plan = read(&mut simulation)?;
    let packages: Vec<String> = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .filter_map(|line| line.split(' ').next())
        .filter(|package| *package != "qemu-utils")
        .map(str::to_owned)
        .collect();
    ensure!(!packages.is_empty(), "apt plans nothing:\n{plan}");
    Ok(packages)
}

/// A script that starts the program with its own libraries and files.
fn wrap(folder: &Path, program: &str) -> Result<()> {
    let triple = format!("{}-linux-gnu", env::consts::ARCH);
    let script = format!(
        "#!/bin/sh\n\
        root=$(dirname \"$(readlink -f \"$0\")\")/../root\n\
        LD_LIBRARY_PATH=\"$root/lib/{triple}:$root/usr/lib/{triple}\" \\\n    \
        exec \"$root/usr/bin/{program}\" -L \"$root/usr/share/qemu\" \"$@\"\n"
    );
    let file = folder.join("bin").join(program);
    fs::write(&file, script)?;
    fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    read(command(&file).arg("--version")).map(|_| ())
}
