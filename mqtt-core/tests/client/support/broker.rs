//! A peer that behaves, keeps its session over broken links, and remembers what it saw.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_core::{
    QoS, Version,
    codec::{Ack, Packet, PacketIdentifier},
};

use super::{
    link::{Link, Net},
    wire,
};

pub struct Broker {
    version: Version,
    /// Keep the session over links.
    pub keep_session: bool,
    /// Use packet identifiers again as soon as they are free.
    pub reuse_ids: bool,
    has_session: bool,
    links: usize,
    /// What arrived, in order: topic, payload.
    pub received: Vec<(String, Vec<u8>)>,
    /// QoS 2 messages between PUBLISH and PUBREL.
    open: BTreeSet<u16>,
    /// Messages for the client that are not finished.
    outgoing: BTreeMap<u64, Outgoing>,
    sent: u64,
    next_id: u16,
    /// Messages whose exchange was finished by the client.
    pub finished: usize,
    pub subscriptions: Vec<String>,
    pub disconnected: bool,
    online: bool,
}

struct Outgoing {
    id: u16,
    qos: QoS,
    topic: String,
    payload: Vec<u8>,
    released: bool,
    offered: bool,
}

impl Broker {
    pub fn new(version: Version) -> Self {
        Self {
            version,
            keep_session: true,
            reuse_ids: false,
            has_session: false,
            links: 0,
            received: Vec::new(),
            open: BTreeSet::new(),
            outgoing: BTreeMap::new(),
            sent: 0,
            next_id: 100,
            finished: 0,
            subscriptions: Vec::new(),
            disconnected: false,
            online: false,
        }
    }

    /// A message for the client. At QoS 0 it is sent if there is a link.
    pub fn publishes(&mut self, qos: QoS, topic: &str, payload: impl AsRef<[u8]>) {
        self.next_id += 1;
        if self.reuse_ids {
            let is_used = |id| self.outgoing.values().any(|o| o.id == id);
            self.next_id = (1..=u16::MAX)
                .find(|id| !is_used(*id))
                .expect("a free identifier");
        }
        self.sent += 1;
        let outgoing = Outgoing {
            id: self.next_id,
            qos,
            topic: topic.into(),
            payload: payload.as_ref().to_vec(),
            released: false,
            offered: false,
        };
        self.outgoing.insert(self.sent, outgoing);
    }

    /// Another device comes, with a network of its own.
    pub fn forget_link(&mut self) {
        self.links = 0;
        self.online = false;
    }

    /// How often each payload arrived.
    pub fn count(&self, payload: &[u8]) -> usize {
        self.received.iter().filter(|(_, p)| p == payload).count()
    }

    /// Nothing is under way in either direction.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty() && self.open.is_empty()
    }

    /// Answers what has come; false if there was nothing.
    pub fn step(&mut self, net: &Net) -> bool {
        let (links, link) = {
            let net = net.lock();
            (net.links.len(), net.links.last().cloned())
        };
        let Some(link) = link else {
            return false;
        };
        if links != self.links {
            self.links = links;
            self.online = false;
        }
        let answers = link.packets(|packet| self.answer(packet));
        let moved = !answers.is_empty();
        if moved {
            link.sends(answers.concat());
        }
        self.offer(&link) || moved
    }

    /// Sends what has not been sent on this link.
    fn offer(&mut self, link: &Link) -> bool {
        if !self.online {
            return false;
        }
        let version = self.version;
        let mut moved = false;
        for outgoing in self.outgoing.values_mut().filter(|o| !o.offered) {
            outgoing.offered = true;
            moved = true;
            link.sends(outgoing.packet(version));
        }
        self.outgoing.retain(|_, o| o.qos != QoS::AtMostOnce);
        moved
    }

    fn answer(&mut self, packet: &Packet<'_>) -> Vec<u8> {
        let version = self.version;
        assert!(
            self.online || matches!(packet, Packet::Connect(_)),
            "{packet:?} before CONNECT"
        );
        assert!(!self.disconnected, "{packet:?} behind DISCONNECT");
        match packet {
            Packet::Connect(connect) => {
                assert!(!self.online, "CONNECT twice");
                self.online = true;
                let present = self.has_session && self.keep_session && !connect.clean_session;
                if !present {
                    self.open.clear();
                    self.subscriptions.clear();
                }
                for outgoing in self.outgoing.values_mut() {
                    outgoing.offered = false;
                }
                self.has_session = true;
                wire::connack_in(version, present)
            }
            Packet::Publish(publish) => {
                let id = publish.packet_identifier.map_or(0, PacketIdentifier::get);
                let new = publish.qos != QoS::ExactlyOnce || self.open.insert(id);
                if new {
                    let topic = publish.topic.as_str().to_owned();
                    self.received.push((topic, publish.payload.to_vec()));
                }
                match publish.qos {
                    QoS::AtMostOnce => Vec::new(),
                    QoS::AtLeastOnce => wire::puback(id),
                    QoS::ExactlyOnce => wire::pubrec(id),
                }
            }
            Packet::PubRel(ack) => {
                self.open.remove(&ack.packet_identifier.get());
                wire::pubcomp(ack.packet_identifier.get())
            }
            Packet::PubAck(ack) => self.finish(ack, QoS::AtLeastOnce),
            Packet::PubComp(ack) => self.finish(ack, QoS::ExactlyOnce),
            Packet::PubRec(ack) => {
                let id = ack.packet_identifier.get();
                let outgoing = self.outgoing.values_mut().find(|o| o.id == id);
                let outgoing = outgoing.expect("PUBREC for a message");
                assert_eq!(outgoing.qos, QoS::ExactlyOnce);
                outgoing.released = true;
                wire::pubrel(id)
            }
            Packet::Subscribe(subscribe) => {
                let codes: Vec<u8> = subscribe.filters.iter().map(|f| f.qos as u8).collect();
                for filter in subscribe.filters.iter() {
                    self.subscriptions.push(filter.filter.as_str().into());
                }
                wire::suback(version, subscribe.packet_identifier.get(), &codes)
            }
            Packet::Unsubscribe(unsubscribe) => {
                let codes: Vec<u8> = unsubscribe.filters.iter().map(|_| 0).collect();
                let codes = if version.is_v5() { &codes[..] } else { &[] };
                wire::unsuback(version, unsubscribe.packet_identifier.get(), codes)
            }
            Packet::PingReq => wire::PINGRESP.to_vec(),
            Packet::Disconnect(_) => {
                self.disconnected = true;
                Vec::new()
            }
            other => panic!("a client does not send {other:?}"),
        }
    }

    fn finish(&mut self, ack: &Ack<'_>, qos: QoS) -> Vec<u8> {
        let id = ack.packet_identifier.get();
        let before = self.outgoing.len();
        self.outgoing.retain(|_, o| o.id != id || o.qos != qos);
        self.finished += before - self.outgoing.len();
        Vec::new()
    }
}

impl Outgoing {
    fn packet(&self, version: Version) -> Vec<u8> {
        if self.released {
            return wire::pubrel(self.id);
        }
        wire::publish_in(
            version,
            self.qos,
            self.id,
            false,
            &self.topic,
            &self.payload,
        )
    }
}
