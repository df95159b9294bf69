//! Proof that the simulation can fail: deliberate mistakes in session and client, each of which it must catch.

mod all;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::simulate::PROFILE;
use crate::table::Table;
use crate::workspace::{Workspace, cargo, command, root};

/// The list, from the root.
const LIST: &str = "tests/simulation/mutations.toml";

/// What the simulation is built from.
const SOURCES: [&str; 2] = ["mqtt-core", "tests/simulation"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seeds until a mutation counts as missed
    #[arg(long, default_value_t = 400_000)]
    seeds: u64,
    /// Only those whose name contains this text; with `--all`, whose path, function or change matches it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// cargo-mutants instead: every change it can think of in session and codec, against all tests of the core and
    /// the simulation; takes hours, and is installed when it is missing
    #[arg(long)]
    all: bool,
}

/// One mistake.
#[derive(Deserialize)]
struct Mutation {
    name: String,
    /// What a user would have to live with.
    #[serde(rename = "seen")]
    _seen: String,
    file: String,
    /// Stands exactly once in the file.
    find: String,
    replace: String,
}

#[derive(Deserialize)]
struct List {
    mutation: Vec<Mutation>,
}

/// Makes each mistake in a copy of the sources, and fails if one is not caught.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.all {
        return all::run(arguments.only.as_deref());
    }
    let scratch = Workspace::load()?.target_dir.join("mutants");
    copy_sources(&scratch)?;
    let mut table = Table::new(["mutation", "caught by", "at seed", "seeds"]);
    let mut missed = 0;
    for mutation in read_list(root())? {
        let wanted = arguments.only.as_ref();
        if wanted.is_some_and(|text| !mutation.name.contains(text)) {
            continue;
        }
        let finding = judge(&mutation, &scratch, arguments.seeds)?;
        let [rule, seed, seeds] = &finding.unwrap_or_else(|| {
            missed += 1;
            ["MISSED".into(), "-".into(), arguments.seeds.to_string()]
        });
        println!("{:<56} {rule}", mutation.name);
        table.row([mutation.name, rule.clone(), seed.clone(), seeds.clone()]);
    }
    println!("\n{table}");
    ensure!(missed == 0, "{missed} mutations were not caught");
    Ok(())
}

fn read_list(root: &Path) -> Result<Vec<Mutation>> {
    let list: List = toml::from_str(&fs::read_to_string(root.join(LIST))?)?;
    Ok(list.mutation)
}

impl Mutation {
    /// The text of the file with the mistake in it.
    fn apply(&self, root: &Path) -> Result<String> {
        let text = fs::read_to_string(root.join(&self.file)).context(self.file.clone())?;
        let count = text.matches(&self.find).count();
        ensure!(
            count == 1,
            "\"{}\": found {count} times in {}",
            self.name,
            self.file
        );
        Ok(text.replace(&self.find, &self.replace))
    }
}

/// A workspace of what the simulation needs and nothing else, so that it is built quickly.
fn copy_sources(scratch: &Path) -> Result<()> {
    for source in SOURCES {
        let to = scratch.join(source);
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        copy(&root().join(source), &to)?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let lines = manifest.lines().map(|line| match line.split_once(" = ") {
        Some(("members", _)) => format!("members = {SOURCES:?}"),
        Some(("exclude", _)) => String::new(),
        _ => line.to_owned(),
    });
    fs::write(
        scratch.join("Cargo.toml"),
        lines.collect::<Vec<_>>().join("\n"),
    )?;
    fs::copy(root().join("Cargo.lock"), scratch.join("Cargo.lock"))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The rule that caught it, the seed, and how many were lived; `None` if nothing did.
fn judge(mutation: &Mutation, scratch: &Path, seeds: u64) -> Result<Option<[String; 3]>> {
    let file = scratch.join(&mutation.file);
    fs::write(&file, mutation.apply(root())?)?;
    let lived = build(scratch).and_then(|program| live(&program, seeds));
    fs::copy(root().join(&mutation.file), file)?;
    let output = lived.with_context(|| format!("mutation \"{}\"", mutation.name))?;
    let lived = output.lines().find_map(|line| line.strip_prefix("seeds "));
    let failed = output
        .lines()
        .find_map(|line| line.strip_prefix("FAILED seed "));
    let Some((seed, rest)) = failed.and_then(|line| line.split_once(": ")) else {
        return Ok(None);
    };
    let rule = rest.split(" (").next().unwrap_or(rest);
    let lived = lived.unwrap_or_default().trim();
    Ok(Some([rule.into(), seed.into(), lived.into()]))
}

/// Quickly rather than well: most mutations are caught within some hundred seeds.
fn build(scratch: &Path) -> Result<PathBuf> {
    let target = scratch.join("target");
    let mut build = cargo();
    build
        .current_dir(scratch)
        .args(["build", "--quiet", "--offline", "--profile", PROFILE])
        .args(["-p", "mqtt-simulation"])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_SIMULATION_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_SIMULATION_INCREMENTAL", "true")
        // A mistake may leave something unused.
        .env("RUSTFLAGS", "-Awarnings");
    ensure!(build.status().context("cargo")?.success(), "does not build");
    Ok(target.join(PROFILE).join("simulate"))
}

fn live(program: &Path, seeds: u64) -> Result<String> {
    let output = command(program)
        .args(["--as-it-is", "--seeds", &seeds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("simulate")?;
    match output.status.code() {
        Some(0 | 1) => Ok(String::from_utf8(output.stdout)?),
        _ => bail!("simulate: {}", output.status),
    }
}

#[cfg(test)]
mod tests {
    use super::{read_list, root};

    #[test]
    fn each_mutation_fits_the_sources() {
        let list = read_list(root()).unwrap();
        assert!(list.len() >= 20, "{}", list.len());
        for mutation in list {
            let mutated = mutation.apply(root()).unwrap();
            assert_ne!(mutation.find, mutation.replace, "{}", mutation.name);
            assert!(!mutated.is_empty());
        }
    }
}
