//! A gateway.

use mqtt_core::platform::thingsboard::gateway::{self, Found, Scope};
use mqtt_core::platform::thingsboard::{Claim, Credentials, Sample};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{DEVICE, TOKEN, answer_limits, ask_limits, burst, options, session_limits, value};
use crate::compare::{ABSENT, ANY, Comparison, Difference};
use crate::ours::{Ours, Received};
use crate::sdk::Sdk;

const LIMITS: &str = r#"{"maxPayloadSize":65536,"maxInflightMessages":100,
    "rateLimits":{"messages":"200:1"},"gatewayRateLimits":{"messages":"1000:1"}}"#;

const LIMITS_OF_WHOM: &str = "by gatewayRateLimits the server counts all that the gateway sends, by rateLimits each device behind it; \
     the SDK counts its devices together by the first, and its own messages by the second";

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "connect",
        at: "/connect/keep_alive_s",
        sdk: "120",
        ours: "60",
        reason: "as for a device",
    },
    Difference {
        action: "connect",
        at: "/publications/0/payload/json/params/timeout",
        sdk: "5000",
        ours: ABSENT,
        reason: "as for a device",
    },
    Difference {
        action: "limits",
        at: "/understood/burst",
        sdk: "160",
        ours: "800",
        reason: LIMITS_OF_WHOM,
    },
    Difference {
        action: "limits",
        at: "/understood/device_burst",
        sdk: "800",
        ours: "160",
        reason: LIMITS_OF_WHOM,
    },
    Difference {
        action: "device of no profile connects",
        at: "/publications/0/payload/json/type",
        sdk: r#""default""#,
        ours: ABSENT,
        reason: "the server takes the default profile by itself, whatever its name is",
    },
    Difference {
        action: "traced telemetry",
        at: "/publications/0/payload/json/A/0/metadata/publishedTs",
        sdk: ANY,
        ours: "1700000000002",
        reason: "the SDK takes the time of its own clock",
    },
    Difference {
        action: "request of one attribute",
        at: "/publications/0/payload/json/keys",
        sdk: r#"["a"]"#,
        ours: ABSENT,
        reason: ONE_KEY,
    },
    Difference {
        action: "request of one attribute",
        at: "/publications/0/payload/json/key",
        sdk: ABSENT,
        ours: r#""a""#,
        reason: ONE_KEY,
    },
];

const ONE_KEY: &str = "both forms are known to the server, which answers both in the same way";

const TIME: u64 = 1_700_000_000_000;

#[test]
fn a_gateway_speaks_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let (mut sdk, mut ours) = connected(&mut comparison);
    uplinks(&mut comparison, &mut sdk, &mut ours);
    downlinks(&mut comparison, &mut sdk, &mut ours);
    comparison.finish();
}

fn connected(comparison: &mut Comparison) -> (Sdk, Ours) {
    let mut sdk = Sdk::start("thingsboard");
    let action = json!(["connect", "gateway", TOKEN]);
    let (sdk_connects, sdk_limits) = sdk.connects(action, |publish| answer_limits(publish, LIMITS));

    let subscriptions = [
        DEVICE.attribute_updates(),
        DEVICE.attribute_responses(),
        DEVICE.rpc_requests(),
        DEVICE.rpc_responses(),
        gateway::attribute_updates(),
        gateway::attribute_responses(),
        gateway::rpc_requests(),
    ];
    let credentials = Credentials::access_token(TOKEN).expect("a token");
    let options = options(&credentials).subscriptions(&subscriptions);
    let (mut ours, mut we_connect) = Ours::connect(&options);
    let (records, received) = ask_limits(&mut ours, LIMITS);
    we_connect.extend(records);
    let limits = session_limits(&received);
    let our_limits = json!({
        "burst": burst(&limits.gateway_rates.expect("of the gateway")),
        "device_burst": burst(&limits.rates),
    });

    comparison.sent("connect", &sdk_connects, &we_connect);
    comparison.understood("limits", &sdk_limits, &our_limits);
    (sdk, ours)
}

fn uplinks(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours) {
    let connect = gateway::connect("A", Some("thermometer"));
    let action = json!(["gateway_connect", "A", "thermometer"]);
    comparison.sent(
        "device connects",
        &sdk.sends(action),
        &ours.sends(&[&connect]),
    );
    let connect = gateway::connect("B", None);
    let action = json!(["gateway_connect", "B"]);
    comparison.sent(
        "device of no profile connects",
        &sdk.sends(action),
        &ours.sends(&[&connect]),
    );

    let values = json!({"temperature": 21.5, "on": true});
    let samples = [Sample::at(TIME, &values)];
    let devices = [("A", &samples[..])];
    let action = json!(["gateway_telemetry", "A", {"ts": TIME, "values": values}]);
    let message = gateway::telemetry(&devices);
    comparison.sent(
        "telemetry of a time",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );
    traced_telemetry(comparison, sdk, ours, &values);
    let samples = [Sample::now(&values)];
    let devices = [("A", &samples[..])];
    let action = json!(["gateway_telemetry", "A", values]);
    let message = gateway::telemetry(&devices);
    comparison.sent("telemetry", &sdk.sends(action), &ours.sends(&[&message]));

    let devices = [("A", &values)];
    let action = json!(["gateway_attributes", "A", values]);
    let message = gateway::attributes(&devices);
    comparison.sent("attributes", &sdk.sends(action), &ours.sends(&[&message]));

    let claims = [(
        "A",
        Claim {
            secret_key: Some("secret"),
            duration_ms: Some(60_000),
        },
    )];
    let action = json!(["gateway_claim", "A", "secret", 60_000]);
    let message = gateway::claim(&claims);
    comparison.sent("claim", &sdk.sends(action), &ours.sends(&[&message]));

    let reply = json!({"ok": true});
    let action = json!(["gateway_rpc_reply", "A", 7, reply]);
    let message = gateway::rpc_reply("A", 7, &reply);
    comparison.sent("reply", &sdk.sends(action), &ours.sends(&[&message]));

    let action = json!(["gateway_disconnect", "B"]);
    let message = gateway::disconnect("B");
    comparison.sent(
        "device disconnects",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );
}

fn traced_telemetry(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours, values: &Value) {
    let samples = [gateway::TracedSample {
        ts_ms: TIME,
        values,
        metadata: gateway::Metadata {
            connector: "modbus",
            received_ts_ms: TIME + 1,
            published_ts_ms: TIME + 2,
        },
    }];
    let devices = [("A", &samples[..])];
    let metadata = json!({"connector": "modbus", "receivedTs": TIME + 1});
    let sample = json!({"ts": TIME, "values": values, "metadata": metadata});
    let action = json!(["gateway_telemetry", "A", sample]);
    let message = gateway::traced_telemetry(&devices);
    comparison.sent(
        "traced telemetry",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );
}

fn downlinks(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours) {
    let requests = [
        (
            "gateway_request_shared",
            Scope::Shared,
            &["a", "b"][..],
            r#""values":{"a":1,"b":"x"}"#,
        ),
        (
            "gateway_request_client",
            Scope::Client,
            &["a"],
            r#""value":21.5"#,
        ),
        ("gateway_request_client", Scope::Client, &["a"], ""),
    ];
    for (id, (action, scope, keys, found)) in (1..).zip(requests) {
        let message = gateway::attribute_request(id, "A", scope, keys);
        let name = if keys.len() == 1 {
            "request of one attribute"
        } else {
            "attribute request"
        };
        comparison.sent(
            name,
            &sdk.sends(json!([action, "A", keys])),
            &ours.sends(&[&message]),
        );
        let comma = if found.is_empty() { "" } else { "," };
        let payload = format!(r#"{{"id":{id},"device":"A"{comma}{found}}}"#);
        let downlink = Downlink::new("v1/gateway/attributes/response", payload);
        let we_understand = json!(["answer", attribute_answer(&ours.receives(&downlink))]);
        let name = format!("answer {found}");
        comparison.understood(&name, &sdk.receives(&downlink), &we_understand);
    }

    for data in [r#"{"interval":10}"#, r#"{"deleted":["interval"]}"#] {
        let payload = format!(r#"{{"device":"A","data":{data}}}"#);
        let downlink = Downlink::new("v1/gateway/attributes", payload);
        let we_understand = json!([
            "gateway_attributes",
            attribute_update(&ours.receives(&downlink))
        ]);
        comparison.understood("attribute update", &sdk.receives(&downlink), &we_understand);
    }

    let call = r#"{"device":"A","data":{"id":7,"method":"toggle","params":{"pin":1}}}"#;
    let downlink = Downlink::new("v1/gateway/rpc", call);
    let received = ours.receives(&downlink);
    let request = gateway::rpc_request(&received);
    let request = request.expect("a call").expect("for a device");
    let we_understand = json!(["gateway_rpc", {
        "device": request.device.as_str(),
        "data": {
            "id": request.content.id,
            "method": request.content.method.as_str(),
            "params": value(request.content.params),
        },
    }]);
    comparison.understood("call", &sdk.receives(&downlink), &we_understand);
}

fn attribute_answer(received: &Received) -> Value {
    let response = gateway::attribute_response(received);
    let response = response.expect("an object").expect("a response");
    let mut answer = json!({"id": response.content.id, "device": response.device.as_str()});
    match response.content.found {
        Found::Nothing => {}
        Found::Value(found) => answer["value"] = value(found),
        Found::Values(found) => answer["values"] = value(found),
    }
    answer
}

fn attribute_update(received: &Received) -> Value {
    let update = gateway::attribute_update(received).expect("an object");
    let update = update.expect("an update");
    let data = super::attributes(&update.content);
    json!({"device": update.device.as_str(), "data": data})
}
