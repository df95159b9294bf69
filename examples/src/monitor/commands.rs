//! What others may tell the device: plain words or JSON.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

/// The interval between two reports may lie in this range.
pub const INTERVAL_S: RangeInclusive<f64> = 0.01..=86_400.0;

/// One command. As JSON `{"command":"interval","seconds":2}`, as plain text `interval 2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Report this often from now on.
    Interval(Duration),
    /// Tell who you are.
    Identify,
    /// Publish a report at once, the regular ones go on as before.
    ReportNow,
}

/// Why a message is no command.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// It is not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// There is no such command.
    #[error("unknown command, expected: interval <seconds>, identify, report-now")]
    Unknown,
    /// JSON, but no command; the text says why.
    #[error("not a command in JSON: {0}")]
    Json(String),
    /// The interval is out of [`INTERVAL_S`].
    #[error("interval must be {} to {} seconds", INTERVAL_S.start(), INTERVAL_S.end())]
    Interval,
}

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum JsonCommand {
    Interval { seconds: f64 },
    Identify {},
    ReportNow {},
}

impl Command {
    /// Reads the payload of a message on the command topic.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if it is no command.
    pub fn parse(payload: &[u8]) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(payload)
            .map_err(|_| CommandError::NotText)?
            .trim();
        if text.starts_with('{') {
            Self::from_json(text)
        } else {
            Self::from_words(text)
        }
    }

    fn from_json(text: &str) -> Result<Self, CommandError> {
        match serde_json::from_str(text).map_err(|error| CommandError::Json(error.to_string()))? {
            JsonCommand::Interval { seconds } => interval(seconds).map(Self::Interval),
            JsonCommand::Identify {} => Ok(Self::Identify),
            JsonCommand::ReportNow {} => Ok(Self::ReportNow),
        }
    }

    fn from_words(text: &str) -> Result<Self, CommandError> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("interval"), Some(seconds), None) => {
                interval(seconds.parse().map_err(|_| CommandError::Interval)?).map(Self::Interval)
            }
            (Some("identify"), None, None) => Ok(Self::Identify),
            (Some("report-now"), None, None) => Ok(Self::ReportNow),
            _ => Err(CommandError::Unknown),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(interval) => write!(f, "interval {} s", interval.as_secs_f64()),
            Self::Identify => f.write_str("identify"),
            Self::ReportNow => f.write_str("report-now"),
        }
    }
}

/// The checked interval for a number of seconds that came from outside.
///
/// # Errors
///
/// [`CommandError::Interval`].
pub fn interval(seconds: f64) -> Result<Duration, CommandError> {
    if !INTERVAL_S.contains(&seconds) {
        return Err(CommandError::Interval);
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_and_json_mean_the_same() {
        let two_seconds = Command::Interval(Duration::from_secs(2));
        let cases: [(&str, &str, Command); 3] = [
            (
                "interval 2",
                r#"{"command":"interval","seconds":2}"#,
                two_seconds,
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
            "interval NaN",
            "interval inf",
            "interval 1e9",
            "interval soon",
        ] {
            assert_eq!(
                Command::parse(payload.as_bytes()),
                Err(CommandError::Interval),
                "{payload}"
            );
        }
        let json = br#"{"command":"interval","seconds":0}"#;
        assert_eq!(Command::parse(json), Err(CommandError::Interval));
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
            r#"{"command":"interval"}"#,
        ] {
            assert!(
                matches!(
                    Command::parse(payload.as_bytes()),
                    Err(CommandError::Json(_))
                ),
                "{payload}"
            );
        }
    }
}
