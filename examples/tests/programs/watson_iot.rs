//! A managed device on a simulated Watson IoT.

use std::net::TcpListener;

use mqtt_tests::simulator::Simulator;
use serde_json::Value;

use crate::program::Program;
use crate::simulator::{assert_fails, assert_succeeded, closed_port, simulator};

const WATSON_IOT: &str = env!("CARGO_BIN_EXE_watson-iot-device");

fn arguments<'a>(url: &'a str, state: &'a tempfile::TempDir, token: &'a str) -> Vec<&'a str> {
    let state = state.path().to_str().unwrap();
    let device = [
        "--org",
        "orgid1",
        "--type",
        "thermometer",
        "--id",
        "t-1",
        "--token",
        token,
    ];
    [&device[..], &["--url", url, "--state", state]].concat()
}

fn wait_for(simulator: &Simulator, topic: &str) -> Value {
    let payload = simulator.wait_for_publish(topic).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn alone_it_is_managed_by_its_own_simulator() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let mut device =
        Program::start_with_keyboard(WATSON_IOT, &["--state", folder, "--interval", "0.1"]);
    device.line_with("management: managed");
    device.enter(r#"command thermometer t-1 interval json {"seconds":3600}"#);
    device.line_with("command: interval 3600 s");
    device.enter("reboot thermometer t-1");
    device.line_with("restarting the device, not this machine");
    device.line_with("management: managed");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn it_introduces_itself_and_reports() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("watson-iot");
    let more = ["--count", "1", "--location", "-71.06,42.36"];
    let device = Program::start(
        WATSON_IOT,
        &[&arguments(&url, &state, "device-token"), &more[..]].concat(),
    );
    let event = wait_for(&simulator, "iot-2/evt/status/fmt/json");
    assert!(event["d"]["memory_percent"].is_u64(), "{event}");
    assert_succeeded(&device.end());

    let device = Program::start(
        WATSON_IOT,
        &[&arguments(&url, &state, "device-token"), &more[2..]].concat(),
    );
    let manage = wait_for(&simulator, "iotdevice-1/mgmt/manage");
    assert_eq!(manage["d"]["deviceInfo"]["fwVersion"], "1.0");
    let location = wait_for(&simulator, "iotdevice-1/device/update/location");
    assert_eq!(location["d"]["longitude"], -71.06);
    let log = wait_for(&simulator, "iotdevice-1/add/diag/log");
    assert_eq!(log["d"]["severity"], 0);
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn firmware_is_fetched_installed_and_survives_until_the_reset() {
    let state = tempfile::tempdir().unwrap();
    let image = state.path().join("image.bin");
    std::fs::write(&image, "an image").unwrap();
    let (simulator, url) = simulator("watson-iot");
    let device = Program::start(WATSON_IOT, &arguments(&url, &state, "device-token"));
    device.line_with("management: managed");
    simulator
        .command(&format!(
            "firmware thermometer t-1 file://{} 2.0",
            image.display()
        ))
        .unwrap();
    device.line_with("firmware: 8 bytes fetched");
    device.line_with("firmware: 2.0 installed");
    device.line_with("running firmware 2.0");
    device.interrupt();
    assert_succeeded(&device.end());

    let device = Program::start(WATSON_IOT, &arguments(&url, &state, "device-token"));
    device.line_with("running firmware 2.0");
    device.line_with("management: managed");
    simulator.command("factory-reset thermometer t-1").unwrap();
    device.line_with("running firmware 1.0");
    device.interrupt();
    assert_succeeded(&device.end());
    assert!(!state.path().join("firmware.bin").exists());
}

#[test]
fn interrupted_download_is_begun_anew_at_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("watson-iot");
    // Takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/image", silent.local_addr().unwrap());
    let device = Program::start(WATSON_IOT, &arguments(&url, &state, "device-token"));
    device.line_with("management: managed");
    simulator
        .command(&format!("firmware thermometer t-1 {uri} 2.0"))
        .unwrap();
    device.line_with("firmware: fetching");
    while wait_for(&simulator, "iotdevice-1/notify")["d"]["fields"][0]["value"]["state"] != 1 {}
    device.interrupt();
    assert_succeeded(&device.end());

    drop(silent);
    let device = Program::start(WATSON_IOT, &arguments(&url, &state, "device-token"));
    device.line_with(&format!("firmware: fetching {uri}"));
    device.line_with("refused");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn image_that_cannot_be_fetched_is_told_to_the_operator() {
    let state = tempfile::tempdir().unwrap();
    let (simulator, url) = simulator("watson-iot");
    let device = Program::start(WATSON_IOT, &arguments(&url, &state, "device-token"));
    device.line_with("management: managed");
    wait_for(&simulator, "iotdevice-1/add/diag/log");
    simulator
        .command("firmware thermometer t-1 http://192.0.2.1/image 2.0")
        .unwrap();
    device.line_with("is neither file:///path nor http://127.0.0.1");
    let log = wait_for(&simulator, "iotdevice-1/add/diag/log");
    assert_eq!(log["d"]["severity"], 2, "{log}");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn failures_are_one_line_and_status_1() {
    let state = tempfile::tempdir().unwrap();
    let (_simulator, url) = simulator("watson-iot");
    assert_fails(WATSON_IOT, &arguments(&url, &state, "wrong"), "refused");
    let nobody = format!("mqtt://{}", closed_port());
    assert_fails(
        WATSON_IOT,
        &arguments(&nobody, &state, "x"),
        "connection refused",
    );
    let mut bad = arguments(&url, &state, "x");
    bad[1] = "no/org";
    assert_fails(WATSON_IOT, &bad, "--org");
}
