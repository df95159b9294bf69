//! Writes the table of statements and tests.

use std::process::ExitCode;

use mqtt_tests::statements::{Statements, TABLE, root};

fn main() -> ExitCode {
    let statements = Statements::of_workspace();
    let faults = statements.faults();
    for fault in &faults {
        eprintln!("{fault}");
    }
    std::fs::write(root().join(TABLE), statements.table()).expect("the table is written");
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
