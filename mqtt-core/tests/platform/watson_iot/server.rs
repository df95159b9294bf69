//! IBM Watson IoT Platform, device management: what the server asks of a device, firmware apart.

use super::support::*;
use crate::support::write;
use mqtt_core::platform::{
    Decimal,
    json::RawJson,
    watson_iot::{
        DeviceId, MalformedMessage,
        management::{
            Action, ActionKind, Attribute, ManagedDevice, Notify, Profile, Refusal, RequestError,
            Response, ResponseCode, Target,
        },
    },
};
use serde_json::json;

#[test]
fn attributes_are_told_while_they_are_observed() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let temperature = Decimal::<1>::new(215);
    let attributes = [Attribute {
        name: "temperature",
        value: &temperature,
    }];
    let notify = Notify(&attributes);
    let refused = device.request(&notify, at(0)).err();
    assert_eq!(refused, Some(RequestError::NotObserved));

    let payload =
        r#"{"reqId":"o7","d":{"fields":[{"field":"temper\u0061ture"},{"field":"location"}]}}"#;
    let message = from_server("iotdm-1/observe", payload);
    let Ok(Some(Action::Observe(observe))) = device.handle(message, at(0)) else {
        panic!("not observed")
    };
    let names: Vec<_> = observe
        .attributes()
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["temperature", "location"]);
    assert!(!device.is_observed("temperature"), "not before the answer");
    let answered = response(&device.observe(&observe, &attributes));
    let expected = json!({"rc": 200, "reqId": "o7", "d": {"fields": [
        {"field": "temperature", "value": 21.5}, {"field": "location", "value": null}]}});
    assert_eq!(answered, expected);
    assert!(device.is_observed("temperature") && device.is_observed("location"));
    assert!(!device.is_observed("mgmt.firmware"));

    let written = ask(&mut device, &notify);
    assert_eq!(written.topic, "iotdevice-1/notify");
    let told = json!({"fields": [{"field": "temperature", "value": 21.5}]});
    assert_eq!(written.json()["d"], told);
    let refused = device.request(&Notify(&[]), at(0)).err();
    assert_eq!(refused, Some(RequestError::NotObserved));

    let payload = r#"{"reqId":"c7","d":{"fields":[{"field":"temperature"},{"field":"?"}]}}"#;
    let message = from_server("iotdm-1/cancel", payload);
    let Ok(Some(Action::Cancelled(_, cancelled))) = device.handle(message, at(0)) else {
        panic!("not cancelled")
    };
    assert_eq!(response(&cancelled), json!({"rc": 200, "reqId": "c7"}));
    assert!(!device.is_observed("temperature") && device.is_observed("location"));
    let refused = device.request(&notify, at(0)).err();
    assert_eq!(refused, Some(RequestError::NotObserved));
}

#[test]
fn attributes_that_cannot_be_observed_are_named_in_the_refusal() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let payload =
        r#"{"reqId":"o1","d":{"fields":[{"field":"location"},{"field":"x"},{"field":"y\n"}]}}"#;
    let (why, answered) = refusal(&mut device, "iotdm-1/observe", payload);
    assert_eq!(why, Refusal::UnknownAttribute);
    let expected =
        json!({"rc": 404, "reqId": "o1", "d": {"fields": [{"field": "x"}, {"field": "y\n"}]}});
    assert_eq!(answered, expected);
    assert!(!device.is_observed("location"));
}

#[test]
fn a_new_profile_keeps_what_is_observed_and_asks_to_be_managed_anew() {
    let mut record = [0; RECORD];
    let mut other = PROFILE;
    other.observable = &["temperature", "pressure", "location"];
    let mut device = managed(&mut record);
    let payload = r#"{"reqId":1,"d":{"fields":[{"field":"temperature"}]}}"#;
    let message = from_server("iotdm-1/observe", payload);
    let Ok(Some(Action::Observe(observe))) = device.handle(message, at(0)) else {
        panic!("not observed")
    };
    assert_eq!(response(&device.observe(&observe, &[]))["reqId"], 1);
    device.set_profile(&other).unwrap();
    assert!(device.is_observed("temperature"));
    assert!(!device.is_observed("pressure") && !device.is_observed("location"));
    accept_management(&mut device, at(0));
}

#[test]
fn updates_of_attributes_are_given_to_the_application() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let payload = r#"{"d":{"fields":[{"field":"metadata","value":{"room":7}},{"field":"new"}]}}"#;
    let message = from_server("iotdm-1/device/update", payload);
    let Ok(Some(Action::Update(attributes, None))) = device.handle(message, at(0)) else {
        panic!("an answer nobody wants")
    };
    let mut fields = attributes.iter();
    let (name, value) = fields.next().unwrap();
    assert!(name == "metadata" && value.member("room").unwrap().integer() == Some(7_u8));
    let (name, value) = fields.next().unwrap();
    assert!(name == "new" && value.is_null());
    assert!(fields.next().is_none());

    let payload = r#"{"reqId":"x\"y","d":{"fields":[]},"more":1}"#;
    let message = from_server("iotdm-1/device/update", payload);
    let Ok(Some(Action::Update(_, Some(answered)))) = device.handle(message, at(0)) else {
        panic!("no answer")
    };
    assert_eq!(response(&answered), json!({"rc": 204, "reqId": "x\"y"}));
}

#[test]
fn what_is_malformed_is_never_acted_on() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    prepare(&mut device);
    for name in ["bad-dm-json", "bad-dm-no-reqid"] {
        let vector = vector(name);
        assert!(vector.is_malformed());
        let message = from_server(vector.text("topic"), vector.text("payload"));
        assert!(device.handle(message, at(0)).is_err(), "{name}");
    }
    for topic in [
        REBOOT,
        FACTORY_RESET,
        DOWNLOAD,
        UPDATE,
        "iotdm-1/mgmt/custom/bundle-v1/a",
    ] {
        for payload in [
            "",
            "{",
            "{}",
            "[]",
            "1",
            "\"reqId\"",
            r#"{"reqId":null}"#,
            r#"{"reqId":{}}"#,
            r#"{"reqId":"1"} {}"#,
            "{\"reqId\":\"\u{1}\"}",
        ] {
            let message = from_server(topic, payload);
            assert!(device.handle(message, at(0)).is_err(), "{topic} {payload}");
        }
    }
    for topic in ["iotdm-1/observe", "iotdm-1/cancel", "iotdm-1/device/update"] {
        for payload in [
            r#"{"reqId":"1"}"#,
            r#"{"reqId":"1","d":[]}"#,
            r#"{"reqId":"1","d":{"fields":{}}}"#,
            r#"{"reqId":"1","d":{"fields":[{"field":7}]}}"#,
            r#"{"reqId":"1","d":{"fields":["mgmt.firmware"]}}"#,
        ] {
            let (why, answered) = refusal(&mut device, topic, payload);
            assert_eq!(why, Refusal::Malformed);
            assert_eq!(answered, json!({"rc": 400, "reqId": "1"}));
        }
    }
    let message = from_server("iotdm-1/device/update", r#"{"d":{}}"#);
    let error = device.handle(message, at(0)).err();
    assert_eq!(error, Some(MalformedMessage::Member("d")));
    assert_eq!(device.interrupted(), None);
}

#[test]
fn requests_of_unknown_kind_are_answered() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let vector = vector("bad-dme-topic");
    assert!(vector.is_malformed());
    let bad = (vector.text("topic"), vector.text("payload"));
    for (topic, payload) in [
        bad,
        (
            "iotdm-1/mgmt/initiate/device/self_destruct",
            r#"{"reqId":"m2"}"#,
        ),
        ("iotdm-1/mgmt/custom/bundle-v1/a/b", r#"{"reqId":"m2"}"#),
        ("iotdm-1/mgmt/custom//a", r#"{"reqId":"m2"}"#),
        ("iotdm-1/", r#"{"reqId":"m2"}"#),
        ("iotdm-1", r#"{"reqId":"m2"}"#),
        ("iotdm-1/type/test/id/4321/observe", r#"{"reqId":"m2"}"#),
    ] {
        let (why, answered) = refusal(&mut device, topic, payload);
        assert_eq!(why, Refusal::Unknown, "{topic}");
        assert_eq!(answered, json!({"rc": 501, "reqId": "m2"}));
    }
    for topic in [
        "iot-2/cmd/a/fmt/json",
        "iotdm-2/observe",
        "iotdevice-1/response",
        "",
    ] {
        let message = from_server(topic, "not JSON");
        assert!(matches!(device.handle(message, at(0)), Ok(None)), "{topic}");
    }
}

#[test]
fn what_the_profile_does_not_allow_is_refused() {
    let nothing = Profile::new();
    let mut record = [0; RECORD];
    let mut device = ManagedDevice::new(Target::Own, &nothing, &mut record, START).unwrap();
    accept_management(&mut device, at(0));
    for (topic, code) in [
        (REBOOT, 501),
        (FACTORY_RESET, 501),
        (DOWNLOAD, 500),
        (UPDATE, 501),
        ("iotdm-1/mgmt/custom/bundle-v1/installPlugin", 501),
    ] {
        let (why, answered) = refusal(&mut device, topic, r#"{"reqId":"1"}"#);
        assert_eq!(
            (why, &answered["rc"]),
            (Refusal::NotSupported, &json!(code)),
            "{topic}"
        );
    }
    let (why, _) = refusal(&mut device, "iotdm-1/observe", OBSERVE_FIRMWARE);
    assert_eq!(why, Refusal::UnknownAttribute);
    // An attribute that is of no use to the device.
    let message = from_server("iotdm-1/device/update", DETAILS);
    assert!(matches!(
        device.handle(message, at(0)),
        Ok(Some(Action::Update(..)))
    ));
    assert_eq!(device.firmware().uri, "");
}

#[test]
fn custom_actions_are_answered_when_they_are_done() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let vector = vector("dme-action");
    let message = from_server(vector.text("topic"), vector.text("payload"));
    let Ok(Some(Action::Custom(custom))) = device.handle(message, at(0)) else {
        panic!("no action")
    };
    assert_eq!(
        (custom.bundle, custom.action),
        ("bundle-v1", "installPlugin")
    );
    let (name, value) = custom.parameters.unwrap().iter().next().unwrap();
    assert!(name == "pluginId" && value.string().unwrap() == "p");
    let done = response(&custom.response(ResponseCode::OK));
    assert_eq!(done, json!({"rc": 200, "reqId": "m1"}));
    // The message is gone, the name was copied.
    let id = custom.request_id().as_bytes().to_vec();
    let later = Response::to(
        Target::Own,
        RawJson::parse(&id).unwrap(),
        ResponseCode::NOT_SUPPORTED,
    );
    assert_eq!(
        response(&later.message("no")),
        json!({"rc": 501, "message": "no", "reqId": "m1"})
    );

    let message = from_server("iotdm-1/mgmt/custom/bundle-v1/ping", r#"{"reqId":"m2"}"#);
    let Ok(Some(Action::Custom(custom))) = device.handle(message, at(0)) else {
        panic!("no action")
    };
    assert_eq!(custom.parameters, None);
    let bad = r#"{"reqId":"m3","d":{"fields":[1]}}"#;
    let (why, _) = refusal(&mut device, "iotdm-1/mgmt/custom/bundle-v1/ping", bad);
    assert_eq!(why, Refusal::Malformed);
}

#[test]
fn an_action_that_is_refused_by_the_application_may_come_again() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let message = from_server(FACTORY_RESET, r#"{"reqId":"r1"}"#);
    let reset = requested(&mut device, message);
    let refused = reset.refuse(ResponseCode::FAILED, "busy");
    assert_eq!(
        response(&refused),
        json!({"rc": 500, "message": "busy", "reqId": "r1"})
    );
    assert_eq!(
        requested(&mut device, message).kind,
        ActionKind::FactoryReset
    );
}

#[test]
fn a_gateway_manages_itself_and_the_devices_behind_it() {
    let [mut a, mut b] = [[0; RECORD]; 2];
    let gateway = Target::Device(DeviceId::new("gw", "1").unwrap());
    let sensor = Target::Device(DeviceId::new("sensor", "7").unwrap());
    let mut gateway = ManagedDevice::new(gateway, &PROFILE, &mut a, START).unwrap();
    let mut sensor = ManagedDevice::new(sensor, &PROFILE, &mut b, START + 1).unwrap();
    let asked = write(&gateway.next_publication().unwrap()).unwrap();
    assert_eq!(asked.topic, "iotdevice-1/type/gw/id/1/mgmt/manage");
    let asked = write(&sensor.next_publication().unwrap()).unwrap();
    assert_eq!(asked.topic, "iotdevice-1/type/sensor/id/7/mgmt/manage");

    let topic = "iotdm-1/type/sensor/id/7/response";
    let payload = json!({"rc": 200, "reqId": asked.json()["reqId"]}).to_string();
    let message = from_server(topic, &payload);
    assert!(matches!(gateway.handle(message, at(0)), Ok(None)));
    let action = sensor.handle(message, at(0));
    assert!(matches!(action, Ok(Some(Action::Completed(_)))));
    assert!(sensor.is_managed() && !gateway.is_managed());

    let message = from_server("iotdm-1/type/sensor/id/7/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = sensor.handle(message, at(0)) else {
        panic!("not observed")
    };
    let answered = write(&sensor.observe(&observe, &[])).unwrap();
    assert_eq!(answered.topic, "iotdevice-1/type/sensor/id/7/response");
    for topic in [
        "iotdm-1/observe",
        "iotdm-1/type/sensor/id",
        "iotdm-1/type/x/id/7/observe",
    ] {
        let message = from_server(topic, OBSERVE_FIRMWARE);
        assert!(matches!(sensor.handle(message, at(0)), Ok(None)), "{topic}");
    }
}
