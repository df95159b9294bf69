//! One run from its begin to its verdict.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::json;

use crate::Arguments;
use crate::case::{Case, name};
use crate::emulator::{Emulator, Ended};
use crate::scenarios;
use crate::stage::Stage;

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) passed: bool,
    pub(crate) verdict: String,
    /// The log of the firmware.
    pub(crate) log: String,
    figures: Option<Figures>,
    took: Duration,
}

/// What the firmware has measured, in bytes and milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Figures {
    stack: u32,
    stack_size: u32,
    storage: u32,
    run_future: u32,
    handshake_ms: u32,
}

/// Plays a case.
pub(crate) fn run(case: &Case, arguments: &Arguments) -> Outcome {
    let mut emulator = None;
    let stage = Stage::new(case, arguments, &mut emulator);
    let played = catch_unwind(AssertUnwindSafe(|| scenarios::play(stage)));
    let complaint = played.err().map(|panic| text(panic.as_ref()));
    // A firmware that the host has given up on is not waited for, but it may be about to say why.
    let seconds = if complaint.is_some() { 2 } else { 60 };
    let ended =
        emulator.map(|emulator: Emulator| emulator.end_within(Duration::from_secs(seconds)));
    let outcome = judge(case, complaint, ended);
    let file = case.to_string().replace(' ', "-") + ".log";
    let log = format!("{case}: {}\n{}", outcome.verdict, outcome.log);
    if let Err(error) = fs::write(arguments.logs.join(&file), log) {
        eprintln!("{file}: {error}");
    }
    outcome
}

/// All must be right: the status of the firmware, what the host saw, and the figures.
fn judge(case: &Case, complaint: Option<String>, ended: Option<Ended>) -> Outcome {
    let Some(Ended { status, log, took }) = ended else {
        return Outcome {
            passed: false,
            verdict: complaint.unwrap_or_else(|| "the firmware was not booted".to_owned()),
            log: String::new(),
            figures: None,
            took: Duration::ZERO,
        };
    };
    let status_is_right = status == Some(case.scenario.status());
    let own = verdict(&log).unwrap_or(if status_is_right {
        "good"
    } else {
        "no verdict"
    });
    let figures = figures(&log);
    let mut problems = Vec::new();
    // Without a status, the host has given up on it: its complaint is the reason, if there is one.
    if !status_is_right && (status.is_some() || complaint.is_none()) {
        problems.push(match status {
            Some(101) => "panic (status 101)".to_owned(),
            Some(102) => "fault (status 102)".to_owned(),
            Some(103) => "time limit (status 103)".to_owned(),
            Some(status) => format!("{own} (status {status})"),
            None => "hangs".to_owned(),
        });
    }
    problems.extend(complaint);
    if status_is_right && figures.is_none() && case.image.has_report() {
        problems.push("no report".to_owned());
    }
    Outcome {
        passed: problems.is_empty(),
        verdict: if problems.is_empty() {
            own.to_owned()
        } else {
            problems.join("; ")
        },
        log,
        figures,
        took,
    }
}

impl Outcome {
    /// One line for `cargo xtask firmware`.
    pub(crate) fn json(&self, case: &Case) -> String {
        let figure = |get: fn(&Figures) -> u32| self.figures.as_ref().map(get);
        json!({
            "target": case.image.target,
            "transport": name(&case.image.transport),
            "version": case.version_number(),
            "scenario": name(&case.scenario),
            "passed": self.passed,
            "verdict": self.verdict,
            "stack": figure(|figures| figures.stack),
            "stack_size": figure(|figures| figures.stack_size),
            "storage": figure(|figures| figures.storage),
            "run_future": figure(|figures| figures.run_future),
            "handshake_ms": figure(|figures| figures.handshake_ms),
            "seconds": self.took.as_secs_f32(),
        })
        .to_string()
    }
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panic").to_owned()
}

fn verdict(log: &str) -> Option<&str> {
    let mut verdicts = log.lines().filter_map(|line| line.split_once("verdict: "));
    verdicts.next_back().map(|(_, verdict)| verdict)
}

/// Reads `report: stack 5120 of 65536, storage 3500, run future 900, handshake 70 ms`.
fn figures(log: &str) -> Option<Figures> {
    let (_, report) = log.lines().find_map(|line| line.split_once("report: "))?;
    let words = report.split([' ', ',']);
    let mut numbers = words.filter_map(|word| word.parse().ok());
    Some(Figures {
        stack: numbers.next()?,
        stack_size: numbers.next()?,
        storage: numbers.next()?,
        run_future: numbers.next()?,
        handshake_ms: numbers.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read_from_the_log() {
        let log = "info link: Connected\n\
            info report: stack 5120 of 65536, storage 3500, run future 900, handshake 70 ms\n";
        let figures = figures(log).expect("a report");
        assert_eq!((figures.stack, figures.handshake_ms), (5120, 70));
        assert_eq!((figures.storage, figures.run_future), (3500, 900));
    }
}
