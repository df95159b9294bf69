//! Figures for a quiet machine: instructions per packet and the end-to-end table.

use anyhow::{Context as _, Result, ensure};

use crate::workspace::cargo;
use crate::{codec, install};

/// Runs both and prints their tables; a crossed red line is an error, after both were printed.
pub(crate) fn run(runs: u32) -> Result<()> {
    let counted = codec::print();
    if let Err(error) = &counted {
        eprintln!("{error:#}");
    }
    end_to_end(runs)?;
    counted
}

fn end_to_end(runs: u32) -> Result<()> {
    install::programs(&[("strace", "strace")])?;
    let status = cargo()
        .args(["run", "-q", "--release", "-p", "bench-e2e", "--"])
        .args(["--runs", &runs.to_string()])
        .status()
        .context("bench-e2e")?;
    ensure!(status.success(), "bench-e2e: {status}");
    Ok(())
}
