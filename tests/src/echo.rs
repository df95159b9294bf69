//! A broker that grants everything and sends messages back to their sender.

use std::thread;
use std::time::Duration;

use mqtt_core::codec::{Packet, PacketIdentifier, PacketType, Publish, QoS};

use crate::peer::{Frame, LIMIT, Link, Next, Peer};

/// Answers on a thread of its own, one connection after the other.
///
/// What is published under `quiet/` is acknowledged but not sent back.
#[derive(Debug)]
pub struct Echo {
    port: u16,
}

impl Echo {
    /// Starts to answer, until nobody has connected for a second.
    #[must_use]
    pub fn start() -> Self {
        let peer = Peer::new();
        let port = peer.port();
        thread::spawn(move || {
            while let Some(mut link) = peer.accept_within(Duration::from_secs(1)) {
                link.expects_connect();
                link.sends_connack(false);
                for identifier in (1..=u16::MAX).cycle() {
                    let Next::Frame(frame) = link.next_within(LIMIT) else {
                        break;
                    };
                    answer(&mut link, &frame, identifier);
                }
            }
        });
        Self { port }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// Messages go back under `identifier`.
fn answer(link: &mut Link, frame: &Frame, identifier: u16) {
    match frame.packet() {
        Packet::Publish(publish) => {
            match publish.qos {
                QoS::AtMostOnce => {}
                QoS::AtLeastOnce => link.sends_ack(PacketType::PubAck, frame.identifier()),
                QoS::ExactlyOnce => link.sends_ack(PacketType::PubRec, frame.identifier()),
            }
            if !publish.topic.as_str().starts_with("quiet/") {
                send_back(link, publish, identifier);
            }
        }
        Packet::PubRel(_) => link.sends_ack(PacketType::PubComp, frame.identifier()),
        Packet::Subscribe(subscribe) => {
            let codes: Vec<_> = subscribe
                .filters
                .iter()
                .map(|filter| filter.qos as u8)
                .collect();
            link.sends_suback(frame.identifier(), &codes);
        }
        Packet::Unsubscribe(unsubscribe) => {
            let codes: Vec<_> = unsubscribe.filters.iter().map(|_| 0).collect();
            link.sends_unsuback(frame.identifier(), &codes);
        }
        Packet::PingReq => link.sends("d000"),
        _ => {}
    }
}

fn send_back(link: &mut Link, publish: Publish<'_>, identifier: u16) {
    link.sends_packet(&Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        packet_identifier: PacketIdentifier::new(identifier),
        ..publish
    }));
}
