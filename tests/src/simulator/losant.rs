//! The broker of Losant.
//!
//! Strict where its documents forbid something without saying what happens then: the link is closed.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mqtt_core::codec::{Connect, Publish, QoS, ReasonCode};
use serde_json::Value;

use super::{Admission, Hub, LinkId, Platform, Verdict, rates::Rate};

const MAX_PAYLOAD: usize = 256 * 1024;
const SPAN: Duration = Duration::from_secs(15);

pub(super) struct Losant {
    access_key: String,
    access_secret: String,
    /// Devices by identifier, each with its peripherals.
    devices: HashMap<String, BTreeSet<String>>,
    links: HashMap<LinkId, Link>,
    /// Until when a device may not come back, and for how long it was banned.
    bans: HashMap<String, (Instant, Duration)>,
    shortest_ban: Duration,
}

struct Link {
    device: String,
    all: Rate,
    topics: HashMap<String, Rate>,
}

impl Losant {
    pub(super) fn new() -> Self {
        let gateway = "575ecf887ae143cd83dc4aa2".to_owned();
        let peripheral = "57615eebc035bd0100cb964a".to_owned();
        Self {
            access_key: "my-access-key".into(),
            access_secret: "my-access-secret".into(),
            devices: HashMap::from([(gateway, BTreeSet::from([peripheral]))]),
            links: HashMap::new(),
            bans: HashMap::new(),
            shortest_ban: Duration::from_secs(30),
        }
    }

    /// Whether a link may speak for a device.
    fn speaks_for(&self, link: LinkId, id: &str) -> bool {
        let Some(link) = self.links.get(&link) else {
            return false;
        };
        link.device == id
            || self
                .devices
                .get(&link.device)
                .is_some_and(|peripherals| peripherals.contains(id))
    }

    fn is_within_rates(&mut self, link: LinkId, topic: &str) -> bool {
        let Some(link) = self.links.get_mut(&link) else {
            return false;
        };
        let of_topic = link
            .topics
            .entry(topic.to_owned())
            .or_insert_with(|| Rate::new(30, SPAN));
        of_topic.admit() & link.all.admit()
    }

    /// Twice as long as the last time, up to an hour.
    fn ban(&mut self, hub: &mut Hub, link: LinkId) {
        let Some(link) = self.links.get(&link) else {
            return;
        };
        let last = self.bans.get(&link.device).map(|(_, ban)| *ban * 2);
        let ban = last
            .unwrap_or(self.shortest_ban)
            .min(Duration::from_hours(1));
        self.bans
            .insert(link.device.clone(), (Instant::now() + ban, ban));
        hub.note(format!("banned {} for {} ms", link.device, ban.as_millis()));
    }

    fn take_state(hub: &mut Hub, id: &str, payload: &[u8]) {
        match serde_json::from_slice(payload) {
            Ok(Value::Array(reports)) => {
                for report in &reports {
                    take_report(hub, id, report);
                }
            }
            Ok(report) => take_report(hub, id, &report),
            Err(error) => hub.note(format!("state of {id} dropped: {error}")),
        }
    }
}

impl Platform for Losant {
    fn connect(&mut self, hub: &mut Hub, link: LinkId, connect: &Connect<'_>) -> Admission {
        let id = connect.client_id;
        if self
            .bans
            .get(id)
            .is_some_and(|(until, _)| Instant::now() < *until)
        {
            return Admission::Close;
        }
        let is_known = self.devices.contains_key(id)
            && connect.user_name == Some(&self.access_key)
            && connect.password == Some(self.access_secret.as_bytes());
        if hub.is_v5(link) {
            return Admission::Refuse(1, ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
        }
        if !is_known {
            return Admission::Refuse(5, ReasonCode::NOT_AUTHORIZED);
        }
        let is_bad_will = connect
            .will
            .is_some_and(|will| will.retain || will.qos == QoS::ExactlyOnce);
        if !connect.clean_session || is_bad_will {
            return Admission::Close;
        }
        hub.take_over(id, link);
        self.links.insert(
            link,
            Link {
                device: id.to_owned(),
                all: Rate::new(300, SPAN),
                topics: HashMap::new(),
            },
        );
        Admission::Accept {
            session_present: false,
        }
    }

    fn subscribe(
        &mut self,
        _: &mut Hub,
        link: LinkId,
        filter: &str,
        qos: QoS,
    ) -> Result<QoS, Option<ReasonCode>> {
        let is_allowed = match filter.strip_prefix("losant/") {
            Some(rest) => rest
                .strip_suffix("/command")
                .is_some_and(|id| self.speaks_for(link, id)),
            // A wildcard in the first level would cover the reserved one.
            None => !filter.starts_with(['+', '#']),
        };
        if !is_allowed || qos != QoS::AtMostOnce {
            return Err(Some(ReasonCode::NOT_AUTHORIZED));
        }
        Ok(qos)
    }

    fn publish(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict {
        let topic = publish.topic.as_str();
        if publish.retain || publish.qos == QoS::ExactlyOnce {
            return Verdict::Close("retain or QoS 2".into());
        }
        if publish.payload.len() > MAX_PAYLOAD {
            return Verdict::Close("payload too large".into());
        }
        if !self.is_within_rates(link, topic) {
            self.ban(hub, link);
            return Verdict::Close("too many messages".into());
        }
        let Some(rest) = topic.strip_prefix("losant/") else {
            hub.deliver(topic, publish.payload, publish.qos);
            return Verdict::Acknowledge;
        };
        match rest.strip_suffix("/state") {
            Some(id) if self.speaks_for(link, id) => {
                Self::take_state(hub, id, publish.payload);
                Verdict::Acknowledge
            }
            _ => Verdict::Close("topic not allowed".into()),
        }
    }

    fn closed(&mut self, _: &mut Hub, link: LinkId, _: bool) {
        self.links.remove(&link);
    }

    fn web_socket_path(&self) -> Option<&'static str> {
        Some("")
    }

    fn command(&mut self, hub: &mut Hub, order: &str) -> Result<String, String> {
        let (verb, rest) = order.split_once(' ').ok_or("see help")?;
        let (first, rest) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
        match verb {
            "command" => {
                let topic = format!("losant/{first}/command");
                let links = self.links.keys().copied();
                let link = links
                    .filter(|link| self.speaks_for(*link, first))
                    .find(|link| hub.filter_qos(*link, &topic).is_some())
                    .ok_or("nobody has subscribed that")?;
                hub.send(link, &topic, rest.trim().as_bytes(), QoS::AtMostOnce, false);
            }
            "device" => {
                let peripherals = rest.split_whitespace().map(str::to_owned).collect();
                self.devices.insert(first.to_owned(), peripherals);
            }
            "key" => {
                first.clone_into(&mut self.access_key);
                rest.trim().clone_into(&mut self.access_secret);
            }
            "ban" => {
                let ms = first.parse().map_err(|_| "ban <milliseconds>")?;
                self.shortest_ban = Duration::from_millis(ms);
            }
            _ => return Err("see help".into()),
        }
        Ok(String::new())
    }

    fn help(&self) -> &'static str {
        "\
command <device or peripheral id> <payload>
device <id> [<id of a peripheral>..]   let a device in; 575ecf887ae143cd83dc4aa2 is known
key <access key> <access secret>       my-access-key my-access-secret at first
ban <milliseconds>                     the shortest ban, 30000 at first
"
    }
}

fn take_report(hub: &mut Hub, id: &str, report: &Value) {
    let Some(data) = report["data"].as_object() else {
        return hub.note(format!("state of {id} dropped: no data"));
    };
    if !is_acceptable(&report["time"]) {
        return hub.note(format!("state of {id} dropped: too old or too new"));
    }
    let is_attribute = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    for name in data.keys().filter(|name| !is_attribute(name)) {
        hub.note(format!("attribute {name} of {id} dropped"));
    }
    hub.note(format!("state of {id}: {}", Value::Object(data.clone())));
}

/// Not more than 30 days ago, and not more than one ahead. What cannot be read becomes the time of the server.
fn is_acceptable(time: &Value) -> bool {
    const DAY_MS: i64 = 86_400_000;
    let Some(number) = time.as_i64() else {
        return true;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let time = match number {
        ago if ago < 0 => now + ago,
        seconds if seconds < 100_000_000_000 => seconds * 1000,
        millis => millis,
    };
    (now - 30 * DAY_MS..=now + DAY_MS).contains(&time)
}
