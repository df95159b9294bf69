//! One connection of the broker: reads packets, answers them some time, and delivers.

use std::num::NonZeroU16;

use mqtt_core::{
    QoS,
    codec::{
        Ack, Disconnect, Packet, PacketIdentifier, Properties, Property, Publish, ReasonCode,
        SubAck, Subscribe, TopicName, UnsubAck, Unsubscribe,
    },
};

use super::{
    Broker,
    handshake::Hello,
    session::{Sending, Stage},
};
use crate::{
    clock,
    ledger::{number_of, payload},
    link::Link,
    scene::Scene,
    setup::FILTER,
    verdict::Rule,
    wire::{bytes_of, take_packets},
};

pub(super) struct Connection {
    pub(super) link: Link,
    bytes: Vec<u8>,
    /// CONNACK is on its way, and it says welcome.
    pub(super) accepted: bool,
    pub(super) closed: bool,
    pub(super) keep_alive_ms: u64,
    pub(super) heard: u64,
    /// Messages at QoS 1 and 2 that the device takes at once.
    pub(super) quota: usize,
    /// What is to be sent, and when.
    pub(super) answers: Vec<(u64, Vec<u8>)>,
    aliases: Vec<(u16, String)>,
    /// Topics behind the aliases that the broker uses, from 1; and how many there may be.
    own_aliases: Vec<String>,
    pub(super) alias_maximum: usize,
    /// The will, by its delay.
    pub(super) will_delay_ms: Option<u64>,
    /// What CONNECT asked for, until it is granted; and the riddle that is to be solved.
    pub(super) hello: Option<Hello>,
    pub(super) riddle: Option<Vec<u8>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("accepted", &self.accepted)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            bytes: Vec::new(),
            accepted: false,
            closed: false,
            keep_alive_ms: 0,
            heard: clock::elapsed(),
            quota: 0,
            answers: Vec::new(),
            aliases: Vec::new(),
            own_aliases: Vec::new(),
            alias_maximum: 0,
            will_delay_ms: None,
            hello: None,
            riddle: None,
        }
    }

    pub(super) fn next(&self) -> Option<u64> {
        let look = self.link.state().look_at;
        let answer = self.answers.iter().map(|(at, _)| *at).min();
        look.into_iter().chain(answer).chain(self.late_at()).min()
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        self.link.state().look_at.is_some_and(|at| at <= now)
    }

    pub(super) fn take_bytes(&mut self, now: u64) {
        self.heard = now;
        self.link.take(&mut self.bytes);
    }

    /// One and a half times the keep-alive [MQTT-3.1.2-24].
    fn late_at(&self) -> Option<u64> {
        (self.keep_alive_ms != 0).then(|| self.heard + self.keep_alive_ms * 3 / 2 + 1)
    }

    pub(super) fn is_late(&self, now: u64) -> bool {
        self.late_at().is_some_and(|at| at <= now)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.answers.is_empty()
    }

    /// Sends what is due.
    pub(super) fn flush(&mut self, scene: &Scene, now: u64) {
        let reorders = scene.setup.broker.reorders;
        loop {
            let ready: Vec<usize> = (0..self.answers.len())
                .filter(|index| self.is_ready(*index, reorders, now))
                .collect();
            if ready.is_empty() {
                return;
            }
            let chosen = ready[scene.tape.below(ready.len() as u32) as usize];
            let (_, bytes) = self.answers.remove(chosen);
            self.link.send(&bytes);
        }
    }

    /// Whether the answer may be sent now.
    fn is_ready(&self, index: usize, reorders: bool, now: u64) -> bool {
        let (at, bytes) = &self.answers[index];
        let mut before = self.answers[..index].iter();
        *at <= now && !before.any(|(_, earlier)| waits_for(bytes, earlier, reorders))
    }

    /// Answers after some time.
    pub(super) fn answer(&mut self, scene: &Scene, packet: &Packet<'_>) {
        let most = scene.setup.broker.answer_ms;
        let most = if scene.is_calm() { most.min(20) } else { most };
        let bytes = bytes_of(packet, scene.setup.version);
        let reorders = scene.setup.broker.reorders;
        let before = self
            .answers
            .iter()
            .filter(|(_, earlier)| waits_for(&bytes, earlier, reorders));
        let earliest = before.map(|(at, _)| *at).max().unwrap_or(0);
        let at = clock::elapsed() + u64::from(scene.tape.up_to(most));
        self.answers.push((at.max(earliest), bytes));
    }

    pub(super) fn send(&mut self, scene: &Scene, packet: &Packet<'_>) {
        self.link.send(&bytes_of(packet, scene.setup.version));
    }

    pub(super) fn say_goodbye(&mut self, scene: &Scene, code: ReasonCode) {
        // CONNACK comes first.
        let welcomed = !self.answers.iter().any(|(_, bytes)| bytes[0] == 0x20);
        if scene.setup.version.is_v5() && welcomed {
            let disconnect = Disconnect {
                code,
                properties: Properties::NONE,
            };
            self.send(scene, &Packet::Disconnect(disconnect));
        }
    }
}

/// What the device sends.
impl Broker {
    pub(super) fn handle_packets(&mut self, index: usize) {
        let version = self.scene.setup.version;
        let mut bytes = std::mem::take(&mut self.connections[index].bytes);
        let result = take_packets(&mut bytes, version, |packet, _| self.handle(index, &packet));
        self.connections[index].bytes = bytes;
        if let Err(error) = result {
            self.scene.violate(Rule::Content, || {
                format!("a bad packet reached the broker: {error}")
            });
        }
    }

    fn handle(&mut self, index: usize, packet: &Packet<'_>) {
        let scene = self.scene.clone();
        if self.connections[index].closed {
            return;
        }
        match packet {
            Packet::Connect(connect) => self.handle_connect(index, connect),
            Packet::Auth(auth) => self.handle_auth(index, auth),
            _ if !self.connections[index].accepted => {
                // Behind a CONNECT that was refused.
            }
            Packet::Publish(publish) => self.handle_publish(index, publish),
            Packet::PubRel(ack) => self.handle_pubrel(index, ack),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                let is_pubrec = matches!(packet, Packet::PubRec(_));
                self.handle_ack(index, ack, is_pubrec && !ack.code.is_error());
            }
            Packet::Subscribe(subscribe) => self.handle_subscribe(index, subscribe),
            Packet::Unsubscribe(request) => self.handle_unsubscribe(index, request),
            Packet::PingReq => self.connections[index].answer(&scene, &Packet::PingResp),
            Packet::Disconnect(disconnect) => {
                self.farewell = true;
                // [MQTT-3.14.4-3]
                if disconnect.code == ReasonCode::NORMAL_DISCONNECTION {
                    self.connections[index].will_delay_ms = None;
                }
                self.end(index);
            }
            _ => scene.violate(Rule::Sequence, || format!("the broker got {packet:?}")),
        }
    }

    fn handle_publish(&mut self, index: usize, publish: &Publish<'_>) {
        let scene = self.scene.clone();
        self.learn_alias(index, publish);
        let Some(number) = number_of(publish.payload) else {
            return scene.violate(Rule::Content, || {
                "a damaged payload reached the broker".into()
            });
        };
        let Some(id) = publish.packet_identifier else {
            return scene.ledger.borrow_mut().arrived(&scene, number);
        };
        let connection = &mut self.connections[index];
        let refused = scene.setup.version.is_v5() && scene.mishap(scene.setup.broker.refuse_one_in);
        let Some(session) = &mut self.session else {
            return;
        };
        let mut ack = Ack::new(id);
        let known = session
            .received
            .iter()
            .find(|(known, ..)| *known == id.get());
        if publish.qos == QoS::ExactlyOnce
            && let Some((_, known, _)) = known
        {
            // It came before. If it is another message, that one is lost.
            if *known != number {
                check_collision(&scene, *known, number);
            }
            return connection.answer(&scene, &Packet::PubRec(ack));
        }
        if refused {
            ack.code = ReasonCode::QUOTA_EXCEEDED;
            scene.ledger.borrow_mut().outbound[number as usize].refused = Some(ack.code);
        }
        if publish.qos == QoS::AtLeastOnce {
            connection.answer(&scene, &Packet::PubAck(ack));
        } else {
            if !refused {
                let late = scene.setup.broker.late_release;
                session.received.push((id.get(), number, !late));
            }
            connection.answer(&scene, &Packet::PubRec(ack));
        }
        let at_once = publish.qos == QoS::AtLeastOnce || !scene.setup.broker.late_release;
        if !refused && at_once {
            scene.ledger.borrow_mut().arrived(&scene, number);
        }
    }

    fn learn_alias(&mut self, index: usize, publish: &Publish<'_>) {
        let Some(alias) = publish.properties.topic_alias() else {
            return;
        };
        let aliases = &mut self.connections[index].aliases;
        let known = aliases.iter().any(|(known, _)| *known == alias);
        self.scene
            .require(known || !publish.topic.is_empty(), Rule::Limits, || {
                format!("the broker does not know alias {alias}")
            });
        if !publish.topic.is_empty() {
            aliases.retain(|(known, _)| *known != alias);
            aliases.push((alias, publish.topic.as_str().into()));
        }
    }

    fn handle_pubrel(&mut self, index: usize, ack: &Ack<'_>) {
        let scene = self.scene.clone();
        let id = ack.packet_identifier;
        let mut answer = Ack::new(id);
        let Some(session) = &mut self.session else {
            return;
        };
        if let Some(at) = session
            .received
            .iter()
            .position(|(known, ..)| *known == id.get())
        {
            let (_, number, passed_on) = session.received.remove(at);
            if !passed_on {
                scene.ledger.borrow_mut().arrived(&scene, number);
            }
        } else if scene.setup.version.is_v5() {
            answer.code = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
        }
        self.connections[index].answer(&scene, &Packet::PubComp(answer));
    }

    fn handle_subscribe(&mut self, index: usize, subscribe: &Subscribe<'_>) {
        let scene = self.scene.clone();
        let Some(session) = &mut self.session else {
            return;
        };
        let mut codes = Vec::new();
        for subscription in subscribe.filters.iter() {
            let filter = subscription.filter.as_str();
            let refused = filter != FILTER && scene.mishap(scene.setup.broker.refuse_one_in);
            if refused {
                codes.push(0x80);
            } else {
                session.subscribe(filter, subscription.qos);
                scene.ledger.borrow_mut().granted.push(filter.into());
                codes.push(subscription.qos as u8);
            }
        }
        let suback = SubAck::new(subscribe.packet_identifier, &codes);
        self.connections[index].answer(&scene, &Packet::SubAck(suback));
    }

    fn handle_unsubscribe(&mut self, index: usize, request: &Unsubscribe<'_>) {
        let scene = self.scene.clone();
        let Some(session) = &mut self.session else {
            return;
        };
        let mut codes = Vec::new();
        for filter in request.filters.iter() {
            session.unsubscribe(filter.as_str());
            codes.push(0);
        }
        let unsuback = UnsubAck::new(request.packet_identifier, &codes);
        self.connections[index].answer(&scene, &Packet::UnsubAck(unsuback));
    }
}

/// What the device gets.
impl Broker {
    /// Sends again what was unacknowledged, and new messages as far as the device takes them.
    pub(super) fn deliver(&mut self, index: usize) {
        let scene = self.scene.clone();
        let connection = &mut self.connections[index];
        let Some(session) = self.session.as_mut().filter(|_| connection.accepted) else {
            return;
        };
        // CONNACK comes first.
        if !connection.answers.is_empty() && session.sending.iter().any(|s| s.to_repeat) {
            return;
        }
        for sending in session
            .sending
            .iter_mut()
            .filter(|sending| sending.to_repeat)
        {
            sending.to_repeat = false;
            sending.counts = sending.stage == Stage::AwaitsAck;
            let packet_identifier = identifier(sending.id);
            if sending.stage == Stage::AwaitsPubComp {
                connection.send(&scene, &Packet::PubRel(Ack::new(packet_identifier)));
            } else {
                connection.publish(&scene, sending.number, sending.id, true);
            }
        }
        while connection.answers.is_empty()
            && let Some(number) = session.queue.front().copied()
        {
            let qos = scene.ledger.borrow().inbound[number as usize].qos;
            let mut id = 0;
            if qos != QoS::AtMostOnce {
                let out = if scene.setup.broker.counts_anew {
                    session
                        .sending
                        .iter()
                        .filter(|sending| sending.counts)
                        .count()
                } else {
                    session.sending.len()
                };
                if out >= connection.quota {
                    return;
                }
                id = session.new_identifier();
                session.sending.push_back(Sending {
                    number,
                    id,
                    stage: Stage::AwaitsAck,
                    to_repeat: false,
                    counts: true,
                });
            }
            session.queue.pop_front();
            connection.publish(&scene, number, id, false);
        }
    }

    /// PUBACK, PUBREC and PUBCOMP; `goes_on`: PUBREL is due.
    fn handle_ack(&mut self, index: usize, ack: &Ack<'_>, goes_on: bool) {
        let scene = self.scene.clone();
        let Some(session) = &mut self.session else {
            return;
        };
        let id = ack.packet_identifier;
        let found = session
            .sending
            .iter()
            .position(|sending| sending.id == id.get());
        if goes_on {
            if let Some(at) = found {
                session.sending[at].stage = Stage::AwaitsPubComp;
            }
            self.connections[index].answer(&scene, &Packet::PubRel(Ack::new(id)));
        } else if let Some(at) = found {
            session.sending.remove(at);
        }
    }
}

impl Connection {
    fn publish(&mut self, scene: &Scene, number: u32, id: u16, dup: bool) {
        let (qos, topic, len) = {
            let ledger = scene.ledger.borrow();
            let message = &ledger.inbound[number as usize];
            (message.qos, ledger.topic_of(number), message.len)
        };
        let topic = topic.unwrap_or_default();
        let payload = payload(number, len);
        let (alias, is_known) = self.alias_of(scene, &topic);
        let alias = alias.map(Property::TopicAlias);
        let name = if is_known { "" } else { topic.as_str() };
        let name = TopicName::new(name).unwrap_or(TopicName::EMPTY);
        let mut publish = Publish::new(name, &payload);
        publish.properties = Properties::from(alias.as_slice());
        publish.qos = qos;
        publish.dup = dup;
        if qos != QoS::AtMostOnce {
            publish.packet_identifier = Some(identifier(id));
        }
        self.send(scene, &Packet::Publish(publish));
    }
}

impl Connection {
    /// The alias for a topic, if it is to have one, and whether the device knows it.
    fn alias_of(&mut self, scene: &Scene, topic: &str) -> (Option<NonZeroU16>, bool) {
        let tape = &scene.tape;
        let known = self.own_aliases.iter().position(|known| known == topic);
        let (at, is_known) = match known {
            // It may be told again.
            Some(at) => (at, !tape.one_in(5)),
            None if self.alias_maximum == 0 || tape.one_in(4) => return (None, false),
            None if self.own_aliases.len() < self.alias_maximum => {
                self.own_aliases.push(topic.into());
                (self.own_aliases.len() - 1, false)
            }
            None => {
                let at = tape.below(self.alias_maximum as u32) as usize;
                self.own_aliases[at] = topic.into();
                (at, false)
            }
        };
        (NonZeroU16::new(at as u16 + 1), is_known)
    }
}

/// Whether an answer has to wait for an earlier one. PUBACK, PUBREC and PUBREL keep their order, each among themselves
/// [MQTT-4.6.0-2..4]; the order of others is free.
fn waits_for(answer: &[u8], earlier: &[u8], reorders: bool) -> bool {
    let kind = answer[0] >> 4;
    !reorders || (matches!(kind, 4..=6) && earlier[0] >> 4 == kind)
}

/// `number` came under the identifier of `known`, which is not done with. Forgivable only if the client had
/// to forget: it was switched off, or gave the message up and said so.
fn check_collision(scene: &Scene, known: u32, number: u32) {
    let mut ledger = scene.ledger.borrow_mut();
    let forgivable = ledger.is_abandoned(scene, known);
    ledger.outbound[number as usize].collided = true;
    scene.require(forgivable, Rule::Identifier, || {
        format!("message {number} came under the identifier of another one")
    });
}

fn identifier(id: u16) -> PacketIdentifier {
    PacketIdentifier::new(id).unwrap_or_else(|| panic!("an identifier of 0"))
}
