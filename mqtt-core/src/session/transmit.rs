//! What is sent next, and how it comes out of the arena.

use crate::{
    codec::{
        Disconnect, PacketIdentifier, PacketType, Properties, QoS, ReasonCode, Version, Writer,
        encode_ack, encode_ping_req,
    },
    time::Instant,
};

use super::{Phase, State, Working, flags, slot::Slot};

/// Whether the output took a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Whole,
    /// The output is full.
    NotYet,
}

impl Working<'_> {
    pub(super) fn transmit(&mut self, out: &mut [u8], now: Instant) -> usize {
        self.state.timers.completed(now);
        let mut out = Writer::new(out);
        self.fill(&mut out, now);
        if !out.is_empty() {
            self.state.timers.begin_write(now);
        }
        out.len()
    }

    /// Packets are never mixed: what was begun is finished first.
    fn fill(&mut self, out: &mut Writer<'_>, now: Instant) {
        let phase = self.state.phase;
        if matches!(phase, Phase::Idle | Phase::Closed) {
            return;
        }
        if self.send_rest(out, now) == Sent::NotYet || self.send_control(out) == Sent::NotYet {
            return;
        }
        match phase {
            Phase::Connecting => self.send_authentication(out, now),
            Phase::Failing => self.send_disconnect(out),
            _ => {
                let done = self.send_acks(out) == Sent::Whole
                    && self.send_ping(out) == Sent::Whole
                    && self.send_queue(out, now) == Sent::Whole;
                if done && phase == Phase::Leaving {
                    self.send_disconnect(out);
                }
            }
        }
    }

    /// The rest of a packet that was begun before.
    fn send_rest(&mut self, out: &mut Writer<'_>, now: Instant) -> Sent {
        let Some(ticket) = self.state.partial else {
            return Sent::Whole;
        };
        match self.find_ticket(ticket) {
            Some((index, slot)) => self.send_slot(index, slot, out, now),
            None => Sent::Whole,
        }
    }

    fn send_control(&mut self, out: &mut Writer<'_>) -> Sent {
        let (from, end) = (self.state.control, self.state.control_end);
        if from >= end {
            return Sent::Whole;
        }
        let mut arena = self.arena();
        let rest = arena.reserved().get(from..end).unwrap_or_default();
        let sent = copy_some(rest, out);
        self.state.control = from.saturating_add(sent);
        if self.state.control == end {
            Sent::Whole
        } else {
            Sent::NotYet
        }
    }

    /// PUBACK and PUBREC in the order of the messages, PUBREL in the order of PUBREC [MQTT-4.6.0-2..4].
    fn send_acks(&mut self, out: &mut Writer<'_>) -> Sent {
        if self.state.acks == 0 {
            return Sent::Whole;
        }
        let mut held = [false; 3];
        for index in self.arena().indices() {
            let slot = self.arena().load(index);
            if slot.state == State::HELD
                && let Some(held) = held.get_mut(slot.qos() as usize)
            {
                *held = true;
            }
            let waits = slot.state == State::ACK
                && held.get(slot.qos() as usize).copied().unwrap_or_default();
            if waits || !slot.state.is_ack() {
                continue;
            }
            if self.send_ack(index, slot, out) == Sent::NotYet {
                return Sent::NotYet;
            }
        }
        Sent::Whole
    }

    fn send_ack(&mut self, index: usize, slot: Slot, out: &mut Writer<'_>) -> Sent {
        let unknown = slot.is(flags::UNKNOWN);
        let mut code = ReasonCode::new(slot.code);
        if unknown {
            code = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
        }
        let (packet_type, next) = match slot.state {
            State::PUBREL if unknown => (PacketType::PubRel, State::FREE),
            State::PUBREL => (PacketType::PubRel, State::AWAIT_PUBCOMP),
            State::PUBCOMP => (PacketType::PubComp, State::FREE),
            _ if slot.qos() == QoS::AtLeastOnce => (PacketType::PubAck, State::FREE),
            _ if code.is_error() => (PacketType::PubRec, State::FREE),
            _ => (PacketType::PubRec, State::AWAIT_PUBREL),
        };
        if !put_ack(packet_type, slot.id, code, self.state.version(), out) {
            return Sent::NotYet;
        }
        self.state.acks = self.state.acks.saturating_sub(1);
        if next == State::FREE {
            if !unknown {
                self.state.inbound = self.state.inbound.saturating_sub(1);
            }
            self.arena().free(index);
        } else {
            self.set_state(index, slot, next);
        }
        Sent::Whole
    }

    fn send_ping(&mut self, out: &mut Writer<'_>) -> Sent {
        if !self.state.timers.ping_is_due() {
            return Sent::Whole;
        }
        let Ok(len) = encode_ping_req(out.spare()) else {
            return Sent::NotYet;
        };
        let _ = out.advance(len);
        self.state.timers.ping_written();
        Sent::Whole
    }

    /// Queued packets in order. While the quota is used up, messages at QoS 1 and 2 wait and the others pass
    /// them [MQTT-3.3.4-8].
    fn send_queue(&mut self, out: &mut Writer<'_>, now: Instant) -> Sent {
        let mut passed = false;
        let mut index = self.state.layout.next;
        while index < self.arena().indices().end {
            let slot = self.arena().load(index);
            let waits = matches!(slot.state, State::QUEUED | State::STREAM);
            if waits && self.needs_quota(slot) {
                passed = true;
            } else if waits && self.send_slot(index, slot, out, now) == Sent::NotYet {
                return Sent::NotYet;
            }
            // Sending may have emptied the arena, and then it starts anew at index 0.
            if self.arena().is_empty() {
                return Sent::Whole;
            }
            index = index.wrapping_add(1);
            if !passed {
                self.state.layout.next = index;
            }
        }
        Sent::Whole
    }

    fn needs_quota(&self, slot: Slot) -> bool {
        slot.id != 0
            && !slot.is(flags::SUBSCRIBE | flags::UNSUBSCRIBE)
            && self.state.in_flight >= self.state.quota
    }

    /// AUTH packets, the only ones that may go before CONNACK [MQTT-3.1.2-30].
    fn send_authentication(&mut self, out: &mut Writer<'_>, now: Instant) {
        let auth = self.arena().find(|slot| {
            slot.state == State::QUEUED && slot.is(flags::SUBSCRIBE) && slot.is(flags::UNSUBSCRIBE)
        });
        if let Some((index, slot)) = auth {
            self.send_slot(index, slot, out, now);
        }
    }

    /// The bytes of a slot, from where they were left; then its next state.
    fn send_slot(&mut self, index: usize, slot: Slot, out: &mut Writer<'_>, now: Instant) -> Sent {
        if slot.state == State::STREAM {
            return if self.send_stream(index, slot, out) {
                Sent::Whole
            } else {
                Sent::NotYet
            };
        }
        #[cfg(feature = "v5")]
        if self.state.partial.is_none() {
            if self.is_obsolete(index, slot, now) {
                return Sent::Whole;
            }
            if self.send_with_alias(slot, out) {
                self.advance(index, slot);
                return Sent::Whole;
            }
        }
        let _ = now;
        let from = self.state.partial_sent;
        let arena = self.arena();
        let rest = arena.packet(slot).get(from..).unwrap_or_default();
        let left = rest.len();
        if left == 0 || out.is_full() {
            return Sent::NotYet;
        }
        let sent = copy_some(rest, out);
        if sent < left {
            self.state.partial = Some(slot.ticket);
            self.state.partial_sent = from.saturating_add(sent);
            return Sent::NotYet;
        }
        self.state.partial = None;
        self.state.partial_sent = 0;
        self.advance(index, slot);
        Sent::Whole
    }

    /// The packet has been given out in full.
    pub(super) fn advance(&mut self, index: usize, mut slot: Slot) {
        let both = flags::SUBSCRIBE | flags::UNSUBSCRIBE;
        slot.flags |= flags::SENT;
        let awaited = match slot.flags & both {
            flags::SUBSCRIBE => State::AWAIT_SUBACK,
            flags::UNSUBSCRIBE => State::AWAIT_UNSUBACK,
            // AUTH: the answer belongs to nobody in particular.
            both_set if both_set == both => return self.arena().free(index),
            _ => match slot.qos() {
                QoS::AtMostOnce => return self.finish(index, slot, Ok(ReasonCode::SUCCESS)),
                QoS::AtLeastOnce => State::AWAIT_PUBACK,
                QoS::ExactlyOnce => State::AWAIT_PUBREC,
            },
        };
        let first_awaited = self.state.in_flight == 0 && self.state.requests == 0;
        if awaited.is_in_flight() {
            self.state.in_flight = self.state.in_flight.saturating_add(1);
        } else {
            self.state.requests = self.state.requests.saturating_add(1);
        }
        if first_awaited {
            self.state.timers.awaits_progress();
        }
        self.set_state(index, slot, awaited);
    }

    fn send_disconnect(&mut self, out: &mut Writer<'_>) {
        let code = self.state.leave_code;
        let version = self.state.version();
        // 3.1.1 has no way to say it, except by closing without a word.
        let silent = code == ReasonCode::DISCONNECT_WITH_WILL_MESSAGE && !version.is_v5();
        if !silent {
            let disconnect = Disconnect {
                code,
                properties: Properties::NONE,
            };
            let Ok(len) = disconnect.encode(version, out.spare()) else {
                return;
            };
            let _ = out.advance(len);
        }
        self.state.phase = Phase::Closed;
    }
}

/// What MQTT 5 decides at the moment of sending.
#[cfg(feature = "v5")]
mod v5 {
    use crate::codec::{FixedHeader, PublishParts, ReasonCode, Writer};

    use super::super::{DeliveryError, Working, flags, outbound::topic_of, slot::Slot};
    use super::Instant;

    /// By how much a packet grows at most: the property, and longer length fields.
    const ALIAS_LEN: usize = 3 + 1 + 1;

    impl Working<'_> {
        /// Ends a packet that may not be sent any more: expired, or above a limit that the server announced only after
        /// it was accepted.
        pub(super) fn is_obsolete(&mut self, index: usize, slot: Slot, now: Instant) -> bool {
            if !slot.is_queued_publish() {
                return false;
            }
            let error = self
                .limit_exceeded(slot)
                .map(DeliveryError::Rejected)
                .or_else(|| self.expire(slot, now));
            if let Some(error) = error {
                self.finish(index, slot, Err(error));
            }
            error.is_some()
        }

        fn limit_exceeded(&mut self, slot: Slot) -> Option<ReasonCode> {
            let retain = self
                .arena()
                .packet(slot)
                .first()
                .is_some_and(|first| first & 1 != 0);
            let error = self
                .check_publish(slot.qos(), retain)
                .and_then(|()| self.check_packet_size(slot.len))
                .err()?;
            error.server_limit()
        }

        /// MQTT 5 §3.3.2.3.3, for the time that the message has spent here. Once it was sent, it is the server's
        /// business [MQTT-4.3.3-7].
        fn expire(&mut self, slot: Slot, now: Instant) -> Option<DeliveryError> {
            if !slot.is(flags::EXPIRES) || slot.is(flags::SENT) {
                return None;
            }
            let waited_s = now.since(slot.since) / 1000;
            let mut arena = self.arena();
            let interval = expiry_interval(arena.packet_mut(slot))?;
            let left = u32::from_be_bytes(*interval).saturating_sub(waited_s);
            if left == 0 && waited_s != 0 {
                return Some(DeliveryError::Expired);
            }
            *interval = left.to_be_bytes();
            None
        }

        /// Sends the packet with a topic alias, if there is memory for its topic and the output has room for all
        /// of it. The arena keeps the full form: an alias does not outlive the link [MQTT-3.3.2-7].
        pub(super) fn send_with_alias(&mut self, slot: Slot, out: &mut Writer<'_>) -> bool {
            if !slot.is_queued_publish()
                || self.state.v5.topics == self.state.v5.topics_end
                || out.spare().len() < slot.len.saturating_add(ALIAS_LEN)
                || self
                    .check_packet_size(slot.len.saturating_add(ALIAS_LEN))
                    .is_err()
            {
                return false;
            }
            let Some((alias, known)) = self.alias_of(slot) else {
                return false;
            };
            let mut inner = Writer::new(out.spare());
            let written = write_with_alias(self.arena().packet(slot), alias, known, &mut inner);
            let len = inner.len();
            written.is_some() && out.advance(len).is_ok()
        }

        /// The alias of the packet's topic, and whether the server knows it.
        fn alias_of(&mut self, slot: Slot) -> Option<(u16, bool)> {
            let (from, filled, end) = (
                self.state.v5.topics,
                self.state.v5.topics_filled,
                self.state.v5.topics_end,
            );
            let (aliases, maximum) = (
                self.state.v5.topic_aliases,
                self.state.v5.topic_alias_maximum,
            );
            let mut arena = self.arena();
            let (memory, packet) = arena.reserved_and_packet(slot);
            let topic = topic_of(packet)?;
            let mut rest = memory.get(from..filled)?;
            let mut alias: u16 = 0;
            while let Some((len, tail)) = rest.split_first_chunk::<2>() {
                alias = alias.saturating_add(1);
                let (name, tail) = tail.split_at_checked(u16::from_be_bytes(*len).into())?;
                if name == topic {
                    return Some((alias, true));
                }
                rest = tail;
            }
            if aliases >= maximum {
                return None;
            }
            let mut writer = Writer::new(memory.get_mut(filled..end)?);
            writer.binary(topic).ok()?;
            let len = writer.len();
            self.state.v5.topics_filled = filled.saturating_add(len);
            self.state.v5.topic_aliases = aliases.saturating_add(1);
            Some((aliases.saturating_add(1), false))
        }
    }

    /// Where the four bytes of the Message Expiry Interval lie in an encoded PUBLISH.
    fn expiry_interval(packet: &mut [u8]) -> Option<&mut [u8; 4]> {
        let at = PublishParts::expiry_interval_at(packet)?;
        packet.get_mut(at..)?.first_chunk_mut()
    }

    /// The packet with the alias as first property, and without the topic if the server knows the alias.
    fn write_with_alias(
        packet: &[u8],
        alias: u16,
        known: bool,
        out: &mut Writer<'_>,
    ) -> Option<()> {
        let parts = PublishParts::of(packet)?;
        let topic = if known { &[][..] } else { parts.topic };
        let properties_len = parts.properties.len().checked_add(3)?;
        let length_len = FixedHeader::len_of(properties_len).checked_sub(1)?;
        let remaining = topic
            .len()
            .checked_add(2)?
            .checked_add(parts.identifier.len())?
            .checked_add(length_len)?
            .checked_add(properties_len)?
            .checked_add(parts.payload.len())?;
        out.u8(*packet.first()?).ok()?;
        out.variable_byte_integer(u32::try_from(remaining).ok()?)
            .ok()?;
        out.binary(topic).ok()?;
        out.bytes(parts.identifier).ok()?;
        out.variable_byte_integer(u32::try_from(properties_len).ok()?)
            .ok()?;
        out.u8(0x23).ok()?;
        out.u16(alias).ok()?;
        out.bytes(parts.properties).ok()?;
        out.bytes(parts.payload).ok()
    }
}

/// Copies as much of `from` as fits, and returns how much.
pub(super) fn copy_some(from: &[u8], out: &mut Writer<'_>) -> usize {
    let len = from.len().min(out.spare().len());
    let fits = out.bytes(from.get(..len).unwrap_or_default());
    if fits.is_ok() { len } else { 0 }
}

fn put_ack(
    packet_type: PacketType,
    id: u16,
    code: ReasonCode,
    version: Version,
    out: &mut Writer<'_>,
) -> bool {
    // An identifier of 0 cannot be in a slot; there is nothing to send for it.
    let Some(id) = PacketIdentifier::new(id) else {
        return true;
    };
    match encode_ack(packet_type, id, code, version, out.spare()) {
        Ok(len) => out.advance(len).is_ok(),
        Err(_) => false,
    }
}
