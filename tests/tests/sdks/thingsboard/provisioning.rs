//! A device that gets its credentials.

use mqtt_core::platform::json::JsonStr;
use mqtt_core::platform::thingsboard::provisioning::{self, Provisioned, Provisioning, Wanted};
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use crate::compare::{ABSENT, Comparison, Difference};
use crate::ours::{Ours, Received};
use crate::sdk::Sdk;

const KEY: &str = "key";
const SECRET: &str = "secret";

const NEVER_NULL: &str = "a null closes the connection on the real server, so that the SDK cannot ask for some of the three only";

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "*",
        at: "/subscriptions/~1provision~1response",
        sdk: "0",
        ours: "1",
        reason: "the answer comes only once and cannot be asked for again",
    },
    Difference {
        action: "*",
        at: "/publications/0/qos",
        sdk: "0",
        ours: "1",
        reason: "the server says nothing to a message that is lost",
    },
    Difference {
        action: "basic, user name only",
        at: "/publications/0/payload/json/password",
        sdk: "null",
        ours: ABSENT,
        reason: NEVER_NULL,
    },
    Difference {
        action: "basic, user name only",
        at: "/publications/0/payload/json/clientId",
        sdk: "null",
        ours: ABSENT,
        reason: NEVER_NULL,
    },
    Difference {
        action: "refused",
        at: "/understood",
        sdk: "null",
        ours: r#"{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}"#,
        reason: "the SDK logs the explanation, and gives nothing to the program",
    },
];

struct Case {
    name: &'static str,
    arguments: Value,
    request: Provisioning<'static>,
    answer: &'static str,
}

fn cases() -> [Case; 5] {
    let request = |wanted| Provisioning::new(KEY, SECRET, wanted).expect("a request");
    [
        Case {
            name: "token of the server",
            arguments: json!({"device_name": "D1", "gateway": true}),
            request: request(Wanted::Server)
                .device_name("D1")
                .expect("a name")
                .gateway(),
            answer: r#"{"credentialsValue":"T1","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#,
        },
        Case {
            name: "own token",
            arguments: json!({"access_token": "T2"}),
            request: request(Wanted::AccessToken("T2")),
            answer: r#"{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"T2"}"#,
        },
        Case {
            name: "basic, all three",
            arguments: json!({"client_id": "c", "username": "u", "password": "p"}),
            request: request(Wanted::Basic {
                client_id: Some("c"),
                user_name: Some("u"),
                password: Some("p"),
            }),
            answer: r#"{"credentialsValue":{"clientId":"c","userName":"u","password":"p"},
                "credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
        },
        Case {
            name: "basic, user name only",
            arguments: json!({"username": "u"}),
            request: request(Wanted::Basic {
                client_id: None,
                user_name: Some("u"),
                password: None,
            }),
            answer: r#"{"credentialsValue":{"userName":"u"},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
        },
        Case {
            name: "certificate",
            arguments: json!({"hash": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}),
            request: request(Wanted::X509 {
                certificate: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            }),
            answer: r#"{"credentialsValue":"hash","credentialsType":"X509_CERTIFICATE","status":"SUCCESS"}"#,
        },
    ]
}

#[test]
fn a_device_is_provisioned_as_by_the_sdk() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let mut sdk = Sdk::start("thingsboard");
    for case in cases() {
        provision(&mut comparison, &mut sdk, &case);
    }
    provision(
        &mut comparison,
        &mut sdk,
        &Case {
            name: "refused",
            arguments: json!({}),
            request: Provisioning::new(KEY, SECRET, Wanted::Server).expect("a request"),
            answer: r#"{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}"#,
        },
    );
    comparison.finish();
}

fn provision(comparison: &mut Comparison, sdk: &mut Sdk, case: &Case) {
    sdk.begins(json!(["provision", KEY, SECRET, case.arguments]));
    let answer = || Downlink::new("/provision/response", case.answer);
    let downlink = answer();
    let recorder = sdk.accepts();
    recorder.answers(move |_| vec![downlink.clone()]);
    recorder.until(|records| records.len() == 3);
    let mut sdk_sends = recorder.take_records();
    sdk_sends.extend(recorder.until_closed());
    let sdk_understands = sdk.done();

    let subscriptions = [provisioning::subscription()];
    let options = provisioning::options().subscriptions(&subscriptions);
    let (mut ours, mut we_send) = Ours::connect(&options);
    let downlink = answer();
    ours.recorder.answers(move |_| vec![downlink.clone()]);
    we_send.extend(ours.sends(&[&case.request.request()]));
    let received = ours.next_message();
    let we_understand = credentials(&received);
    we_send.extend(ours.disconnects());

    comparison.sent(case.name, &sdk_sends, &we_send);
    comparison.understood(case.name, &sdk_understands, &we_understand);
}

fn credentials(received: &Received) -> Value {
    let response = provisioning::response(received);
    let success = |kind, value: Value| json!({"status": "SUCCESS", "credentialsType": kind, "credentialsValue": value});
    let text = |text: JsonStr<'_>| json!(text.as_str());
    match response.expect("an object").expect("a response") {
        Provisioned::AccessToken(token) => success("ACCESS_TOKEN", text(token)),
        Provisioned::X509(hash) => success("X509_CERTIFICATE", text(hash)),
        Provisioned::Basic {
            client_id,
            user_name,
            password,
        } => {
            let mut value = json!({});
            for (name, member) in [
                ("clientId", client_id),
                ("userName", user_name),
                ("password", password),
            ] {
                if let Some(member) = member {
                    value[name] = text(member);
                }
            }
            success("MQTT_BASIC", value)
        }
        Provisioned::Refused { not_found, message } => json!({
            "status": if not_found { "NOT_FOUND" } else { "FAILURE" },
            "errorMsg": message.map(text),
        }),
    }
}
