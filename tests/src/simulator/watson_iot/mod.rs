//! The messaging server of IBM Watson IoT, with its device management.

mod management;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mqtt_core::codec::{Connect, Publish, QoS, ReasonCode, TopicFilter};
use serde_json::{Value, json};

use management::Step;

use super::{Admission, Hub, LinkId, Platform, Verdict};

const MAX_PAYLOAD: usize = 131_072;

pub(super) struct WatsonIot {
    organization: String,
    /// Tokens by (type, id).
    tokens: HashMap<(String, String), String>,
    application: (String, String),
    links: HashMap<LinkId, Client>,
    managed: HashSet<(String, String)>,
    requests: u32,
    /// What is still to be asked of a device, one after the other.
    plans: HashMap<(String, String), VecDeque<Step>>,
    /// Requests that wait for a response: their `reqId`, and whom they went to.
    pending: HashMap<String, (String, String)>,
    last_quickstart: Option<Instant>,
    /// The last status of each client, by topic.
    statuses: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Client {
    Device(String, String),
    Gateway(String, String),
    Application(String),
    Quickstart,
}

impl WatsonIot {
    pub(super) fn new() -> Self {
        let device = ("thermometer".to_owned(), "t-1".to_owned());
        let gateway = ("gateway".to_owned(), "g-1".to_owned());
        Self {
            organization: "orgid1".into(),
            tokens: HashMap::from([
                (device, "device-token".to_owned()),
                (gateway, "gateway-token".to_owned()),
            ]),
            application: ("a-orgid1-key".into(), "application-token".into()),
            links: HashMap::new(),
            managed: HashSet::new(),
            requests: 0,
            plans: HashMap::new(),
            pending: HashMap::new(),
            last_quickstart: None,
            statuses: HashMap::new(),
        }
    }

    fn admit(&self, connect: &Connect<'_>) -> Option<Client> {
        let mut parts = connect.client_id.split(':');
        let (kind, organization) = (parts.next()?, parts.next()?);
        let names: Vec<&str> = parts.collect();
        let is_legal = names.iter().all(|name| is_name(name));
        if !is_legal {
            return None;
        }
        if organization == "quickstart" {
            let is_anonymous = connect.user_name.is_none() && connect.clean_session;
            return (is_anonymous && kind != "g").then_some(Client::Quickstart);
        }
        if organization != self.organization {
            return None;
        }
        let password = connect.password.unwrap_or_default();
        match (kind, &names[..]) {
            ("d" | "g", [kind_of, id]) => {
                let of = ((*kind_of).to_owned(), (*id).to_owned());
                let token = self.tokens.get(&of)?;
                let is_right =
                    connect.user_name == Some("use-token-auth") && token.as_bytes() == password;
                let client = match kind {
                    "d" => Client::Device(of.0, of.1),
                    _ => Client::Gateway(of.0, of.1),
                };
                is_right.then_some(client)
            }
            ("a", [id]) | ("A", [id] | [id, _]) => {
                let is_right = connect.user_name == Some(&self.application.0)
                    && self.application.1.as_bytes() == password;
                is_right.then(|| Client::Application((*id).to_owned()))
            }
            _ => None,
        }
    }

    /// The link over which a device speaks: its own, or that of a gateway; and what stands before its topics.
    fn link_of(&self, of: &(String, String)) -> Option<(LinkId, String)> {
        let own = self.links.iter().find(|(_, client)| match client {
            Client::Device(kind, id) | Client::Gateway(kind, id) => kind == &of.0 && id == &of.1,
            _ => false,
        });
        let gateway = || {
            self.links
                .iter()
                .find(|(_, client)| matches!(client, Client::Gateway(..)))
        };
        let (link, client) = own.or_else(gateway)?;
        let through = match client {
            Client::Gateway(..) => format!("type/{}/id/{}/", of.0, of.1),
            _ => String::new(),
        };
        Some((*link, through))
    }

    fn publish_event(
        hub: &mut Hub,
        of: &(String, String),
        rest: &str,
        publish: &Publish<'_>,
    ) -> Verdict {
        let topic = format!("iot-2/type/{}/id/{}/{rest}", of.0, of.1);
        hub.deliver(&topic, publish.payload, publish.qos);
        Verdict::Acknowledge
    }

    /// Tells applications that a client has come or gone; those that subscribe later, too.
    fn monitor(&mut self, hub: &mut Hub, link: LinkId, client: &Client, close: Option<u16>) {
        let topic = match client {
            Client::Device(kind, id) | Client::Gateway(kind, id) => {
                format!("iot-2/type/{kind}/id/{id}/mon")
            }
            Client::Application(id) => format!("iot-2/app/{id}/mon"),
            Client::Quickstart => return,
        };
        let action = if close.is_some() {
            "Disconnect"
        } else {
            "Connect"
        };
        let mut status = json!({
            "Action": action, "Time": now(), "ClientAddr": "127.0.0.1", "ClientID": hub.client_id(link),
            "Port": 1883, "Secure": false, "Protocol": "mqtt4-tcp"
        });
        if let Some(code) = close {
            status["CloseCode"] = code.into();
        }
        let status = status.to_string();
        hub.deliver(&topic, status.as_bytes(), QoS::AtMostOnce);
        self.statuses.insert(topic, status);
    }

    fn may_subscribe(client: &Client, filter: &str) -> bool {
        match client {
            Client::Quickstart => false,
            Client::Device(..) => {
                filter.starts_with("iot-2/cmd/") || filter.starts_with("iotdm-1/")
            }
            Client::Gateway(..) => {
                filter.starts_with("iot-2/type/")
                    && (filter.contains("/cmd/") || filter.ends_with("/notify"))
                    || filter.starts_with("iotdm-1/")
            }
            Client::Application(_) => {
                filter.starts_with("iot-2/type/") || filter.starts_with("iot-2/app/")
            }
        }
    }
}

impl Platform for WatsonIot {
    fn connect(&mut self, hub: &mut Hub, link: LinkId, connect: &Connect<'_>) -> Admission {
        let Some(client) = self.admit(connect) else {
            return Admission::Refuse(5, ReasonCode::NOT_AUTHORIZED);
        };
        hub.take_over(connect.client_id, link);
        self.monitor(hub, link, &client, None);
        self.links.insert(link, client);
        Admission::Accept {
            session_present: hub.resume(link),
        }
    }

    fn subscribe(
        &mut self,
        _: &mut Hub,
        link: LinkId,
        filter: &str,
        qos: QoS,
    ) -> Result<QoS, Option<ReasonCode>> {
        match self.links.get(&link) {
            Some(client) if Self::may_subscribe(client, filter) => Ok(qos),
            _ => Err(Some(ReasonCode::NOT_AUTHORIZED)),
        }
    }

    fn subscribed(&mut self, hub: &mut Hub, link: LinkId, filter: &str) {
        for (topic, status) in &self.statuses {
            if TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic)) {
                hub.send(link, topic, status.as_bytes(), QoS::AtMostOnce, true);
            }
        }
    }

    fn publish(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict {
        let Some(client) = self.links.get(&link).cloned() else {
            return Verdict::Silence;
        };
        if publish.payload.len() > MAX_PAYLOAD {
            return Verdict::Close("287: message too large".into());
        }
        let topic = publish.topic.as_str();
        match &client {
            Client::Quickstart => {
                if publish.qos != QoS::AtMostOnce || event(topic, "iot-2/evt/").is_none() {
                    return Verdict::Close("180: not for quickstart".into());
                }
                let now = Instant::now();
                let last = self.last_quickstart.replace(now);
                if last.is_some_and(|last| now - last < Duration::from_secs(1)) {
                    hub.note("more than one message in a second: dropped".into());
                }
                Verdict::Acknowledge
            }
            Client::Device(kind, id) => {
                let of = (kind.clone(), id.clone());
                if let Some(rest) = topic.strip_prefix("iotdevice-1/") {
                    self.manage(hub, link, &of, "", rest, publish.payload);
                    return Verdict::Acknowledge;
                }
                match event(topic, "iot-2/evt/") {
                    Some(_) => Self::publish_event(hub, &of, &topic["iot-2/".len()..], publish),
                    None => Verdict::Close("276: topic not valid".into()),
                }
            }
            Client::Gateway(..) => self.take_of_gateway(hub, link, publish),
            Client::Application(_) => self.take_of_application(hub, publish),
        }
    }

    fn closed(&mut self, hub: &mut Hub, link: LinkId, clean: bool) {
        if let Some(client) = self.links.remove(&link) {
            let code = match hub.closing(link) {
                Some("taken over") => 288,
                Some(reason) => reason
                    .split_once(':')
                    .and_then(|(code, _)| code.parse().ok())
                    .unwrap_or(92),
                None if clean => 0,
                None => 91,
            };
            self.monitor(hub, link, &client, Some(code));
        }
    }

    fn web_socket_path(&self) -> Option<&'static str> {
        Some("")
    }

    fn command(&mut self, hub: &mut Hub, order: &str) -> Result<String, String> {
        let mut words = order.splitn(4, ' ');
        let mut next = || words.next().map(str::trim).filter(|word| !word.is_empty());
        let verb = next().ok_or("see help")?;
        let kind = next().ok_or("<type> and <id> are missing")?;
        let id = next().ok_or("<id> is missing")?;
        let rest = next().unwrap_or("");
        let of = (kind.to_owned(), id.to_owned());
        let fields =
            || json!({"fields": [{"field": if rest.is_empty() { "mgmt.firmware" } else { rest }}]});
        let json = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
        match verb {
            "device" => {
                self.tokens.insert(of, rest.to_owned());
                Ok(String::new())
            }
            "command" => self.send_command(hub, &of, rest),
            "raw" => {
                let (topic, payload) = rest.split_once(' ').unwrap_or((rest, ""));
                let (link, through) = self.link_of(&of).ok_or("it is not connected")?;
                let topic = format!("iotdm-1/{through}{topic}");
                hub.send(link, &topic, payload.as_bytes(), QoS::AtLeastOnce, false);
                Ok(String::new())
            }
            "reboot" => self.request(hub, &of, "mgmt/initiate/device/reboot", None),
            "factory-reset" => self.request(hub, &of, "mgmt/initiate/device/factory_reset", None),
            "observe" => self.request(hub, &of, "observe", Some(&fields())),
            "cancel" => self.request(hub, &of, "cancel", Some(&fields())),
            "update" => self.request(hub, &of, "device/update", Some(&json()?)),
            "download" => self.request(hub, &of, "mgmt/initiate/firmware/download", None),
            "install" => self.request(hub, &of, "mgmt/initiate/firmware/update", None),
            "custom" => {
                let (action, parameters) = rest.split_once(' ').unwrap_or((rest, "{}"));
                let d: Value =
                    serde_json::from_str(parameters).map_err(|error| error.to_string())?;
                self.request(hub, &of, &format!("mgmt/custom/{action}"), Some(&d))
            }
            "firmware" => {
                let (uri, version) = rest
                    .split_once(' ')
                    .ok_or("firmware <type> <id> <uri> <version>")?;
                self.plans.insert(of.clone(), Self::plan(uri, version));
                self.go_on(hub, &of);
                Ok(String::new())
            }
            _ => Err("see help".into()),
        }
    }

    fn help(&self) -> &'static str {
        "\
command <type> <id> <name> <format> <payload>
reboot | factory-reset | download | install <type> <id>
observe | cancel <type> <id> [<field>]      mgmt.firmware, if nothing is named
update <type> <id> <d>                      {\"fields\":[{\"field\":..,\"value\":..}]}
firmware <type> <id> <uri> <version>        an update from details to the end
custom <type> <id> <bundle>/<action> [<d>]
raw <type> <id> <topic behind iotdm-1/> <payload>
device <type> <id> <token>                  let a device in; thermometer t-1 device-token and gateway g-1 gateway-token of
                                            the organization orgid1 are known, and a-orgid1-key application-token
"
    }
}

impl WatsonIot {
    fn take_of_gateway(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict {
        let topic = publish.topic.as_str();
        let of = |rest: &str| {
            let mut parts = rest.strip_prefix("type/")?.splitn(4, '/');
            let (kind, _, id, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            Some(((kind.to_owned(), id.to_owned()), rest.to_owned()))
        };
        if let Some((of, rest)) = topic.strip_prefix("iotdevice-1/").and_then(of) {
            let through = format!("type/{}/id/{}/", of.0, of.1);
            self.manage(hub, link, &of, &through, &rest, publish.payload);
            return Verdict::Acknowledge;
        }
        match topic.strip_prefix("iot-2/").and_then(of) {
            Some((of, rest)) if event(&rest, "evt/").is_some() => {
                // Devices behind a gateway register themselves.
                self.tokens.entry(of.clone()).or_default();
                Self::publish_event(hub, &of, &rest, publish)
            }
            _ => Verdict::Close("276: topic not valid".into()),
        }
    }

    fn take_of_application(&self, hub: &mut Hub, publish: &Publish<'_>) -> Verdict {
        let topic = publish.topic.as_str();
        let parts: Vec<&str> = topic.split('/').collect();
        match parts[..] {
            ["iot-2", "type", kind, "id", id, "cmd", name, "fmt", format] => {
                let of = (kind.to_owned(), id.to_owned());
                self.forward(hub, &of, name, format, publish.payload);
                Verdict::Acknowledge
            }
            ["iot-2", "type", _, "id", _, "evt", _, "fmt", _] => {
                hub.deliver(topic, publish.payload, publish.qos);
                Verdict::Acknowledge
            }
            _ => Verdict::Close("276: topic not valid".into()),
        }
    }

    fn send_command(
        &self,
        hub: &mut Hub,
        of: &(String, String),
        rest: &str,
    ) -> Result<String, String> {
        let mut words = rest.splitn(3, ' ');
        let (Some(name), Some(format)) = (words.next(), words.next()) else {
            return Err("command <type> <id> <name> <format> <payload>".into());
        };
        let payload = words.next().unwrap_or("");
        if self.forward(hub, of, name, format, payload.as_bytes()) {
            Ok(String::new())
        } else {
            Err("it has not subscribed to that".into())
        }
    }

    fn forward(
        &self,
        hub: &mut Hub,
        of: &(String, String),
        name: &str,
        format: &str,
        payload: &[u8],
    ) -> bool {
        let Some((link, through)) = self.link_of(of) else {
            let client_id = format!("d:{}:{}:{}", self.organization, of.0, of.1);
            return hub.keep(
                &client_id,
                &format!("iot-2/cmd/{name}/fmt/{format}"),
                payload,
            );
        };
        let topic = format!("iot-2/{through}cmd/{name}/fmt/{format}");
        send_subscribed(hub, link, &topic, payload)
    }
}

/// Whether the link has subscribed the topic; then it is sent at that QoS, 1 at most.
fn send_subscribed(hub: &mut Hub, link: LinkId, topic: &str, payload: &[u8]) -> bool {
    let Some(qos) = hub.subscribed_qos(link, topic) else {
        return false;
    };
    hub.send(link, topic, payload, qos.min(QoS::AtLeastOnce), false);
    true
}

/// Name and format of an event.
fn event<'t>(topic: &'t str, prefix: &str) -> Option<(&'t str, &'t str)> {
    let (name, format) = topic.strip_prefix(prefix)?.split_once("/fmt/")?;
    let is_level = |level: &str| !level.is_empty() && !level.contains('/');
    (is_level(name) && is_level(format)).then_some((name, format))
}

fn is_name(name: &str) -> bool {
    (1..=36).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The time in ISO 8601.
fn now() -> String {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (mut days, seconds) = (since_1970.as_secs() / 86_400, since_1970.as_secs() % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < len {
            break;
        }
        days -= len;
        month += 1;
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since_1970.subsec_millis();
    let day = days + 1;
    format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}
