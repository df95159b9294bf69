//! An application.

use mqtt_core::QoS;
use mqtt_core::codec::Subscription;
use mqtt_core::platform::watson_iot::{
    Application, DeviceId, Filter, Status, StatusAction, ToApplication,
};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{ID, ORGANIZATION, TOKEN, TYPE, content};
use crate::compare::{Comparison, Difference};
use crate::ours::Ours;
use crate::sdk::Sdk;

const KEY: &str = "a-za6xa7-0123456789";

const DIFFERENCES: &[Difference] = &[];

fn application() -> Application<'static> {
    Application::new(ORGANIZATION, "dashboard").expect("names")
}

fn id() -> DeviceId<'static> {
    DeviceId::new(TYPE, ID).expect("names")
}

#[test]
fn an_application_speaks_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let application = application();
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_application", "dashboard", KEY, TOKEN]);
    let (sdk_connects, _) = sdk.connects(action, |_| Vec::new());
    let (mut ours, we_connect) = Ours::connect(&application.options(KEY, TOKEN));
    comparison.sent("connect", &sdk_connects, &we_connect);

    for (name, method, arguments, filter, qos) in subscriptions() {
        let sdk_sends = sdk.sends(json!(["subscribe", method, arguments]));
        let mut buffer = [0; 128];
        let filter = filter.topic_filter(&mut buffer).expect("a filter");
        let we_send = ours.subscribes(&[Subscription::new(filter, qos)]);
        comparison.sent(name, &sdk_sends, &we_send);
    }

    let values = json!({"on": true});
    let message = application.event(id(), "status").json(&values);
    let action = json!(["application_event", TYPE, ID, "status", "json", values]);
    comparison.sent("event", &sdk.sends(action), &ours.sends(&[&message]));
    let message = application
        .command(id(), "set")
        .at_least_once()
        .json(&values);
    let action = json!(["command", TYPE, ID, "set", "json", values, 1]);
    comparison.sent("command", &sdk.sends(action), &ours.sends(&[&message]));

    for (name, topic, payload) in DOWNLINKS {
        let downlink = Downlink::new(*topic, *payload).qos(QoS::AtMostOnce);
        let received = ours.receives(&downlink);
        let message = application
            .message(&received)
            .expect("good")
            .expect("for us");
        comparison.understood(name, &sdk.receives(&downlink), &understood(&message));
    }
    comparison.finish();
}

#[test]
fn a_shared_application_is_called_as_by_the_sdk() {
    let mut comparison = Comparison::new(&[]);
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_application", "dashboard", KEY, TOKEN, {"instanceId": "one"}]);
    let (sdk_connects, _) = sdk.connects(action, |_| Vec::new());
    let application =
        Application::shared_instance(ORGANIZATION, "dashboard", "one").expect("names");
    let (_, we_connect) = Ours::connect(&application.options(KEY, TOKEN));
    comparison.sent("connect", &sdk_connects, &we_connect);
    comparison.finish();
}

#[test]
fn statuses_of_applications_are_read_where_the_sdk_drops_them() {
    const TOPIC: &str = "iot-2/app/dashboard/mon";
    let application = application();
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_application", "dashboard", KEY, TOKEN]);
    sdk.connects(action, |_| Vec::new());
    let (mut ours, _) = Ours::connect(&application.options(KEY, TOKEN));
    let downlink = Downlink::new(TOPIC, STATUS);
    let received = ours.receives(&downlink);
    let message = application
        .message(&received)
        .expect("good")
        .expect("for us");
    assert!(matches!(
        message,
        ToApplication::ApplicationStatus("dashboard", _)
    ));

    // It looks for a device in the topic.
    sdk.recorder().sends(&downlink);
    sdk.does(json!(["nothing"]));
    assert!(sdk.has_delivered_nothing());
}

type Wanted = (&'static str, &'static str, Value, Filter<'static>, QoS);

fn subscriptions() -> [Wanted; 8] {
    let device = json!({"typeId": TYPE, "deviceId": ID});
    let qos = QoS::AtMostOnce;
    [
        (
            "events",
            "subscribeToDeviceEvents",
            json!({}),
            Filter::events(),
            qos,
        ),
        (
            "some events",
            "subscribeToDeviceEvents",
            json!({"typeId": TYPE, "deviceId": ID, "eventId": "status", "msgFormat": "json", "qos": 2}),
            Filter::events().device(id()).name("status").format("json"),
            QoS::ExactlyOnce,
        ),
        (
            "commands",
            "subscribeToDeviceCommands",
            device.clone(),
            Filter::commands().device(id()),
            qos,
        ),
        (
            "all commands",
            "subscribeToDeviceCommands",
            json!({}),
            Filter::commands(),
            qos,
        ),
        (
            "statuses",
            "subscribeToDeviceStatus",
            json!({}),
            Filter::device_status(),
            qos,
        ),
        (
            "status",
            "subscribeToDeviceStatus",
            device,
            Filter::device_status().device(id()),
            qos,
        ),
        (
            "states",
            "subscribeToDeviceState",
            json!({"logicalInterfaceId": "alias"}),
            Filter::device_state("alias"),
            qos,
        ),
        (
            "errors",
            "subscribeToErrorTopic",
            json!({}),
            Filter::device_errors(),
            qos,
        ),
    ]
}

const STATUS: &str = r#"{"ClientAddr":"192.0.2.1","Protocol":"mqtt-tcp","ClientID":"d:za6xa7:thermometer:kitchen",
    "User":"use-token-auth","Time":"2014-07-07T06:37:56.494-04:00","Action":"Disconnect",
    "ConnectTime":"2014-07-07T06:37:56.493-04:00","Port":1883,"WriteMsg":0,"ReadMsg":872,
    "Reason":"The connection has completed normally.","ReadBytes":136507,"WriteBytes":32,"CloseCode":0}"#;

const DOWNLINKS: &[(&str, &str, &str)] = &[
    (
        "event",
        "iot-2/type/thermometer/id/kitchen/evt/status/fmt/json",
        r#"{"d":{"t":1.5}}"#,
    ),
    (
        "event of text",
        "iot-2/type/thermometer/id/kitchen/evt/log/fmt/utf8",
        "caf\u{e9}",
    ),
    (
        "command",
        "iot-2/type/thermometer/id/kitchen/cmd/set/fmt/json",
        r#"{"on":true}"#,
    ),
    ("status", "iot-2/type/thermometer/id/kitchen/mon", STATUS),
    (
        "state",
        "iot-2/type/thermometer/id/kitchen/intf/alias/evt/state",
        r#"{"state":{"t":1}}"#,
    ),
    (
        "error",
        "iot-2/type/thermometer/id/kitchen/err/data",
        r#"{"message":"no"}"#,
    ),
];

fn understood(message: &ToApplication<'_>) -> Value {
    let named = |device: &DeviceId<'_>| format!("{}:{}", device.type_id(), device.device_id());
    let text = |bytes: &[u8]| json!(str::from_utf8(bytes).expect("text"));
    let from = |device: &DeviceId<'_>, mut value: Value| {
        value["device"] = named(device).into();
        value
    };
    match message {
        ToApplication::Event(device, event) => json!(["event", from(device, content(event))]),
        ToApplication::Command(device, command) => {
            json!(["command", from(device, content(command))])
        }
        ToApplication::DeviceStatus(device, status) => {
            json!(["device_status", from(device, understood_status(status))])
        }
        ToApplication::DeviceState {
            device,
            interface,
            payload,
        } => json!(["device_state", {
            "device": named(device), "interface": interface, "payload": text(payload),
        }]),
        ToApplication::DeviceError(device, payload) => json!(["device_error", {
            "device": named(device), "payload": text(payload),
        }]),
        other => panic!("{other:?}"),
    }
}

fn understood_status(status: &Status<'_>) -> Value {
    let action = match status.action {
        StatusAction::Connect => "Connect",
        StatusAction::FailedConnect => "FailedConnect",
        StatusAction::Disconnect => "Disconnect",
        other => panic!("{other:?}"),
    };
    json!({
        "action": action,
        "client_id": status.client_id.as_str(),
        "close_code": status.close_code.map(|code| code.0),
        "read_bytes": status.read_bytes,
    })
}
