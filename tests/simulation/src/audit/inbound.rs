//! Messages of the server, and how the client acknowledges them.

use mqtt_core::{
    QoS,
    codec::{FixedHeader, Publish, PublishHead},
};

use super::Audit;
use crate::{ledger::number_of, scene::Scene, verdict::Rule};

impl Audit {
    pub(super) fn read_publish(&mut self, scene: &Scene, publish: &Publish<'_>) {
        self.blocked = true;
        let Some(number) = number_of(publish.payload) else {
            return;
        };
        if let Some(message) = scene.ledger.borrow_mut().inbound.get_mut(number as usize) {
            message.copies += 1;
        }
        let early = self.acknowledged_early.take();
        if let Some(id) = publish.packet_identifier
            && early != Some(id.get())
        {
            self.unacknowledged
                .push_back((id.get(), number, publish.qos));
        }
    }

    /// PUBACK or PUBREC: [MQTT-4.6.0-2], [MQTT-4.6.0-3], and not before the application had the message.
    pub(super) fn wrote_ack(&mut self, scene: &Scene, id: u16, qos: QoS) {
        let of_kind = |entry: &(u16, u32, QoS)| entry.2 == qos;
        let oldest = self.unacknowledged.iter().find(|entry| of_kind(entry));
        let at = self
            .unacknowledged
            .iter()
            .position(|entry| of_kind(entry) && entry.0 == id);
        if at.is_none() && qos == QoS::ExactlyOnce && self.is_being_repeated(scene, id) {
            self.acknowledged_early = Some(id);
            return;
        }
        let Some(at) = at else {
            return scene.violate(Rule::Acknowledgement, || {
                format!("{qos:?} identifier {id} is acknowledged, and was not received")
            });
        };
        scene.require(
            oldest.is_some_and(|entry| entry.0 == id),
            Rule::Acknowledgement,
            || format!("identifier {id} is acknowledged before {oldest:?}"),
        );
        if let Some((_, number, _)) = self.unacknowledged.remove(at) {
            let mut ledger = scene.ledger.borrow_mut();
            ledger.inbound[number as usize].acknowledged = true;
            let may = ledger.may_acknowledge(number);
            scene.require(may, Rule::Acknowledgement, || {
                format!("message {number} is acknowledged before the application is done with it")
            });
        }
    }

    /// Whether the packet that is being read repeats a message that the application has.
    fn is_being_repeated(&self, scene: &Scene, id: u16) -> bool {
        let version = scene.setup.version;
        let Ok(Some((header, len))) = FixedHeader::decode(&self.down, version) else {
            return false;
        };
        let head = PublishHead::decode(header, &self.down[len..], version);
        let Ok(Some((head, _))) = head else {
            return false;
        };
        let number = head
            .topic
            .as_str()
            .rsplit('/')
            .next()
            .and_then(|number| number.parse().ok());
        let ledger = scene.ledger.borrow();
        let message = number.and_then(|number: usize| ledger.inbound.get(number));
        head.packet_identifier.is_some_and(|read| read.get() == id)
            && message.is_some_and(|message| {
                message.received > 0 || message.dismissed || ledger.deaf || ledger.untold
            })
    }

    /// [MQTT-4.3.3-2]
    pub(super) fn wrote_pubcomp(&mut self, scene: &Scene, id: u16) {
        let asked = self.pubrels.iter().position(|asked| *asked == id);
        match asked {
            Some(at) => drop(self.pubrels.remove(at)),
            None => scene.violate(Rule::Sequence, || format!("PUBCOMP {id} without PUBREL")),
        }
    }
}
