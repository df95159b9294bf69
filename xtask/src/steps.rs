//! Named steps: one line each as they end, a table at the end, the output of a failed one in full.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::table::Table;

/// Runs steps and remembers how they went.
pub(crate) struct Steps {
    keep_going: bool,
    only: Option<String>,
    log_dir: PathBuf,
    began: Instant,
    /// A step has failed, and no other is to begin.
    stopped: Arc<AtomicBool>,
    done: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    passed: bool,
}

impl Steps {
    /// Logs go to files in `log_dir`. With `only`, steps whose name does not contain it are left out.
    pub(crate) fn new(keep_going: bool, only: Option<String>, log_dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&log_dir)?;
        Ok(Self {
            keep_going,
            only,
            log_dir,
            began: Instant::now(),
            stopped: Arc::default(),
            done: Vec::new(),
        })
    }

    /// Runs two lists of steps at the same time: much of building and linking uses one processor only.
    pub(crate) fn side_by_side(
        &mut self,
        one: impl FnOnce(&mut Self) -> Result<()>,
        other: impl FnOnce(&mut Self) -> Result<()> + Send,
    ) -> Result<()> {
        let mut lane = Self {
            only: self.only.clone(),
            log_dir: self.log_dir.clone(),
            stopped: Arc::clone(&self.stopped),
            done: Vec::new(),
            ..*self
        };
        let (first, second) = thread::scope(|scope| {
            let second = scope.spawn(|| other(&mut lane));
            let first = one(self);
            let second = second.join().unwrap_or_else(|_| bail!("a step panicked"));
            (first, second)
        });
        self.done.append(&mut lane.done);
        first.and(second)
    }

    /// Runs a command with its output in a log file, which is printed when it fails.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log_dir.join(file_name(name));
        self.call(name, || {
            let file = File::create(&log)?;
            command.stdout(file.try_clone()?).stderr(file);
            let status = command
                .status()
                .with_context(|| format!("cannot start {command:?}"))?;
            ensure!(
                status.success(),
                "{}\n{command:?}: {status}",
                fs::read_to_string(&log)?
            );
            Ok(())
        })
    }

    /// Runs a function that prints what it has to say.
    pub(crate) fn call(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        let is_wanted = self.only.as_ref().is_none_or(|text| name.contains(text));
        if !is_wanted || self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let start = Instant::now();
        let outcome = step();
        let took = start.elapsed();
        let passed = outcome.is_ok();
        let verdict = if passed { "ok" } else { "FAILED" };
        println!("{name:<68}{verdict:>6}{:>9.1} s", took.as_secs_f32());
        self.done.push(Step {
            name: name.to_owned(),
            took,
            passed,
        });
        match outcome {
            Err(error) if self.keep_going => {
                eprintln!("{error:#}");
                Ok(())
            }
            Err(error) => {
                self.stopped.store(true, Ordering::Relaxed);
                Err(error.context(format!("step \"{name}\" failed")))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Prints the table; fails if a step failed or none ran.
    pub(crate) fn finish(self) -> Result<()> {
        let mut table = Table::new(["step", "result", "time"]);
        for step in &self.done {
            let result = if step.passed { "ok" } else { "FAILED" };
            let time = format!("{:.1} s", step.took.as_secs_f32());
            table.row([step.name.clone(), result.to_owned(), time]);
        }
        println!(
            "\n{table}\n{:.0} s in all",
            self.began.elapsed().as_secs_f32()
        );
        match self.done.iter().filter(|step| !step.passed).count() {
            _ if self.done.is_empty() => bail!("no step has that name"),
            0 => Ok(()),
            failed => bail!("{failed} of {} steps failed", self.done.len()),
        }
    }
}

fn file_name(step: &str) -> String {
    let plain = step.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("{}.log", plain.trim_matches('-'))
}
