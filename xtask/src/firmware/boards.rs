//! The boards of `examples/firmware` that no emulator has: built and measured.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::install;
use crate::steps::Steps;
use crate::table::Table;
use crate::workspace::{Workspace, read, root};

use super::elf::Elf;
use super::images::{cargo_in, target_dir};

const FOLDER: &str = "examples/firmware";

/// `examples/firmware/boards.toml`, which explains itself.
#[derive(Deserialize)]
struct List {
    /// Libraries with tests for the host.
    host: Vec<String>,
    board: Vec<Board>,
}

#[derive(Deserialize)]
struct Board {
    folder: String,
    binary: String,
    target: String,
    flash_bytes: u64,
    ram_bytes: u64,
    ram_sections: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    builds: Vec<Build>,
}

#[derive(Deserialize)]
struct Build {
    name: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

/// The boards that there are.
pub(super) fn folders() -> Result<Vec<String>> {
    let boards = list()?.board.into_iter();
    Ok(boards.map(|board| board.folder).collect())
}

/// Builds the boards that are wanted, and prints what they take. More than the chip has is an error.
///
/// Without `every_build` only the last build of each, which has the code of the others in it.
pub(super) fn run(
    workspace: &Workspace,
    wants: impl Fn(&str) -> bool,
    every_build: bool,
) -> Result<()> {
    let boards: Vec<_> = list()?
        .board
        .into_iter()
        .filter(|board| wants(&board.folder))
        .collect();
    if boards.is_empty() {
        return Ok(());
    }
    install::for_firmware()?;
    let mut table = Table::new(["board, bytes", "flash", "of", "static RAM", "of"]);
    let mut problems = Vec::new();
    for board in &boards {
        let skipped = if every_build {
            0
        } else {
            board.builds.len().saturating_sub(1)
        };
        for build in board.builds.iter().skip(skipped) {
            let name = format!("{} {}", board.folder, build.name);
            let mut cargo = board.cargo(workspace, build);
            read(cargo.args(["build", "--quiet", "--release", "--locked"]))
                .context(name.clone())?;
            let file = target_dir(workspace)
                .join(&board.target)
                .join("release")
                .join(&board.binary);
            let elf = Elf::read(&file)?;
            let (flash, ram) = (elf.flash()?, elf.ram(&board.ram_sections)?);
            if flash > board.flash_bytes || ram > board.ram_bytes {
                problems.push(format!("{name} does not fit"));
            }
            let panics = elf.panics()?;
            problems.extend(
                panics
                    .iter()
                    .map(|place| format!("{name}: can panic at {place}")),
            );
            table.row([
                name,
                flash.to_string(),
                board.flash_bytes.to_string(),
                ram.to_string(),
                board.ram_bytes.to_string(),
            ]);
        }
    }
    println!("{table}");
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// Format, lints and tests of every folder.
pub(super) fn lints(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    let List { host, board } = list()?;
    for folder in ["qemu-arm", "qemu-riscv"] {
        let mut clippy = cargo_in(workspace, &format!("{FOLDER}/{folder}"));
        clippy.args(["clippy", "--release", "--locked", "--", "-D", "warnings"]);
        configured(&mut clippy, &BTreeMap::new());
        steps.command(&format!("clippy: {folder}"), &mut clippy)?;
        format(steps, workspace, folder)?;
    }
    for folder in &host {
        let path = format!("{FOLDER}/{folder}");
        let mut clippy = cargo_in(workspace, &path);
        clippy.args([
            "clippy",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]);
        steps.command(&format!("clippy: firmware {folder}"), &mut clippy)?;
        let mut test = cargo_in(workspace, &path);
        steps.command(
            &format!("test: firmware {folder}"),
            test.args(["test", "--locked"]),
        )?;
        format(steps, workspace, folder)?;
    }
    // Their lints would build all their dependencies a second time.
    for board in &board {
        format(steps, workspace, &board.folder)?;
    }
    Ok(())
}

fn format(steps: &mut Steps, workspace: &Workspace, folder: &str) -> Result<()> {
    let mut format = cargo_in(workspace, &format!("{FOLDER}/{folder}"));
    steps.command(
        &format!("format: {folder}"),
        format.args(["fmt", "--check"]),
    )
}

impl Board {
    fn cargo(&self, workspace: &Workspace, build: &Build) -> Command {
        let mut cargo = cargo_in(workspace, &format!("{FOLDER}/{}", self.folder));
        configured(&mut cargo, &self.environment);
        cargo.envs(&build.environment);
        cargo
    }
}

/// The example configuration instead of the user's own.
fn configured(cargo: &mut Command, environment: &BTreeMap<String, String>) {
    cargo
        .env("FIRMWARE_CONFIG", "config.example.toml")
        .envs(environment);
}

fn list() -> Result<List> {
    let file = root().join(FOLDER).join("boards.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    Ok(toml::from_str(&text)?)
}
