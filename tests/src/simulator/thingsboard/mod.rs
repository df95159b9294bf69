//! The MQTT transport of ThingsBoard.

mod checksum;
mod gateway;
mod json;
mod operator;
mod ota;
mod provisioning;
mod topics;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use mqtt_core::codec::{Connect, Publish, QoS, ReasonCode};
use serde_json::{Map, Value, json};

use super::{Admission, Hub, LinkId, Platform, Verdict, rates::Rate};
use ota::{Answer, Downloads, Faults, Package};
use topics::{Flavour, Uplink};

/// The longest packet behind its fixed header.
const MAX_PACKET: usize = 65_536;

/// A client-side RPC ends by then.
const RPC_LIMIT: Duration = Duration::from_mins(1);

pub(super) struct ThingsBoard {
    devices: BTreeMap<String, Device>,
    provision_key: String,
    provision_secret: String,
    links: HashMap<LinkId, Link>,
    faults: Faults,
    /// What the rule chain answers to calls of devices, by method.
    rpc_replies: HashMap<String, Value>,
    /// Calls of devices that nobody answers.
    unanswered: Vec<(Instant, LinkId, String)>,
    limits: Option<(usize, Duration)>,
    last_rpc: u32,
}

#[derive(Default)]
struct Device {
    credentials: Credentials,
    is_gateway: bool,
    client: Map<String, Value>,
    shared: Map<String, Value>,
    firmware: Option<Package>,
    software: Option<Package>,
    /// Calls of the server that wait for an answer: number, method and parameters.
    calls: BTreeMap<u32, Value>,
}

#[derive(Clone, PartialEq, Eq)]
enum Credentials {
    Token(String),
    /// Client identifier, user name and password, where they are set.
    Basic(Option<String>, Option<String>, Option<String>),
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Token(String::new())
    }
}

struct Link {
    /// Nothing while it only provisions.
    device: Option<String>,
    downloads: Downloads,
    /// How attribute updates and calls are spelled to it: as in its last subscription.
    updates: Flavour,
    calls: Flavour,
    rate: Option<Rate>,
    /// A connection that provisions is closed a minute after its answer.
    ends: Option<Instant>,
}

impl ThingsBoard {
    pub(super) fn new() -> Self {
        let device = |token: &str, is_gateway| Device {
            credentials: Credentials::Token(token.into()),
            is_gateway,
            ..Device::default()
        };
        Self {
            devices: BTreeMap::from([
                ("thermometer".to_owned(), device("A1_TEST_TOKEN", false)),
                ("gateway".to_owned(), device("GATEWAY_TOKEN", true)),
            ]),
            provision_key: "provision-key".into(),
            provision_secret: "provision-secret".into(),
            links: HashMap::new(),
            faults: Faults::default(),
            rpc_replies: HashMap::new(),
            unanswered: Vec::new(),
            limits: None,
            last_rpc: 0,
        }
    }

    /// The device that somebody is.
    fn identify(&self, connect: &Connect<'_>) -> Option<String> {
        let password = connect
            .password
            .and_then(|password| core::str::from_utf8(password).ok());
        let by_token = self.devices.iter().find(|(_, device)| {
            matches!(&device.credentials, Credentials::Token(token) if Some(token.as_str()) == connect.user_name)
        });
        let matches = |set: &Option<String>, given: Option<&str>| {
            set.as_deref().is_none_or(|set| Some(set) == given)
        };
        let basic = || {
            self.devices
                .iter()
                .find(|(_, device)| match &device.credentials {
                    Credentials::Basic(id, user, secret) => {
                        matches(id, Some(connect.client_id))
                            && matches(user, connect.user_name)
                            && matches(secret, password)
                    }
                    Credentials::Token(_) => false,
                })
        };
        by_token.or_else(basic).map(|(name, _)| name.clone())
    }

    fn device_of(&mut self, link: LinkId) -> Option<&mut Device> {
        let name = self.links.get(&link)?.device.as_ref()?;
        self.devices.get_mut(name)
    }

    fn link_of(&self, device: &str) -> Option<LinkId> {
        let mut links = self.links.iter();
        links
            .find(|(_, link)| link.device.as_deref() == Some(device))
            .map(|(id, _)| *id)
    }

    fn take(&mut self, hub: &mut Hub, link: LinkId, uplink: Uplink, payload: &[u8]) -> Verdict {
        match uplink {
            Uplink::Telemetry => self.take_telemetry(hub, link, payload),
            Uplink::Attributes => self.take_attributes(hub, link, payload),
            Uplink::AttributeRequest(flavour, id) => {
                self.answer_attributes(hub, link, flavour, id, payload)
            }
            Uplink::RpcReply(id) => self.take_reply(hub, link, id, payload),
            Uplink::Rpc(flavour, id) => self.answer_rpc(hub, link, flavour, id, payload),
            Uplink::Claim => match payload {
                [] => Verdict::PubAck,
                payload => match json::object(payload) {
                    Some(_) => Verdict::PubAck,
                    None => malformed(),
                },
            },
            Uplink::Chunk {
                software,
                request,
                chunk,
            } => self.answer_chunk(hub, link, software, request, chunk, payload),
            Uplink::Gateway(topic) => match self.device_of(link) {
                Some(device) if device.is_gateway => {
                    self.take_of_gateway(hub, link, &topic, payload)
                }
                // Ignored without any acknowledgement.
                _ => Verdict::Silence,
            },
        }
    }

    fn take_telemetry(&mut self, hub: &mut Hub, link: LinkId, payload: &[u8]) -> Verdict {
        let Some(values) = json::telemetry(payload) else {
            return malformed();
        };
        let device = self.name_of(link);
        hub.note(format!("telemetry of {device}: {values}"));
        Verdict::PubAck
    }

    fn take_attributes(&mut self, hub: &mut Hub, link: LinkId, payload: &[u8]) -> Verdict {
        let Some(values) = json::object(payload) else {
            return malformed();
        };
        let name = self.name_of(link);
        hub.note(format!(
            "attributes of {name}: {}",
            Value::Object(values.clone())
        ));
        if let Some(device) = self.device_of(link) {
            device.client.extend(values);
        }
        Verdict::PubAck
    }

    fn answer_attributes(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        flavour: Flavour,
        id: u32,
        payload: &[u8],
    ) -> Verdict {
        let Some(request) = json::object(payload) else {
            return malformed();
        };
        let keys = |member: &str| match request.get(member) {
            None => Some(None),
            Some(Value::String(keys)) => {
                Some(Some(keys.split(',').map(str::to_owned).collect::<Vec<_>>()))
            }
            Some(_) => None,
        };
        let (Some(client), Some(shared)) = (keys("clientKeys"), keys("sharedKeys")) else {
            return malformed();
        };
        let all = client.is_none() && shared.is_none();
        let Some(device) = self.device_of(link) else {
            return Verdict::Silence;
        };
        let mut response = Map::new();
        let scopes = [
            ("client", client, &device.client),
            ("shared", shared, &device.shared),
        ];
        for (name, keys, values) in scopes {
            let wanted = |key: &String| all || keys.as_ref().is_some_and(|keys| keys.contains(key));
            let found: Map<_, _> = values
                .iter()
                .filter(|(key, _)| wanted(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if !found.is_empty() {
                response.insert(name.into(), found.into());
            }
        }
        let topic = flavour.attribute_response(id);
        Self::send(
            hub,
            link,
            &topic,
            &flavour.attribute_response_filter(),
            Value::Object(response).to_string().as_bytes(),
        );
        Verdict::PubAck
    }

    fn take_reply(&mut self, hub: &mut Hub, link: LinkId, id: u32, payload: &[u8]) -> Verdict {
        let name = self.name_of(link);
        let text = String::from_utf8_lossy(payload);
        let is_json = serde_json::from_slice::<Value>(payload).is_ok();
        let status = if is_json { "" } else { " (no JSON: 406)" };
        hub.note(format!("reply of {name} to {id}: {text}{status}"));
        if let Some(device) = self.device_of(link) {
            device.calls.remove(&id);
        }
        Verdict::PubAck
    }

    fn answer_rpc(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        flavour: Flavour,
        id: u32,
        payload: &[u8],
    ) -> Verdict {
        let request = json::object(payload).unwrap_or_default();
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return malformed();
        };
        let topic = flavour.rpc_response(id);
        let reply = if method == "getSessionLimits" && flavour == Flavour::V1 {
            self.session_limits(link)
        } else {
            let Some(reply) = self.rpc_replies.get(method) else {
                let due = Instant::now() + RPC_LIMIT;
                self.unanswered.push((due, link, topic));
                return Verdict::PubAck;
            };
            reply.clone()
        };
        Self::send(
            hub,
            link,
            &topic,
            &flavour.rpc_response_filter(),
            reply.to_string().as_bytes(),
        );
        Verdict::PubAck
    }

    fn session_limits(&mut self, link: LinkId) -> Value {
        let rate = self
            .limits
            .map(|(count, span)| format!("{count}:{}", span.as_secs()));
        let rates = json!({"messages": rate, "telemetryMessages": rate, "telemetryDataPoints": Value::Null});
        let mut limits =
            json!({"maxPayloadSize": MAX_PACKET, "maxInflightMessages": 100, "rateLimits": rates});
        if self.device_of(link).is_some_and(|device| device.is_gateway) {
            limits["gatewayRateLimits"] = rates;
        }
        limits
    }

    fn answer_chunk(
        &mut self,
        hub: &mut Hub,
        link: LinkId,
        software: bool,
        request: u32,
        chunk: u32,
        payload: &[u8],
    ) -> Verdict {
        let Some(at) = self.links.get_mut(&link) else {
            return Verdict::Silence;
        };
        let device = at.device.as_ref().and_then(|name| self.devices.get(name));
        let assigned = device.and_then(|device| {
            if software {
                &device.software
            } else {
                &device.firmware
            }
            .as_ref()
        });
        let kind = if software { "sw" } else { "fw" };
        let answer = at
            .downloads
            .request(request, chunk, payload, assigned, &mut self.faults);
        match answer {
            Answer::Chunks(chunks) => {
                let topic = format!("v2/{kind}/response/{request}/chunk/{chunk}");
                let filter = format!("v2/{kind}/response/+/chunk/+");
                for bytes in chunks {
                    Self::send(hub, link, &topic, &filter, &bytes);
                }
                Verdict::PubAck
            }
            Answer::Error(text) => {
                // Also for software.
                Self::send(hub, link, "v2/fw/error", "v2/fw/error", text.as_bytes());
                Verdict::Close(text.into())
            }
            Answer::Close => Verdict::Close("closed at a chunk".into()),
            Answer::Nothing => Verdict::PubAck,
        }
    }

    /// Sends to a link whether it has subscribed or not, as the server does: at QoS 1 if it has not.
    fn send(hub: &mut Hub, link: LinkId, topic: &str, filter: &str, payload: &[u8]) {
        let qos = hub.filter_qos(link, filter).unwrap_or(QoS::AtLeastOnce);
        hub.send(link, topic, payload, qos, false);
    }

    /// Tells a device of its shared attributes; only if it has subscribed.
    fn update(&self, hub: &mut Hub, device: &str, update: &Value) {
        let Some(link) = self.link_of(device) else {
            return;
        };
        let topic = self.links[&link].updates.attributes();
        if let Some(qos) = hub.filter_qos(link, topic) {
            hub.send(link, topic, update.to_string().as_bytes(), qos, false);
        }
    }

    /// Sends a call, if the device has subscribed to calls. Those that wait are sent with each subscription.
    fn call(&self, hub: &mut Hub, link: LinkId, id: u32, call: &Value) -> bool {
        let flavour = self.links[&link].calls;
        let Some(qos) = hub.filter_qos(link, &flavour.rpc_request_filter()) else {
            return false;
        };
        hub.send(
            link,
            &flavour.rpc_request(id),
            call.to_string().as_bytes(),
            qos,
            false,
        );
        true
    }

    fn name_of(&self, link: LinkId) -> String {
        let device = self.links.get(&link).and_then(|link| link.device.clone());
        device.unwrap_or_default()
    }
}

impl Platform for ThingsBoard {
    fn connect(&mut self, hub: &mut Hub, link: LinkId, connect: &Connect<'_>) -> Admission {
        let provisions = connect.user_name == Some("provision") || connect.client_id == "provision";
        let device = if provisions {
            None
        } else {
            let Some(device) = self.identify(connect) else {
                return match (connect.user_name, connect.password) {
                    (None, None) if !connect.client_id.is_empty() => {
                        Admission::Refuse(2, ReasonCode::CLIENT_IDENTIFIER_NOT_VALID)
                    }
                    (None, None) => Admission::Refuse(5, ReasonCode::NOT_AUTHORIZED),
                    _ => Admission::Refuse(5, ReasonCode::BAD_USER_NAME_OR_PASSWORD),
                };
            };
            if let Some(older) = self.link_of(&device) {
                hub.close(older, "taken over");
                self.links.remove(&older);
            }
            Some(device)
        };
        let new = Link {
            device,
            downloads: Downloads::default(),
            updates: Flavour::V1,
            calls: Flavour::V1,
            rate: self.limits.map(|(count, span)| Rate::new(count, span)),
            ends: None,
        };
        self.links.insert(link, new);
        Admission::Accept {
            // A lie: no session is kept.
            session_present: !connect.clean_session,
        }
    }

    fn subscribe(
        &mut self,
        _: &mut Hub,
        link: LinkId,
        filter: &str,
        qos: QoS,
    ) -> Result<QoS, Option<ReasonCode>> {
        let Some(at) = self.links.get_mut(&link) else {
            return Err(None);
        };
        let is_known = match &at.device {
            None => filter == "/provision/response",
            Some(_) => topics::is_filter(filter),
        };
        if !is_known {
            return Err(Some(ReasonCode::TOPIC_FILTER_INVALID));
        }
        for flavour in Flavour::ALL {
            if filter == flavour.attributes() {
                at.updates = flavour;
            }
            if filter == flavour.rpc_request_filter() {
                at.calls = flavour;
            }
        }
        Ok(qos.min(QoS::AtLeastOnce))
    }

    fn subscribed(&mut self, hub: &mut Hub, link: LinkId, filter: &str) {
        if !Flavour::ALL
            .iter()
            .any(|flavour| filter == flavour.rpc_request_filter())
        {
            return;
        }
        let calls = self.device_of(link).map(|device| device.calls.clone());
        for (id, call) in calls.unwrap_or_default() {
            self.call(hub, link, id, &call);
        }
    }

    fn publish(&mut self, hub: &mut Hub, link: LinkId, publish: &Publish<'_>) -> Verdict {
        let topic = publish.topic.as_str();
        let identifier_len = if publish.qos == QoS::AtMostOnce { 0 } else { 2 };
        if 2 + topic.len() + identifier_len + publish.payload.len() > MAX_PACKET {
            return Verdict::Close("packet too large".into());
        }
        let Some(at) = self.links.get_mut(&link) else {
            return Verdict::Silence;
        };
        if at.rate.as_mut().is_some_and(|rate| !rate.admit()) {
            return Verdict::Close("too many messages".into());
        }
        if at.device.is_none() {
            return match topic {
                "/provision/request" => self.provision(hub, link, publish.payload),
                _ => Verdict::Close("only provisioning is allowed".into()),
            };
        }
        match topics::uplink(topic) {
            Ok(Some(uplink)) => self.take(hub, link, uplink, publish.payload),
            Ok(None) => {
                hub.note(format!("ignored a message to {topic}"));
                if hub.is_v5(link) {
                    Verdict::Code(ReasonCode::TOPIC_NAME_INVALID)
                } else {
                    Verdict::PubAck
                }
            }
            Err(topics::BadNumber) => Verdict::Close("bad number in the topic".into()),
        }
    }

    fn closed(&mut self, _: &mut Hub, link: LinkId, _: bool) {
        self.links.remove(&link);
    }

    fn tick(&mut self, hub: &mut Hub) {
        let now = Instant::now();
        let (due, later) = core::mem::take(&mut self.unanswered)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.unanswered = later;
        let due: Vec<(Instant, LinkId, String)> = due;
        for (_, link, topic) in due {
            hub.send(
                link,
                &topic,
                br#"{"error":"timeout"}"#,
                QoS::AtLeastOnce,
                false,
            );
        }
        for (link, at) in &self.links {
            if at.ends.is_some_and(|end| end <= now) {
                hub.close(*link, "a minute after provisioning");
            }
        }
    }

    fn web_socket_path(&self) -> Option<&'static str> {
        None
    }

    fn command(&mut self, hub: &mut Hub, order: &str) -> Result<String, String> {
        self.obey(hub, order)
    }

    fn help(&self) -> &'static str {
        operator::HELP
    }
}

/// On 3.1.1 the link ends; with the reason it can be told on MQTT 5.
fn malformed() -> Verdict {
    Verdict::CodeOrClose(
        ReasonCode::PAYLOAD_FORMAT_INVALID,
        "malformed payload".into(),
    )
}
