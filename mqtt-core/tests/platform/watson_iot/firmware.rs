//! IBM Watson IoT Platform, device management: updates of firmware, and what outlives a restart.

use core::{cell::RefCell, future::ready, pin::pin, task::Context};

use super::support::*;
use crate::support::write;
use mqtt_core::platform::{
    update::{MAX_RECORD_LEN, UpdateStore},
    watson_iot::management::{
        Action, ActionKind, BadRecord, DownloadFailure, FirmwareState, ManagedDevice, Refusal,
        Target, UpdateFailure, UpdateStatus, WrongState,
    },
};
use serde_json::json;

#[test]
fn the_responses_of_the_vectors_are_ours() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let details = vector("dm-fw-details");
    let message = from_server(details.text("topic"), details.text("payload"));
    let Ok(Some(Action::Update(_, Some(taken)))) = device.handle(message, at(0)) else {
        panic!("details not taken")
    };
    assert_is("py-response-update", &write(&taken.message("")).unwrap());
    assert_eq!(device.firmware().uri, "https://example.com/fw.bin");

    let observed = vector("dm-observe");
    let message = from_server(observed.text("topic"), observed.text("payload"));
    let Ok(Some(Action::Observe(observe))) = device.handle(message, at(0)) else {
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
    let action = device.handle(message, at(0));
    assert!(matches!(action, Ok(Some(Action::Cancelled(..)))));

    let reboot = vector("dm-reboot");
    let message = from_server(reboot.text("topic"), reboot.text("payload"));
    let mut second = [0; RECORD];
    let mut device = managed(&mut second);
    let reboot = requested(&mut device, message);
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
    assert_eq!(tells(&mut device), json!({"state": 1}));
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareDownload));
    assert_eq!(device.update_finished(), Err(WrongState));
    device.download_finished().unwrap();
    assert_eq!(tells(&mut device), json!({"state": 2}));
    assert_eq!(device.download_finished(), Err(WrongState));

    let answered = accept(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
    assert_eq!(answered, json!({"rc": 202, "reqId": "f1"}));
    assert_eq!(tells(&mut device), json!({"state": 2, "updateStatus": 1}));
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareUpdate));
    device.update_finished().unwrap();
    assert_eq!(tells(&mut device), json!({"state": 0, "updateStatus": 0}));
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
        assert_eq!(
            tells(&mut device),
            json!({"state": 0, "updateStatus": status})
        );
        // The next attempt wipes it out.
        accept(&mut device, DOWNLOAD, r#"{"reqId":"d2"}"#);
        assert_eq!(tells(&mut device), json!({"state": 1, "updateStatus": 0}));
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
        assert_eq!(
            tells(&mut device),
            json!({"state": 0, "updateStatus": status})
        );
        assert_eq!(device.update_failed(failure), Err(WrongState));
    }
}

#[test]
fn nothing_is_told_of_firmware_that_is_not_observed() {
    let mut record = [0; RECORD];
    let mut device = managed(&mut record);
    let message = from_server("iotdm-1/device/update", DETAILS);
    assert!(device.handle(message, at(0)).is_ok());
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);
    device.download_finished().unwrap();
    assert_eq!(says(&mut device), None);
    // Whoever observes it then is told the true state at once, and only once.
    let message = from_server("iotdm-1/observe", OBSERVE_FIRMWARE);
    let Ok(Some(Action::Observe(observe))) = device.handle(message, at(0)) else {
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
            device.handle(message, at(0)),
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
    let action = device.handle(message, at(0));
    assert!(matches!(action, Ok(Some(Action::Update(_, Some(_))))));
    assert_eq!(device.firmware().state, FirmwareState::Downloading);

    device.download_finished().unwrap();
    says(&mut device).unwrap();
    let message = from_server("iotdm-1/device/update", &other);
    assert!(matches!(
        device.handle(message, at(0)),
        Ok(Some(Action::Update(..)))
    ));
    assert_eq!(device.firmware().version, "3.0");
    assert_eq!(device.firmware().state, FirmwareState::Idle);
    assert_eq!(tells(&mut device), json!({"state": 0, "updateStatus": 0}));
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
        device.handle(message, at(0)),
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
        device.handle(message, at(0)),
        Ok(Some(Action::Update(_, None)))
    ));
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
    let mut records = [[0; RECORD]; 5];
    let [first, second, third, fourth, fifth] = &mut records;
    let mut device = managed(first);
    prepare(&mut device);
    let mut device = restart(&mut device, second);
    assert_eq!(device.interrupted(), None);
    assert!(device.is_observed("mgmt.firmware"));
    accept_management(&mut device, at(0));
    accept(&mut device, DOWNLOAD, r#"{"reqId":"d1"}"#);

    // Before the server was told that the download begins.
    let mut device = restart(&mut device, third);
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareDownload));
    assert_eq!(device.firmware().uri, "https://example.com/fw.bin");
    accept_management(&mut device, at(0));
    assert_eq!(tells(&mut device), json!({"state": 1}));
    device.download_finished().unwrap();
    assert_eq!(tells(&mut device), json!({"state": 2}));

    let mut device = restart(&mut device, fourth);
    accept_management(&mut device, at(0));
    assert_eq!(says(&mut device), None, "it was told already");
    assert_eq!(device.firmware().state, FirmwareState::Downloaded);
    accept(&mut device, UPDATE, r#"{"reqId":"f1"}"#);
    says(&mut device).unwrap();

    // The new image starts.
    let mut device = restart(&mut device, fifth);
    assert_eq!(device.interrupted(), Some(ActionKind::FirmwareUpdate));
    assert_eq!(device.firmware().version, "2.0");
    device.update_finished().unwrap();
    // First it asks to be managed, with its new version; only then it tells how it went.
    let asked = says(&mut device).unwrap();
    assert_eq!(says(&mut device), None, "it is not managed yet");
    answer(&mut device, &asked["reqId"], 200, at(0));
    assert_eq!(tells(&mut device), json!({"state": 0, "updateStatus": 0}));
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
    // What the store could not keep is refused, whatever the memory.
    let long = DETAILS.replace("fw.bin", &"x".repeat(MAX_RECORD_LEN));
    let (why, _) = refusal(&mut device, "iotdm-1/device/update", &long);
    assert_eq!(why, Refusal::NoRoom);
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
