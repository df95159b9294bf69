//! The links, and what is sent over them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::Write as _,
    mem::take,
    net::{Shutdown, TcpStream},
};

use mqtt_core::codec::{
    Ack, ConnAck, Packet, PacketIdentifier, PacketType, Properties, Publish, QoS, ReasonCode,
    TopicFilter, TopicName, Version,
};

use super::Event;

/// Names a link; never used twice.
pub type LinkId = u64;

pub(crate) type Listener = Box<dyn Fn(&Event) + Send>;

/// Events that are kept for those who ask later: a simulator may run for days.
const MAX_EVENTS: usize = 10_000;

/// Messages that wait for a client that is away, and may never come back.
const MAX_WAITING: usize = 1_000;

/// All links of a server, its stored sessions and what was ordered to fail.
pub struct Hub {
    links: BTreeMap<LinkId, Link>,
    /// Of clients that connected with `clean_session` false, by client identifier.
    sessions: HashMap<String, Session>,
    /// The latest, oldest first.
    events: VecDeque<Event>,
    listener: Option<Listener>,
    is_stopped: bool,
    close_after_sent: Option<usize>,
    close_after_received: Option<usize>,
    last_id: LinkId,
}

#[derive(Clone, Debug, Default)]
struct Session {
    subscriptions: Vec<(String, QoS)>,
    /// Messages for a client that is away.
    waiting: Vec<(String, Vec<u8>)>,
}

struct Link {
    stream: TcpStream,
    version: Version,
    client_id: String,
    clean_session: bool,
    subscriptions: Vec<(String, QoS)>,
    next_identifier: u16,
    /// Topics of messages whose PUBACK or PUBCOMP is due, by packet identifier.
    unacknowledged: HashMap<u16, String>,
    /// QoS 2 messages whose PUBREL is due.
    received: Vec<u16>,
    sent_len: usize,
    received_len: usize,
    /// Why it is closed, once it is.
    closed: Option<String>,
}

impl core::fmt::Debug for Hub {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            links: BTreeMap::new(),
            sessions: HashMap::new(),
            events: VecDeque::new(),
            listener: None,
            is_stopped: false,
            close_after_sent: None,
            close_after_received: None,
            last_id: 0,
        }
    }

    /// Sends a message to a link, whatever it has subscribed. A link that is gone takes nothing.
    pub fn send(&mut self, link: LinkId, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let Some(to) = self.links.get_mut(&link) else {
            return;
        };
        let Ok(name) = TopicName::new(topic) else {
            return self.note(format!("cannot publish to {topic}"));
        };
        let mut publish = Publish::new(name, payload);
        publish.qos = qos;
        publish.retain = retain;
        if qos != QoS::AtMostOnce {
            let identifier = to.allocate();
            publish.packet_identifier = Some(identifier);
            to.unacknowledged.insert(identifier.get(), topic.to_owned());
        }
        self.send_packet(link, &Packet::Publish(publish));
    }

    /// Sends a message to all who have subscribed it, and keeps it for stored sessions, as a plain broker does.
    pub fn deliver(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            if let Some(granted) = self.subscribed_qos(link, topic) {
                self.send(link, topic, payload, granted.min(qos), false);
            }
        }
        if qos == QoS::AtMostOnce {
            return;
        }
        let clients: Vec<String> = self.sessions.keys().cloned().collect();
        for client_id in clients {
            self.keep(&client_id, topic, payload);
        }
    }

    /// Keeps a message for a client that is away and has a stored session with a subscription to it.
    pub fn keep(&mut self, client_id: &str, topic: &str, payload: &[u8]) -> bool {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return false;
        };
        let mut subscriptions = session.subscriptions.iter();
        let is_wanted = subscriptions
            .any(|(filter, granted)| matches(filter, topic) && *granted > QoS::AtMostOnce);
        if is_wanted && session.waiting.len() < MAX_WAITING {
            session.waiting.push((topic.to_owned(), payload.to_vec()));
        }
        is_wanted
    }

    /// The highest QoS at which a link has subscribed a topic.
    #[must_use]
    pub fn subscribed_qos(&self, link: LinkId, topic: &str) -> Option<QoS> {
        let subscriptions = &self.links.get(&link)?.subscriptions;
        let granted = subscriptions
            .iter()
            .filter(|(filter, _)| matches(filter, topic));
        granted.map(|(_, qos)| *qos).max()
    }

    /// The QoS at which a link has subscribed exactly this filter.
    #[must_use]
    pub fn filter_qos(&self, link: LinkId, filter: &str) -> Option<QoS> {
        let subscriptions = &self.links.get(&link)?.subscriptions;
        subscriptions
            .iter()
            .find(|(of, _)| of == filter)
            .map(|(_, qos)| *qos)
    }

    /// Closes a link without a word.
    pub fn close(&mut self, link: LinkId, reason: &str) {
        if let Some(link) = self.links.get_mut(&link)
            && link.closed.is_none()
        {
            link.closed = Some(reason.to_owned());
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }

    /// Closes the links of a client identifier, but for one.
    pub fn take_over(&mut self, client_id: &str, but: LinkId) {
        let same = self
            .links
            .iter()
            .filter(|(id, link)| **id != but && link.client_id == client_id);
        for id in same.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close(id, "taken over");
        }
    }

    /// Says something that tests and operators can see.
    pub fn note(&mut self, text: String) {
        self.record(Event::Note(text));
    }

    /// Whether the link speaks MQTT 5.
    #[must_use]
    pub fn is_v5(&self, link: LinkId) -> bool {
        self.links
            .get(&link)
            .is_some_and(|link| link.version == Version::V5)
    }

    /// The client identifier of a link.
    #[must_use]
    pub fn client_id(&self, link: LinkId) -> &str {
        self.links.get(&link).map_or("", |link| &link.client_id)
    }

    /// Why the server closes a link, if it does.
    #[must_use]
    pub fn closing(&self, link: LinkId) -> Option<&str> {
        self.links.get(&link)?.closed.as_deref()
    }

    /// Whether the client connected with `clean_session`.
    #[must_use]
    pub fn is_clean(&self, link: LinkId) -> bool {
        self.links.get(&link).is_none_or(|link| link.clean_session)
    }

    /// Takes over the stored session of the client, or begins a new one. Whether there was one.
    pub fn resume(&mut self, link: LinkId) -> bool {
        let Some(at) = self.links.get_mut(&link) else {
            return false;
        };
        if at.clean_session {
            self.sessions.remove(&at.client_id);
            return false;
        }
        // What has waited stays until CONNACK is sent.
        let Some(session) = self.sessions.get_mut(&at.client_id) else {
            return false;
        };
        at.subscriptions = take(&mut session.subscriptions);
        true
    }

    /// Sends what has waited for a client.
    pub(crate) fn send_waiting(&mut self, link: LinkId) {
        let client_id = self.client_id(link).to_owned();
        if let Some(session) = self.sessions.remove(&client_id) {
            for (topic, payload) in session.waiting {
                self.send(link, &topic, &payload, QoS::AtLeastOnce, false);
            }
        }
    }

    pub(crate) fn open(&mut self, stream: TcpStream) -> LinkId {
        self.last_id += 1;
        self.links.insert(self.last_id, Link::new(stream));
        if self.is_stopped {
            self.close(self.last_id, "stopped");
        }
        self.last_id
    }

    /// Closes all links, and those that come.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.close(link, "stopped");
        }
    }

    pub(crate) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(crate) fn begin(&mut self, link: LinkId, version: Version, client_id: &str, clean: bool) {
        if let Some(link) = self.links.get_mut(&link) {
            link.version = version;
            client_id.clone_into(&mut link.client_id);
            link.clean_session = clean;
        }
    }

    /// Forgets a link. A session that is to be kept is stored.
    pub(crate) fn end(&mut self, link: LinkId, reason: &str) {
        let Some(link) = self.links.remove(&link) else {
            return;
        };
        let _ = link.stream.shutdown(Shutdown::Both);
        if !link.clean_session {
            let session = self.sessions.entry(link.client_id.clone()).or_default();
            session.subscriptions = link.subscriptions;
        }
        let reason = link.closed.unwrap_or_else(|| reason.to_owned());
        self.record(Event::Closed {
            client_id: link.client_id,
            reason,
        });
    }

    pub(crate) fn version(&self, link: LinkId) -> Version {
        self.links
            .get(&link)
            .map_or(Version::V3_1_1, |link| link.version)
    }

    pub(crate) fn is_open(&self, link: LinkId) -> bool {
        self.links
            .get(&link)
            .is_some_and(|link| link.closed.is_none())
    }

    pub(crate) fn connack(&mut self, link: LinkId, session_present: bool, code: ReasonCode) {
        let connack = ConnAck {
            session_present,
            code,
            properties: Properties::NONE,
        };
        self.send_packet(link, &Packet::ConnAck(connack));
    }

    pub(crate) fn add_subscription(&mut self, link: LinkId, filter: &str, qos: QoS) {
        if let Some(link) = self.links.get_mut(&link) {
            link.subscriptions.retain(|(of, _)| of != filter);
            link.subscriptions.push((filter.to_owned(), qos));
        }
    }

    pub(crate) fn remove_subscription(&mut self, link: LinkId, filter: &str) {
        if let Some(link) = self.links.get_mut(&link) {
            link.subscriptions.retain(|(of, _)| of != filter);
        }
    }

    pub(crate) fn ack(
        &mut self,
        link: LinkId,
        kind: PacketType,
        identifier: PacketIdentifier,
        code: ReasonCode,
    ) {
        let mut ack = Ack::new(identifier);
        if self.is_v5(link) {
            ack.code = code;
        }
        self.send_packet(
            link,
            &match kind {
                PacketType::PubRec => Packet::PubRec(ack),
                PacketType::PubRel => Packet::PubRel(ack),
                PacketType::PubComp => Packet::PubComp(ack),
                _ => Packet::PubAck(ack),
            },
        );
    }

    /// Remembers a QoS 2 message; whether it is new.
    pub(crate) fn receive_once(&mut self, link: LinkId, identifier: u16) -> bool {
        let Some(link) = self.links.get_mut(&link) else {
            return false;
        };
        let is_new = !link.received.contains(&identifier);
        if is_new {
            link.received.push(identifier);
        }
        is_new
    }

    pub(crate) fn release(&mut self, link: LinkId, identifier: u16) {
        if let Some(link) = self.links.get_mut(&link) {
            link.received.retain(|of| *of != identifier);
        }
    }

    pub(crate) fn acknowledged(&mut self, link: LinkId, identifier: u16) {
        let topic = self
            .links
            .get_mut(&link)
            .and_then(|link| link.unacknowledged.remove(&identifier));
        if let Some(topic) = topic {
            self.record(Event::Acknowledged { topic });
        }
    }

    pub(crate) fn send_packet(&mut self, link: LinkId, packet: &Packet<'_>) {
        let mut bytes = vec![0; 2 * 1024 * 1024];
        let version = self.version(link);
        match packet.encode(version, &mut bytes) {
            Ok(len) => self.send_bytes(link, &bytes[..len]),
            Err(error) => self.note(format!("cannot encode: {error}")),
        }
    }

    /// Sends bytes, as many as the order to close leaves.
    pub(crate) fn send_bytes(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(to) = self.links.get_mut(&link) else {
            return;
        };
        let allowed = self
            .close_after_sent
            .map_or(usize::MAX, |at| at.saturating_sub(to.sent_len));
        let len = bytes.len().min(allowed);
        to.sent_len += len;
        let written = to.stream.write_all(&bytes[..len]).is_ok();
        if len < bytes.len() || allowed == len {
            self.close_after_sent = None;
            self.close(link, "closed by order");
        } else if !written {
            self.close(link, "cannot be written to");
        }
    }

    /// Counts bytes that have come; as many as the order to close leaves are to be looked at.
    pub(crate) fn count_received(&mut self, link: LinkId, len: usize) -> usize {
        let Some(from) = self.links.get_mut(&link) else {
            return 0;
        };
        let allowed = self
            .close_after_received
            .map_or(usize::MAX, |at| at.saturating_sub(from.received_len));
        from.received_len += len;
        if allowed <= len {
            self.close_after_received = None;
            self.close(link, "closed by order");
        }
        len.min(allowed)
    }

    /// The commands that all platforms share; `None` for others.
    pub(crate) fn command(&mut self, line: &str) -> Option<Result<String, String>> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let number = rest.parse().map_err(|_| format!("{verb} <bytes>"));
        match verb {
            "close" => {
                let all = self
                    .links
                    .iter()
                    .filter(|(_, link)| rest.is_empty() || link.client_id == rest);
                for link in all.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.close(link, "closed by order");
                }
            }
            "close-after-sent" => match number {
                Ok(len) => self.close_after_sent = Some(len),
                Err(error) => return Some(Err(error)),
            },
            "close-after-received" => match number {
                Ok(len) => self.close_after_received = Some(len),
                Err(error) => return Some(Err(error)),
            },
            _ => return None,
        }
        Some(Ok(String::new()))
    }

    pub(crate) fn record(&mut self, event: Event) {
        if let Some(listener) = &self.listener {
            listener(&event);
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(crate) fn set_listener(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// The latest ones that were not forgotten, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// The first such event, which is forgotten with those before it.
    pub(crate) fn take_event(&mut self, is_it: impl Fn(&Event) -> bool) -> Option<Event> {
        let at = self.events.iter().position(is_it)?;
        self.events.drain(..=at).next_back()
    }
}

impl Link {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            version: Version::V3_1_1,
            client_id: String::new(),
            clean_session: true,
            subscriptions: Vec::new(),
            next_identifier: 1,
            unacknowledged: HashMap::new(),
            received: Vec::new(),
            sent_len: 0,
            received_len: 0,
            closed: None,
        }
    }

    fn allocate(&mut self) -> PacketIdentifier {
        loop {
            let identifier = PacketIdentifier::new(self.next_identifier);
            self.next_identifier = self.next_identifier.wrapping_add(1);
            if let Some(identifier) = identifier {
                return identifier;
            }
        }
    }
}

fn matches(filter: &str, topic: &str) -> bool {
    TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: usize) -> Event {
        Event::Note(number.to_string())
    }

    #[test]
    fn only_the_latest_events_are_kept() {
        let mut hub = Hub::new();
        for number in 0..3 * MAX_EVENTS {
            hub.record(note(number));
        }
        assert_eq!(hub.events().count(), MAX_EVENTS);
        assert_eq!(hub.events().next(), Some(&note(2 * MAX_EVENTS)));
        let last = note(3 * MAX_EVENTS - 1);
        assert_eq!(hub.take_event(|event| *event == last), Some(last));
        assert_eq!(hub.events().count(), 0);
    }
}
