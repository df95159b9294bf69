//! What the application sends.

use std::{future::poll_fn, task::Poll};

use embedded_io_async::{ErrorKind, ErrorType, Read};
use mqtt_core::{
    Message, QoS,
    client::{StreamError, SubscribeError},
    codec::{Properties, Property},
    session::{DeliveryError, PublishError},
};

use super::App;
use crate::{
    audit::{STREAM_TOPIC, topic_name},
    kind::Delivery,
    ledger::{NUMBER_LEN, Offer, is_over_limit, payload},
    riddle::RIDDLE,
    scene::Scene,
    verdict::Rule,
};

/// How often a message without room is tried again.
const TRIES: u32 = 3;

impl App {
    /// One task that publishes, subscribes and waits, until there is nothing left to do.
    pub(super) async fn publish(self) {
        let control = self.control.clone();
        while let Some(left) = control.operations.get().checked_sub(1) {
            control.operations.set(left);
            Box::pin(self.operate()).await;
            if self.scene.tape.one_in(2) {
                self.scene.pause(self.scene.setup.chaos_ms / 16).await;
            }
        }
        control.publishers.set(control.publishers.get() - 1);
    }

    async fn operate(&self) {
        match self.scene.tape.below(20) {
            0..=4 => self.publish_one(true).await,
            5..=7 => self.publish_one(false).await,
            8..=10 => self.try_publish_some(),
            11 => Box::pin(self.stream()).await,
            12 => self.subscribe().await,
            13 => self.unsubscribe().await,
            14 if self.scene.mishap(3) => {
                let with_will = self.scene.tape.one_in(2);
                self.cut(self.disconnect(with_will)).await;
            }
            15 if self.scene.setup.authenticates => self.authenticate(),
            16..20 => match &self.outbox {
                Some(outbox) => Box::pin(self.publish_durably(outbox)).await,
                None => self.try_publish_some(),
            },
            _ => self.scene.pause(self.scene.setup.chaos_ms / 4).await,
        }
    }

    /// Once in a link: a server need not take a second request before the first is done with.
    fn authenticate(&self) {
        let link = self.scene.ledger.borrow().links;
        if self.control.authenticated.replace(link) == link {
            return;
        }
        let asked = self.client.reauthenticate(&RIDDLE);
        self.scene.note(|| format!("app: authenticates: {asked:?}"));
        let is_true = matches!(
            asked,
            Ok(()) | Err(PublishError::NotConnected | PublishError::Full)
        );
        self.scene.require(is_true, Rule::Authentication, || {
            format!("no authentication: {asked:?}")
        });
    }

    fn offer(&self) -> Offer {
        let tape = &self.scene.tape;
        let expires = self.scene.setup.version.is_v5() && tape.one_in(8);
        Offer {
            qos: draw_qos(&self.scene),
            topic: tape.below(u32::from(STREAM_TOPIC)) as u8,
            len: NUMBER_LEN + tape.below(70) as usize,
            retain: tape.one_in(8),
            streamed: false,
            durable: false,
            expiry_s: expires.then(|| 1 + tape.below(20)),
        }
    }

    /// Publishes, and waits for the outcome or does not.
    async fn publish_one(&self, waits: bool) {
        for _ in 0..TRIES {
            let offer = self.offer();
            let number = self.scene.ledger.borrow_mut().offer(offer);
            let payload = payload(number, offer.len);
            let expiry = offer.expiry_s.map(Property::MessageExpiryInterval);
            let message = message(&offer, &payload, expiry.as_slice());
            let Some(result) = self.cut(self.client.publish(&message)).await else {
                return self.withdraw(number, "dropped");
            };
            match self.take(number, &offer, result) {
                Some(delivery) if waits => return self.wait(number, delivery).await,
                Some(_) => return,
                None => self.scene.pause(40).await,
            }
        }
    }

    fn try_publish_some(&self) {
        let mut deliveries = Vec::new();
        for _ in 0..=self.scene.tape.below(4) {
            let offer = self.offer();
            let number = self.scene.ledger.borrow_mut().offer(offer);
            let payload = payload(number, offer.len);
            let expiry = offer.expiry_s.map(Property::MessageExpiryInterval);
            let message = message(&offer, &payload, expiry.as_slice());
            let result = self.client.try_publish(&message);
            deliveries.extend(self.take(number, &offer, result));
        }
    }

    /// What the client says to a message.
    fn take(
        &self,
        number: u32,
        offer: &Offer,
        result: Result<Delivery, PublishError>,
    ) -> Option<Delivery> {
        let error = match result {
            Ok(delivery) => {
                self.scene.ledger.borrow_mut().accepted(&self.scene, number);
                return Some(delivery);
            }
            Err(error) => error,
        };
        self.withdraw(number, &error.to_string());
        let ledger = self.scene.ledger.borrow();
        let message = &ledger.outbound[number as usize];
        let true_error = match error {
            PublishError::Full | PublishError::Stopped => true,
            PublishError::QoSNotSupported
            | PublishError::RetainNotSupported
            | PublishError::PacketTooLarge => is_over_limit(&self.scene, message),
            _ => false,
        };
        self.scene.require(true_error, Rule::Outcome, || {
            format!("{offer:?} is refused: {error}")
        });
        None
    }

    fn withdraw(&self, number: u32, why: &str) {
        self.scene
            .ledger
            .borrow_mut()
            .withdrawn(&self.scene, number, why);
    }

    /// Waits for the outcome of a message, now this way, now that.
    async fn wait(&self, number: u32, mut delivery: Delivery) {
        loop {
            let outcome = if self.scene.tape.one_in(6) {
                let outcome = delivery.try_acknowledged();
                if outcome.is_none() {
                    self.scene.pause(200).await;
                }
                outcome
            } else {
                self.cut(delivery.acknowledged()).await
            };
            match outcome {
                // It goes on with the next run.
                Some(Err(DeliveryError::Stopped)) => self.scene.pause(100).await,
                Some(outcome) => {
                    return self
                        .scene
                        .ledger
                        .borrow_mut()
                        .ended(&self.scene, number, outcome);
                }
                None if self.scene.mishap(4) => return,
                None => {}
            }
        }
    }

    /// Publishes a payload that is read piece by piece.
    async fn stream(&self) {
        let tape = &self.scene.tape;
        let offer = Offer {
            qos: draw_qos(&self.scene),
            topic: STREAM_TOPIC,
            len: NUMBER_LEN + tape.below(400) as usize,
            retain: false,
            streamed: true,
            durable: false,
            expiry_s: None,
        };
        let number = self.scene.ledger.borrow_mut().offer(offer);
        self.scene
            .note(|| format!("app: streams {number}, {} bytes", offer.len));
        let payload = payload(number, offer.len);
        let mut source = Source {
            scene: &self.scene,
            rest: &payload,
        };
        let head = message(&offer, b"", &[]);
        let streaming = self
            .client
            .publish_stream(&head, offer.len as u32, &mut source);
        let Some(result) = Box::pin(self.cut(streaming)).await else {
            return self.withdraw(number, "dropped");
        };
        match result {
            Ok(delivery) => {
                self.scene.ledger.borrow_mut().accepted(&self.scene, number);
                self.wait(number, delivery).await;
            }
            Err(StreamError::Publish(error)) => {
                let _ = self.take(number, &offer, Err(error));
            }
            Err(error) => self.withdraw(number, &format!("{error}")),
        }
    }

    async fn subscribe(&self) {
        let filter = format!("u/{}", self.scene.tape.below(3));
        let qos = draw_qos(&self.scene);
        let answer = self.cut(self.client.subscribe(&filter, qos)).await;
        self.scene
            .note(|| format!("app: subscribed to {filter}: {answer:?}"));
        let is_true = match answer {
            None => true,
            Some(Ok(granted)) => {
                granted == qos && self.scene.ledger.borrow().granted.contains(&filter)
            }
            Some(Err(error)) => self.may_fail(error),
        };
        self.scene
            .require(is_true, Rule::Outcome, || format!("{filter}: {answer:?}"));
    }

    async fn unsubscribe(&self) {
        let filter = format!("u/{}", self.scene.tape.below(3));
        let answer = self.cut(self.client.unsubscribe(&filter)).await;
        self.scene
            .note(|| format!("app: unsubscribed from {filter}: {answer:?}"));
        let is_true = !matches!(answer, Some(Err(error)) if !self.may_fail(error));
        self.scene
            .require(is_true, Rule::Outcome, || format!("{filter}: {answer:?}"));
    }

    fn may_fail(&self, error: SubscribeError) -> bool {
        match error {
            SubscribeError::Request(error) => {
                matches!(error, PublishError::Full | PublishError::Stopped)
            }
            SubscribeError::Rejected(_) => self.scene.setup.broker.refuse_one_in != 0,
            _ => false,
        }
    }
}

fn draw_qos(scene: &Scene) -> QoS {
    let all = [
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtMostOnce,
    ];
    scene.tape.pick(&all).min(scene.setup.highest_qos())
}

pub(super) fn message<'a>(
    offer: &Offer,
    payload: &'a [u8],
    properties: &'a [Property<'a>],
) -> Message<'a> {
    let mut message = Message::new(topic_name(offer.topic), payload).qos(offer.qos);
    message.retain = offer.retain;
    message.properties = Properties::from(properties);
    message
}

/// A payload that comes in pieces, late, and sometimes not to its end.
struct Source<'a> {
    scene: &'a Scene,
    rest: &'a [u8],
}

impl ErrorType for Source<'_> {
    type Error = ErrorKind;
}

impl Read for Source<'_> {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.scene.mishap(20) {
            return Err(ErrorKind::Other);
        }
        if self.scene.mishap(20) {
            return Ok(0);
        }
        let mut late = self.scene.mishap(4);
        poll_fn(|cx| {
            if std::mem::take(&mut late) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let most = into.len().min(self.rest.len());
        let less = self.scene.tape.below(most as u32) as usize;
        let (piece, rest) = self.rest.split_at(most - less);
        into[..piece.len()].copy_from_slice(piece);
        self.rest = rest;
        Ok(piece.len())
    }
}
