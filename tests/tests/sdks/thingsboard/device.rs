//! A device.

use mqtt_core::platform::thingsboard::{AttributeKeys, Claim, Credentials, Sample};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{
    DEVICE, RPC_REQUEST, RPC_RESPONSE, TOKEN, answer_limits, ask_limits, burst, object, options,
    session_limits, value,
};
use crate::compare::{ABSENT, Comparison, Difference};
use crate::ours::{Ours, Received};
use crate::sdk::Sdk;

const LIMITS: &str = r#"{"maxPayloadSize":65536,"maxInflightMessages":100,
    "rateLimits":{"messages":"200:1,6000:60","telemetryMessages":"","telemetryDataPoints":null}}"#;

const TIME: u64 = 1_700_000_000_000;

const IN_AN_ARRAY: &str = "the SDK puts every object of telemetry into an array, which means the same and takes two bytes more";

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "connect",
        at: "/connect/keep_alive_s",
        sdk: "120",
        ours: "60",
        reason: "any value well below the server's 600 s will do; ours is the default of all platforms",
    },
    Difference {
        action: "connect",
        at: "/publications/0/payload/json/params/timeout",
        sdk: "5000",
        ours: ABSENT,
        reason: "the server does not look at it: it answers the call itself",
    },
    Difference {
        action: "telemetry",
        at: "/publications/0/payload/json",
        sdk: r#"[{"empty":null,"name":"caf\u00e9 \"1\"","nested":{"a":[1,2]},"on":true,"temperature":21.5}]"#,
        ours: r#"{"empty":null,"name":"caf\u00e9 \"1\"","nested":{"a":[1,2]},"on":true,"temperature":21.5}"#,
        reason: IN_AN_ARRAY,
    },
    Difference {
        action: "telemetry at QoS 0",
        at: "/publications/0/payload/json",
        sdk: r#"[{"count":-3}]"#,
        ours: r#"{"count":-3}"#,
        reason: IN_AN_ARRAY,
    },
    Difference {
        action: "telemetry of a time",
        at: "/publications/0/payload/json",
        sdk: r#"[{"ts":1700000000000,"values":{"count":-3}}]"#,
        ours: r#"{"ts":1700000000000,"values":{"count":-3}}"#,
        reason: IN_AN_ARRAY,
    },
    Difference {
        action: "telemetry in a batch without times",
        at: "/publications/0/payload/json/0/count",
        sdk: "2",
        ours: "1",
        reason: "the SDK merges samples without a time, so that of two values for a key one is lost",
    },
    Difference {
        action: "telemetry in a batch without times",
        at: "/publications/0/payload/json/1",
        sdk: ABSENT,
        ours: r#"{"count":2}"#,
        reason: "the second of the two samples, which the SDK has merged into the first",
    },
    Difference {
        action: "reply with an array",
        at: "/publications/0",
        sdk: ABSENT,
        ours: r#"{"payload":{"json":[1,"two"]},"qos":1,"retain":false,"topic":"v1/devices/me/rpc/response/17"}"#,
        reason: "the SDK raises an exception when it counts the values of an array of numbers",
    },
];

#[test]
fn a_device_speaks_as_the_sdk_does() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let (mut sdk, mut ours) = connected(&mut comparison);
    telemetry(&mut comparison, &mut sdk, &mut ours);
    attributes(&mut comparison, &mut sdk, &mut ours);
    calls(&mut comparison, &mut sdk, &mut ours);

    let claim = DEVICE.claim(Claim {
        secret_key: Some("secret"),
        duration_ms: Some(60_000),
    });
    let action = json!(["claim", "secret", 60_000]);
    comparison.sent("claim", &sdk.sends(action), &ours.sends(&[&claim]));

    sdk.begins(json!(["disconnect"]));
    let sdk_leaves = sdk.recorder().until_closed();
    comparison.sent("disconnect", &sdk_leaves, &ours.disconnects());
    comparison.finish();
}

#[test]
fn credentials_are_sent_as_the_sdk_sends_them() {
    let mut comparison = Comparison::new(&DIFFERENCES[..1]);
    let credentials = Credentials::basic(Some("client"), Some("user"), Some("pass")).expect("all");
    let mut sdk = Sdk::start("thingsboard");
    let action = json!(["connect", "device", "user", "pass", "client"]);
    sdk.begins(action);
    let sdk_connects = sdk.accepts().take_records();
    let (_, we_connect) = Ours::connect(&options(&credentials));
    comparison.sent("connect", &sdk_connects, &we_connect);
    comparison.finish();
}

fn connected(comparison: &mut Comparison) -> (Sdk, Ours) {
    let mut sdk = Sdk::start("thingsboard");
    let action = json!(["connect", "device", TOKEN]);
    let (sdk_connects, sdk_limits) = sdk.connects(action, |publish| answer_limits(publish, LIMITS));

    let subscriptions = [
        DEVICE.attribute_updates(),
        DEVICE.attribute_responses(),
        DEVICE.rpc_requests(),
        DEVICE.rpc_responses(),
    ];
    let credentials = Credentials::access_token(TOKEN).expect("a token");
    let options = options(&credentials).subscriptions(&subscriptions);
    let (mut ours, mut we_connect) = Ours::connect(&options);
    let (records, received) = ask_limits(&mut ours, LIMITS);
    we_connect.extend(records);
    let limits = session_limits(&received);
    let our_limits = json!({"burst": burst(&limits.rates)});

    comparison.sent("connect", &sdk_connects, &we_connect);
    comparison.understood("connect", &sdk_limits, &our_limits);
    (sdk, ours)
}

fn telemetry(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours) {
    let values = json!({
        "temperature": 21.5, "on": true, "name": "caf\u{e9} \"1\"", "nested": {"a": [1, 2]},
        "empty": null,
    });
    let message = DEVICE.telemetry(&values);
    let action = json!(["telemetry", values]);
    comparison.sent("telemetry", &sdk.sends(action), &ours.sends(&[&message]));

    let count = json!({"count": -3});
    let message = DEVICE.telemetry(&count).at_most_once();
    let action = json!(["telemetry", count, 0]);
    comparison.sent(
        "telemetry at QoS 0",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );

    let message = DEVICE.telemetry_at(TIME, &count);
    let action = json!(["telemetry", {"ts": TIME, "values": count}]);
    comparison.sent(
        "telemetry of a time",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );

    let other = json!({"count": 5, "on": false});
    let samples = [Sample::at(TIME, &count), Sample::at(TIME + 1, &other)];
    let message = DEVICE.telemetry_batch(&samples);
    let action = json!(["telemetry", [
        {"ts": TIME, "values": count}, {"ts": TIME + 1, "values": other},
    ]]);
    comparison.sent(
        "telemetry in a batch",
        &sdk.sends(action),
        &ours.sends(&[&message]),
    );

    let (first, second) = (json!({"count": 1}), json!({"count": 2}));
    let samples = [Sample::now(&first), Sample::now(&second)];
    let message = DEVICE.telemetry_batch(&samples);
    let action = json!(["telemetry", [first, second]]);
    let name = "telemetry in a batch without times";
    comparison.sent(name, &sdk.sends(action), &ours.sends(&[&message]));
}

fn attributes(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours) {
    let values = json!({"firmware": "1.0", "uptime": 7, "nested": {"a": null}});
    let message = DEVICE.attributes(&values);
    let action = json!(["attributes", values]);
    comparison.sent("attributes", &sdk.sends(action), &ours.sends(&[&message]));

    let both = AttributeKeys {
        client: Some(&["a", "b"]),
        shared: Some(&["c"]),
    };
    let requests = [
        ("attribute request", json!([["a", "b"], ["c"]]), both),
        (
            "attribute request, client",
            json!([["a"], null]),
            AttributeKeys::client(&["a"]),
        ),
        (
            "attribute request, shared",
            json!([null, ["c"]]),
            AttributeKeys::shared(&["c"]),
        ),
        (
            "attribute request, all",
            json!([null, null]),
            AttributeKeys::ALL,
        ),
    ];
    for (id, (name, keys, ours_keys)) in (1..).zip(requests) {
        let action = json!(["request_attributes", keys[0], keys[1]]);
        let message = DEVICE.attribute_request(id, ours_keys);
        comparison.sent(name, &sdk.sends(action), &ours.sends(&[&message]));
        let answer = ATTRIBUTE_ANSWERS[id as usize - 1];
        let downlink = Downlink::new(format!("v1/devices/me/attributes/response/{id}"), answer);
        let we_understand = attribute_answer(&ours.receives(&downlink));
        comparison.understood(
            name,
            &sdk.receives(&downlink),
            &json!(["answer", we_understand]),
        );
    }

    for (name, payload) in ATTRIBUTE_UPDATES {
        let downlink = Downlink::new("v1/devices/me/attributes", *payload);
        let we_understand = attribute_update(&ours.receives(&downlink));
        comparison.understood(
            name,
            &sdk.receives(&downlink),
            &json!(["attributes", we_understand]),
        );
    }
}

const ATTRIBUTE_ANSWERS: [&str; 4] = [
    r#"{"client":{"a":1,"b":"x"},"shared":{"c":{"d":[true]}}}"#,
    r#"{"client":{"a":null}}"#,
    r#"{"shared":{"c":-0.5}}"#,
    "{}",
];

const ATTRIBUTE_UPDATES: &[(&str, &str)] = &[
    ("attribute update", r#"{"interval":10,"mode":"eco"}"#),
    ("attributes deleted", r#"{"deleted":["interval","mode"]}"#),
    ("attribute called deleted", r#"{"deleted":"yes"}"#),
];

fn attribute_answer(received: &Received) -> Value {
    let response = DEVICE.attribute_response(received);
    let response = response.expect("an object").expect("a response");
    object([("client", response.client), ("shared", response.shared)])
}

fn attribute_update(received: &Received) -> Value {
    let update = DEVICE.attribute_update(received).expect("an object");
    super::attributes(&update.expect("an update"))
}

fn calls(comparison: &mut Comparison, sdk: &mut Sdk, ours: &mut Ours) {
    for (id, payload) in [
        (
            0,
            r#"{"method":"setGpio","params":{"pin":7,"enabled":true}}"#,
        ),
        (17, r#"{"method":"reboot","params":null}"#),
    ] {
        let downlink = Downlink::new(format!("{RPC_REQUEST}{id}"), payload);
        let received = ours.receives(&downlink);
        let request = DEVICE.rpc_request(&received);
        let request = request.expect("a call").expect("for us");
        let we_understand = json!(["rpc", {
            "id": request.id,
            "method": request.method.as_str(),
            "params": value(request.params),
        }]);
        comparison.understood(
            "call by the server",
            &sdk.receives(&downlink),
            &we_understand,
        );
    }
    let replies = [
        ("reply", json!({"ok": true, "error": "caf\u{e9}"})),
        ("reply with an array", json!([1, "two"])),
    ];
    for (name, reply) in replies {
        let message = DEVICE.rpc_reply(17, &reply);
        let action = json!(["rpc_reply", 17, reply]);
        comparison.sent(name, &sdk.sends(action), &ours.sends(&[&message]));
    }

    // The first call was that for the limits.
    for (id, params) in [(2, json!({"zone": "CET"})), (3, json!({}))] {
        let message = DEVICE.rpc(id, "getTime", &params);
        let action = json!(["rpc", "getTime", params]);
        comparison.sent("call", &sdk.sends(action), &ours.sends(&[&message]));
    }
    for (id, payload) in [
        (3, r#"{"time":1700000000000}"#),
        (2, r#"{"error":"timeout"}"#),
    ] {
        let downlink = Downlink::new(format!("{RPC_RESPONSE}{id}"), payload);
        let received = ours.receives(&downlink);
        let response = DEVICE.rpc_response(&received);
        let response = response.expect("JSON").expect("a response");
        assert_eq!(response.is_timeout(), id == 2);
        let we_understand = json!(["rpc_response", {
            "id": response.id,
            "value": value(response.value),
        }]);
        comparison.understood("answer to a call", &sdk.receives(&downlink), &we_understand);
    }
}
