//! From the server to the application: PUBLISH and how it is acknowledged.

use crate::{
    codec::{Packet, PacketIdentifier, PacketType, Publish, PublishHead, QoS, ReasonCode},
    receive::Received,
    time::Instant,
};

use super::{
    AckToken, Event, Incoming, Phase, ProtocolError, Session, SessionError, State, bump,
    slot::{Kind, Slot},
    states,
};

/// What to do with an inbound message.
enum Admission {
    /// Give it to the application.
    New(Option<AckToken>),
    /// It has it already.
    Repetition,
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    pub(super) fn handle_received<'rx>(
        &mut self,
        received: Received<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        self.core.timers.received = now;
        match self.core.phase {
            Phase::Connected | Phase::Leaving => match received {
                Received::Packet(packet) => self.handle_connected(packet, now),
                Received::LargePublish(head) => self.handle_large(head),
                Received::Piece { .. } if self.core.large_ignored => Ok(Event::None),
                Received::Piece { bytes, last } => {
                    if last {
                        self.core.large_id = 0;
                    }
                    Ok(Event::Piece { bytes, last })
                }
            },
            Phase::Connecting => match received {
                Received::Packet(packet) => self.handle_connecting(packet, now),
                _ => Err(ProtocolError::UnexpectedPacket.into()),
            },
            // Nothing is read behind a DISCONNECT, in whichever direction it went.
            Phase::Idle | Phase::Failing | Phase::Closed => Ok(Event::None),
        }
    }

    fn handle_connecting<'rx>(
        &mut self,
        packet: Packet<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        match packet {
            Packet::ConnAck(connack) => self.handle_connack(connack, now),
            #[cfg(feature = "v5")]
            Packet::Auth(auth) => self.follow_auth(&auth),
            _ => Err(ProtocolError::UnexpectedPacket.into()),
        }
    }

    fn handle_connected<'rx>(
        &mut self,
        packet: Packet<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        let packet_type = packet.packet_type();
        match packet {
            Packet::Publish(publish) => return self.handle_publish(publish),
            Packet::PubRel(ack) => self.handle_pubrel(ack.packet_identifier)?,
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                self.handle_ack(packet_type, ack.packet_identifier, ack.code, None, now)?;
            }
            Packet::SubAck(suback) => {
                let (id, codes) = (suback.packet_identifier, suback.raw_codes());
                self.handle_ack(packet_type, id, ReasonCode::SUCCESS, Some(codes), now)?;
            }
            Packet::UnsubAck(unsuback) => {
                let (id, codes) = (unsuback.packet_identifier, unsuback.raw_codes());
                self.handle_ack(packet_type, id, ReasonCode::SUCCESS, Some(codes), now)?;
            }
            Packet::PingResp => self.core.timers.pong(),
            Packet::Disconnect(disconnect) => {
                // The server closes; nothing may be sent any more [MQTT-3.14.4-1].
                self.core.phase = Phase::Closed;
                return Err(SessionError::ServerDisconnect(disconnect.code));
            }
            #[cfg(feature = "v5")]
            Packet::Auth(auth) => return self.follow_auth(&auth),
            _ => return Err(ProtocolError::UnexpectedPacket.into()),
        }
        Ok(Event::None)
    }

    #[cfg(feature = "v5")]
    fn follow_auth<'rx>(
        &mut self,
        auth: &crate::codec::Auth<'rx>,
    ) -> Result<Event<'rx>, SessionError> {
        match self.handle_auth {
            Some(handle_auth) => handle_auth(self, auth),
            None => Err(ProtocolError::Authentication.into()),
        }
    }

    #[cfg_attr(feature = "v5", inline(never))] // With properties the event is large, and so are its moves.
    fn handle_publish<'rx>(&mut self, publish: Publish<'rx>) -> Result<Event<'rx>, SessionError> {
        Ok(match self.admit(publish.qos, publish.packet_identifier)? {
            Admission::New(token) => Event::Message(Incoming { publish, token }),
            Admission::Repetition => Event::None,
        })
    }

    fn handle_large<'rx>(&mut self, head: PublishHead<'rx>) -> Result<Event<'rx>, SessionError> {
        let admission = self.admit(head.qos, head.packet_identifier)?;
        self.core.large_ignored = matches!(admission, Admission::Repetition);
        Ok(match admission {
            Admission::New(token) => {
                self.core.large_id = token.map_or(0, |token| token.id.get());
                Event::LargeMessage(head, token)
            }
            Admission::Repetition => Event::None,
        })
    }

    fn admit(&mut self, qos: QoS, id: Option<PacketIdentifier>) -> Result<Admission, SessionError> {
        let Some(id) = id else {
            bump(&mut self.core.counters.received);
            return Ok(Admission::New(None));
        };
        // [MQTT-4.3.3-2]: a repetition of QoS 2 gets PUBREC again, and is not delivered again.
        if qos == QoS::ExactlyOnce && self.answer_exchange(id, State::ACK) {
            let counters = &mut self.core.counters;
            counters.duplicates = counters.duplicates.wrapping_add(1);
            return Ok(Admission::Repetition);
        }
        let over = self.core.is_v5() && self.core.inbound >= self.core.settings.receive_maximum;
        let slot = Slot {
            id: id.get(),
            state: State::HELD,
            kind: Kind::publish(qos),
            ..Slot::FREE
        };
        if over || !self.push_inbound(slot) {
            return Err(ProtocolError::ReceiveMaximum.into());
        }
        self.core.inbound = self.core.inbound.wrapping_add(1);
        bump(&mut self.core.counters.received);
        Ok(Admission::New(Some(AckToken {
            id,
            epoch: self.core.epoch,
        })))
    }

    fn handle_pubrel(&mut self, id: PacketIdentifier) -> Result<(), SessionError> {
        if self.answer_exchange(id, State::PUBCOMP) {
            return Ok(());
        }
        self.answer_unknown(id, State::PUBCOMP)
    }

    /// Whether there is a QoS 2 message of the server's between PUBLISH and PUBCOMP under this identifier. If PUBREL is
    /// what it waits for, `answer` is sent.
    fn answer_exchange(&mut self, id: PacketIdentifier, answer: State) -> bool {
        // `UNKNOWN_PUBREL` has an identifier of ours.
        let theirs = states::INBOUND & !State::UNKNOWN_PUBREL.bit();
        let Some(index) = self.find(id.get(), theirs) else {
            return false;
        };
        let slot = self.slot(index);
        if slot.kind != Kind::EXACTLY_ONCE {
            return false;
        }
        if slot.state == State::AWAIT_PUBREL {
            self.renew(index, answer);
        }
        true
    }

    /// Acknowledges a received message; [`ReasonCode::SUCCESS`], or on MQTT 5 a code from 0x80 to refuse it. A code that
    /// PUBACK and PUBREC cannot have is sent as [`ReasonCode::UNSPECIFIED_ERROR`]. 3.1.1 cannot refuse a message.
    ///
    /// A token of an earlier link is ignored: the server has forgotten or will repeat the message.
    pub fn acknowledge(&mut self, token: AckToken, code: ReasonCode) {
        if token.epoch != self.core.epoch {
            return;
        }
        let code = self.answer_code(code);
        // The newest first: mostly it is the one that was just delivered.
        let held = self
            .live()
            .iter_mut()
            .rev()
            .find(|slot| slot.state == State::HELD && slot.id == token.id.get());
        if let Some(slot) = held {
            slot.code = code.value();
            slot.state = State::ACK;
            self.core.output = true;
        }
    }

    /// For a 3.1.1 server the exchange goes on, whatever the code. On MQTT 5 it must be one of PUBACK and PUBREC
    /// [MQTT-3.4.2-1] [MQTT-3.5.2-1].
    fn answer_code(&self, code: ReasonCode) -> ReasonCode {
        if !self.core.is_v5() {
            ReasonCode::SUCCESS
        } else if code.is_of(PacketType::PubAck) {
            code
        } else {
            ReasonCode::UNSPECIFIED_ERROR
        }
    }
}
