//! Each statement of the standard that binds clients has a test, or a reason why not.

use mqtt_tests::statements::{Statements, TABLE, root};

#[test]
fn every_statement_that_binds_clients_has_a_test_or_a_reason() {
    let faults = Statements::of_workspace().faults();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_page_in_the_documentation_is_up_to_date() {
    let page = std::fs::read_to_string(root().join(TABLE)).expect("the page");
    let is_up_to_date = page == Statements::of_workspace().table();
    assert!(is_up_to_date, "run `cargo xtask statements`");
}

const CSV: &str = "id,binds,level,summary,how
A-1,client,must,\"One, and two.\",x
A-2,both,must,Two.,x
A-3,server,must,Three.,x
";

fn with(reasons: &str, source: &str) -> Statements {
    let mut statements = Statements::default();
    statements.add_statements("MQTT 5", CSV);
    statements.add_reasons(&format!("version,id,reason\n{reasons}"));
    statements.add_source("file.rs", source);
    statements
}

#[test]
fn a_test_or_a_reason_is_enough() {
    let source = "/// MQTT 5 [A-1] [A-3]\n#[test]\nfn name() {\n";
    let statements = with("MQTT 5,A-2,\"Because, well.\"", source);
    assert_eq!(statements.faults(), [""; 0]);
    let table = statements.table();
    assert!(table.contains("| A-1 | One, and two. | [`name`](../file.rs) |\n"));
    assert!(table.contains("| A-2 | Two. | none: Because, well. |\n"));
    assert!(table.contains("| A-3 | Three. | [`name`](../file.rs) |\n"));
}

#[test]
fn what_is_missing_or_does_not_exist_is_told() {
    let unknown =
        "/// MQTT 5 [A-1] [A-9]\n/// MQTT 3.1.1 [A-1]\n#[tokio::test]\nasync fn name() {\n";
    assert_eq!(
        with("MQTT 5,A-8,x", unknown).faults(),
        [
            "reason for the unknown MQTT 5 A-8",
            "file.rs: name names the unknown MQTT 5 A-9",
            "file.rs: name names the unknown MQTT 3.1.1 A-1",
            "MQTT 5 A-2 has neither test nor reason",
        ]
    );
    let no_version = "/// MQTT 5 [A-1] [A-2]\n/// [MQTT-1.1]\n#[test]\nfn name() {\n";
    assert_eq!(
        with("", no_version).faults(),
        ["file.rs: name names no version"]
    );
    let no_test = "/// MQTT 5 [A-1] [A-2]\nfn helper() {\n";
    assert_eq!(
        with("MQTT 5,A-1,x", no_test).faults(),
        [
            "file.rs: helper is no test",
            "MQTT 5 A-1 has a reason for no test, and a test",
        ]
    );
}
