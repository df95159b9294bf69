//! Looks at every byte that the client writes and reads on one link, and judges it by the standard.
//!
//! It sees what the client can know, so it can be strict where the broker cannot: a packet that got lost on its way was
//! sent all the same.

mod inbound;
mod outbound;

pub(crate) use outbound::topic_name;

use std::collections::VecDeque;

use mqtt_core::{
    QoS,
    codec::{Auth, Connect, Packet, PacketType, Properties, ReasonCode, Will},
    session::SessionError,
};

use crate::{
    clock,
    riddle::{GREETING, WELCOME, is_step, solution},
    scene::Scene,
    verdict::Rule,
    wire::{take_packets, words},
};

/// Topics of the application; streams have one of their own, and durable messages have two.
pub(crate) const TOPICS: usize = 3;
pub(crate) const STREAM_TOPIC: u8 = 2;
pub(crate) const DURABLE_TOPICS: [u8; 2] = [3, 4];

/// An identifier of the client's that was used in the present session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    id: u16,
    what: What,
    open: bool,
    /// PUBREC was read, PUBREL written.
    received: bool,
    released: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Message(u32),
    Request(PacketType),
}

/// One link, from the client's side.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(crate) struct Audit {
    number: u32,
    begun: u64,
    up: Vec<u8>,
    down: Vec<u8>,
    connect: bool,
    /// CONNACK was read, and said so.
    pub(crate) session_present: Option<bool>,
    /// The broker began a session on this link, and the client has not heard of it.
    pub(crate) begins_session: bool,
    /// Nothing was written after CONNACK.
    silent: bool,
    /// The user or the client ends it.
    leaving: Option<u64>,
    disconnect: bool,
    /// A riddle that was read and not answered; and that the server could not prove itself.
    riddle: Option<Vec<u8>>,
    impostor: bool,
    keep_alive_ms: u64,
    quota: usize,
    in_flight: Vec<u16>,
    /// The last message of each topic and QoS, by order of acceptance.
    last: [[u32; 3]; TOPICS],
    /// The last durable message, by its place in the store.
    last_durable: u32,
    aliases: Vec<(u16, String)>,
    /// PUBREC that were read and wait for PUBREL.
    pubrecs: VecDeque<u16>,
    /// PUBREL that were read and wait for PUBCOMP.
    pubrels: Vec<u16>,
    /// Messages that were read and wait for their acknowledgement: identifier, number, QoS.
    unacknowledged: VecDeque<(u16, u32, QoS)>,
    /// Acknowledged before it was read to its end, which only a repetition may be.
    acknowledged_early: Option<u16>,
    wrote_at: u64,
    /// The link does not take what the client writes.
    pub(crate) writing: bool,
    pinged: Option<u64>,
    /// When answers were read, and what was true before that moment.
    ponged: Option<(u64, u64)>,
    /// There is a ping among what is being written; it counts from the moment when all of that is written.
    pinging: bool,
    /// An answer came while something was being written: a ping among it may count as answered.
    pong_early: bool,
    /// Since when an answer is due for sure.
    awaited: Option<u64>,
    /// The application may keep the client from reading.
    blocked: bool,
    answered_at: u64,
    answered_before: u64,
}

impl Audit {
    pub(crate) fn new(scene: &Scene, number: u32) -> Self {
        let now = clock::elapsed();
        Self {
            number,
            begun: now,
            up: Vec::new(),
            down: Vec::new(),
            connect: false,
            session_present: None,
            begins_session: false,
            silent: true,
            leaving: None,
            disconnect: false,
            riddle: None,
            impostor: false,
            keep_alive_ms: 0,
            quota: scene.setup.options.max_in_flight.into(),
            in_flight: Vec::new(),
            last: [[0; 3]; TOPICS],
            last_durable: 0,
            aliases: Vec::new(),
            pubrecs: VecDeque::new(),
            pubrels: Vec::new(),
            unacknowledged: VecDeque::new(),
            acknowledged_early: None,
            wrote_at: now,
            writing: false,
            pinged: None,
            ponged: None,
            pinging: false,
            pong_early: false,
            awaited: None,
            blocked: false,
            answered_at: now,
            answered_before: now,
        }
    }

    /// The client has decided to end it, or finds it broken.
    pub(crate) fn leaves(&mut self) {
        self.leaving.get_or_insert(clock::elapsed());
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// The client has written these bytes; `is_last`: of all that it had to write at once.
    pub(crate) fn wrote(&mut self, scene: &Scene, bytes: &[u8], is_last: bool) {
        self.writing = false;
        self.wrote_at = clock::elapsed();
        let mut up = std::mem::take(&mut self.up);
        up.extend_from_slice(bytes);
        let result = take_packets(&mut up, scene.setup.version, |packet, len| {
            self.wrote_packet(scene, &packet, len);
        });
        self.up = up;
        if let Err(error) = result {
            scene.violate(Rule::Content, || {
                format!("the client wrote a bad packet: {error}")
            });
        }
        if is_last {
            self.written();
        }
    }

    fn written(&mut self) {
        let answered = std::mem::take(&mut self.pong_early);
        if std::mem::take(&mut self.pinging) && !answered {
            self.awaited.get_or_insert(clock::elapsed());
        }
    }

    /// The client has read these bytes.
    pub(crate) fn read(&mut self, scene: &Scene, bytes: &[u8]) {
        let mut down = std::mem::take(&mut self.down);
        down.extend_from_slice(bytes);
        let result = take_packets(&mut down, scene.setup.version, |packet, _| {
            self.read_packet(scene, &packet);
        });
        // Of a large message the application may have the front already.
        self.blocked |= down.first().is_some_and(|first| first >> 4 == 3);
        self.down = down;
        if let Err(error) = result {
            panic!("the model broker sent a bad packet: {error}");
        }
    }

    fn wrote_packet(&mut self, scene: &Scene, packet: &Packet<'_>, len: usize) {
        scene.note(|| format!("link {}: > {}", self.number, words(packet)));
        self.check_sequence(scene, packet);
        if self.session_present.is_some() {
            let maximum = scene.setup.broker.maximum_packet_size;
            let fits = maximum.is_none_or(|maximum| len <= maximum as usize);
            scene.require(fits, Rule::Limits, || format!("a packet of {len} bytes"));
        }
        match packet {
            Packet::Connect(connect) => {
                self.connect = true;
                self.keep_alive_ms = u64::from(connect.keep_alive) * 1_000;
                check_connect(scene, connect);
            }
            Packet::Publish(publish) => self.wrote_publish(scene, publish),
            Packet::PubRel(ack) => self.wrote_pubrel(scene, ack.packet_identifier.get()),
            Packet::Subscribe(subscribe) => {
                let id = subscribe.packet_identifier.get();
                self.wrote_request(scene, id, PacketType::Subscribe);
            }
            Packet::Unsubscribe(request) => {
                let id = request.packet_identifier.get();
                self.wrote_request(scene, id, PacketType::Unsubscribe);
            }
            Packet::PubAck(ack) => {
                self.wrote_ack(scene, ack.packet_identifier.get(), QoS::AtLeastOnce);
            }
            Packet::PubRec(ack) => {
                self.wrote_ack(scene, ack.packet_identifier.get(), QoS::ExactlyOnce);
            }
            Packet::PubComp(ack) => self.wrote_pubcomp(scene, ack.packet_identifier.get()),
            Packet::PingReq => {
                self.pinged.get_or_insert(clock::elapsed());
                self.pinging = true;
            }
            Packet::Disconnect(disconnect) => {
                self.disconnect = true;
                self.check_disconnect(scene, disconnect.code);
            }
            Packet::Auth(auth) => self.wrote_auth(scene, auth),
            _ => scene.violate(Rule::Sequence, || format!("the client wrote {packet:?}")),
        }
        self.silent &= self.session_present.is_none() || matches!(packet, Packet::Auth(_));
    }

    fn wrote_auth(&mut self, scene: &Scene, auth: &Auth<'_>) {
        let expected = match self.riddle.take() {
            Some(riddle) if auth.code == ReasonCode::CONTINUE_AUTHENTICATION => solution(&riddle),
            riddle => {
                self.riddle = riddle;
                let anew =
                    auth.code == ReasonCode::RE_AUTHENTICATE && self.session_present.is_some();
                scene.require(anew, Rule::Authentication, || "an answer to nothing".into());
                GREETING.to_vec()
            }
        };
        let is_right = is_step(&auth.properties, &expected);
        scene.require(is_right, Rule::Authentication, || format!("{auth:?}"));
    }

    /// A DISCONNECT that the application did not want must not take the will with it.
    fn check_disconnect(&self, scene: &Scene, code: ReasonCode) {
        let wanted = |with_will| {
            let ledger = scene.ledger.borrow();
            ledger.has_said_goodbye(self.number, with_will)
        };
        let may = match code {
            ReasonCode::NORMAL_DISCONNECTION => wanted(false),
            ReasonCode::DISCONNECT_WITH_WILL_MESSAGE => wanted(true),
            _ => true,
        };
        scene.require(may, Rule::Will, || {
            format!("nobody wanted to disconnect with {code}")
        });
        let excused = match code {
            ReasonCode::RECEIVE_MAXIMUM_EXCEEDED => scene.ledger.borrow().untold,
            ReasonCode::NOT_AUTHORIZED => self.impostor,
            _ => !code.is_error() || code == ReasonCode::UNSPECIFIED_ERROR,
        };
        scene.require(excused, Rule::Blame, || format!("the client says: {code}"));
    }

    /// [MQTT-3.1.0-1], [MQTT-3.1.0-2], [MQTT-3.14.4-2]; nothing but CONNECT before CONNACK; and what is renewed comes
    /// first.
    fn check_sequence(&self, scene: &Scene, packet: &Packet<'_>) {
        let is_connect = matches!(packet, Packet::Connect(_));
        let may = match (self.connect, self.session_present) {
            (false, _) => is_connect,
            (true, None) => matches!(packet, Packet::Auth(_)),
            (true, Some(_)) => !is_connect && !self.disconnect,
        };
        scene.require(may, Rule::Sequence, || {
            format!("{} is out of place", words(packet))
        });
        let renews = self.session_present == Some(false) && scene.setup.options.subscribed;
        if renews && self.silent {
            let first = matches!(
                packet,
                Packet::Subscribe(_) | Packet::Disconnect(_) | Packet::Auth(_)
            );
            scene.require(first, Rule::Subscriptions, || {
                format!("{} instead of the SUBSCRIBE of the options", words(packet))
            });
        }
    }

    fn read_packet(&mut self, scene: &Scene, packet: &Packet<'_>) {
        scene.note(|| format!("link {}: < {}", self.number, words(packet)));
        let is_answer = !matches!(
            packet,
            Packet::Publish(_) | Packet::PubRel(_) | Packet::PingResp | Packet::Auth(_)
        );
        if is_answer {
            let now = clock::elapsed();
            if self.answered_at != now {
                self.answered_before = self.answered_at;
            }
            self.answered_at = now;
        }
        match packet {
            Packet::ConnAck(connack) if connack.code == ReasonCode::SUCCESS => {
                self.read_connack(scene, connack);
                self.read_proof(scene, &connack.properties);
            }
            Packet::Auth(auth) if auth.code == ReasonCode::SUCCESS => {
                self.read_proof(scene, &auth.properties);
            }
            Packet::Auth(auth) => {
                self.riddle = auth.properties.authentication_data().map(<[u8]>::to_vec);
            }
            Packet::Publish(publish) => self.read_publish(scene, publish),
            Packet::PubRel(ack) => self.pubrels.push(ack.packet_identifier.get()),
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.read_ack(scene, ack.packet_identifier.get());
            }
            Packet::PubRec(ack) => {
                self.read_pubrec(scene, ack.packet_identifier.get(), ack.code);
            }
            Packet::SubAck(suback) => self.read_ack(scene, suback.packet_identifier.get()),
            Packet::UnsubAck(unsuback) => self.read_ack(scene, unsuback.packet_identifier.get()),
            Packet::PingResp => {
                self.pong_early = self.writing;
                self.awaited = None;
                let now = clock::elapsed();
                if let Some(pinged) = self.pinged.take() {
                    self.ponged = Some((now, pinged));
                }
            }
            _ => {}
        }
    }

    fn read_proof(&mut self, scene: &Scene, properties: &Properties<'_>) {
        scene.summary.borrow_mut().steps += u64::from(scene.setup.authenticates);
        self.impostor |= scene.setup.authenticates && !is_step(properties, WELCOME);
    }

    fn read_connack(&mut self, scene: &Scene, connack: &mqtt_core::codec::ConnAck<'_>) {
        self.session_present = Some(connack.session_present);
        if let Some(keep_alive) = connack.properties.server_keep_alive() {
            self.keep_alive_ms = u64::from(keep_alive) * 1_000;
        }
        if let Some(maximum) = connack.properties.receive_maximum() {
            self.quota = self.quota.min(maximum.into());
        }
        // Requests are no part of the session.
        scene.exchanges.borrow_mut().retain(Exchange::is_message);
        self.begins_session = false;
        scene.ledger.borrow_mut().welcomed(connack.session_present);
        if !connack.session_present {
            scene.exchanges.borrow_mut().clear();
        }
    }

    /// Whether the client is as punctual as it promised. To be called when it had a chance to act.
    pub(crate) fn check_time(&self, scene: &Scene) {
        let now = clock::elapsed();
        if let Some(at) = self.next_check(scene) {
            let silent =
                self.session_present.is_some() && self.silence_ends().is_some_and(|end| end == at);
            let rule = if silent {
                Rule::KeepAlive
            } else {
                Rule::Deadline
            };
            scene.require(now < at, rule, || {
                format!("link {} should have ended, or spoken, at {at}", self.number)
            });
        }
    }

    /// When the client will have been late, unless something happens.
    pub(crate) fn next_check(&self, scene: &Scene) -> Option<u64> {
        let options = &scene.setup.options;
        let farewell = scene.ledger.borrow().farewell == self.number;
        if self.leaving.is_some() || self.disconnect || farewell {
            return None;
        }
        if self.session_present.is_none() {
            return Some(self.begun + u64::from(options.connack_timeout_ms));
        }
        if self.writing {
            return None;
        }
        let pinged = self.awaited.filter(|_| !self.blocked);
        let answer = pinged.map(|at| at + u64::from(options.ping_timeout_ms));
        answer.into_iter().chain(self.silence_ends()).min()
    }

    /// When the client will have been silent for too long.
    fn silence_ends(&self) -> Option<u64> {
        (self.keep_alive_ms != 0).then_some(self.wrote_at + self.keep_alive_ms)
    }

    /// The client has ended the link for this reason: not too early.
    pub(crate) fn check_end(&self, scene: &Scene, error: SessionError) {
        let options = &scene.setup.options;
        let now = self.leaving.unwrap_or(clock::elapsed());
        // What was read at this very moment may have come after the decision.
        let pinged = match self.ponged {
            Some((at, pinged)) if at == now => Some(pinged),
            _ => self.pinged,
        };
        let answered = if self.answered_at == now {
            self.answered_before
        } else {
            self.answered_at
        };
        let (since, timeout) = match error {
            SessionError::ConnAckTimeout => (self.begun, options.connack_timeout_ms),
            SessionError::PingTimeout => (pinged.unwrap_or(u64::MAX), options.ping_timeout_ms),
            SessionError::AckTimeout => (answered, options.ack_timeout_ms),
            SessionError::AuthenticationFailed => {
                return scene.require(self.impostor, Rule::Authentication, || {
                    format!("link {} ended: {error}", self.number)
                });
            }
            _ => return,
        };
        let due = since.saturating_add(u64::from(timeout));
        scene.require(now >= due, Rule::Deadline, || {
            format!("link {} ended too early: {error}", self.number)
        });
    }
}

/// The will and the greeting are those of the options.
fn check_connect(scene: &Scene, connect: &Connect<'_>) {
    let parts = |will: Will<'_>| {
        let delay = will.properties.will_delay_interval();
        let content = (will.topic.as_str().to_owned(), will.payload.to_vec());
        (content, will.qos, will.retain, delay)
    };
    let (sent, wanted) = (connect.will.map(parts), scene.setup.will().map(parts));
    scene.require(sent == wanted, Rule::Will, || {
        format!("the will is {sent:?} instead of {wanted:?}")
    });
    let greets = is_step(&connect.properties, GREETING);
    scene.require(
        greets == scene.setup.authenticates,
        Rule::Authentication,
        || format!("CONNECT carries {:?}", connect.properties),
    );
}
