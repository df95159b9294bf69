//! `ThingsBoard`.

use mqtt_core::{
    Message, Publication,
    platform::thingsboard::{
        AttributeKeys, AttributeUpdate, Claim, Credentials, Device, Sample, gateway,
        provisioning::{self, Provisioned, Provisioning, Wanted},
    },
};
use mqtt_tests::{device, simulator::Simulator};
use serde::Serialize;
use serde_json::json;

use super::support::{
    closed, connect, noted, options, reconnected, refusal, simulator, subscribed,
};

#[derive(Serialize)]
struct Reading {
    temperature: i16,
}

const READING: Reading = Reading { temperature: 21 };

const THING: Device = Device::new();

/// Publishes without waiting: the answer may come before the acknowledgement, and has to be taken first.
fn asks(device: &device::Device, message: &impl Publication) {
    drop(device.publish(message));
}

fn thermometer(simulator: &Simulator) -> device::Device {
    let credentials = Credentials::access_token("A1_TEST_TOKEN").unwrap();
    let subscriptions = [
        THING.attribute_updates(),
        THING.attribute_responses(),
        THING.rpc_requests(),
        THING.rpc_responses(),
    ];
    let device = connect(
        simulator,
        &THING.options(&credentials).subscriptions(&subscriptions),
    );
    for subscription in subscriptions {
        subscribed(simulator, subscription.filter.as_str());
    }
    device
}

#[test]
fn telemetry_and_attributes_of_every_form_are_taken() {
    let simulator = simulator("thingsboard");
    let device = thermometer(&simulator);
    device.delivers(&THING.telemetry(&READING));
    noted(&simulator, "telemetry of thermometer: {\"temperature\":21}");
    device.delivers(&THING.telemetry_at(1_451_649_600_512, &READING));
    noted(
        &simulator,
        "telemetry of thermometer: {\"ts\":1451649600512,\"values\":{\"temperature\":21}}",
    );
    device.delivers(&THING.telemetry_batch(&[Sample::now(&READING), Sample::at(1, &READING)]));
    noted(
        &simulator,
        "telemetry of thermometer: [{\"temperature\":21},{\"ts\":1,\"values\":{\"temperature\":21}}]",
    );
    device.delivers(&THING.attributes(&json!({"version": "1.0"})));
    noted(
        &simulator,
        "attributes of thermometer: {\"version\":\"1.0\"}",
    );
    device.delivers(&THING.claim(Claim::default()));
}

#[test]
fn attributes_are_asked_for_changed_and_deleted() {
    let simulator = simulator("thingsboard");
    simulator
        .command("shared thermometer {\"limit\":30,\"other\":1}")
        .unwrap();
    let mut device = thermometer(&simulator);
    device.delivers(&THING.attributes(&json!({"version": "1.0"})));
    asks(
        &device,
        &THING.attribute_request(5, AttributeKeys::shared(&["limit", "missing"])),
    );
    {
        let message = device.message();
        let response = THING.attribute_response(&message).unwrap().unwrap();
        assert_eq!(response.id, 5);
        assert_eq!(response.shared.unwrap().as_str(), r#"{"limit":30}"#);
        assert!(response.client.is_none());
    }
    asks(&device, &THING.attribute_request(6, AttributeKeys::ALL));
    {
        let message = device.message();
        let response = THING.attribute_response(&message).unwrap().unwrap();
        assert_eq!(response.client.unwrap().as_str(), r#"{"version":"1.0"}"#);
    }
    simulator
        .command("shared thermometer {\"limit\":31}")
        .unwrap();
    {
        let message = device.message();
        let update = THING.attribute_update(&message).unwrap().unwrap();
        assert!(
            matches!(update, AttributeUpdate::Changed(values) if values.as_str() == r#"{"limit":31}"#)
        );
    }
    simulator.command("delete thermometer limit,other").unwrap();
    let message = device.message();
    let update = THING.attribute_update(&message).unwrap().unwrap();
    assert!(
        matches!(update, AttributeUpdate::Deleted(keys) if keys.contains("limit") && keys.contains("other"))
    );
}

#[test]
fn calls_of_the_server_are_answered_and_repeated_until_they_are() {
    let simulator = simulator("thingsboard");
    let mut device = thermometer(&simulator);
    let id = simulator
        .command("rpc thermometer setGpio {\"pin\":4}")
        .unwrap();
    let number = {
        let message = device.message();
        let call = THING.rpc_request(&message).unwrap().unwrap();
        assert!(call.method == "setGpio");
        assert_eq!(call.params.as_str(), r#"{"pin":4}"#);
        call.id
    };
    assert_eq!(number.to_string(), id);
    // The link breaks before the answer: the call comes again with the subscription.
    simulator.command("close").unwrap();
    let message = device.message();
    let call = THING.rpc_request(&message).unwrap().unwrap();
    assert_eq!(call.id, number);
    drop(message);
    device.delivers(&THING.rpc_reply(number, &json!({"done": true})));
    noted(
        &simulator,
        &format!("reply of thermometer to {id}: {{\"done\":true}}"),
    );
}

#[test]
fn calls_to_the_server_get_its_answer() {
    let simulator = simulator("thingsboard");
    simulator.command("reply getTime {\"time\":7}").unwrap();
    simulator.command("limit 500:60").unwrap();
    let mut device = thermometer(&simulator);
    asks(&device, &THING.rpc(1, "getTime", &json!({})));
    {
        let message = device.message();
        let response = THING.rpc_response(&message).unwrap().unwrap();
        assert_eq!((response.id, response.value.as_str()), (1, r#"{"time":7}"#));
    }
    asks(&device, &THING.session_limits_request(2));
    let message = device.message();
    let response = THING.rpc_response(&message).unwrap().unwrap();
    assert_eq!(
        response.session_limits().unwrap().max_payload_size,
        Some(65_536)
    );
}

#[test]
fn only_exact_filters_are_taken() {
    let simulator = simulator("thingsboard");
    let device = thermometer(&simulator);
    for filter in [
        "v1/devices/me/#",
        "#",
        "v1/devices/me/attributes/+",
        "v2/fw/response/#",
    ] {
        let subscribed = device.wait(device.client.subscribe(filter, mqtt_core::QoS::AtMostOnce));
        assert!(subscribed.is_err(), "{filter}");
    }
}

#[test]
fn a_malformed_message_ends_the_link_and_is_set_aside_in_the_end() {
    let simulator = simulator("thingsboard");
    let credentials = Credentials::access_token("A1_TEST_TOKEN").unwrap();
    let options = options(&simulator, &THING.options(&credentials)).poison_after(2);
    let device = device::Device::connect(options);
    let mut poison = device.publish(&Message::new("v1/devices/me/telemetry", b"{").at_least_once());
    closed(&simulator, "malformed payload");
    closed(&simulator, "malformed payload");
    assert!(device.wait(poison.acknowledged()).is_err());
    reconnected(&simulator, &device);
    device.delivers(&THING.telemetry(&READING));
    noted(&simulator, "telemetry of thermometer: {\"temperature\":21}");
}

#[test]
fn malformed_downlinks_leave_the_link_alone() {
    let simulator = simulator("thingsboard");
    let mut device = thermometer(&simulator);
    simulator
        .command("raw thermometer v1/devices/me/attributes [1]")
        .unwrap();
    {
        let message = device.message();
        assert!(THING.attribute_update(&message).is_err());
    }
    simulator
        .command("raw thermometer v1/devices/me/rpc/request/1 {\"params\":1}")
        .unwrap();
    {
        let message = device.message();
        assert!(THING.rpc_request(&message).is_err());
    }
    device.delivers(&THING.telemetry(&READING));
}

#[test]
fn a_session_that_the_server_pretends_to_have_is_subscribed_anyway() {
    let simulator = simulator("thingsboard");
    let mut device = thermometer(&simulator);
    simulator.command("close").unwrap();
    subscribed(&simulator, "v1/devices/me/attributes");
    simulator
        .command("shared thermometer {\"limit\":1}")
        .unwrap();
    let message = device.message();
    assert!(THING.attribute_update(&message).unwrap().is_some());
}

#[test]
fn wrong_credentials_end_the_run() {
    let simulator = simulator("thingsboard");
    let credentials = Credentials::access_token("wrong").unwrap();
    let mut device = device::Device::start(options(&simulator, &THING.options(&credentials)));
    assert_eq!(refusal(&device.ends().unwrap_err()), Some(5));
}

/// Asks for credentials, and shows the answer.
fn provision(
    simulator: &Simulator,
    name: &str,
    wanted: Wanted<'_>,
    look: impl FnOnce(Provisioned<'_>),
) {
    let subscriptions = [provisioning::subscription()];
    let mut device = connect(
        simulator,
        &provisioning::options().subscriptions(&subscriptions),
    );
    let request = Provisioning::new("provision-key", "provision-secret", wanted).unwrap();
    asks(&device, &request.device_name(name).unwrap().request());
    let message = device.message();
    look(provisioning::response(&message).unwrap().unwrap());
}

#[test]
fn a_device_gets_credentials_of_each_kind_and_connects_with_them() {
    let simulator = simulator("thingsboard");
    provision(&simulator, "one", Wanted::Server, |answer| {
        let Provisioned::AccessToken(token) = answer else {
            panic!("a token");
        };
        let credentials = Credentials::access_token(token.as_str().unwrap()).unwrap();
        connect(&simulator, &THING.options(&credentials)).delivers(&THING.telemetry(&READING));
        noted(&simulator, "telemetry of one: {\"temperature\":21}");
    });
    let basic = Wanted::Basic {
        client_id: Some("two"),
        user_name: Some("user"),
        password: Some("secret"),
    };
    provision(&simulator, "two", basic, |answer| {
        assert!(
            matches!(answer, Provisioned::Basic { user_name: Some(name), .. } if name == "user")
        );
    });
    let credentials = Credentials::basic(Some("two"), Some("user"), Some("secret")).unwrap();
    connect(&simulator, &THING.options(&credentials)).delivers(&THING.telemetry(&READING));
    noted(&simulator, "telemetry of two: {\"temperature\":21}");
    provision(
        &simulator,
        "three",
        Wanted::X509 {
            certificate: "MIIB",
        },
        |answer| {
            assert!(matches!(answer, Provisioned::X509(_)));
        },
    );
    provision(&simulator, "one", Wanted::Server, |answer| {
        assert!(matches!(
            answer,
            Provisioned::Refused {
                not_found: false,
                ..
            }
        ));
    });
}

#[test]
fn a_gateway_speaks_for_the_devices_behind_it() {
    let simulator = simulator("thingsboard");
    let credentials = Credentials::access_token("GATEWAY_TOKEN").unwrap();
    let subscriptions = [
        gateway::rpc_requests(),
        gateway::attribute_updates(),
        gateway::attribute_responses(),
    ];
    let mut device = connect(
        &simulator,
        &THING.options(&credentials).subscriptions(&subscriptions),
    );
    subscribed(&simulator, "v1/gateway/attributes/response");
    device.delivers(&gateway::connect("pump", None));
    noted(&simulator, "connected pump");
    device.delivers(&gateway::telemetry(&[("pump", &[Sample::at(1, &READING)])]));
    let traced = gateway::TracedSample {
        ts_ms: 1,
        values: &READING,
        metadata: gateway::Metadata {
            connector: "modbus",
            received_ts_ms: 2,
            published_ts_ms: 3,
        },
    };
    device.delivers(&gateway::traced_telemetry(&[("pump", &[traced])]));
    noted(
        &simulator,
        "telemetry of pump: [{\"ts\":1,\"values\":{\"temperature\":21}}]",
    );
    device.delivers(&gateway::attributes(&[("pump", json!({"model": "x"}))]));
    asks(
        &device,
        &gateway::attribute_request(3, "pump", gateway::Scope::Client, &["model"]),
    );
    {
        let message = device.message();
        let response = gateway::attribute_response(&message).unwrap();
        assert!(response.is_some());
    }
    simulator
        .command("child-rpc gateway pump 9 start {\"speed\":2}")
        .unwrap();
    {
        let message = device.message();
        let call = gateway::rpc_request(&message).unwrap().unwrap();
        assert!(call.device == "pump" && call.content.method == "start");
        assert_eq!(call.content.id, 9);
    }
    device.delivers(&gateway::rpc_reply("pump", 9, &json!("ok")));
    noted(&simulator, "reply of pump to 9: \"ok\"");
    simulator
        .command("child-shared gateway pump {\"limit\":1}")
        .unwrap();
    {
        let message = device.message();
        assert!(gateway::attribute_update(&message).unwrap().is_some());
    }
    device.delivers(&gateway::disconnect("pump"));
    noted(&simulator, "disconnected pump");
}
