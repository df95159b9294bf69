//! IBM Watson IoT Platform: `wiotp-sdk`.

mod application;
mod device;
mod gateway;
mod management;

use mqtt_core::codec::Publish;
use mqtt_core::platform::watson_iot::Content;
use mqtt_tests::recorder::Downlink;
use serde_json::{Value, json};

const ORGANIZATION: &str = "za6xa7";
const TYPE: &str = "thermometer";
const ID: &str = "kitchen";
const TOKEN: &str = "token";

/// What the server says to requests of device management: that all is well.
fn accept_requests(publish: &Publish<'_>) -> Vec<Downlink> {
    let Some(rest) = publish.topic.as_str().strip_prefix("iotdevice-1/") else {
        return Vec::new();
    };
    let request: Value = serde_json::from_slice(publish.payload).expect("JSON");
    if rest.ends_with("response") || request["reqId"].is_null() {
        return Vec::new();
    }
    // Of a gateway, the topic names the device.
    let levels: Vec<_> = rest.split('/').collect();
    let topic = match levels[..] {
        ["type", type_id, "id", id, ..] => format!("iotdm-1/type/{type_id}/id/{id}/response"),
        _ => "iotdm-1/response".into(),
    };
    let response = json!({"rc": 200, "reqId": request["reqId"]});
    vec![Downlink::new(topic, response.to_string())]
}

/// A command or event as the SDK's codecs give it.
fn content(content: &Content<'_>) -> Value {
    let data = match content.format {
        "json" => serde_json::from_slice(content.payload).expect("JSON"),
        _ => json!(str::from_utf8(content.payload).expect("text")),
    };
    json!({"name": content.name, "format": content.format, "data": data})
}
