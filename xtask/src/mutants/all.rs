//! Every change that cargo-mutants can think of in session and codec. Those that no test notices are in
//! `docs/mutants.md`, each with its reason; any other fails the run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{copy, copy_sources};
use crate::workspace::{Workspace, cargo, read, root};

/// The survivors, from the root.
const LIST: &str = "docs/mutants.md";

/// What is mutated, and the tests that notice most of it.
const PARTS: [(&str, &[&str]); 2] = [
    ("session", &["--test=session"]),
    ("codec", &["--lib", "--test=codec", "--test=vectors"]),
];

/// All tests: for what is left.
const ALL: &[&str] = &["--tests"];

/// Seconds until a test counts as one that never ends; many times what the tests take.
const QUICK_LIMIT: &str = "20";
const LIMIT: &str = "180";

/// Tests that take longer than all others together: only for what those do not notice.
const SLOW: [&str; 16] = [
    "a_device_that_restarts_at_any_moment",
    "a_flood",
    "a_session_runs_for_ever",
    "acknowledgements_of_all_that_was_never_sent",
    "any_future_can_be_dropped",
    "cut::",
    "every_character_is_classified",
    "identifiers_wrap_around",
    "nothing_that_happens_breaks_a_session",
    "original_order_survives",
    "round_trips::",
    "sequences_at_the_edges_of_utf8",
    "slots_of_both_directions_come_back",
    "the_longest_publish",
    "what_is_written_means_what_was_meant",
    "what_serde_json_writes",
];

/// Changes that are not made.
const EXCLUDED: [&str; 2] = [
    // Flags and fields are joined by `|`, and have no bit in common: `^` does the same. In `is_plain`, the words share
    // the high bit of a byte only where another word has it too.
    r"replace \| with \^",
    // Of the host's builds, none logs through defmt.
    "defmt::Format",
];

/// A file and a change in it, without the line, which moves; and how often the file has it.
type Changes = BTreeMap<(String, String), usize>;

/// Mutates what has `only` in its path or name, or everything.
pub(super) fn run(only: Option<&str>) -> Result<()> {
    if read(cargo().args(["mutants", "--version"])).is_err() {
        let mut install = cargo();
        install.args(["install", "-q", "--locked", "cargo-mutants"]);
        ensure!(install.status()?.success(), "cannot install cargo-mutants");
    }
    let scratch = Workspace::load()?.target_dir.join("mutants-all");
    prepare(&scratch)?;
    let mut survivors = Changes::new();
    for (part, quick) in PARTS {
        let output = scratch.join("output").join(part);
        let results = output.join("mutants.out");
        fs::create_dir_all(&output)?;
        fs::remove_dir_all(&output)?;
        let mut first = mutants(&scratch, part, only, &output);
        first.args(["--test-package=mqtt-core", "--timeout", QUICK_LIMIT]);
        test(first, quick, &SLOW)?;
        count_as_caught(&results)?;
        let mut second = mutants(&scratch, part, only, &output);
        second.args(["--iterate", "--baseline=skip", "--timeout", LIMIT]);
        second.arg("--test-package=mqtt-core,mqtt-simulation");
        test(second, ALL, &[])?;
        summarise(part, &results)?;
        survivors.extend(changes(&text(&results, "missed.txt")?));
    }
    compare(&survivors, only)
}

/// A workspace of the core, its tests, and those with vectors: in their own package, they would bring in far more.
fn prepare(scratch: &Path) -> Result<()> {
    copy_sources(scratch)?;
    let (tests, core) = (root().join("tests"), scratch.join("mqtt-core"));
    copy(&tests.join("vectors"), &core.join("vectors"))?;
    copy(&tests.join("tests/codec"), &core.join("tests/vectors"))
}

/// cargo-mutants on one part, not yet told what to test with.
fn mutants(scratch: &Path, part: &str, only: Option<&str>, output: &Path) -> Command {
    let mut mutants = offline(scratch);
    mutants
        .args(["mutants", "--package=mqtt-core", "--colors=never"])
        .args(["--features=mqtt-core/client,mqtt-core/v5", "--jobs=2"])
        // The copy lies in a folder that git ignores.
        .arg("--gitignore=false")
        .arg(format!("--file=mqtt-core/src/{part}/**"))
        .args(EXCLUDED.map(|change| format!("--exclude-re={change}")))
        .arg("--output")
        .arg(output);
    if let Some(only) = only {
        mutants.args(["--re", only]);
    }
    mutants
}

fn offline(scratch: &Path) -> Command {
    let mut cargo = cargo();
    cargo
        .current_dir(scratch)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // Each of its jobs builds in a copy of its own.
        .env_remove("CARGO_TARGET_DIR");
    cargo
}

/// Tests all mutants with these test programs, without the tests named in `skip`.
fn test(mut mutants: Command, programs: &[&str], skip: &[&str]) -> Result<()> {
    mutants.args(
        programs
            .iter()
            .map(|program| format!("--cargo-arg={program}")),
    );
    mutants.args(["--", "--"]);
    mutants.args(skip.iter().flat_map(|test| ["--skip", test]));
    let status = mutants.status().context("cargo mutants")?;
    // 2: some were missed; 3: a test did not end.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "{status}");
    Ok(())
}

/// A test that never ends has noticed the change too; a second time would only take longer.
fn count_as_caught(results: &Path) -> Result<()> {
    let caught = text(results, "caught.txt")? + &text(results, "timeout.txt")?;
    fs::create_dir_all(results)?;
    fs::write(results.join("caught.txt"), caught)?;
    Ok(())
}

fn summarise(part: &str, results: &Path) -> Result<()> {
    let count = |name| text(results, name).map(|text| text.lines().count());
    println!(
        "{part}: {} noticed or not compiled at first, {} by all tests, {} not noticed",
        count("previously_caught.txt")?,
        count("caught.txt")? + count("timeout.txt")? + count("unviable.txt")?,
        count("missed.txt")?,
    );
    Ok(())
}

/// One of the lists that cargo-mutants leaves behind, which may have found nothing to do.
fn text(results: &Path, name: &str) -> Result<String> {
    let path = results.join(name);
    if path.exists() {
        Ok(fs::read_to_string(path)?)
    } else {
        Ok(String::new())
    }
}

/// Reads lines as `mqtt-core/src/session/slot.rs:63:9: replace Slot::is -> bool with true`.
fn changes(missed: &str) -> Changes {
    let mut changes = Changes::new();
    for line in missed.lines() {
        let mut parts = line.splitn(4, ':');
        if let (Some(file), Some(change)) = (parts.next(), parts.nth(2)) {
            let key = (file.to_owned(), change.trim().to_owned());
            *changes.entry(key).or_default() += 1;
        }
    }
    changes
}

/// Reads the headings `## mqtt-core/src/session/slot.rs`, and below them lines as ``- `change` (2): reason``, where `(2)`
/// says that it stands there twice.
fn explained(list: &str) -> Changes {
    let mut changes = Changes::new();
    let mut file = "";
    for line in list.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading;
        }
        let item = line
            .strip_prefix("- `")
            .and_then(|rest| rest.split_once('`'));
        if let Some((change, rest)) = item {
            let times = rest.trim_start().strip_prefix('(');
            let times = times.and_then(|rest| rest.split(')').next()?.parse().ok());
            changes.insert((file.to_owned(), change.to_owned()), times.unwrap_or(1));
        }
    }
    changes
}

fn compare(survivors: &Changes, only: Option<&str>) -> Result<()> {
    let explained = explained(&fs::read_to_string(root().join(LIST))?);
    for (file, change) in explained.keys() {
        if only.is_none() && !survivors.contains_key(&(file.clone(), change.clone())) {
            println!("noticed by now, but still in {LIST}: {file}: {change}");
        }
    }
    let mut unexplained = 0;
    for (key @ (file, change), times) in survivors {
        if explained.get(key).is_none_or(|known| known < times) {
            println!("not noticed, and not in {LIST}: {file}: {change} ({times})");
            unexplained += 1;
        }
    }
    ensure!(
        unexplained == 0,
        "{unexplained} changes were not noticed by any test"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LIST, changes, explained};
    use crate::workspace::root;

    #[test]
    fn a_survivor_is_found_in_the_list_wherever_its_line_has_gone() {
        let missed = "a/b.rs:3:9: replace T::f -> bool with true\na/b.rs:70:1: replace T::f -> bool with true\n";
        let list = "text\n## a/b.rs\n\n- `replace T::f -> bool with true` (2): only faster\n";
        assert_eq!(changes(missed), explained(list));
        assert_ne!(changes(missed), explained(&list.replace(" (2)", "")));
    }

    #[test]
    fn the_list_names_files_that_exist() {
        let list = std::fs::read_to_string(root().join(LIST)).unwrap();
        let explained = explained(&list);
        assert!(!explained.is_empty());
        for (file, change) in explained.keys() {
            assert!(root().join(file).is_file(), "{file}: {change}");
        }
    }
}
