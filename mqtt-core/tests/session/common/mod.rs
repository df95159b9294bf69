//! A conversation between a session and a scripted peer, written as a trace: who says what, and when.
//!
//! The same script is run with each protocol version, with the bytes cut up in several ways, and with a clock
//! that wraps around in the middle.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod broker;

use std::{collections::VecDeque, fmt::Write as _};

use mqtt_core::{
    Instant, Message, Publication, ReceiveBuffer, Received, Session,
    codec::{
        Ack, ConnAck, FixedHeader, Packet, PacketIdentifier, Properties, Publish, QoS, ReasonCode,
        SubAck, Subscription, TopicFilter, TopicName, UnsubAck, Version,
    },
    session::{
        AckToken, DeliveryError, Event, Options, OutboxPolicy, Outcome, Oversize, PublishError,
        SessionError, Slot, Ticket,
    },
};

pub(crate) const VERSIONS: &[Version] = &[
    Version::V3_1_1,
    #[cfg(feature = "v5")]
    Version::V5,
];

/// How the bytes travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Bytes received at once.
    pub(crate) receive: usize,
    /// Bytes transmitted at once.
    pub(crate) transmit: usize,
    /// The clock at the beginning.
    pub(crate) start_ms: u32,
}

pub(crate) const IN_ONE_PIECE: Way = Way {
    receive: usize::MAX,
    transmit: 4096,
    start_ms: 0,
};

pub(crate) const WAYS: [Way; 4] = [
    IN_ONE_PIECE,
    Way {
        receive: 1,
        transmit: 4096,
        start_ms: u32::MAX - 45_000,
    },
    Way {
        receive: usize::MAX,
        transmit: 16,
        start_ms: u32::MAX,
    },
    Way {
        receive: 3,
        transmit: 17,
        start_ms: u32::MAX / 2,
    },
];

/// What a conversation starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) options: Options<'static>,
    /// Bytes of the transmit buffer, and slots of its table.
    pub(crate) tx: usize,
    pub(crate) slots: usize,
    pub(crate) outbox: OutboxPolicy,
    /// Bytes of the receive buffer.
    pub(crate) rx: usize,
}

impl Setup {
    pub(crate) fn new(version: Version) -> Self {
        let mut options = Options::new("dev1");
        options.version = version;
        Self {
            options,
            tx: 1024,
            slots: 40,
            outbox: OutboxPolicy::Wait,
            rx: 256,
        }
    }
}

/// Runs `script` with each version and in each way.
pub(crate) fn converse(set: impl Fn(&mut Setup), script: impl Fn(&mut Trace)) {
    for version in VERSIONS {
        converse_in(*version, &set, &script);
    }
}

/// Runs `script` in each way.
pub(crate) fn converse_in(version: Version, set: impl Fn(&mut Setup), script: impl Fn(&mut Trace)) {
    for way in WAYS {
        eprintln!("{version:?} {way:?}");
        let mut setup = Setup::new(version);
        set(&mut setup);
        let mut trace = Trace::new(&setup, way);
        script(&mut trace);
        trace.ends();
    }
}

/// What the session told the application.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Seen {
    Connected {
        session_present: bool,
    },
    Message {
        topic: String,
        payload: Vec<u8>,
        qos: QoS,
        dup: bool,
        retain: bool,
        token: Option<AckToken>,
    },
    Large {
        topic: String,
        payload_len: u32,
        token: Option<AckToken>,
    },
    /// Pieces that follow each other, joined; whether the last was among them.
    Pieces(Vec<u8>, bool),
    Authentication {
        data: Vec<u8>,
        finished: bool,
    },
}

pub(crate) type TestSession = Session<Vec<u8>, Vec<Slot>>;

pub(crate) fn new_session(setup: &Setup) -> Result<TestSession, PublishError> {
    new_session_in(setup, 0)
}

/// A session in a buffer that holds `rubbish`.
pub(crate) fn new_session_in(setup: &Setup, rubbish: u8) -> Result<TestSession, PublishError> {
    let mut session = Session::unconfigured(vec![rubbish; setup.tx], vec![Slot::FREE; setup.slots]);
    #[cfg(feature = "v5")]
    {
        session.enable_topic_aliases();
        session.enable_authentication();
    }
    session.set_outbox_policy(setup.outbox);
    session.configure(&setup.options)?;
    Ok(session)
}

fn new_receive_buffer(setup: &Setup) -> ReceiveBuffer<Vec<u8>> {
    #[cfg_attr(
        not(feature = "v5"),
        allow(unused_mut, reason = "aliases are of MQTT 5")
    )]
    let mut rx = ReceiveBuffer::new(vec![0; setup.rx]);
    #[cfg(feature = "v5")]
    rx.enable_topic_aliases();
    rx
}

/// A session, its receive buffer and a clock.
pub(crate) struct Trace {
    pub(crate) options: Options<'static>,
    pub(crate) session: TestSession,
    rx: ReceiveBuffer<Vec<u8>>,
    pub(crate) way: Way,
    now: Instant,
    /// Bytes that the session gave out and the script has not looked at.
    sent: Vec<u8>,
    seen: VecDeque<Seen>,
    error: Option<SessionError>,
}

/// The link.
impl Trace {
    pub(crate) fn new(setup: &Setup, way: Way) -> Self {
        let options = setup.options;
        let session = new_session(setup).expect("a session");
        Self {
            options,
            session,
            rx: new_receive_buffer(setup),
            way,
            now: Instant::from_millis(way.start_ms),
            sent: Vec::new(),
            seen: VecDeque::new(),
            error: None,
        }
    }

    /// Begins a connection, and takes note of CONNECT.
    pub(crate) fn connects(&mut self) -> Packet<'static> {
        self.sent.clear();
        self.rx.reset(&self.options);
        self.session
            .connect(&self.options, self.now)
            .expect("room for CONNECT");
        let connect = self.next_packet();
        assert!(matches!(connect, Packet::Connect(_)), "{connect:?}");
        self.is_silent();
        connect
    }

    /// Connects, and the peer accepts without a session.
    pub(crate) fn is_connected(&mut self) {
        self.connects();
        self.is_accepted(false);
    }

    /// Connects, and the peer still has the session.
    pub(crate) fn resumes(&mut self) {
        self.connects();
        self.is_accepted(true);
    }

    pub(crate) fn is_accepted(&mut self, session_present: bool) {
        let connack = connack(self.version(), session_present);
        self.peer_sends(&connack);
        self.sees(Seen::Connected { session_present });
        assert!(self.session.is_connected());
    }

    /// Connects, and the peer accepts by these bytes.
    pub(crate) fn is_connected_by(&mut self, connack: &[u8]) {
        self.connects();
        self.peer_sends(connack);
        let session_present = connack[2] == 1;
        self.sees(Seen::Connected { session_present });
    }

    /// The link breaks. What was not looked at is lost.
    pub(crate) fn loses_link(&mut self) {
        self.pump();
        self.sent.clear();
        self.session.link_lost(false);
        assert!(!self.session.is_connected());
    }

    pub(crate) fn peer_closes(&mut self) {
        self.pump();
        self.sent.clear();
        self.session.link_lost(true);
    }

    pub(crate) fn peer_sends(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.way.receive.min(bytes.len()).max(1)) {
            let mut rest = piece;
            while !rest.is_empty() && self.error.is_none() {
                let space = self.rx.space();
                assert!(!space.is_empty(), "the receive buffer is stuck");
                let len = space.len().min(rest.len());
                space[..len].copy_from_slice(&rest[..len]);
                self.rx.filled(len);
                rest = &rest[len..];
                self.take_in();
            }
        }
    }

    pub(crate) fn peer_sends_packet(&mut self, packet: &Packet<'_>) {
        let bytes = bytes_of(packet, self.version());
        self.peer_sends(&bytes);
    }

    pub(crate) fn peer_publishes(&mut self, message: &Message<'_>, id: u16) {
        let bytes = publish(self.version(), message, id, false);
        self.peer_sends(&bytes);
    }

    pub(crate) fn peer_repeats(&mut self, message: &Message<'_>, id: u16) {
        let bytes = publish(self.version(), message, id, true);
        self.peer_sends(&bytes);
    }

    fn take_in(&mut self) {
        loop {
            let received = match self.rx.next() {
                Ok(None) => return,
                Ok(Some(received)) => received,
                Err(error) => {
                    self.session.fail(error);
                    self.error = Some(error);
                    return;
                }
            };
            let begins_large = matches!(received, Received::LargePublish(_));
            match self.session.handle(received, self.now) {
                Ok(event) => note(&mut self.seen, event),
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
            if begins_large && self.options.oversize == Oversize::Skip {
                self.rx.skip();
            }
        }
    }

    /// Lets the clock show `ms` since the beginning, and the session do what it asked to be woken for.
    pub(crate) fn at(&mut self, ms: u32) -> &mut Self {
        self.pump();
        self.now = Instant::from_millis(self.way.start_ms).plus(ms);
        let due = self.session.next_deadline();
        if due.is_some_and(|due| self.now.has_reached(due))
            && let Err(error) = self.session.tick(self.now)
        {
            self.error = Some(error);
        }
        self
    }

    /// Milliseconds from the beginning to the next deadline.
    pub(crate) fn deadline(&mut self) -> Option<u32> {
        self.pump();
        let start = Instant::from_millis(self.way.start_ms);
        self.session.next_deadline().map(|at| at.since(start))
    }

    /// The application takes nothing in, or does again.
    pub(crate) fn blocks(&mut self, blocked: bool) {
        self.session.set_receive_blocked(blocked, self.now);
    }

    /// Everything that can be sent goes out.
    pub(crate) fn pumps(&mut self) {
        self.pump();
    }

    /// What was sent and given to the application does not matter.
    pub(crate) fn looks_away(&mut self) {
        self.pump();
        self.sent.clear();
        self.seen.clear();
    }

    fn pump(&mut self) {
        let mut out = vec![0; self.way.transmit];
        loop {
            let expected = self.session.has_output();
            let len = self.session.transmit(&mut out, self.now);
            assert!(expected || len == 0, "output came as a surprise");
            if len == 0 {
                return;
            }
            self.sent.extend_from_slice(&out[..len]);
        }
    }
}

/// What the application does.
impl Trace {
    pub(crate) fn try_publish(
        &mut self,
        publication: &dyn Publication,
    ) -> Result<Ticket, PublishError> {
        self.session.publish(publication, true, self.now)
    }

    pub(crate) fn publishes(&mut self, publication: &dyn Publication) -> Ticket {
        self.try_publish(publication).expect("accepted")
    }

    /// Publishes, and the packet goes out at once.
    pub(crate) fn publishes_and_sends(&mut self, message: &Message<'_>) -> (Ticket, u16) {
        let ticket = self.publishes(message);
        (ticket, self.sends_message(message))
    }

    pub(crate) fn begins_stream(
        &mut self,
        message: &Message<'_>,
        len: u32,
    ) -> Result<Ticket, PublishError> {
        self.session.stream_begin(message, len, true, self.now)
    }

    /// The peer sees the exchange through.
    pub(crate) fn peer_acknowledges(&mut self, id: u16, qos: QoS) {
        if qos == QoS::AtLeastOnce {
            return self.peer_sends(&puback(id));
        }
        self.peer_sends(&pubrec(id));
        self.sends(&pubrel(id));
        self.peer_sends(&pubcomp(id));
    }

    /// Hands the whole payload over, piece by piece as there is room.
    pub(crate) fn streams(&mut self, ticket: Ticket, payload: &[u8]) {
        let mut rest = payload;
        while !rest.is_empty() {
            let room = self.session.stream_room(ticket).expect("a stream");
            let len = room.len().min(rest.len());
            room[..len].copy_from_slice(&rest[..len]);
            let complete = self.session.stream_filled(ticket, len);
            rest = &rest[len..];
            let sent = self.sent.len();
            self.pump();
            assert!(len != 0 || self.sent.len() != sent, "the stream is stuck");
            assert!(!complete || rest.is_empty());
        }
    }

    pub(crate) fn subscribes(&mut self, filters: &[(&'static str, QoS)]) -> Ticket {
        self.try_subscribe(filters).expect("accepted")
    }

    pub(crate) fn try_subscribe(
        &mut self,
        filters: &[(&'static str, QoS)],
    ) -> Result<Ticket, PublishError> {
        let filters: Vec<_> = filters
            .iter()
            .map(|(f, qos)| subscription(f, *qos))
            .collect();
        self.session.subscribe(&filters, Properties::NONE, true)
    }

    pub(crate) fn unsubscribes(&mut self, filters: &[&'static str]) -> Ticket {
        let filters: Vec<_> = filters.iter().map(|f| filter(f)).collect();
        let ticket = self.session.unsubscribe(&filters, Properties::NONE, true);
        ticket.expect("accepted")
    }

    pub(crate) fn acknowledges(&mut self, token: Option<AckToken>) {
        self.rejects(token, ReasonCode::SUCCESS);
    }

    pub(crate) fn rejects(&mut self, token: Option<AckToken>, code: ReasonCode) {
        self.session.acknowledge(token.expect("QoS 1 or 2"), code);
    }

    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.session.take_outcome(ticket)
    }

    pub(crate) fn codes(&mut self, ticket: Ticket, count: usize) -> Option<Vec<u8>> {
        let mut codes = vec![ReasonCode::new(0xff); count];
        let outcome = self.session.take_codes(ticket, &mut codes)?;
        assert_eq!(outcome, Ok(ReasonCode::SUCCESS));
        Some(codes.iter().map(|code| code.value()).collect())
    }
}

/// What is expected.
impl Trace {
    pub(crate) fn version(&self) -> Version {
        self.options.version
    }

    /// The session sends these bytes next.
    #[track_caller]
    pub(crate) fn sends(&mut self, bytes: &[u8]) {
        self.pump();
        let len = bytes.len().min(self.sent.len());
        let sent: Vec<u8> = self.sent.drain(..len).collect();
        assert_eq!(hex(&sent), hex(bytes));
    }

    /// The session sends nothing (more).
    #[track_caller]
    pub(crate) fn is_silent(&mut self) {
        self.pump();
        assert_eq!(hex(&self.sent), "");
    }

    /// The next packet that the session sends.
    #[track_caller]
    pub(crate) fn next_packet(&mut self) -> Packet<'static> {
        self.pump();
        let packet = self.split_packet().expect("a packet");
        decode(packet.leak(), self.version())
    }

    fn split_packet(&mut self) -> Option<Vec<u8>> {
        let (header, len) = FixedHeader::decode(&self.sent, self.version()).expect("a header")?;
        let end = len + header.remaining_length as usize;
        (end <= self.sent.len()).then(|| self.sent.drain(..end).collect())
    }

    #[track_caller]
    pub(crate) fn sends_publish(&mut self) -> Publish<'static> {
        match self.next_packet() {
            Packet::Publish(publish) => publish,
            other => panic!("PUBLISH expected, not {other:?}"),
        }
    }

    /// Sends `message` for the first time; gives its packet identifier, 0 if none.
    #[track_caller]
    pub(crate) fn sends_message(&mut self, message: &Message<'_>) -> u16 {
        let publish = self.sends_publish();
        assert!(!publish.dup, "DUP on a first transmission");
        same_message(&publish, message)
    }

    #[track_caller]
    pub(crate) fn resends_message(&mut self, message: &Message<'_>, id: u16) {
        let publish = self.sends_publish();
        assert!(publish.dup, "no DUP on a repetition");
        assert_eq!(same_message(&publish, message), id);
    }

    /// Sends SUBSCRIBE for these filters; gives its packet identifier.
    #[track_caller]
    pub(crate) fn sends_subscribe(&mut self, filters: &[(&str, QoS)]) -> u16 {
        let Packet::Subscribe(subscribe) = self.next_packet() else {
            panic!("SUBSCRIBE expected");
        };
        let sent: Vec<_> = subscribe
            .filters
            .iter()
            .map(|subscription| (subscription.filter.as_str(), subscription.qos))
            .collect();
        assert_eq!(sent, filters);
        subscribe.packet_identifier.get()
    }

    #[track_caller]
    pub(crate) fn sends_unsubscribe(&mut self, filters: &[&str]) -> u16 {
        let Packet::Unsubscribe(unsubscribe) = self.next_packet() else {
            panic!("UNSUBSCRIBE expected");
        };
        let sent: Vec<_> = unsubscribe.filters.iter().map(|f| f.as_str()).collect();
        assert_eq!(sent, filters);
        unsubscribe.packet_identifier.get()
    }

    #[track_caller]
    pub(crate) fn sees(&mut self, seen: Seen) {
        assert_eq!(self.seen.pop_front(), Some(seen));
    }

    #[track_caller]
    pub(crate) fn next_seen(&mut self) -> Seen {
        self.seen.pop_front().expect("an event")
    }

    #[track_caller]
    pub(crate) fn sees_nothing(&mut self) {
        assert_eq!(self.seen.pop_front(), None);
    }

    /// The application is given this message; its token is returned.
    #[track_caller]
    pub(crate) fn delivers(&mut self, message: &Message<'_>) -> Option<AckToken> {
        match self.next_seen() {
            Seen::Message {
                topic,
                payload,
                qos,
                retain,
                token,
                ..
            } => {
                assert_eq!(topic, message.topic);
                assert_eq!(hex(&payload), hex(message.payload));
                assert_eq!((qos, retain), (message.qos, message.retain));
                assert_eq!(token.is_some(), qos != QoS::AtMostOnce);
                token
            }
            other => panic!("a message expected, not {other:?}"),
        }
    }

    /// Delivers the message and acknowledges it at once.
    #[track_caller]
    pub(crate) fn delivers_and_acknowledges(&mut self, message: &Message<'_>) {
        let token = self.delivers(message);
        self.acknowledges(token);
    }

    /// The link must end, for this reason.
    #[track_caller]
    pub(crate) fn fails_with(&mut self, error: impl Into<SessionError>) {
        assert_eq!(self.error.take(), Some(error.into()));
        assert!(!self.session.is_connected());
    }

    /// The link must end, whatever the reason.
    #[track_caller]
    pub(crate) fn has_failed(&mut self) {
        assert!(self.error.take().is_some());
        assert!(!self.session.is_connected());
    }

    #[track_caller]
    pub(crate) fn succeeds(&mut self, ticket: Ticket) {
        assert_eq!(self.outcome(ticket), Some(Ok(ReasonCode::SUCCESS)));
    }

    #[track_caller]
    pub(crate) fn ends_as(&mut self, ticket: Ticket, error: DeliveryError) {
        assert_eq!(self.outcome(ticket), Some(Err(error)));
    }

    #[track_caller]
    pub(crate) fn is_pending(&mut self, ticket: Ticket) {
        assert_eq!(self.outcome(ticket), None);
    }

    /// On MQTT 5 DISCONNECT names the error, 3.1.1 just closes.
    #[track_caller]
    pub(crate) fn says_goodbye(&mut self, code: u8) {
        if self.version() != Version::V3_1_1 {
            self.sends(&[0xe0, 2, code, 0]);
        }
        self.is_closed();
    }

    /// DISCONNECT went out, or nothing could; nothing follows.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) {
        self.is_silent();
        assert!(self.session.is_closed());
    }

    /// Nothing is left that the script did not expect.
    #[track_caller]
    fn ends(&mut self) {
        self.is_silent();
        assert_eq!(self.seen, []);
        assert_eq!(self.error, None);
    }
}

fn note(seen: &mut VecDeque<Seen>, event: Event<'_>) {
    let text = |topic: TopicName<'_>| topic.as_str().to_owned();
    let event = match event {
        Event::None => return,
        Event::Connected(connack) => Seen::Connected {
            session_present: connack.session_present,
        },
        Event::Message(incoming) => Seen::Message {
            topic: text(incoming.publish.topic),
            payload: incoming.publish.payload.to_vec(),
            qos: incoming.publish.qos,
            dup: incoming.publish.dup,
            retain: incoming.publish.retain,
            token: incoming.token,
        },
        Event::LargeMessage(head, token) => Seen::Large {
            topic: text(head.topic),
            payload_len: head.payload_len,
            token,
        },
        Event::Piece { bytes, last } => {
            if let Some(Seen::Pieces(pieces, end @ false)) = seen.back_mut() {
                pieces.extend_from_slice(bytes);
                *end = last;
                return;
            }
            Seen::Pieces(bytes.to_vec(), last)
        }
        #[cfg(feature = "v5")]
        Event::Authentication { data, finished } => Seen::Authentication {
            data: data.to_vec(),
            finished,
        },
        _ => return,
    };
    seen.push_back(event);
}

#[track_caller]
fn same_message(publish: &Publish<'_>, message: &Message<'_>) -> u16 {
    assert_eq!(publish.topic.as_str(), message.topic);
    assert_eq!(hex(publish.payload), hex(message.payload));
    assert_eq!((publish.qos, publish.retain), (message.qos, message.retain));
    publish.packet_identifier.map_or(0, PacketIdentifier::get)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x} ");
        text
    })
}

pub(crate) fn decode(bytes: &[u8], version: Version) -> Packet<'_> {
    let (header, len) = FixedHeader::decode(bytes, version)
        .expect("a header")
        .expect("a whole header");
    Packet::decode(header, &bytes[len..], version).expect("a packet")
}

pub(crate) fn bytes_of(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = vec![0; 70_000];
    let len = packet.encode(version, &mut out).expect("a legal packet");
    out.truncate(len);
    out
}

pub(crate) fn connack(version: Version, session_present: bool) -> Vec<u8> {
    let connack = ConnAck {
        session_present,
        code: ReasonCode::SUCCESS,
        properties: Properties::NONE,
    };
    bytes_of(&Packet::ConnAck(connack), version)
}

pub(crate) fn publish(version: Version, message: &Message<'_>, id: u16, dup: bool) -> Vec<u8> {
    let topic = if message.topic.is_empty() {
        TopicName::EMPTY
    } else {
        TopicName::new(message.topic).expect("a topic")
    };
    let publish = Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        packet_identifier: PacketIdentifier::new(id),
        properties: message.properties,
        ..Publish::new(topic, message.payload)
    };
    bytes_of(&Packet::Publish(publish), version)
}

pub(crate) fn puback(id: u16) -> [u8; 4] {
    ack(0x40, id)
}

pub(crate) fn pubrec(id: u16) -> [u8; 4] {
    ack(0x50, id)
}

pub(crate) fn pubrel(id: u16) -> [u8; 4] {
    ack(0x62, id)
}

pub(crate) fn pubcomp(id: u16) -> [u8; 4] {
    ack(0x70, id)
}

fn ack(first: u8, id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [first, 2, high, low]
}

/// An acknowledgement of MQTT 5 with a reason code.
pub(crate) fn with_code(ack: [u8; 4], code: u8) -> [u8; 5] {
    [ack[0], 3, ack[2], ack[3], code]
}

pub(crate) fn suback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    bytes_of(&Packet::SubAck(SubAck::new(identifier(id), codes)), version)
}

/// 3.1.1 leaves the codes out.
pub(crate) fn unsuback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let codes = if version == Version::V3_1_1 {
        &[]
    } else {
        codes
    };
    bytes_of(
        &Packet::UnsubAck(UnsubAck::new(identifier(id), codes)),
        version,
    )
}

pub(crate) fn ack_packet(id: u16) -> Ack<'static> {
    Ack::new(identifier(id))
}

pub(crate) fn identifier(id: u16) -> PacketIdentifier {
    PacketIdentifier::new(id).expect("not zero")
}

pub(crate) fn filter(text: &'static str) -> TopicFilter<'static> {
    TopicFilter::new(text).expect("a filter")
}

pub(crate) fn subscription(text: &'static str, qos: QoS) -> Subscription<'static> {
    Subscription::new(filter(text), qos)
}

pub(crate) const PINGREQ: &[u8] = b"\xc0\x00";
pub(crate) const PINGRESP: &[u8] = b"\xd0\x00";
pub(crate) const DISCONNECT: &[u8] = b"\xe0\x00";

pub(crate) const FILTERS: &[(&str, QoS)] = &[("a/#", QoS::AtLeastOnce), ("+/b", QoS::ExactlyOnce)];

/// [`FILTERS`] as options have them.
pub(crate) static SUBSCRIPTIONS: &[Subscription<'static>] = &[
    constant("a/#", QoS::AtLeastOnce),
    constant("+/b", QoS::ExactlyOnce),
];

const fn constant(filter: &'static str, qos: QoS) -> Subscription<'static> {
    match TopicFilter::new(filter) {
        Ok(filter) => Subscription::new(filter, qos),
        Err(_) => panic!("not a filter"),
    }
}
