//! IBM Watson IoT Platform: messages and conversations that nobody thought of.

use crate::support::{Written, write};
use mqtt_core::{
    Instant,
    platform::{
        json::RawJson,
        watson_iot::{
            Application, Device, DeviceId, Gateway, Notification, Status,
            management::{
                Action, ActionKind, ClearLog, DownloadFailure, ErrorCode, FirmwareState,
                ManagedDevice, Profile, Refusal, Response, Target, Unmanage, UpdateFailure,
                UpdateStatus,
            },
        },
    },
};
use proptest::prelude::*;

const PROFILE: Profile<'static> = {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile.bundles = &["b"];
    profile.observable = &["location"];
    profile
};

/// Pieces of topics and of payloads, put together without sense.
fn topic() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec![
        "iot-2", "iotdm-1", "type", "t", "id", "d", "cmd", "evt", "fmt", "json", "mon", "app",
        "intf", "state", "err", "data", "notify", "response", "observe", "cancel", "device",
        "update", "mgmt", "custom", "b", "initiate", "firmware", "download", "reboot", "", "ü",
    ]);
    prop_oneof![
        prop::collection::vec(level, 0..8).prop_map(|levels| levels.join("/")),
        prop::sample::select(TOPICS.to_vec()).prop_map(str::to_owned),
        any::<String>(),
    ]
}

const TOPICS: [&str; 14] = [
    "iotdm-1/response",
    "iotdm-1/device/update",
    "iotdm-1/observe",
    "iotdm-1/cancel",
    "iotdm-1/mgmt/initiate/device/reboot",
    "iotdm-1/mgmt/initiate/device/factory_reset",
    "iotdm-1/mgmt/initiate/firmware/download",
    "iotdm-1/mgmt/initiate/firmware/update",
    "iotdm-1/mgmt/custom/b/a",
    "iotdm-1/type/t/id/d/observe",
    "iot-2/type/t/id/d/mon",
    "iot-2/type/t/id/d/notify",
    "iot-2/app/a/mon",
    "iot-2/cmd/c/fmt/json",
];

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-1.5e3",
        "200",
        "409",
        "65536",
        "\"\"",
        "\"x\\u00e9\\ud800\"",
        "\"r1\"",
        "\"00000001-00000001\"",
        "\"mgmt.firmware\"",
        "\"location\"",
        "\"http://h/\\n\"",
        "\"http://h\"",
        "\"Connect\"",
        "\"publish\"",
    ])
    .prop_map(str::to_owned);
    let name = prop::sample::select(vec![
        "reqId",
        "rc",
        "d",
        "fields",
        "field",
        "value",
        "uri",
        "version",
        "name",
        "verifier",
        "message",
        "Action",
        "Time",
        "ClientID",
        "Request",
        "CloseCode",
        "x",
    ]);
    let json = scalar.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    prop_oneof![
        json.clone().prop_map(String::into_bytes),
        request(),
        (json, any::<prop::sample::Index>())
            .prop_map(|(json, at)| { json.as_bytes()[..at.index(json.len() + 1)].to_vec() }),
        prop::collection::vec(any::<u8>(), 0..64),
    ]
}

/// A request that makes some sense.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let id = prop::sample::select(vec![
        "\"r1\"",
        "\"r2\"",
        "7",
        "\"00000001-00000001\"",
        "null",
    ]);
    let field = prop::sample::select(vec![
        "mgmt.firmware",
        "location",
        "x",
        "mgmt.firmw\\u0061re",
    ]);
    let value = prop::sample::select(vec![
        "null",
        r#"{"uri":"http://h/f"}"#,
        r#"{"uri":"http://h/g","version":"2\t","name":"n","verifier":"\ud83d\ude00"}"#,
        r#"{"uri":7}"#,
        r#"{"verifier":"0123456789012345678901234567890123456789012345678901234567890123"}"#,
    ]);
    let code = prop::sample::select(vec![0, 200, 403, 409]);
    (id, field, value, code).prop_map(|(id, field, value, code)| {
        let fields = format!(r#"[{{"field":"{field}","value":{value}}}]"#);
        format!(r#"{{"rc":{code},"reqId":{id},"d":{{"fields":{fields}}}}}"#).into_bytes()
    })
}

/// What the application does.
#[derive(Clone, Debug)]
enum Step {
    Receive(String, Vec<u8>),
    Wait(u32),
    Publish,
    Request(u8),
    Restart,
    DownloadFinished,
    DownloadFailed,
    UpdateFinished,
    UpdateFailed,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::sample::select(TOPICS.to_vec()), request())
            .prop_map(|(topic, payload)| Step::Receive(topic.to_owned(), payload)),
        1 => (topic(), payload()).prop_map(|(topic, payload)| Step::Receive(topic, payload)),
        1 => (0_u32..4_000_000).prop_map(Step::Wait),
        2 => Just(Step::Publish),
        1 => (0_u8..3).prop_map(Step::Request),
        1 => Just(Step::Restart),
        1 => Just(Step::DownloadFinished),
        1 => Just(Step::DownloadFailed),
        1 => Just(Step::UpdateFinished),
        1 => Just(Step::UpdateFailed),
    ]
}

/// A response is JSON with a code and the name of a request.
fn check_response(response: &Response<'_>) {
    let written = write(response).unwrap();
    assert_eq!(written.topic, "iotdevice-1/response");
    let json = parse(&written);
    let code = json.member("rc").and_then(RawJson::integer::<u16>);
    assert_eq!(code, Some(response.code().0));
    let name = json.member("reqId").unwrap();
    assert!(name.string().is_some() || name.number().is_some());
}

/// Not by `serde_json`: texts of the platform go back as they came, also with half of a surrogate pair.
fn parse(written: &Written) -> RawJson<'_> {
    RawJson::parse(&written.payload).unwrap()
}

fn receive(device: &mut ManagedDevice<'_>, topic: &str, payload: &[u8], now: Instant) {
    let message = (topic, payload);
    match device.handle(message, now) {
        Ok(Some(Action::Requested(requested))) => {
            let before = device.firmware().state;
            let response = device.accept(requested);
            check_response(&response);
            assert_eq!(response.code().0, 202);
            if requested.kind == ActionKind::FirmwareDownload {
                assert_eq!(before, FirmwareState::Idle);
                assert!(device.firmware().uri.contains(':'));
            }
        }
        Ok(Some(Action::Observe(observe))) => check_response(&device.observe(&observe, &[])),
        Ok(Some(Action::Update(attributes, response))) => {
            assert!(attributes.iter().count() <= payload.len());
            response.iter().for_each(check_response);
        }
        Ok(Some(Action::Cancelled(_, response))) => check_response(&response),
        Ok(Some(Action::Refused(refusal, response))) => {
            check_response(&response);
            assert_eq!(refusal == Refusal::Repeated, response.code().is_success());
        }
        Ok(Some(_) | None) | Err(_) => {}
    }
}

fn publish_all(device: &mut ManagedDevice<'_>, now: Instant) {
    for _ in 0..2 {
        if let Some(publication) = device.next_publication() {
            parse(&write(&publication).unwrap());
            device.published(&publication, now);
        }
    }
    assert!(device.next_publication().is_none(), "it talks without end");
}

proptest! {
    #[test]
    fn no_message_panics_a_parser(topic in topic(), payload in payload()) {
        let message = (topic.as_str(), payload.as_slice());
        if let Some(command) = Device::new("abcdef", "t", "d").unwrap().command(message) {
            let _ = command.json::<u32>();
        }
        let _ = Gateway::new("abcdef", "t", "d").unwrap().message(message);
        let _ = Application::new("abcdef", "a").unwrap().message(message);
        let _ = Status::parse(&payload);
        let _ = Notification::parse(&payload);
        let sensor = Target::Device(DeviceId::new("t", "d").unwrap());
        for target in [Target::Own, sensor] {
            let mut record = [0; 100];
            let mut device = ManagedDevice::new(target, &PROFILE, &mut record, 1).unwrap();
            let _ = device.handle(message, Instant::from_millis(0));
        }
    }

    #[test]
    fn a_record_that_is_taken_is_given_back(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        head in any::<bool>(),
    ) {
        let mut bytes = bytes;
        if head {
            let fixed = [b'W', b'1', 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0, 2, 0, 0, 0];
            bytes.splice(..bytes.len().min(fixed.len()), fixed);
        }
        let mut record = [0; 64];
        let mut device = ManagedDevice::new(Target::Own, &PROFILE, &mut record, 1).unwrap();
        if device.restore(&bytes).is_ok() {
            let message = ("iotdm-1/cancel", &br#"{"reqId":1,"d":{"fields":[{"field":"mgmt.firmware"}]}}"#[..]);
            let _ = device.handle(message, Instant::from_millis(0));
            let saved = device.unsaved().unwrap();
            prop_assert_eq!(&saved[8..], &bytes[8..]);
        }
    }

    #[test]
    fn no_conversation_leaves_the_states_of_the_platform(steps in prop::collection::vec(step(), 0..40)) {
        let (mut first, mut second) = ([0; 100], [0; 100]);
        let (mut record, mut spare) = (&mut first, &mut second);
        let mut now = Instant::from_millis(0);
        let mut saved = Vec::new();
        let mut start = 1;
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            let mut device = ManagedDevice::new(Target::Own, &PROFILE, record, start).unwrap();
            if !saved.is_empty() {
                device.restore(&saved).unwrap();
            }
            for step in steps.by_ref() {
                match step {
                    Step::Receive(topic, payload) => receive(&mut device, &topic, &payload, now),
                    Step::Wait(millis) => {
                        now = now.plus(millis);
                        while device.tick(now).is_some() {}
                        prop_assert!(device.next_deadline().is_none_or(|deadline| !now.has_reached(deadline)));
                    }
                    Step::Publish => publish_all(&mut device, now),
                    Step::Request(0) => { let _ = device.request(&ErrorCode(1), now).map(|_| ()); }
                    Step::Request(1) => { let _ = device.request(&ClearLog, now).map(|_| ()); }
                    Step::Request(_) => { let _ = device.request(&Unmanage, now).map(|_| ()); }
                    Step::Restart => break,
                    Step::DownloadFinished => { let _ = device.download_finished(); }
                    Step::DownloadFailed => { let _ = device.download_failed(DownloadFailure::ConnectionLost); }
                    Step::UpdateFinished => { let _ = device.update_finished(); }
                    Step::UpdateFailed => { let _ = device.update_failed(UpdateFailure::UnsupportedImage); }
                }
                let firmware = device.firmware();
                let installs = firmware.update_status == UpdateStatus::InProgress;
                prop_assert!(!installs || firmware.state == FirmwareState::Downloaded);
                if let Some(record) = device.unsaved() {
                    saved = record.to_vec();
                    device.saved();
                }
            }
            start += 1;
            core::mem::swap(&mut record, &mut spare);
        }
    }
}
