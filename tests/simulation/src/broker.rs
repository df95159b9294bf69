//! A broker by the book: it breaks no rule, and has all the freedom that the rules leave.

mod connection;
mod handshake;
mod session;

use std::{cell::RefCell, rc::Rc};

use mqtt_core::{QoS, codec::ReasonCode};

use crate::{
    clock,
    ledger::NUMBER_LEN,
    link::{Link, Network},
    scene::Scene,
    setup::{FILTER, Memory},
};
use connection::Connection;
use session::Session;

/// The broker, which knows one client only.
pub(crate) struct Broker {
    scene: Rc<Scene>,
    links: Rc<RefCell<Vec<Link>>>,
    /// Links that have been seen.
    seen: usize,
    connections: Vec<Connection>,
    session: Option<Session>,
    /// DISCONNECT came, and ended the newest connection.
    pub(crate) farewell: bool,
    /// When the will of the connection that ended last is published.
    will: Option<u64>,
}

impl Broker {
    pub(crate) fn new(network: &Network) -> Self {
        Self {
            scene: network.scene.clone(),
            links: network.links.clone(),
            seen: 0,
            connections: Vec::new(),
            session: None,
            farewell: false,
            will: None,
        }
    }

    /// When there is something to do.
    pub(crate) fn next(&self) -> Option<u64> {
        let looks = self.connections.iter().filter_map(Connection::next);
        let expiry = self.session.as_ref().and_then(|session| session.expires);
        looks.chain(expiry).chain(self.will).min()
    }

    /// Does what is due now.
    pub(crate) fn act(&mut self) {
        let links = self.links.borrow();
        for link in &links[self.seen..] {
            self.connections.push(Connection::new(link.clone()));
        }
        self.seen = links.len();
        drop(links);
        let now = clock::elapsed();
        for index in 0..self.connections.len() {
            self.serve(index, now);
        }
        self.connections.retain(|connection| !connection.closed);
        let expires = self.session.as_ref().and_then(|session| session.expires);
        if expires.is_some_and(|at| at <= now) {
            self.forget();
        }
        if self.will.is_some_and(|at| at <= now) {
            self.publish_will();
        }
    }

    fn publish_will(&mut self) {
        if self.will.take().is_some() {
            self.scene.note(|| "broker: publishes the will".into());
            self.scene.summary.borrow_mut().wills += 1;
        }
    }

    fn serve(&mut self, index: usize, now: u64) {
        if self.connections[index].closed {
            return;
        }
        if self.connections[index].is_due(now) {
            self.connections[index].take_bytes(now);
            self.handle_packets(index);
        }
        let connection = &mut self.connections[index];
        if connection.is_late(now) {
            self.scene.note(|| "broker: keep-alive is over".into());
            self.end(index);
        } else if connection.link.is_over() {
            self.end(index);
        } else {
            self.connections[index].flush(&self.scene, now);
            self.deliver(index);
        }
    }

    /// The connection is over; the session lives on, if it may.
    fn end(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.link.close();
        connection.closed = true;
        if !connection.accepted {
            return;
        }
        connection.accepted = false;
        let now = clock::elapsed();
        // It waits for its delay or the end of the session [MQTT-3.1.2-8], [MQTT-3.1.3-9].
        self.will = connection.will_delay_ms.take().map(|delay| now + delay);
        match self.lifetime_ms() {
            0 => self.forget(),
            lifetime => {
                if let Some(session) = &mut self.session {
                    session.expires = Some(now.saturating_add(lifetime));
                    session.interrupted();
                }
            }
        }
    }

    /// How long a session lives without a connection.
    fn lifetime_ms(&self) -> u64 {
        let setup = &self.scene.setup;
        if setup.broker.memory != Memory::Keeps {
            0
        } else if setup.version.is_v5() {
            u64::from(setup.options.session_expiry_s) * 1_000
        } else if setup.options.clean_session {
            0
        } else {
            u64::MAX
        }
    }

    /// Forgets the session.
    fn forget(&mut self) {
        self.publish_will();
        if let Some(session) = self.session.take() {
            self.scene.note(|| "broker: the session is gone".into());
            self.scene.ledger.borrow_mut().forget(session.owed());
        }
    }

    fn begin_session(&mut self) {
        self.forget();
        self.scene.summary.borrow_mut().sessions += 1;
        self.scene.ledger.borrow_mut().generation += 1;
        self.session = Some(Session::default());
    }

    /// A message for the device is published by somebody.
    pub(crate) fn publishes(&mut self, qos: QoS, topic: u8, len: usize) {
        let granted = self
            .session
            .as_ref()
            .and_then(|session| session.granted(FILTER));
        let connected = self
            .connections
            .iter()
            .any(|connection| connection.accepted);
        let Some(granted) = granted else {
            return;
        };
        let qos = qos.min(granted).min(self.scene.setup.highest_qos());
        if qos == QoS::AtMostOnce && !connected {
            return;
        }
        // Small enough to be delivered whole.
        let shared_topic = self.scene.setup.aliases && len < 30 && !self.scene.tape.one_in(4);
        let number =
            self.scene
                .ledger
                .borrow_mut()
                .sends(qos, topic, shared_topic, len.max(NUMBER_LEN));
        self.scene
            .note(|| format!("broker: has {number} at {qos:?} for the device"));
        if let Some(session) = &mut self.session {
            session.queue.push_back(number);
        }
    }

    /// All connections end at once: with a word on MQTT 5, if `politely`.
    pub(crate) fn restarts(&mut self, politely: bool, forgets: bool) {
        self.scene
            .note(|| format!("broker: restarts, forgets: {forgets}"));
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            if politely && connection.accepted {
                connection.say_goodbye(&self.scene, ReasonCode::SERVER_SHUTTING_DOWN);
            }
            self.end(index);
        }
        self.connections.clear();
        if forgets {
            self.forget();
        }
    }

    /// The network was to blame for what came late, and what was to be answered late is answered now.
    pub(crate) fn calm_down(&mut self) {
        let now = clock::elapsed();
        for connection in &mut self.connections {
            connection.heard = now;
            for (at, _) in &mut connection.answers {
                *at = now.min(*at);
            }
        }
    }

    /// Whether nothing is on its way in either direction.
    pub(crate) fn is_idle(&self) -> bool {
        self.connections.iter().all(Connection::is_idle)
            && self
                .session
                .as_ref()
                .is_none_or(|session| self.is_session_idle(session))
    }

    /// Messages of the client that it had to forget will never be released.
    fn is_session_idle(&self, session: &Session) -> bool {
        let ledger = self.scene.ledger.borrow();
        let mut received = session.received.iter();
        session.has_delivered()
            && received.all(|(_, number, _)| ledger.is_abandoned(&self.scene, *number))
    }

    pub(crate) fn has_connection(&self) -> bool {
        self.connections
            .iter()
            .any(|connection| connection.accepted)
    }

    /// Whether the device gets what it asked for in its options.
    pub(crate) fn is_subscribed(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.granted(FILTER).is_some())
    }

    /// What keeps it from being idle, in words.
    pub(crate) fn pending(&self) -> String {
        format!("{:?} {:?}", self.session, self.connections)
    }
}
