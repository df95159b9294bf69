//! A device on a simulated ThingsBoard.

use mqtt_tests::simulator::{Event, Simulator};
use serde_json::{Value, json};

use crate::program::Program;
use crate::simulator::{assert_fails, assert_succeeded, closed_port, simulator};

const THINGSBOARD: &str = env!("CARGO_BIN_EXE_thingsboard-device");
const TELEMETRY: &str = "v1/devices/me/telemetry";
const CALLS: &str = "v1/devices/me/rpc/request/+";

/// Waits for telemetry with a member `key`, and returns its value.
fn telemetry(simulator: &Simulator, key: &str) -> Value {
    loop {
        let payload = simulator.wait_for_publish(TELEMETRY).unwrap();
        let telemetry: Value = serde_json::from_slice(&payload).unwrap();
        let values = telemetry.get("values").unwrap_or(&telemetry);
        if let Some(value) = values.get(key) {
            return value.clone();
        }
    }
}

fn start(url: &str, state: &tempfile::TempDir, more: &[&str]) -> Program {
    let state = state.path().to_str().unwrap();
    let arguments = ["--url", url, "--token", "A1_TEST_TOKEN", "--state", state];
    Program::start(THINGSBOARD, &[&arguments, more].concat())
}

/// How much the device has already when it goes on with an update.
fn going_on_after(device: &Program) -> u32 {
    let line = device.line_with("going on after ");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn alone_it_reports_to_its_own_simulator() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let arguments = [
        "--count",
        "2",
        "--interval",
        "0.1",
        "--state",
        folder,
        "--call",
        "getTime",
    ];
    let ended = Program::start(THINGSBOARD, &arguments).end();
    assert_succeeded(&ended);
    let answer = r#"the server answers: {"time":"now"}"#;
    assert!(
        ended.lines.iter().any(|line| line.ends_with(answer)),
        "{ended:?}"
    );
    let summary = ended.lines.last().unwrap();
    assert!(
        summary.starts_with("2 reports sent, 2 acknowledged"),
        "{summary}"
    );
}

#[test]
fn calls_and_shared_attributes_are_obeyed() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("thingsboard");
    simulator
        .command(r#"shared thermometer {"interval":0.2}"#)
        .unwrap();
    let device = start(&url, &state, &["--interval", "3600"]);
    device.line_with("attribute: interval 0.2 s");
    simulator.command("rpc thermometer identify").unwrap();
    let reply = simulator
        .wait_for_publish("v1/devices/me/rpc/response/0")
        .unwrap();
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert!(
        reply["system"].as_str().unwrap().starts_with("Linux"),
        "{reply}"
    );
    simulator.command("rpc thermometer dance").unwrap();
    let reply = simulator
        .wait_for_publish("v1/devices/me/rpc/response/1")
        .unwrap();
    assert!(String::from_utf8_lossy(&reply).contains("unknown method"));
    simulator
        .command(r#"shared thermometer {"interval":"often"}"#)
        .unwrap();
    device.line_with("attribute interval ignored");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn update_goes_on_after_ctrl_c_and_after_a_crash() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("thingsboard");
    simulator
        .command("fw thermometer monitor 2.0 5000000 SHA256")
        .unwrap();
    let device = start(&url, &state, &[]);
    device.line_with("update: 20 %");
    device.interrupt();
    let interrupted = device.end();
    assert_succeeded(&interrupted);
    let pause = "bytes are here, the next start goes on";
    assert!(
        interrupted.lines.iter().any(|line| line.contains(pause)),
        "{interrupted:?}"
    );
    assert!(
        !interrupted
            .lines
            .iter()
            .any(|line| line.contains("verified")),
        "{interrupted:?}"
    );

    let killed = start(&url, &state, &[]);
    killed.line_with("running monitor 1.0");
    assert!(going_on_after(&killed) > 500_000);
    killed.line_with("update: 50 %");
    drop(killed);

    let device = start(&url, &state, &[]);
    assert!(going_on_after(&device) > 1_500_000);
    device.line_with("update: installed, restarting");
    device.line_with("running monitor 2.0");
    while telemetry(&simulator, "fw_state") != json!("UPDATED") {}
    device.interrupt();
    assert_succeeded(&device.end());
    let image = std::fs::read(state.path().join("firmware.bin")).unwrap();
    assert_eq!(image.len(), 5_000_000);
}

#[test]
fn update_survives_a_lost_link() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("thingsboard");
    simulator.command("close-at 100").unwrap();
    simulator.command("duplicate 200").unwrap();
    simulator.command("empty 300").unwrap();
    simulator
        .command("fw thermometer monitor 2.0 2000000 MURMUR3_128")
        .unwrap();
    let device = start(&url, &state, &[]);
    device.line_with("next attempt in");
    device.line_with("running monitor 2.0");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn corrupt_image_is_reported_and_not_installed() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("thingsboard");
    simulator
        .command("fw thermometer monitor 2.0 100000 CRC32 wrong")
        .unwrap();
    let device = start(&url, &state, &[]);
    device.line_with("update: failed: checksum is wrong");
    assert_eq!(
        telemetry(&simulator, "fw_error"),
        json!("checksum is wrong")
    );
    device.interrupt();
    assert_succeeded(&device.end());
    assert!(!state.path().join("firmware.bin").exists());
}

#[test]
fn provisioned_device_keeps_its_credentials() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let (simulator, url) = simulator("thingsboard");
    let common = ["--url", &url, "--state", folder, "--count", "1"];
    let keys = [
        "provision",
        "--key",
        "provision-key",
        "--secret",
        "provision-secret",
        "--name",
        "kitchen",
    ];
    let ended = Program::start(THINGSBOARD, &[&keys[..], &common].concat()).end();
    assert_succeeded(&ended);
    simulator
        .wait_for(|event| matches!(event, Event::Subscribed { filter, .. } if filter == CALLS))
        .unwrap();
    let ended = Program::start(THINGSBOARD, &common).end();
    assert_succeeded(&ended);
    let again = [&keys[..], &common].concat();
    assert_fails(THINGSBOARD, &again, "refused to provision");
}

#[test]
fn failures_are_one_line_and_status_1() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let (_simulator, url) = simulator("thingsboard");
    let wrong = ["--url", &url, "--state", folder, "--token", "wrong"];
    assert_fails(THINGSBOARD, &wrong, "not authorized");
    let nobody = format!("mqtt://{}", closed_port());
    let refused = ["--url", &nobody, "--state", folder, "--token", "x"];
    assert_fails(THINGSBOARD, &refused, "connection refused");
    assert_fails(
        THINGSBOARD,
        &["--url", &url, "--state", folder],
        "no credentials",
    );
    let reserved = ["--url", &url, "--state", folder, "--token", "provision"];
    assert_fails(THINGSBOARD, &reserved, "provision is reserved");
}
