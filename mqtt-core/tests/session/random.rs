//! Whatever the peer, the application and the transport do, in whatever order: nothing panics or hangs, and what the
//! session sends is a legal stream of packets.

use crate::common::{IN_ONE_PIECE, Setup, TestSession, VERSIONS, new_session};
use mqtt_core::{
    Instant, Message, QoS, ReceiveBuffer, Received,
    codec::{FixedHeader, Packet, Properties, Publish, ReasonCode, Subscription, Version},
    session::{AckToken, Event, OutboxPolicy, Oversize, Ticket},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Connects,
    LosesLink {
        by_peer: bool,
    },
    Leaves {
        with_will: bool,
    },
    Accepts {
        session_present: bool,
        limits: Limits,
    },
    Answers {
        first: u8,
        identifier: u16,
    },
    AnswersWithCode {
        first: u8,
        identifier: u16,
        code: u8,
    },
    AnswersRequest {
        first: u8,
        identifier: u16,
        codes: Vec<u8>,
    },
    Sends {
        qos: u8,
        identifier: u16,
        dup: bool,
        topic: usize,
        payload: usize,
    },
    SendsBytes(Vec<u8>),
    SendsBent {
        identifier: u16,
        payload: usize,
        at: usize,
        byte: u8,
    },
    Publishes {
        qos: u8,
        payload: usize,
        watched: bool,
    },
    Subscribes {
        filters: usize,
    },
    Unsubscribes {
        filters: usize,
    },
    Acknowledges {
        which: usize,
        code: u8,
    },
    AsksFor {
        which: usize,
    },
    Forgets {
        which: usize,
    },
    BeginsStream {
        qos: u8,
        len: u32,
    },
    FillsStream {
        len: usize,
    },
    AbortsStream,
    Transmits {
        len: usize,
    },
    Waits {
        ms: u32,
    },
    Blocks(bool),
}

/// What a server of MQTT 5 may announce.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    not(feature = "v5"),
    allow(dead_code, reason = "3.1.1 announces nothing")
)]
struct Limits {
    receive_maximum: Option<u16>,
    maximum_packet_size: Option<u32>,
    topic_alias_maximum: u16,
}

fn limits() -> impl Strategy<Value = Limits> {
    let receive_maximum = prop::option::of(1_u16..5);
    let maximum_packet_size = prop::option::of(5_u32..200);
    (receive_maximum, maximum_packet_size, 0_u16..4).prop_map(
        |(receive_maximum, maximum_packet_size, topic_alias_maximum)| Limits {
            receive_maximum,
            maximum_packet_size,
            topic_alias_maximum,
        },
    )
}

fn connack(version: Version, session_present: bool, limits: Limits) -> Vec<u8> {
    #[cfg(feature = "v5")]
    if version.is_v5() {
        use core::num::{NonZeroU16, NonZeroU32};
        use mqtt_core::codec::{ConnAck, Property};

        let mut properties = vec![Property::TopicAliasMaximum(limits.topic_alias_maximum)];
        let window = limits.receive_maximum.and_then(NonZeroU16::new);
        properties.extend(window.map(Property::ReceiveMaximum));
        let size = limits.maximum_packet_size.and_then(NonZeroU32::new);
        properties.extend(size.map(Property::MaximumPacketSize));
        let connack = ConnAck {
            session_present,
            code: ReasonCode::SUCCESS,
            properties: Properties::from(&properties),
        };
        return crate::common::bytes_of(&Packet::ConnAck(connack), version);
    }
    let _ = limits;
    crate::common::connack(version, session_present)
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop_oneof![4 => 1_u16..24, 1 => any::<u16>()];
    let ack = || prop_oneof![Just(0x40_u8), Just(0x50), Just(0x62), Just(0x70)];
    let payload = || prop_oneof![5 => 0_usize..30, 1 => 30_usize..400];
    prop_oneof![
        4 => Just(Step::Connects),
        1 => any::<bool>().prop_map(|by_peer| Step::LosesLink { by_peer }),
        1 => any::<bool>().prop_map(|with_will| Step::Leaves { with_will }),
        8 => (any::<bool>(), prop_oneof![Just(Limits::default()), limits()])
            .prop_map(|(session_present, limits)| Step::Accepts { session_present, limits }),
        12 => (ack(), id()).prop_map(|(first, identifier)| Step::Answers { first, identifier }),
        2 => (ack(), id(), any::<u8>()).prop_map(|(first, identifier, code)| {
            Step::AnswersWithCode { first, identifier, code }
        }),
        2 => (prop_oneof![Just(0x90), Just(0xb0)], id(), prop::collection::vec(0_u8..3, 1..3))
            .prop_map(|(first, identifier, codes)| {
                Step::AnswersRequest { first, identifier, codes }
            }),
        8 => (0_u8..3, id(), any::<bool>(), 1_usize..80, payload()).prop_map(
            |(qos, identifier, dup, topic, payload)| {
                Step::Sends { qos, identifier, dup, topic, payload }
            }
        ),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Step::SendsBytes),
        2 => (id(), payload(), 0_usize..40, any::<u8>()).prop_map(
            |(identifier, payload, at, byte)| Step::SendsBent { identifier, payload, at, byte }
        ),
        12 => (0_u8..3, payload(), any::<bool>())
            .prop_map(|(qos, payload, watched)| Step::Publishes { qos, payload, watched }),
        1 => (0_usize..3).prop_map(|filters| Step::Subscribes { filters }),
        1 => (0_usize..3).prop_map(|filters| Step::Unsubscribes { filters }),
        8 => (any::<usize>(), prop_oneof![6 => Just(0_u8), 1 => Just(0x87)])
            .prop_map(|(which, code)| Step::Acknowledges { which, code }),
        3 => any::<usize>().prop_map(|which| Step::AsksFor { which }),
        2 => any::<usize>().prop_map(|which| Step::Forgets { which }),
        2 => (0_u8..3, 0_u32..500).prop_map(|(qos, len)| Step::BeginsStream { qos, len }),
        4 => (0_usize..200).prop_map(|len| Step::FillsStream { len }),
        1 => Just(Step::AbortsStream),
        12 => prop_oneof![Just(16_usize), 16_usize..64, Just(1000)]
            .prop_map(|len| Step::Transmits { len }),
        3 => prop_oneof![0_u32..100, 0_u32..70_000].prop_map(|ms| Step::Waits { ms }),
        1 => any::<bool>().prop_map(Step::Blocks),
    ]
}

struct World {
    setup: Setup,
    session: TestSession,
    rx: ReceiveBuffer<Vec<u8>>,
    now: Instant,
    /// What the session sent on this link.
    sent: Vec<u8>,
    tokens: Vec<AckToken>,
    tickets: Vec<Ticket>,
    stream: Option<Ticket>,
    /// What CONNACK announced on this link.
    limits: Limits,
    /// The link must end.
    failed: bool,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let mut rx = ReceiveBuffer::new(vec![0; setup.rx]);
        rx.reset(&setup.options);
        Self {
            session: new_session(setup).unwrap(),
            rx,
            now: Instant::from_millis(IN_ONE_PIECE.start_ms.wrapping_sub(100_000)),
            sent: Vec::new(),
            tokens: Vec::new(),
            tickets: Vec::new(),
            stream: None,
            limits: Limits::default(),
            failed: false,
            setup: *setup,
        }
    }

    fn version(&self) -> Version {
        self.setup.options.version
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Connects => self.connect(),
            Step::LosesLink { by_peer } => self.session.link_lost(by_peer),
            Step::Leaves { with_will: false } => {
                self.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            }
            Step::Leaves { with_will: true } => {
                self.session
                    .disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE);
            }
            Step::Accepts {
                session_present,
                limits,
            } => self.accept(session_present, limits),
            Step::Answers { first, identifier } => {
                let [high, low] = identifier.to_be_bytes();
                self.receive(&[first, 2, high, low]);
            }
            Step::AnswersWithCode {
                first,
                identifier,
                code,
            } => {
                let [high, low] = identifier.to_be_bytes();
                self.receive(&[first, 3, high, low, code]);
            }
            Step::AnswersRequest {
                first,
                identifier,
                ref codes,
            } => self.answer_request(first, identifier, codes),
            Step::Sends {
                qos,
                identifier,
                dup,
                topic,
                payload,
            } => {
                let bytes = self.publish_from_peer(qos, identifier, dup, topic, payload);
                self.receive(&bytes);
            }
            Step::SendsBytes(ref bytes) => self.receive(bytes),
            Step::SendsBent {
                identifier,
                payload,
                at,
                byte,
            } => {
                let mut bytes = self.publish_from_peer(1, identifier, false, 3, payload);
                let at = at % bytes.len();
                bytes[at] = byte;
                self.receive(&bytes);
            }
            Step::Transmits { len } => self.transmit(len),
            Step::Waits { ms } => self.wait(ms),
            Step::Blocks(blocked) => self.session.set_receive_blocked(blocked, self.now),
            ref step => self.application(step),
        }
    }

    fn application(&mut self, step: &Step) {
        match *step {
            Step::Publishes {
                qos,
                payload,
                watched,
            } => {
                let topic = topic_for(payload);
                let payload = vec![b'p'; payload];
                let message = Message::new(topic, &payload).qos(QoS::from_u8(qos).unwrap());
                if let Ok(ticket) = self.session.publish(&message, watched, self.now) {
                    self.tickets.push(ticket);
                }
            }
            Step::Subscribes { filters } => {
                let filters =
                    vec![Subscription::new(crate::common::filter("a/+"), QoS::AtMostOnce); filters];
                let result = self.session.subscribe(&filters, Properties::NONE, true);
                self.tickets.extend(result);
            }
            Step::Unsubscribes { filters } => {
                let filters = vec![crate::common::filter("a/+"); filters];
                let result = self.session.unsubscribe(&filters, Properties::NONE, true);
                self.tickets.extend(result);
            }
            Step::Acknowledges { which, code } if !self.tokens.is_empty() => {
                let token = self.tokens.swap_remove(which % self.tokens.len());
                self.session.acknowledge(token, ReasonCode::new(code));
            }
            Step::AsksFor { which } if !self.tickets.is_empty() => {
                let index = which % self.tickets.len();
                let mut codes = [ReasonCode::SUCCESS; 3];
                if self
                    .session
                    .take_codes(self.tickets[index], &mut codes)
                    .is_some()
                {
                    self.tickets.swap_remove(index);
                }
            }
            Step::Forgets { which } if !self.tickets.is_empty() => {
                let ticket = self.tickets.swap_remove(which % self.tickets.len());
                self.session.forget(ticket);
            }
            Step::BeginsStream { qos, len } => {
                let message = Message::new("s", b"").qos(QoS::from_u8(qos).unwrap());
                let begun = self.session.stream_begin(&message, len, false, self.now);
                self.stream = begun.ok().or(self.stream);
            }
            Step::FillsStream { len } => {
                if let Some(ticket) = self.stream
                    && let Some(room) = self.session.stream_room(ticket)
                {
                    let len = len.min(room.len());
                    room[..len].fill(b's');
                    self.session.stream_filled(ticket, len);
                }
            }
            Step::AbortsStream => {
                if let Some(ticket) = self.stream.take() {
                    self.failed |= self.session.stream_abort(ticket).is_err();
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self) {
        self.end_of_link();
        self.rx.reset(&self.setup.options);
        self.failed = false;
        // The options never change, so there is always room for CONNECT.
        self.session.connect(&self.setup.options, self.now).unwrap();
        assert!(self.session.has_output());
        self.transmit(1000);
        assert_ne!(self.sent, [], "no CONNECT");
    }

    fn accept(&mut self, session_present: bool, limits: Limits) {
        let before = self.session.counters().connections;
        let bytes = connack(self.version(), session_present, limits);
        self.receive(&bytes);
        let accepted = self.session.counters().connections != before;
        if accepted && self.version() != Version::V3_1_1 {
            self.limits = limits;
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.failed {
                return;
            }
            self.rx.space()[0] = *byte;
            self.rx.filled(1);
            self.take_in();
        }
    }

    fn take_in(&mut self) {
        // One byte is one packet at most, or two pieces of one.
        for _ in 0..4 {
            let received = match self.rx.next() {
                Ok(None) => return,
                Ok(Some(received)) => received,
                Err(error) => {
                    self.session.fail(error);
                    self.failed = true;
                    return;
                }
            };
            let is_large = matches!(received, Received::LargePublish(_));
            match self.session.handle(received, self.now) {
                Ok(Event::Message(incoming)) => self.tokens.extend(incoming.token),
                Ok(Event::LargeMessage(_, token)) => self.tokens.extend(token),
                Ok(_) => {}
                Err(_) => {
                    self.failed = true;
                    return;
                }
            }
            if is_large && self.setup.options.oversize == Oversize::Skip {
                self.rx.skip();
            }
        }
        panic!("one byte gives no end of events");
    }

    fn transmit(&mut self, len: usize) {
        let mut out = vec![0; len];
        let expected = self.session.has_output();
        let sent = self.session.transmit(&mut out, self.now);
        assert!(expected || sent == 0, "output came as a surprise");
        self.sent.extend_from_slice(&out[..sent]);
    }

    fn wait(&mut self, ms: u32) {
        self.now = self.now.plus(ms);
        if let Some(due) = self.session.next_deadline()
            && self.now.has_reached(due)
        {
            self.failed |= self.session.tick(self.now).is_err();
            let next = self.session.next_deadline();
            assert!(next != Some(due), "the deadline is still the same");
        }
    }

    fn answer_request(&mut self, first: u8, identifier: u16, codes: &[u8]) {
        let identifier = identifier.max(1);
        let bytes = if first == 0x90 {
            crate::common::suback(self.version(), identifier, codes)
        } else {
            crate::common::unsuback(self.version(), identifier, &vec![0; codes.len()])
        };
        self.receive(&bytes);
    }

    fn publish_from_peer(
        &self,
        qos: u8,
        identifier: u16,
        dup: bool,
        topic: usize,
        payload: usize,
    ) -> Vec<u8> {
        let qos = QoS::from_u8(qos).unwrap();
        let at_most_once = qos == QoS::AtMostOnce;
        let identifier = if at_most_once { 0 } else { identifier.max(1) };
        let (topic, payload) = ("t".repeat(topic), vec![b'd'; payload]);
        let message = Message::new(&topic, &payload).qos(qos);
        crate::common::publish(self.version(), &message, identifier, dup && !at_most_once)
    }

    /// The peer looks at all that it got.
    fn end_of_link(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        let mut rest = &sent[..];
        let limits = std::mem::take(&mut self.limits);
        let mut topics: Vec<String> = Vec::new();
        let mut count = 0;
        while let Some((header, len)) = FixedHeader::decode(rest, self.version()).unwrap() {
            let end = len + header.remaining_length as usize;
            if end > rest.len() {
                return;
            }
            let packet = crate::common::decode(&rest[..end], self.version());
            rest = &rest[end..];
            let is_connect = matches!(packet, Packet::Connect(_));
            assert_eq!(is_connect, count == 0, "packet {count}: {packet:?}");
            let fits = limits
                .maximum_packet_size
                .is_none_or(|maximum| end <= maximum as usize);
            assert!(fits || is_connect, "{end} bytes are too many");
            count += 1;
            match packet {
                Packet::Publish(publish) => {
                    check_topic(&publish, limits.topic_alias_maximum, &mut topics);
                }
                Packet::Disconnect(_) => assert_eq!(rest, [], "bytes behind DISCONNECT"),
                _ => {}
            }
        }
    }
}

/// A message of this length has this topic.
fn topic_for(payload_len: usize) -> &'static str {
    ["up/0", "up/one", "up/number/two"][payload_len % 3]
}

/// The topic is that of the message, whether in full or by an alias; `topics` are those with an alias.
fn check_topic(publish: &Publish<'_>, maximum: u16, topics: &mut Vec<String>) {
    let mut topic = publish.topic.as_str();
    if let Some(alias) = publish.properties.topic_alias() {
        assert!(alias <= maximum, "alias {alias} is above {maximum}");
        let index = usize::from(alias) - 1;
        if topic.is_empty() {
            topic = &topics[index];
        } else {
            assert_eq!(index, topics.len(), "the next alias is expected");
            topics.push(topic.to_owned());
            topic = &topics[index];
        }
    }
    let expected = match publish.payload {
        [b's', ..] => "s",
        // Nothing says what an empty payload was.
        [] => topic,
        payload => topic_for(payload.len()),
    };
    assert_eq!(topic, expected);
}

fn run(version: Version, steps: &[Step], outbox: OutboxPolicy, stream: bool) {
    let mut setup = Setup::new(version);
    setup.options.clean_session = false;
    setup.options.session_known = true;
    setup.options.always_resubscribe = stream;
    setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
    setup.options.receive_maximum = 3;
    setup.options.max_in_flight = 4;
    setup.options.keep_alive_s = 20;
    setup.options.ack_timeout_ms = 60_000;
    #[cfg(feature = "v5")]
    {
        setup.options.v5.topic_alias_memory = 24;
    }
    setup.outbox = outbox;
    setup.tx = 300;
    setup.slots = 14;
    setup.rx = 64;
    if stream {
        setup.options.oversize = Oversize::Stream;
    }
    let mut world = World::new(&setup);
    world.connect();
    world.accept(false, Limits::default());
    for step in steps {
        world.step(step);
    }
    world.end_of_link();
    recovers(&mut world);
}

/// A well-behaved peer can still finish everything.
fn recovers(world: &mut World) {
    world.session.link_lost(false);
    for ticket in std::mem::take(&mut world.tickets) {
        world.session.forget(ticket);
    }
    let mut broker = crate::common::broker::Broker::new(world.version(), &[]);
    world.connect();
    broker.receives(&std::mem::take(&mut world.sent));
    for _ in 0..1000 {
        let output = std::mem::take(&mut broker.output);
        world.receive(&output);
        assert!(!world.failed, "the session refuses a good peer");
        world.transmit(1000);
        if world.sent.is_empty() {
            assert!(world.session.is_idle(), "something is left for ever");
            return;
        }
        broker.receives(&std::mem::take(&mut world.sent));
    }
    panic!("the conversation has no end");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_that_happens_breaks_a_session(
        steps in prop::collection::vec(step(), 1..120),
        policy in 0_usize..3,
        stream in any::<bool>(),
    ) {
        let policies = [OutboxPolicy::Wait, OutboxPolicy::DropOldest, OutboxPolicy::KeepLatest];
        for version in VERSIONS {
            run(*version, &steps, policies[policy], stream);
        }
    }

    #[test]
    fn no_bytes_break_the_handshake(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for version in VERSIONS {
            for prefix in [&[][..], &[0x20], &[0x20, 2], &[0xf0], &[0xe0]] {
                let mut world = World::new(&Setup::new(*version));
                world.connect();
                world.receive(&[prefix, &bytes].concat());
                world.transmit(100);
                world.end_of_link();
            }
        }
    }
}
