//! The images of `tests/firmware/qemu`: one for each target and transport.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::{Workspace, cargo, read, root};

/// The workspace of the images.
pub(super) const FOLDER: &str = "tests/firmware";

/// A machine of QEMU.
pub(super) struct Machine {
    /// Its folder in `examples/firmware`.
    pub(super) board: &'static str,
    /// The targets that its images are built for.
    pub(super) targets: &'static [&'static str],
}

pub(super) const MACHINES: [Machine; 2] = [
    Machine {
        board: "qemu-arm",
        targets: &["thumbv6m-none-eabi", "thumbv7m-none-eabi"],
    },
    Machine {
        board: "qemu-riscv",
        targets: &["riscv32imc-unknown-none-elf"],
    },
];

/// The way of an image to the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Plain,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Tls, Self::Ws, Self::Wss];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    const fn features(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls => "tls",
            Self::Ws => "websocket",
            Self::Wss => "tls,websocket",
        }
    }
}

/// One image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Image {
    pub(super) target: &'static str,
    pub(super) transport: Transport,
}

impl Image {
    /// Whether the full run boots it: every transport on one target, and those with and without TLS on the others.
    pub(super) fn is_usual(&self) -> bool {
        self.target == MACHINES[0].targets[0]
            || matches!(self.transport, Transport::Plain | Transport::Tls)
    }

    /// Builds it, and keeps it apart from the next one of the same target.
    pub(super) fn build(self, workspace: &Workspace) -> Result<()> {
        let mut build = cargo_in(workspace, FOLDER);
        build
            .args(["build", "--quiet", "--release", "--locked"])
            .args(["--package", "firmware-qemu", "--target", self.target])
            .args(["--features", self.transport.features()]);
        read(&mut build)?;
        let file = self.file(workspace);
        let made = target_dir(workspace)
            .join(self.target)
            .join("release/firmware-qemu");
        fs::create_dir_all(file.parent().context("a folder")?)?;
        fs::copy(&made, &file).with_context(|| format!("{}", made.display()))?;
        Ok(())
    }

    /// Where it is when it has been built.
    pub(super) fn file(self, workspace: &Workspace) -> PathBuf {
        let name = format!("{}-{}", self.target, self.transport.name());
        target_dir(workspace).join("images").join(name)
    }
}

/// As the host side wants it.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.target, self.transport.name())
    }
}

/// What is built of all firmware.
pub(super) fn target_dir(workspace: &Workspace) -> PathBuf {
    workspace.target_dir.join("firmware")
}

/// A cargo in a folder with its own settings, which builds into the common folder.
pub(super) fn cargo_in(workspace: &Workspace, folder: &str) -> Command {
    let mut cargo = cargo();
    cargo
        .current_dir(root().join(folder))
        .env("CARGO_TARGET_DIR", target_dir(workspace))
        // Settings of the caller must not change what is measured.
        .env_remove("RUSTFLAGS")
        .env_remove("DEFMT_LOG");
    cargo
}
