//! Named steps: one line each while they run, a table at the end, the output of a failed one in full.

use std::fs::{self, File};
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::table::Table;

/// Runs steps and remembers how they went.
pub(crate) struct Steps {
    keep_going: bool,
    only: Option<String>,
    log_dir: PathBuf,
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
            done: Vec::new(),
        })
    }

    /// Runs a command with its output in a log file, which is printed when it fails.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = self.log_dir.join(file_name(name));
        self.run(name, "", || {
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

    /// Runs a function that prints a table.
    pub(crate) fn call(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        self.run(name, "\n", step)
    }

    /// `separator` stands between the name and what the step prints or, if nothing, its result.
    fn run(
        &mut self,
        name: &str,
        separator: &str,
        step: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if self.only.as_ref().is_some_and(|text| !name.contains(text)) {
            return Ok(());
        }
        print!("{name:<62}{separator}");
        stdout().flush()?;
        let start = Instant::now();
        let outcome = step();
        let took = start.elapsed();
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("{verdict:>6}{:>9.1} s", took.as_secs_f32());
        self.done.push(Step {
            name: name.to_owned(),
            took,
            passed: outcome.is_ok(),
        });
        match outcome {
            Err(error) if self.keep_going => {
                eprintln!("{error:#}");
                Ok(())
            }
            outcome => outcome.with_context(|| format!("step \"{name}\" failed")),
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
        let total: Duration = self.done.iter().map(|step| step.took).sum();
        println!("\n{table}\n{:.0} s in all", total.as_secs_f32());
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
