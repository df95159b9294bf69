//! What the application entrusts to the durable outbox.

use std::rc::Rc;

use mqtt_core::{
    Instant, Message,
    codec::Property,
    outbox::{AcceptError, Loss},
    session::{OutboxPolicy, PublishError},
};

use super::{App, publisher::message};
use crate::{
    audit::DURABLE_TOPICS,
    clock,
    flash::{Failed, Flash},
    kind::Simulated,
    ledger::{NUMBER_LEN, Offer, is_over_limit, number_of, payload},
    verdict::Rule,
};

/// Messages that may be under way at once.
const WINDOW: usize = 4;

/// The longest record: 9 bytes, topic, properties and payload; and the topic once more.
const BUFFER: usize = 160;

pub(crate) type Outbox = mqtt_core::outbox::Outbox<Simulated, Flash, Box<[u8]>, WINDOW>;

impl App {
    pub(super) fn new_outbox(&self, flash: &Flash) -> Outbox {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let outbox = Outbox::new(self.client.clone(), flash.clone(), buffer);
        outbox.set_policy(self.scene.setup.flash.policy);
        outbox
    }

    /// Runs the outbox, and again when it was dropped or has ended.
    pub(super) async fn keep_sending(self, outbox: Rc<Outbox>) {
        loop {
            let ended = if self.scene.mishap(3) {
                let flushed = Box::pin(self.cut(outbox.flush(self.admit(), self.lost()))).await;
                flushed.and_then(Result::err)
            } else {
                Box::pin(self.cut(outbox.run(self.admit(), self.lost()))).await
            };
            self.scene
                .note(|| format!("app: the outbox stops: {ended:?}"));
            // The runner of the client is run again some time.
            clock::sleep(20 + self.scene.tape.below(200)).await;
        }
    }

    /// Whether a message may be published now.
    fn admit(&self) -> impl FnMut(&Message<'_>, Instant) -> Result<(), Instant> {
        let scene = self.scene.clone();
        move |message, now| {
            if scene.mishap(8) {
                return Err(now.plus(1 + scene.tape.below(400)));
            }
            if let Some(number) = number_of(message.payload) {
                scene.ledger.borrow_mut().submitted(&scene, number);
            }
            Ok(())
        }
    }

    fn lost(&self) -> impl FnMut(&Message<'_>, Loss) {
        let scene = self.scene.clone();
        move |message, loss| match number_of(message.payload) {
            Some(number) => scene.ledger.borrow_mut().lost(&scene, number, loss),
            None => scene.violate(Rule::Content, || format!("a loss of {message:?}")),
        }
    }

    pub(super) async fn publish_durably(&self, outbox: &Outbox) {
        let scene = &self.scene;
        let tape = &scene.tape;
        let expires = scene.setup.version.is_v5() && tape.one_in(8);
        let offer = Offer {
            qos: tape.pick(&scene.setup.durable_qos()),
            topic: tape.pick(&DURABLE_TOPICS),
            len: NUMBER_LEN + tape.below(70) as usize,
            retain: tape.one_in(8),
            streamed: false,
            durable: true,
            expiry_s: expires.then(|| 1 + tape.below(20)),
        };
        let number = scene.ledger.borrow_mut().offer(offer);
        scene.note(|| format!("app: offers {number} to the outbox"));
        let payload = payload(number, offer.len);
        let expiry = offer.expiry_s.map(Property::MessageExpiryInterval);
        let message = message(&offer, &payload, expiry.as_slice());
        match Box::pin(self.cut(outbox.publish(&message))).await {
            // It is there, or it is not.
            None | Some(Err(AcceptError::Store(Failed))) => {}
            Some(Ok(())) => scene.ledger.borrow_mut().entrusted(scene, number),
            Some(Err(error)) => self.check_refusal(number, error),
        }
    }

    /// The outbox does not take a message: nothing of it may ever be sent.
    fn check_refusal(&self, number: u32, error: AcceptError<Failed>) {
        let scene = &self.scene;
        let mut ledger = scene.ledger.borrow_mut();
        ledger.withdrawn(scene, number, &error.to_string());
        let message = &ledger.outbound[number as usize];
        let is_true = match error {
            AcceptError::Full => scene.setup.flash.policy != OutboxPolicy::Wait,
            AcceptError::Publish(
                PublishError::QoSNotSupported
                | PublishError::RetainNotSupported
                | PublishError::PacketTooLarge,
            ) => is_over_limit(scene, message),
            _ => false,
        };
        scene.require(is_true && !message.stored, Rule::Outcome, || {
            format!("at {}: {message:?} is refused: {error}", clock::elapsed())
        });
    }
}
