//! What the tests of managed devices share: a device, and a server that is written out.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

use mqtt_core::{
    Instant, QoS,
    platform::watson_iot::management::{
        Action, ManagedDevice, Profile, Refusal, RequestBody, RequestId, Requested, Response,
        Target,
    },
};
use serde_json::{Value, json};

use crate::support::{Vector, Written, vectors, write};

pub const START: u32 = 0xbeef;
pub const RECORD: usize = 256;
pub const DETAILS: &str = r#"{"reqId":"u1","d":{"fields":[{"field":"mgmt.firmware","value":
    {"version":"2.0","name":"fw","uri":"https:\/\/example.com/fw.bin","verifier":"abcd"}}]}}"#;
pub const OBSERVE_FIRMWARE: &str = r#"{"reqId":"o1","d":{"fields":[{"field":"mgmt.firmware"}]}}"#;

pub const PROFILE: Profile<'static> = {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.bundles = &["bundle-v1"];
    profile.observable = &["location", "temperature"];
    profile
};

pub fn at(millis: u32) -> Instant {
    Instant::from_millis(millis)
}

pub fn request_id(count: u32) -> RequestId {
    RequestId {
        start: START,
        count,
    }
}

/// A message of the server to the device.
pub fn from_server<'m>(topic: &'m str, payload: &'m str) -> (&'m str, &'m [u8]) {
    (topic, payload.as_bytes())
}

pub fn new_device(record: &mut [u8]) -> ManagedDevice<'_> {
    ManagedDevice::new(Target::Own, &PROFILE, record, START).unwrap()
}

/// A device that was accepted at time 0, under the name that counts 1.
pub fn managed(record: &mut [u8]) -> ManagedDevice<'_> {
    let mut device = new_device(record);
    accept_management(&mut device, at(0));
    device
}

/// Publishes the request to be managed, and has it accepted.
pub fn accept_management(device: &mut ManagedDevice<'_>, now: Instant) {
    let publication = device.next_publication().expect("a request to be managed");
    let written = write(&publication).unwrap();
    assert_eq!(written.topic, "iotdevice-1/mgmt/manage");
    device.published(&publication, now);
    assert_eq!(answer(device, &written.json()["reqId"], 200, now), 200);
    assert!(device.is_managed());
}

/// The server answers a request; returns the code as the device understood it.
pub fn answer(device: &mut ManagedDevice<'_>, id: &Value, code: u16, now: Instant) -> u16 {
    let payload = json!({"rc": code, "reqId": id}).to_string();
    let message = from_server("iotdm-1/response", &payload);
    match device.handle(message, now) {
        Ok(Some(Action::Completed(completed))) => completed.code.0,
        other => panic!("{other:?}"),
    }
}

/// What the device publishes next of its own accord, as JSON.
pub fn says(device: &mut ManagedDevice<'_>) -> Option<Value> {
    let publication = device.next_publication()?;
    let written = write(&publication).unwrap();
    assert_eq!((written.qos, written.retain), (QoS::AtLeastOnce, false));
    device.published(&publication, at(0));
    Some(written.json())
}

/// What it says of `mgmt.firmware`.
pub fn tells(device: &mut ManagedDevice<'_>) -> Value {
    let said = says(device).expect("a notification");
    let field = &said["d"]["fields"][0];
    assert_eq!(field["field"], "mgmt.firmware");
    assert_eq!(said, json!({"d": {"fields": [field]}}));
    field["value"].clone()
}

pub fn response(response: &Response<'_>) -> Value {
    let written = write(response).unwrap();
    assert_eq!(written.topic, "iotdevice-1/response");
    assert_eq!((written.qos, written.retain), (QoS::AtLeastOnce, false));
    written.json()
}

/// Sends details of an image and observes `mgmt.firmware`, as every firmware action begins.
pub fn prepare(device: &mut ManagedDevice<'_>) {
    let message = from_server("iotdm-1/device/update", DETAILS);
    let Ok(Some(Action::Update(_, Some(accepted)))) = device.handle(message, at(0)) else {
        panic!("details not taken")
    };
    assert_eq!(response(&accepted), json!({"rc": 204, "reqId": "u1"}));
    let message = from_server("iotdm-1/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = device.handle(message, at(0)) else {
        panic!("not observed")
    };
    let value = response(&device.observe(&observe, &[]))["d"]["fields"][0]["value"].clone();
    assert_eq!(value, json!({"state": 0, "updateStatus": 0}));
}

pub fn requested<'m>(
    device: &mut ManagedDevice<'m>,
    message: (&'m str, &'m [u8]),
) -> Requested<'m> {
    match device.handle(message, at(0)) {
        Ok(Some(Action::Requested(requested))) => requested,
        other => panic!("{other:?}"),
    }
}

/// The server asks for an action, and the device accepts it.
pub fn accept(device: &mut ManagedDevice<'_>, topic: &str, payload: &str) -> Value {
    let message = from_server(topic, payload);
    match device.handle(message, at(0)) {
        Ok(Some(Action::Requested(requested))) => response(&device.accept(requested)),
        other => panic!("{other:?}"),
    }
}

/// The server asks for something, and the device refuses.
pub fn refusal(device: &mut ManagedDevice<'_>, topic: &str, payload: &str) -> (Refusal, Value) {
    let message = from_server(topic, payload);
    match device.handle(message, at(0)) {
        Ok(Some(Action::Refused(refusal, refused))) => (refusal, response(&refused)),
        other => panic!("{other:?}"),
    }
}

pub const DOWNLOAD: &str = "iotdm-1/mgmt/initiate/firmware/download";
pub const UPDATE: &str = "iotdm-1/mgmt/initiate/firmware/update";
pub const REBOOT: &str = "iotdm-1/mgmt/initiate/device/reboot";
pub const FACTORY_RESET: &str = "iotdm-1/mgmt/initiate/device/factory_reset";

pub fn vector(name: &str) -> Vector {
    vectors(include_str!("../vectors/ibm-watson-iot.json"))
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

/// Topic, QoS and meaning of a vector agree with what we wrote; names of requests are each side's own.
pub fn assert_is(name: &str, written: &Written) {
    let vector = vector(name);
    assert_eq!(written.topic, vector.text("topic"), "{name}");
    assert_eq!(vector.get("qos"), written.qos as u8, "{name}");
    assert_eq!(vector.get("retain"), written.retain, "{name}");
    let mut expected: Value = serde_json::from_slice(&vector.payload()).unwrap();
    let ours = written.json();
    assert_eq!(
        expected.get("reqId").is_some(),
        ours.get("reqId").is_some(),
        "{name}"
    );
    if let Some(id) = ours.get("reqId") {
        expected["reqId"] = id.clone();
    }
    assert_eq!(expected, ours, "{name}");
}

pub fn ask(device: &mut ManagedDevice<'_>, body: &impl RequestBody) -> Written {
    write(&device.request(body, at(0)).unwrap()).unwrap()
}
