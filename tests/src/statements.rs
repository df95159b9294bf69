//! Which test exercises which statement of the standard.
//!
//! The statements stand in `tests/conformance`, one file per version. A test names those that it exercises in its doc
//! comment, in lines of this form:
//!
//! ```text
//! /// MQTT 3.1.1 [MQTT-3.8.4-2] [MQTT-3.9.3-1]
//! /// MQTT 5 [MQTT-3.8.4-2]
//! #[test]
//! ```
//!
//! What cannot be tested has its reason in `untested.csv`. `cargo xtask statements` writes `docs/statements.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The versions, and the files with their statements.
const VERSIONS: [(&str, &str); 2] = [("MQTT 3.1.1", "mqtt-3.1.1.csv"), ("MQTT 5", "mqtt-5.0.csv")];

/// Where tests are.
const PACKAGES: [&str; 4] = ["mqtt-core", "mqtt-embassy", "mqtt-std", "tests"];

/// The file that [`Statements::table`] is kept in, from the root of the workspace.
pub const TABLE: &str = "docs/statements.md";

/// The root of the workspace.
///
/// # Panics
///
/// Never: this package lies in a folder of it.
#[must_use]
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the root of the workspace")
}

/// The statements of both versions, and what is known about each.
#[derive(Debug, Default)]
pub struct Statements {
    statements: Vec<Statement>,
    faults: Vec<String>,
}

#[derive(Debug)]
struct Statement {
    version: &'static str,
    id: String,
    binds_clients: bool,
    summary: String,
    tests: Vec<Test>,
    reason: Option<String>,
}

/// A test and its file, from the root of the workspace.
#[derive(Clone, Debug)]
struct Test {
    name: String,
    file: String,
}

impl Statements {
    /// Reads the statements, the reasons and the tests of this workspace.
    ///
    /// # Panics
    ///
    /// If a file cannot be read.
    #[must_use]
    pub fn of_workspace() -> Self {
        let conformance = root().join("tests/conformance");
        let read = |path: &Path| fs::read_to_string(path).expect("a file of the workspace");
        let mut all = Self::default();
        for (version, file) in VERSIONS {
            all.add_statements(version, &read(&conformance.join(file)));
        }
        all.add_reasons(&read(&conformance.join("untested.csv")));
        for path in PACKAGES
            .iter()
            .flat_map(|package| sources(&root().join(package)))
        {
            let file = path.strip_prefix(root()).unwrap_or(&path);
            all.add_source(&file.to_string_lossy(), &read(&path));
        }
        all
    }

    /// Adds the statements of a version: a table with the columns `id`, `binds`, `level`, `summary`.
    pub fn add_statements(&mut self, version: &'static str, csv: &str) {
        for record in records(csv).iter().skip(1) {
            let [id, binds, _level, summary, ..] = &record[..] else {
                self.faults.push(format!("{version}: {record:?}"));
                continue;
            };
            self.statements.push(Statement {
                version,
                id: id.clone(),
                binds_clients: binds != "server",
                summary: summary.clone(),
                tests: Vec::new(),
                reason: None,
            });
        }
    }

    /// Adds the reasons of statements that cannot be tested: a table with the columns `version`, `id`, `reason`.
    pub fn add_reasons(&mut self, csv: &str) {
        for record in records(csv).iter().skip(1) {
            let [version, id, reason] = &record[..] else {
                self.faults.push(format!("reasons: {record:?}"));
                continue;
            };
            match self.find(version, id) {
                Some(statement) => statement.reason = Some(reason.clone()),
                None => self
                    .faults
                    .push(format!("reason for the unknown {version} {id}")),
            }
        }
    }

    /// Adds the tests of a source file.
    pub fn add_source(&mut self, file: &str, source: &str) {
        let mut cited = Vec::new();
        let mut is_test = false;
        let mut without_version = false;
        for line in source.lines().map(str::trim) {
            if let Some(citations) = citations(line) {
                cited.extend(citations);
            } else if line.starts_with("/// [MQTT-") {
                without_version = true;
            } else if line.is_empty() {
                without_version = false;
            } else if line.starts_with("#[") {
                is_test |= line.contains("test]") || line.contains("::test(");
            } else if let Some(name) = function(line) {
                if is_test && without_version {
                    self.faults.push(format!("{file}: {name} names no version"));
                }
                if !is_test && !cited.is_empty() {
                    self.faults.push(format!("{file}: {name} is no test"));
                }
                for (version, id) in cited.drain(..) {
                    self.add_test(version, id, name, file);
                }
                (is_test, without_version) = (false, false);
            }
        }
    }

    fn add_test(&mut self, version: &str, id: &str, name: &str, file: &str) {
        let Some(statement) = self.find(version, id) else {
            let fault = format!("{file}: {name} names the unknown {version} {id}");
            return self.faults.push(fault);
        };
        statement.tests.push(Test {
            name: name.to_owned(),
            file: file.to_owned(),
        });
    }

    fn find(&mut self, version: &str, id: &str) -> Option<&mut Statement> {
        self.statements
            .iter_mut()
            .find(|statement| statement.version == version && statement.id == id)
    }

    /// What is wrong: statements for clients with neither test nor reason, or with both, and names that do not exist.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let of_statements = self.statements.iter().filter_map(Statement::fault);
        self.faults.iter().cloned().chain(of_statements).collect()
    }

    /// The table of all statements that bind clients, and of those of servers that a test is about.
    #[must_use]
    pub fn table(&self) -> String {
        let mut page = INTRODUCTION.to_owned();
        for (version, _) in VERSIONS {
            let of_version = self.statements.iter().filter(|s| s.version == version);
            let (clients, servers): (Vec<_>, Vec<_>) = of_version
                .filter(|s| s.binds_clients || !s.tests.is_empty())
                .partition(|s| s.binds_clients);
            let tested = clients.iter().filter(|s| !s.tests.is_empty()).count();
            let _ = writeln!(
                page,
                "\n## {version}\n\n{} statements bind clients; {tested} have a test, {} a reason.\n",
                clients.len(),
                clients.len() - tested
            );
            page.push_str(&rows(&clients));
            let _ = writeln!(
                page,
                "\n### Of servers\n\n{} statements that bind servers only, and what the client makes of it.\n",
                servers.len()
            );
            page.push_str(&rows(&servers));
        }
        page
    }
}

const INTRODUCTION: &str = "# Statements of the standard, and their tests

Written by `cargo xtask statements`; a test fails when it is not up to date. Each normative statement that binds a
client, by its identifier in the standard and in our words, with the tests that exercise it.
";

impl Statement {
    fn fault(&self) -> Option<String> {
        let name = format!("{} {}", self.version, self.id);
        match (self.tests.is_empty(), &self.reason) {
            (true, None) if self.binds_clients => {
                Some(format!("{name} has neither test nor reason"))
            }
            (false, Some(_)) => Some(format!("{name} has a reason for no test, and a test")),
            _ => None,
        }
    }

    fn evidence(&self) -> String {
        if let Some(reason) = &self.reason {
            return format!("none: {reason}");
        }
        let link = |test: &Test| format!("[`{}`](../{})", test.name, test.file);
        let links: Vec<_> = self.tests.iter().map(link).collect();
        links.join("<br>")
    }
}

fn rows(statements: &[&Statement]) -> String {
    let mut table = "| id | statement | tests |\n| --- | --- | --- |\n".to_owned();
    for statement in statements {
        let summary = statement.summary.replace('|', "\\|");
        let evidence = statement.evidence();
        let _ = writeln!(table, "| {} | {summary} | {evidence} |", statement.id);
    }
    table
}

/// Version and identifiers of a line in the form above.
fn citations(line: &str) -> Option<impl Iterator<Item = (&'static str, &str)>> {
    let text = line.strip_prefix("/// ")?;
    let (version, list) = VERSIONS.iter().find_map(|(version, _)| {
        Some((*version, text.strip_prefix(version)?.strip_prefix(" [")?))
    })?;
    let list = list.strip_suffix(']').unwrap_or(list);
    Some(list.split("] [").map(move |id| (version, id)))
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (name, _) = line.strip_prefix("fn ")?.split_once(['(', '<'])?;
    Some(name)
}

/// All Rust files below a folder, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("a folder of the workspace");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of a table with commas between the cells, some of them in quotes (RFC 4180).
fn records(csv: &str) -> Vec<Vec<String>> {
    csv.lines().map(cells).collect()
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cells.last_mut().expect("a cell").push(character),
        }
    }
    cells
}
