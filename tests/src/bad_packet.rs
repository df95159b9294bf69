//! The entries of `vectors/bad-packets.json`.

use mqtt_core::codec::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::hex;

/// What a client must not accept, and how it shows that it did not.
#[derive(Clone, Debug, Deserialize)]
pub struct BadPacket {
    /// Unique name.
    pub name: String,
    version: String,
    hex: String,
    /// What has happened on the link before.
    pub state: State,
    expected: String,
    #[serde(default)]
    also_ok: Vec<String>,
    #[serde(default)]
    v5_reason_codes: Vec<String>,
    #[serde(default)]
    reply_ok: Vec<String>,
    /// The peer ends the stream right after the bytes.
    #[serde(default)]
    pub then_close: bool,
    patch: Option<Patch>,
    #[serde(default)]
    client_config: Map<String, Value>,
}

/// The state of the client when the bytes arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The bytes stand for CONNACK.
    BeforeConnack,
    /// CONNECT announced an authentication method, no CONNACK yet.
    AuthPending,
    /// Nothing is outstanding.
    Connected,
    /// SUBACK is awaited for one filter.
    #[serde(rename = "subscribe-pending-1")]
    SubscribePending1,
    /// SUBACK is awaited for two filters.
    #[serde(rename = "subscribe-pending-2")]
    SubscribePending2,
    /// UNSUBACK is awaited for one filter.
    #[serde(rename = "unsubscribe-pending-1")]
    UnsubscribePending1,
    /// UNSUBACK is awaited for two filters.
    #[serde(rename = "unsubscribe-pending-2")]
    UnsubscribePending2,
    /// PUBLISH at QoS 1 is unanswered.
    #[serde(rename = "publish-qos1-pending")]
    PublishQos1Pending,
    /// PUBLISH at QoS 2 is unanswered.
    #[serde(rename = "publish-qos2-pending")]
    PublishQos2Pending,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Patch {
    id_offset: usize,
}

impl BadPacket {
    /// Reads all entries of the file.
    #[must_use]
    pub fn all(json: &str) -> Vec<Self> {
        serde_json::from_str(json).expect("bad-packets.json as its README describes it")
    }

    /// The versions for which the bytes are bad.
    #[must_use]
    pub fn versions(&self) -> &'static [Version] {
        match self.version.as_str() {
            "3.1.1" => &[Version::V3_1_1],
            "5.0" => &[Version::V5],
            "both" => &[Version::V3_1_1, Version::V5],
            other => panic!("version {other:?}"),
        }
    }

    /// The bytes, with the identifier of the pending packet where the entry asks for it.
    #[must_use]
    pub fn bytes(&self, pending: Option<u16>) -> Vec<u8> {
        let mut bytes = hex::decode(&self.hex).expect("hexadecimal digits");
        if let Some(Patch { id_offset }) = self.patch {
            let identifier = pending.expect("a pending packet").to_be_bytes();
            bytes[id_offset..id_offset + 2].copy_from_slice(&identifier);
        }
        bytes
    }

    /// How many PUBLISH packets come before the last, offending packet.
    #[must_use]
    pub fn good_messages(&self) -> usize {
        let mut bytes = &self.bytes(Some(1))[..];
        let mut count = 0;
        // All packets before an offending one have a length of one byte.
        while let [first, len @ 0..0x80, rest @ ..] = bytes
            && let Some(rest) = rest.get(usize::from(*len)..)
            && !rest.is_empty()
        {
            count += usize::from(first >> 4 == 3);
            bytes = rest;
        }
        count
    }

    /// What CONNECT announces, in the words of the probe.
    #[must_use]
    pub fn connect_options(&self) -> Map<String, Value> {
        let mut options = self.client_config.clone();
        options.remove("manual_ack");
        options
    }

    /// The client withholds its acknowledgements.
    #[must_use]
    pub fn manual_ack(&self) -> bool {
        self.client_config.get("manual_ack") == Some(&Value::Bool(true))
    }

    /// The connection must stay up.
    #[must_use]
    pub fn must_stay(&self) -> bool {
        self.expected == "ignored" && self.also_ok.is_empty()
    }

    /// The outcome is the expected one, or counts as no failure.
    #[must_use]
    pub fn allows(&self, outcome: &str) -> bool {
        self.expected == outcome || self.also_ok.iter().any(|ok| ok.starts_with(outcome))
    }

    /// The client may close with this reason code in its DISCONNECT.
    #[must_use]
    pub fn allows_code(&self, code: u8) -> bool {
        matches!(code, 0x81 | 0x82) || self.v5_reason_codes.contains(&hex::encode(&[code]))
    }

    /// The client may answer with this packet and keep the connection.
    #[must_use]
    pub fn allows_reply(&self, packet: &str) -> bool {
        self.reply_ok.iter().any(|reply| reply == packet)
    }

    /// The client must answer: PUBREL asks for PUBCOMP in any case.
    #[must_use]
    pub fn needs_reply(&self) -> bool {
        self.must_stay() && !self.reply_ok.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::BadPacket;

    #[test]
    fn good_messages_are_those_in_front_of_the_last_packet() {
        let mut counts: Vec<_> = BadPacket::all(include_str!("../vectors/bad-packets.json"))
            .into_iter()
            .map(|entry| (entry.good_messages(), entry.name))
            .filter(|(count, _)| *count > 0)
            .collect();
        counts.sort();
        let counts: Vec<_> = counts.iter().map(|(n, name)| (*n, name.as_str())).collect();
        let expected = [
            (1, "good-then-bad-one-segment-311"),
            (1, "good-then-bad-one-segment-5"),
            (2, "publish-receive-maximum-exceeded"),
            (2, "publish-receive-maximum-exceeded-qos2"),
        ];
        assert_eq!(counts, expected);
    }
}
