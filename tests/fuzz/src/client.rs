//! Sequences of operations on a client, its inbox and its runner, over links that do what they like.
//!
//! What has to hold once the link is good again: every task ends, what was published has ended in exactly one way and the
//! counters say so, and the client can leave. As long as the peer behaves, what was accepted has also arrived: QoS 1 at
//! least once, QoS 2 exactly once, in both directions.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use arbitrary::{Arbitrary, Unstructured};
use embedded_io_async::ErrorKind;
use mqtt_core::{
    Message, QoS, Version,
    client::{LinkState, StreamError},
    codec::ReasonCode,
    session::{AckToken, DeliveryError, Oversize, PublishError, Reconnect},
};

use crate::support::{
    Config, Inbox, Outcome, Plan, Profile, World,
    broker::Broker,
    clock::{self, Sleep},
    executor::Cut,
    wire,
};

/// Everything that happens, in order.
#[derive(Arbitrary, Debug)]
struct Story {
    v5: bool,
    stream: bool,
    /// The peer says what the operations want, instead of behaving.
    hostile: bool,
    room: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Publish {
        qos: u8,
        len: u8,
        end: End,
    },
    Stream {
        qos: u8,
        len: u8,
    },
    Subscribe(End),
    Unsubscribe(End),
    /// What is done with the next message.
    Receive(Treatment),
    Acknowledge,
    PeerPublishes {
        qos: u8,
        len: u8,
    },
    PeerSends(Vec<u8>),
    PeerAnswers {
        first: u8,
        id: u8,
    },
    PeerAccepts {
        session_present: bool,
    },
    Break,
    HangUp,
    Stall,
    Recover,
    NextLink(Kind),
    Wait(u16),
    DropRun,
    Disconnect,
}

/// What becomes of a task.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum End {
    Awaited,
    /// It is dropped before, or after, so many polls.
    Dropped(u8, bool),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Treatment {
    Hold(u8),
    Defer,
    Reject(u8),
    ReadPieces(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Fails,
    Hangs,
    Rough,
    CutRead(u8),
    CutWrite(u8),
}

/// Operations as [`arbitrary`] makes them of the input.
pub fn run(input: &[u8]) {
    if let Ok(story) = Story::arbitrary_take_rest(Unstructured::new(input)) {
        Stage::new(&story).plays(&story);
    }
}

/// More steps take longer without telling more.
const MOST_STEPS: usize = 60;

struct Stage {
    world: World,
    config: Config,
    hostile: bool,
    tasks: Vec<Outcome<()>>,
    treatments: Rc<RefCell<VecDeque<Treatment>>>,
    tokens: Rc<RefCell<Vec<AckToken>>>,
    log: Rc<RefCell<Vec<Vec<u8>>>>,
    /// What was accepted.
    published: Rc<RefCell<Vec<Published>>>,
    /// What the peer has published.
    expected: Vec<(QoS, Vec<u8>)>,
    number: u16,
}

/// A message of ours: at which QoS, what it says, and whether it was delivered, once that is known.
struct Published {
    qos: QoS,
    payload: Vec<u8>,
    delivered: Option<bool>,
}

impl Stage {
    fn new(story: &Story) -> Self {
        let mut config = Config::new().options(|options| {
            options.version = if story.v5 {
                Version::V5
            } else {
                Version::V3_1_1
            };
            options.clean_session = false;
            options.session_known = story.hostile;
            options.receive_maximum = 12;
            options.poison_after = 0;
            options.reconnect = Reconnect {
                initial_ms: 5,
                max_ms: 50,
                ..Reconnect::new()
            };
            if story.stream {
                options.oversize = Oversize::Stream;
            }
        });
        config.rx = 100;
        config.tx = 200 + usize::from(story.room);
        config.slots = 48;
        let (mut world, inbox) = World::new(config);
        world.client.enable_topic_aliases();
        if !story.hostile {
            world.broker = Some(Broker::new(config.options.version));
        }
        let mut stage = Self {
            world,
            config,
            hostile: story.hostile,
            tasks: Vec::new(),
            treatments: Rc::default(),
            tokens: Rc::default(),
            log: Rc::default(),
            published: Rc::default(),
            expected: Vec::new(),
            number: 0,
        };
        stage.receives(inbox);
        stage.world.start(config.options);
        stage
    }

    fn plays(mut self, story: &Story) {
        for step in story.steps.iter().take(MOST_STEPS) {
            self.does(step);
            self.world.run();
        }
        self.ends();
    }

    fn does(&mut self, step: &Step) {
        match step {
            Step::Publish { qos, len, end } => self.publishes(*qos, *len, *end),
            Step::Stream { qos, len } => self.streams(*qos, *len),
            Step::Subscribe(end) => {
                let client = self.world.client.clone();
                let task = self.world.spawn("subscribe", async move {
                    let _ = client.subscribe("a/+", QoS::AtLeastOnce).await;
                });
                self.keeps(task, *end);
            }
            Step::Unsubscribe(end) => {
                let client = self.world.client.clone();
                let task = self.world.spawn("unsubscribe", async move {
                    let _ = client.unsubscribe("a/+").await;
                });
                self.keeps(task, *end);
            }
            Step::Receive(treatment) => self.treatments.borrow_mut().push_back(*treatment),
            Step::Acknowledge => self.acknowledges(),
            Step::Wait(ms) => self.world.advance((*ms).into()),
            Step::DropRun => {
                self.world.drop_run();
                self.restarts();
            }
            Step::Disconnect => {
                let client = self.world.client.clone();
                self.world
                    .spawn("leaver", async move { client.disconnect().await });
                self.world.advance(6_000);
                self.restarts();
            }
            Step::NextLink(kind) => self.world.plan([plan(*kind)]),
            step => self.peer_does(step),
        }
    }

    /// After a run has ended, another one begins.
    fn restarts(&mut self) {
        if let LinkState::Stopped(_) | LinkState::Idle = self.world.client.state() {
            if let Some(broker) = &mut self.world.broker {
                broker.disconnected = false;
            }
            self.world.start(self.config.options);
        }
    }

    fn peer_does(&mut self, step: &Step) {
        if let Step::PeerPublishes { qos, len } = step {
            return self.peer_publishes(*qos, *len);
        }
        let Some(link) = self.world.net.lock().links.last().cloned() else {
            return;
        };
        match step {
            Step::Break => link.breaks(ErrorKind::ConnectionReset),
            Step::HangUp => link.hangs_up(),
            Step::Stall => link.stalls(),
            Step::Recover => link.recovers(),
            Step::PeerSends(bytes) if self.hostile => link.sends(bytes),
            Step::PeerAnswers { first, id } if self.hostile => {
                let first = [0x40, 0x50, 0x62, 0x70][usize::from(*first) % 4];
                link.sends([first, 2, 0, *id]);
            }
            Step::PeerAccepts { session_present } if self.hostile => {
                let version = self.config.options.version;
                link.sends(wire::connack_in(version, *session_present));
            }
            _ => {}
        }
    }

    /// A payload that no other message has, of this length or somewhat more.
    fn payload(&mut self, len: u8) -> Vec<u8> {
        self.number += 1;
        let mut payload = self.number.to_be_bytes().to_vec();
        payload.resize(usize::from(len).max(2), 7);
        payload
    }

    fn publishes(&mut self, qos: u8, len: u8, end: End) {
        let qos = any_qos(qos);
        let payload = self.payload(len % 60);
        let client = self.world.client.clone();
        let published = self.published.clone();
        let task = self.world.spawn("publish", async move {
            let message = Message::new("t", &payload).qos(qos);
            let mut delivery = match client.publish(&message).await {
                Ok(delivery) => delivery,
                Err(error) => return check_refusal(error),
            };
            let index = published.borrow().len();
            published.borrow_mut().push(Published {
                qos,
                payload,
                delivered: None,
            });
            loop {
                let outcome = delivery.acknowledged().await;
                if outcome != Err(DeliveryError::Stopped) {
                    published.borrow_mut()[index].delivered = Some(outcome.is_ok());
                    return;
                }
                // It waits for the next run.
                Sleep(clock::now().plus(50)).await;
            }
        });
        self.keeps(task, end);
    }

    /// Not at QoS 2: a payload that was not kept cannot be repeated, and on the server such an exchange stays open when its
    /// link is lost.
    fn streams(&mut self, qos: u8, len: u8) {
        let qos = any_qos(qos % 2);
        let client = self.world.client.clone();
        let task = self.world.spawn("stream", async move {
            let payload = vec![9; 3 * usize::from(len)];
            let message = Message::new("stream", b"").qos(qos);
            let len = u32::try_from(payload.len()).unwrap();
            match client
                .publish_stream(&message, len, &mut &payload[..])
                .await
            {
                Ok(mut delivery) => {
                    let _ = delivery.acknowledged().await;
                }
                Err(StreamError::LinkLost) => {}
                Err(StreamError::Publish(error)) => check_refusal(error),
                Err(error) => panic!("{error}"),
            }
        });
        self.tasks.push(task);
    }

    fn keeps(&mut self, task: Outcome<()>, end: End) {
        match end {
            End::Awaited => self.tasks.push(task),
            End::Dropped(polls, before) => {
                let polls = usize::from(polls % 8);
                let cut = if before {
                    Cut::Before(polls)
                } else {
                    Cut::After(polls)
                };
                self.world.executor.cut(task.index(), cut);
            }
        }
    }

    fn peer_publishes(&mut self, qos: u8, len: u8) {
        let qos = any_qos(qos);
        let payload = self.payload(len);
        // Of a large message at QoS 2 that is cut short, the application has a part only.
        if self.hostile || (payload.len() > 60 && qos == QoS::ExactlyOnce) {
            return;
        }
        self.world.broker().publishes(qos, "in", &payload);
        self.expected.push((qos, payload));
    }

    fn acknowledges(&mut self) {
        for token in self.tokens.take() {
            self.world.client.acknowledge(token);
        }
    }

    /// A task that receives for ever, and treats each message as it was told.
    fn receives(&mut self, mut inbox: Inbox) {
        let (treatments, log) = (self.treatments.clone(), self.log.clone());
        let (tokens, hostile) = (self.tokens.clone(), self.hostile);
        self.world.spawn("receiver", async move {
            loop {
                let Ok(mut message) = inbox.next().await else {
                    Sleep(clock::now().plus(20)).await;
                    continue;
                };
                let treatment = treatments.borrow_mut().pop_front();
                let mut payload = message.payload().to_vec();
                if !message.is_whole() {
                    let most = match treatment {
                        Some(Treatment::ReadPieces(most)) if hostile => usize::from(most),
                        _ => usize::MAX,
                    };
                    for _ in 0..most {
                        let Ok(Some(piece)) = message.chunk().await else {
                            break;
                        };
                        payload.extend_from_slice(piece);
                    }
                }
                log.borrow_mut().push(payload);
                match treatment {
                    Some(Treatment::Hold(ms)) => Sleep(clock::now().plus(ms.into())).await,
                    Some(Treatment::Defer) => tokens.borrow_mut().extend(message.defer_ack()),
                    Some(Treatment::Reject(code)) if hostile => {
                        message.reject(ReasonCode::new(code));
                    }
                    _ => {}
                }
            }
        });
    }

    /// The link is good from now on.
    fn ends(mut self) {
        self.treatments.take();
        self.world.net.lock().plan.clear();
        if let Some(link) = self.world.net.lock().links.last() {
            link.recovers();
        }
        if self.hostile {
            self.gets_a_good_peer();
        }
        for _ in 0..600 {
            self.restarts();
            self.acknowledges();
            self.world.advance(500);
            if self.is_done() {
                break;
            }
        }
        self.check();
        let client = self.world.client.clone();
        let left = self
            .world
            .spawn("leaver", async move { client.disconnect().await });
        self.world.advance(10_000);
        assert!(left.is_ready(), "it cannot leave");
        assert!(matches!(self.world.client.state(), LinkState::Stopped(_)));
    }

    /// The present link breaks; on the next one somebody else answers.
    fn gets_a_good_peer(&mut self) {
        let before = self.world.links();
        for _ in 0..1000 {
            if let Some(link) = self.world.net.lock().links.last().cloned() {
                link.breaks(ErrorKind::ConnectionReset);
            }
            self.restarts();
            self.world.advance(100);
            if self.world.links() != before {
                let version = self.config.options.version;
                self.world.broker = Some(Broker::new(version));
                return self.world.run();
            }
        }
        panic!("no new link");
    }

    fn is_done(&mut self) -> bool {
        let ended = self.tasks.iter().all(Outcome::is_ready);
        ended && self.world.broker().is_idle() && {
            let counters = self.world.client.report().session;
            counters.published == counters.delivered + counters.failed
        }
    }

    fn check(&mut self) {
        for task in &self.tasks {
            assert!(task.is_ready(), "{} waits for ever", task.name());
        }
        let counters = self.world.client.report().session;
        assert_eq!(
            counters.published,
            counters.delivered + counters.failed,
            "{counters:?}"
        );
        let broker = self.world.broker();
        assert!(broker.is_idle(), "an exchange does not end");
        if self.hostile {
            return;
        }
        for published in self.published.borrow().iter() {
            let Published {
                qos,
                payload,
                delivered,
            } = published;
            let count = broker.count(payload);
            match qos {
                QoS::AtMostOnce => assert!(count <= 1),
                QoS::AtLeastOnce => assert!(count >= 1, "{payload:?} is lost"),
                QoS::ExactlyOnce => assert_eq!(count, 1, "{payload:?}"),
            }
            assert_ne!(*delivered, Some(false), "given up: {payload:?}");
        }
        let log = self.log.borrow();
        for (qos, payload) in &self.expected {
            // Without a stream, what is too large has no payload.
            if payload.len() > 60 {
                continue;
            }
            let count = log.iter().filter(|seen| *seen == payload).count();
            match qos {
                QoS::AtMostOnce => assert!(count <= 1),
                QoS::AtLeastOnce => assert!(count >= 1, "{payload:?} is lost"),
                QoS::ExactlyOnce => assert_eq!(count, 1, "{payload:?}"),
            }
        }
    }
}

fn any_qos(number: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(number % 3)]
}

fn plan(kind: Kind) -> Plan {
    let cut = |at: u8| Some(usize::from(at));
    match kind {
        Kind::Fails => Plan::Fail(mqtt_core::client::ConnectError::Refused),
        Kind::Hangs => Plan::Hang,
        Kind::Rough => Plan::Link(Profile::ROUGH),
        Kind::CutRead(at) => Plan::Link(Profile {
            cut_read: cut(at),
            ..Profile::SMOOTH
        }),
        Kind::CutWrite(at) => Plan::Link(Profile {
            cut_write: cut(at),
            ..Profile::ROUGH
        }),
    }
}

/// Nothing was queued, for a reason that a caller has to expect.
fn check_refusal(error: PublishError) {
    let expected = matches!(
        error,
        PublishError::Full
            | PublishError::Stopped
            | PublishError::TooLarge
            | PublishError::PacketTooLarge
            | PublishError::QoSNotSupported
    );
    assert!(expected, "{error}");
}
