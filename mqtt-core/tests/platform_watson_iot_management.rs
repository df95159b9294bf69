//! IBM Watson IoT Platform, device management: what a managed device says and does, as traces.

mod platform_support;

use core::{cell::RefCell, future::ready, pin::pin, task::Context};

use mqtt_core::{
    Instant, Publication, QoS,
    codec::EncodeError,
    platform::{
        Decimal,
        json::{JsonError, RawJson},
        update::{MAX_RECORD_LEN, UpdateStore},
        watson_iot::{
            DeviceId, MAX_PAYLOAD, MalformedMessage,
            management::{
                Action, ActionKind, Attribute, BadRecord, ClearErrorCodes, ClearLog, Completed,
                DeviceInfo, DownloadFailure, ErrorCode, FirmwareState, Location, LogEntry,
                ManagedDevice, Notify, Profile, ProfileError, Refusal, Request, RequestBody,
                RequestError, RequestId, RequestKind, Requested, Response, ResponseCode, Severity,
                Target, Unmanage, UpdateFailure, UpdateStatus, WrongState,
            },
        },
    },
};
use platform_support::{Vector, Written, vectors, write, write_into};
use serde_json::{Value, json};

const START: u32 = 0xbeef;
const RECORD: usize = 256;
const DETAILS: &str = r#"{"reqId":"u1","d":{"fields":[{"field":"mgmt.firmware","value":
    {"version":"2.0","name":"fw","uri":"https:\/\/example.com/fw.bin","verifier":"abcd"}}]}}"#;
const OBSERVE_FIRMWARE: &str = r#"{"reqId":"o1","d":{"fields":[{"field":"mgmt.firmware"}]}}"#;

const PROFILE: Profile<'static> = {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.bundles = &["bundle-v1"];
    profile.observable = &["location", "temperature"];
    profile
};

fn at(millis: u32) -> Instant {
    Instant::from_millis(millis)
}

fn request_id(count: u32) -> RequestId {
    RequestId {
        start: START,
        count,
    }
}

/// A message of the server to the device.
fn from_server<'m>(topic: &'m str, payload: &'m str) -> (&'m str, &'m [u8]) {
    (topic, payload.as_bytes())
}

fn new_device(record: &mut [u8]) -> ManagedDevice<'_> {
    ManagedDevice::new(Target::Own, &PROFILE, record, START).unwrap()
}

/// A device that was accepted at time 0, under the name that counts 1.
fn managed(record: &mut [u8]) -> ManagedDevice<'_> {
    let mut device = new_device(record);
    accept_management(&mut device, at(0));
    device
}

/// Publishes the request to be managed, and has it accepted.
fn accept_management(device: &mut ManagedDevice<'_>, now: Instant) {
    let publication = device.next_publication().expect("a request to be managed");
    let written = write(&publication).unwrap();
    assert_eq!(written.topic, "iotdevice-1/mgmt/manage");
    device.published(&publication, now);
    assert_eq!(answer(device, &written.json()["reqId"], 200, now), 200);
    assert!(device.is_managed());
}

/// The server answers a request; returns the code as the device understood it.
fn answer(device: &mut ManagedDevice<'_>, id: &Value, code: u16, now: Instant) -> u16 {
    let payload = json!({"rc": code, "reqId": id}).to_string();
    let message = from_server("iotdm-1/response", &payload);
    match device.handle(&message, now) {
        Ok(Some(Action::Completed(completed))) => completed.code.0,
        other => panic!("{other:?}"),
    }
}

/// What the device publishes next of its own accord, as JSON.
fn says(device: &mut ManagedDevice<'_>) -> Option<Value> {
    let publication = device.next_publication()?;
    let written = write(&publication).unwrap();
    assert_eq!((written.qos, written.retain), (QoS::AtLeastOnce, false));
    device.published(&publication, at(0));
    Some(written.json())
}

fn firmware_notification(value: &Value) -> Option<Value> {
    Some(json!({"d": {"fields": [{"field": "mgmt.firmware", "value": value}]}}))
}

fn response(response: &Response<'_>) -> Value {
    let written = write(response).unwrap();
    assert_eq!(written.topic, "iotdevice-1/response");
    assert_eq!((written.qos, written.retain), (QoS::AtLeastOnce, false));
    written.json()
}

/// Sends details of an image and observes `mgmt.firmware`, as every firmware action begins.
fn prepare(device: &mut ManagedDevice<'_>) {
    let message = from_server("iotdm-1/device/update", DETAILS);
    let Ok(Some(Action::Update(_, Some(accepted)))) = device.handle(&message, at(0)) else {
        panic!("details not taken")
    };
    assert_eq!(response(&accepted), json!({"rc": 204, "reqId": "u1"}));
    let message = from_server("iotdm-1/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = device.handle(&message, at(0)) else {
        panic!("not observed")
    };
    device.observe(&observe, &[]);
}

fn requested<'m>(
    device: &mut ManagedDevice<'m>,
    message: &'m (&'m str, &'m [u8]),
) -> Requested<'m> {
    match device.handle(message, at(0)) {
        Ok(Some(Action::Requested(requested))) => requested,
        other => panic!("{other:?}"),
    }
}

/// The server asks for an action, and the device accepts it.
fn accept(device: &mut ManagedDevice<'_>, topic: &str, payload: &str) -> Value {
    let message = from_server(topic, payload);
    match device.handle(&message, at(0)) {
        Ok(Some(Action::Requested(requested))) => response(&device.accept(requested)),
        other => panic!("{other:?}"),
    }
}

/// The server asks for something, and the device refuses.
fn refusal(device: &mut ManagedDevice<'_>, topic: &str, payload: &str) -> (Refusal, Value) {
    let message = from_server(topic, payload);
    match device.handle(&message, at(0)) {
        Ok(Some(Action::Refused(refusal, refused))) => (refusal, response(&refused)),
        other => panic!("{other:?}"),
    }
}

const DOWNLOAD: &str = "iotdm-1/mgmt/initiate/firmware/download";
const UPDATE: &str = "iotdm-1/mgmt/initiate/firmware/update";
const REBOOT: &str = "iotdm-1/mgmt/initiate/device/reboot";
const FACTORY_RESET: &str = "iotdm-1/mgmt/initiate/device/factory_reset";

fn vector(name: &str) -> Vector {
    vectors(include_str!("vectors/platforms/ibm-watson-iot.json"))
        .into_iter()
        .find(|vector| vector.name() == name)
        .unwrap()
}

/// Topic, QoS and meaning of a vector agree with what we wrote; names of requests are each side's own.
fn assert_is(name: &str, written: &Written) {
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

#[test]
fn every_request_of_the_vectors_is_what_we_send() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let mut location = Location::new(Decimal::<2>::new(-7105), Decimal::<2>::new(4236));
    location.accuracy = Some(Decimal::new(500));
    location.measured_date_time = Some("2026-11-20T07:06:51.604364+00:00");
    let written = ask(&mut device, &location);
    // 5 and 5.00 are the same number.
    let text = String::from_utf8(written.payload.clone()).unwrap();
    let payload = text.replace("5.00", "5").into_bytes();
    assert_is("py-location", &Written { payload, ..written });
    assert_is("py-add-error", &ask(&mut device, &ErrorCode(3)));
    assert_is("py-clear-errors", &ask(&mut device, &ClearErrorCodes));
    assert_is("py-clear-log", &ask(&mut device, &ClearLog));
    assert_is("py-unmanage", &ask(&mut device, &Unmanage));
}

fn ask(device: &mut ManagedDevice<'_>, body: &impl RequestBody) -> Written {
    write(&device.request(body, at(0)).unwrap()).unwrap()
}

#[test]
fn the_request_to_be_managed_is_as_documented() {
    let metadata = json!({});
    let mut profile = PROFILE;
    profile.metadata = Some(&metadata);
    profile.device_info = DeviceInfo {
        serial_number: Some("SN1"),
        manufacturer: Some("Acme"),
        model: Some("M"),
        device_class: Some("c"),
        description: Some("d"),
        firmware_version: Some("1.0"),
        hardware_version: Some("A"),
        descriptive_location: Some("lab"),
    };
    let mut record = [0; RECORD];
    let device = ManagedDevice::new(Target::Own, &profile, &mut record, START).unwrap();
    let written = write(&device.next_publication().unwrap()).unwrap();
    assert_is("manage-full", &written);
    assert_eq!(written.json()["reqId"], "0000beef-00000001");
}

#[test]
fn the_official_client_sends_empty_facts_where_we_send_none() {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    let written = write(&Request::new(Target::Own, &profile).id(request_id(7))).unwrap();
    let theirs = vector("py-manage");
    let mut expected: Value = serde_json::from_slice(&theirs.payload()).unwrap();
    let data = expected["d"].as_object_mut().unwrap();
    for member in ["deviceInfo", "metadata"] {
        assert_eq!(data.remove(member), Some(json!({})));
    }
    expected["reqId"] = json!("0000beef-00000007");
    assert_eq!(written.json(), expected);
    assert_eq!(written.topic, theirs.text("topic"));
}

#[test]
fn a_log_entry_carries_its_data_in_base64() {
    let entry = |data| LogEntry {
        message: "say \"hi\"",
        timestamp: "2026-11-21T13:00:00Z",
        data,
        severity: Severity::Warning,
    };
    for (data, base64) in [
        (&b"f"[..], "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"\xff\xef\xbe", "/+++"),
    ] {
        let written = write(&Request::new(Target::Own, &entry(data))).unwrap();
        assert_eq!(written.topic, "iotdevice-1/add/diag/log");
        let expected = json!({"d": {"message": "say \"hi\"", "timestamp": "2026-11-21T13:00:00Z",
            "data": base64, "severity": 1}});
        assert_eq!(written.json(), expected);
    }
    let written = write(&Request::new(Target::Own, &entry(b""))).unwrap();
    assert_eq!(written.json()["d"].get("data"), None);
}

#[test]
fn a_request_above_the_limit_of_payloads_is_refused() {
    let data = vec![0; MAX_PAYLOAD];
    let entry = LogEntry {
        message: "",
        timestamp: "",
        data: &data,
        severity: Severity::Information,
    };
    let request = Request::new(Target::Own, &entry);
    assert_eq!(write_into(&request, 200_000), Err(EncodeError::TooLong));
}

#[test]
fn profiles_that_the_platform_refuses_are_refused_before() {
    let mut record = [0; RECORD];
    let mut short = PROFILE;
    short.lifetime_s = 3_599;
    let device = ManagedDevice::new(Target::Own, &short, &mut record, START);
    assert_eq!(device.err(), Some(ProfileError::Lifetime));
    let many = ["a"; 33];
    let mut wide = PROFILE;
    wide.observable = &many;
    let device = ManagedDevice::new(Target::Own, &wide, &mut record, START);
    assert_eq!(device.err(), Some(ProfileError::TooManyAttributes));
    let mut device = managed(&mut record);
    assert_eq!(
        device.set_profile(&wide),
        Err(ProfileError::TooManyAttributes)
    );
    assert_eq!(device.next_publication().map(|_| ()), None);
}

#[test]
fn the_device_asks_to_be_managed_first_and_again_before_its_lifetime_ends() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    assert!(device.next_publication().is_none());
    let renewal = at((3_600 - 120) * 1_000);
    assert_eq!(device.next_deadline(), Some(renewal));
    assert_eq!(device.tick(at(renewal.as_millis() - 1)), None);
    assert!(device.next_publication().is_none());
    assert_eq!(device.tick(renewal), None);
    assert!(device.is_managed());
    accept_management(&mut device, renewal);
    assert_eq!(device.next_deadline(), Some(renewal.plus(3_480_000)));
}

#[test]
fn a_device_without_lifetime_never_asks_again_and_one_with_a_long_lifetime_in_time() {
    let mut record = [0; RECORD];
    let mut profile = PROFILE;
    profile.lifetime_s = 0;
    let mut device = ManagedDevice::new(Target::Own, &profile, &mut record, START).unwrap();
    accept_management(&mut device, at(5));
    assert_eq!(device.next_deadline(), None);

    let mut record = [0; RECORD];
    profile.lifetime_s = u32::MAX;
    let mut device = ManagedDevice::new(Target::Own, &profile, &mut record, START).unwrap();
    accept_management(&mut device, at(5));
    let wait = device.next_deadline().unwrap().since(at(5));
    assert_eq!(
        wait, 2_147_483_000,
        "24 days, which an instant can look ahead"
    );
}

#[test]
fn an_unanswered_request_to_be_managed_is_repeated_under_its_name_less_and_less_often() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let publication = device.next_publication().unwrap();
        let written = write(&publication).unwrap();
        assert_eq!(written.json()["reqId"], "0000beef-00000001");
        device.published(&publication, now);
        assert!(device.next_publication().is_none(), "once is enough");
        let deadline = device.next_deadline().unwrap();
        waits.push(deadline.since(now) / 1_000);
        now = deadline;
        assert_eq!(device.tick(now), None);
    }
    assert_eq!(waits[..4], [30, 60, 120, 240]);
    assert_eq!(waits[8..], [3_600, 3_600]);
    // The answer to any of them will do.
    let id = json!("0000beef-00000001");
    assert_eq!(answer(&mut device, &id, 200, now), 200);
    assert!(device.is_managed() && device.next_publication().is_none());
}

#[test]
fn a_publication_that_failed_is_offered_again() {
    let mut record = [0; RECORD];
    let device = new_device(&mut record);
    let first = write(&device.next_publication().unwrap()).unwrap();
    let again = write(&device.next_publication().unwrap()).unwrap();
    assert_eq!(first, again);
}

#[test]
fn a_conflict_is_tried_again_and_a_refusal_is_final() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let first = says(&mut device).unwrap();
    // The vectors' names of requests are not ours.
    let vector = vector("dm-response-409");
    let mut payload: Value = serde_json::from_slice(&vector.payload()).unwrap();
    payload["reqId"] = first["reqId"].clone();
    let payload = payload.to_string();
    let message = from_server(vector.text("topic"), &payload);
    let Ok(Some(Action::Completed(completed))) = device.handle(&message, at(1_000)) else {
        panic!("no answer")
    };
    assert!(completed.code.is_temporary() && !completed.code.is_success());
    assert!(completed.message.unwrap() == "conflict");
    assert_eq!(completed.kind, RequestKind::Manage);

    assert!(device.next_publication().is_none());
    assert_eq!(device.next_deadline(), Some(at(31_000)));
    assert_eq!(device.tick(at(31_000)), None);
    let second = says(&mut device).unwrap();
    assert_ne!(first["reqId"], second["reqId"]);
    assert_eq!(answer(&mut device, &second["reqId"], 403, at(32_000)), 403);
    assert!(!device.is_managed());
    assert_eq!(device.next_deadline(), None);
    assert!(device.next_publication().is_none());
    device.manage();
    assert!(device.next_publication().is_some());
}

#[test]
fn answers_to_other_names_are_ignored() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let vector = vector("dm-response-unknown-req");
    let ours = json!({"rc": 200, "reqId": "0000beef-00000001"}).to_string();
    for payload in [
        vector.text("payload"),
        vectors_payload("dm-response-200"),
        r#"{"rc":200,"reqId":"0000beef-00000002"}"#,
        // Before a restart.
        r#"{"rc":200,"reqId":"0000beee-00000001"}"#,
        r#"{"rc":200,"reqId":"0000beef-000000010"}"#,
        r#"{"rc":200,"reqId":""}"#,
    ] {
        let message = from_server("iotdm-1/response", payload);
        let action = device.handle(&message, at(0));
        assert!(matches!(action, Ok(Some(Action::None))), "{payload}");
        assert!(!device.is_managed());
    }
    let message = from_server("iotdm-1/response", &ours);
    let action = device.handle(&message, at(0));
    assert!(matches!(action, Ok(Some(Action::Completed(_)))));
    // It came again.
    let action = device.handle(&message, at(0));
    assert!(matches!(action, Ok(Some(Action::None))));
}

fn vectors_payload(name: &str) -> &'static str {
    String::leak(vector(name).text("payload").to_owned())
}

#[test]
fn a_malformed_answer_is_an_error_and_the_request_still_waits() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let vector = vector("bad-dm-rc-string");
    assert!(vector.is_malformed());
    for (payload, error) in [
        (vector.text("payload"), MalformedMessage::Member("rc")),
        (
            r#"{"reqId":"0000beef-00000001"}"#,
            MalformedMessage::Member("rc"),
        ),
        (
            r#"{"rc":70000,"reqId":"0000beef-00000001"}"#,
            MalformedMessage::Member("rc"),
        ),
        (r#"{"rc":200}"#, MalformedMessage::Member("reqId")),
        ("200", MalformedMessage::Json(JsonError::Type)),
        ("", MalformedMessage::Json(JsonError::Syntax)),
    ] {
        let message = from_server("iotdm-1/response", payload);
        assert_eq!(
            device.handle(&message, at(0)).err(),
            Some(error),
            "{payload}"
        );
    }
    accept_management(&mut device, at(0));
}

#[test]
fn requests_wait_for_their_answers_and_time_out_one_by_one() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    device.set_request_timeout(5_000);
    let code = device.request(&ErrorCode(1), at(1_000)).unwrap();
    let code = code.request_id().unwrap();
    let log = device.request(&ClearLog, at(2_000)).unwrap();
    let log = log.request_id().unwrap();
    assert_eq!(device.next_deadline(), Some(at(6_000)));
    assert_eq!(device.tick(at(5_999)), None);
    let expired = Some((RequestKind::AddErrorCode, code));
    assert_eq!(device.tick(at(6_000)), expired);
    assert_eq!(device.tick(at(6_000)), None);
    let payload = format!(
        r#"{{"rc":500,"reqId":"0000beef-{:08x}","d":{{}}}}"#,
        log.count
    );
    let message = from_server("iotdm-1/response", &payload);
    let Ok(Some(Action::Completed(completed))) = device.handle(&message, at(6_500)) else {
        panic!("no answer")
    };
    let expected = Completed {
        kind: RequestKind::ClearLog,
        id: log,
        code: ResponseCode::FAILED,
        message: None,
        data: Some(RawJson::parse(b"{}").unwrap()),
    };
    assert_eq!(completed, expected);
    assert_eq!(device.tick(at(7_000)), None);
}

#[test]
fn eight_requests_may_wait_and_an_abandoned_one_makes_room() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let ids: Vec<_> = (0..8)
        .map(|code| {
            let request = device
                .request(&ErrorCode(code), at(0))
                .map(|request| request.request_id());
            request.unwrap().unwrap()
        })
        .collect();
    let refused = device.request(&ClearLog, at(0)).err();
    assert_eq!(refused, Some(RequestError::TooMany));
    device.abandon(ids[3]);
    assert!(device.request(&ClearLog, at(0)).is_ok());
}

#[test]
fn nothing_but_the_wish_to_be_managed_is_said_before_it_is_granted() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let refused = device.request(&ErrorCode(1), at(0)).err();
    assert_eq!(refused, Some(RequestError::NotManaged));
    accept_management(&mut device, at(0));
    let unmanage = ask(&mut device, &Unmanage).json();
    assert_eq!(answer(&mut device, &unmanage["reqId"], 200, at(0)), 200);
    assert!(!device.is_managed());
    assert_eq!(device.next_deadline(), None);
    let refused = device.request(&ErrorCode(1), at(0)).err();
    assert_eq!(refused, Some(RequestError::NotManaged));
}

#[test]
fn a_refused_wish_not_to_be_managed_changes_nothing() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let unmanage = ask(&mut device, &Unmanage).json();
    assert_eq!(answer(&mut device, &unmanage["reqId"], 500, at(0)), 500);
    assert!(device.is_managed());
}

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
    let Ok(Some(Action::Observe(observe))) = device.handle(&message, at(0)) else {
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
    let Ok(Some(Action::Cancelled(_, cancelled))) = device.handle(&message, at(0)) else {
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
    let Ok(Some(Action::Observe(observe))) = device.handle(&message, at(0)) else {
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
    let Ok(Some(Action::Update(attributes, None))) = device.handle(&message, at(0)) else {
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
    let Ok(Some(Action::Update(_, Some(answered)))) = device.handle(&message, at(0)) else {
        panic!("no answer")
    };
    assert_eq!(response(&answered), json!({"rc": 204, "reqId": "x\"y"}));
}

#[test]
fn the_responses_of_the_vectors_are_ours() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let details = vector("dm-fw-details");
    let message = from_server(details.text("topic"), details.text("payload"));
    let Ok(Some(Action::Update(_, Some(taken)))) = device.handle(&message, at(0)) else {
        panic!("details not taken")
    };
    assert_is("py-response-update", &write(&taken.message("")).unwrap());
    assert_eq!(device.firmware().uri, "https://example.com/fw.bin");

    let observed = vector("dm-observe");
    let message = from_server(observed.text("topic"), observed.text("payload"));
    let Ok(Some(Action::Observe(observe))) = device.handle(&message, at(0)) else {
        panic!("not observed")
    };
    let answered = write(&device.observe(&observe, &[])).unwrap();
    assert_is("response-observe", &answered);

    let download = vector("dm-download");
    accept(
        &mut device,
        download.text("topic"),
        download.text("payload"),
    );
    let publication = device.next_publication().unwrap();
    assert_is("py-notify-downloading", &write(&publication).unwrap());
    device.published(&publication, at(0));
    device.download_finished().unwrap();
    says(&mut device).unwrap();
    let update = vector("dm-fw-update");
    accept(&mut device, update.text("topic"), update.text("payload"));
    says(&mut device).unwrap();
    device.update_finished().unwrap();
    let publication = device.next_publication().unwrap();
    assert_is("py-notify-done", &write(&publication).unwrap());
    device.published(&publication, at(0));

    let cancel = vector("dm-cancel");
    let message = from_server(cancel.text("topic"), cancel.text("payload"));
    let action = device.handle(&message, at(0));
    assert!(matches!(action, Ok(Some(Action::Cancelled(..)))));

    let reboot = vector("dm-reboot");
    let message = from_server(reboot.text("topic"), reboot.text("payload"));
    let mut second = [0; RECORD];
    let mut device = managed(&mut second);
    let reboot = requested(&mut device, &message);
    assert_eq!(reboot.kind, ActionKind::Reboot);
    let accepted = device.accept(reboot).message("");
    assert_is("py-response-reboot", &write(&accepted).unwrap());
}

#[test]
fn an_image_is_downloaded_and_installed_and_each_step_is_told() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    prepare(&mut device);
    let firmware = device.firmware();
    assert_eq!((firmware.version, firmware.name), ("2.0", "fw"));
    assert_eq!(firmware.uri, "https://example.com/fw.bin");
    assert_eq!(firmware.verifier, "abcd");
    assert_eq!(says(&mut device), None);

    let answered = accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    assert_eq!(answered, json!({"rc": 202, "reqId": "d1"}));
    assert_eq!(
        says(&mut device),
        firmware_notification(&json!({"state": 1}))
    );
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareDownload));
    assert_eq!(device.update_finished(), Err(WrongState));
    device.download_finished().unwrap();
    assert_eq!(
        says(&mut device),
        firmware_notification(&json!({"state": 2}))
    );
    assert_eq!(device.download_finished(), Err(WrongState));

    let answered = accept(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
    assert_eq!(answered, json!({"rc": 202, "reqId": "f1"}));
    let told = firmware_notification(&json!({"state": 2, "updateStatus": 1}));
    assert_eq!(says(&mut device), told);
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareUpdate));
    device.update_finished().unwrap();
    let told = firmware_notification(&json!({"state": 0, "updateStatus": 0}));
    assert_eq!(says(&mut device), told);
    assert_eq!(says(&mut device), None);
    assert_eq!(device.interrupted(), None);
}

#[test]
fn each_failure_is_told_in_one_notification() {
    for (failure, status) in [
        (DownloadFailure::OutOfMemory, 2),
        (DownloadFailure::ConnectionLost, 3),
        (DownloadFailure::VerificationFailed, 4),
        (DownloadFailure::InvalidUri, 6),
    ] {
        let mut record = [0; RECORD];
        let mut device = managed(&mut record);
        prepare(&mut device);
        accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
        says(&mut device).unwrap();
        device.download_failed(failure).unwrap();
        let told = firmware_notification(&json!({"state": 0, "updateStatus": status}));
        assert_eq!(says(&mut device), told);
        // The next attempt wipes it out.
        accept(&mut device, DOWNLOAD, r#"{"reqId":"d2"}"#);
        let told = firmware_notification(&json!({"state": 1, "updateStatus": 0}));
        assert_eq!(says(&mut device), told);
    }
    for (failure, status) in [
        (UpdateFailure::OutOfMemory, 2),
        (UpdateFailure::UnsupportedImage, 5),
    ] {
        let mut record = [0; RECORD];
        let mut device = managed(&mut record);
        prepare(&mut device);
        accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
        device.download_finished().unwrap();
        accept(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
        device.update_failed(failure).unwrap();
        // What nobody had time to tell is left out.
        let told = firmware_notification(&json!({"state": 0, "updateStatus": status}));
        assert_eq!(says(&mut device), told);
        assert_eq!(device.update_failed(failure), Err(WrongState));
    }
}

#[test]
fn nothing_is_told_of_firmware_that_is_not_observed() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let message = from_server("iotdm-1/device/update", DETAILS);
    assert!(device.handle(&message, at(0)).is_ok());
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    device.download_finished().unwrap();
    assert_eq!(says(&mut device), None);
    // Whoever observes it then is told the true state at once, and only once.
    let message = from_server("iotdm-1/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = device.handle(&message, at(0)) else {
        panic!("not observed")
    };
    let answered = response(&device.observe(&observe, &[]));
    let value = &answered["d"]["fields"][0]["value"];
    assert_eq!(*value, json!({"state": 2, "updateStatus": 0}));
    assert_eq!(says(&mut device), None);
}

#[test]
fn actions_that_do_not_fit_the_state_are_refused_and_change_nothing() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let (why, answered) = refusal(&mut device, DOWNLOAD, r#"{"reqId":"d0"}"#);
    assert_eq!(why, Refusal::NoUri);
    assert_eq!(answered, json!({"rc": 400, "reqId": "d0"}));
    let (why, answered) = refusal(&mut device, UPDATE, r#"{"reqId":"f0"}"#);
    assert_eq!((why, &answered["rc"]), (Refusal::WrongState, &json!(400)));
    prepare(&mut device);
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    let (why, _) = refusal(&mut device, DOWNLOAD, r#"{"reqId":"d2"}"#);
    assert_eq!(why, Refusal::WrongState);
    let (why, _) = refusal(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
    assert_eq!(why, Refusal::WrongState);
    device.download_finished().unwrap();
    accept(&mut device, UPDATE, r#"{"reqId":"f2"}"#);
    let (why, _) = refusal(&mut device, UPDATE, r#"{"reqId":"f3"}"#);
    assert_eq!(why, Refusal::WrongState);
    assert_eq!(device.firmware().update_status, UpdateStatus::InProgress);
}

#[test]
fn a_uri_that_is_none_is_refused_when_the_download_is_asked_for() {
    for uri in [
        "",
        "fw.bin",
        "/fw.bin",
        "https:",
        "1a:b",
        "a b:c",
        "http://x y",
        ":x",
    ] {
        let mut record = [0; RECORD];
        let mut device = managed(&mut record);
        let payload = json!({"reqId": "u", "d": {"fields": [{"field": "mgmt.firmware",
            "value": {"uri": uri}}]}})
        .to_string();
        let message = from_server("iotdm-1/device/update", &payload);
        assert!(matches!(
            device.handle(&message, at(0)),
            Ok(Some(Action::Update(..)))
        ));
        let (why, _) = refusal(&mut device, DOWNLOAD, r#"{"reqId":"d"}"#);
        assert_eq!(why, Refusal::NoUri, "{uri:?}");
    }
}

#[test]
fn new_details_begin_a_new_update_but_not_in_the_middle_of_another() {
    let other = DETAILS.replace("2.0", "3.0");
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    prepare(&mut device);
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    let (why, answered) = refusal(&mut device, "iotdm-1/device/update", &other);
    assert_eq!((why, &answered["rc"]), (Refusal::Busy, &json!(409)));
    // The same details again do no harm.
    let message = from_server("iotdm-1/device/update", DETAILS);
    let action = device.handle(&message, at(0));
    assert!(matches!(action, Ok(Some(Action::Update(_, Some(_))))));
    assert_eq!(device.firmware().state, FirmwareState::Downloading);

    device.download_finished().unwrap();
    says(&mut device).unwrap();
    let message = from_server("iotdm-1/device/update", &other);
    assert!(matches!(
        device.handle(&message, at(0)),
        Ok(Some(Action::Update(..)))
    ));
    assert_eq!(device.firmware().version, "3.0");
    assert_eq!(device.firmware().state, FirmwareState::Idle);
    let told = firmware_notification(&json!({"state": 0, "updateStatus": 0}));
    assert_eq!(says(&mut device), told);
}

#[test]
fn details_that_do_not_fit_or_are_malformed_are_refused_and_the_old_ones_stay() {
    let mut record = [0; 20 + 33];
    let mut device = managed(&mut record);
    prepare_short(&mut device);
    let long = json!({"reqId": "u", "d": {"fields": [{"field": "mgmt.firmware",
        "value": {"uri": "https://example.com/", "verifier": "é".repeat(7)}}]}});
    let (why, answered) = refusal(&mut device, "iotdm-1/device/update", &long.to_string());
    assert_eq!((why, &answered["rc"]), (Refusal::NoRoom, &json!(500)));
    let fits = long.to_string().replacen('é', "", 1);
    for value in ["7", "null", r#"{"uri":7}"#, r#"{"version":["1"]}"#] {
        let payload = format!(
            r#"{{"reqId":"u","d":{{"fields":[{{"field":"mgmt.firmware","value":{value}}}]}}}}"#
        );
        let (why, answered) = refusal(&mut device, "iotdm-1/device/update", &payload);
        assert_eq!(
            (why, &answered["rc"]),
            (Refusal::Malformed, &json!(400)),
            "{value}"
        );
    }
    assert_eq!(device.firmware().uri, "coap://x");
    let message = from_server("iotdm-1/device/update", &fits);
    assert!(matches!(
        device.handle(&message, at(0)),
        Ok(Some(Action::Update(..)))
    ));
    assert_eq!(device.firmware().verifier, "é".repeat(6));
    assert_eq!(device.firmware().version, "");
}

fn prepare_short(device: &mut ManagedDevice<'_>) {
    let payload =
        r#"{"d":{"fields":[{"field":"mgmt.firmware","value":{"uri":"coap://x","version":null}}]}}"#;
    let message = from_server("iotdm-1/device/update", payload);
    assert!(matches!(
        device.handle(&message, at(0)),
        Ok(Some(Action::Update(_, None)))
    ));
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
        assert!(device.handle(&message, at(0)).is_err(), "{name}");
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
            assert!(device.handle(&message, at(0)).is_err(), "{topic} {payload}");
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
    let error = device.handle(&message, at(0)).err();
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
        assert!(
            matches!(device.handle(&message, at(0)), Ok(None)),
            "{topic}"
        );
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
        device.handle(&message, at(0)),
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
    let Ok(Some(Action::Custom(custom))) = device.handle(&message, at(0)) else {
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
    let Ok(Some(Action::Custom(custom))) = device.handle(&message, at(0)) else {
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
    let reset = requested(&mut device, &message);
    let refused = reset.refuse(ResponseCode::FAILED, "busy");
    assert_eq!(
        response(&refused),
        json!({"rc": 500, "message": "busy", "reqId": "r1"})
    );
    assert_eq!(
        requested(&mut device, &message).kind,
        ActionKind::FactoryReset
    );
}

#[test]
fn a_reboot_that_is_delivered_again_after_the_reboot_is_not_done_again() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    accept(&mut device, REBOOT, r#"{"reqId":"r1"}"#);
    let saved = device.unsaved().unwrap().to_vec();

    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    device.restore(&saved).unwrap();
    let (why, answered) = refusal(&mut device, REBOOT, r#"{"reqId":"r1"}"#);
    assert_eq!(why, Refusal::Repeated);
    assert_eq!(answered, json!({"rc": 202, "reqId": "r1"}));
    accept(&mut device, REBOOT, r#"{"reqId":"r2"}"#);
    // The same name, but of another action.
    accept(&mut device, FACTORY_RESET, r#"{"reqId":"r2"}"#);
}

/// A restart: nothing is left but the record.
fn restart<'a>(device: &mut ManagedDevice<'_>, record: &'a mut [u8]) -> ManagedDevice<'a> {
    let saved = device.unsaved().unwrap().to_vec();
    device.saved();
    assert!(device.unsaved().is_none());
    let start = START + 1;
    let mut device = ManagedDevice::new(Target::Own, &PROFILE, record, start).unwrap();
    device.restore(&saved).unwrap();
    assert!(device.unsaved().is_none());
    device
}

#[test]
fn a_firmware_action_survives_a_restart_at_every_step() {
    let [mut a, mut b, mut c, mut d, mut e] = [[0; RECORD]; 5];
    let mut device = managed(&mut a);
    prepare(&mut device);
    let mut device = restart(&mut device, &mut b);
    assert_eq!(device.interrupted(), None);
    assert!(device.is_observed("mgmt.firmware"));
    accept_management(&mut device, at(0));
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);

    // Before the server was told that the download begins.
    let mut device = restart(&mut device, &mut c);
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareDownload));
    assert_eq!(device.firmware().uri, "https://example.com/fw.bin");
    accept_management(&mut device, at(0));
    assert_eq!(
        says(&mut device),
        firmware_notification(&json!({"state": 1}))
    );
    device.download_finished().unwrap();
    assert_eq!(
        says(&mut device),
        firmware_notification(&json!({"state": 2}))
    );

    let mut device = restart(&mut device, &mut d);
    accept_management(&mut device, at(0));
    assert_eq!(says(&mut device), None, "it was told already");
    assert_eq!(device.firmware().state, FirmwareState::Downloaded);
    accept(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
    says(&mut device).unwrap();

    // The new image starts.
    let mut device = restart(&mut device, &mut e);
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareUpdate));
    assert_eq!(device.firmware().version, "2.0");
    device.update_finished().unwrap();
    // First it asks to be managed, with its new version; only then it tells how it went.
    accept_management(&mut device, at(0));
    let told = firmware_notification(&json!({"state": 0, "updateStatus": 0}));
    assert_eq!(says(&mut device), told);
}

#[test]
fn a_damaged_record_is_none() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    prepare(&mut device);
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    let saved = device.unsaved().unwrap().to_vec();
    let restore = |bytes: &[u8]| {
        let mut record = [0; RECORD];
        let mut device = new_device(&mut record);
        let result = device.restore(bytes);
        (
            result,
            device.firmware().uri.to_owned(),
            device.interrupted(),
        )
    };
    let uri = "https://example.com/fw.bin".to_owned();
    assert_eq!(
        restore(&saved),
        (Ok(()), uri, Some(ActionKind::FirmwareDownload))
    );
    let none = (Err(BadRecord), String::new(), None);
    for len in 0..saved.len() {
        assert_eq!(restore(&saved[..len]), none, "{len} bytes");
    }
    let longer = [&saved[..], b"x"].concat();
    assert_eq!(restore(&longer), none);
    for (at, byte) in [
        (0, b'X'),
        (2, 3),
        (3, 7),
        (4, 9),
        (5, 9),
        (6, 2),
        (7, 1),
        (12, 4),
        (20, 0xff),
    ] {
        let mut bytes = saved.clone();
        bytes[at] = byte;
        assert_eq!(restore(&bytes), none, "byte {at}");
    }
    let mut small = [0; 30];
    assert_eq!(new_device(&mut small).restore(&saved), Err(BadRecord));
}

/// A store with a record only.
#[derive(Default)]
struct Memory {
    record: RefCell<Vec<u8>>,
    fails: bool,
}

impl UpdateStore for Memory {
    type Error = &'static str;

    fn capacity(&self) -> u32 {
        0
    }

    fn write(&mut self, _: u32, _: &[u8]) -> impl Future<Output = Result<(), Self::Error>> {
        ready(Err("no image"))
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Self::Error>> {
        ready(Err("no image"))
    }

    fn read(&mut self, _: u32, _: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>> {
        ready(Err("no image"))
    }

    fn save(&mut self, record: &[u8]) -> impl Future<Output = Result<(), Self::Error>> {
        if self.fails {
            return ready(Err("broken"));
        }
        assert!(record.len() <= MAX_RECORD_LEN);
        self.record.replace(record.to_vec());
        ready(Ok(()))
    }

    fn load(&mut self, record: &mut [u8]) -> impl Future<Output = Result<usize, Self::Error>> {
        let saved = self.record.borrow();
        record[..saved.len()].copy_from_slice(&saved);
        ready(Ok(saved.len()))
    }

    fn activate(&mut self, _: u32) -> impl Future<Output = Result<(), Self::Error>> {
        ready(Err("no image"))
    }
}

/// The result of a future that never waits.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let waker = std::task::Waker::noop();
    match pin!(future).poll(&mut Context::from_waker(waker)) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn the_record_is_kept_in_the_store_of_updates() {
    let mut store = Memory::default();
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    assert_eq!(now_or_never(device.load(&mut store)), Ok(false));
    accept_management(&mut device, at(0));
    now_or_never(device.save(&mut store)).unwrap();
    assert!(store.record.borrow().is_empty(), "nothing has changed");
    prepare(&mut device);
    store.fails = true;
    assert_eq!(now_or_never(device.save(&mut store)), Err("broken"));
    store.fails = false;
    now_or_never(device.save(&mut store)).unwrap();
    assert!(device.unsaved().is_none());

    let mut record = [0xff; 2 * MAX_RECORD_LEN];
    let mut device = new_device(&mut record);
    assert_eq!(now_or_never(device.load(&mut store)), Ok(true));
    assert_eq!(device.firmware().verifier, "abcd");
}

#[test]
fn a_device_without_memory_for_a_record_can_be_managed_all_the_same() {
    let mut device = managed(&mut []);
    accept(&mut device, REBOOT, r#"{"reqId":"r1"}"#);
    assert!(device.unsaved().is_none());
    let (why, _) = refusal(&mut device, "iotdm-1/device/update", DETAILS);
    assert_eq!(why, Refusal::NoRoom);
    let (why, _) = refusal(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    assert_eq!(why, Refusal::NoUri);
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
    assert!(matches!(gateway.handle(&message, at(0)), Ok(None)));
    let action = sensor.handle(&message, at(0));
    assert!(matches!(action, Ok(Some(Action::Completed(_)))));
    assert!(sensor.is_managed() && !gateway.is_managed());

    let message = from_server("iotdm-1/type/sensor/id/7/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = sensor.handle(&message, at(0)) else {
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
        assert!(
            matches!(sensor.handle(&message, at(0)), Ok(None)),
            "{topic}"
        );
    }
}

#[test]
fn a_rc_of_zero_is_taken_for_success_as_in_the_sample_of_the_documentation() {
    let mut record = [0; RECORD];
    let mut device = new_device(&mut record);
    let asked = says(&mut device).unwrap();
    assert_eq!(answer(&mut device, &asked["reqId"], 0, at(0)), 0);
    assert!(device.is_managed());
}

#[test]
fn a_request_without_name_is_not_answered() {
    let request = Request::new(Target::Own, &ErrorCode(-1));
    assert_eq!(request.request_id(), None);
    let written = write(&request).unwrap();
    assert_eq!(written.json(), json!({"d": {"errorCode": -1}}));
    assert_eq!(request.qos(), QoS::AtLeastOnce);
}
