//! The link breaks after any byte, in either direction: what may be lost or doubled is what the standard allows.

use std::collections::BTreeMap;

use crate::common::{Setup, VERSIONS, broker::Broker, new_session};
use mqtt_core::{
    Instant, Message, QoS, ReceiveBuffer, Version,
    session::{AckToken, DeliveryError, Event, Outcome, Oversize, Ticket},
};

const NOW: Instant = Instant::from_millis(0);

/// What the application sends and what it is sent: a few of each QoS, some larger than a buffer.
const UP: [(QoS, &[u8]); 6] = [
    (QoS::AtLeastOnce, b"up 1"),
    (
        QoS::ExactlyOnce,
        b"up 2, which is somewhat longer than the others",
    ),
    (QoS::ExactlyOnce, b"up 3"),
    (QoS::AtLeastOnce, b"up 4"),
    (QoS::ExactlyOnce, b"up 5"),
    (QoS::AtLeastOnce, b"up 6"),
];
const DOWN: [(QoS, &[u8]); 5] = [
    (QoS::ExactlyOnce, b"down 1"),
    (QoS::AtLeastOnce, b"down 2"),
    (
        QoS::ExactlyOnce,
        b"down 3, larger than the receive buffer, so that it comes in pieces and can be cut in the middle",
    ),
    (QoS::ExactlyOnce, b"down 4"),
    (QoS::AtLeastOnce, b"down 5"),
];

/// Where the link breaks: after so many bytes in one direction.
#[derive(Clone, Copy, Debug)]
struct Cut {
    up: usize,
    down: usize,
}

/// Both ends, and the bytes between them.
struct World {
    setup: Setup,
    session: crate::common::TestSession,
    rx: ReceiveBuffer<Vec<u8>>,
    broker: Broker,
    /// Messages as the application has got them.
    received: Vec<Vec<u8>>,
    /// The large one so far.
    pieces: Option<(Vec<u8>, AckToken)>,
    tickets: Vec<Ticket>,
    outcomes: BTreeMap<usize, Outcome>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let mut session = new_session(setup).unwrap();
        let publish = |(qos, payload): (QoS, &'static [u8])| {
            let message = Message::new("up", payload).qos(qos);
            session.publish(&message, true, NOW).unwrap()
        };
        let tickets = UP.map(publish).to_vec();
        Self {
            session,
            rx: ReceiveBuffer::new(vec![0; setup.rx]),
            broker: Broker::new(setup.options.version, &DOWN),
            received: Vec::new(),
            pieces: None,
            tickets,
            outcomes: BTreeMap::new(),
            setup: *setup,
        }
    }

    /// One link, until nothing moves or it is cut. True if nothing was left to do.
    fn link(&mut self, cut: Cut) -> bool {
        self.pieces = None;
        self.rx.reset(&self.setup.options);
        self.session.connect(&self.setup.options, NOW).unwrap();
        let (mut up, mut down) = (cut.up, cut.down);
        loop {
            let mut out = [0; 24];
            let len = self.session.transmit(&mut out, NOW).min(up);
            self.broker.receives(&out[..len]);
            up -= len;
            let mut input = std::mem::take(&mut self.broker.output);
            input.truncate(down);
            down -= input.len();
            let moved = len + input.len();
            for byte in input {
                self.receive(byte);
            }
            self.collect();
            if up == 0 || down == 0 {
                return false;
            }
            if moved == 0 {
                return true;
            }
        }
    }

    fn receive(&mut self, byte: u8) {
        self.rx.space()[0] = byte;
        self.rx.filled(1);
        while let Some(received) = self.rx.next().unwrap() {
            let done = match self.session.handle(received, NOW).unwrap() {
                Event::Message(incoming) => {
                    self.received.push(incoming.publish.payload.to_vec());
                    incoming.token
                }
                Event::LargeMessage(_, token) => {
                    self.pieces = token.map(|token| (Vec::new(), token));
                    None
                }
                Event::Piece { bytes, last } => {
                    let (mut payload, token) = self.pieces.take().expect("a large message");
                    payload.extend_from_slice(bytes);
                    if last {
                        self.received.push(payload);
                        Some(token)
                    } else {
                        self.pieces = Some((payload, token));
                        None
                    }
                }
                _ => None,
            };
            if let Some(token) = done {
                self.session
                    .acknowledge(token, mqtt_core::codec::ReasonCode::SUCCESS);
            }
        }
    }

    fn collect(&mut self) {
        for (index, ticket) in self.tickets.iter().enumerate() {
            if let Some(outcome) = self.session.take_outcome(*ticket) {
                assert!(
                    self.outcomes.insert(index, outcome).is_none(),
                    "two outcomes"
                );
            }
        }
    }

    fn breaks(&mut self, keeps_session: bool) {
        self.session.link_lost(true);
        self.broker.link_lost(keeps_session);
    }
}

fn setup(version: Version) -> Setup {
    let mut setup = Setup::new(version);
    setup.options.clean_session = false;
    // Else MQTT 5 refuses a session of which CONNACK was lost, and begins anew.
    setup.options.session_known = true;
    setup.options.poison_after = 0;
    setup.options.oversize = Oversize::Stream;
    setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
    setup.rx = 64;
    setup
}

fn count(messages: &[Vec<u8>], payload: &[u8]) -> usize {
    messages
        .iter()
        .filter(|message| *message == payload)
        .count()
}

/// All cuts in one direction or the other, until one comes too late.
fn every_cut(mut try_cut: impl FnMut(Cut) -> bool) {
    const NEVER: usize = 1_000_000;
    let mut directions: [Box<dyn Fn(usize) -> Cut>; 2] = [
        Box::new(|n| Cut { up: n, down: NEVER }),
        Box::new(|n| Cut { up: NEVER, down: n }),
    ];
    for direction in &mut directions {
        let last = (1..2_000).find(|n| try_cut(direction(*n)));
        let last = last.expect("the conversation has an end");
        assert!(last > 100, "{last} bytes are no conversation");
    }
}

/// MQTT 3.1.1 [MQTT-4.1.0-1] [MQTT-4.3.3-2]
/// MQTT 5 [MQTT-3.1.2-23] [MQTT-4.3.3-10]
#[test]
fn a_session_that_is_kept_loses_nothing_and_doubles_no_qos_2() {
    for version in VERSIONS {
        every_cut(|cut| {
            let mut world = World::new(&setup(*version));
            let finished = world.link(cut);
            // Then every further link is cut at the same place, until one is cut no more.
            for _ in 0..2 {
                world.breaks(true);
                world.link(cut);
            }
            world.breaks(true);
            assert!(world.link(Cut {
                up: usize::MAX,
                down: usize::MAX
            }));
            assert!(world.session.is_idle() && world.broker.is_done(), "{cut:?}");
            for (index, (qos, payload)) in UP.iter().enumerate() {
                let arrived = count(&world.broker.arrived, payload);
                let expected = *qos == QoS::AtLeastOnce && arrived > 1 || arrived == 1;
                assert!(expected, "{cut:?}: message {index} arrived {arrived} times");
                assert!(world.outcomes[&index].is_ok(), "{cut:?}");
            }
            for (qos, payload) in DOWN {
                let received = count(&world.received, payload);
                let expected = qos == QoS::AtLeastOnce && received > 1 || received == 1;
                assert!(expected, "{cut:?}: {payload:?} was given {received} times");
            }
            finished
        });
    }
}

#[test]
fn messages_arrive_in_the_order_in_which_they_were_published() {
    for version in VERSIONS {
        every_cut(|cut| {
            let mut world = World::new(&setup(*version));
            let finished = world.link(cut);
            world.breaks(true);
            world.link(Cut {
                up: usize::MAX,
                down: usize::MAX,
            });
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let sent = UP.iter().filter(|(of, _)| *of == qos);
                // Repetitions may come late; the first of each does not (MQTT 3.1.1 §4.6).
                let mut first: Vec<&[u8]> = Vec::new();
                for payload in &world.broker.arrived {
                    if !first.contains(&payload.as_slice()) {
                        first.push(payload);
                    }
                }
                first.retain(|payload| UP.contains(&(qos, payload)));
                assert!(first.iter().eq(sent.map(|(_, payload)| payload)), "{cut:?}");
            }
            finished
        });
    }
}

#[test]
fn a_session_that_is_lost_doubles_no_qos_2_and_says_what_it_lost() {
    for version in VERSIONS {
        every_cut(|cut| {
            let mut world = World::new(&setup(*version));
            let finished = world.link(cut);
            world.breaks(false);
            assert!(world.link(Cut {
                up: usize::MAX,
                down: usize::MAX
            }));
            assert!(world.session.is_idle() && world.broker.is_done(), "{cut:?}");
            for (index, (qos, payload)) in UP.iter().enumerate() {
                let arrived = count(&world.broker.arrived, payload);
                match (qos, world.outcomes[&index]) {
                    (QoS::ExactlyOnce, Err(DeliveryError::SessionLost)) => {
                        assert!(arrived <= 1, "{cut:?}: message {index}");
                    }
                    (QoS::ExactlyOnce, Ok(_)) => assert_eq!(arrived, 1, "{cut:?}: {index}"),
                    (_, Ok(_)) => assert!(arrived >= 1, "{cut:?}: message {index}"),
                    (_, Err(error)) => panic!("{cut:?}: message {index}: {error}"),
                }
            }
            for (_, payload) in DOWN {
                // The server began anew.
                assert!(count(&world.received, payload) >= 1, "{cut:?}: {payload:?}");
            }
            finished
        });
    }
}

#[test]
fn a_session_that_is_lost_loses_no_qos_2_if_wished() {
    for version in VERSIONS {
        every_cut(|cut| {
            let mut setup = setup(*version);
            setup.options.redeliver_exactly_once = true;
            let mut world = World::new(&setup);
            let finished = world.link(cut);
            world.breaks(false);
            assert!(world.link(Cut {
                up: usize::MAX,
                down: usize::MAX
            }));
            for (index, (_, payload)) in UP.iter().enumerate() {
                let arrived = count(&world.broker.arrived, payload);
                assert!(arrived >= 1, "{cut:?}: message {index} did not arrive");
            }
            finished
        });
    }
}
