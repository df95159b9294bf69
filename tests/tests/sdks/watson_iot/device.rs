//! A device: events and commands.

use mqtt_core::QoS;
use mqtt_core::platform::watson_iot::Device;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{ID, ORGANIZATION, TOKEN, TYPE, content};
use crate::compare::{Comparison, Difference};
use crate::ours::Ours;
use crate::sdk::Sdk;

const DIFFERENCES: &[Difference] = &[];

fn device() -> Device<'static> {
    Device::new(ORGANIZATION, TYPE, ID).expect("names")
}

fn connected(comparison: &mut Comparison) -> (Sdk, Ours) {
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_device", ORGANIZATION, TYPE, ID, TOKEN]);
    let (sdk_connects, result) = sdk.connects(action, |_| Vec::new());
    assert_eq!(result, Value::Null);
    let (ours, we_connect) = Ours::connect(&device().options(TOKEN));
    comparison.sent("connect", &sdk_connects, &we_connect);
    (sdk, ours)
}

#[test]
fn a_device_speaks_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let device = device();
    let (mut sdk, mut ours) = connected(&mut comparison);

    let values = json!({"temperature": 21.5, "name": "caf\u{e9} \"1\"", "list": [1, null, true]});
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let name = format!("event at {qos:?}");
        let message = device.event("status").qos(qos).json(&values);
        let action = json!(["event", "status", "json", values, qos as u8]);
        comparison.sent(&name, &sdk.sends(action), &ours.sends(&[&message]));
    }
    let message = device.event("status").json_in_d(&values);
    let action = json!(["event", "status", "json", {"d": values}]);
    comparison.sent("event in d", &sdk.sends(action), &ours.sends(&[&message]));
    for format in ["raw", "utf8"] {
        let message = device.event("log").bytes(format, "caf\u{e9}".as_bytes());
        let action = json!(["event", "log", format, "caf\u{e9}"]);
        comparison.sent(
            "event of text",
            &sdk.sends(action),
            &ours.sends(&[&message]),
        );
    }

    for (format, payload) in [
        ("json", r#"{"on":true,"level":3}"#),
        ("json", "[1,2]"),
        ("utf8", "caf\u{e9}"),
    ] {
        let downlink = Downlink::new(format!("iot-2/cmd/set/fmt/{format}"), payload);
        let received = ours.receives(&downlink);
        let command = device.command(&received).expect("a command");
        let we_understand = json!(["command", content(&command)]);
        comparison.understood("command", &sdk.receives(&downlink), &we_understand);
    }

    sdk.begins(json!(["disconnect"]));
    let sdk_leaves = sdk.recorder().until_closed();
    comparison.sent("disconnect", &sdk_leaves, &ours.disconnects());
    comparison.finish();
}

#[test]
fn a_command_of_any_format_arrives_where_the_sdk_stops() {
    let device = device();
    let (mut sdk, mut ours) = connected(&mut Comparison::new(&[]));
    let downlink = Downlink::new("iot-2/cmd/set/fmt/cbor", b"\xa0").qos(QoS::AtMostOnce);
    let received = ours.receives(&downlink);
    let command = device.command(&received).expect("a command");
    assert_eq!((command.format, command.payload), ("cbor", &b"\xa0"[..]));

    // The exception ends the thread of its connection: what it publishes now goes nowhere.
    sdk.recorder().sends(&downlink);
    let known = Downlink::new("iot-2/cmd/set/fmt/json", "{}").qos(QoS::AtMostOnce);
    sdk.recorder().sends(&known);
    assert!(sdk.is_silent());
}

#[test]
fn a_session_that_lasts_is_wanted_by_the_opposite_word() {
    const INVERTED: &[Difference] = &[Difference {
        action: "connect",
        at: "/connect/clean_session",
        sdk: "false",
        ours: "true",
        reason: "the SDK's option cleanStart asks for the opposite; ours says what CONNECT says",
    }];
    let mut comparison = Comparison::new(INVERTED);
    let mut sdk = Sdk::start("watson-iot");
    let options = json!({"cleanStart": true});
    let action = json!(["connect_device", ORGANIZATION, TYPE, ID, TOKEN, options]);
    let (sdk_connects, _) = sdk.connects(action, |_| Vec::new());
    let device = device();
    let mut options = device.options(TOKEN);
    options.clean_session = true;
    let (_, we_connect) = Ours::connect(&options);
    comparison.sent("connect", &sdk_connects, &we_connect);
    comparison.finish();
}
