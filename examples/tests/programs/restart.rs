//! The server is restarted while a program runs.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_tests::simulator::{Event, Simulator};

use crate::program::Program;
use crate::simulator::{assert_succeeded, simulator};

const LOSANT: &str = env!("CARGO_BIN_EXE_losant-host-monitor");
const PLACE_OS: &str = env!("CARGO_BIN_EXE_place-os-dashboard");
const THINGSBOARD: &str = env!("CARGO_BIN_EXE_thingsboard-device");
const WATSON_IOT: &str = env!("CARGO_BIN_EXE_watson-iot-device");

/// Losant bans devices that come back sooner, so ours does not try.
const LOSANT_BAN: Duration = Duration::from_secs(30);

/// Stops the server until the program has noticed and failed to come back, if it tries, then starts it where it was. What
/// the user reads meanwhile says what is wrong, and when it is tried again.
fn restart(platform: &str, server: Simulator, program: &Program) -> Simulator {
    let address: SocketAddr = server.address();
    drop(server);
    let lost = program.line_with("link: ");
    assert!(lost.contains("next attempt in"), "{lost}");
    assert!(lost.contains("closed"), "{lost}");
    if platform != "losant" {
        let away = program.line_with("connection refused");
        assert!(away.contains("next attempt in"), "{away}");
    }
    let server = Simulator::start(platform, &address.to_string()).unwrap();
    program.line_within(LOSANT_BAN + LOSANT_BAN, "link: connected");
    server
}

#[test]
fn losant_gets_reports_again_and_does_not_ban_for_those_that_waited() {
    let (server, url) = simulator("losant");
    let arguments = [
        "--device-id",
        "575ecf887ae143cd83dc4aa2",
        "--access-key",
        "my-access-key",
        "--access-secret",
        "my-access-secret",
        "--url",
        &url,
        "--interval",
        "0.6",
    ];
    let monitor = Program::start(LOSANT, &arguments);
    monitor.line_with("acknowledged");
    let server = restart("losant", server, &monitor);
    // Losant would ban who sends all that has waited.
    let mut reports = 0;
    while let Event::Published { .. } = server.wait_for(is_report_or_subscribed).unwrap() {
        reports += 1;
    }
    assert!(reports <= 2, "{reports}");
    monitor.line_with("acknowledged");
    server
        .command(r#"command 575ecf887ae143cd83dc4aa2 {"name":"identify"}"#)
        .unwrap();
    monitor.line_with("command: identify");
    monitor.interrupt();
    assert_succeeded(&monitor.end());
}

fn is_report_or_subscribed(event: &Event) -> bool {
    matches!(event, Event::Published { .. } | Event::Subscribed { .. })
}

#[test]
fn thingsboard_gets_telemetry_again_and_may_call() {
    let state = tempfile::tempdir().unwrap();
    let (server, url) = simulator("thingsboard");
    let arguments = [
        "--url",
        &url,
        "--token",
        "A1_TEST_TOKEN",
        "--state",
        state.path().to_str().unwrap(),
        "--interval",
        "0.5",
    ];
    let device = Program::start(THINGSBOARD, &arguments);
    device.line_with("acknowledged");
    let server = restart("thingsboard", server, &device);
    device.line_with("acknowledged");
    server
        .wait_for(|event| matches!(event, Event::Subscribed { filter, .. } if filter == "v1/devices/me/rpc/request/+"))
        .unwrap();
    server.command("rpc thermometer identify").unwrap();
    server
        .wait_for_publish("v1/devices/me/rpc/response/0")
        .unwrap();
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn watson_iot_manages_the_device_again() {
    let state = tempfile::tempdir().unwrap();
    let (server, url) = simulator("watson-iot");
    let arguments = [
        "--org",
        "orgid1",
        "--type",
        "thermometer",
        "--id",
        "t-1",
        "--token",
        "device-token",
        "--url",
        &url,
        "--state",
        state.path().to_str().unwrap(),
        "--interval",
        "0.5",
    ];
    let device = Program::start(WATSON_IOT, &arguments);
    device.line_with("management: managed");
    let server = restart("watson-iot", server, &device);
    device.line_with("management: managed");
    device.line_with("acknowledged");
    server.command("reboot thermometer t-1").unwrap();
    device.line_with("restarting the device, not this machine");
    device.interrupt();
    assert_succeeded(&device.end());
}

#[test]
fn place_os_is_followed_again() {
    let (server, url) = simulator("placeos");
    server.command("building").unwrap();
    let url = url.replace("mqtt", "ws") + "/api/mqtt/";
    let arguments = ["--url", &url, "--token", "hhhh.pppp.ssss"];
    let dashboard = Program::start(PLACE_OS, &arguments);
    dashboard.line_with("power = true");
    let server = restart("placeos", server, &dashboard);
    server.command("building").unwrap();
    dashboard.line_with("power = true");
    dashboard.interrupt();
    assert_succeeded(&dashboard.end());
}

#[test]
fn place_os_is_followed_although_the_link_is_lost_before_it_is_subscribed() {
    let (server, url) = simulator("placeos");
    server.command("building").unwrap();
    // CONNACK and the first of two SUBACKs.
    server.command("close-after-sent 9").unwrap();
    let dashboard = Program::start(PLACE_OS, &["--url", &url, "--token", "hhhh.pppp.ssss"]);
    dashboard.line_with("next attempt in");
    dashboard.line_with("power = true");
    dashboard.interrupt();
    assert_succeeded(&dashboard.end());
}
