//! What the server may call.

use examples::monitor::commands::{Command, CommandError, interval};
use examples::monitor::{host_name, system_name};
use mqtt_std::platform::json::{JsonError, RawJson};
use mqtt_std::platform::thingsboard::RpcRequest;
use serde::Deserialize;
use serde_json::{Value, json};

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("unknown method, expected: setInterval, identify, reportNow")]
    Method,
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("params: {0}")]
    Params(#[from] JsonError),
}

#[derive(Deserialize)]
struct Seconds {
    seconds: f64,
}

/// Reads `setInterval` with `{"seconds":2}`, `identify` and `reportNow`.
pub(crate) fn read(request: &RpcRequest<'_>) -> Result<Command, Refusal> {
    if request.method == "setInterval" {
        let Seconds { seconds } = request.params.to()?;
        Ok(Command::Interval(interval(seconds)?))
    } else if request.method == "identify" {
        Ok(Command::Identify)
    } else if request.method == "reportNow" {
        Ok(Command::ReportNow)
    } else {
        Err(Refusal::Method)
    }
}

/// The answer to a call.
pub(crate) fn reply(call: Result<Command, &Refusal>) -> Value {
    match call {
        Ok(Command::Identify) => json!({"host": host_name(), "system": system_name()}),
        Ok(_) => json!({"done": true}),
        Err(refusal) => json!({"error": refusal.to_string()}),
    }
}

/// The shared attribute `interval`, in seconds, if it is among those that have changed.
pub(crate) fn shared_interval(attributes: RawJson<'_>) -> Option<Result<Command, Refusal>> {
    let seconds = attributes.member("interval")?.to::<f64>();
    let read = |seconds| Ok(Command::Interval(interval(seconds)?));
    Some(seconds.map_err(Refusal::from).and_then(read))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mqtt_std::platform::thingsboard::Device;

    use super::*;

    fn call(payload: &str) -> Result<Command, Refusal> {
        let message = ("v1/devices/me/rpc/request/7", payload.as_bytes());
        read(&Device::new().rpc_request(message).unwrap().unwrap())
    }

    #[test]
    fn methods_are_commands() {
        let two_seconds = Command::Interval(Duration::from_secs(2));
        let interval = call(r#"{"method":"setInterval","params":{"seconds":2}}"#);
        assert_eq!(interval.unwrap(), two_seconds);
        assert_eq!(call(r#"{"method":"identify"}"#).unwrap(), Command::Identify);
        let now = call(r#"{"method":"reportNow","params":{}}"#);
        assert_eq!(now.unwrap(), Command::ReportNow);
    }

    #[test]
    fn refusals_are_answered_with_the_reason() {
        let error = |payload: &str| reply(call(payload).as_ref().copied())["error"].to_string();
        assert!(error(r#"{"method":"dance"}"#).contains("unknown method"));
        assert!(error(r#"{"method":"setInterval","params":{}}"#).contains("params"));
        let never = error(r#"{"method":"setInterval","params":{"seconds":0}}"#);
        assert!(never.contains("0.01"), "{never}");
    }

    #[test]
    fn interval_is_one_of_many_attributes() {
        let attributes = |text: &'static str| RawJson::parse(text.as_bytes()).unwrap();
        assert!(shared_interval(attributes(r#"{"fw_title":"x"}"#)).is_none());
        let half = shared_interval(attributes(r#"{"interval":0.5}"#)).unwrap();
        assert_eq!(half.unwrap(), Command::Interval(Duration::from_millis(500)));
    }
}
