//! How a connection begins: CONNECT, authentication, CONNACK.

use std::num::{NonZeroU16, NonZeroU32};

use mqtt_core::{
    QoS,
    codec::{Auth, ConnAck, Connect, Packet, Properties, Property, ReasonCode, Will},
};

use super::{Broker, connection::Connection};
use crate::{
    clock,
    riddle::{GREETING, WELCOME, is_step, solution, step},
    scene::Scene,
    setup::Memory,
    verdict::Rule,
    wire::bytes_of,
};

/// What a CONNECT asks for.
#[derive(Clone, Copy)]
pub(super) struct Hello {
    clean_session: bool,
    keep_alive_s: u16,
    receive_maximum: Option<u16>,
    alias_maximum: u16,
    will_delay_ms: Option<u64>,
}

impl Hello {
    fn of(connect: &Connect<'_>) -> Self {
        let delay = |will: Will<'_>| will.properties.will_delay_interval().unwrap_or(0);
        Self {
            clean_session: connect.clean_session,
            keep_alive_s: connect.keep_alive,
            receive_maximum: connect.properties.receive_maximum(),
            alias_maximum: connect.properties.topic_alias_maximum().unwrap_or(0),
            will_delay_ms: connect.will.map(|will| u64::from(delay(will)) * 1_000),
        }
    }
}

impl Broker {
    pub(super) fn handle_connect(&mut self, index: usize, connect: &Connect<'_>) {
        let scene = self.scene.clone();
        let setup = &scene.setup;
        if scene.mishap(setup.broker.busy_one_in) {
            let busy = if setup.version.is_v5() {
                ReasonCode::SERVER_BUSY
            } else {
                ReasonCode::new(3)
            };
            return self.refuse(index, busy);
        }
        let connection = &mut self.connections[index];
        connection.hello = Some(Hello::of(connect));
        if setup.authenticates && scene.tape.one_in(2) {
            connection.ask(&scene);
        } else {
            self.welcome(index);
        }
    }

    fn refuse(&mut self, index: usize, code: ReasonCode) {
        let connack = connack(false, code, Properties::NONE);
        self.connections[index].send(&self.scene, &connack);
        self.end(index);
    }

    /// A step of extended authentication, before CONNACK or on a connection in use.
    pub(super) fn handle_auth(&mut self, index: usize, auth: &Auth<'_>) {
        let scene = self.scene.clone();
        let connection = &mut self.connections[index];
        let in_use = connection.accepted;
        let expected = match connection.riddle.take() {
            Some(riddle) => solution(&riddle),
            None => GREETING.to_vec(),
        };
        scene.require(
            is_step(&auth.properties, &expected),
            Rule::Authentication,
            || format!("the broker got {auth:?}"),
        );
        if scene.mishap(12) {
            if !in_use {
                return self.refuse(index, ReasonCode::NOT_AUTHORIZED);
            }
            connection.say_goodbye(&scene, ReasonCode::NOT_AUTHORIZED);
            return self.end(index);
        }
        if scene.tape.one_in(3) {
            connection.ask(&scene);
        } else if in_use {
            let step = step(proof(&scene));
            let done = Auth {
                code: ReasonCode::SUCCESS,
                properties: Properties::from(&step),
            };
            connection.answer(&scene, &Packet::Auth(done));
        } else {
            self.welcome(index);
        }
    }

    /// The connection is in use from now on.
    fn welcome(&mut self, index: usize) {
        let scene = self.scene.clone();
        let setup = &scene.setup;
        let Some(hello) = self.connections[index].hello.take() else {
            return scene.violate(Rule::Sequence, || "AUTH before CONNECT".into());
        };
        for other in 0..self.connections.len() {
            if other != index && self.connections[other].accepted {
                self.connections[other].say_goodbye(&scene, ReasonCode::SESSION_TAKEN_OVER);
                self.end(other);
            }
        }
        let kept = self.session.is_some() && !hello.clean_session;
        if kept {
            // The device is back in time.
            self.will = self.will.filter(|at| *at <= clock::elapsed());
        }
        if !kept {
            self.begin_session();
            self.connections[index].link.begins_session();
        }
        if let Some(session) = &mut self.session {
            session.expires = None;
        }
        self.farewell = false;
        let connection = &mut self.connections[index];
        connection.accepted = true;
        connection.will_delay_ms = hello.will_delay_ms;
        let keep_alive = setup.broker.keep_alive_s.unwrap_or(hello.keep_alive_s);
        connection.keep_alive_ms = u64::from(keep_alive) * 1_000;
        connection.quota = hello
            .receive_maximum
            .unwrap_or(setup.options.receive_maximum)
            .into();
        connection.alias_maximum = hello.alias_maximum.into();
        let present = kept || setup.broker.memory == Memory::Pretends;
        let mut limits = limits(&scene);
        if setup.authenticates {
            limits.extend(step(proof(&scene)));
        }
        let connack = connack(present, ReasonCode::SUCCESS, Properties::from(&limits));
        if scene.mishap(3) {
            // It takes a while, and nothing may overtake it.
            let at = clock::elapsed() + u64::from(scene.tape.up_to(setup.broker.answer_ms));
            connection.answers.clear();
            connection
                .answers
                .push((at, bytes_of(&connack, setup.version)));
        } else {
            connection.send(&scene, &connack);
        }
    }
}

impl Connection {
    /// Poses a riddle.
    fn ask(&mut self, scene: &Scene) {
        let riddle: Vec<u8> = (0..4).map(|_| scene.tape.below(256) as u8).collect();
        let step = step(&riddle);
        let auth = Auth {
            code: ReasonCode::CONTINUE_AUTHENTICATION,
            properties: Properties::from(&step),
        };
        self.answer(scene, &Packet::Auth(auth));
        self.riddle = Some(riddle);
    }
}

fn connack(session_present: bool, code: ReasonCode, properties: Properties<'_>) -> Packet<'_> {
    Packet::ConnAck(ConnAck {
        session_present,
        code,
        properties,
    })
}

/// What the broker proves itself with; sometimes it is another one.
fn proof(scene: &Scene) -> &'static [u8] {
    if scene.mishap(20) {
        b"trust me"
    } else {
        WELCOME
    }
}

/// What CONNACK announces.
fn limits(scene: &Scene) -> Vec<Property<'static>> {
    let broker = &scene.setup.broker;
    let mut limits = Vec::new();
    if let Some(maximum) = broker.receive_maximum.and_then(NonZeroU16::new) {
        limits.push(Property::ReceiveMaximum(maximum));
    }
    if let Some(maximum) = broker.maximum_packet_size.and_then(NonZeroU32::new) {
        limits.push(Property::MaximumPacketSize(maximum));
    }
    if broker.maximum_qos != QoS::ExactlyOnce {
        limits.push(Property::MaximumQoS(broker.maximum_qos));
    }
    if !broker.retain_available {
        limits.push(Property::RetainAvailable(false));
    }
    if let Some(keep_alive) = broker.keep_alive_s {
        limits.push(Property::ServerKeepAlive(keep_alive));
    }
    if broker.topic_aliases != 0 {
        limits.push(Property::TopicAliasMaximum(broker.topic_aliases));
    }
    limits
}
