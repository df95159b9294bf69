//! The books: every message that was ever handed to somebody, and what became of it.

mod durable;

use mqtt_core::{
    QoS,
    codec::ReasonCode,
    session::{DeliveryError, OutboxPolicy, Outcome},
};

use crate::{clock, flash::gives_up, scene::Scene, verdict::Rule};

/// Bytes of a payload that say which message it is.
pub(crate) const NUMBER_LEN: usize = 4;

/// Where a message of the application stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Handed to the client, which has not said yes.
    Offered,
    Accepted,
    /// The client said no, or was not let answer.
    Withdrawn,
}

/// A message of the application.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Outbound {
    pub(crate) qos: QoS,
    pub(crate) topic: u8,
    pub(crate) len: usize,
    pub(crate) retain: bool,
    pub(crate) streamed: bool,
    /// Message Expiry Interval in seconds.
    pub(crate) expiry_s: Option<u32>,
    /// Offered to the durable outbox.
    pub(crate) durable: bool,
    /// It was in the store of the outbox.
    pub(crate) stored: bool,
    /// The outbox told its loss, or made room at its expense.
    given_up: bool,
    /// The outbox gave it to this client more than once.
    pub(crate) resubmitted: bool,
    pub(crate) stage: Stage,
    /// The device that offered it; of a durable one, the device whose outbox gave it to the client.
    pub(crate) boot: u32,
    /// The session, as the client knows it, in which that was.
    pub(crate) session: u32,
    /// Position among all accepted messages, of durable ones in the store; and the number of the newest link then.
    pub(crate) order: u32,
    pub(crate) link: u32,
    at: u64,
    /// How often the broker took it over as new.
    pub(crate) arrivals: u32,
    /// The sessions of broker and client in which that was.
    arrived_in: Option<(u32, u32)>,
    /// The session, as the client knows it, in which it was last written in full; and the link.
    pub(crate) written: Option<(u32, u32)>,
    pub(crate) refused: Option<ReasonCode>,
    /// The broker had another message under the same identifier.
    pub(crate) collided: bool,
    /// It was under way while the client knew less of the session than the broker.
    doubtful: bool,
    ended: Option<Outcome>,
}

/// A message for the device.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Inbound {
    pub(crate) qos: QoS,
    pub(crate) topic: u8,
    /// Others have the same topic: the number stands in the payload only.
    pub(crate) shared_topic: bool,
    pub(crate) len: usize,
    /// How often it was read from a link in full.
    pub(crate) copies: u32,
    /// How often the application got all of it, and was done with it.
    pub(crate) received: u32,
    pub(crate) released: u32,
    /// The application refused it, or did not want all of it.
    pub(crate) dismissed: bool,
    /// The broker has forgotten it, or the device has.
    pub(crate) forgotten: bool,
    /// The device that got it first.
    boot: u32,
    /// PUBREC was written.
    pub(crate) acknowledged: bool,
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Ledger {
    pub(crate) outbound: Vec<Outbound>,
    pub(crate) inbound: Vec<Inbound>,
    accepted: u32,
    /// Counts devices, links, and sessions as the client knows them.
    pub(crate) boot: u32,
    /// The device whose session the present one goes on with: itself, unless it restored a copy.
    first_boot: u32,
    /// Messages that this device's outbox gave up for others.
    pub(crate) made_room: u32,
    pub(crate) links: u32,
    pub(crate) sessions: u32,
    /// Links of earlier sessions.
    links_before: u32,
    /// The session began anew after something was sent in an earlier one.
    pub(crate) session_lost: bool,
    /// Sessions of the broker. It has begun one that the client has not been told of: nobody can tell then which
    /// exchanges go on, and QoS 2 is as good as its broker.
    pub(crate) generation: u32,
    pub(crate) untold: bool,
    /// The client was told, and has not saved it: a loss of power makes it forget.
    unsaved: bool,
    /// There is a copy of the session.
    pub(crate) copied: bool,
    /// CONNACK that this device has read.
    connacks: u32,
    /// Outbox policies of this boot, the present one last.
    pub(crate) policies: Vec<OutboxPolicy>,
    /// The newest link when the application said goodbye: it may end early. And all such links, with whether the will
    /// was to be published.
    pub(crate) farewell: u32,
    goodbyes: Vec<(u32, bool)>,
    /// The application has dropped its inbox: messages are acknowledged unseen.
    pub(crate) deaf: bool,
    /// Filters that the broker has granted at some time.
    pub(crate) granted: Vec<String>,
    /// The newest message that the application got, of each topic and QoS.
    received_last: [[u32; 3]; 3],
}

/// The payload of message `number`.
pub(crate) fn payload(number: u32, len: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend((NUMBER_LEN..len).map(|at| filler(number, at)));
    payload
}

fn filler(number: u32, at: usize) -> u8 {
    (number as u8).wrapping_mul(31).wrapping_add(at as u8)
}

/// Which message it is, if it is undamaged.
pub(crate) fn number_of(payload: &[u8]) -> Option<u32> {
    let (number, rest) = payload.split_first_chunk::<NUMBER_LEN>()?;
    let number = u32::from_be_bytes(*number);
    let intact = rest
        .iter()
        .zip(NUMBER_LEN..)
        .all(|(byte, at)| *byte == filler(number, at));
    intact.then_some(number)
}

/// What the application does with messages of its own.
impl Ledger {
    /// A device begins to live; `restored`: with the session of the one before.
    pub(crate) fn boots(&mut self, policy: OutboxPolicy, restored: bool) {
        self.boot += 1;
        self.made_room = 0;
        self.connacks = 0;
        self.policies.push(policy);
        self.untold |= restored && self.unsaved;
        if !restored {
            self.first_boot = self.boot;
            self.sessions += 1;
            self.links_before = self.links;
            self.session_lost = false;
            self.policies = vec![policy];
        }
    }

    /// A copy of the session, as it is now, outlives a loss of power.
    pub(crate) fn saves_session(&mut self) {
        self.unsaved = false;
        self.copied = true;
    }

    /// The client is connected, unless it has just given the link up.
    pub(crate) fn welcomed(&mut self, session_present: bool) {
        self.connacks += 1;
        if !session_present {
            if self.untold {
                self.doubt();
            }
            self.sessions += 1;
            self.session_lost = true;
            self.untold = false;
            self.unsaved = true;
        }
    }

    /// What was under way at QoS 2 while nobody could tell which exchanges go on.
    fn doubt(&mut self) {
        let sent = |message: &&mut Outbound| message.written.is_some();
        let sent = self.outbound.iter_mut().filter(sent);
        sent.for_each(|message| message.doubtful = message.qos == QoS::ExactlyOnce);
        let read = |message: &&mut Inbound| message.copies > 0 && message.qos == QoS::ExactlyOnce;
        let read = self.inbound.iter_mut().filter(read);
        read.for_each(|message| message.forgotten = true);
    }

    /// A link has ended; the client says how many CONNACK it has taken notice of.
    pub(crate) fn parted(&mut self, connections: u32, session_present: Option<bool>) {
        self.untold |= connections < self.connacks && session_present == Some(false);
        self.connacks = connections;
    }

    pub(crate) fn says_goodbye(&mut self, with_will: bool) {
        self.farewell = self.links;
        self.goodbyes.push((self.links, with_will));
    }

    /// Whether the application wanted that link to end in this way.
    pub(crate) fn has_said_goodbye(&self, link: u32, with_will: bool) -> bool {
        self.goodbyes.contains(&(link, with_will))
    }

    pub(crate) fn offer(&mut self, message: Offer) -> u32 {
        self.outbound.push(Outbound {
            qos: message.qos,
            topic: message.topic,
            len: message.len,
            retain: message.retain,
            streamed: message.streamed,
            expiry_s: message.expiry_s,
            durable: message.durable,
            stored: false,
            given_up: false,
            resubmitted: false,
            stage: Stage::Offered,
            boot: if message.durable { 0 } else { self.boot },
            session: 0,
            order: 0,
            link: 0,
            at: clock::elapsed(),
            arrivals: 0,
            arrived_in: None,
            written: None,
            refused: None,
            collided: false,
            doubtful: false,
            ended: None,
        });
        self.outbound.len() as u32 - 1
    }

    pub(crate) fn accepted(&mut self, scene: &Scene, number: u32) {
        self.accepted += 1;
        scene.summary.borrow_mut().published += 1;
        let (order, link) = (self.accepted, self.links);
        let message = &mut self.outbound[number as usize];
        message.stage = Stage::Accepted;
        message.order = order;
        message.link = link;
        message.at = clock::elapsed();
        scene.note(|| format!("app: accepted {number}"));
    }

    pub(crate) fn withdrawn(&mut self, scene: &Scene, number: u32, why: &str) {
        self.outbound[number as usize].stage = Stage::Withdrawn;
        scene.note(|| format!("app: not accepted {number}: {why}"));
    }

    /// The client told what became of a message.
    pub(crate) fn ended(&mut self, scene: &Scene, number: u32, outcome: Outcome) {
        scene.note(|| format!("app: {number} ended: {outcome:?}"));
        let truth = self.check_outcome(scene, number, outcome);
        scene.require(truth, Rule::Outcome, || {
            let message = &self.outbound[number as usize];
            format!("message {number} ended as {outcome:?}, which is not true: {message:?}")
        });
        self.outbound[number as usize].ended = Some(outcome);
    }

    fn check_outcome(&self, scene: &Scene, number: u32, outcome: Outcome) -> bool {
        let message = &self.outbound[number as usize];
        let options = &scene.setup.options;
        let policies = &self.policies;
        let gives_up = policies.iter().copied().any(gives_up);
        match outcome {
            Ok(_) if message.qos == QoS::AtMostOnce => true,
            Ok(_) => message.arrivals > 0 || message.collided || self.is_uncertain(message.qos),
            Err(DeliveryError::Rejected(code)) => {
                message.refused == Some(code) || is_over_limit(scene, message)
            }
            Err(DeliveryError::Dropped) => gives_up && message.written.is_none(),
            Err(DeliveryError::SessionLost) => message.qos == QoS::ExactlyOnce && self.session_lost,
            Err(DeliveryError::Poison) => {
                options.poison_after != 0
                    && self.links - self.links_before >= u32::from(options.poison_after)
            }
            Err(DeliveryError::LinkLost) => message.streamed,
            Err(DeliveryError::Expired) => message
                .expiry_s
                .is_some_and(|expiry| clock::elapsed() - message.at >= u64::from(expiry) * 1_000),
            _ => false,
        }
    }

    fn is_uncertain(&self, qos: QoS) -> bool {
        self.untold && qos == QoS::ExactlyOnce
    }
}

/// Whether the server's limits keep the message from being sent.
pub(crate) fn is_over_limit(scene: &Scene, message: &Outbound) -> bool {
    let broker = &scene.setup.broker;
    // Fixed header, topic, identifier and properties.
    let longest = message.len + 40;
    message.qos > broker.maximum_qos
        || (message.retain && !broker.retain_available)
        || broker
            .maximum_packet_size
            .is_some_and(|maximum| longest > maximum as usize)
}

/// A message that the application is about to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) qos: QoS,
    pub(crate) topic: u8,
    pub(crate) len: usize,
    pub(crate) retain: bool,
    pub(crate) streamed: bool,
    pub(crate) durable: bool,
    pub(crate) expiry_s: Option<u32>,
}

/// What the broker does with messages of the application.
impl Ledger {
    /// The broker takes a message over as new.
    pub(crate) fn arrived(&mut self, scene: &Scene, number: u32) {
        let once = !scene.setup.options.redeliver_exactly_once
            && scene.setup.broker.memory != crate::setup::Memory::Pretends;
        let message = &mut self.outbound[number as usize];
        message.arrivals += 1;
        if message.arrivals == 1 {
            scene.summary.borrow_mut().arrived += 1;
        }
        scene.note(|| format!("broker: has {number}"));
        let here = (
            self.generation,
            message.written.map_or(0, |(session, _)| session),
        );
        let before = message.arrived_in.replace(here);
        // A durable message is sent again when its session is gone.
        let known = if message.durable {
            before == Some(here)
        } else {
            let anew = |before: (u32, u32)| before.1 != here.1 && !self.untold;
            before.is_some_and(|before| before.0 == here.0 || anew(before))
        };
        let doubled = message.qos == QoS::ExactlyOnce && message.arrivals > 1 && once && known;
        scene.require(!doubled, Rule::ExactlyOnce, || {
            format!("message {number} came {} times", message.arrivals)
        });
        let doubled = message.qos == QoS::AtMostOnce && message.arrivals > 1;
        scene.require(!doubled, Rule::Repetition, || {
            format!("message {number} at QoS 0 came {} times", message.arrivals)
        });
    }

    /// Whether the client has given a message up, or had to forget it: it was switched off.
    pub(crate) fn is_abandoned(&self, scene: &Scene, number: u32) -> bool {
        let message = &self.outbound[number as usize];
        let poisoned = self.check_outcome(scene, number, Err(DeliveryError::Poison));
        let given_up = message.streamed || matches!(message.ended, Some(Err(_))) || poisoned;
        given_up || !self.is_remembered(message)
    }

    /// Whether the device that is on knows of the message: it accepted it, or restored a session in which it was sent.
    fn is_remembered(&self, message: &Outbound) -> bool {
        let sent = message.boot >= self.first_boot && message.written.is_some();
        message.boot == self.boot || (sent && !message.streamed)
    }

    /// Whether the device that is on may send the message.
    pub(crate) fn may_send(&self, message: &Outbound) -> bool {
        let accepted = if message.durable {
            message.stored && message.stage != Stage::Withdrawn
        } else {
            message.stage == Stage::Accepted
                || (message.streamed && message.stage == Stage::Offered)
        };
        accepted && message.boot >= self.first_boot
    }

    /// What must be true of each message when all is done.
    pub(crate) fn check_outbound(&self, scene: &Scene) {
        for (number, message) in self.outbound.iter().enumerate() {
            let kept = message.stage == Stage::Accepted
                && (message.durable || self.is_remembered(message))
                && message.qos != QoS::AtMostOnce;
            let uncertain = message.doubtful || self.is_uncertain(message.qos);
            if !kept || message.arrivals > 0 || message.collided || uncertain {
                continue;
            }
            let excused = match message.ended {
                _ if message.durable => message.given_up,
                Some(outcome) => outcome.is_err(),
                None => self.may_be_lost(scene, message),
            };
            let rule = match message.qos {
                _ if message.durable => Rule::Durable,
                QoS::ExactlyOnce => Rule::ExactlyOnce,
                _ => Rule::AtLeastOnce,
            };
            scene.require(excused, rule, || {
                format!("message {number} never came, and nobody was told: {message:?}")
            });
        }
    }

    /// Whether a message whose outcome nobody asked for may have ended in another way.
    fn may_be_lost(&self, scene: &Scene, message: &Outbound) -> bool {
        let errors = [
            DeliveryError::Dropped,
            DeliveryError::SessionLost,
            DeliveryError::Poison,
            DeliveryError::LinkLost,
            DeliveryError::Expired,
        ];
        let number = self
            .outbound
            .iter()
            .position(|other| std::ptr::eq(other, message));
        let number = number.unwrap_or_default() as u32;
        message.refused.is_some()
            || is_over_limit(scene, message)
            || errors
                .iter()
                .any(|error| self.check_outcome(scene, number, Err(*error)))
    }
}

/// Messages for the device.
impl Ledger {
    pub(crate) fn sends(&mut self, qos: QoS, topic: u8, shared_topic: bool, len: usize) -> u32 {
        self.inbound.push(Inbound {
            qos,
            topic,
            shared_topic,
            len,
            copies: 0,
            received: 0,
            released: 0,
            dismissed: false,
            forgotten: false,
            boot: 0,
            acknowledged: false,
        });
        self.inbound.len() as u32 - 1
    }

    /// The topic under which the broker publishes a message.
    pub(crate) fn topic_of(&self, number: u32) -> Option<String> {
        let message = self.inbound.get(number as usize)?;
        let topic = message.topic;
        Some(if message.shared_topic {
            format!("d/{topic}")
        } else {
            format!("d/{topic}/{number}")
        })
    }

    /// The application got all of a message.
    pub(crate) fn received(&mut self, scene: &Scene, number: u32, qos: QoS) {
        scene.note(|| format!("app: received {number}"));
        let (boot, first_boot) = (self.boot, self.first_boot);
        let Some(message) = self.inbound.get_mut(number as usize) else {
            return scene.violate(Rule::Content, || format!("message {number} was never sent"));
        };
        scene.require(message.qos == qos, Rule::Content, || {
            format!(
                "message {number} came at {qos:?} instead of {:?}",
                message.qos
            )
        });
        message.received += 1;
        if message.received == 1 {
            scene.summary.borrow_mut().received += 1;
            message.boot = boot;
            let last = &mut self.received_last[usize::from(message.topic)][qos as usize];
            scene.require(*last <= number || message.dismissed, Rule::Order, || {
                format!("received {number} after {last} of the same topic and QoS")
            });
            *last = number.max(*last);
            return;
        }
        let doubled = match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => false,
            // A device that was switched off has forgotten what it had, or what it had not answered yet.
            QoS::ExactlyOnce => {
                let known = message.boot >= first_boot && message.acknowledged;
                (message.boot == boot || known) && !message.forgotten && !message.dismissed
            }
        };
        scene.require(!doubled, Rule::ExactlyOnce, || {
            format!("the application got message {number} at {qos:?} twice")
        });
    }

    pub(crate) fn released(&mut self, number: u32) {
        if let Some(message) = self.inbound.get_mut(number as usize) {
            message.released += 1;
        }
    }

    pub(crate) fn dismissed(&mut self, scene: &Scene, number: u32) {
        scene.note(|| format!("app: wants no more of {number}"));
        if let Some(message) = self.inbound.get_mut(number as usize) {
            message.dismissed = true;
        }
    }

    /// Whether the client may acknowledge message `number`.
    pub(crate) fn may_acknowledge(&self, number: u32) -> bool {
        let message = &self.inbound[number as usize];
        if message.dismissed || self.deaf || self.is_uncertain(message.qos) {
            return true;
        }
        // Of a repetition, the first copy may still be with the application.
        message.received > 0 && (message.copies > 1 || message.released >= message.received)
    }

    pub(crate) fn check_inbound(&self, scene: &Scene) {
        for (number, message) in self.inbound.iter().enumerate() {
            let owed = message.qos != QoS::AtMostOnce
                && !message.forgotten
                && !message.dismissed
                && !self.deaf
                && !self.is_uncertain(message.qos);
            scene.require(!owed || message.received > 0, Rule::AtLeastOnce, || {
                format!("the application never got message {number}: {message:?}")
            });
        }
    }

    /// Everything that waits for the device is gone.
    pub(crate) fn forget(&mut self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            self.inbound[number as usize].forgotten = true;
        }
    }
}
