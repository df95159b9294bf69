//! A managed device.

use mqtt_core::platform::json::RawJson;
use mqtt_core::platform::watson_iot::management::{
    Action, ActionKind, Attribute, ClearErrorCodes, ClearLog, ErrorCode, Location, LogEntry,
    ManagedDevice, Notify, Profile, RequestBody, ResponseCode, Severity, Target, Unmanage,
};
use mqtt_core::platform::watson_iot::{Device, MANAGED};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{ID, ORGANIZATION, TOKEN, TYPE, accept_requests};
use crate::compare::{ABSENT, ANY, Comparison, Difference};
use crate::ours::{NOW, Ours, Received};
use crate::sdk::Sdk;

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "connect",
        at: "/subscriptions/iotdm-1~1#",
        sdk: ABSENT,
        ours: "1",
        reason: "the one filter that the platform's documents ask for",
    },
    Difference {
        action: "connect",
        at: "/subscriptions/*",
        sdk: "1",
        ours: ABSENT,
        reason: "the nine filters of the SDK lie within iotdm-1/#",
    },
    Difference {
        action: "connect",
        at: "/publications/0/times",
        sdk: "10",
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
    Difference {
        action: "*",
        at: "/publications/0/payload/json/message",
        sdk: ANY,
        ours: ABSENT,
        reason: "optional; the code says it",
    },
    Difference {
        action: "log without data",
        at: "/publications/0/payload/json/d/data",
        sdk: r#""""#,
        ours: ABSENT,
        reason: "optional",
    },
    Difference {
        action: "observe",
        at: "/publications/0/payload/json/d",
        sdk: ABSENT,
        ours: r#"{"fields":[{"field":"deviceInfo.fwVersion","value":"2.0"}]}"#,
        reason: "a response of 200 has the present values",
    },
    Difference {
        action: "observe firmware",
        at: "/publications/0/payload/json/d",
        sdk: ABSENT,
        ours: r#"{"fields":[{"field":"mgmt.firmware","value":{"state":0,"updateStatus":0}}]}"#,
        reason: "a response of 200 has the present values",
    },
    Difference {
        action: "notify",
        at: "/publications/0",
        sdk: ABSENT,
        ours: ANY,
        reason: "the SDK forgets what the server observes, and never tells of it",
    },
];

const PROFILE: Profile<'static> = Profile {
    lifetime_s: 3600,
    device_actions: true,
    firmware_actions: true,
    bundles: &["example-dme"],
    observable: &["deviceInfo.fwVersion"],
    ..Profile::new()
};

/// As PROFILE, without the bundle, which the SDK cannot announce at the start.
const FIRST_PROFILE: Profile<'static> = Profile {
    bundles: &[],
    ..PROFILE
};

struct Both<'a> {
    comparison: Comparison,
    sdk: Sdk,
    ours: Ours,
    managed: ManagedDevice<'a>,
}

#[test]
fn a_device_is_managed_as_by_the_sdk() {
    let mut record = [0; 256];
    let mut both = Both::connect(&mut record);
    both.requests();
    both.server_requests();
    both.firmware();

    let unmanage = Unmanage;
    both.request("unmanage", json!(["unmanage"]), &unmanage);
    both.comparison.finish();
}

impl<'a> Both<'a> {
    fn connect(record: &'a mut [u8]) -> Self {
        let mut comparison = Comparison::new(DIFFERENCES);
        let mut sdk = Sdk::start("watson-iot");
        let action = json!(["connect_managed", ORGANIZATION, TYPE, ID, TOKEN]);
        let (sdk_connects, result) = sdk.connects(action, accept_requests);
        assert_eq!(result, Value::Null);

        let device = Device::new(ORGANIZATION, TYPE, ID).expect("names");
        let options = device.options(TOKEN).subscriptions(MANAGED);
        let (mut ours, mut we_connect) = Ours::connect(&options);
        ours.recorder.answers(accept_requests);
        let mut managed =
            ManagedDevice::new(Target::Own, &FIRST_PROFILE, record, 1).expect("a profile");
        we_connect.extend(upkeep(&mut managed, &mut ours));
        let response = ours.next_message();
        assert!(managed.handle(&response, NOW).expect("good").is_some());
        assert!(managed.is_managed());

        comparison.sent("connect", &sdk_connects, &we_connect);
        Self {
            comparison,
            sdk,
            ours,
            managed,
        }
    }
}

/// Publishes what the managed device wants to say.
fn upkeep(managed: &mut ManagedDevice<'_>, ours: &mut Ours) -> Vec<Value> {
    let mut records = Vec::new();
    while let Some(upkeep) = managed.next_publication() {
        records.extend(ours.sends(&[&upkeep]));
        managed.published(&upkeep, NOW);
    }
    records
}

impl Both<'_> {
    /// Both ask for the same, and get a response.
    fn request<B: RequestBody>(&mut self, name: &str, action: Value, body: &B) {
        let request = self.managed.request(body, NOW).expect("a request");
        let we_send = self.ours.sends(&[&request]);
        let response = self.ours.next_message();
        let completed = self.managed.handle(&response, NOW).expect("good");
        assert!(matches!(completed, Some(Action::Completed(_))));
        let (sdk_sends, result) = self.sdk.does(action);
        assert_eq!(result, true, "{name} is answered");
        self.comparison.sent(name, &sdk_sends, &we_send);
    }

    /// The server asks both; `delivered` is what the SDK's callback gets.
    fn asked(&mut self, name: &str, topic: &str, request: &Value, delivered: Option<Value>) {
        let downlink = Downlink::new(format!("iotdm-1/{topic}"), request.to_string());
        let received = self.ours.receives(&downlink);
        let we_send = self.answers(&received, delivered.as_ref());
        let recorder = self.sdk.recorder();
        recorder.sends(&downlink);
        recorder.until(|records| records.len() >= we_send.len());
        if let Some(delivered) = delivered {
            self.comparison
                .understood(name, &self.sdk.next_delivered(), &delivered);
        }
        let sdk_sends = self.sdk.sends(json!(["nothing"]));
        self.comparison.sent(name, &sdk_sends, &we_send);
    }

    fn answers(&mut self, received: &Received, expected: Option<&Value>) -> Vec<Value> {
        let action = self.managed.handle(received, NOW).expect("good");
        let version = json!("2.0");
        let value = Attribute {
            name: "deviceInfo.fwVersion",
            value: &version,
        };
        let values = [value];
        let (response, understood) = match action.expect("about management") {
            Action::None | Action::Update(_, None) => return Vec::new(),
            Action::Update(_, Some(response))
            | Action::Cancelled(_, response)
            | Action::Refused(_, response) => (response, None),
            Action::Observe(observe) => (self.managed.observe(&observe, &values), None),
            Action::Requested(requested) => {
                let response = self.managed.accept(requested);
                (response, Some(self.requested(requested.kind)))
            }
            Action::Custom(custom) => {
                let parameters = custom.parameters.expect("parameters");
                let fields: Vec<_> = parameters
                    .iter()
                    .map(|(name, value)| json!({"field": name.as_str(), "value": text(value)}))
                    .collect();
                let topic = format!("iotdm-1/mgmt/custom/{}/{}", custom.bundle, custom.action);
                let understood = json!({"topic": topic, "data": {"fields": fields}});
                (
                    custom.response(ResponseCode::OK),
                    Some(json!(["custom_action", understood])),
                )
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(understood.as_ref(), expected);
        self.ours.sends(&[&response])
    }

    fn requested(&self, kind: ActionKind) -> Value {
        let firmware = self.managed.firmware();
        let firmware = |action| {
            let (version, uri) = (firmware.version, firmware.uri);
            json!(["firmware", {"action": action, "version": version, "uri": uri}])
        };
        match kind {
            ActionKind::Reboot => json!(["device_action", "reboot"]),
            ActionKind::FactoryReset => json!(["device_action", "reset"]),
            ActionKind::FirmwareDownload => firmware("download"),
            ActionKind::FirmwareUpdate => firmware("update"),
        }
    }

    fn requests(&mut self) {
        let mut location = Location::new(-84.5, 39.1);
        location.measured_date_time = Some("2016-11-04T19:42:06.710Z");
        self.request("location", json!(["location", -84.5, 39.1]), &location);
        location.elevation = Some(150.25);
        location.accuracy = Some(10.0);
        let action = json!(["location", -84.5, 39.1, 150.25, 10.0]);
        self.request("whole location", action, &location);
        self.request("error code", json!(["error_code", 5]), &ErrorCode(5));
        let action = json!(["clear_error_codes"]);
        self.request("clear error codes", action, &ClearErrorCodes);
        let mut entry = LogEntry {
            message: "caf\u{e9}",
            timestamp: "2016-11-04T19:42:06.710Z",
            data: b"\x01\x02\x03\x04",
            severity: Severity::Warning,
        };
        self.request("log", json!(["log", "caf\u{e9}", "AQIDBA==", 1]), &entry);
        entry.data = b"";
        entry.severity = Severity::Information;
        self.request(
            "log without data",
            json!(["log", "caf\u{e9}", "", 0]),
            &entry,
        );
        self.request("clear log", json!(["clear_log"]), &ClearLog);
    }

    fn server_requests(&mut self) {
        let request = json!({"reqId": "1"});
        let rebooted = json!(["device_action", "reboot"]);
        self.asked(
            "reboot",
            "mgmt/initiate/device/reboot",
            &request,
            Some(rebooted),
        );
        let reset = json!(["device_action", "reset"]);
        let topic = "mgmt/initiate/device/factory_reset";
        self.asked("factory reset", topic, &json!({"reqId": "2"}), Some(reset));

        self.managed.set_profile(&PROFILE).expect("a profile");
        let we_send = upkeep(&mut self.managed, &mut self.ours);
        let response = self.ours.next_message();
        assert!(self.managed.handle(&response, NOW).expect("good").is_some());
        let arguments = json!({"supportDeviceMgmtExtActions": true, "bundleIds": ["example-dme"]});
        let sdk_sends = self.sdk.sends(json!(["manage", arguments]));
        self.comparison
            .sent("manage with a bundle", &sdk_sends, &we_send);

        let fields = json!([{"field": "delay", "value": "3"}]);
        let data = json!({"fields": fields});
        let topic = "mgmt/custom/example-dme/blink";
        let delivered =
            json!(["custom_action", {"topic": format!("iotdm-1/{topic}"), "data": data}]);
        let request = json!({"reqId": "3", "d": data});
        self.asked("custom action", topic, &request, Some(delivered));

        let metadata = json!({"d": {"fields": [{"field": "metadata", "value": {"a": 1}}]}});
        self.asked("metadata", "device/update", &metadata, None);
        self.observation();
    }

    /// The server wants to be told of changes.
    fn observation(&mut self) {
        let fields = json!({"fields": [{"field": "deviceInfo.fwVersion"}]});
        self.asked(
            "observe",
            "observe",
            &json!({"reqId": "4", "d": fields}),
            None,
        );
        let version = json!("2.1");
        let notify = [Attribute {
            name: "deviceInfo.fwVersion",
            value: &version,
        }];
        let notify = Notify(&notify);
        let request = self.managed.request(&notify, NOW).expect("observed");
        let we_send = self.ours.sends(&[&request]);
        self.ours.next_message();
        let sdk_sends = self.sdk.sends(json!(["property", "fwVersion", "2.1"]));
        self.comparison.sent("notify", &sdk_sends, &we_send);
        self.asked(
            "cancel",
            "cancel",
            &json!({"reqId": "5", "d": fields}),
            None,
        );
    }

    fn firmware(&mut self) {
        let details = json!({
            "version": "2.0", "name": "image", "uri": "http://192.0.2.1/image", "verifier": "0badcafe",
            "state": 0, "updateStatus": 0, "updatedDateTime": "",
        });
        let fields = json!([{"field": "mgmt.firmware", "value": details}]);
        let update = json!({"reqId": "6", "d": {"fields": fields}});
        self.asked("firmware details", "device/update", &update, None);
        let observe = json!({"reqId": "7", "d": {"fields": [{"field": "mgmt.firmware"}]}});
        self.asked("observe firmware", "observe", &observe, None);

        let [download, update] =
            ["download", "update"].map(|action| format!("mgmt/initiate/firmware/{action}"));
        let told = |action| {
            let uri = "http://192.0.2.1/image";
            json!(["firmware", {"action": action, "version": "2.0", "uri": uri}])
        };
        self.asked("update too early", &update, &json!({"reqId": "8"}), None);
        // The SDK refuses, and nevertheless has the program do it.
        assert_eq!(self.sdk.next_delivered(), told("update"));
        let (id, tells) = (json!({"reqId": "9"}), Some(told("download")));
        self.asked("download", &download, &id, tells);
        self.reports("downloading", json!(["state", 1]));
        self.asked("download again", &download, &json!({"reqId": "10"}), None);
        assert_eq!(self.sdk.next_delivered(), told("download"));
        self.managed.download_finished().expect("downloading");
        self.reports("downloaded", json!(["state", 2]));

        let (id, tells) = (json!({"reqId": "11"}), Some(told("update")));
        self.asked("update", &update, &id, tells);
        self.managed.update_finished().expect("updating");
        self.reports("updated", json!(["update_status", 0]));
        let cancel = json!({"reqId": "12", "d": {"fields": [{"field": "mgmt.firmware"}]}});
        self.asked("cancel firmware", "cancel", &cancel, None);
    }

    /// Both tell how far they are.
    fn reports(&mut self, name: &str, action: Value) {
        let we_send = upkeep(&mut self.managed, &mut self.ours);
        self.comparison
            .sent(name, &self.sdk.sends(action), &we_send);
    }
}

fn text(value: RawJson<'_>) -> Option<&str> {
    value.string()?.as_str()
}
