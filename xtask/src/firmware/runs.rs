//! The runs of the host side, as they come.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::table::Table;

/// What the host side tells of a run.
#[derive(Deserialize, Clone, Debug)]
pub(super) struct Run {
    pub(super) target: String,
    pub(super) transport: String,
    version: u8,
    scenario: String,
    passed: bool,
    verdict: String,
    /// Bytes of the stack that were used at most.
    pub(super) stack: Option<u64>,
    /// Bytes of `Storage`.
    pub(super) storage: Option<u64>,
    /// Bytes of the future that keeps the link.
    #[serde(rename = "run_future")]
    pub(super) future: Option<u64>,
    pub(super) handshake_ms: Option<u64>,
    seconds: f32,
}

/// Runs the command, shows each run when it has ended, and prints them all as a table. The result says whether all
/// passed.
pub(super) fn watch(command: &mut Command) -> Result<(Vec<Run>, Result<()>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let output = child.stdout.take().context("a pipe")?;
    let mut runs = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        let run: Run = serde_json::from_str(&line).with_context(|| line.clone())?;
        let verdict = if run.passed { "ok" } else { "FAILED" };
        println!("  {:<58}{verdict:>6}{:>9.1} s", run.name(), run.seconds);
        runs.push(run);
    }
    let status = child.wait()?;
    println!("\n{}", table(&runs));
    let failed: Vec<_> = runs
        .iter()
        .filter(|run| !run.passed)
        .map(Run::name)
        .collect();
    let result = (|| {
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        ensure!(status.success(), "{command:?}: {status}");
        Ok(())
    })();
    Ok((runs, result))
}

impl Run {
    fn name(&self) -> String {
        let Self {
            target,
            transport,
            version,
            scenario,
            ..
        } = self;
        format!("{target} {transport} v{version} {scenario}")
    }
}

fn table(runs: &[Run]) -> Table<6> {
    let mut table = Table::new(["image", "MQTT", "scenario", "verdict", "handshake", "time"]);
    let mut runs: Vec<_> = runs.iter().collect();
    runs.sort_by_key(|run| (run.target.clone(), run.transport.clone()));
    for run in runs {
        let handshake = run.handshake_ms.filter(|ms| *ms != 0);
        let mut verdict = run.verdict.clone();
        if !run.passed {
            verdict.insert_str(0, "FAILED: ");
        }
        table.row([
            format!("{} {}", run.target, run.transport),
            if run.version == 3 { "3.1.1" } else { "5" }.to_owned(),
            run.scenario.clone(),
            verdict,
            handshake.map_or_else(String::new, |ms| format!("{ms} ms")),
            format!("{:.1} s", run.seconds),
        ]);
    }
    table
}
