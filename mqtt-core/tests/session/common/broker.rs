//! A server of the mind: it keeps a session, answers, repeats what the standard says, and remembers what it got.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_core::{
    Message,
    codec::{FixedHeader, Packet, PacketIdentifier, QoS, Version},
};

use super::{
    PINGRESP, connack, decode, puback, pubcomp, publish, pubrec, pubrel, suback, unsuback,
};

/// A message of the server's on its way to the client.
#[derive(Clone)]
struct Outgoing {
    id: u16,
    qos: QoS,
    payload: Vec<u8>,
    released: bool,
    sent: bool,
}

pub(crate) struct Broker {
    version: Version,
    /// Messages that arrived, in order, as often as they counted.
    pub(crate) arrived: Vec<Vec<u8>>,
    /// QoS 2 messages of the client's between PUBLISH and PUBREL.
    open: BTreeSet<u16>,
    outgoing: Vec<Outgoing>,
    /// Payload by identifier of what was sent on this link, to check repetitions.
    first_sent: BTreeMap<u16, Vec<u8>>,
    /// Received and not yet a packet.
    input: Vec<u8>,
    /// To be sent.
    pub(crate) output: Vec<u8>,
    has_session: bool,
}

impl Broker {
    /// With messages for the client: QoS and payload of each. Identifiers count from 1.
    pub(crate) fn new(version: Version, messages: &[(QoS, &[u8])]) -> Self {
        let outgoing = messages
            .iter()
            .zip(1..)
            .map(|((qos, payload), id)| Outgoing {
                id,
                qos: *qos,
                payload: payload.to_vec(),
                released: false,
                sent: false,
            });
        Self {
            version,
            arrived: Vec::new(),
            open: BTreeSet::new(),
            outgoing: outgoing.collect(),
            first_sent: BTreeMap::new(),
            input: Vec::new(),
            output: Vec::new(),
            has_session: false,
        }
    }

    /// Whether all messages for the client were acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// The link is gone; with it, perhaps, the session.
    pub(crate) fn link_lost(&mut self, keeps_session: bool) {
        self.input.clear();
        self.output.clear();
        if !keeps_session {
            self.open.clear();
            self.first_sent.clear();
            self.has_session = false;
            for message in &mut self.outgoing {
                // As a new session gets retained messages: all of them, from the beginning.
                message.sent = false;
                message.released = false;
            }
        }
    }

    pub(crate) fn receives(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some((header, len)) =
            FixedHeader::decode(&self.input, self.version).expect("a header")
        {
            let end = len + header.remaining_length as usize;
            if end > self.input.len() {
                return;
            }
            let packet: Vec<u8> = self.input.drain(..end).collect();
            self.handle(&decode(&packet, self.version));
        }
    }

    fn handle(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect(_) => self.accept(),
            Packet::Publish(publish) => {
                let id = publish.packet_identifier.map_or(0, PacketIdentifier::get);
                self.take(publish.qos, id, publish.dup, publish.payload);
            }
            Packet::PubRel(ack) => {
                let id = ack.packet_identifier.get();
                self.open.remove(&id);
                self.first_sent.remove(&id);
                self.output.extend(pubcomp(id));
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                let id = ack.packet_identifier.get();
                self.outgoing.retain(|message| message.id != id);
            }
            Packet::PubRec(ack) => {
                let id = ack.packet_identifier.get();
                let message = self.outgoing.iter_mut().find(|message| message.id == id);
                message.expect("a message that was sent").released = true;
                self.output.extend(pubrel(id));
            }
            Packet::Subscribe(subscribe) => {
                let id = subscribe.packet_identifier.get();
                let codes: Vec<u8> = subscribe.filters.iter().map(|_| 0).collect();
                self.output.extend(suback(self.version, id, &codes));
            }
            Packet::Unsubscribe(unsubscribe) => {
                let id = unsubscribe.packet_identifier.get();
                let codes: Vec<u8> = unsubscribe.filters.iter().map(|_| 0).collect();
                self.output.extend(unsuback(self.version, id, &codes));
            }
            Packet::PingReq => self.output.extend(PINGRESP),
            other => panic!("not expected from a client: {other:?}"),
        }
    }

    fn accept(&mut self) {
        self.output.extend(connack(self.version, self.has_session));
        self.has_session = true;
        for message in &mut self.outgoing {
            if message.released {
                self.output.extend(pubrel(message.id));
                continue;
            }
            let content = Message::new("down", &message.payload).qos(message.qos);
            let bytes = publish(self.version, &content, message.id, message.sent);
            self.output.extend(bytes);
            message.sent = true;
        }
    }

    fn take(&mut self, qos: QoS, id: u16, dup: bool, payload: &[u8]) {
        match qos {
            QoS::AtMostOnce => self.arrived.push(payload.to_vec()),
            QoS::AtLeastOnce => {
                self.arrived.push(payload.to_vec());
                self.output.extend(puback(id));
            }
            QoS::ExactlyOnce => {
                if self.open.insert(id) {
                    self.arrived.push(payload.to_vec());
                    self.first_sent.insert(id, payload.to_vec());
                } else {
                    assert!(
                        dup,
                        "a repetition without DUP, or identifier {id} used twice"
                    );
                    assert_eq!(self.first_sent.get(&id).map(Vec::as_slice), Some(payload));
                }
                self.output.extend(pubrec(id));
            }
        }
    }
}
