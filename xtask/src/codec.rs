//! Instructions per packet, counted by callgrind, which do not depend on how busy the machine is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::install;
use crate::table::Table;
use crate::workspace::{Workspace, cargo, command, read};

/// `codec-count`'s name for a case, its red line and its goal.
const CASES: [(&str, u64, u64); 7] = [
    ("encode-publish-64", 190, 120),
    ("encode-publish-4096", 600, 540),
    ("decode-publish-64", 290, 200),
    ("encode-connect", 500, 280),
    ("encode-subscribe", 150, 100),
    ("encode-puback", 17, 12),
    ("decode-suback", 120, 80),
];

/// Counts and prints the table; crossing a red line is an error.
pub(crate) fn print() -> Result<()> {
    install::programs(&[("valgrind", "valgrind")])?;
    let program = build(&Workspace::load()?)?;
    let mut table = Table::new(["instructions", "measured", "red line", "goal", ""]);
    let mut crossed = Vec::new();
    for (case, red_line, goal) in CASES {
        let measured = per_packet(&program, case)?;
        let verdict = if measured > red_line { "CROSSED" } else { "" };
        let cells = [measured, red_line, goal].map(|number| number.to_string());
        let [measured_cell, red_line_cell, goal_cell] = cells;
        let verdict_cell = verdict.to_owned();
        table.row([
            case.to_owned(),
            measured_cell,
            red_line_cell,
            goal_cell,
            verdict_cell,
        ]);
        if measured > red_line {
            crossed.push(case);
        }
    }
    println!("{table}");
    ensure!(
        crossed.is_empty(),
        "red line crossed: {}",
        crossed.join(", ")
    );
    Ok(())
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let bin = "codec-count";
    read(cargo().args(["build", "--release", "-p", "mqtt-tests", "--bin", bin]))?;
    Ok(workspace.target_dir.join("release").join(bin))
}

/// What start and end of the program cost drops out of the difference of two runs.
fn per_packet(program: &Path, case: &str) -> Result<u64> {
    const PACKETS: u64 = 1_000;
    let once = instructions(program, case, PACKETS)?;
    let twice = instructions(program, case, 2 * PACKETS)?;
    let difference = twice.checked_sub(once).context("more packets, less work")?;
    Ok(difference.div_ceil(PACKETS))
}

fn instructions(program: &Path, case: &str, packets: u64) -> Result<u64> {
    let mut valgrind = command("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([case, &packets.to_string()]);
    let output = valgrind.output().context("valgrind")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{valgrind:?}\n{report}");
    report
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok())
        .with_context(|| format!("no instruction count in\n{report}"))
}
