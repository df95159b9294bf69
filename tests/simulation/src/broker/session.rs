//! What the broker remembers of its client.

use std::collections::VecDeque;

use mqtt_core::QoS;

/// State that outlives a connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    subscriptions: Vec<(String, QoS)>,
    /// QoS 2 messages of the client between PUBLISH and PUBREL: identifier, number, and whether it was passed on.
    pub(super) received: Vec<(u16, u32, bool)>,
    /// Messages for the device that were sent and not yet done with, in order.
    pub(super) sending: VecDeque<Sending>,
    /// Messages for the device that were not sent yet.
    pub(super) queue: VecDeque<u32>,
    last_id: u16,
    /// When it is forgotten, while there is no connection.
    pub(super) expires: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) number: u32,
    pub(super) id: u16,
    pub(super) stage: Stage,
    /// It was sent on an earlier connection, and not yet on this one.
    pub(super) to_repeat: bool,
    /// PUBLISH was sent on this connection: it counts against the quota [MQTT-3.3.4-9].
    pub(super) counts: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    AwaitsAck,
    AwaitsPubComp,
}

impl Session {
    pub(super) fn granted(&self, filter: &str) -> Option<QoS> {
        let known = self.subscriptions.iter().find(|(known, _)| known == filter);
        known.map(|(_, qos)| *qos)
    }

    pub(super) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.unsubscribe(filter);
        self.subscriptions.push((filter.into(), qos));
    }

    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.subscriptions.retain(|(known, _)| known != filter);
    }

    pub(super) fn new_identifier(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if self
                .sending
                .iter()
                .all(|sending| sending.id != self.last_id)
            {
                return self.last_id;
            }
        }
    }

    /// The connection ended: what is unacknowledged is sent again on the next one.
    pub(super) fn interrupted(&mut self) {
        for sending in &mut self.sending {
            sending.to_repeat = true;
            sending.counts = false;
        }
    }

    /// Messages that the device has not got for sure.
    pub(super) fn owed(&self) -> impl Iterator<Item = u32> {
        let sending = self.sending.iter().map(|sending| sending.number);
        sending.chain(self.queue.iter().copied())
    }

    /// Whether nothing waits for the device.
    pub(super) fn has_delivered(&self) -> bool {
        self.sending.is_empty() && self.queue.is_empty()
    }
}
