//! The commands.

use mqtt_tests::hex;
use serde::{Deserialize, Deserializer, de};

/// One line of input.
#[derive(Debug, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub(crate) enum Command {
    Connect(Box<Connect>),
    Subscribe { filters: Vec<Filter> },
    Unsubscribe { filters: Vec<String> },
    Publish(Publish),
    Hold,
    Release,
    Disconnect,
    Quit,
}

/// Everything absent is left to the client.
#[derive(Debug, Deserialize)]
pub(crate) struct Connect {
    pub(crate) version: Option<Version>,
    pub(crate) client_id: Option<String>,
    pub(crate) clean: Option<bool>,
    pub(crate) keep_alive_s: Option<u16>,
    pub(crate) username: Option<String>,
    pub(crate) password_hex: Option<Hex>,
    pub(crate) will: Option<Will>,
    pub(crate) rx_buffer: Option<usize>,
    pub(crate) tx_buffer: Option<usize>,
    pub(crate) oversize: Option<Oversize>,
    #[serde(default)]
    pub(crate) reconnect: bool,
    #[serde(default)]
    pub(crate) subscriptions: Vec<Filter>,
    pub(crate) session_expiry_s: Option<u32>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) topic_alias_maximum: Option<u16>,
    pub(crate) request_problem_information: Option<u8>,
    pub(crate) authentication_method: Option<String>,
    pub(crate) authentication_data_hex: Option<Hex>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) enum Version {
    #[default]
    #[serde(rename = "3.1.1")]
    V3_1_1,
    #[serde(rename = "5.0")]
    V5,
}

impl Version {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V3_1_1 => "3.1.1",
            Self::V5 => "5.0",
        }
    }

    pub(crate) const fn code(self) -> mqtt_std::Version {
        match self {
            Self::V3_1_1 => mqtt_std::Version::V3_1_1,
            Self::V5 => mqtt_std::Version::V5,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Oversize {
    Skip,
    Stream,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Will {
    pub(crate) topic: String,
    #[serde(default)]
    pub(crate) payload_hex: Hex,
    #[serde(default)]
    pub(crate) qos: QoS,
    #[serde(default)]
    pub(crate) retain: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    pub(crate) filter: String,
    #[serde(default)]
    pub(crate) qos: QoS,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Publish {
    pub(crate) tag: u64,
    pub(crate) topic: String,
    #[serde(default)]
    pub(crate) payload_hex: Hex,
    #[serde(default)]
    pub(crate) qos: QoS,
    #[serde(default)]
    pub(crate) retain: bool,
    #[serde(default)]
    pub(crate) properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Properties {
    pub(crate) content_type: Option<String>,
    pub(crate) payload_format: Option<u8>,
    pub(crate) message_expiry_s: Option<u32>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation_data: Option<Hex>,
    #[serde(default)]
    pub(crate) user: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u8")]
pub(crate) struct QoS(pub(crate) mqtt_std::QoS);

impl TryFrom<u8> for QoS {
    type Error = String;

    fn try_from(qos: u8) -> Result<Self, String> {
        let known = mqtt_std::QoS::from_u8(qos).map(Self);
        known.ok_or_else(|| format!("no such QoS: {qos}"))
    }
}

/// Bytes, in hexadecimal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map(Self);
        bytes.ok_or_else(|| de::Error::custom("not hexadecimal"))
    }
}
