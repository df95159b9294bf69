//! What others may tell the device on `…/command`: plain words or JSON.

use mqtt_core::{
    client::{Kind, Received},
    platform::json::RawJson,
};
use serde::Deserialize;

use crate::Settings;

/// One command. As JSON `{"command":"interval","seconds":2}`, as plain text `interval 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Command {
    /// Report this often from now on.
    Interval {
        /// Whole seconds, from 1 to [`Settings::MAX_INTERVAL_S`].
        seconds: u32,
    },
    /// Show yourself by the light and publish who you are on `…/identity`.
    Identify,
    /// Publish a report at once, the regular ones go on as before.
    ReportNow,
}

/// Why a message is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum CommandError {
    /// A retained command would be obeyed again after each connection.
    Retained,
    /// Longer than the receive buffer.
    TooLong,
    NotText,
    /// Neither of `interval`, `identify`, `report-now`, or with more or fewer words than it has.
    Unknown,
    /// Neither such a command in JSON.
    Json,
    /// Not a whole number from 1 to [`Settings::MAX_INTERVAL_S`].
    Interval,
}

/// A command as it may come in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonCommand<'a> {
    command: &'a str,
    seconds: Option<u32>,
}

impl Command {
    /// Reads a message on the command topic.
    pub(crate) fn read<K: Kind>(message: &Received<'_, K>) -> Result<Self, CommandError> {
        if message.retain() {
            return Err(CommandError::Retained);
        }
        if !message.is_whole() {
            return Err(CommandError::TooLong);
        }
        Self::parse(message.payload())
    }

    fn parse(payload: &[u8]) -> Result<Self, CommandError> {
        let text = core::str::from_utf8(payload)
            .map_err(|_| CommandError::NotText)?
            .trim();
        if text.starts_with('{') {
            Self::from_json(text)
        } else {
            Self::from_words(text)
        }
    }

    fn from_json(text: &str) -> Result<Self, CommandError> {
        let json = RawJson::parse(text.as_bytes()).and_then(RawJson::to::<JsonCommand<'_>>);
        let json = json.map_err(|_| CommandError::Json)?;
        match (json.command, json.seconds) {
            ("interval", Some(seconds)) => Self::interval(seconds),
            ("identify", None) => Ok(Self::Identify),
            ("report-now", None) => Ok(Self::ReportNow),
            _ => Err(CommandError::Json),
        }
    }

    fn from_words(text: &str) -> Result<Self, CommandError> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("interval"), Some(seconds), None) => {
                Self::interval(seconds.parse().map_err(|_| CommandError::Interval)?)
            }
            (Some("identify"), None, None) => Ok(Self::Identify),
            (Some("report-now"), None, None) => Ok(Self::ReportNow),
            _ => Err(CommandError::Unknown),
        }
    }

    fn interval(seconds: u32) -> Result<Self, CommandError> {
        if !(1..=Settings::MAX_INTERVAL_S).contains(&seconds) {
            return Err(CommandError::Interval);
        }
        Ok(Self::Interval { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_and_json_mean_the_same() {
        let cases: [(&str, &str, Command); 3] = [
            (
                "interval 2",
                r#"{"command":"interval","seconds":2}"#,
                Command::Interval { seconds: 2 },
            ),
            (
                " identify\n",
                r#"{"command":"identify"}"#,
                Command::Identify,
            ),
            (
                "report-now",
                r#" {"command": "report-now"} "#,
                Command::ReportNow,
            ),
        ];
        for (words, json, expected) in cases {
            assert_eq!(Command::parse(words.as_bytes()), Ok(expected), "{words}");
            assert_eq!(Command::parse(json.as_bytes()), Ok(expected), "{json}");
        }
    }

    #[test]
    fn intervals_out_of_range_are_refused() {
        for payload in [
            "interval 0",
            "interval -1",
            "interval 0.5",
            "interval 86401",
            "interval 4294967297",
            "interval soon",
            r#"{"command":"interval","seconds":0}"#,
        ] {
            assert_eq!(
                Command::parse(payload.as_bytes()),
                Err(CommandError::Interval),
                "{payload}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for payload in ["", "interval", "interval 1 2", "identify me", "reboot"] {
            assert_eq!(
                Command::parse(payload.as_bytes()),
                Err(CommandError::Unknown),
                "{payload}"
            );
        }
        assert_eq!(Command::parse(&[0xff, 0xfe]), Err(CommandError::NotText));
        for payload in [
            "{",
            r#"{"command":"reboot"}"#,
            r#"{"command":"identify","extra":1}"#,
            r#"{"command":"identify","seconds":1}"#,
            r#"{"command":"interval"}"#,
            r#"{"command":"interval","seconds":0.5}"#,
            r#"{"command":"identify"} and more"#,
        ] {
            assert_eq!(
                Command::parse(payload.as_bytes()),
                Err(CommandError::Json),
                "{payload}"
            );
        }
    }
}
