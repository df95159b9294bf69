//! Messages and requests of the client.

use mqtt_core::{
    QoS,
    codec::{PacketType, Publish, ReasonCode},
};

use super::{Audit, Exchange, STREAM_TOPIC, What};
use crate::{
    flash::gives_up,
    ledger::{Outbound, number_of},
    scene::Scene,
    verdict::Rule,
};

impl Audit {
    pub(super) fn wrote_publish(&mut self, scene: &Scene, publish: &Publish<'_>) {
        let Some(topic) = self.topic_of(scene, publish) else {
            return scene.violate(Rule::Limits, || "a topic alias out of place".into());
        };
        let number = number_of(publish.payload);
        let ledger = scene.ledger.borrow();
        let known = number.filter(|number| (*number as usize) < ledger.outbound.len());
        let Some(number) = known else {
            return scene.violate(Rule::Content, || format!("nobody published {publish:?}"));
        };
        let message = &ledger.outbound[number as usize];
        let may = ledger.may_send(message);
        let same = topic == topic_name(message.topic)
            && message.len == publish.payload.len()
            && message.qos == publish.qos
            && message.retain == publish.retain;
        drop(ledger);
        scene.require(may, Rule::Content, || {
            format!("message {number} was never accepted, and is sent")
        });
        scene.require(same, Rule::Content, || {
            format!("message {number} is sent otherwise than it was published")
        });
        check_limits(scene, publish);
        self.check_order(scene, number);
        if let Some(id) = publish.packet_identifier {
            self.check_repetition(scene, number, publish.dup);
            self.check_identifier(scene, id.get(), What::Message(number));
            self.take_quota(scene, id.get());
        } else {
            scene.require(!publish.dup, Rule::Repetition, || "DUP at QoS 0".into());
        }
        let mut ledger = scene.ledger.borrow_mut();
        let session = ledger.sessions;
        ledger.outbound[number as usize].written = Some((session, self.number));
    }

    /// The topic, by its alias if need be.
    fn topic_of(&mut self, scene: &Scene, publish: &Publish<'_>) -> Option<String> {
        let topic = publish.topic.as_str();
        let Some(alias) = publish.properties.topic_alias() else {
            return Some(topic.into());
        };
        if alias > scene.setup.broker.topic_aliases {
            return None;
        }
        if !topic.is_empty() {
            self.aliases.retain(|(known, _)| *known != alias);
            self.aliases.push((alias, topic.into()));
        }
        let known = self.aliases.iter().find(|(known, _)| *known == alias);
        known.map(|(_, topic)| topic.clone())
    }

    /// [MQTT-4.6.0-1], [MQTT-4.6.0-6]
    fn check_order(&mut self, scene: &Scene, number: u32) {
        let ledger = scene.ledger.borrow();
        let message = &ledger.outbound[number as usize];
        if message.topic == STREAM_TOPIC {
            return;
        }
        if message.durable {
            return self.check_durable_order(scene, message, number);
        }
        let last = &mut self.last[usize::from(message.topic)][message.qos as usize];
        scene.require(*last <= message.order, Rule::Order, || {
            format!("message {number} is sent after one that was accepted later")
        });
        *last = message.order.max(*last);
    }

    /// The outbox gives its messages to the client oldest first, whatever their topic and QoS. What the client gave up comes
    /// again later.
    fn check_durable_order(&mut self, scene: &Scene, message: &Outbound, number: u32) {
        let ledger = scene.ledger.borrow();
        let gone = message.qos == QoS::ExactlyOnce && message.session != ledger.sessions;
        let dropped = ledger.policies.iter().copied().any(gives_up);
        if message.resubmitted || gone || dropped {
            return;
        }
        let last = self.last_durable;
        scene.require(last <= message.order, Rule::Order, || {
            format!("durable message {number} is sent after one that is newer")
        });
        self.last_durable = message.order.max(last);
    }

    /// [MQTT-3.3.1-1], [MQTT-4.4.0-1]
    fn check_repetition(&self, scene: &Scene, number: u32, dup: bool) {
        let ledger = scene.ledger.borrow();
        let message = &ledger.outbound[number as usize];
        let again = message
            .written
            .is_some_and(|(session, _)| session == ledger.sessions);
        let here = message.written.is_some_and(|(_, link)| link == self.number);
        scene.require(!here, Rule::Repetition, || {
            format!("message {number} is repeated on the same link")
        });
        scene.require(dup || !again, Rule::Repetition, || {
            format!("message {number} is repeated without DUP")
        });
        let fresh = message.link == self.number || self.session_present == Some(false);
        scene.require(!dup || !fresh, Rule::Repetition, || {
            format!("message {number} has DUP and was never sent in this session")
        });
    }

    /// [MQTT-2.3.1-2]
    fn check_identifier(&self, scene: &Scene, id: u16, what: What) {
        let mut exchanges = scene.exchanges.borrow_mut();
        if let Some(known) = exchanges.iter_mut().find(|known| known.id == id) {
            let free = !known.open || known.what == what || known.what.is_abandoned(scene);
            scene.require(free, Rule::Identifier, || {
                format!("identifier {id} of {:?} is used for {what:?}", known.what)
            });
            let again = known.what == what && known.released && self.session_present == Some(true);
            scene.require(!again, Rule::Repetition, || {
                format!("{what:?} is sent again after its PUBREL")
            });
            *known = Exchange::new(id, what);
        } else {
            exchanges.push(Exchange::new(id, what));
        }
    }

    /// [MQTT-3.3.4-9]
    fn take_quota(&mut self, scene: &Scene, id: u16) {
        self.in_flight.push(id);
        scene.require(self.in_flight.len() <= self.quota, Rule::Limits, || {
            format!(
                "{} messages in flight, {} allowed",
                self.in_flight.len(),
                self.quota
            )
        });
    }

    pub(super) fn wrote_request(&mut self, scene: &Scene, id: u16, packet_type: PacketType) {
        self.check_identifier(scene, id, What::Request(packet_type));
    }

    /// [MQTT-4.3.3-1], [MQTT-4.6.0-4]
    pub(super) fn wrote_pubrel(&mut self, scene: &Scene, id: u16) {
        let waiting = self.pubrecs.iter().position(|waiting| *waiting == id);
        if let Some(at) = waiting {
            scene.require(at == 0, Rule::Order, || {
                format!("PUBREL {id} before those of {:?}", self.pubrecs)
            });
            self.pubrecs.remove(at);
        }
        let mut exchanges = scene.exchanges.borrow_mut();
        let known = exchanges.iter_mut().find(|known| known.id == id);
        let received = known.as_ref().is_some_and(|known| known.received);
        let may = received || waiting.is_some() || scene.ledger.borrow().untold;
        scene.require(may, Rule::Sequence, || {
            format!("PUBREL {id} without PUBREC")
        });
        if let Some(known) = known {
            known.released = true;
        }
    }

    /// PUBACK, PUBCOMP, SUBACK, UNSUBACK.
    pub(super) fn read_ack(&mut self, scene: &Scene, id: u16) {
        self.in_flight.retain(|open| *open != id);
        let mut exchanges = scene.exchanges.borrow_mut();
        if let Some(known) = exchanges.iter_mut().find(|known| known.id == id) {
            known.open = false;
        }
    }

    pub(super) fn read_pubrec(&mut self, scene: &Scene, id: u16, code: ReasonCode) {
        if code.is_error() {
            return self.read_ack(scene, id);
        }
        let mut exchanges = scene.exchanges.borrow_mut();
        if let Some(known) = exchanges.iter_mut().find(|known| known.id == id) {
            known.received = true;
            if self.in_flight.contains(&id) {
                self.pubrecs.push_back(id);
            }
        }
    }
}

fn check_limits(scene: &Scene, publish: &Publish<'_>) {
    let broker = &scene.setup.broker;
    scene.require(publish.qos <= broker.maximum_qos, Rule::Limits, || {
        format!("{:?} is above what the server supports", publish.qos)
    });
    scene.require(
        !publish.retain || broker.retain_available,
        Rule::Limits,
        || "the server does not retain messages".into(),
    );
}

impl What {
    /// The client has given the message up, and its identifier with it.
    fn is_abandoned(self, scene: &Scene) -> bool {
        match self {
            Self::Message(number) => scene.ledger.borrow().is_abandoned(scene, number),
            Self::Request(_) => false,
        }
    }
}

impl Exchange {
    fn new(id: u16, what: What) -> Self {
        Self {
            id,
            what,
            open: true,
            received: false,
            released: false,
        }
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self.what, What::Message(_))
    }
}

/// Names of the application's topics.
pub(crate) fn topic_name(topic: u8) -> &'static str {
    match topic {
        0 => "o/first",
        1 => "o/second/of/them",
        STREAM_TOPIC => "o/stream",
        3 => "s/first",
        _ => "s/second",
    }
}
