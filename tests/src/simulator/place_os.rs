//! The broker that PlaceOS publishes to: mosquitto with the rights that PlaceOS gives.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mqtt_core::codec::{Connect, Publish, QoS, ReasonCode, TopicFilter};
use serde_json::{Value, json};

use super::{Admission, Hub, LinkId, Platform, Verdict};

/// Updates are published together, and only the newest of each key.
const BATCH: Duration = Duration::from_millis(40);

pub(super) struct PlaceOs {
    /// API keys and JWTs, and whether they may publish.
    tokens: BTreeMap<String, bool>,
    writers: Vec<LinkId>,
    retained: BTreeMap<String, Vec<u8>>,
    batch: BTreeMap<String, Vec<u8>>,
    batch_since: Option<Instant>,
}

impl PlaceOs {
    pub(super) fn new() -> Self {
        let reader = ("reader.key".to_owned(), false);
        let user = ("hhhh.pppp.ssss".to_owned(), false);
        let writer = ("support.jwt.signature".to_owned(), true);
        Self {
            tokens: BTreeMap::from([reader, user, writer]),
            writers: Vec::new(),
            retained: BTreeMap::new(),
            batch: BTreeMap::new(),
            batch_since: None,
        }
    }

    /// Published with the next batch.
    fn enqueue(&mut self, topic: &str, payload: Vec<u8>) {
        self.batch.insert(topic.to_owned(), payload);
        self.batch_since.get_or_insert_with(Instant::now);
    }

    fn store(&mut self, hub: &mut Hub, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        if retain && payload.is_empty() {
            self.retained.remove(topic);
        } else if retain {
            self.retained.insert(topic.to_owned(), payload.to_vec());
        }
        hub.deliver(topic, payload, qos);
    }
}

impl Platform for PlaceOs {
    fn connect(&mut self, hub: &mut Hub, link: LinkId, connect: &Connect<'_>) -> Admission {
        // The password is not looked at, but there has to be one.
        let token = connect.user_name.filter(|_| connect.password.is_some());
        let Some(may_write) = token.and_then(|token| self.tokens.get(token)) else {
            return Admission::Refuse(5, ReasonCode::NOT_AUTHORIZED);
        };
        if *may_write {
            self.writers.push(link);
        }
        hub.take_over(connect.client_id, link);
        Admission::Accept {
            session_present: hub.resume(link),
        }
    }

    fn subscribe(
        &mut self,
        _: &mut Hub,
        _: LinkId,
        filter: &str,
        qos: QoS,
    ) -> Result<QoS, Option<ReasonCode>> {
        if filter.starts_with("placeos/") {
            Ok(qos)
        } else {
            Err(Some(ReasonCode::NOT_AUTHORIZED))
        }
    }

    fn subscribed(&mut self, hub: &mut Hub, link: LinkId, filter: &str) {
        let Ok(filter) = TopicFilter::new(filter) else {
            return;
        };
        for (topic, payload) in &self.retained {
            if filter.matches(topic) {
                hub.send(link, topic, payload, QoS::AtMostOnce, true);
            }
        }
    }

    fn publish(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict {
        if !self.writers.contains(&link) {
            hub.note(format!("dropped a message to {}", publish.topic));
            return Verdict::Code(ReasonCode::NOT_AUTHORIZED);
        }
        let topic = publish.topic.as_str();
        self.store(hub, topic, publish.payload, publish.qos, publish.retain);
        Verdict::Acknowledge
    }

    fn closed(&mut self, _: &mut Hub, link: LinkId, _: bool) {
        self.writers.retain(|of| *of != link);
    }

    fn tick(&mut self, hub: &mut Hub) {
        if self.batch_since.is_none_or(|since| since.elapsed() < BATCH) {
            return;
        }
        self.batch_since = None;
        for (topic, payload) in core::mem::take(&mut self.batch) {
            self.store(hub, &topic, &payload, QoS::AtMostOnce, true);
        }
    }

    fn web_socket_path(&self) -> Option<&'static str> {
        Some("/api/mqtt/")
    }

    fn command(&mut self, _: &mut Hub, order: &str) -> Result<String, String> {
        let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
        let (first, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        let value = || serde_json::from_str(rest).map_err(|error| error.to_string());
        match verb {
            "state" => self.enqueue(&format!("placeos/{first}"), wrapped(&value()?)),
            "metadata" => {
                let topic = format!("placeos/org/metadata/{first}");
                self.enqueue(&topic, wrapped(&value()?));
            }
            "raw" => self.enqueue(&format!("placeos/{first}"), rest.as_bytes().to_vec()),
            "remove" => self.enqueue(&format!("placeos/{first}"), Vec::new()),
            "token" => {
                self.tokens.insert(first.to_owned(), rest == "write");
            }
            "building" => self.build(),
            _ => return Err("see help".into()),
        }
        Ok(String::new())
    }

    fn help(&self) -> &'static str {
        "\
state <topic behind placeos/> <value>  publish a value with its time, retained
remove <topic behind placeos/>         remove it
raw <topic behind placeos/> <payload>  publish that
metadata <id> <model or null>
token <token> [write]                  let it in; reader.key, hhhh.pppp.ssss and support.jwt.signature (write) are known
building                               publish the state of a small building
"
    }
}

impl PlaceOs {
    /// Something to look at.
    fn build(&mut self) {
        let rooms = [
            ("zone-lvl1", "sys-lobby", "Display", "power", json!(true)),
            (
                "zone-lvl1",
                "sys-lobby",
                "Display",
                "connected",
                json!(true),
            ),
            ("zone-lvl1", "sys-board", "Mixer", "volume", json!(42.5)),
            (
                "zone-lvl2",
                "sys-desk",
                "Bookings",
                "current",
                json!({"id": 1, "title": "Planning"}),
            ),
            (
                "zone-lvl2",
                "sys-desk",
                "Bookings",
                "connected",
                json!(false),
            ),
        ];
        for (level, system, module, key, value) in rooms {
            let topic = format!(
                "placeos/zone-org/state/_/zone-bld/{level}/_/{system}/driver-{module}/{module}/1/{key}"
            );
            self.enqueue(&topic, wrapped(&value));
        }
        let model = json!({"name": "Head office"});
        self.enqueue("placeos/org/metadata/zone-bld", wrapped(&model));
    }
}

/// Seconds, as the service publishes them.
fn wrapped(value: &Value) -> Vec<u8> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(r#"{{"time":{},"value":{value}}}"#, now.as_secs()).into_bytes()
}
