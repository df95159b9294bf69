//! A firmware update from a simulated ThingsBoard: a chunk is lost, one comes twice, the link is cut in mid-chunk, and the
//! device restarts with the new firmware.

use std::fs;

use mqtt_tests::hex;
use mqtt_tests::simulator::{Event, Simulator};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::numbers::Random;
use crate::stage::Stage;

const TELEMETRY: &str = "v1/devices/me/telemetry";
const ATTRIBUTES: &str = "v1/devices/me/attributes";

/// No whole number of words, chunks or blocks.
const SIZE: usize = 80_001;

/// Bytes that the server sends on the first link: far within the image, and not at the end of a chunk.
const CUT_AFTER: usize = 41_000;

/// A chunk that does not arrive at first.
const LOST: u32 = 3;

/// What the platform shows of an update that goes well, by its device's reports.
const STATES: [&str; 5] = [
    "DOWNLOADING",
    "DOWNLOADED",
    "VERIFIED",
    "UPDATING",
    "UPDATED",
];

pub(super) fn play(stage: &mut Stage<'_>) {
    let image = Random::new(stage.arguments.seed).bytes(SIZE);
    let file = stage.folder().join("image");
    fs::write(&file, &image).expect("written");
    let simulator = Simulator::start("thingsboard", "127.0.0.1:0").expect("a simulator");
    let order = |line: &str| simulator.command(line).expect("a known order");
    order(&format!(
        "fw thermometer thermostat 2.0 {} SHA256",
        file.display()
    ));
    order(r#"shared thermometer {"interval":3}"#);
    order(&format!("lose {LOST}"));
    order("duplicate 7");
    order(&format!("close-after-sent {CUT_AFTER}"));
    stage.boot_with(&[
        format!("port={}", simulator.address().port()),
        format!("size={SIZE}"),
        format!("sha256={}", hex::encode(&Sha256::digest(&image))),
    ]);
    let mut reports = Reports::default();
    reports.hear_until(stage, &simulator, "UPDATED");
    // The new firmware obeys, and then judges what it was started from.
    order("rpc thermometer restart");
    let reply = simulator.wait_for_publish("v1/devices/me/rpc/response/0");
    assert_eq!(reply.expect("an answer"), br#"{"done":true}"#);
    stage.firmware_ends();
    reports.are_of_one_update();
}

/// What the device has told.
#[derive(Default)]
struct Reports {
    states: Vec<String>,
    versions: Vec<String>,
    attributes: Vec<String>,
    connections: usize,
    lost_chunk_requests: usize,
    has_read: bool,
}

impl Reports {
    fn hear_until(&mut self, stage: &mut Stage<'_>, simulator: &Simulator, last: &str) {
        while self.states.last().is_none_or(|state| state != last) {
            assert!(!stage.firmware_has_ended(), "the firmware has ended");
            let event = simulator.wait_for(|event| {
                matches!(event, Event::Connected { .. } | Event::Published { .. })
            });
            match event.expect("something of the firmware") {
                Event::Published { topic, payload, .. } if topic == TELEMETRY => {
                    self.take(&serde_json::from_slice(&payload).expect("JSON"));
                }
                Event::Published { topic, payload, .. } if topic == ATTRIBUTES => {
                    self.attributes
                        .push(String::from_utf8(payload).expect("text"));
                }
                Event::Published { topic, .. } if topic.ends_with(&format!("/chunk/{LOST}")) => {
                    self.lost_chunk_requests += 1;
                }
                Event::Connected { .. } => self.connections += 1,
                _ => {}
            }
        }
    }

    fn take(&mut self, telemetry: &Value) {
        self.has_read |= telemetry.get("stack_used_bytes").is_some();
        let text = |key: &str| telemetry[key].as_str().map(str::to_owned);
        let version = text("current_fw_version").filter(|it| self.versions.last() != Some(it));
        self.versions.extend(version);
        // A report may come again after the lost link.
        let state = text("fw_state").filter(|it| self.states.last() != Some(it));
        self.states.extend(state);
    }

    fn are_of_one_update(&self) {
        assert_eq!(self.states, STATES);
        assert_eq!(self.versions, ["1.0", "2.0"]);
        let adopted = r#"{"firmware":"1.0","interval":3}"#;
        assert!(self.attributes.iter().any(|told| told == adopted));
        // At the start, after the cut, after the restart.
        assert_eq!(self.connections, 3);
        assert_eq!(self.lost_chunk_requests, 2);
        assert!(self.has_read, "no reading was published");
    }
}
