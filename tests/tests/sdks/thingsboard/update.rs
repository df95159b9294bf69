//! Updates of firmware.

use mqtt_core::codec::{Publish, TopicName};
use mqtt_core::platform::thingsboard::Credentials;
use mqtt_core::platform::thingsboard::update::{
    Action, Chunk, Package, Update, UpdateError, UpdateOptions, UpdatePhase,
};
use mqtt_core::platform::update::{Algorithm, AnyChecksum, Checksum as _};
use mqtt_tests::hex;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use super::{DEVICE, TOKEN, answer_limits, options};
use crate::compare::{ABSENT, Comparison, Difference};
use crate::ours::{NOW, Ours, Received};
use crate::sdk::Sdk;

const LIMITS: &str = r#"{"rateLimits":{"messages":"1000:1"}}"#;
const CHUNK: u32 = 512;
const TITLE: &str = "thermometer";
const VERSION: &str = "2.0";

const DIFFERENCES: &[Difference] = &[
    Difference {
        action: "update",
        at: "/understood/0/subscribe/v2~1fw~1response~1+",
        sdk: "0",
        ours: ABSENT,
        reason: "the server refuses this filter",
    },
    Difference {
        action: "update",
        at: "/understood/0/subscribe/*",
        sdk: ABSENT,
        ours: "1",
        reason: "chunks and refusals, by the filters that the server grants",
    },
    Difference {
        action: "update",
        at: "/understood/1/report/state",
        sdk: r#""IDLE""#,
        ours: "null",
        reason: "the server knows no such state: the start only says what is installed",
    },
    Difference {
        action: "update",
        at: "/understood/2/ask",
        sdk: r#""fw_checksum,fw_checksum_algorithm,fw_size,fw_title,fw_version""#,
        ours: r#""fw_title,fw_version,fw_tag,fw_size,fw_checksum_algorithm,fw_checksum,fw_url""#,
        reason: "an image at a URL is told from one in chunks, and the tag is shown to the application",
    },
    Difference {
        action: "update",
        at: "/understood/*/qos",
        sdk: "1",
        ours: "0",
        reason: "requests have their own time-out; one that the server refuses would be sent again on every link",
    },
];

/// The names by which the server calls them.
const ALGORITHMS: [(&str, Algorithm); 7] = [
    ("MD5", Algorithm::Md5),
    ("SHA256", Algorithm::Sha256),
    ("SHA384", Algorithm::Sha384),
    ("SHA512", Algorithm::Sha512),
    ("CRC32", Algorithm::Crc32),
    ("MURMUR3_32", Algorithm::Murmur3x32),
    ("MURMUR3_128", Algorithm::Murmur3x128),
];

#[test]
fn checksums_are_those_of_the_sdk() {
    let mut sdk = Sdk::start("thingsboard");
    let mut verifies = |image: &[u8], name: &str, checksum: &str| {
        sdk.begins(json!([
            "verify_checksum",
            hex::encode(image),
            name,
            checksum
        ]));
        sdk.done()
    };
    for (name, algorithm) in ALGORITHMS {
        for image in [&image()[..], b"", b"1", b"fifteen letters"] {
            // The SDK leaves out zeros in front of a number, and then refuses what the server says. That is its mistake.
            let checksum = checksum(image, algorithm);
            if checksum.ends_with("00") {
                continue;
            }
            assert_eq!(
                verifies(image, name, &checksum),
                true,
                "{name} of {image:?}"
            );
        }
        assert_eq!(verifies(b"1", name, &checksum(b"2", algorithm)), false);
    }
}

#[test]
fn a_checksum_keeps_its_zeros_where_the_sdk_drops_them() {
    let mut sdk = Sdk::start("thingsboard");
    for (name, algorithm) in [
        ("CRC32", Algorithm::Crc32),
        ("MURMUR3_32", Algorithm::Murmur3x32),
    ] {
        let image = (0_u32..).map(u32::to_be_bytes);
        let mut image = image.filter(|image| checksum(image, algorithm).ends_with("00"));
        let image = image.next().expect("one of 256");
        let checksum = checksum(&image, algorithm);
        assert_eq!(
            checksum.len(),
            8,
            "what the server sends has all its digits"
        );
        sdk.begins(json!([
            "verify_checksum",
            hex::encode(&image),
            name,
            checksum
        ]));
        assert_eq!(sdk.done(), false);
    }
}

#[test]
fn an_update_goes_as_with_the_sdk() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let checksum = checksum(&image(), Algorithm::Sha256);
    let (mut sdk, sdk_steps) = sdk_update(&checksum, "UPDATED");
    let delivered = json!(["firmware", {"version": VERSION, "image": hex::encode(&image())}]);
    assert_eq!(sdk.next_delivered(), delivered);
    let our_steps = our_update(&checksum, UpdatePhase::Installed);
    comparison.understood("update", &sdk_steps.into(), &our_steps.into());
    comparison.finish();
}

/// After that the SDK begins anew, again and again; we wait for another package.
#[test]
fn a_wrong_checksum_ends_an_update_as_with_the_sdk() {
    let mut comparison = Comparison::new(DIFFERENCES);
    let checksum = checksum(b"another image", Algorithm::Sha256);
    let (_, sdk_steps) = sdk_update(&checksum, "FAILED");
    let our_steps = our_update(&checksum, UpdatePhase::Failed(UpdateError::Checksum));
    comparison.understood("update", &sdk_steps.into(), &our_steps.into());
    comparison.finish();
}

fn sdk_update(checksum: &str, end: &str) -> (Sdk, Vec<Value>) {
    let mut sdk = Sdk::start("thingsboard");
    let action = json!(["connect", "device", TOKEN, null, "", CHUNK]);
    let mut offer = Some(offer(checksum));
    sdk.connects(action, move |publish| {
        [
            answer_limits(publish, LIMITS),
            answer_update(publish, &mut offer),
        ]
        .concat()
    });
    let mut records = sdk.sends(json!(["get_firmware_update"]));
    let is_end = |record: &Value| step(record)["report"]["state"] == end;
    if !records.iter().any(is_end) {
        sdk.recorder().until(|records| records.iter().any(is_end));
        records.extend(sdk.recorder().take_records());
    }
    let end = records.iter().position(is_end).expect("it is there");
    (sdk, steps(&records[..=end]))
}

fn our_update(checksum: &str, end: UpdatePhase) -> Vec<Value> {
    let credentials = Credentials::access_token(TOKEN).expect("a token");
    let subscriptions = [DEVICE.chunks(Package::Firmware), DEVICE.chunk_refusals()];
    let options = options(&credentials).subscriptions(&subscriptions);
    let (mut ours, mut records) = Ours::connect(&options);
    let mut offer = Some(offer(checksum));
    ours.recorder
        .answers(move |publish| answer_update(publish, &mut offer));
    let mut options = UpdateOptions::new(Package::Firmware, "Initial", "v0");
    options.chunk_len = CHUNK;
    let mut update = Update::<AnyChecksum>::new(DEVICE, options, 2048, 1, &[]);
    let mut store = vec![0; 2048];
    update.connected();
    while update.phase() != end {
        let action = update.next(NOW);
        match &action {
            Action::Publish(message) => records.extend(ours.sends(&[message])),
            Action::Read { offset, len } => {
                let start = *offset as usize;
                update.check(&store[start..start + *len as usize]);
            }
            Action::Wait(_) => receives(&mut update, &ours.next_message(), &mut store),
            _ => {}
        }
        update.done(&action, NOW);
    }
    assert_eq!(store[..image().len()], image());
    update.installed(TITLE, VERSION);
    while let Action::Publish(message) = update.next(NOW) {
        records.extend(ours.sends(&[&message]));
        update.done(&Action::Publish(message), NOW);
    }
    // The first is CONNECT.
    steps(&records[1..])
}

fn receives(update: &mut Update<'_>, received: &Received, store: &mut [u8]) {
    let response = DEVICE.attribute_response(received).unwrap_or(None);
    if let Some(response) = response {
        assert!(update.attribute_response(&response), "our request");
        return;
    }
    let topic = TopicName::new(&received.topic).expect("a topic name");
    let len = u32::try_from(received.payload.len()).expect("a short chunk");
    assert_eq!(update.begin_chunk(topic, len, NOW), Chunk::Wanted);
    let (offset, bytes) = update.piece(&received.payload);
    let offset = offset as usize;
    store[offset..offset + bytes.len()].copy_from_slice(bytes);
    update.end_chunk();
}

/// What the server says to what an update asks. It makes the offer once.
fn answer_update(publish: &Publish<'_>, offer: &mut Option<Value>) -> Vec<Downlink> {
    let topic = publish.topic.as_str();
    let answer = |topic: String, payload: Vec<u8>| vec![Downlink::new(topic, payload)];
    if let Some(id) = topic.strip_prefix("v1/devices/me/attributes/request/") {
        let topic = format!("v1/devices/me/attributes/response/{id}");
        let answers = offer
            .take()
            .map(|offer| json!({"shared": offer}).to_string());
        return answers.map_or(Vec::new(), |payload| answer(topic, payload.into()));
    }
    let Some(rest) = topic.strip_prefix("v2/fw/request/") else {
        return Vec::new();
    };
    let (_, index) = rest.split_once("/chunk/").expect("a chunk");
    let index: usize = index.parse().expect("a number");
    let chunks = image();
    let chunk = chunks.chunks(CHUNK as usize).nth(index).expect("a chunk");
    answer(format!("v2/fw/response/{rest}"), chunk.to_vec())
}

fn offer(checksum: &str) -> Value {
    json!({
        "fw_title": TITLE, "fw_version": VERSION, "fw_size": image().len(),
        "fw_checksum_algorithm": "SHA256", "fw_checksum": checksum,
    })
}

/// An image of three chunks.
fn image() -> Vec<u8> {
    let bytes = (0..=u8::MAX).cycle().take(5 * 256);
    bytes.chain([0xaa; 20]).collect()
}

fn checksum(image: &[u8], algorithm: Algorithm) -> String {
    let mut checksum = AnyChecksum::begin(algorithm).expect("any algorithm");
    checksum.update(image);
    checksum.finish().to_string()
}

/// What matters in the messages of an update.
fn steps(records: &[Value]) -> Vec<Value> {
    records.iter().map(step).collect()
}

fn step(record: &Value) -> Value {
    let topic = record["topic"].as_str().unwrap_or_default();
    let (payload, qos) = (&record["payload"]["json"], &record["qos"]);
    if record["packet"] == "SUBSCRIBE" {
        return json!({"subscribe": record["filters"]});
    }
    if topic == "v1/devices/me/telemetry" {
        let values = payload.get(0).unwrap_or(payload);
        return json!({"report": report(values), "qos": qos});
    }
    if let Some(rest) = topic.strip_prefix("v2/fw/request/") {
        let (_, index) = rest.split_once("/chunk/").expect("a chunk");
        return json!({"chunk": index, "len": payload, "qos": qos});
    }
    json!({"ask": payload["sharedKeys"], "qos": qos})
}

/// The SDK says title and version of what is installed every time.
fn report(values: &Value) -> Value {
    let state = &values["fw_state"];
    let mut report = json!({"state": state});
    if state.is_null() || state == "IDLE" || state == "UPDATED" {
        report["title"] = values["current_fw_title"].clone();
        report["version"] = values["current_fw_version"].clone();
    }
    report
}
