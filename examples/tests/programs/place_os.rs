//! A dashboard of a simulated PlaceOS.

use mqtt_tests::simulator::Event;

use crate::program::Program;
use crate::simulator::{assert_fails, assert_succeeded, closed_port, simulator};

const PLACE_OS: &str = env!("CARGO_BIN_EXE_place-os-dashboard");
const POWER: &str =
    "zone-org/state/_/zone-bld/zone-lvl1/_/sys-lobby/driver-Display/Display/1/power";

#[test]
fn alone_it_follows_the_building_of_its_own_simulator() {
    let mut dashboard = Program::start_with_keyboard(PLACE_OS, &[]);
    dashboard.line_with("Head office / zone-lvl1 / sys-lobby  Display 1 power = true");
    dashboard.enter(&format!("state {POWER} false"));
    dashboard.line_with("power = false");
    dashboard.enter(&format!("remove {POWER}"));
    dashboard.line_with("power removed");
    dashboard.interrupt();
    assert_succeeded(&dashboard.end());
    let ended = Program::start(PLACE_OS, &["--count", "3"]).end();
    assert_succeeded(&ended);
}

#[test]
fn filters_select_and_nothing_is_published() {
    let (simulator, url) = simulator("placeos");
    simulator.command("building").unwrap();
    let url = url.replace("mqtt", "ws") + "/api/mqtt/";
    let arguments = [
        "--url",
        &url,
        "--token",
        "hhhh.pppp.ssss",
        "--building",
        "zone-bld",
        "--key",
        "connected",
    ];
    let ended = Program::start(PLACE_OS, &[&arguments[..], &["--count", "2"]].concat()).end();
    assert_succeeded(&ended);
    let values: Vec<_> = ended
        .lines
        .iter()
        .filter(|line| line.contains(" = "))
        .collect();
    assert_eq!(values.len(), 2, "{ended:?}");
    assert!(
        values.iter().all(|line| line.contains(" connected = ")),
        "{ended:?}"
    );
    let closed = simulator.wait_for(|event| {
        assert!(!matches!(event, Event::Published { .. }), "{event:?}");
        matches!(event, Event::Closed { .. })
    });
    assert!(closed.is_ok(), "{closed:?}");
}

#[test]
fn wrong_hierarchy_is_explained() {
    let dashboard = Program::start(PLACE_OS, &["--no-region"]);
    dashboard.line_with("try without --no-region");
    dashboard.interrupt();
    assert_succeeded(&dashboard.end());
}

#[test]
fn failures_are_one_line_and_status_1() {
    let (_simulator, url) = simulator("placeos");
    let url = url.replace("mqtt", "ws") + "/api/mqtt/";
    assert_fails(
        PLACE_OS,
        &["--url", &url, "--token", "wrong.key"],
        "not authorized",
    );
    assert_fails(PLACE_OS, &["--url", &url, "--token", "wrong"], "--token");
    let nobody = format!("ws://{}/api/mqtt/", closed_port());
    assert_fails(
        PLACE_OS,
        &["--url", &nobody, "--token", "a.b"],
        "connection refused",
    );
}
