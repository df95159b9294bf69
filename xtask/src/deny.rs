//! Licences and sources of everything that is built here, by cargo-deny. `deny.toml` says what is allowed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::install;
use crate::steps::Steps;
use crate::workspace::{Workspace, cargo, read, root};

/// Folders that are not ours.
const SKIPPED: [&str; 3] = ["target", "node_modules", ".git"];

/// Installs cargo-deny when it is missing, which takes some minutes.
pub(crate) fn install() -> Result<()> {
    if read(cargo().args(["deny", "--version"])).is_ok() {
        return Ok(());
    }
    install::succeed(cargo().args(["install", "-q", "--locked", "cargo-deny"]))
}

/// Installs cargo-deny, and runs its checks.
pub(crate) fn run() -> Result<()> {
    install()?;
    let log_dir = Workspace::load()?.target_dir.join("xtask");
    let mut all = Steps::new(true, None, log_dir)?;
    steps(&mut all)?;
    all.finish()
}

/// The checks that need no network, for each workspace. The boards' own have crates in two versions that nobody here
/// could change, and the size of their images tells what that costs.
pub(crate) fn steps(steps: &mut Steps) -> Result<()> {
    let mut root = deny(Path::new("Cargo.toml"), &["bans", "licenses", "sources"]);
    steps.command("dependencies: licences, sources, two versions", &mut root)?;
    steps.call("dependencies: licences and sources elsewhere", || {
        for manifest in others()? {
            read(&mut deny(&manifest, &["licenses", "sources"]))?;
        }
        Ok(())
    })
}

fn deny(manifest: &Path, checks: &[&str]) -> Command {
    let mut deny = cargo();
    deny.args([
        "deny",
        "--locked",
        "--config",
        "deny.toml",
        "--manifest-path",
    ])
    .arg(manifest)
    .arg("check")
    .args(checks);
    deny
}

/// The workspaces besides that of the root: each has its lock file.
fn others() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("examples"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name() == "Cargo.lock" {
                found.push(folder.join("Cargo.toml"));
            } else if entry.file_type()?.is_dir()
                && SKIPPED.iter().all(|skipped| entry.file_name() != *skipped)
            {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}
