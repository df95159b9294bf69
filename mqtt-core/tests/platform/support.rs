//! What the tests of the platform helpers share: vectors, and publications written out.

#![allow(dead_code, reason = "each test uses some of it")]

use mqtt_core::{
    Publication, QoS,
    codec::{EncodeError, FixedHeader, Packet, Publish, Version, Writer},
};
use serde_json::Value;

/// A publication as a client would send it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Written {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

pub(crate) fn write(publication: &impl Publication) -> Result<Written, EncodeError> {
    write_into(publication, 1024)
}

/// With a buffer of `room` bytes for the payload.
pub(crate) fn write_into(
    publication: &impl Publication,
    room: usize,
) -> Result<Written, EncodeError> {
    let mut topic = [0; 512];
    let mut writer = Writer::new(&mut topic);
    publication.write_topic(&mut writer)?;
    let topic_len = writer.len();
    let mut payload = vec![0; room];
    let mut writer = Writer::new(&mut payload);
    publication.write_payload(&mut writer)?;
    let payload_len = writer.len();
    payload.truncate(payload_len);
    if let Some(len) = publication.payload_len() {
        assert_eq!(len, payload_len);
    }
    Ok(Written {
        topic: String::from_utf8(topic[..topic_len].to_vec()).unwrap(),
        payload,
        qos: publication.qos(),
        retain: publication.retain(),
    })
}

impl Written {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.payload).unwrap()
    }
}

/// One golden packet.
pub(crate) struct Vector(Value);

pub(crate) fn vectors(json: &str) -> Vec<Vector> {
    let Value::Array(vectors) = serde_json::from_str(json).unwrap() else {
        panic!("a list of vectors")
    };
    vectors.into_iter().map(Vector).collect()
}

impl Vector {
    pub(crate) fn get(&self, key: &str) -> &Value {
        &self.0[key]
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    pub(crate) fn is_malformed(&self) -> bool {
        self.get("malformed") == true
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        match self.get("payload_hex").as_str() {
            Some(hex) => unhex(hex),
            None => self.text("payload").as_bytes().to_vec(),
        }
    }

    pub(crate) fn packet(&self) -> Option<Vec<u8>> {
        self.get("packet_hex").as_str().map(unhex)
    }

    /// The vector as a publication, to be compared with one of ours; its payload as JSON, whose meaning counts.
    pub(crate) fn assert_is(&self, written: &Written) {
        assert_eq!(self.text("topic"), written.topic, "{}", self.name());
        assert_eq!(
            self.get("qos"),
            u64::from(written.qos as u8),
            "{}",
            self.name()
        );
        assert_eq!(self.get("retain"), written.retain, "{}", self.name());
        let payload = self.payload();
        if payload.is_empty() {
            assert!(written.payload.is_empty(), "{}", self.name());
        } else {
            let expected: Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(expected, written.json(), "{}", self.name());
        }
        if let Some(packet) = self.packet() {
            let publish = publish_of(&packet);
            assert_eq!(publish.topic, written.topic.as_str());
            assert_eq!((publish.qos, publish.retain), (written.qos, written.retain));
        }
    }
}

pub(crate) fn packet_of(bytes: &[u8]) -> Packet<'_> {
    let (header, len) = FixedHeader::decode(bytes, Version::V3_1_1)
        .unwrap()
        .unwrap();
    Packet::decode(header, &bytes[len..], Version::V3_1_1).unwrap()
}

pub(crate) fn publish_of(bytes: &[u8]) -> Publish<'_> {
    match packet_of(bytes) {
        Packet::Publish(publish) => publish,
        other => panic!("{other:?} is no PUBLISH"),
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).unwrap())
        .collect()
}
