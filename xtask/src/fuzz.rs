//! Fuzzing: builds the targets of `tests/fuzz` with what a stable compiler has for it, runs them side by side, and says
//! how it went.

mod seeds;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::steps::Steps;
use crate::table::Table;
use crate::workspace::{Workspace, cargo, command, read};

/// Those of `tests/fuzz/fuzz_targets`, the slowest first.
const TARGETS: [&str; 9] = [
    "client",
    "session",
    "update",
    "differential",
    "codec",
    "json",
    "platforms",
    "websocket",
    "url",
];

/// A target with a known bug, which is to be found first: so it was seen that the search works.
const PLANTED: &str = "planted";
/// It takes less than a second.
const PLANTED_SECONDS: u32 = 60;

/// A workspace of its own.
const MANIFEST: &str = "tests/fuzz/Cargo.toml";

/// What cargo-fuzz gives the compiler, but for a sanitizer, which only a nightly compiler has: there is no `unsafe` in what
/// is fuzzed. The counters say which edges were taken, the table where they are; comparisons tell what is compared with.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const SECONDS: u32 = 20;
const LONG_SECONDS: u32 = 3_600;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which targets; all if none is named
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long to run each of them
    #[arg(long, value_name = "N", default_value_t = SECONDS)]
    seconds: u32,
    /// An hour each
    #[arg(long, conflicts_with = "seconds")]
    long: bool,
    /// Begins the search in the same way again; 0 is another way each time
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
}

/// Of the full run.
pub(crate) fn steps(steps: &mut Steps) -> Result<()> {
    let mut format = cargo();
    format.args(["fmt", "--check", "--manifest-path", MANIFEST]);
    steps.command("format: fuzz targets", &mut format)?;
    steps.call("fuzz: 20 s for each target", || {
        run(&Arguments {
            targets: Vec::new(),
            seconds: SECONDS,
            long: false,
            // A change decides about the result, not chance.
            seed: 1,
        })
    })
}

/// Builds once, runs the targets, prints the table; fails if one of them found something.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut targets: Vec<&str> = arguments.targets.iter().map(String::as_str).collect();
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    let seconds = if arguments.long {
        LONG_SECONDS
    } else {
        arguments.seconds
    };
    let fuzzer = Fuzzer::build(&Workspace::load()?, arguments.seed)?;
    fuzzer.finds_what_was_planted()?;
    for target in &targets {
        seeds::write(target, &fuzzer.directory("seeds", target)?)?;
    }
    let reports = fuzzer.run_all(&targets, seconds)?;
    let mut table = Table::new(["target", "executions", "edges", "seeds", "corpus", "result"]);
    for report in &reports {
        table.row(report.row());
    }
    println!("{table}");
    let found: Vec<_> = reports.iter().filter(|report| !report.passed).collect();
    for report in &found {
        report.explain()?;
    }
    ensure!(
        found.is_empty(),
        "{} of {} targets failed",
        found.len(),
        reports.len()
    );
    Ok(())
}

/// The programs, and where things lie.
struct Fuzzer {
    programs: PathBuf,
    /// Corpora, findings and logs.
    directory: PathBuf,
    /// Of the search.
    seed: u32,
}

impl Fuzzer {
    fn build(workspace: &Workspace, seed: u32) -> Result<Self> {
        let directory = workspace.target_dir.join("fuzz");
        let host = read(command("rustc").args(["--print", "host-tuple"]))?;
        // A target that is named keeps the flags away from build scripts and macros.
        let mut build = cargo();
        build
            .args(["build", "--release", "--locked", "--bins"])
            .args(["--manifest-path", MANIFEST, "--target", host.trim()])
            .arg("--target-dir")
            .arg(&directory)
            .env("RUSTFLAGS", FLAGS)
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        read(&mut build)?;
        Ok(Self {
            programs: directory.join(host.trim()).join("release"),
            directory,
            seed,
        })
    }

    /// A directory for a target.
    fn directory(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let directory = self.directory.join(kind).join(target);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    fn finds_what_was_planted(&self) -> Result<()> {
        let corpus = self.directory("corpus", PLANTED)?;
        fs::remove_dir_all(corpus)?;
        let report = self.run(PLANTED, PLANTED_SECONDS)?;
        ensure!(
            report.log.contains("the planted bug"),
            "the search does not find a planted bug: nothing that follows would mean anything\n{}",
            report.log
        );
        Ok(())
    }

    /// As many at a time as there are processors.
    fn run_all(&self, targets: &[&str], seconds: u32) -> Result<Vec<Report>> {
        let queue = Mutex::new(targets.iter());
        let reports = Mutex::new(Vec::new());
        let work = || loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.next());
            let Some(target) = next else {
                return;
            };
            let report = self.run(target, seconds);
            if let Ok(mut reports) = reports.lock() {
                reports.push(report);
            }
        };
        let workers = thread::available_parallelism().map_or(2, usize::from);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        let reports = reports.into_inner().unwrap_or_default();
        ensure!(reports.len() == targets.len(), "a target was lost");
        let mut reports = reports.into_iter().collect::<Result<Vec<_>>>()?;
        reports.sort_by_key(|report| targets.iter().position(|target| *target == report.target));
        Ok(reports)
    }

    fn run(&self, target: &str, seconds: u32) -> Result<Report> {
        let corpus = self.directory("corpus", target)?;
        let seeds = self.directory("seeds", target)?;
        let findings = self.directory("findings", target)?;
        let program = self.programs.join(target);
        let mut fuzz = command(&program);
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-seed={}", self.seed))
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            // With a slash, or it would begin the names.
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args([&corpus, &seeds]);
        let output = fuzz
            .output()
            .with_context(|| format!("cannot start {fuzz:?}"))?;
        Ok(Report {
            target: target.to_owned(),
            passed: output.status.success(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
            seeds: fs::read_dir(&seeds)?.count(),
            corpus: fs::read_dir(&corpus)?.count(),
            program,
        })
    }
}

/// How a target fared.
struct Report {
    target: String,
    passed: bool,
    log: String,
    seeds: usize,
    corpus: usize,
    program: PathBuf,
}

impl Report {
    fn row(&self) -> [String; 6] {
        let number = |label| self.number(label).unwrap_or_else(|| "-".to_owned());
        [
            self.target.clone(),
            number("stat::number_of_executed_units:"),
            number(" cov:"),
            self.seeds.to_string(),
            self.corpus.to_string(),
            if self.passed { "ok" } else { "FAILED" }.to_owned(),
        ]
    }

    /// The number behind the last such label.
    fn number(&self, label: &str) -> Option<String> {
        let (_, behind) = self.log.rsplit_once(label)?;
        behind.split_whitespace().next().map(str::to_owned)
    }

    /// What was found, and how to see it again.
    fn explain(&self) -> Result<()> {
        let what = self
            .log
            .lines()
            .skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR: libFuzzer"));
        println!("{}:", self.target);
        for line in what
            .take_while(|line| !line.starts_with("stack backtrace"))
            .take(8)
        {
            println!("  {line}");
        }
        let Some(file) = self.number("Test unit written to") else {
            bail!("{} failed without an input\n{}", self.target, self.log);
        };
        println!("  input:  {file}");
        println!("  bytes:  {}", hexadecimal(Path::new(&file))?);
        println!("  replay: {} {file}\n", self.program.display());
        Ok(())
    }
}

fn hexadecimal(file: &Path) -> Result<String> {
    let mut text = String::new();
    for byte in fs::read(file)? {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
