//! What the device publishes about itself.

use std::fmt;

use serde::Serialize;

use crate::terminal::seconds_since_1970;

/// All readings at one moment. What this machine does not have is `None` and left out of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// Runnable processes, averaged over 1, 5 and 15 minutes.
    pub load: [f32; 3],
    /// The memory of the machine.
    pub memory: Space,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Space>,
    /// The hottest sensor, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f32>,
    /// Seconds since the machine started.
    pub uptime_s: u64,
    /// What went over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// Bytes there are and bytes that can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Space {
    /// All of them.
    pub total: u64,
    /// Those that can still be used.
    pub available: u64,
}

/// Bytes since the machine started, over all interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// One report as it goes out.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Counts the reports of this run, from 1.
    pub sequence: u32,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub time: u64,
    /// What was read.
    pub reading: Reading,
}

/// A reading as flat values, as platforms want them. What this machine does not have is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Values {
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

impl Values {
    /// How many there are at most.
    pub const COUNT: u16 = 7;
}

impl From<&Reading> for Values {
    fn from(reading: &Reading) -> Self {
        let [load, ..] = reading.load;
        Self {
            load,
            memory_percent: reading.memory.used_percent(),
            disk_percent: reading.disk.map(Space::used_percent),
            temperature: reading.temperature_c,
            uptime_s: reading.uptime_s,
            received_bytes: reading.network.map(|network| network.received),
            sent_bytes: reading.network.map(|network| network.sent),
        }
    }
}

/// Who the device is, the answer to `identify`.
#[derive(Debug, Clone, Serialize)]
pub struct Identity<'a> {
    /// The name of the machine.
    pub host: &'a str,
    /// Its operating system.
    pub system: &'a str,
    /// Name and version of the program.
    pub program: &'static str,
    /// The number of its process.
    pub process: u32,
}

impl Report {
    /// The report of `reading`, stamped with the time of this machine.
    #[must_use]
    pub fn new(sequence: u32, reading: Reading) -> Self {
        Self {
            sequence,
            time: seconds_since_1970(),
            reading,
        }
    }
}

impl Space {
    /// How much of it is used, in percent.
    #[must_use]
    pub fn used_percent(self) -> u64 {
        let used = self.total.saturating_sub(self.available);
        used.saturating_mul(100)
            .checked_div(self.total)
            .unwrap_or(0)
    }
}

/// The report in a few words, for one line of the screen.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reading {
            load,
            memory,
            disk,
            temperature_c,
            ..
        } = &self.reading;
        write!(
            f,
            "#{:<4} load {:.2}  memory {} %",
            self.sequence,
            load[0],
            memory.used_percent()
        )?;
        if let Some(disk) = disk {
            write!(f, "  disk {} %", disk.used_percent())?;
        }
        if let Some(celsius) = temperature_c {
            write!(f, "  {celsius:.1} °C")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        Reading {
            load: [0.42, 0.3, 0.21],
            memory: Space {
                total: 1000,
                available: 870,
            },
            disk: None,
            temperature_c: Some(48.5),
            uptime_s: 93_784,
            network: None,
        }
    }

    #[test]
    fn report_names_what_there_is_and_leaves_out_the_rest() {
        let json = serde_json::to_value(Report {
            sequence: 7,
            time: 1,
            reading: reading(),
        })
        .unwrap();
        assert_eq!(json["sequence"], 7);
        assert_eq!(json["reading"]["memory"]["available"], 870);
        assert_eq!(json["reading"]["temperature_c"], 48.5);
        assert_eq!(json["reading"].get("disk"), None);
    }

    #[test]
    fn flat_values_leave_out_what_the_machine_lacks() {
        let json = serde_json::to_value(Values::from(&reading())).unwrap();
        assert_eq!(json["memory_percent"], 13);
        assert_eq!(json["temperature"], 48.5);
        assert_eq!(json.get("disk_percent"), None);
        assert_eq!(json.get("sent_bytes"), None);
    }

    #[test]
    fn line_for_the_screen_is_short() {
        let report = Report {
            sequence: 7,
            time: 1,
            reading: reading(),
        };
        assert_eq!(report.to_string(), "#7    load 0.42  memory 13 %  48.5 °C");
    }

    #[test]
    fn empty_file_system_is_not_a_division_by_zero() {
        assert_eq!(
            Space {
                total: 0,
                available: 0
            }
            .used_percent(),
            0
        );
    }
}
