//! IBM Watson IoT Platform.

use mqtt_tests::simulator::{Event, Simulator};
use serde_json::{Value, json};

use super::{answers, happens, notes, order, start};
use crate::interpreter::Interpreter;

const PLATFORM: &str = "watson-iot";
const ORGANIZATION: &str = "orgid1";

fn device(action: &str) -> Value {
    json!([action, ORGANIZATION, "thermometer", "t-1", "device-token"])
}

fn application(simulator: &Simulator) -> Interpreter {
    let mut application = Interpreter::start(PLATFORM, simulator.address(), None);
    let (key, token) = ("a-orgid1-key", "application-token");
    application.does(json!(["connect_application", "dashboard", key, token]));
    application
}

fn subscribes(sdk: &mut Interpreter, method: &str) {
    sdk.does(json!(["subscribe", method, {}]));
}

#[test]
fn watson_iot_serves_a_device_and_an_application_of_the_sdk() {
    let (simulator, mut sdk) = start(PLATFORM);
    sdk.does(device("connect_device"));
    answers(&simulator, "iot-2/cmd/+/fmt/+", 1);
    let mut application = application(&simulator);
    subscribes(&mut application, "subscribeToDeviceEvents");
    answers(&simulator, "iot-2/type/+/id/+/evt/+/fmt/+", 0);

    let values = json!({"temperature": 21.5});
    sdk.does(json!(["event", "status", "json", values, 1]));
    let event =
        json!({"device": "thermometer:t-1", "name": "status", "format": "json", "data": values});
    assert_eq!(application.next_delivered(), json!(["event", event]));
    application.does(json!([
        "command",
        "thermometer",
        "t-1",
        "set",
        "json",
        values,
        1
    ]));
    let command = json!({"name": "set", "format": "json", "data": values});
    assert_eq!(sdk.next_delivered(), json!(["command", command]));

    subscribes(&mut application, "subscribeToDeviceStatus");
    assert_eq!(application.next_delivered()[1]["action"], "Connect");
    sdk.does(json!(["disconnect"]));
    let left = application.next_delivered();
    assert_eq!(left[1]["action"], "Disconnect");
    assert_eq!(left[1]["close_code"], 0);
}

#[test]
fn watson_iot_serves_a_gateway_of_the_sdk() {
    let (simulator, mut sdk) = start(PLATFORM);
    let token = "gateway-token";
    sdk.does(json!([
        "connect_gateway",
        ORGANIZATION,
        "gateway",
        "g-1",
        token
    ]));
    let mut application = application(&simulator);
    subscribes(&mut application, "subscribeToDeviceEvents");
    answers(&simulator, "iot-2/type/+/id/+/evt/+/fmt/+", 0);
    let values = json!({"temperature": 21.5});
    sdk.does(json!([
        "device_event",
        "valve",
        "v-1",
        "status",
        "json",
        values,
        1
    ]));
    assert_eq!(application.next_delivered()[1]["device"], "valve:v-1");
}

#[test]
fn watson_iot_manages_a_device_of_the_sdk() {
    let (simulator, mut sdk) = start(PLATFORM);
    sdk.does(device("connect_managed"));
    notes(&simulator, "mgmt/manage of thermometer/t-1: 200");
    for (action, topic) in [
        (json!(["location", -84.5, 39.1]), "device/update/location"),
        (json!(["error_code", 5]), "add/diag/errorCodes"),
        (json!(["clear_error_codes"]), "clear/diag/errorCodes"),
        (json!(["log", "full", "AQIDBA==", 1]), "add/diag/log"),
        (json!(["clear_log"]), "clear/diag/log"),
    ] {
        assert_eq!(sdk.does(action), true, "{topic} is answered");
        notes(&simulator, &format!("{topic} of thermometer/t-1: 200"));
    }

    order(&simulator, "reboot thermometer t-1");
    assert_eq!(sdk.next_delivered(), json!(["device_action", "reboot"]));
    responds(&simulator, 202);
    firmware(&simulator, &mut sdk);

    assert_eq!(sdk.does(json!(["unmanage"])), true);
    notes(&simulator, "mgmt/unmanage of thermometer/t-1: 200");
}

/// An update as the platform leads it, from the details to the end.
fn firmware(simulator: &Simulator, sdk: &mut Interpreter) {
    let uri = "http://192.0.2.1/image";
    order(simulator, &format!("firmware thermometer t-1 {uri} 2.0"));
    let told = |action| json!(["firmware", {"action": action, "version": "2.0", "uri": uri}]);
    assert_eq!(sdk.next_delivered(), told("download"));
    sdk.does(json!(["state", 1]));
    notes(simulator, "firmware state of thermometer/t-1: 1");
    sdk.does(json!(["state", 2]));
    notes(simulator, "firmware state of thermometer/t-1: 2");
    assert_eq!(sdk.next_delivered(), told("update"));
    sdk.does(json!(["update_status", 0]));
    notes(simulator, "firmware state of thermometer/t-1: 0");
    // The last step is the end of the observation.
    responds(simulator, 200);
}

fn responds(simulator: &Simulator, code: u16) {
    let code = format!(r#""rc":{code}"#);
    happens(
        simulator,
        &code,
        |event| matches!(event, Event::Note(said) if said.starts_with("response of") && said.contains(&code)),
    );
}
