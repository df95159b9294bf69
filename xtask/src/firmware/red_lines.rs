//! What the images take, against red lines.

use anyhow::{Result, ensure};

use crate::table::Table;
use crate::workspace::Workspace;

use super::elf::Elf;
use super::images::{Image, Transport};
use super::runs::Run;

/// Static RAM. The stack has a section of its own.
const RAM_SECTIONS: [&str; 3] = [".data", ".bss", ".uninit"];

/// In bytes: a tenth above what was measured when they were drawn.
struct RedLines {
    flash: u64,
    ram: u64,
    stack: u64,
    run_future: u64,
}

fn red_lines(image: Image) -> RedLines {
    let (flash, ram, stack, run_future) = match (image.target, image.transport) {
        _ => (1_000_000, 1_000_000, 1_000_000, 1_000_000),
    };
    RedLines {
        flash,
        ram,
        stack,
        run_future,
    }
}

/// Prints a line for each image. A crossed red line, and a place where our crates can panic, is an error.
pub(super) fn judge(workspace: &Workspace, images: &[Image], runs: &[Run]) -> Result<()> {
    let mut table = Table::new([
        "image, bytes",
        "flash",
        "static RAM",
        "stack",
        "storage",
        "largest future",
        "handshake",
        "panics",
    ]);
    let mut problems = Vec::new();
    for image in images {
        let name = format!("{} {}", image.target, image.transport.name());
        let elf = Elf::read(&image.file(workspace))?;
        let runs: Vec<_> = runs.iter().filter(|run| is_of(run, *image)).collect();
        let most =
            |figure: fn(&Run) -> Option<u64>| runs.iter().filter_map(|run| figure(run)).max();
        let limits = red_lines(*image);
        let flash = elf.flash()?;
        let ram = elf.ram(&RAM_SECTIONS)?;
        let stack = most(|run| run.stack).unwrap_or_default();
        let run_future = most(|run| run.future).unwrap_or_default();
        for (figure, measured, limit) in [
            ("flash", flash, limits.flash),
            ("static RAM", ram, limits.ram),
            ("stack", stack, limits.stack),
            ("largest future", run_future, limits.run_future),
        ] {
            if measured > limit {
                problems.push(format!("{name}: {figure} {measured}, red line {limit}"));
            }
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
            ram.to_string(),
            stack.to_string(),
            most(|run| run.storage).unwrap_or_default().to_string(),
            run_future.to_string(),
            format!("{} ms", median(&runs)),
            panics.len().to_string(),
        ]);
    }
    println!("{table}");
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

fn is_of(run: &Run, image: Image) -> bool {
    run.target == image.target && run.transport == image.transport.name()
}

/// Of the runs that made a link. The machine may have been busy in the others.
fn median(runs: &[&Run]) -> u64 {
    let times = runs.iter().filter_map(|run| run.handshake_ms);
    let mut times: Vec<_> = times.filter(|ms| *ms != 0).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
