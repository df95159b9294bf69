//! ThingsBoard: `tb-mqtt-client`.

mod device;
mod gateway;
mod provisioning;
mod update;

use mqtt_core::codec::{Publish, Version};
use mqtt_core::platform::json::{JsonStr, RawJson};
use mqtt_core::platform::thingsboard::{
    AttributeUpdate, Credentials, Device, RateLimiter, Rates, SessionLimits, Traffic,
};
use mqtt_core::session::Options;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use crate::ours::{NOW, Ours, Received};

const DEVICE: Device = Device::new();
const TOKEN: &str = "A1_TEST_TOKEN";

const RPC_REQUEST: &str = "v1/devices/me/rpc/request/";
const RPC_RESPONSE: &str = "v1/devices/me/rpc/response/";

/// The SDK speaks MQTT 5 only; the helper does by an option.
fn options<'a>(credentials: &Credentials<'a>) -> Options<'a> {
    let mut options = DEVICE.options(credentials);
    options.version = Version::V5;
    options
}

/// What a server says to a request for the limits of the session.
fn answer_limits(publish: &Publish<'_>, limits: &str) -> Vec<Downlink> {
    let Some(id) = publish.topic.as_str().strip_prefix(RPC_REQUEST) else {
        return Vec::new();
    };
    if json(publish.payload)["method"] != "getSessionLimits" {
        return Vec::new();
    }
    vec![Downlink::new(format!("{RPC_RESPONSE}{id}"), limits)]
}

/// Asks for the limits of the session; what was sent, and the answer.
fn ask_limits(ours: &mut Ours, limits: &'static str) -> (Vec<Value>, Received) {
    ours.recorder
        .answers(move |publish| answer_limits(publish, limits));
    let records = ours.sends(&[&DEVICE.session_limits_request(1)]);
    (records, ours.next_message())
}

fn session_limits(received: &Received) -> SessionLimits<'_> {
    let response = DEVICE.rpc_response(received).expect("JSON");
    let response = response.expect("a response");
    response.session_limits().expect("limits")
}

/// How many messages may be sent at once.
fn burst(rates: &Rates<'_>) -> u32 {
    let mut limiter = RateLimiter::new(rates).expect("rates");
    let mut burst = 0;
    while limiter.try_send(Traffic::Other, NOW).is_ok() {
        burst += 1;
    }
    burst
}

fn attributes(update: &AttributeUpdate<'_>) -> Value {
    match update {
        AttributeUpdate::Changed(values) => value(*values),
        AttributeUpdate::Deleted(keys) => {
            let keys: Vec<_> = keys.iter().map(JsonStr::as_str).collect();
            json!({"deleted": keys})
        }
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn value(raw: RawJson<'_>) -> Value {
    json(raw.as_bytes())
}

/// A JSON object of what is there.
fn object<const N: usize>(members: [(&str, Option<RawJson<'_>>); N]) -> Value {
    let mut object = json!({});
    for (name, member) in members {
        if let Some(member) = member {
            object[name] = value(member);
        }
    }
    object
}
