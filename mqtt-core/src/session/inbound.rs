//! From the server to the application: PUBLISH and how it is acknowledged.

use crate::{
    codec::{Ack, Packet, PacketIdentifier, Publish, PublishHead, QoS, ReasonCode},
    receive::Received,
    time::Instant,
};

use super::{
    AckToken, Event, Incoming, Phase, ProtocolError, SessionError, State, Ticket, Working, bump,
    flags, qos_flags, slot::Slot,
};

/// What to do with an inbound message.
enum Admission {
    /// Give it to the application.
    New(Option<AckToken>),
    /// It has it already.
    Repetition,
}

impl Working<'_> {
    pub(super) fn handle<'rx>(
        &mut self,
        received: Received<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        self.state.timers.received = now;
        let packet = match received {
            Received::Packet(packet) => packet,
            Received::LargePublish(head) => return self.handle_large(head),
            Received::Piece { bytes, last } => return Ok(self.handle_piece(bytes, last)),
        };
        match self.state.phase {
            Phase::Connected | Phase::Leaving => self.handle_connected(packet, now),
            Phase::Connecting => self.handle_connecting(packet, now),
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
            Packet::Auth(auth) => self.handle_auth(&auth),
            _ => Err(ProtocolError::UnexpectedPacket.into()),
        }
    }

    fn handle_connected<'rx>(
        &mut self,
        packet: Packet<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        match packet {
            Packet::Publish(publish) => return self.handle_publish(publish),
            Packet::PubAck(ack) => self.handle_puback(&ack, now)?,
            Packet::PubRec(ack) => self.handle_pubrec(&ack, now)?,
            Packet::PubRel(ack) => self.handle_pubrel(&ack)?,
            Packet::PubComp(ack) => self.handle_pubcomp(&ack, now)?,
            Packet::SubAck(suback) => return self.handle_suback(suback, now),
            Packet::UnsubAck(unsuback) => self.handle_unsuback(&unsuback, now)?,
            Packet::PingResp => self.state.timers.pong(),
            Packet::Disconnect(disconnect) => {
                // The server closes; nothing may be sent any more [MQTT-3.14.4-1].
                self.state.phase = Phase::Closed;
                return Err(SessionError::ServerDisconnect(disconnect.code));
            }
            #[cfg(feature = "v5")]
            Packet::Auth(auth) => return self.handle_auth(&auth),
            _ => return Err(ProtocolError::UnexpectedPacket.into()),
        }
        Ok(Event::None)
    }

    fn handle_publish<'rx>(&mut self, publish: Publish<'rx>) -> Result<Event<'rx>, SessionError> {
        Ok(match self.admit(publish.qos, publish.packet_identifier)? {
            Admission::New(token) => Event::Message(Incoming { publish, token }),
            Admission::Repetition => Event::None,
        })
    }

    fn handle_large<'rx>(&mut self, head: PublishHead<'rx>) -> Result<Event<'rx>, SessionError> {
        if !matches!(self.state.phase, Phase::Connected | Phase::Leaving) {
            return Err(ProtocolError::UnexpectedPacket.into());
        }
        Ok(match self.admit(head.qos, head.packet_identifier)? {
            Admission::New(token) => {
                self.state.large_ignored = false;
                Event::LargeMessage(head, token)
            }
            Admission::Repetition => {
                self.state.large_ignored = true;
                Event::None
            }
        })
    }

    fn handle_piece<'rx>(&mut self, bytes: &'rx [u8], last: bool) -> Event<'rx> {
        if self.state.large_ignored {
            return Event::None;
        }
        Event::Piece { bytes, last }
    }

    fn admit(&mut self, qos: QoS, id: Option<PacketIdentifier>) -> Result<Admission, SessionError> {
        let Some(id) = id else {
            bump(&mut self.state.counters.received);
            return Ok(Admission::New(None));
        };
        if qos == QoS::ExactlyOnce {
            let known = self
                .arena()
                .find(|slot| slot.id == id.get() && is_open_exchange(slot));
            if let Some((index, slot)) = known {
                self.repeat(index, slot);
                return Ok(Admission::Repetition);
            }
        }
        let maximum = self.state.settings.receive_maximum;
        let slot = Slot {
            id: id.get(),
            state: State::HELD,
            flags: qos_flags(qos),
            ticket: Ticket(0),
            ..Slot::FREE
        };
        let over = self.state.is_v5() && self.state.inbound >= maximum;
        if over || !self.arena().push_bare(slot) {
            return Err(ProtocolError::ReceiveMaximum.into());
        }
        self.state.inbound = self.state.inbound.saturating_add(1);
        bump(&mut self.state.counters.received);
        Ok(Admission::New(Some(AckToken {
            id,
            qos,
            epoch: self.state.epoch,
        })))
    }

    /// [MQTT-4.3.3-2]: a repetition of QoS 2 gets PUBREC again, and is not delivered again.
    fn repeat(&mut self, index: usize, slot: Slot) {
        bump(&mut self.state.counters.duplicates);
        if slot.state == State::AWAIT_PUBREL {
            self.state.acks = self.state.acks.saturating_add(1);
            self.set_state(index, slot, State::ACK);
        }
    }

    fn handle_pubrel(&mut self, ack: &Ack<'_>) -> Result<(), SessionError> {
        let id = ack.packet_identifier;
        let known = self
            .arena()
            .find(|slot| slot.id == id.get() && is_open_exchange(slot));
        match known {
            Some((index, slot)) if slot.state == State::AWAIT_PUBREL => {
                self.state.acks = self.state.acks.saturating_add(1);
                self.set_state(index, slot, State::PUBCOMP);
                Ok(())
            }
            Some(_) => Ok(()),
            None => self.answer_unknown(id, ReasonCode::SUCCESS, State::PUBCOMP),
        }
    }

    pub(super) fn acknowledge(&mut self, token: AckToken, code: ReasonCode) {
        if token.epoch != self.state.epoch {
            return;
        }
        // The newest first: mostly it is the one that was just delivered.
        let held = self.arena().indices().rev().find_map(|index| {
            let slot = self.arena().load(index);
            let is_it =
                slot.state == State::HELD && slot.id == token.id.get() && slot.qos() == token.qos;
            is_it.then_some((index, slot))
        });
        if let Some((index, mut slot)) = held {
            slot.code = code.value();
            self.state.acks = self.state.acks.saturating_add(1);
            self.set_state(index, slot, State::ACK);
        }
    }
}

/// Whether this is a QoS 2 message of the server's between PUBLISH and PUBCOMP.
fn is_open_exchange(slot: &Slot) -> bool {
    slot.state.is_inbound() && slot.qos() == QoS::ExactlyOnce && !slot.is(flags::UNKNOWN)
}
