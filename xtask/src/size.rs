//! Flash, RAM and panic branches of the firmware jobs in `tests/size`, against their red lines.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::image::Image;
use crate::install;
use crate::table::Table;
use crate::workspace::{Workspace, cargo, read};

/// Red lines hold on the first target, with some allowance on the others: see [`allowance_percent`].
const TARGETS: [&str; 3] = [
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

const JOBS: [Job; 10] = [
    Job {
        name: "session 3.1.1",
        bin: "session",
        stubs: "session-stubs",
        features: "",
        limits: &[
            flash(8_500, 4_800),
            Limit {
                figure: "size of Session, 4 + 4 in flight",
                measured: |job| job.image.size_of("SESSION"),
                red_line: 256,
                goal: 112,
            },
            PANIC_BRANCHES,
            FORMATTING,
        ],
    },
    Job {
        name: "session 3.1.1 and 5",
        bin: "session",
        stubs: "session-stubs",
        features: "v5",
        limits: &[PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "client 3.1.1",
        bin: "client",
        stubs: "client-stubs",
        features: "client",
        limits: &[
            flash(13_300, 8_000),
            Limit {
                figure: RAM,
                measured: |job| Some(job.ram),
                red_line: 1_200,
                goal: 800,
            },
            PANIC_BRANCHES,
            FORMATTING,
        ],
    },
    Job {
        name: "client 3.1.1 and 5",
        bin: "client",
        stubs: "client-stubs",
        features: "client,v5",
        limits: &[flash(21_000, 12_000), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "typed report to Losant, on top of session",
        bin: "session",
        stubs: "session",
        features: "losant",
        limits: &[flash(2_500, 900), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "typed telemetry to ThingsBoard, on top of session",
        bin: "session",
        stubs: "session",
        features: "thingsboard",
        limits: &[flash(2_500, 900), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "typed event to Watson IoT, on top of session",
        bin: "session",
        stubs: "session",
        features: "watson-iot",
        limits: &[flash(2_500, 900), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "typed state to PlaceOS, on top of session",
        bin: "session",
        stubs: "session",
        features: "place-os",
        limits: &[flash(2_500, 900), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "firmware update from ThingsBoard, on top of session",
        bin: "session",
        stubs: "session",
        features: "thingsboard-update",
        // SHA-256 takes 2.5 KB of it, reading and writing JSON 4 KB. A tenth above what was measured.
        limits: &[flash(21_500, 15_000), PANIC_BRANCHES, FORMATTING],
    },
    Job {
        name: "managed device of Watson IoT, on top of session",
        bin: "session",
        stubs: "session",
        features: "watson-iot-management",
        // A tenth above what was measured.
        limits: &[flash(14_700, 10_000), PANIC_BRANCHES, FORMATTING],
    },
];

const fn flash(red_line: u64, goal: u64) -> Limit {
    Limit {
        figure: "flash with run-time",
        measured: |job| Some(job.flash),
        red_line,
        goal,
    }
}

/// Statics, state and futures.
const RAM: &str = "RAM besides buffers";

const PANIC_BRANCHES: Limit = Limit {
    figure: "panic branches (count)",
    measured: |job| u64::try_from(job.panic_branches).ok(),
    red_line: 7,
    goal: 0,
};

const FORMATTING: Limit = Limit {
    figure: "core::fmt",
    measured: |job| Some(job.image.formatting),
    red_line: 0,
    goal: 0,
};

/// Sizes of types that a job may export, beside those with a limit.
const FACTS: [(&str, &str); 3] = [
    ("STATE", "size of the state, without buffers"),
    ("RUN_FUTURE", "size of the run future"),
    ("JOB_FUTURE", "size of the job's own future"),
];

/// A program of `tests/size`.
struct Job {
    name: &'static str,
    bin: &'static str,
    /// The program without the job, whose bytes are subtracted; the same one without the features, for one more message.
    stubs: &'static str,
    features: &'static str,
    limits: &'static [Limit],
}

/// A figure of a job that is not to grow.
struct Limit {
    figure: &'static str,
    measured: fn(&Measured) -> Option<u64>,
    red_line: u64,
    goal: u64,
}

/// A job's image, less its stubs where the figure is a sum of bytes.
struct Measured {
    image: Image,
    flash: u64,
    ram: u64,
    panic_branches: usize,
}

/// One line of the table.
struct Line {
    figure: String,
    measured: u64,
    limit: Option<u64>,
    goal: Option<u64>,
}

/// Measures and prints the table; crossing a red line is an error.
pub(crate) fn print() -> Result<()> {
    install::for_devices()?;
    let workspace = Workspace::load()?;
    let mut lines = Vec::new();
    for target in TARGETS {
        lines.extend(measure_target(&workspace, target)?);
    }
    println!("{}", table(&lines));
    let crossed: Vec<_> = lines.iter().filter(|line| line.is_crossed()).collect();
    let names: Vec<_> = crossed.iter().map(|line| line.figure.as_str()).collect();
    ensure!(crossed.is_empty(), "red line crossed: {}", names.join(", "));
    Ok(())
}

fn measure_target(workspace: &Workspace, target: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for job in &JOBS {
        let build = |bin, features| Image::measure(&build(workspace, target, bin, features)?);
        let base_features = if job.stubs == job.bin {
            ""
        } else {
            job.features
        };
        let image = build(job.bin, job.features)?;
        let measured = Measured::new(image, &build(job.stubs, base_features)?)
            .with_context(|| format!("{} is smaller than its stubs", job.name))?;
        for branch in &measured.image.panic_branches {
            println!("{target} {}: panic in {branch}", job.name);
        }
        lines.extend(measured.lines(target, job)?);
    }
    Ok(lines)
}

/// Builds a program of `tests/size` and returns the path of its image.
fn build(workspace: &Workspace, target: &str, bin: &str, features: &str) -> Result<PathBuf> {
    let target_dir = workspace.target_dir.join("size");
    read(
        cargo()
            .args(["build", "--release"])
            .args(["--manifest-path", "tests/size/Cargo.toml"])
            .args(["--target", target, "--bin", bin])
            .args(["--features", features])
            .arg("--target-dir")
            .arg(&target_dir),
    )?;
    Ok(target_dir.join(target).join("release").join(bin))
}

impl Measured {
    fn new(image: Image, stubs: &Image) -> Option<Self> {
        let ram = |image: &Image| image.ram.checked_sub(image.size_of("BUFFERS").unwrap_or(0));
        Some(Self {
            flash: image.flash.checked_sub(stubs.flash)?,
            ram: ram(&image)?.checked_sub(ram(stubs)?)?,
            panic_branches: image
                .panic_branches
                .len()
                .saturating_sub(stubs.panic_branches.len()),
            image,
        })
    }

    fn lines(&self, target: &str, job: &Job) -> Result<Vec<Line>> {
        let name = |figure: &str| format!("{target} {}: {figure}", job.name);
        let run_time = self.flash.saturating_sub(self.image.run_time);
        let mut lines = vec![Line::plain(name("flash without run-time"), run_time)];
        if job.limits.iter().all(|limit| limit.figure != RAM) && self.ram > 0 {
            lines.push(Line::plain(name(RAM), self.ram));
        }
        for (symbol, figure) in FACTS {
            let size = self.image.size_of(symbol);
            lines.extend(size.map(|size| Line::plain(name(figure), size)));
        }
        for limit in job.limits {
            let measured = (limit.measured)(self)
                .with_context(|| format!("{} has no {}", job.bin, limit.figure))?;
            lines.push(Line {
                figure: name(limit.figure),
                measured,
                limit: Some(limit.red_line_on(target)),
                goal: Some(limit.goal),
            });
        }
        Ok(lines)
    }
}

impl Limit {
    fn red_line_on(&self, target: &str) -> u64 {
        self.red_line * (100 + allowance_percent(target)) / 100
    }
}

/// By how much a target may exceed the red lines of thumbv6m.
///
/// About a tenth is what was meant for all others. RISC-V takes more: its functions save and restore each register
/// by an instruction of four or two bytes, and the routines that would do it for them are not in the prebuilt
/// libraries of the compiler.
fn allowance_percent(target: &str) -> u64 {
    match target {
        "thumbv6m-none-eabi" => 0,
        "riscv32imc-unknown-none-elf" => 20,
        _ => 10,
    }
}

impl Line {
    fn plain(figure: String, measured: u64) -> Self {
        Self {
            figure,
            measured,
            limit: None,
            goal: None,
        }
    }

    fn is_crossed(&self) -> bool {
        self.limit.is_some_and(|limit| self.measured > limit)
    }
}

fn table(lines: &[Line]) -> Table<5> {
    let mut table = Table::new(["bytes", "measured", "red line", "goal", ""]);
    let optional = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    for line in lines {
        let verdict = if line.is_crossed() { "CROSSED" } else { "" };
        table.row([
            line.figure.clone(),
            line.measured.to_string(),
            optional(line.limit),
            optional(line.goal),
            verdict.to_owned(),
        ]);
    }
    table
}
