//! IBM Watson IoT.

use mqtt_core::{
    Instant, Message, QoS,
    codec::Subscription,
    platform::{
        Decimal,
        watson_iot::{
            Application, COMMANDS, CloseCode, Device, DeviceId, Filter, Gateway, MANAGED,
            Quickstart, StatusAction, ToApplication, ToGateway,
            management::{
                Action, ActionKind, ErrorCode, Location, ManagedDevice, Profile, RequestBody,
                Target, Unmanage,
            },
        },
    },
};
use mqtt_std::Received;
use mqtt_tests::{device, simulator::Simulator};
use serde::Serialize;

use super::support::{closed, connect, noted, options, refusal, simulator, subscribed};

#[derive(Serialize)]
struct Reading {
    temperature: Decimal<1>,
}

const READING: Reading = Reading {
    temperature: Decimal::new(215),
};

fn thermometer() -> Device<'static> {
    Device::new("orgid1", "thermometer", "t-1").unwrap()
}

/// A managed device with its client. Time stands still.
struct Managed<'a> {
    machine: ManagedDevice<'a>,
    device: device::Device,
}

const NOW: Instant = Instant::from_millis(0);

fn profile() -> Profile<'static> {
    let mut profile = Profile::new();
    profile.lifetime_s = 3_600;
    profile.device_actions = true;
    profile.firmware_actions = true;
    profile
}

impl<'a> Managed<'a> {
    fn start(simulator: &Simulator, profile: &'a Profile<'a>, record: &'a mut [u8]) -> Self {
        let thing = thermometer();
        let preset = thing.options("device-token").subscriptions(MANAGED);
        let device = connect(simulator, &preset);
        for subscription in MANAGED {
            subscribed(simulator, subscription.filter.as_str());
        }
        let machine = ManagedDevice::new(Target::Own, profile, record, 7).unwrap();
        let mut managed = Self { machine, device };
        managed.publish();
        noted(simulator, "mgmt/manage of thermometer/t-1: 200");
        managed.take(|action| assert!(matches!(action, Action::Completed(_))));
        assert!(managed.machine.is_managed());
        managed
    }

    /// Publishes what is due.
    fn publish(&mut self) {
        while let Some(publication) = self.machine.next_publication() {
            // Its response may come before its acknowledgement, and has to be taken first.
            drop(self.device.publish(&publication));
            self.machine.published(&publication, NOW);
        }
    }

    /// Takes the next message, answers it, and shows what it was.
    fn take(&mut self, look: impl FnOnce(&Action<'_>)) {
        let Self { machine, device } = self;
        let message: Received<'_> = device.executor.wait(device.inbox.next()).unwrap();
        let action = machine.handle(&message, NOW).unwrap().expect("management");
        look(&action);
        let publish = |response: &_| {
            let publication: &mqtt_core::platform::watson_iot::management::Response<'_> = response;
            drop(
                device
                    .executor
                    .wait(device.client.publish(publication))
                    .unwrap(),
            );
        };
        match action {
            Action::Update(_, Some(response))
            | Action::Cancelled(_, response)
            | Action::Refused(_, response) => publish(&response),
            Action::Observe(observe) => {
                let response = machine.observe(&observe, &[]);
                drop(
                    device
                        .executor
                        .wait(device.client.publish(&response))
                        .unwrap(),
                );
            }
            Action::Requested(requested) => publish(&machine.accept(requested)),
            _ => {}
        }
    }

    fn request<B: RequestBody>(&mut self, body: &B) {
        let request = self.machine.request(body, NOW).unwrap();
        drop(self.device.publish(&request));
    }
}

#[test]
fn events_reach_an_application_and_its_commands_the_device() {
    let simulator = simulator("watson-iot");
    let application = Application::new("orgid1", "panel").unwrap();
    let (mut events, mut status) = ([0; 64], [0; 64]);
    let subscriptions = [
        Subscription::new(
            Filter::events().topic_filter(&mut events).unwrap(),
            QoS::AtLeastOnce,
        ),
        Subscription::new(
            Filter::device_status().topic_filter(&mut status).unwrap(),
            QoS::AtMostOnce,
        ),
    ];
    let preset = application
        .options("a-orgid1-key", "application-token")
        .subscriptions(&subscriptions);
    let mut panel = connect(&simulator, &preset);
    subscribed(&simulator, subscriptions[1].filter.as_str());

    let thing = thermometer();
    let mut device = connect(&simulator, &thing.options("device-token"));
    subscribed(&simulator, COMMANDS[0].filter.as_str());
    {
        let message = panel.message();
        let Ok(Some(ToApplication::DeviceStatus(of, status))) = application.message(&message)
        else {
            panic!("a status");
        };
        assert_eq!((of, status.action), (thing.id(), StatusAction::Connect));
        assert_eq!(status.close_code, None);
    }
    device.delivers(&thing.event("status").at_least_once().json_in_d(&READING));
    {
        let message = panel.message();
        let Ok(Some(ToApplication::Event(of, event))) = application.message(&message) else {
            panic!("an event");
        };
        assert_eq!(
            (of, event.name, event.format),
            (thing.id(), "status", "json")
        );
        assert_eq!(event.payload, br#"{"d":{"temperature":21.5}}"#);
    }
    panel.delivers(
        &application
            .command(thing.id(), "dim")
            .at_least_once()
            .bytes("raw", b"\xff\0"),
    );
    {
        let message = device.message();
        let command = thing.command(&message).unwrap();
        assert_eq!(
            (command.name, command.format, command.payload),
            ("dim", "raw", &b"\xff\0"[..])
        );
    }
    simulator
        .command("command thermometer t-1 set json {\"x\":1}")
        .unwrap();
    assert_eq!(thing.command(&device.message()).unwrap().name, "set");
}

#[test]
fn a_gateway_speaks_for_devices_that_register_themselves() {
    let simulator = simulator("watson-iot");
    let thing = Gateway::new("orgid1", "gateway", "g-1").unwrap();
    let subscriptions = thing.subscriptions();
    let mut gateway = connect(
        &simulator,
        &thing.options("gateway-token").subscriptions(&subscriptions),
    );
    subscribed(&simulator, subscriptions[2].filter.as_str());
    let pump = DeviceId::new("pump", "p-1").unwrap();
    gateway.delivers(
        &thing
            .event_of(pump, "status")
            .at_least_once()
            .json(&READING),
    );
    simulator.command("command pump p-1 start json {}").unwrap();
    let message = gateway.message();
    let Ok(Some(ToGateway::Command(of, command))) = thing.message(&message) else {
        panic!("a command");
    };
    assert_eq!((of, command.name), (pump, "start"));
}

#[test]
fn a_managed_device_tells_where_it_is_and_what_is_wrong() {
    let simulator = simulator("watson-iot");
    let profile = profile();
    let mut record = [0; 512];
    let mut managed = Managed::start(&simulator, &profile, &mut record);
    managed.request(&Location::new(
        Decimal::<2>::new(-7_740),
        Decimal::<2>::new(3_889),
    ));
    noted(&simulator, "device/update/location of thermometer/t-1: 200");
    managed.take(|action| {
        assert!(matches!(action, Action::Completed(done) if done.code.is_success()));
    });
    managed.request(&ErrorCode(5));
    noted(&simulator, "add/diag/errorCodes of thermometer/t-1: 200");
    managed.take(|action| {
        assert!(matches!(action, Action::Completed(done) if done.code.is_success()));
    });
    managed.request(&Unmanage);
    noted(&simulator, "mgmt/unmanage of thermometer/t-1: 200");
}

#[test]
fn a_reboot_is_accepted_once() {
    let simulator = simulator("watson-iot");
    let profile = profile();
    let mut record = [0; 512];
    let mut managed = Managed::start(&simulator, &profile, &mut record);
    let id = simulator.command("reboot thermometer t-1").unwrap();
    managed.take(|action| {
        assert!(
            matches!(action, Action::Requested(requested) if requested.kind == ActionKind::Reboot)
        );
    });
    noted(
        &simulator,
        &format!("response of thermometer/t-1 to {id}: {{\"rc\":202,\"reqId\":\"{id}\"}}"),
    );
    // Delivered again, as QoS 1 may do.
    simulator
        .command(&format!(
            "raw thermometer t-1 mgmt/initiate/device/reboot {{\"reqId\":\"{id}\"}}"
        ))
        .unwrap();
    managed.take(|action| assert!(matches!(action, Action::Refused(..))));
}

#[test]
fn firmware_is_updated_from_the_details_to_the_end() {
    let simulator = simulator("watson-iot");
    let profile = profile();
    let mut record = [0; 512];
    let mut managed = Managed::start(&simulator, &profile, &mut record);
    simulator
        .command("firmware thermometer t-1 http://127.0.0.1/image 2.0")
        .unwrap();
    managed.take(|action| assert!(matches!(action, Action::Update(..))));
    managed.take(|action| assert!(matches!(action, Action::Observe(..))));
    managed.take(|action| assert!(matches!(action, Action::Requested(requested) if requested.kind == ActionKind::FirmwareDownload)));
    managed.publish();
    noted(&simulator, "firmware state of thermometer/t-1: 1");
    managed.machine.download_finished().unwrap();
    managed.publish();
    noted(&simulator, "firmware state of thermometer/t-1: 2");
    // Responses to the notifications come between the requests.
    let mut until = |wanted: fn(&Action<'_>) -> bool| {
        let mut found = false;
        while !found {
            managed.take(|action| found = wanted(action));
            managed.publish();
        }
    };
    until(|action| matches!(action, Action::Cancelled(..)));
    until(|action| matches!(action, Action::Observe(..)));
    until(
        |action| matches!(action, Action::Requested(requested) if requested.kind == ActionKind::FirmwareUpdate),
    );
    managed.machine.update_finished().unwrap();
    managed.publish();
    noted(&simulator, "firmware state of thermometer/t-1: 0");
    let mut cancelled = false;
    while !cancelled {
        managed.take(|action| cancelled = matches!(action, Action::Cancelled(..)));
    }
}

#[test]
fn malformed_requests_do_not_act_and_leave_the_link_alone() {
    let simulator = simulator("watson-iot");
    let profile = profile();
    let mut record = [0; 512];
    let mut managed = Managed::start(&simulator, &profile, &mut record);
    for bad in ["{", "{}", "[]", "{\"reqId\":"] {
        simulator
            .command(&format!(
                "raw thermometer t-1 mgmt/initiate/device/reboot {bad}"
            ))
            .unwrap();
        assert!(
            managed
                .machine
                .handle(&managed.device.message(), NOW)
                .is_err(),
            "{bad}"
        );
    }
    simulator
        .command("raw thermometer t-1 mgmt/new {\"reqId\":\"x\"}")
        .unwrap();
    managed.take(|action| assert!(matches!(action, Action::Refused(..))));
    noted(
        &simulator,
        "response of thermometer/t-1 to x: {\"rc\":501,\"reqId\":\"x\"}",
    );
}

#[test]
fn quickstart_takes_events_and_nothing_else() {
    let simulator = simulator("watson-iot");
    let thing = Quickstart::new("any", "thing").unwrap();
    let device = connect(&simulator, &thing.options());
    drop(device.publish(&thing.event("status").json_in_d(&READING)));
    simulator
        .wait_for_publish("iot-2/evt/status/fmt/json")
        .unwrap();
    drop(device.publish(&thing.event("status").json_in_d(&READING)));
    noted(&simulator, "more than one message in a second: dropped");
    let mut lost =
        device.publish(&Message::new("iot-2/evt/status/fmt/json", b"{}").at_least_once());
    closed(&simulator, "180: not for quickstart");
    let _ = device.wait(lost.acknowledged());
}

#[test]
fn strangers_and_wrong_tokens_are_refused() {
    let simulator = simulator("watson-iot");
    for (kind, token) in [("thermometer", "wrong"), ("stranger", "device-token")] {
        let thing = Device::new("orgid1", kind, "t-1").unwrap();
        let mut device = device::Device::start(options(&simulator, &thing.options(token)));
        assert_eq!(refusal(&device.ends().unwrap_err()), Some(5));
    }
}

#[test]
fn an_application_learns_why_a_device_is_gone() {
    let simulator = simulator("watson-iot");
    let thing = thermometer();
    let large_buffer = options(&simulator, &thing.options("device-token")).tx_buffer(1 << 18);
    let device = device::Device::connect(large_buffer);
    let application = Application::new("orgid1", "panel").unwrap();
    let mut memory = [0; 64];
    let filter = Filter::device_status().topic_filter(&mut memory).unwrap();
    let subscriptions = [Subscription::new(filter, QoS::AtMostOnce)];
    let preset = application
        .options("a-orgid1-key", "application-token")
        .subscriptions(&subscriptions);
    let mut panel = connect(&simulator, &preset);
    // The retained one.
    let action = |message: &Received<'_>| match application.message(message) {
        Ok(Some(ToApplication::DeviceStatus(_, status))) => {
            (status.action == StatusAction::Connect, status.close_code)
        }
        _ => panic!("a status"),
    };
    assert_eq!(action(&panel.message()), (true, None));
    let large = vec![b' '; mqtt_core::platform::watson_iot::MAX_PAYLOAD + 1];
    let _ = device.publish(&Message::new("iot-2/evt/large/fmt/raw", &large));
    assert_eq!(
        action(&panel.message()),
        (false, Some(CloseCode::TOO_LARGE))
    );
    assert_eq!(action(&panel.message()), (true, None));
    device.connected();
    device.wait(device.client.disconnect());
    assert_eq!(action(&panel.message()), (false, Some(CloseCode::NORMAL)));
}

#[test]
fn a_lasting_session_keeps_commands_for_later() {
    let simulator = simulator("watson-iot");
    let thing = thermometer();
    let mut preset = thing.options("device-token");
    preset.clean_session = false;
    preset.session_known = true;
    let device = connect(&simulator, &preset);
    subscribed(&simulator, COMMANDS[0].filter.as_str());
    device.wait(device.client.disconnect());
    closed(&simulator, "DISCONNECT");

    let application = Application::new("orgid1", "panel").unwrap();
    let panel = connect(
        &simulator,
        &application.options("a-orgid1-key", "application-token"),
    );
    panel.delivers(
        &application
            .command(thing.id(), "late")
            .at_least_once()
            .json(&READING),
    );
    let mut device = connect(&simulator, &preset);
    assert!(device.connected());
    assert_eq!(thing.command(&device.message()).unwrap().name, "late");
}
