//! This machine on a simulated Losant.

use mqtt_tests::simulator::Event;
use serde_json::Value;

use crate::program::Program;
use crate::simulator::{assert_fails, assert_succeeded, closed_port, simulator};

const LOSANT: &str = env!("CARGO_BIN_EXE_losant-host-monitor");
const DEVICE: &str = "575ecf887ae143cd83dc4aa2";

fn arguments<'a>(url: &'a str, secret: &'a str) -> Vec<&'a str> {
    vec![
        "--device-id",
        DEVICE,
        "--access-key",
        "my-access-key",
        "--access-secret",
        secret,
        "--url",
        url,
        "--interval",
        "0.6",
    ]
}

#[test]
fn alone_it_reports_to_its_own_simulator() {
    let ended = Program::start(LOSANT, &["--count", "2", "--interval", "0.6"]).end();
    assert_succeeded(&ended);
    let summary = ended.lines.last().unwrap();
    assert!(
        summary.starts_with("2 reports sent, 2 acknowledged"),
        "{summary}"
    );
}

#[test]
fn commands_that_are_typed_are_answered_by_state() {
    let mut monitor = Program::start_with_keyboard(LOSANT, &["--interval", "0.6"]);
    monitor.line_with("acknowledged");
    monitor.enter(&format!(r#"command {DEVICE} {{"name":"identify"}}"#));
    monitor.line_with("command: identify");
    monitor.enter(&format!(
        r#"command {DEVICE} {{"name":"interval","payload":{{"seconds":3600}}}}"#
    ));
    monitor.line_with("command: interval 3600 s");
    monitor.enter(&format!(r#"command {DEVICE} {{"name":"dance"}}"#));
    monitor.line_with("command ignored: unknown command");
    monitor.interrupt();
    assert_succeeded(&monitor.end());
}

#[test]
fn state_has_the_readings_and_a_time() {
    for transport in ["mqtt", "ws"] {
        let (simulator, url) = simulator("losant");
        let url = url.replace("mqtt", transport);
        let monitor = Program::start(LOSANT, &arguments(&url, "my-access-secret"));
        let state = simulator
            .wait_for_publish(&format!("losant/{DEVICE}/state"))
            .unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        assert!(state["data"]["memory_percent"].is_u64(), "{state}");
        assert!(
            state["time"].as_u64().unwrap() > 1_700_000_000_000,
            "{state}"
        );
        monitor.interrupt();
        assert_succeeded(&monitor.end());
        let closed = simulator.wait_for(|event| matches!(event, Event::Closed { .. }));
        let closed = format!("{:?}", closed.unwrap());
        assert!(closed.contains("DISCONNECT"), "{closed}");
    }
}

#[test]
fn more_often_than_allowed_is_left_out_instead_of_banned() {
    let monitor = Program::start(LOSANT, &["--interval", "0.02"]);
    monitor.line_with("report left out");
    monitor.interrupt();
    let ended = monitor.end();
    assert_succeeded(&ended);
    assert!(
        !ended.lines.iter().any(|line| line.contains("banned")),
        "{ended:?}"
    );
    assert!(
        ended.lines.last().unwrap().starts_with("30 reports sent"),
        "{ended:?}"
    );
}

#[test]
fn failures_are_one_line_and_status_1() {
    let (_simulator, url) = simulator("losant");
    assert_fails(LOSANT, &arguments(&url, "wrong"), "not authorized");
    let nobody = format!("mqtt://{}", closed_port());
    assert_fails(LOSANT, &arguments(&nobody, "x"), "connection refused");
    assert_fails(LOSANT, &arguments("http://localhost", "x"), "http");
    let typo = Program::start(LOSANT, &["--device-id", "575ecf"]).end();
    assert_eq!(typo.status.code(), Some(2), "{typo:?}");
    assert!(typo.stderr.contains("24 hexadecimal digits"), "{typo:?}");
}

#[test]
fn secret_in_the_environment_is_not_shown() {
    let ended = Program::start(LOSANT, &["--help"]).end();
    assert_succeeded(&ended);
    assert!(
        ended
            .lines
            .iter()
            .any(|line| line.contains("LOSANT_ACCESS_SECRET"))
    );
    let missing = arguments("mqtt://127.0.0.1:1", "@/no/such/file");
    let ended = Program::start(LOSANT, &missing).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot read /no/such/file"),
        "{ended:?}"
    );
}
