//! What is reported: the readings as attributes, which are to be declared at Losant under these names.

use examples::monitor::report::Reading;
use serde::Serialize;

/// The readings at one moment. What this machine does not have is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Attributes {
    load: f32,
    memory_percent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_percent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    uptime_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_bytes: Option<u64>,
}

/// The answer to a command: Losant has no other way for one than state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Answer<'a> {
    /// The command that was obeyed, or why it was not.
    pub(crate) last_command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<&'a str>,
}

impl From<&Reading> for Attributes {
    fn from(reading: &Reading) -> Self {
        let [load, ..] = reading.load;
        Self {
            load,
            memory_percent: reading.memory.used_percent(),
            disk_percent: reading.disk.map(|disk| disk.used_percent()),
            temperature: reading.temperature_c,
            uptime_s: reading.uptime_s,
            received_bytes: reading.network.map(|network| network.received),
            sent_bytes: reading.network.map(|network| network.sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use examples::monitor::report::Space;

    use super::*;

    #[test]
    fn what_the_machine_lacks_is_left_out() {
        let reading = Reading {
            load: [0.5, 0.3, 0.2],
            memory: Space {
                total: 1000,
                available: 870,
            },
            disk: None,
            temperature_c: None,
            uptime_s: 7,
            network: None,
        };
        let json = serde_json::to_value(Attributes::from(&reading)).unwrap();
        let expected = serde_json::json!({"load": 0.5, "memory_percent": 13, "uptime_s": 7});
        assert_eq!(json, expected);
    }
}
