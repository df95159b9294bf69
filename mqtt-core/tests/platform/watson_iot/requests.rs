//! IBM Watson IoT Platform, device management: what a managed device asks of the server, as traces.

use super::support::*;
use crate::support::{Written, write, write_into};
use mqtt_core::{
    Publication, QoS,
    codec::EncodeError,
    platform::{
        Decimal,
        json::{JsonError, RawJson},
        watson_iot::{
            MAX_PAYLOAD, MalformedMessage,
            management::{
                Action, ClearErrorCodes, ClearLog, Completed, DeviceInfo, ErrorCode, Location,
                LogEntry, ManagedDevice, Profile, ProfileError, Request, RequestError, RequestKind,
                ResponseCode, Severity, Target, Unmanage,
            },
        },
    },
};
use serde_json::{Value, json};

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
    let Ok(Some(Action::Completed(completed))) = device.handle(message, at(1_000)) else {
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
        let action = device.handle(message, at(0));
        assert!(matches!(action, Ok(Some(Action::None))), "{payload}");
        assert!(!device.is_managed());
    }
    let message = from_server("iotdm-1/response", &ours);
    let action = device.handle(message, at(0));
    assert!(matches!(action, Ok(Some(Action::Completed(_)))));
    // It came again.
    let action = device.handle(message, at(0));
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
            device.handle(message, at(0)).err(),
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
    let Ok(Some(Action::Completed(completed))) = device.handle(message, at(6_500)) else {
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
