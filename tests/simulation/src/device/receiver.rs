//! What the application receives, holds, acknowledges late, refuses, and wants only a part of.

use std::{future::poll_fn, pin::pin, task::Poll};

use mqtt_core::{
    codec::ReasonCode,
    session::{AckToken, Oversize},
};

use super::App;
use crate::{
    clock,
    kind::{Inbox, Received},
    ledger::{number_of, payload},
    scene::Scene,
    verdict::Rule,
};

impl App {
    pub(super) async fn receive(self, mut inbox: Inbox) {
        let scene = self.scene.clone();
        let mut deferred = Vec::new();
        loop {
            self.acknowledge_some(&mut deferred);
            if scene.setup.deaf && scene.mishap(4) {
                scene.note(|| "app: drops its inbox".into());
                scene.ledger.borrow_mut().deaf = true;
                drop(inbox);
                break;
            }
            // Looks after its own affairs now and then.
            let patience = (!deferred.is_empty()).then_some(150);
            let next = self.cut(within(patience, inbox.next()));
            match next.await.flatten() {
                Some(Ok(message)) => self.take_message(message, &mut deferred).await,
                Some(Err(_)) => scene.pause(100).await,
                None => {}
            }
        }
        while !deferred.is_empty() {
            self.acknowledge_some(&mut deferred);
            scene.pause(50).await;
        }
    }

    /// Acknowledges what was put off, in any order.
    fn acknowledge_some(&self, deferred: &mut Vec<(AckToken, u32)>) {
        while !deferred.is_empty() && (self.scene.is_calm() || !self.scene.tape.one_in(3)) {
            let at = self.scene.tape.below(deferred.len() as u32) as usize;
            let (token, number) = deferred.remove(at);
            self.scene.note(|| format!("app: acknowledges {number}"));
            self.scene.ledger.borrow_mut().released(number);
            self.client.acknowledge(token);
        }
    }

    async fn take_message(&self, message: Received<'_>, deferred: &mut Vec<(AckToken, u32)>) {
        let scene = &self.scene;
        let topic = message.topic();
        let number = match topic.as_str().split('/').nth(2) {
            Some(number) => number.parse().ok(),
            None => number_of(message.payload()),
        };
        let expected = number.and_then(|number| scene.ledger.borrow().topic_of(number));
        let Some(number) = number.filter(|_| expected.as_deref() == Some(topic.as_str())) else {
            return scene.violate(Rule::Content, || {
                format!("message {number:?} has topic {topic:?} instead of {expected:?}")
            });
        };
        let guard = Guard {
            message: Some(message),
            number,
            scene,
        };
        if guard.is_whole() {
            self.take_whole(guard, deferred).await;
        } else {
            self.take_large(guard).await;
        }
    }

    async fn take_whole(&self, mut guard: Guard<'_, '_>, deferred: &mut Vec<(AckToken, u32)>) {
        let scene = &self.scene;
        let tape = &scene.tape;
        let number = guard.number;
        guard.check_content();
        match tape.below(8) {
            0..=3 => drop(guard),
            4 => {
                if let Some(message) = guard.message.take()
                    && let Some(token) = message.defer_ack()
                {
                    deferred.push((token, number));
                }
            }
            5 => {
                scene.ledger.borrow_mut().released(number);
                if scene.setup.version.is_v5() {
                    scene.ledger.borrow_mut().dismissed(scene, number);
                }
                if let Some(message) = guard.message.take() {
                    message.reject(ReasonCode::NOT_AUTHORIZED);
                }
            }
            // The guard goes with the future, if that is dropped.
            _ => {
                let hold = async move {
                    scene.pause(scene.setup.chaos_ms / 8).await;
                    drop(guard);
                };
                self.cut(hold).await;
            }
        }
    }

    async fn take_large(&self, mut guard: Guard<'_, '_>) {
        let scene = &self.scene;
        let number = guard.number;
        let (qos, total) = match &guard.message {
            Some(message) => (message.qos(), message.total_len()),
            None => return,
        };
        if scene.setup.options.oversize == Oversize::Skip {
            // There is nothing more to come; that it was there is what there is to know.
            // It may be there again, since it was not taken whole.
            let mut ledger = scene.ledger.borrow_mut();
            ledger.dismissed(scene, number);
            return ledger.received(scene, number, qos);
        }
        let mut all = Vec::new();
        loop {
            let Some(message) = &mut guard.message else {
                return;
            };
            if scene.mishap(12) {
                scene.ledger.borrow_mut().dismissed(scene, number);
                return;
            }
            let chunk = self.cut(message.chunk()).await;
            match chunk {
                // It has other things to do, and the next piece may come meanwhile.
                None => scene.pause(scene.setup.chaos_ms / 8).await,
                Some(Ok(Some(bytes))) => all.extend_from_slice(bytes),
                Some(Ok(None)) => break,
                // The rest will not come; the server begins anew.
                Some(Err(_)) => return,
            }
        }
        let complete = all == payload(number, total as usize);
        scene.require(complete, Rule::Content, || {
            format!(
                "message {number} came as {} bytes of {total}, or damaged",
                all.len()
            )
        });
        scene.ledger.borrow_mut().received(scene, number, qos);
    }
}

/// A message with the application; gives notice of its release just before it is dropped.
struct Guard<'i, 's> {
    message: Option<Received<'i>>,
    number: u32,
    scene: &'s Scene,
}

impl Guard<'_, '_> {
    fn is_whole(&self) -> bool {
        self.message.as_ref().is_some_and(Received::is_whole)
    }

    fn check_content(&self) {
        let Some(message) = &self.message else {
            return;
        };
        let number = self.number;
        self.scene
            .ledger
            .borrow_mut()
            .received(self.scene, number, message.qos());
        let intact = message.payload() == payload(number, message.payload().len());
        self.scene.require(intact, Rule::Content, || {
            format!("message {number} is damaged")
        });
    }
}

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if self.message.is_some() {
            self.scene.ledger.borrow_mut().released(self.number);
        }
    }
}

/// Waits for a future, but not for longer than `millis`, if that is given.
async fn within<T>(millis: Option<u32>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut sleep = pin!(millis.map(clock::sleep));
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
