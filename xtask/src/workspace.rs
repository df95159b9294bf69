//! Where things are, and the commands that are started there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The targets that firmware is built for; rustup has a prebuilt `core` for each.
pub(crate) const DEVICE_TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The cargo that started this program, at the root.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program started at the root with nothing on its standard input.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// What a command prints on its standard output; its standard error is shown only when it fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What `cargo metadata` knows.
pub(crate) struct Workspace {
    /// Build output; may lie outside the root.
    pub(crate) target_dir: PathBuf,
    metadata: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let json = read(cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
        let metadata: Value = serde_json::from_str(&json)?;
        let target_dir = metadata["target_directory"]
            .as_str()
            .context("target_directory in cargo metadata")?
            .into();
        Ok(Self {
            target_dir,
            metadata,
        })
    }

    /// What to build a package with: no feature, each alone, all together.
    pub(crate) fn feature_sets(&self, package: &str) -> Result<Vec<String>> {
        let features = self.metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|candidate| candidate["name"] == package)
            .and_then(|package| package["features"].as_object())
            .with_context(|| format!("package {package} in cargo metadata"))?;
        let names = features.keys().filter(|&name| name != "default");
        let each: Vec<_> = names.cloned().collect();
        let all = each.join(",");
        Ok([vec![String::new()], each, vec![all]].concat())
    }
}

/// One of rustup's LLVM tools, as `llvm-objdump`.
pub(crate) fn llvm_tool(name: &str) -> Result<PathBuf> {
    let sysroot = read(command("rustc").args(["--print", "sysroot"]))?;
    let host = read(command("rustc").args(["--print", "host-tuple"]))?;
    let path = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host.trim())
        .join("bin")
        .join(name);
    ensure!(
        path.exists(),
        "{name} is missing: rustup component add llvm-tools"
    );
    Ok(path)
}
