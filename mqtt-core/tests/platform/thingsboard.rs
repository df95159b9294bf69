//! The ThingsBoard helper against golden packets, and what it refuses.

use std::collections::BTreeMap;

use mqtt_core::{
    Instant, Publication, QoS,
    codec::{Ack, ConnAck, EncodeError, FixedHeader, Packet, TopicName, Version, Writer},
    platform::{
        thingsboard::{
            AttributeKeys, AttributeUpdate, BadPayload, Claim, Credentials, CredentialsError,
            Device, Problem, RateLimiter, Rates, Requests, Sample, Seen, SeenRequests, Topics,
            Traffic, gateway,
            provisioning::{self, Provisioned, Provisioning, ProvisioningError, Wanted},
            update::{
                ChunkName, ChunkRefusal, Offer, Package, PackageReport, PackageState, Source,
            },
        },
        update::{AnyChecksum, Checksum, Digest},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

const DEVICE: Device = Device::new();
const SHORT: Device = Device::new().topics(Topics::V2);
const SHORT_JSON: Device = Device::new().topics(Topics::V2Json);

/// A publication as it would be sent.
#[derive(Debug, PartialEq)]
struct Sent {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
}

fn write(publication: &impl Publication, room: usize) -> Result<Sent, EncodeError> {
    assert!(!publication.retain());
    let mut topic = vec![0; 200];
    let mut writer = Writer::new(&mut topic);
    publication.write_topic(&mut writer)?;
    let len = writer.len();
    topic.truncate(len);
    let mut payload = vec![0; room];
    let mut writer = Writer::new(&mut payload);
    publication.write_payload(&mut writer)?;
    let len = writer.len();
    payload.truncate(len);
    Ok(Sent {
        topic: String::from_utf8(topic).unwrap(),
        payload,
        qos: publication.qos(),
    })
}

fn sent(publication: &impl Publication) -> Sent {
    write(publication, 100_000).unwrap()
}

fn refused(publication: &impl Publication) -> EncodeError {
    write(publication, 100_000).unwrap_err()
}

fn topic(name: &str) -> TopicName<'_> {
    TopicName::new(name).unwrap()
}

fn vectors() -> Vec<Value> {
    let text = include_str!("vectors/thingsboard.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    vectors.as_array().unwrap().clone()
}

fn text<'v>(vector: &'v Value, member: &str) -> &'v str {
    vector[member].as_str().unwrap()
}

fn hexadecimal(text: &str) -> Vec<u8> {
    Digest::from_hexadecimal(text.as_bytes()).map_or_else(
        || {
            let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(digit).collect()
        },
        |digest| digest.as_bytes().to_vec(),
    )
}

fn payload(vector: &Value) -> Vec<u8> {
    match vector["payload_hex"].as_str() {
        Some(hex) => hexadecimal(hex),
        None => text(vector, "payload").as_bytes().to_vec(),
    }
}

/// The meaning of a payload: the official SDK wraps telemetry in an array, which means the same.
fn meaning(payload: &[u8]) -> Value {
    match serde_json::from_slice(payload) {
        Ok(Value::Array(mut elements)) if elements.len() == 1 => elements.remove(0),
        Ok(value) => value,
        Err(_) => Value::String(String::from_utf8(payload.to_vec()).unwrap()),
    }
}

/// Our publication says what the vector says. Its QoS is ours.
fn assert_says(vector: &Value, publication: &impl Publication, qos: QoS) {
    let sent = sent(publication);
    assert_eq!(sent.topic, text(vector, "topic"));
    assert_eq!(meaning(&sent.payload), meaning(&payload(vector)));
    assert_eq!(sent.qos, qos);
}

#[test]
fn what_a_device_sends_is_what_the_vectors_say() {
    let mut count = 0;
    for vector in vectors() {
        if vector["direction"] != "device_to_server" {
            continue;
        }
        count += 1;
        check_uplink(&vector);
    }
    assert_eq!(count, 26);
}

#[allow(clippy::too_many_lines, reason = "one arm for each vector")]
fn check_uplink(vector: &Value) {
    use QoS::{AtLeastOnce, AtMostOnce};
    let name = text(vector, "name");
    let says = |publication: &dyn Publication, qos| {
        struct Any<'p>(&'p dyn Publication);
        impl Publication for Any<'_> {
            fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
                self.0.write_topic(topic)
            }
            fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
                self.0.write_payload(payload)
            }
            fn qos(&self) -> QoS {
                self.0.qos()
            }
        }
        assert_says(vector, &Any(publication), qos);
    };
    let subscribes = |subscription: mqtt_core::codec::Subscription<'_>| {
        assert_eq!(
            subscription.filter.as_str(),
            vector["topic"][0].as_str().unwrap()
        );
        assert_eq!(subscription.qos, AtLeastOnce);
    };
    let package = |installed, state, error| PackageReport {
        package: Package::Firmware,
        installed,
        state,
        error,
    };
    let chunk = ChunkName {
        package: Package::Firmware,
        request_id: 1,
        index: 0,
    };
    match name {
        "py-connect-v5" => {
            let credentials = Credentials::access_token("A1_TEST_TOKEN").unwrap();
            let options = DEVICE.options(&credentials);
            assert_eq!(
                options.client_id,
                vector["connect"]["client_id"].as_str().unwrap()
            );
            assert_eq!(options.user_name, vector["connect"]["username"].as_str());
            assert_eq!(options.password, None);
            assert!(options.clean_session && options.will.is_none());
        }
        "py-provision-connect" => {
            let options = provisioning::options();
            assert_eq!(options.client_id, "");
            assert_eq!(options.user_name, vector["connect"]["username"].as_str());
            assert_eq!(options.password, None);
            assert_eq!(options.version, Version::V3_1_1);
        }
        "py-provision-subscribe" => subscribes(provisioning::subscription()),
        "py-provision-request" => {
            let request = Provisioning::new(
                "u7piawkboq8v32dmcmpp",
                "jpmwdn8ptlswmf4m29bw",
                Wanted::Server,
            );
            says(
                &request
                    .unwrap()
                    .device_name("DEVICE_NAME")
                    .unwrap()
                    .request(),
                AtLeastOnce,
            );
        }
        "py-sub-attributes" => subscribes(DEVICE.attribute_updates()),
        "py-sub-rpc" => subscribes(DEVICE.rpc_requests()),
        "py-telemetry-no-ts" => says(
            &DEVICE.telemetry(&json!({"key1":"value1","key2":2})),
            AtLeastOnce,
        ),
        "py-telemetry-ts" => {
            says(
                &DEVICE.telemetry_at(1_451_649_600_512, &json!({"key1":"value1"})),
                AtLeastOnce,
            );
        }
        "py-telemetry-batch" => {
            let values = [json!({"a":1}), json!({"a":2})];
            let samples = [
                Sample::at(1_451_649_600_512, &values[0]),
                Sample::at(1_451_649_601_512, &values[1]),
            ];
            says(&DEVICE.telemetry_batch(&samples), AtLeastOnce);
        }
        "py-attributes-request" => {
            let keys = AttributeKeys {
                client: Some(&["a"]),
                shared: Some(&["b", "c"]),
            };
            says(&DEVICE.attribute_request(1, keys), AtLeastOnce);
        }
        // Parameters are not looked at by the server.
        "py-session-limits-request" => {
            let sent = sent(&DEVICE.session_limits_request(1));
            assert_eq!(sent.topic, text(vector, "topic"));
            assert_eq!(
                meaning(&sent.payload)["method"],
                meaning(&payload(vector))["method"]
            );
        }
        "py-rpc-reply" => says(&DEVICE.rpc_reply(0, &json!({"ok":true})), AtLeastOnce),
        "py-claim" => {
            let claim = Claim {
                secret_key: Some("secret"),
                duration_ms: Some(60_000),
            };
            says(&DEVICE.claim(claim), AtLeastOnce);
        }
        "py-fw-subscribe-wrong" => {
            let filter = DEVICE.chunks(Package::Firmware).filter;
            assert_ne!(filter.as_str(), vector["topic"][0].as_str().unwrap());
            assert_eq!(filter.as_str(), "v2/fw/response/+/chunk/+");
        }
        // Not repeated by the session: a refused request would end every link.
        "py-fw-chunk-request" => says(&DEVICE.chunk_request(chunk, 500), AtMostOnce),
        // An image larger than the receive buffer, or none: never asked for.
        "py-fw-whole-request" => {
            assert_eq!(
                refused(&DEVICE.chunk_request(chunk, 0)),
                EncodeError::InvalidValue
            );
        }
        "py-fw-state" => {
            let state = Some(PackageState::Downloading);
            says(
                &DEVICE.package_report(package(Some(("Initial", "v0")), state, Some(""))),
                AtLeastOnce,
            );
        }
        "py-gw-connect" => says(
            &gateway::connect("Device A", Some("thermostat")),
            AtLeastOnce,
        ),
        "py-gw-telemetry" => {
            let values = json!({"t":42});
            let samples = [Sample::at(1_483_228_800_000, &values)];
            says(
                &gateway::telemetry(&[("Device A", &samples[..])]),
                AtLeastOnce,
            );
        }
        "py-gw-attr-request" => {
            let request =
                gateway::attribute_request(1, "Device A", gateway::Scope::Shared, &["x", "y"]);
            says(&request, AtLeastOnce);
        }
        "py-gw-rpc-reply" => {
            says(
                &gateway::rpc_reply("Device A", 5, &json!({"success":true})),
                AtLeastOnce,
            );
        }
        "py-gw-claim" => {
            let claim = Claim {
                secret_key: Some("s"),
                duration_ms: Some(1_000),
            };
            says(&gateway::claim(&[("Device A", claim)]), AtLeastOnce);
        }
        "py-gw-disconnect" => says(&gateway::disconnect("Device A"), AtLeastOnce),
        "telemetry-plain-object" => {
            let values = json!({"key1":"value1","key2":"value2"});
            says(&DEVICE.telemetry(&values).at_most_once(), AtMostOnce);
        }
        "trap-ts-without-values" => {
            let values = meaning(&payload(vector));
            assert_eq!(
                refused(&DEVICE.telemetry(&values)),
                EncodeError::InvalidValue
            );
        }
        // A matter of the server's settings; a string stays a string here.
        "trap-numeric-string" => says(&DEVICE.attributes(&json!({"version":"1.0"})), AtLeastOnce),
        other => panic!("vector {other} is not checked"),
    }
}

#[test]
fn what_a_server_sends_is_read_as_the_vectors_say() {
    let mut count = 0;
    for vector in vectors() {
        if vector["direction"] == "server_to_device" {
            count += 1;
            check_downlink(&vector);
        }
    }
    assert_eq!(count, 38);
}

fn check_downlink(vector: &Value) {
    if vector["kind"] == "checksum" {
        return check_checksums(vector);
    }
    if vector["kind"] != "publish" {
        return check_packet(vector);
    }
    let name = text(vector, "name");
    let topic = topic(text(vector, "topic"));
    let payload = payload(vector);
    if name.starts_with("attr-") || name.starts_with("fw-attrs") || name == "fw-unassigned" {
        return check_attributes(name, topic, &payload);
    }
    if name.starts_with("gw-") {
        return check_gateway(name, topic, &payload);
    }
    if name.starts_with("provision-") {
        return check_provisioned(name, topic, &payload);
    }
    if name.starts_with("rpc-") || name.starts_with("bad-") || name.starts_with("session-") {
        return check_calls(name, topic, &payload);
    }
    check_chunks(name, topic, &payload);
}

fn check_checksums(vector: &Value) {
    let mut image: Vec<u8> = match text(vector, "input") {
        "ASCII 123456789" => b"123456789".to_vec(),
        "ASCII 2899" => b"2899".to_vec(),
        _ => (0..=255).cycle().take(5 * 256).collect(),
    };
    let len = vector["input_len"].as_u64().unwrap();
    image.resize(usize::try_from(len).unwrap(), 0xaa);
    for (name, expected) in vector["checksums"].as_object().unwrap() {
        let expected = expected.as_str().unwrap();
        let attributes = json!({
            "fw_title": "a", "fw_version": "1", "fw_size": len,
            "fw_checksum_algorithm": name, "fw_checksum": expected,
        });
        let attributes = attributes.to_string();
        let raw = mqtt_core::platform::json::RawJson::parse(attributes.as_bytes()).unwrap();
        let offer = Offer::read(Package::Firmware, raw).unwrap().unwrap();
        let Source::Chunks(offered) = offer.source else {
            panic!("{name}")
        };
        for piece in [1, 3, 7, 64, 1_300] {
            let mut checksum = AnyChecksum::begin(offered.algorithm).unwrap();
            image.chunks(piece).for_each(|bytes| checksum.update(bytes));
            let digest = checksum.finish();
            assert_eq!(digest, offered.checksum, "{name} by {piece}");
            assert_eq!(digest.to_string(), expected);
        }
    }
}

fn check_packet(vector: &Value) {
    let bytes = hexadecimal(text(vector, "packet_hex"));
    let (header, len) = FixedHeader::decode(&bytes, Version::V3_1_1)
        .unwrap()
        .unwrap();
    let packet = Packet::decode(header, &bytes[len..], Version::V3_1_1).unwrap();
    match (text(vector, "name"), packet) {
        ("connack-5", Packet::ConnAck(ConnAck { code, .. })) => assert_eq!(code.value(), 5),
        ("suback-failure", Packet::SubAck(suback)) => {
            assert!(suback.codes().all(|code| code.is_err()));
        }
        // That the session ignores it is tested there.
        (
            "puback-65535-unsolicited",
            Packet::PubAck(Ack {
                packet_identifier, ..
            }),
        ) => {
            assert_eq!(packet_identifier.get(), u16::MAX);
        }
        (name, packet) => panic!("{name}: {packet:?}"),
    }
}

fn check_attributes(name: &str, topic: TopicName<'_>, payload: &[u8]) {
    if name == "attr-response-empty" {
        let response = DEVICE
            .attribute_response((topic, payload))
            .unwrap()
            .unwrap();
        assert_eq!(
            (response.id, response.client, response.shared),
            (2, None, None)
        );
        return;
    }
    let update = DEVICE.attribute_update((topic, payload)).unwrap().unwrap();
    let deleted: Vec<_> = match update {
        AttributeUpdate::Deleted(keys) => keys.iter().map(|key| key.as_str().unwrap()).collect(),
        AttributeUpdate::Changed(changed) => {
            let offer = Offer::read(Package::Firmware, changed).unwrap();
            match name {
                "attr-update" => {
                    assert_eq!(changed.member("targetTemp").unwrap().integer(), Some(21));
                    assert_eq!(offer, None);
                }
                "attr-ambiguous-deleted" => {
                    assert!(changed.member("deleted").unwrap().string().unwrap() == "yes");
                }
                "fw-attrs-push" => {
                    let offer = offer.unwrap();
                    assert!(offer.title == "my-fw" && offer.version == "1.1");
                    assert!(offer.tag.unwrap() == "my-fw 1.1");
                    assert!(matches!(offer.source, Source::Chunks(image) if image.size == 1_300));
                }
                "fw-attrs-url" => {
                    let Source::Url(url) = offer.unwrap().source else {
                        panic!("{name}")
                    };
                    assert!(url == "https://example.com/fw.bin");
                }
                other => panic!("vector {other} is not checked"),
            }
            return;
        }
    };
    match name {
        "attr-deleted" => assert_eq!(deleted, ["targetTemp"]),
        "fw-attrs-deleted-first" => assert_eq!(deleted, ["fw_url"]),
        "fw-unassigned" => assert_eq!(deleted.len(), 9),
        other => panic!("vector {other} is not checked"),
    }
}

fn check_gateway(name: &str, topic: TopicName<'_>, payload: &[u8]) {
    let device = match name {
        "gw-attr-update" => {
            let update = gateway::attribute_update((topic, payload))
                .unwrap()
                .unwrap();
            assert!(
                matches!(update.content, AttributeUpdate::Changed(data) if data.as_str() == "{\"x\":1}")
            );
            update.device
        }
        "gw-attr-response-single" | "gw-attr-response-multi" => {
            let response = gateway::attribute_response((topic, payload))
                .unwrap()
                .unwrap();
            assert_eq!(response.content.id, 1);
            match response.content.found {
                gateway::Found::Value(value) => assert_eq!(value.integer(), Some(42)),
                gateway::Found::Values(values) => assert_eq!(values.members().unwrap().count(), 2),
                gateway::Found::Nothing => panic!("{name}"),
            }
            response.device
        }
        "gw-rpc-request" => {
            let request = gateway::rpc_request((topic, payload)).unwrap().unwrap();
            assert_eq!(request.content.id, 5);
            assert!(request.content.method == "toggle");
            assert_eq!(request.content.params.boolean(), Some(true));
            request.device
        }
        other => panic!("vector {other} is not checked"),
    };
    assert!(device == "Device A");
}

fn check_provisioned(name: &str, topic: TopicName<'_>, payload: &[u8]) {
    let provisioned = provisioning::response((topic, payload)).unwrap().unwrap();
    match (name, provisioned) {
        ("provision-success-token", Provisioned::AccessToken(token)) => {
            assert!(token == "9pGPhcGqFKDEKZfbmkzz");
        }
        (
            "provision-success-basic",
            Provisioned::Basic {
                client_id,
                user_name,
                password,
            },
        ) => {
            assert!(client_id.unwrap() == "cid" && user_name.unwrap() == "u");
            assert!(password.unwrap() == "p");
        }
        ("provision-failure", Provisioned::Refused { not_found, message }) => {
            assert!(!not_found && message.unwrap() == "Failed to provision device!");
        }
        other => panic!("{other:?}"),
    }
}

fn check_calls(name: &str, topic: TopicName<'_>, payload: &[u8]) {
    match name {
        "rpc-request" => {
            let request = DEVICE.rpc_request((topic, payload)).unwrap().unwrap();
            assert!(request.id == 0 && request.method == "setGpio");
            assert_eq!(request.params.member("pin").unwrap().integer(), Some(4));
        }
        "rpc-request-short" => {
            assert_eq!(DEVICE.rpc_request((topic, payload)), Ok(None));
            let request = SHORT.rpc_request((topic, payload)).unwrap().unwrap();
            assert!(request.id == 12 && request.method == "reboot");
            assert!(request.params.string().unwrap() == "now");
        }
        "rpc-response-timeout" => {
            let response = DEVICE.rpc_response((topic, payload)).unwrap().unwrap();
            assert!(response.id == 2 && response.is_timeout());
        }
        "session-limits-response" => {
            let response = DEVICE.rpc_response((topic, payload)).unwrap().unwrap();
            let limits = response.session_limits().unwrap();
            assert_eq!(limits.max_payload_size, Some(65_536));
            assert_eq!(limits.max_inflight_messages, Some(100));
            assert_eq!(
                limits.rates.telemetry_messages,
                Some("100:1,3000:60,7000:3600")
            );
            assert_eq!(limits.gateway_rates, None);
            assert!(RateLimiter::new(&limits.rates).is_ok());
        }
        "bad-rpc-no-method" => {
            let problem = Problem::Member("method");
            let bad = BadPayload {
                id: Some(3),
                problem,
            };
            assert_eq!(DEVICE.rpc_request((topic, payload)), Err(bad));
        }
        "bad-rpc-id" => assert_eq!(DEVICE.rpc_request((topic, payload)), Ok(None)),
        "bad-attr-response-truncated" => {
            let bad = DEVICE.attribute_response((topic, payload)).unwrap_err();
            assert!(bad.id == Some(1) && matches!(bad.problem, Problem::Json(_)));
        }
        "bad-fw-size-string" => {
            let update = DEVICE.attribute_update((topic, payload)).unwrap().unwrap();
            let AttributeUpdate::Changed(changed) = update else {
                panic!("{name}")
            };
            let bad = Offer::read(Package::Firmware, changed).unwrap_err();
            assert_eq!(bad.problem, Problem::Member("fw_size"));
        }
        other => panic!("vector {other} is not checked"),
    }
}

/// What the update does with them is tested with it.
fn check_chunks(name: &str, topic: TopicName<'_>, payload: &[u8]) {
    let chunk = ChunkName::of(topic);
    let refusal = ChunkRefusal::of((topic, payload));
    match name {
        "fw-chunk-bad-index" => assert_eq!((chunk, refusal), (None, None)),
        "fw-error-notfound" => assert_eq!(refusal, Some(ChunkRefusal::NotFound)),
        "fw-error-too-large" => assert_eq!(refusal, Some(ChunkRefusal::PayloadTooLarge)),
        "sw-error-on-fw-topic" => assert_eq!(refusal, Some(ChunkRefusal::Failure)),
        _ => {
            let index = match name {
                "fw-chunk-0" | "fw-chunk-dup" => 0,
                "fw-chunk-empty-early" | "fw-chunk-wrong-size" => 1,
                "fw-chunk-2-last" => 2,
                other => panic!("vector {other} is not checked"),
            };
            let package = Package::Firmware;
            let request_id = 1;
            assert_eq!(
                chunk,
                Some(ChunkName {
                    package,
                    request_id,
                    index
                })
            );
        }
    }
}

#[test]
fn short_topics_mean_the_same() {
    let topics = |device: Device| {
        [
            sent(&device.telemetry(&json!({}))).topic,
            sent(&device.attributes(&json!({}))).topic,
            sent(&device.attribute_request(7, AttributeKeys::ALL)).topic,
            sent(&device.rpc_reply(7, &1)).topic,
            sent(&device.rpc(7, "m", &1)).topic,
            device.attribute_updates().filter.to_string(),
            device.attribute_responses().filter.to_string(),
            device.rpc_requests().filter.to_string(),
            device.rpc_responses().filter.to_string(),
        ]
    };
    let short = topics(SHORT);
    assert_eq!(
        short,
        [
            "v2/t",
            "v2/a",
            "v2/a/req/7",
            "v2/r/res/7",
            "v2/r/req/7",
            "v2/a",
            "v2/a/res/+",
            "v2/r/req/+",
            "v2/r/res/+"
        ]
    );
    assert_eq!(
        topics(SHORT_JSON),
        [
            "v2/t/j",
            "v2/a/j",
            "v2/a/req/j/7",
            "v2/r/res/j/7",
            "v2/r/req/j/7",
            "v2/a/j",
            "v2/a/res/j/+",
            "v2/r/req/j/+",
            "v2/r/res/j/+"
        ]
    );
    assert_eq!(topics(DEVICE)[0], "v1/devices/me/telemetry");
    // A spelling does not take the topics of another for its own.
    assert_eq!(
        SHORT.rpc_request((topic("v2/r/req/j/7"), &b"{\"method\":\"m\"}"[..])),
        Ok(None)
    );
    let request = SHORT_JSON.rpc_request((topic("v2/r/req/j/7"), &b"{\"method\":\"m\"}"[..]));
    assert_eq!(request.unwrap().unwrap().id, 7);
    // Updates come on the long topic even if the filter is another.
    assert!(
        SHORT
            .attribute_update((topic("v1/devices/me/attributes"), &b"{}"[..]))
            .unwrap()
            .is_some()
    );
}

#[test]
fn what_the_server_would_close_the_link_for_is_refused() {
    let invalid = EncodeError::InvalidValue;
    assert_eq!(refused(&DEVICE.telemetry(&json!([1]))), invalid);
    assert_eq!(refused(&DEVICE.telemetry(&json!("x"))), invalid);
    assert_eq!(
        refused(&DEVICE.telemetry(&json!({"a":{"ts":1},"b":[{"ts":1}],"ts":1}))),
        invalid
    );
    assert_eq!(refused(&DEVICE.telemetry_at(1, &json!(5))), invalid);
    assert_eq!(refused(&DEVICE.telemetry_batch::<Value>(&[])), invalid);
    assert_eq!(refused(&DEVICE.attributes(&json!(null))), invalid);
    assert_eq!(
        refused(&DEVICE.attribute_request(1, AttributeKeys::shared(&[]))),
        invalid
    );
    assert_eq!(
        refused(&DEVICE.attribute_request(1, AttributeKeys::client(&[""]))),
        invalid
    );
    assert_eq!(
        refused(&DEVICE.attribute_request(1, AttributeKeys::shared(&["a,b"]))),
        invalid
    );
    assert_eq!(refused(&DEVICE.rpc_reply(1 << 31, &1)), invalid);
    assert_eq!(refused(&gateway::connect("", None)), invalid);
    assert_eq!(refused(&gateway::telemetry::<Value>(&[])), invalid);
    assert_eq!(
        refused(&gateway::telemetry::<Value>(&[("A", &[])])),
        invalid
    );
    assert_eq!(refused(&gateway::attributes(&[("A", 5)])), invalid);
    assert_eq!(
        refused(&gateway::attribute_request(
            1,
            "A",
            gateway::Scope::Client,
            &[]
        )),
        invalid
    );
    let late = ChunkName {
        package: Package::Software,
        request_id: 1,
        index: 40_000,
    };
    assert_eq!(refused(&DEVICE.chunk_request(late, 65_000)), invalid);
    let long = json!({"a": "x".repeat(65_536 - 4 - 23 - 8)});
    assert_eq!(
        sent(&DEVICE.telemetry(&long)).payload.len(),
        65_536 - 4 - 23
    );
    let longer = json!({"a": "x".repeat(65_536 - 4 - 23 - 7)});
    assert_eq!(refused(&DEVICE.telemetry(&longer)), EncodeError::TooLong);
}

#[test]
fn a_member_ts_is_fine_where_the_server_does_not_look_for_a_time() {
    for values in [
        json!({"a":"\"ts\":"}),
        json!({"a":{"ts":1}}),
        json!({"tsx":1}),
        json!({"a\\":"b\\\",\"ts\":"}),
    ] {
        assert_eq!(meaning(&sent(&DEVICE.telemetry(&values)).payload), values);
    }
    let sample = sent(&DEVICE.telemetry_at(5, &json!({"ts":1})));
    assert_eq!(sample.payload, b"{\"ts\":5,\"values\":{\"ts\":1}}");
}

#[test]
fn a_payload_that_finds_no_room_says_so() {
    let values = json!({"temperature": 21});
    let full = sent(&DEVICE.telemetry_at(1_451_649_600_512, &values));
    for room in 0..full.payload.len() {
        let result = write(&DEVICE.telemetry_at(1_451_649_600_512, &values), room);
        assert_eq!(result, Err(EncodeError::NoRoom), "{room}");
    }
}

#[test]
fn attribute_keys_are_joined_and_escaped() {
    let keys = AttributeKeys::shared(&["a b", "q\"q", "c"]);
    let sent = sent(&DEVICE.attribute_request(3, keys));
    assert_eq!(sent.payload, br#"{"sharedKeys":"a b,q\"q,c"}"#);
    assert_eq!(
        self::sent(&DEVICE.attribute_request(3, AttributeKeys::ALL)).payload,
        b"{}"
    );
}

#[test]
fn a_single_key_of_a_gateway_is_asked_for_by_itself() {
    let request = gateway::attribute_request(9, "A", gateway::Scope::Client, &["x"]);
    assert_eq!(
        meaning(&sent(&request).payload),
        json!({"id":9,"device":"A","client":true,"key":"x"})
    );
    let nothing = gateway::attribute_response((
        topic("v1/gateway/attributes/response"),
        &br#"{"id":9,"device":"A"}"#[..],
    ));
    assert_eq!(
        nothing.unwrap().unwrap().content.found,
        gateway::Found::Nothing
    );
}

#[test]
fn a_gateway_tells_how_values_came_to_it() {
    let values = json!({"t":42});
    let sample = gateway::TracedSample {
        ts_ms: 1_483_228_800_000,
        values: &values,
        metadata: gateway::Metadata {
            connector: "modbus",
            received_ts_ms: 1_483_228_800_010,
            published_ts_ms: 1_483_228_800_250,
        },
    };
    assert_eq!(
        sent(&gateway::traced_telemetry(&[("A", &[sample, sample])])).payload,
        br#"{"A":[{"ts":1483228800000,"values":{"t":42},"metadata":{"connector":"modbus","receivedTs":1483228800010,"publishedTs":1483228800250}},{"ts":1483228800000,"values":{"t":42},"metadata":{"connector":"modbus","receivedTs":1483228800010,"publishedTs":1483228800250}}]}"#
    );
    let no_object = gateway::TracedSample {
        ts_ms: sample.ts_ms,
        values: &json!(42),
        metadata: sample.metadata,
    };
    let invalid = EncodeError::InvalidValue;
    assert_eq!(
        refused(&gateway::traced_telemetry(&[("A", &[no_object])])),
        invalid
    );
    assert_eq!(
        refused(&gateway::traced_telemetry::<Value>(&[("A", &[])])),
        invalid
    );
}

#[test]
fn notices_about_devices_come_as_calls_to_the_gateway() {
    let notice = |payload: &'static [u8]| {
        let request = DEVICE.rpc_request((topic("v1/devices/me/rpc/request/1"), payload));
        gateway::Notice::of(&request.unwrap().unwrap())
    };
    match notice(br#"{"method":"gateway_device_renamed","params":{"old":"new"}}"#) {
        Some(gateway::Notice::Renamed { from, to }) => assert!(from == "old" && to == "new"),
        other => panic!("{other:?}"),
    }
    match notice(br#"{"method":"gateway_device_deleted","params":"A"}"#) {
        Some(gateway::Notice::Deleted(name)) => assert!(name == "A"),
        other => panic!("{other:?}"),
    }
    assert_eq!(notice(br#"{"method":"other"}"#), None);
    let disconnected = gateway::disconnected((
        topic("v1/gateway/disconnect"),
        &br#"{"device":"A","reason":142}"#[..],
    ));
    assert_eq!(disconnected.unwrap().unwrap().content, Some(142));
}

#[test]
fn all_kinds_of_credentials_connect() {
    let options = |credentials: &Credentials<'static>| {
        let options = DEVICE.options(credentials);
        assert!(options.clean_session && options.always_resubscribe);
        assert_eq!(options.poison_after, 3);
        (options.client_id, options.user_name, options.password)
    };
    let basic = Credentials::basic(Some("id"), Some("user"), Some("secret")).unwrap();
    assert_eq!(options(&basic), ("id", Some("user"), Some(&b"secret"[..])));
    assert!(!format!("{basic:?}").contains("secret"));
    let id_only = Credentials::basic(Some("id"), None, None).unwrap();
    assert_eq!(options(&id_only), ("id", None, None));
    assert_eq!(options(&Credentials::x509()), ("", None, None));
    assert_eq!(Credentials::access_token(""), Err(CredentialsError::Empty));
    assert_eq!(
        Credentials::access_token("provision"),
        Err(CredentialsError::Reserved)
    );
    assert_eq!(
        Credentials::basic(Some("provision"), Some("x"), None),
        Err(CredentialsError::Reserved)
    );
    let lonely = Credentials::basic(Some("id"), None, Some("secret"));
    assert_eq!(lonely, Err(CredentialsError::PasswordWithoutUserName));
}

#[test]
fn all_kinds_of_provisioning_send_only_their_members() {
    let request = |wanted| {
        let request = Provisioning::new("k", "s", wanted).unwrap().request();
        let sent = sent(&request);
        assert_eq!(sent.topic, "/provision/request");
        let Value::Object(mut members) = meaning(&sent.payload) else {
            panic!("not an object")
        };
        assert_eq!(members.remove("provisionDeviceKey"), Some(json!("k")));
        assert_eq!(members.remove("provisionDeviceSecret"), Some(json!("s")));
        Value::Object(members)
    };
    assert_eq!(request(Wanted::Server), json!({}));
    assert_eq!(
        request(Wanted::AccessToken("t")),
        json!({"credentialsType":"ACCESS_TOKEN","token":"t"})
    );
    let basic = Wanted::Basic {
        client_id: Some("c"),
        user_name: None,
        password: Some("p"),
    };
    assert_eq!(
        request(basic),
        json!({"credentialsType":"MQTT_BASIC","clientId":"c","password":"p"})
    );
    let x509 = Wanted::X509 { certificate: "MII" };
    assert_eq!(
        request(x509),
        json!({"credentialsType":"X509_CERTIFICATE","hash":"MII"})
    );
    assert_eq!(
        Provisioning::new("", "s", Wanted::Server).err(),
        Some(ProvisioningError::NoKey)
    );
    let empty = Wanted::AccessToken("");
    assert_eq!(
        Provisioning::new("k", "s", empty).err(),
        Some(ProvisioningError::NoCredentials)
    );
    let blank = Provisioning::new("k", "s", Wanted::Server)
        .unwrap()
        .device_name("  ");
    assert_eq!(blank.err(), Some(ProvisioningError::BlankName));
}

#[test]
fn a_request_ends_by_its_answer_or_its_time() {
    let now = Instant::from_millis(u32::MAX - 5);
    let mut requests = Requests::<&str, 2>::new();
    let first = requests.begin("first", 1_000, now).unwrap();
    let second = requests.begin("second", 500, now).unwrap();
    assert_eq!(requests.begin("third", 500, now), None);
    assert_eq!(requests.next_deadline(), Some(now.plus(500)));
    assert_eq!(requests.expired(now.plus(499)), None);
    assert_eq!(requests.expired(now.plus(500)), Some((second, "second")));
    assert_eq!(requests.end(second), None);
    assert_eq!(requests.end(first), Some("first"));
    assert_eq!(requests.end(first), None);
    let third = requests.begin("third", 500, now).unwrap();
    assert!(third != first && third != second);
}

#[test]
fn a_call_that_comes_again_is_known() {
    let request = |payload: &'static [u8]| {
        let topic = topic("v1/devices/me/rpc/request/0");
        DEVICE.rpc_request((topic, payload)).unwrap().unwrap()
    };
    let mut seen = SeenRequests::<2>::new();
    let first = request(b"{\"method\":\"a\"}");
    let other = request(b"{\"method\":\"a\",\"params\":1}");
    assert_eq!(seen.note(&first), Seen::New);
    assert_eq!(seen.note(&first), Seen::Running);
    seen.answered(0);
    assert_eq!(seen.note(&first), Seen::Answered);
    // The server has restarted and counts from 0 again.
    assert_eq!(seen.note(&other), Seen::New);
    assert_eq!(seen.note(&first), Seen::Answered);
    seen.answered(0);
    assert_eq!(seen.note(&other), Seen::Answered);
    // The oldest is forgotten.
    assert_eq!(seen.note(&request(b"{\"method\":\"b\"}")), Seen::New);
    assert_eq!(seen.note(&first), Seen::New);
}

/// The server's bucket: full at first, refilled evenly.
struct Bucket {
    tokens: f64,
    capacity: f64,
    per_ms: f64,
    last: u64,
}

impl Bucket {
    fn new(count: f64, seconds: f64) -> Self {
        Self {
            tokens: count,
            capacity: count,
            per_ms: count / (seconds * 1_000.0),
            last: 0,
        }
    }

    fn take(&mut self, count: f64, now: u64) -> bool {
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let refill = (now - self.last) as f64 * self.per_ms;
        self.tokens = (self.tokens + refill).min(self.capacity) - count;
        self.last = now;
        self.tokens >= 0.0
    }
}

#[test]
fn the_limiter_stays_below_the_rates_and_uses_most_of_them() {
    let rates = Rates {
        messages: Some("200:1,6000:60"),
        telemetry_messages: Some("100:1,3000:60,7000:3600"),
        telemetry_data_points: Some("200:1,6000:60"),
    };
    let mut limiter = RateLimiter::new(&rates).unwrap();
    let mut buckets = [(200.0, 1.0), (6_000.0, 60.0)].map(|(c, s)| Bucket::new(c, s));
    let mut telemetry =
        [(100.0, 1.0), (3_000.0, 60.0), (7_000.0, 3_600.0)].map(|(c, s)| Bucket::new(c, s));
    let mut points = [(200.0, 1.0), (6_000.0, 60.0)].map(|(c, s)| Bucket::new(c, s));
    let mut messages = 0_u32;
    for now in 0..7_200_000_u64 {
        // The clock wraps on the way.
        let instant = Instant::from_millis(u32::try_from(now).unwrap().wrapping_sub(1_000_000));
        let data_points = u16::try_from(now % 3).unwrap() + 1;
        if limiter
            .try_send(Traffic::Telemetry { data_points }, instant)
            .is_ok()
        {
            messages += 1;
            assert!(
                buckets.iter_mut().all(|bucket| bucket.take(1.0, now)),
                "{now}"
            );
            assert!(
                telemetry.iter_mut().all(|bucket| bucket.take(1.0, now)),
                "{now}"
            );
            assert!(
                points
                    .iter_mut()
                    .all(|bucket| bucket.take(f64::from(data_points), now)),
                "{now}"
            );
        }
    }
    // 80 % of 7,000 an hour for two hours, after a full bucket of as many.
    assert!((16_500..=16_900).contains(&messages), "{messages}");
}

#[test]
fn a_limiter_without_limits_lets_everything_pass() {
    let mut limiter = RateLimiter::new(&Rates::default()).unwrap();
    let now = Instant::from_millis(0);
    for _ in 0..1_000 {
        assert_eq!(
            limiter.try_send(Traffic::Telemetry { data_points: 9 }, now),
            Ok(())
        );
    }
    for bad in [
        "5",
        "5:",
        ":5",
        "0:5",
        "5:0",
        "a:b",
        "5:1,",
        "1:1,1:1,1:1,1:1,1:1",
    ] {
        let rates = Rates {
            messages: Some(bad),
            ..Rates::default()
        };
        assert!(RateLimiter::new(&rates).is_err(), "{bad}");
    }
}

#[test]
fn a_message_larger_than_a_rate_waits_for_an_empty_window() {
    let rates = Rates {
        telemetry_data_points: Some("10:1"),
        ..Rates::default()
    };
    let mut limiter = RateLimiter::new(&rates).unwrap();
    let now = Instant::from_millis(0);
    let large = Traffic::Telemetry { data_points: 50 };
    assert_eq!(limiter.try_send(large, now), Ok(()));
    let wait = limiter.try_send(large, now).unwrap_err();
    assert_eq!(limiter.try_send(large, wait), Ok(()));
}

/// Topics that the server uses, and some that it does not.
fn any_topic() -> impl Strategy<Value = String> {
    let known = [
        "v1/devices/me/attributes",
        "v1/devices/me/attributes/response/1",
        "v1/devices/me/rpc/request/1",
        "v1/devices/me/rpc/response/1",
        "v2/r/req/j/99999999999",
        "v2/fw/response/1/chunk/2",
        "v2/sw/response//chunk/",
        "v2/fw/error",
        "/provision/response",
        "v1/gateway/attributes",
        "v1/gateway/attributes/response",
        "v1/gateway/rpc",
        "v1/gateway/disconnect",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        "v[12]/[a-z/0-9]{1,30}",
    ]
}

/// Bytes, texts that look like JSON, and vectors with a byte changed.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = vectors()
        .iter()
        .filter_map(|vector| {
            vector["payload"]
                .as_str()
                .map(|text| text.as_bytes().to_vec())
        })
        .filter(|payload| !payload.is_empty())
        .collect();
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}".prop_map(String::into_bytes),
        (
            prop::sample::select(known),
            any::<prop::sample::Index>(),
            any::<u8>()
        )
            .prop_map(|(mut payload, at, byte)| {
                let at = at.index(payload.len());
                payload[at] = byte;
                payload
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_payload_panics_a_reader(name in any_topic(), payload in any_payload()) {
        let topic = topic(&name);
        for device in [DEVICE, SHORT, SHORT_JSON] {
            if let Ok(Some(AttributeUpdate::Changed(changed))) = device.attribute_update((topic, &payload[..])) {
                let _ = Offer::read(Package::Firmware, changed);
            }
            if let Ok(Some(response)) = device.attribute_response((topic, &payload[..])) {
                let _ = response.shared.map(|shared| Offer::read(Package::Software, shared));
            }
            if let Ok(Some(request)) = device.rpc_request((topic, &payload[..])) {
                let _ = (gateway::Notice::of(&request), request.method.chars().count());
            }
            if let Ok(Some(response)) = device.rpc_response((topic, &payload[..]))
                && let Ok(limits) = response.session_limits()
                && let Ok(mut limiter) = RateLimiter::new(&limits.rates)
            {
                let _ = limiter.try_send(Traffic::Telemetry { data_points: 9 }, Instant::from_millis(7));
            }
        }
        let _ = gateway::attribute_update((topic, &payload[..]));
        let _ = gateway::attribute_response((topic, &payload[..]));
        let _ = gateway::rpc_request((topic, &payload[..]));
        let _ = gateway::disconnected((topic, &payload[..]));
        let _ = provisioning::response((topic, &payload[..]));
        let _ = ChunkName::of(topic);
        let _ = ChunkRefusal::of((topic, &payload[..]));
    }

    #[test]
    fn json_is_judged_as_another_parser_does(payload in any_payload()) {
        let ours = mqtt_core::platform::json::RawJson::parse(&payload);
        let theirs = serde_json::from_slice::<Value>(&payload);
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => {
                let again: Value = serde_json::from_slice(ours.as_bytes()).unwrap();
                prop_assert_eq!(&again, theirs);
                if let (Some(members), Value::Object(object)) = (ours.members(), theirs) {
                    let names: BTreeMap<String, Value> = members
                        .map(|(name, value)| {
                            (name.chars().collect(), serde_json::from_slice(value.as_bytes()).unwrap())
                        })
                        .collect();
                    prop_assert_eq!(names.len(), object.len());
                    for (name, value) in object {
                        prop_assert_eq!(names.get(name), Some(value));
                    }
                }
            }
            (Err(_), Err(_)) => {}
            // The other parser refuses lone surrogates and numbers that no double holds.
            (Ok(_), Err(error)) => prop_assert!(
                error.to_string().contains("surrogate")
                    || error.to_string().contains("number out of range")
                    || error.to_string().contains("unexpected end of hex escape"),
                "{error}"
            ),
            (Err(error), Ok(_)) => prop_assert!(false, "{error}"),
        }
    }
}
