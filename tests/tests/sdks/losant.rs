//! Losant: `losant-mqtt`.

use mqtt_core::QoS;
use mqtt_core::platform::json::RawJson;
use mqtt_core::platform::losant::{Command, Date, Device, Millis};
use mqtt_core::session::Options;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use crate::compare::{ABSENT, ANY, Comparison, Difference};
use crate::ours::Ours;
use crate::sdk::Sdk;

const ID: &str = "575ecf887ae143cd83dc4aa2";
const KEY: &str = "00000000-0000-0000-0000-000000000000";
const SECRET: &str = "secret";
const TOPIC: &str = "losant/575ecf887ae143cd83dc4aa2/command";
const TIME: u64 = 1_478_288_526_710;

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "connect",
        at: "/connect/keep_alive_s",
        sdk: "15",
        ours: "60",
        reason: "Losant states no limit; a device on a battery or on a paid link should not speak every 15 s",
    },
    Difference {
        action: "state now",
        at: "/publications/0/payload/json/time",
        sdk: ANY,
        ours: ABSENT,
        reason: "the server takes its own time; a device need not have a clock",
    },
    Difference {
        action: "command with unknown members",
        at: "/understood/1/$time",
        sdk: "1",
        ours: ABSENT,
        reason: "not a member of `Command` but a method, which gives a date; 1 is read as 1970",
    },
    Difference {
        action: "command with unknown members",
        at: "/understood/1/id",
        sdk: r#"{"a":[]}"#,
        ours: ABSENT,
        reason: "the SDK hands on whatever came; a typed command leaves aside what is not documented",
    },
    Difference {
        action: "command with a date as number",
        at: "/understood/0",
        sdk: r#""raised""#,
        ours: r#""command""#,
        reason: ONE_FORM,
    },
    Difference {
        action: "command with a date as number",
        at: "/understood/1",
        sdk: r#""TypeError""#,
        ours: r#"{"name":"at","payload":1478288526710}"#,
        reason: ONE_FORM,
    },
];

const ONE_FORM: &str =
    "Losant sends dates in three forms; the SDK takes the text only, and stops at the others";

fn device() -> Device<'static> {
    Device::new(ID).expect("an identifier")
}

fn connected(options: &Options<'_>) -> (Sdk, Vec<Value>, Ours, Vec<Value>) {
    let mut sdk = Sdk::start("losant");
    let (sdk_connects, result) = sdk.connects(json!(["connect", ID, KEY, SECRET]), |_| Vec::new());
    assert_eq!(result, Value::Null);
    let (ours, we_connect) = Ours::connect(options);
    (sdk, sdk_connects, ours, we_connect)
}

#[test]
fn a_device_reports_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let device = device();
    let subscriptions = [device.command_subscription()];
    let options = device.options(KEY, SECRET).subscriptions(&subscriptions);
    let (mut sdk, sdk_connects, mut ours, we_connect) = connected(&options);
    comparison.sent("connect", &sdk_connects, &we_connect);

    let values = json!({
        "temperature": 21.5, "count": -3, "on": true, "name": "caf\u{e9} \"1\"\n",
        "place": "39.1,-84.5",
    });
    let at = device.state(&values).at(Millis(TIME));
    for (name, action) in [
        ("state", json!(["state", values, TIME])),
        (
            "state of a datetime",
            json!(["state_datetime", values, TIME]),
        ),
    ] {
        comparison.sent(name, &sdk.sends(action), &ours.sends(&[&at]));
    }
    let whole_second = TIME / 1000 * 1000;
    let at = device.state(&values).at(Millis(whole_second));
    let action = json!(["state_struct_time", values, whole_second / 1000]);
    comparison.sent(
        "state of a struct_time",
        &sdk.sends(action),
        &ours.sends(&[&at]),
    );
    let now = device.state(&values);
    comparison.sent(
        "state now",
        &sdk.sends(json!(["state", values])),
        &ours.sends(&[&now]),
    );

    comparison.sent("connect", &sdk.reconnects(), &ours.reconnects(&options));

    for (name, payload) in COMMANDS {
        let downlink = Downlink::new(TOPIC, *payload).qos(QoS::AtMostOnce);
        let received = ours.receives(&downlink);
        let command = device.command(&received).expect("a command");
        let command = json!(["command", understood(&command.expect("for this device"))]);
        comparison.understood(name, &sdk.receives(&downlink), &command);
    }
    comparison.finish();
}

#[test]
fn a_device_takes_leave_as_the_sdk_does() {
    let mut comparison = Comparison::new(&DIFFERENCES[..1]);
    let device = device();
    let subscriptions = [device.command_subscription()];
    let options = device.options(KEY, SECRET).subscriptions(&subscriptions);
    let (mut sdk, sdk_connects, ours, we_connect) = connected(&options);
    comparison.sent("connect", &sdk_connects, &we_connect);
    sdk.begins(json!(["close"]));
    let sdk_leaves = sdk.recorder().until_closed();
    comparison.sent("close", &sdk_leaves, &ours.disconnects());
    comparison.finish();
}

/// The last one stops the SDK.
const COMMANDS: &[(&str, &str)] = &[
    (
        "command",
        r#"{"name":"set","payload":{"color":"red","level":3}}"#,
    ),
    ("command without payload", r#"{"name":"reboot"}"#),
    (
        "command with unknown members",
        r#"{"$time":1,"id":{"a":[]},"payload":[1,null],"name":"n"}"#,
    ),
    (
        "command with a date",
        r#"{"name":"at","payload":{"$date":"2016-11-04T19:42:06.710Z"}}"#,
    ),
    (
        "command with a date as number",
        r#"{"name":"at","payload":{"$date":1478288526710}}"#,
    ),
];

fn understood(command: &Command<'_>) -> Value {
    let mut understood = json!({"name": command.name.as_str()});
    if let Some(payload) = command.raw_payload() {
        understood["payload"] = value(payload);
    }
    understood
}

fn value(json: RawJson<'_>) -> Value {
    match json.member("$date").and_then(|_| Date::from_json(json)) {
        Some(Date(millis)) => millis.into(),
        None => serde_json::from_slice(json.as_bytes()).expect("JSON"),
    }
}
