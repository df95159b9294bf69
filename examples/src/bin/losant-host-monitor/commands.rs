//! What Losant may tell the device.

use examples::monitor::commands::{Command, CommandError, interval};
use mqtt_std::platform::json::JsonError;
use mqtt_std::platform::losant;
use serde::Deserialize;

/// Why a command is not obeyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("not as it should be: {0}")]
    Json(#[from] JsonError),
}

#[derive(Deserialize)]
struct Seconds {
    seconds: f64,
}

/// Reads `interval` with `{"seconds":2}`, `identify` and `report-now`.
pub(crate) fn read(command: &losant::Command<'_>) -> Result<Command, Refusal> {
    if command.name == "interval" {
        let Seconds { seconds } = command.payload()?;
        Ok(Command::Interval(interval(seconds)?))
    } else if command.name == "identify" {
        Ok(Command::Identify)
    } else if command.name == "report-now" {
        Ok(Command::ReportNow)
    } else {
        Err(CommandError::Unknown.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DEVICE: &str = "575ecf887ae143cd83dc4aa2";

    fn read_json(payload: &str) -> Result<Command, Refusal> {
        let topic = format!("losant/{DEVICE}/command");
        let device = losant::Device::new(DEVICE).unwrap();
        let message = (topic.as_str(), payload.as_bytes());
        read(&device.command(message).unwrap().unwrap())
    }

    #[test]
    fn commands_are_read_with_their_payload() {
        let command = read_json(r#"{"name":"interval","payload":{"seconds":2}}"#);
        assert_eq!(command.unwrap(), Command::Interval(Duration::from_secs(2)));
        let command = read_json(r#"{"name":"identify"}"#);
        assert_eq!(command.unwrap(), Command::Identify);
        let command = read_json(r#"{"payload":null,"name":"report-now"}"#);
        assert_eq!(command.unwrap(), Command::ReportNow);
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_refused_with_a_reason() {
        let refusal = |payload| read_json(payload).unwrap_err().to_string();
        assert!(refusal(r#"{"name":"dance"}"#).contains("unknown command"));
        let too_often = refusal(r#"{"name":"interval","payload":{"seconds":0}}"#);
        assert!(too_often.contains("0.01 to 86400"), "{too_often}");
        let missing = refusal(r#"{"name":"interval"}"#);
        assert!(missing.contains("not as it should be"), "{missing}");
    }
}
