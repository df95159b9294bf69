//! What the images take, against red lines.

use anyhow::{Context as _, Result, ensure};

use crate::table::Table;
use crate::workspace::Workspace;

use super::elf::Elf;
use super::images::{Image, Transport};
use super::runs::Run;

/// Static RAM. The stack has a section of its own.
const RAM_SECTIONS: [&str; 3] = [".data", ".bss", ".uninit"];

/// What an image may take, in bytes.
struct RedLines {
    flash: u64,
    ram: u64,
    /// At the deepest. With TLS that is while the chain of certificates is verified.
    stack: u64,
    /// The future that keeps the link.
    run_future: u64,
}

/// A tenth above what was measured when they were drawn: the fields of [`RedLines`] in their order, for each of
/// [`Transport::ALL`].
const RED_LINES: [(&str, [[u64; 4]; Transport::ALL.len()]); 3] = [
    (
        "thumbv6m-none-eabi",
        [
            [153_500, 19_600, 5_800, 430],
            [273_000, 49_300, 40_300, 9_100],
            [166_500, 20_900, 6_400, 1_320],
            [286_000, 51_500, 46_600, 10_930],
        ],
    ),
    (
        "thumbv7m-none-eabi",
        [
            [148_500, 19_600, 5_300, 430],
            [266_500, 49_300, 39_400, 9_100],
            [162_500, 20_900, 5_900, 1_320],
            [278_000, 51_500, 45_600, 10_930],
        ],
    ),
    (
        "riscv32imc-unknown-none-elf",
        [
            [177_000, 43_600, 5_700, 430],
            [320_500, 73_200, 40_700, 9_100],
            [193_000, 44_800, 6_200, 1_320],
            [336_000, 75_400, 46_100, 10_930],
        ],
    ),
];

fn red_lines(image: Image) -> Result<RedLines> {
    let lines = RED_LINES.iter().find(|(target, _)| *target == image.target);
    let transports = Transport::ALL.into_iter();
    let line = lines.and_then(|(_, lines)| {
        let mut of_transport = transports.zip(lines);
        of_transport.find(|(transport, _)| *transport == image.transport)
    });
    let (_, [flash, ram, stack, run_future]) =
        line.with_context(|| format!("no red lines for {image}"))?;
    Ok(RedLines {
        flash: *flash,
        ram: *ram,
        stack: *stack,
        run_future: *run_future,
    })
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
        let limits = red_lines(*image)?;
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
