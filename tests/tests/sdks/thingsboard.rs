//! ThingsBoard: `tb-mqtt-client`.

mod device;
mod gateway;
mod provisioning;
mod update;

use mqtt_core::codec::{Publish, TopicName, Version};
use mqtt_core::platform::json::RawJson;
use mqtt_core::platform::thingsboard::{Credentials, Device, RateLimiter, Rates, Traffic};
use mqtt_core::session::Options;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

use crate::ours::{NOW, Received};

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

/// How many messages may be sent at once.
fn burst(rates: &Rates<'_>) -> u32 {
    let mut limiter = RateLimiter::new(rates).expect("rates");
    (0..)
        .find(|_| limiter.try_send(Traffic::Other, NOW).is_err())
        .expect("a limit")
}

fn topic(received: &Received) -> TopicName<'_> {
    TopicName::new(&received.topic).expect("a topic name")
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
