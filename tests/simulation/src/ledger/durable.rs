//! What the durable outbox does with messages.

use mqtt_core::{outbox::Loss, session::OutboxPolicy};

use super::{Ledger, Stage, is_over_limit};
use crate::{clock, scene::Scene, verdict::Rule};

impl Ledger {
    /// The store has a message.
    pub(crate) fn stored(&mut self, scene: &Scene, number: u32) {
        self.accepted += 1;
        scene.note(|| format!("flash: has {number}"));
        let message = &mut self.outbound[number as usize];
        message.order = self.accepted;
        message.stored = true;
    }

    /// The outbox says that it has a message.
    pub(crate) fn entrusted(&mut self, scene: &Scene, number: u32) {
        let mut summary = scene.summary.borrow_mut();
        summary.published += 1;
        summary.entrusted += 1;
        scene.note(|| format!("app: entrusted {number}"));
        let message = &mut self.outbound[number as usize];
        message.stage = Stage::Accepted;
        scene.require(message.stored, Rule::Durable, || {
            format!("message {number} is accepted, and not in the store")
        });
    }

    /// The outbox gives a message to the client.
    pub(crate) fn submitted(&mut self, scene: &Scene, number: u32) {
        scene.note(|| format!("outbox: gives {number} to the client"));
        let message = &mut self.outbound[number as usize];
        message.resubmitted = message.boot == self.boot;
        message.written = None;
        message.boot = self.boot;
        message.session = self.sessions;
        message.link = self.links;
        message.at = clock::elapsed();
    }

    /// The outbox reports that a message will not arrive.
    pub(crate) fn lost(&mut self, scene: &Scene, number: u32, loss: Loss) {
        scene.note(|| format!("outbox: {number} is lost: {loss}"));
        let is_true = match loss {
            Loss::Refused(_) => is_over_limit(scene, &self.outbound[number as usize]),
            Loss::Undelivered(error) => self.check_outcome(scene, number, Err(error)),
            _ => false,
        };
        let message = &mut self.outbound[number as usize];
        message.given_up = true;
        scene.require(is_true, Rule::Outcome, || {
            format!("message {number} is lost: {loss}, which is not true: {message:?}")
        });
    }

    /// The outbox removes a message from the store, where it is at position `at` among those that are `waiting`.
    pub(crate) fn removed(&mut self, scene: &Scene, at: usize, waiting: &[u32]) {
        let Some(number) = waiting.get(at).copied() else {
            return;
        };
        scene.note(|| format!("flash: no more {number}"));
        let message = &self.outbound[number as usize];
        let done = message.arrivals > 0
            || message.given_up
            || message.collided
            || self.is_uncertain(message.qos);
        // Messages under way stay: some of those that were admitted, and all that were written.
        let admitted = |number: &u32| self.outbound[*number as usize].boot == self.boot;
        let is_written = message.boot == self.boot && message.written.is_some();
        let oldest = waiting[..at].iter().all(admitted);
        let is_replaced = || {
            let newer = &waiting[at + 1..];
            let topic = |number: &u32| self.outbound[*number as usize].topic;
            newer.iter().any(|other| topic(other) == message.topic)
        };
        let may = match scene.setup.flash.policy {
            _ if is_written => false,
            OutboxPolicy::DropOldest => oldest,
            OutboxPolicy::KeepLatest => oldest || is_replaced(),
            _ => false,
        };
        scene.require(done || may, Rule::Durable, || {
            format!("message {number} is removed before the server has it: {message:?}")
        });
        self.made_room += u32::from(!done);
        self.outbound[number as usize].given_up = true;
    }
}
