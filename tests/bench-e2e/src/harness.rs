//! Starts clients against the broker, one at a time, all on one core.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::broker::Broker;
use crate::client::{Kind, Report, Task};
use crate::measure::{Figure, MEASURES, Measure, count};

/// Medians, by position in [`MEASURES`] and client.
pub(crate) type Medians = BTreeMap<(usize, u8), f64>;

/// Runs every measure `runs` times with the clients taking turns.
pub(crate) fn run(runs: u32) -> Result<Medians> {
    pin_to_one_core()?;
    let mut samples: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        for kind in Kind::ALL {
            for (index, figure) in figures(kind)? {
                samples.entry((index, kind as u8)).or_default().push(figure);
            }
        }
    }
    Ok(samples
        .into_iter()
        .map(|(key, values)| (key, median(values)))
        .collect())
}

/// Each measure once for one client; measures of the same run share it.
fn figures(kind: Kind) -> Result<Vec<(usize, f64)>> {
    let mut figures = Vec::new();
    let mut runs: Vec<(Task, Run)> = Vec::new();
    for (index, measure) in MEASURES.iter().enumerate() {
        let figure = if measure.figure == Figure::SystemCalls {
            system_calls(kind, measure.task)?
        } else {
            let known = runs.iter().find(|(task, _)| *task == measure.task);
            let run = match known {
                Some((_, run)) => *run,
                None => measure_once(kind, measure.task)?,
            };
            runs.push((measure.task, run));
            run.figure(measure)
        };
        figures.push((index, figure));
    }
    Ok(figures)
}

#[derive(Debug, Clone, Copy)]
struct Run {
    count: u32,
    elapsed: Duration,
    report: Report,
}

impl Run {
    fn figure(&self, measure: &Measure) -> f64 {
        let count = f64::from(self.count);
        match measure.figure {
            Figure::Rate => count / self.elapsed.as_secs_f64() / 1e3,
            Figure::Cpu => self.report.cpu.as_secs_f64() / count * 1e5,
            Figure::RoundTrip => self.report.round_trip.as_secs_f64() * 1e6,
            Figure::SystemCalls => f64::NAN,
        }
    }
}

fn measure_once(kind: Kind, task: Task) -> Result<Run> {
    let count = count(kind, task);
    let program = Command::new(env::current_exe()?);
    let (elapsed, output) = serve(program, kind, task, count)?;
    Ok(Run {
        count,
        elapsed,
        report: Report::parse(&output)?,
    })
}

/// Calls of a long run less those of a short one, so that start and end of the process do not count.
fn system_calls(kind: Kind, task: Task) -> Result<f64> {
    const COUNT: u32 = 10_000;
    let short = counted_by_strace(kind, task, COUNT)?;
    let long = counted_by_strace(kind, task, 3 * COUNT)?;
    Ok((long - short) / f64::from(2 * COUNT))
}

fn counted_by_strace(kind: Kind, task: Task, count: u32) -> Result<f64> {
    let summary = env::temp_dir().join(format!("bench-e2e-{}.strace", std::process::id()));
    let mut program = Command::new("strace");
    program.args(["-f", "-c", "-o"]).arg(&summary);
    program.arg(env::current_exe()?);
    serve(program, kind, task, count)?;
    let text = fs::read_to_string(&summary)?;
    fs::remove_file(&summary)?;
    total_calls(&text).with_context(|| format!("no total in\n{text}"))
}

/// `100.00    0.012345           1     12345        67 total`
fn total_calls(summary: &str) -> Option<f64> {
    let total = summary.lines().find(|line| line.ends_with("total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

/// Starts the client and serves it; returns the broker's time and what the client printed.
fn serve(mut program: Command, kind: Kind, task: Task, count: u32) -> Result<(Duration, String)> {
    let broker = Broker::bind()?;
    let mut child = program
        .args(["client", name(&kind).as_str(), name(&task).as_str()])
        .args([broker.port()?.to_string(), count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program:?}"))?;
    let served = broker.serve(count);
    if served.is_err() {
        child.kill()?;
    }
    let output = finish(child).with_context(|| format!("{kind:?}, {task:?}"))?;
    let elapsed = served.with_context(|| format!("broker for {kind:?}, {task:?}"))?;
    Ok((elapsed, output))
}

fn finish(mut child: Child) -> Result<String> {
    let mut output = String::new();
    let mut stdout = child.stdout.take().context("no pipe")?;
    stdout.read_to_string(&mut output)?;
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(output)
}

/// A value as it is written on the command line.
fn name(value: &impl clap::ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The last core that this process may use; clients inherit it.
fn pin_to_one_core() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu));
    let mut one = CpuSet::new();
    one.set(last.context("no core")?);
    Ok(sched_setaffinity(None, &one)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
