//! ThingsBoard.

use mqtt_tests::hex;
use mqtt_tests::simulator::{Event, Simulator};
use serde_json::{Value, json};

use super::{answers, happens, notes, order, start};
use crate::interpreter::Interpreter;

/// How long the SDK's chunks are.
const CHUNK: usize = 512;

/// Of three chunks, the last of which is short.
const IMAGE_LEN: u32 = 1300;

fn connected(kind: &str, token: &str) -> (Simulator, Interpreter) {
    let (simulator, mut sdk) = start("thingsboard");
    sdk.does(json!(["connect", kind, token, null, "", CHUNK]));
    answers(&simulator, "v1/devices/me/attributes", 1);
    (simulator, sdk)
}

/// What the callback of that name got, whatever came before it.
fn delivered(sdk: &mut Interpreter, name: &str) -> Value {
    loop {
        let mut delivered = sdk.next_delivered();
        if delivered[0] == name {
            return delivered[1].take();
        }
    }
}

#[test]
fn thingsboard_serves_the_sdk() {
    let (simulator, mut sdk) = connected("device", "A1_TEST_TOKEN");
    sdk.does(json!(["telemetry", {"ts": 1, "values": {"a": 1}}]));
    notes(
        &simulator,
        r#"telemetry of thermometer: [{"ts":1,"values":{"a":1}}]"#,
    );
    sdk.does(json!(["claim", "secret", 60_000]));
    let claim = simulator.wait_for_publish("v1/devices/me/claim");
    let claim: Value = serde_json::from_slice(&claim.expect("a claim")).expect("JSON");
    assert_eq!(claim, json!({"secretKey": "secret", "durationMs": 60_000}));

    attributes(&simulator, &mut sdk);
    calls(&simulator, &mut sdk);
}

fn attributes(simulator: &Simulator, sdk: &mut Interpreter) {
    sdk.does(json!(["attributes", {"a": 1}]));
    notes(simulator, r#"attributes of thermometer: {"a":1}"#);
    order(simulator, r#"shared thermometer {"b":2}"#);
    assert_eq!(delivered(sdk, "attributes"), json!({"b": 2}));
    sdk.does(json!(["request_attributes", ["a"], ["b"]]));
    let found = json!({"client": {"a": 1}, "shared": {"b": 2}});
    assert_eq!(delivered(sdk, "answer"), found);
    order(simulator, "delete thermometer b");
    assert_eq!(delivered(sdk, "attributes"), json!({"deleted": ["b"]}));
}

fn calls(simulator: &Simulator, sdk: &mut Interpreter) {
    order(simulator, r#"rpc thermometer blink {"times":3}"#);
    let call = delivered(sdk, "rpc");
    assert_eq!(call["method"], "blink");
    assert_eq!(call["params"], json!({"times": 3}));
    sdk.does(json!(["rpc_reply", call["id"], {"done": true}]));
    let reply = format!(r#"reply of thermometer to {}: {{"done":true}}"#, call["id"]);
    notes(simulator, &reply);

    order(simulator, r#"reply getTime {"time":5}"#);
    sdk.does(json!(["rpc", "getTime", {}]));
    let response = delivered(sdk, "rpc_response");
    assert_eq!(response["value"], json!({"time": 5}));
}

/// The SDK asks for chunks by a filter that is refused; they come nevertheless.
#[test]
fn thingsboard_updates_the_sdk() {
    let (simulator, mut sdk) = connected("device", "A1_TEST_TOKEN");
    let package = format!("fw thermometer image 2.0 {IMAGE_LEN}");
    order(&simulator, &package);
    sdk.does(json!(["get_firmware_update"]));
    answers(&simulator, "v2/fw/response/+", 0x8f);
    let firmware = delivered(&mut sdk, "firmware");
    let image: Vec<u8> = (0..IMAGE_LEN)
        .map(|at| (at ^ at >> 8 ^ at >> 16).to_le_bytes()[0])
        .collect();
    let expected = json!({"version": "2.0", "image": hex::encode(&image)});
    assert_eq!(firmware, expected);
    reports(&simulator, "UPDATED");
}

#[test]
fn thingsboard_announces_a_wrong_checksum_which_the_sdk_finds() {
    let (simulator, mut sdk) = connected("device", "A1_TEST_TOKEN");
    let package = format!("fw thermometer image 2.0 {IMAGE_LEN} SHA256 wrong");
    order(&simulator, &package);
    sdk.does(json!(["get_firmware_update"]));
    reports(&simulator, "FAILED");
}

fn reports(simulator: &Simulator, state: &str) {
    let state = format!(r#""fw_state":"{state}""#);
    happens(
        simulator,
        &state,
        |event| matches!(event, Event::Note(said) if said.contains(&state)),
    );
}

#[test]
fn thingsboard_provisions_the_sdk() {
    let (simulator, mut sdk) = start("thingsboard");
    let mut provisions =
        |secret, arguments| sdk.does(json!(["provision", "provision-key", secret, arguments]));
    assert_eq!(provisions("guessed", json!({})), Value::Null);
    let credentials = provisions("provision-secret", json!({"device_name": "new"}));
    assert_eq!(credentials["credentialsType"], "ACCESS_TOKEN");
    sdk.does(json!([
        "connect",
        "device",
        credentials["credentialsValue"]
    ]));
    sdk.does(json!(["telemetry", {"a": 1}]));
    notes(&simulator, r#"telemetry of new: [{"a":1}]"#);
}

#[test]
fn thingsboard_serves_the_sdk_as_gateway() {
    let (simulator, mut sdk) = connected("gateway", "GATEWAY_TOKEN");
    sdk.does(json!(["gateway_connect", "A", "thermometer"]));
    notes(&simulator, "connected A");
    sdk.does(json!(["gateway_telemetry", "A", {"ts": 1, "values": {"a": 1}}]));
    notes(&simulator, r#"telemetry of A: [{"ts":1,"values":{"a":1}}]"#);
    sdk.does(json!(["gateway_attributes", "A", {"a": 1}]));
    notes(&simulator, r#"attributes of A: {"a":1}"#);

    order(&simulator, r#"child-shared gateway A {"b":2}"#);
    let update = json!({"device": "A", "data": {"b": 2}});
    assert_eq!(delivered(&mut sdk, "gateway_attributes"), update);
    sdk.does(json!(["gateway_request_shared", "A", ["b"]]));
    assert_eq!(delivered(&mut sdk, "answer")["device"], "A");

    order(&simulator, r#"child-rpc gateway A 5 blink {"times":3}"#);
    let data = json!({"id": 5, "method": "blink", "params": {"times": 3}});
    let call = json!({"device": "A", "data": data});
    assert_eq!(delivered(&mut sdk, "gateway_rpc"), call);
    sdk.does(json!(["gateway_rpc_reply", "A", 5, {"done": true}]));
    notes(&simulator, r#"reply of A to 5: {"done":true}"#);

    sdk.does(json!(["gateway_disconnect", "A"]));
    notes(&simulator, "disconnected A");
}
