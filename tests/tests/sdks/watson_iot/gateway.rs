//! A gateway.

use mqtt_core::QoS;
use mqtt_core::platform::json::{JsonStr, RawJson};
use mqtt_core::platform::watson_iot::management::{
    ClearErrorCodes, ErrorCode, ManagedDevice, Profile, Target, Unmanage,
};
use mqtt_core::platform::watson_iot::{DeviceId, Gateway, ToGateway};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{ORGANIZATION, TOKEN, accept_requests, content};
use crate::compare::{ABSENT, Comparison, Difference};
use crate::ours::{NOW, Ours};
use crate::sdk::Sdk;

const TYPE: &str = "hub";
const ID: &str = "hall";

const DIFFERENCES: &[Difference] = &[Difference {
    action: "connect",
    at: "/subscriptions/iotdm-1~1#",
    sdk: ABSENT,
    ours: "1",
    reason: "the helper's list is for gateways that are managed too",
}];

const MANAGED: &[Difference] = &[
    Difference {
        action: "connect",
        at: "/subscriptions/*",
        sdk: ABSENT,
        ours: "1",
        reason: "commands and management of the gateway and of all devices behind it",
    },
    Difference {
        action: "connect",
        at: "/subscriptions/*",
        sdk: "1",
        ours: ABSENT,
        reason: "the SDK's filters lie within ours: commands, responses and observation of the gateway itself",
    },
    Difference {
        action: "connect",
        at: "/publications/0/times",
        sdk: "3",
        ours: ABSENT,
        reason: "the SDK asks to be managed after each SUBACK; once is enough",
    },
    Difference {
        action: "*",
        at: "/publications/0/payload/json/d/deviceInfo",
        sdk: "{}",
        ours: ABSENT,
        reason: "optional. The SDK means to send what it was given, but it is always empty",
    },
    Difference {
        action: "*",
        at: "/publications/0/payload/json/d/metadata",
        sdk: "{}",
        ours: ABSENT,
        reason: "optional",
    },
];

fn gateway() -> Gateway<'static> {
    Gateway::new(ORGANIZATION, TYPE, ID).expect("names")
}

#[test]
fn a_gateway_speaks_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let gateway = gateway();
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_gateway", ORGANIZATION, TYPE, ID, TOKEN]);
    let (mut sdk_connects, _) = sdk.connects(action, |_| Vec::new());
    for (method, arguments) in [
        (
            "subscribeToDeviceCommands",
            json!({"typeId": "+", "deviceId": "+", "msgFormat": "+"}),
        ),
        ("subscribeToNotifications", json!({})),
    ] {
        sdk_connects.extend(sdk.sends(json!(["subscribe", method, arguments])));
    }
    let subscriptions = gateway.subscriptions();
    let options = gateway.options(TOKEN).subscriptions(&subscriptions);
    let (mut ours, we_connect) = Ours::connect(&options);
    comparison.sent("connect", &sdk_connects, &we_connect);

    let values = json!({"temperature": 21.5});
    let message = gateway.event("status").json(&values);
    let action = json!(["event", "status", "json", values]);
    comparison.sent("event", &sdk.sends(action), &ours.sends(&[&message]));
    let device = DeviceId::new("thermometer", "kitchen").expect("names");
    let message = gateway
        .event_of(device, "status")
        .at_least_once()
        .json(&values);
    let action = json!([
        "device_event",
        "thermometer",
        "kitchen",
        "status",
        "json",
        values,
        1
    ]);
    comparison.sent(
        "event of a device",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );

    let note = r#"{"Request":"publish","Time":"2016-11-04T19:42:06.710Z","Topic":"iot-2/x","Client":"g:za6xa7:hub:hall",
        "RC":276,"Message":"no"}"#;
    let downlink = Downlink::new("iot-2/type/hub/id/hall/notify", note).qos(QoS::AtMostOnce);
    let received = ours.receives(&downlink);
    let message = gateway.message(&received).expect("good").expect("for us");
    let ToGateway::Notification(notification) = message else {
        panic!("{message:?} is no notification")
    };
    let we_understand = json!(["notification", {
        "Request": notification.request.as_str(),
        "Time": notification.time.and_then(JsonStr::as_str),
        "Topic": notification.topic.and_then(JsonStr::as_str),
        "Client": notification.client.and_then(JsonStr::as_str),
        "RC": notification.code.and_then(RawJson::integer::<u16>),
        "Message": notification.message.and_then(JsonStr::as_str),
    }]);
    comparison.understood("notification", &sdk.receives(&downlink), &we_understand);

    comparison.finish();
}

#[test]
fn a_command_behind_a_gateway_arrives_where_the_sdk_drops_it() {
    let gateway = gateway();
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_gateway", ORGANIZATION, TYPE, ID, TOKEN]);
    sdk.connects(action, |_| Vec::new());
    let (mut ours, _) = Ours::connect(&gateway.options(TOKEN));
    let topic = "iot-2/type/thermometer/id/kitchen/cmd/set/fmt/json";
    let downlink = Downlink::new(topic, r#"{"on":true}"#);
    let received = ours.receives(&downlink);
    let message = gateway.message(&received).expect("good").expect("for us");
    let ToGateway::Command(device, command) = message else {
        panic!("{message:?} is no command")
    };
    assert_eq!(
        (device.type_id(), device.device_id()),
        ("thermometer", "kitchen")
    );
    let data = json!({"name": "set", "format": "json", "data": {"on": true}});
    assert_eq!(content(&command), data);

    // It looks for the topic of a device, without type and identifier.
    sdk.recorder().sends(&downlink);
    sdk.recorder().until(|_| true);
    sdk.does(json!(["nothing"]));
    assert!(sdk.has_delivered_nothing());
}

#[test]
fn a_gateway_is_managed_as_by_the_sdk() {
    let mut comparison = Comparison::new(MANAGED);
    let gateway = gateway();
    let mut sdk = Sdk::start("watson-iot");
    let action = json!(["connect_managed_gateway", ORGANIZATION, TYPE, ID, TOKEN]);
    let (sdk_connects, _) = sdk.connects(action, accept_requests);
    let subscriptions = gateway.subscriptions();
    let options = gateway.options(TOKEN).subscriptions(&subscriptions[..2]);
    let (mut ours, mut we_connect) = Ours::connect(&options);
    ours.recorder.answers(accept_requests);

    let profile = Profile {
        lifetime_s: 3600,
        ..Profile::new()
    };
    let target = Target::Device(gateway.id());
    let mut managed = ManagedDevice::new(target, &profile, &mut [], 1).expect("a profile");
    we_connect.extend(asks_to_be_managed(&mut managed, &mut ours));
    comparison.sent("connect", &sdk_connects, &we_connect);
    managed.manage();
    let we_send = asks_to_be_managed(&mut managed, &mut ours);
    comparison.sent("manage", &sdk.sends(json!(["manage", {}])), &we_send);

    macro_rules! request {
        ($name:literal, $action:expr, $body:expr) => {
            let body = $body;
            let request = managed.request(&body, NOW).expect("a request");
            let we_send = ours.sends(&[&request]);
            answered(&mut managed, &mut ours);
            comparison.sent($name, &sdk.sends($action), &we_send);
        };
    }
    request!("error code", json!(["error_code", 5]), ErrorCode(5));
    request!(
        "clear error codes",
        json!(["clear_error_codes"]),
        ClearErrorCodes
    );
    // It looks for a member that is not there.
    let (sdk_sends, result) = sdk.does(json!(["location", 1.5, 2.5]));
    assert_eq!(
        (sdk_sends, result),
        (Vec::new(), json!({"raised": "AttributeError"}))
    );
    request!("unmanage", json!(["unmanage"]), Unmanage);
    comparison.finish();
}

fn asks_to_be_managed(managed: &mut ManagedDevice<'_>, ours: &mut Ours) -> Vec<Value> {
    let upkeep = managed
        .next_publication()
        .expect("the request to be managed");
    let records = ours.sends(&[&upkeep]);
    managed.published(&upkeep, NOW);
    answered(managed, ours);
    records
}

fn answered(managed: &mut ManagedDevice<'_>, ours: &mut Ours) {
    let received = ours.next_message();
    let action = managed.handle(&received, NOW).expect("good");
    assert!(action.is_some(), "a response");
}
