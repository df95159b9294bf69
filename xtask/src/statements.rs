//! The table of the standard's statements and their tests; `mqtt-tests` knows how to write it.

use anyhow::{Context as _, Result, ensure};

use crate::workspace::cargo;

/// Writes the table; a statement without test and reason is an error.
pub(crate) fn write() -> Result<()> {
    let mut program = cargo();
    program.args(["run", "--quiet", "-p", "mqtt-tests", "--bin", "statements"]);
    let status = program.status().context("cargo")?;
    ensure!(status.success(), "the table is not complete");
    Ok(())
}
