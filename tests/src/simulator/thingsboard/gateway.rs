//! A gateway and the devices behind it.

use mqtt_core::codec::QoS;
use serde_json::{Map, Value, json};

use super::{Device, Hub, LinkId, ThingsBoard, Verdict, json as payloads, malformed};

impl ThingsBoard {
    /// Takes a message to `v1/gateway/` and `topic`.
    pub(super) fn take_of_gateway(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        topic: &str,
        payload: &[u8],
    ) -> Verdict {
        let Some(message) = payloads::object(payload) else {
            return malformed();
        };
        let device = message.get("device").and_then(Value::as_str);
        match (topic, device) {
            ("connect", Some(device)) => {
                self.child(device);
                hub.note(format!("connected {device}"));
                Verdict::PubAck
            }
            ("disconnect", Some(device)) => {
                hub.note(format!("disconnected {device}"));
                Verdict::PubAck
            }
            ("telemetry", _) if !message.values().all(has_good_metadata) => malformed(),
            ("telemetry", _) => self.take_entries(hub, "telemetry", &message, Value::is_array),
            ("attributes", _) => {
                let verdict = self.take_entries(hub, "attributes", &message, Value::is_object);
                for (name, values) in message {
                    if let Value::Object(values) = values {
                        self.child(&name).client.extend(values);
                    }
                }
                verdict
            }
            ("claim", _) => self.take_entries(hub, "claim", &message, Value::is_object),
            ("attributes/request", Some(device)) => {
                let device = device.to_owned();
                self.answer_child(hub, link, &device, &message)
            }
            ("rpc", Some(device)) => {
                let (id, data) = (&message["id"], &message["data"]);
                hub.note(format!("reply of {device} to {id}: {data}"));
                Verdict::PubAck
            }
            _ => Verdict::AcknowledgeAndClose("a member is missing".into()),
        }
    }

    /// Entries of the wrong type are dropped without a word; if none is left, the link ends.
    fn take_entries(
        &mut self,
        hub: &mut Hub,
        what: &str,
        message: &Map<String, Value>,
        is_legal: impl Fn(&Value) -> bool,
    ) -> Verdict {
        let legal: Vec<_> = message
            .iter()
            .filter(|(_, value)| is_legal(value))
            .collect();
        if legal.is_empty() {
            return Verdict::AcknowledgeAndClose(format!("no {what}"));
        }
        for (name, value) in legal {
            self.child(name);
            hub.note(format!("{what} of {name}: {value}"));
        }
        Verdict::PubAck
    }

    fn answer_child(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        name: &str,
        request: &Map<String, Value>,
    ) -> Verdict {
        let of_client = request.get("client") == Some(&Value::Bool(true));
        let device = self.child(name);
        let values = if of_client {
            &device.client
        } else {
            &device.shared
        };
        let mut response = json!({"id": request.get("id"), "device": name});
        if let Some(key) = request.get("key").and_then(Value::as_str) {
            if let Some(value) = values.get(key) {
                response["value"] = value.clone();
            }
        } else if let Some(keys) = request.get("keys").and_then(Value::as_array) {
            let wanted = values
                .iter()
                .filter(|(key, _)| keys.iter().any(|of| of == key.as_str()));
            let found: Map<_, _> = wanted
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if !found.is_empty() {
                response["values"] = found.into();
            }
        } else {
            return Verdict::AcknowledgeAndClose("a member is missing".into());
        }
        let topic = "v1/gateway/attributes/response";
        Self::send(hub, link, topic, topic, response.to_string().as_bytes());
        Verdict::PubAck
    }

    /// `child-rpc <gateway> <child> <id> <method> [<params>]`, `child-shared <gateway> <child> <data>`.
    pub(super) fn command_child(
        &mut self,
        hub: &mut Hub,
        verb: &str,
        gateway: &str,
        rest: &str,
    ) -> Result<String, String> {
        let link = self.link_of(gateway).ok_or("it is not connected")?;
        let value =
            |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        let (child, rest) = rest.split_once(' ').ok_or("see help")?;
        let (topic, message) = if verb == "child-rpc" {
            let mut words = rest.splitn(3, ' ');
            let id = value(words.next().ok_or("<id> is missing")?)?;
            let method = words.next().ok_or("<method> is missing")?;
            let params = value(words.next().unwrap_or("{}"))?;
            let data = json!({"id": id, "method": method, "params": params});
            ("v1/gateway/rpc", json!({"device": child, "data": data}))
        } else {
            let data = value(rest)?;
            if let Value::Object(values) = &data
                && !values.contains_key("deleted")
            {
                self.child(child).shared.extend(values.clone());
            }
            (
                "v1/gateway/attributes",
                json!({"device": child, "data": data}),
            )
        };
        let qos: QoS = hub
            .filter_qos(link, topic)
            .ok_or("it has not subscribed to that")?;
        hub.send(link, topic, message.to_string().as_bytes(), qos, false);
        Ok(String::new())
    }

    /// The device of that name; a message for an unknown one creates it.
    fn child(&mut self, name: &str) -> &mut Device {
        self.devices
            .entry(name.to_owned())
            .or_insert_with(|| Device {
                // Nobody can be it.
                credentials: super::Credentials::Basic(None, None, Some(format!("\0{name}"))),
                ..Device::default()
            })
    }
}

/// Samples may say how they came to the gateway; then they must say all of it.
fn has_good_metadata(samples: &Value) -> bool {
    let mut samples = samples.as_array().into_iter().flatten();
    samples.all(|sample| match sample.get("metadata") {
        None => true,
        Some(metadata) => {
            metadata["connector"].is_string()
                && metadata["receivedTs"].is_i64()
                && metadata["publishedTs"].is_i64()
        }
    })
}
