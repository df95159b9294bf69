//! Bytes of a peer into a receive buffer and a session, in each state in which they can come, split in any way.
//!
//! What has to hold:
//!
//! - what the session sends is a legal stream of client's packets, and each acknowledgement answers something;
//! - an error closes: nothing is delivered afterwards, and DISCONNECT is the last packet;
//! - however the stream is split, the same comes out;
//! - the pieces of a large message are as long together as its head said;
//! - afterwards the session can connect again, a normal exchange succeeds, and nothing is left.

use std::collections::BTreeMap;

use mqtt_core::{
    Instant, Message, QoS, ReceiveBuffer, Received, Version,
    codec::{
        EncodeError, FixedHeader, Packet, PacketIdentifier, PacketType, Properties, ReasonCode,
        Writer,
    },
    session::{AckToken, Authentication, Event, Options, Oversize, SessionError, Ticket},
};

use crate::{
    common::{self, Setup, TestSession, broker::Broker},
    input::{Choices, pieces, version},
};

/// Two bytes choose; the rest is what the peer sends.
///
/// The first one: the version (1), the state (2, 4, 8), large messages as a stream (16), messages are not acknowledged
/// (32), authentication (64), the peer closes (128). The second one: the length of the pieces.
pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let choice = choices.byte();
    let split = choices.byte();
    let bytes = choices.0;
    let at_once = Link::over(choice, bytes, Way { split: 0, out: 0 });
    let in_pieces = Link::over(choice, bytes, Way { split, out: 0 });
    assert_eq!(at_once.seen, in_pieces.seen, "splitting makes a difference");
    assert_eq!(at_once.error, in_pieces.error);
    let out = 16 + usize::from(split) % 100;
    let mut link = Link::over(choice, bytes, Way { split, out });
    link.time_passes();
    link.recovers(choice & 128 != 0);
}

/// How bytes travel.
#[derive(Clone, Copy)]
struct Way {
    split: u8,
    /// Bytes transmitted at once after each piece; 0 to transmit at the end only.
    out: usize,
}

/// Where the conversation stands when the peer's bytes come.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Idle,
    Connecting,
    Connected,
    AtLeastOnceInFlight,
    ExactlyOnceInFlight,
    RequestsPending,
    InboundExactlyOnce,
    LargeMessage,
}

const STATES: [State; 8] = [
    State::Idle,
    State::Connecting,
    State::Connected,
    State::AtLeastOnceInFlight,
    State::ExactlyOnceInFlight,
    State::RequestsPending,
    State::InboundExactlyOnce,
    State::LargeMessage,
];

/// What the application is given.
#[derive(PartialEq, Debug)]
enum Seen {
    Connected(bool),
    Message(String, Vec<u8>, QoS),
    Large(String, u32),
    Pieces(Vec<u8>, bool),
    Authentication(Vec<u8>),
}

struct Link {
    setup: Setup,
    session: TestSession,
    rx: ReceiveBuffer<Vec<u8>>,
    now: Instant,
    withhold: bool,
    seen: Vec<Seen>,
    /// The link must end.
    error: Option<SessionError>,
    tokens: Vec<AckToken>,
    tickets: Vec<Ticket>,
    /// Bytes of the large message that are to come, unless it is skipped.
    large: Option<u32>,
    /// What was sent and is no whole packet yet.
    sent: Vec<u8>,
    /// Packets that were sent on this link, and whether the last one is.
    count: usize,
    left: bool,
    /// Acknowledgements that may be sent, by kind and identifier.
    owed: BTreeMap<(u8, u16), usize>,
}

impl Link {
    /// All of the peer's bytes over a link in the state that `choice` says.
    fn over(choice: u8, bytes: &[u8], way: Way) -> Self {
        let mut link = Self::new(choice);
        link.prepare(STATES[usize::from(choice >> 1 & 7)]);
        link.withhold = choice & 32 != 0;
        link.receive(bytes, way);
        link.transmit(1000);
        link
    }

    fn new(choice: u8) -> Self {
        let mut setup = Setup::new(version(choice));
        setup.rx = 128;
        setup.tx = 600;
        setup.slots = 24;
        let options = &mut setup.options;
        options.clean_session = false;
        options.session_known = true;
        options.keep_alive_s = 20;
        options.receive_maximum = 3;
        options.max_in_flight = 4;
        options.subscriptions = common::SUBSCRIPTIONS;
        options.v5.topic_alias_maximum = 3;
        options.v5.topic_alias_memory = 24;
        if choice & 16 != 0 {
            options.oversize = Oversize::Stream;
        }
        if choice & 64 != 0 {
            options.v5.authentication = Some(&Token);
        }
        let mut rx = ReceiveBuffer::new(vec![0; setup.rx]);
        rx.enable_topic_aliases();
        rx.reset(&setup.options);
        Self {
            session: common::new_session(&setup).expect("good options"),
            rx,
            setup,
            now: Instant::from_millis(u32::MAX - 5_000),
            withhold: false,
            seen: Vec::new(),
            error: None,
            tokens: Vec::new(),
            tickets: Vec::new(),
            large: None,
            sent: Vec::new(),
            count: 0,
            left: false,
            owed: BTreeMap::new(),
        }
    }

    fn version(&self) -> Version {
        self.setup.options.version
    }

    fn options(&self) -> Options<'static> {
        self.setup.options
    }

    /// A conversation up to `state`.
    fn prepare(&mut self, state: State) {
        self.publish(QoS::AtLeastOnce);
        if state == State::Idle {
            return;
        }
        self.connect();
        if state == State::Connecting {
            return;
        }
        self.receive_whole(&self.connack());
        self.transmit(1000);
        // Identifier 1 is the publication's, 2 the subscription's, or the other way round: both are answered.
        for id in 1..3 {
            self.finish(id);
        }
        match state {
            State::AtLeastOnceInFlight => {
                self.publish(QoS::AtLeastOnce);
                self.publish(QoS::AtLeastOnce);
            }
            State::ExactlyOnceInFlight => {
                self.publish(QoS::ExactlyOnce);
                self.publish(QoS::ExactlyOnce);
                self.transmit(1000);
                self.receive_whole(&common::pubrec(self.last_identifier()));
            }
            State::RequestsPending => {
                let filters = common::SUBSCRIPTIONS;
                let asked = self.session.subscribe(filters, Properties::NONE, true);
                self.tickets.extend(asked);
                let filters = [common::filter("a/#")];
                let asked = self.session.unsubscribe(&filters, Properties::NONE, true);
                self.tickets.extend(asked);
            }
            State::InboundExactlyOnce => {
                let message = Message::new("a/b", b"twice?").exactly_once();
                self.receive_whole(&common::publish(self.version(), &message, 1, false));
                self.transmit(1000);
                self.withhold = true;
                self.receive_whole(&common::publish(self.version(), &message, 2, false));
            }
            State::LargeMessage => {
                let payload = [7; 400];
                let message = Message::new("a/b", &payload).at_least_once();
                let bytes = common::publish(self.version(), &message, 1, false);
                self.receive_whole(&bytes[..200]);
            }
            _ => {}
        }
        self.transmit(1000);
        assert_eq!(self.error, None);
        self.seen.clear();
    }

    fn connack(&self) -> Vec<u8> {
        if self.version() == Version::V5 && self.setup.options.v5.authentication.is_some() {
            return b"\x20\x0b\0\0\x08\x15\0\x05token".to_vec();
        }
        common::connack(self.version(), false)
    }

    /// Whatever the exchange `id` is, the peer ends it.
    fn finish(&mut self, id: u16) {
        let expected = self.owed.get(&(PacketType::Subscribe as u8, id)).copied();
        let answer = match expected {
            Some(_) => common::suback(self.version(), id, &[1, 2]),
            None => common::puback(id).to_vec(),
        };
        self.receive_whole(&answer);
        self.transmit(1000);
    }

    /// The identifier of the last PUBLISH that was sent.
    fn last_identifier(&self) -> u16 {
        let publish = PacketType::Publish as u8;
        let ids = self.owed.range((publish, 0)..=(publish, u16::MAX));
        ids.last().map_or(1, |((_, id), _)| *id)
    }

    fn connect(&mut self) {
        self.rx.reset(&self.setup.options);
        (self.sent, self.count, self.left) = (Vec::new(), 0, false);
        self.owed.clear();
        self.error = None;
        self.large = None;
        let options = self.options();
        self.session.connect(&options, self.now).expect("room");
        self.transmit(1000);
        assert_eq!(self.count, 1, "no CONNECT");
    }

    fn publish(&mut self, qos: QoS) {
        let message = Message::new("up", b"payload").qos(qos);
        let ticket = self.session.publish(&message, true, self.now);
        self.tickets.extend(ticket);
    }

    fn receive_whole(&mut self, bytes: &[u8]) {
        self.receive(bytes, Way { split: 0, out: 0 });
    }

    fn receive(&mut self, bytes: &[u8], way: Way) {
        for piece in pieces(bytes, way.split) {
            let mut rest = piece;
            while !rest.is_empty() {
                let space = self.rx.space();
                if space.is_empty() {
                    assert!(self.error.is_some(), "the receive buffer is stuck");
                    return;
                }
                let len = space.len().min(rest.len());
                space[..len].copy_from_slice(&rest[..len]);
                self.rx.filled(len);
                rest = &rest[len..];
                if !self.take_in() {
                    return;
                }
                if way.out != 0 {
                    self.transmit(way.out);
                }
            }
        }
    }

    /// False when nothing can be made of the bytes any more.
    fn take_in(&mut self) -> bool {
        loop {
            let received = match self.rx.next() {
                Ok(None) => return true,
                Ok(Some(received)) => received,
                Err(error) => {
                    if self.error.is_none() {
                        self.session.fail(error);
                        self.error = Some(error);
                    }
                    return false;
                }
            };
            let begins_large = matches!(received, Received::LargePublish(_));
            if self.session.is_connected() {
                note_debt(&mut self.owed, &received);
            }
            let was_over = self.error.is_some() || self.session.is_closed();
            let mut asked = false;
            match self.session.handle(received, self.now) {
                Ok(Event::None) => {}
                Ok(event) => {
                    assert!(!was_over, "delivered behind the end: {event:?}");
                    asked = matches!(
                        event,
                        Event::Authentication {
                            finished: false,
                            ..
                        }
                    );
                    note(&mut self.seen, &mut self.large, &mut self.tokens, event);
                }
                Err(error) => {
                    assert!(!was_over, "{error:?} behind the end");
                    self.error = Some(error);
                }
            }
            if begins_large && self.setup.options.oversize == Oversize::Skip {
                self.rx.skip();
                self.large = None;
            }
            if asked {
                self.authenticate();
            }
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        if !self.withhold && self.large.is_none() {
            for token in self.tokens.drain(..) {
                self.session.acknowledge(token, ReasonCode::SUCCESS);
            }
        }
    }

    fn authenticate(&mut self) {
        let code = ReasonCode::CONTINUE_AUTHENTICATION;
        let answer = &mut |data: &mut Writer<'_>| Token.respond(b"", data);
        // There may be no room for it.
        let _ = self.session.authenticate(code, answer);
    }

    /// Everything that can be sent goes out, `len` bytes at a time.
    fn transmit(&mut self, len: usize) {
        let mut out = vec![0; len];
        for _ in 0..1000 {
            let expected = self.session.has_output();
            let len = self.session.transmit(&mut out, self.now);
            assert!(expected || len == 0, "output came as a surprise");
            if len == 0 {
                return self.look_at_sent();
            }
            self.sent.extend_from_slice(&out[..len]);
        }
        panic!("it sends without end");
    }

    fn look_at_sent(&mut self) {
        let sent = std::mem::take(&mut self.sent);
        let mut rest = &sent[..];
        while let Some((header, len)) = FixedHeader::decode(rest, self.version()).unwrap() {
            let end = len + header.remaining_length as usize;
            let Some(body) = rest.get(len..end) else {
                break;
            };
            let packet = Packet::decode(header, body, self.version()).unwrap();
            self.look_at(&packet);
            rest = &rest[end..];
        }
        self.sent = rest.to_vec();
    }

    fn look_at(&mut self, packet: &Packet<'_>) {
        assert!(!self.left, "{packet:?} behind DISCONNECT");
        let is_connect = matches!(packet, Packet::Connect(_));
        assert_eq!(is_connect, self.count == 0, "{packet:?}");
        self.count += 1;
        let packet_type = packet.packet_type();
        match packet {
            Packet::Publish(publish) => {
                let id = publish.packet_identifier.map_or(0, PacketIdentifier::get);
                assert_eq!(publish.payload, b"payload");
                *self.owed.entry((packet_type as u8, id)).or_default() += 1;
            }
            Packet::Subscribe(subscribe) => {
                let id = subscribe.packet_identifier.get();
                *self.owed.entry((packet_type as u8, id)).or_default() += 1;
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                let key = (packet_type as u8, ack.packet_identifier.get());
                let owed = self.owed.entry(key).or_default();
                assert_ne!(*owed, 0, "{packet:?} answers nothing");
                *owed -= 1;
            }
            Packet::Disconnect(disconnect) => {
                self.left = true;
                let code = self.error.map(SessionError::reason_code);
                assert_eq!(Some(disconnect.code), code);
            }
            Packet::Connect(_) | Packet::Unsubscribe(_) | Packet::PingReq | Packet::Auth(_) => {}
            other => panic!("a client does not send {other:?}"),
        }
    }

    /// Deadlines come, and none comes twice.
    fn time_passes(&mut self) {
        for _ in 0..6 {
            let Some(due) = self.session.next_deadline() else {
                return;
            };
            assert!(due.since(self.now) < u32::MAX / 2 || self.now.has_reached(due));
            if due.has_reached(self.now) {
                self.now = due;
            }
            if let Err(error) = self.session.tick(self.now) {
                self.error = self.error.or(Some(error));
            }
            assert_ne!(self.session.next_deadline(), Some(due), "the same again");
            self.transmit(1000);
        }
    }

    /// On a new link a peer that behaves can finish everything.
    fn recovers(&mut self, by_peer: bool) {
        self.session.link_lost(by_peer);
        for ticket in self.tickets.drain(..) {
            self.session.forget(ticket);
        }
        self.withhold = false;
        self.tokens.clear();
        // The good peer knows no method.
        self.setup.options.v5.authentication = None;
        let messages: [(QoS, &[u8]); 2] = [(QoS::AtLeastOnce, b"one"), (QoS::ExactlyOnce, b"two")];
        let mut broker = Broker::new(self.version(), &messages);
        self.seen.clear();
        self.rx.reset(&self.setup.options);
        self.error = None;
        self.large = None;
        let options = self.options();
        self.session.connect(&options, self.now).expect("room");
        self.publish(QoS::AtLeastOnce);
        self.publish(QoS::ExactlyOnce);
        assert_eq!(self.tickets.len(), 2, "no room for two messages");
        for _ in 0..100 {
            let mut out = [0; 1000];
            let len = self.session.transmit(&mut out, self.now);
            broker.receives(&out[..len]);
            let output = std::mem::take(&mut broker.output);
            if len == 0 && output.is_empty() {
                return self.is_done(&broker);
            }
            self.receive_whole(&output);
            assert_eq!(self.error, None, "it refuses a good peer");
        }
        panic!("the conversation has no end");
    }

    fn is_done(&mut self, broker: &Broker) {
        for ticket in self.tickets.drain(..) {
            let outcome = self.session.take_outcome(ticket);
            assert_eq!(outcome, Some(Ok(ReasonCode::SUCCESS)));
        }
        assert!(broker.is_done());
        assert!(self.session.is_idle(), "something is left for ever");
        let messages = self
            .seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Message(..)));
        assert_eq!(messages.count(), 2);
    }
}

/// What may be answered.
fn note_debt(owed: &mut BTreeMap<(u8, u16), usize>, received: &Received<'_>) {
    let (qos, id) = match received {
        Received::Packet(Packet::Publish(publish)) => (publish.qos, publish.packet_identifier),
        Received::LargePublish(head) => (head.qos, head.packet_identifier),
        Received::Packet(Packet::PubRel(ack)) => {
            let key = (PacketType::PubComp as u8, ack.packet_identifier.get());
            *owed.entry(key).or_default() += 1;
            return;
        }
        Received::Packet(Packet::PubRec(ack)) => {
            let key = (PacketType::PubRel as u8, ack.packet_identifier.get());
            *owed.entry(key).or_default() += 1;
            return;
        }
        _ => return,
    };
    let answer = match qos {
        QoS::AtMostOnce => return,
        QoS::AtLeastOnce => PacketType::PubAck,
        QoS::ExactlyOnce => PacketType::PubRec,
    };
    let id = id.expect("an identifier").get();
    *owed.entry((answer as u8, id)).or_default() += 1;
}

fn note(
    seen: &mut Vec<Seen>,
    large: &mut Option<u32>,
    tokens: &mut Vec<AckToken>,
    event: Event<'_>,
) {
    let event = match event {
        Event::Connected(connack) => Seen::Connected(connack.session_present),
        Event::Message(incoming) => {
            assert_eq!(*large, None, "a message inside a message");
            let publish = incoming.publish;
            assert_eq!(incoming.token.is_some(), publish.qos != QoS::AtMostOnce);
            assert!(!publish.topic.is_empty(), "no topic");
            tokens.extend(incoming.token);
            let topic = publish.topic.as_str().to_owned();
            Seen::Message(topic, publish.payload.to_vec(), publish.qos)
        }
        Event::LargeMessage(head, token) => {
            assert_eq!(*large, None, "a message inside a message");
            // Of what cannot be named, there are no pieces.
            *large = (!head.topic.is_empty()).then_some(head.payload_len);
            tokens.extend(token);
            Seen::Large(head.topic.as_str().to_owned(), head.payload_len)
        }
        Event::Piece { bytes, last } => {
            if let Some(left) = large {
                *left -= u32::try_from(bytes.len()).unwrap();
                assert_eq!(last, *left == 0, "{left} bytes are left");
            }
            if last {
                *large = None;
            }
            if let Some(Seen::Pieces(all, end @ false)) = seen.last_mut() {
                all.extend_from_slice(bytes);
                *end = last;
                return;
            }
            Seen::Pieces(bytes.to_vec(), last)
        }
        Event::Authentication { data, .. } => Seen::Authentication(data.to_vec()),
        _ => return,
    };
    seen.push(event);
}

/// A method of authentication that is content with everything but `no`.
struct Token;

impl Authentication for Token {
    fn method(&self) -> &'static str {
        "token"
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"begin")
    }

    fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        if server_data == b"no" {
            return Err(EncodeError::InvalidValue);
        }
        data.bytes(b"more")
    }
}
