//! What the search begins with: the vectors, behind the bytes by which a target is told what to do with them. The targets
//! say what these bytes mean.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::workspace::root;

const GOOD: &str = "tests/vectors/good-packets.json";
const BAD: &str = "tests/vectors/bad-packets.json";
const PLATFORMS: [&str; 5] = [
    "mqtt-core/tests/platform/vectors/ibm-watson-iot.json",
    "mqtt-core/tests/platform/vectors/losant.json",
    "mqtt-core/tests/platform/vectors/placeos.json",
    "mqtt-core/tests/platform/vectors/plain-mqtt.json",
    "mqtt-core/tests/platform/vectors/thingsboard.json",
];

const URLS: [&str; 4] = [
    "mqtt://broker.example",
    "mqtts://user:pass%20word@broker.example:8883/my-device",
    "ws://[2001:db8::7]:8080/mqtt?token=1",
    "wss://10.0.0.1/a/../b#c",
];

/// What the messages of the platforms do not have.
const JSON: [&str; 4] = [
    r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00""#,
    r"[-0, 0.5e-3, 1E39, 1e309, 9223372036854775807, 18446744073709551616]",
    r#"{"name":"n","count":1,"small":-8,"large":18446744073709551615,"level":2,"on":true,"letter":"\u00e9","pair":[1,true]}"#,
    r#"{"name":"","list":[-1,2],"mode":{"Between":[1,2]},"inner":{"name":"x","mode":"Off"},"map":{"a\n":1},"more":[{}]}"#,
];

const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// A packet.
#[derive(Deserialize)]
struct Packet {
    version: String,
    direction: String,
    hex: String,
    /// When it comes; connected, if nothing is said.
    state: Option<String>,
}

/// A message of a platform; some vectors are of other packets, and have several topics or no payload.
#[derive(Deserialize)]
struct Message {
    topic: Value,
    #[serde(default)]
    payload: Value,
}

/// Writes the seeds of `target` into `directory`; those of targets that take operations are found by the search.
pub(super) fn write(target: &str, directory: &Path) -> Result<()> {
    let seeds = match target {
        "session" => session()?,
        "codec" => [packets(&[0, 2])?, filters()?].concat(),
        "differential" => packets(&[0])?,
        "json" => {
            let mut seeds = texts(|message| Some(message.payload.as_str()?.to_owned()))?;
            seeds.extend(JSON.map(|text| text.as_bytes().to_vec()));
            seeds
        }
        "platforms" => texts(|message| {
            let (topic, payload) = (message.topic.as_str()?, message.payload.as_str()?);
            Some(format!("{topic}\0{payload}"))
        })?,
        "websocket" => web_socket()?,
        "url" => URLS
            .iter()
            .map(|url| [b"\0", url.as_bytes()].concat())
            .collect(),
        _ => Vec::new(),
    };
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(directory.join(number.to_string()), seed)?;
    }
    Ok(())
}

/// Every packet in every version that it is for.
fn session() -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for packet in all_packets()? {
        if packet.direction == "client->server" {
            continue;
        }
        let state = match packet.state.as_deref().unwrap_or("connected") {
            "before-connack" => 1,
            "auth-pending" => 1 | 0x20,
            "publish-qos1-pending" => 3,
            "publish-qos2-pending" => 4,
            state if state.contains("subscribe-pending") => 5,
            _ => 2,
        };
        for version in versions(&packet.version) {
            seeds.push([&[version | state << 1, 0], &bytes(&packet.hex)?[..]].concat());
        }
    }
    Ok(seeds)
}

/// Every packet behind each of the choices, to which the version is added.
fn packets(choices: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for packet in all_packets()? {
        for version in versions(&packet.version) {
            for choice in choices {
                seeds.push([&[choice | version], &bytes(&packet.hex)?[..]].concat());
            }
        }
    }
    Ok(seeds)
}

/// Topics as filters of the same topic.
fn filters() -> Result<Vec<Vec<u8>>> {
    texts(|message| {
        let topic = message.topic.as_str()?;
        Some(format!("\x04{topic}\0{topic}"))
    })
}

fn web_socket() -> Result<Vec<Vec<u8>>> {
    let mut seeds = vec![[&[0, 0, 63], UPGRADE.as_bytes()].concat()];
    for packet in all_packets()? {
        let bytes = bytes(&packet.hex)?;
        if let Ok(len @ 0..126) = u8::try_from(bytes.len()) {
            seeds.push([&[1, 3, 63, 0x82, len], &bytes[..]].concat());
        }
    }
    Ok(seeds)
}

fn texts(text: impl Fn(&Message) -> Option<String>) -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for file in PLATFORMS {
        let messages: Vec<Message> = load(file)?;
        seeds.extend(messages.iter().filter_map(&text).map(String::into_bytes));
    }
    Ok(seeds)
}

fn all_packets() -> Result<Vec<Packet>> {
    let (good, bad): (Vec<_>, Vec<_>) = (load(GOOD)?, load(BAD)?);
    Ok(good.into_iter().chain(bad).collect())
}

/// 0 for 3.1.1, 1 for MQTT 5.
fn versions(version: &str) -> Vec<u8> {
    match version {
        "3.1.1" => vec![0],
        "5.0" => vec![1],
        _ => vec![0, 1],
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

fn load<T: DeserializeOwned>(file: &str) -> Result<T> {
    let text = fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
    serde_json::from_str(&text).with_context(|| file.to_owned())
}
