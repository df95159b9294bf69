//! What is sent next, and how it comes out of the buffer.

use crate::{
    codec::{
        Disconnect, PacketIdentifier, PacketType, Properties, ReasonCode, Writer, encode_ack,
        encode_ping_req,
    },
    time::Instant,
};

use super::{
    Phase, Session, State, marks,
    slot::{Kind, Slot},
    states,
    table::to_len,
};

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Writes what is to be sent to `out`, as many packets as fit, and returns the number of bytes.
    ///
    /// Calling it says that the bytes of the call before have been handed to the transport, at `now`. So call it
    /// until it returns 0, and again when a call of another method gave it something to do. `out` should have 16
    /// bytes or more; packets larger than `out` come in pieces.
    #[must_use = "the bytes count as sent"]
    pub fn transmit(&mut self, out: &mut [u8], now: Instant) -> usize {
        let core = &mut self.core;
        core.timers.completed(now);
        if core.phase == Phase::Connected && core.in_flight == 0 && core.requests == 0 {
            // What is sent now is the first to be acknowledged.
            core.timers.progress = now;
        }
        let mut out = Writer::new(out);
        if !matches!(self.core.phase, Phase::Idle | Phase::Closed) && self.fill(&mut out, now) {
            self.core.output = false;
        }
        if !out.is_empty() {
            self.core.timers.begin_write(now);
        }
        out.len()
    }

    /// Writes what can be sent now. False if the output is full.
    ///
    /// Packets are never mixed: what was begun is finished first.
    fn fill(&mut self, out: &mut Writer<'_>, now: Instant) -> bool {
        if self.core.partial != 0
            && let Some(index) = self.find(self.core.partial, states::OUTBOUND)
            && !self.send_slot(index, out, now)
        {
            return false;
        }
        let phase = self.core.phase;
        if phase == Phase::Connected || phase == Phase::Leaving {
            let done = self.send_acks(out) && self.send_ping(out) && self.send_queue(out, now);
            if !done || phase == Phase::Connected {
                return done;
            }
        } else if phase == Phase::Connecting {
            return self.send_queue(out, now);
        }
        self.send_disconnect(out)
    }

    /// PUBACK and PUBREC in the order of the messages, PUBREL in the order of PUBREC [MQTT-4.6.0-2..4].
    fn send_acks(&mut self, out: &mut Writer<'_>) -> bool {
        // Kinds of which a message before this one is still with the application.
        let mut held = 0;
        for index in usize::from(self.core.first)..usize::from(self.core.used) {
            let slot = self.slot(index);
            let kind = slot.kind.bit();
            let waits = slot.state == State::ACK && held & kind != 0;
            if slot.state == State::HELD {
                held |= kind;
            } else if slot.state.is_in(states::ACKS) && !waits && !self.send_ack(index, out) {
                return false;
            }
        }
        true
    }

    #[inline(never)]
    fn send_ack(&mut self, index: usize, out: &mut Writer<'_>) -> bool {
        let version = self.core.version();
        let slot = self.slot(index);
        let unknown = slot.is(marks::UNKNOWN);
        let mut code = ReasonCode::SUCCESS;
        let (packet_type, mut next) = match slot.state {
            State::PUBREL | State::UNKNOWN_PUBREL => (PacketType::PubRel, State::AWAIT_PUBCOMP),
            State::PUBCOMP => (PacketType::PubComp, State::FREE),
            _ => {
                code = ReasonCode::new(slot.code);
                match slot.kind {
                    Kind::EXACTLY_ONCE => (PacketType::PubRec, State::AWAIT_PUBREL),
                    _ => (PacketType::PubAck, State::FREE),
                }
            }
        };
        if unknown {
            code = ReasonCode::PACKET_IDENTIFIER_NOT_FOUND;
        }
        if code.is_error() {
            next = State::FREE;
        }
        // An identifier of 0 cannot be in a slot.
        let Some(id) = PacketIdentifier::new(slot.id) else {
            return true;
        };
        let Ok(len) = encode_ack(packet_type, id, code, version, out.spare()) else {
            return false;
        };
        let _ = out.advance(len);
        slot.state = next;
        if next == State::FREE {
            if !unknown {
                self.core.inbound = self.core.inbound.saturating_sub(1);
            }
            self.free(index);
        }
        true
    }

    fn send_ping(&mut self, out: &mut Writer<'_>) -> bool {
        if !self.core.timers.ping_is_due() {
            return true;
        }
        let Ok(len) = encode_ping_req(out.spare()) else {
            return false;
        };
        let _ = out.advance(len);
        self.core.timers.ping_written();
        true
    }

    /// Queued packets in order. Messages at QoS 1 and 2 wait while the quota is used up, and the others pass them
    /// [MQTT-3.3.4-8]. Before CONNACK only CONNECT and AUTH are sent [MQTT-3.1.2-30].
    fn send_queue(&mut self, out: &mut Writer<'_>, now: Instant) -> bool {
        const WAITING: u16 = State::QUEUED.bit() | State::STREAM.bit();
        let connecting = self.core.phase == Phase::Connecting;
        let mut all = true;
        let mut index = self.core.next;
        while index < self.core.used {
            let slot = self.slot(usize::from(index));
            let kind = slot.kind;
            if slot.state.is_in(WAITING) {
                let waits = if connecting {
                    !kind.is_handshake()
                } else {
                    kind.needs_quota() && self.core.in_flight >= self.core.quota
                };
                if waits {
                    all = false;
                } else if !self.send_slot(usize::from(index), out, now) {
                    return false;
                }
            }
            index = index.wrapping_add(1);
            // Sending may have emptied the table, and then it begins anew.
            if all {
                self.core.next = index.min(self.core.used);
            }
        }
        true
    }

    /// The bytes of a slot, from where they were left; then its next state. False if the output is full.
    fn send_slot(&mut self, index: usize, out: &mut Writer<'_>, now: Instant) -> bool {
        let slot = self.slot(index);
        let id = slot.id;
        if slot.state == State::STREAM {
            return match self.stream_ops.as_ref().map(|ops| ops.send) {
                Some(send) => send(self, index, out),
                None => false,
            };
        }
        #[cfg(feature = "v5")]
        let is_handshake = slot.kind.is_handshake();
        #[cfg(feature = "v5")]
        if !is_handshake && self.core.partial == 0 {
            let slot = *self.slot(index);
            if self.is_obsolete(index, &slot, now) {
                return true;
            }
            if let Some(send_with_alias) = self.send_with_alias
                && slot.kind.is_publish()
                && send_with_alias(self, index, &slot, out)
            {
                self.sent(index);
                return true;
            }
        }
        let _ = now;
        let from = self.core.partial_sent as usize;
        let rest = self.packet(index).get(from..).unwrap_or_default();
        let left = rest.len();
        let sent = copy_some(rest, out);
        if sent < left {
            if sent != 0 {
                self.core.partial = id;
                self.core.partial_sent = to_len(from.wrapping_add(sent));
            }
            return false;
        }
        self.core.partial = 0;
        self.core.partial_sent = 0;
        self.sent(index);
        true
    }

    /// The packet has been given out in full.
    pub(super) fn sent(&mut self, index: usize) {
        let slot = self.slot(index);
        let awaited = slot.kind.awaited();
        if awaited == State::DONE {
            return self.finish(index, 0, 0);
        }
        slot.state = awaited;
        slot.marks |= marks::SENT;
        let core = &mut self.core;
        if awaited.is_in(states::IN_FLIGHT) {
            core.in_flight = core.in_flight.wrapping_add(1);
        } else {
            core.requests = core.requests.wrapping_add(1);
        }
    }

    /// The last packet, if there is one to be sent.
    fn send_disconnect(&mut self, out: &mut Writer<'_>) -> bool {
        let code = self.core.leave_code;
        let version = self.core.version();
        // 3.1.1 has no way to say it, except by closing without a word.
        if code != ReasonCode::DISCONNECT_WITH_WILL_MESSAGE || version.is_v5() {
            let disconnect = Disconnect {
                code,
                properties: Properties::NONE,
            };
            let Ok(len) = disconnect.encode(version, out.spare()) else {
                return false;
            };
            let _ = out.advance(len);
        }
        self.core.phase = Phase::Closed;
        true
    }
}

#[cfg(feature = "v5")]
pub(super) type SendWithAlias<B, S> = fn(&mut Session<B, S>, usize, &Slot, &mut Writer<'_>) -> bool;

/// What MQTT 5 decides at the moment of sending.
#[cfg(feature = "v5")]
mod v5 {
    use crate::codec::{FixedHeader, PublishParts, ReasonCode, Writer};

    use super::super::{
        Session,
        event::failure,
        marks,
        outbox::topic_of,
        slot::{Len, Slot},
        table::to_len,
    };
    use super::Instant;

    /// By how much a packet grows at most: the property, and longer length fields.
    const ALIAS_LEN: usize = 3 + 1 + 1;

    /// By how much the front grows at most: Topic Alias Maximum, by itself and in CONNECT, and longer length fields.
    const ALIAS_MAXIMUM_LEN: Len = 3 + 3 + 1 + 1;

    impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
        /// Ends a message or request that may not be sent any more: expired, or above a limit that the server
        /// announced only after it was accepted.
        pub(super) fn is_obsolete(&mut self, index: usize, slot: &Slot, now: Instant) -> bool {
            if let Some(code) = self.limit_exceeded(index, slot) {
                if slot.id == self.core.subscribe_id {
                    self.refuse_subscriptions();
                }
                self.finish(index, failure::REJECTED, code.value());
                return true;
            }
            if self.is_expired(index, slot, now) {
                self.finish(index, failure::EXPIRED, 0);
                return true;
            }
            false
        }

        /// The SUBSCRIBE of the options cannot be sent.
        fn refuse_subscriptions(&mut self) {
            self.core.subscribe_id = 0;
            let refused = &mut self.core.counters.subscriptions_refused;
            *refused = refused.saturating_add(self.core.subscribe_filters.into());
        }

        fn limit_exceeded(&mut self, index: usize, slot: &Slot) -> Option<ReasonCode> {
            let retain = self
                .packet(index)
                .first()
                .is_some_and(|first| first & 1 != 0);
            let error = self
                .check_publish(slot.kind.qos(), retain)
                .and_then(|()| self.check_packet_size(slot.len as usize))
                .err()?;
            error.server_limit()
        }

        /// MQTT 5 §3.3.2.3.3, for the time that the message has spent here. Once it was sent, it is the server's
        /// business [MQTT-4.3.3-7].
        fn is_expired(&mut self, index: usize, slot: &Slot, now: Instant) -> bool {
            if !slot.is(marks::EXPIRES) || slot.is(marks::SENT) {
                return false;
            }
            let waited_s = seconds(now.since(slot.since));
            let Some(interval) = expiry_interval(self.packet(index)) else {
                return false;
            };
            let left = u32::from_be_bytes(*interval).saturating_sub(waited_s);
            *interval = left.to_be_bytes();
            // Counted once: there may be no room now, or the packet may go out in part and then again.
            if let Some(slot) = self.slots.as_mut().get_mut(index) {
                slot.since = slot.since.plus(waited_s.wrapping_mul(1000));
            }
            left == 0 && waited_s != 0
        }

        /// Lets the session send topic aliases, as far as [`V5Options::topic_alias_memory`] and the server allow. To be
        /// called before anything is published or restored.
        ///
        /// [`V5Options::topic_alias_memory`]: crate::session::V5Options::topic_alias_memory
        pub fn enable_topic_aliases(&mut self) {
            // CONNECT becomes longer: what is published before the first connection must leave room for that.
            if self.send_with_alias.is_none() && self.core.is_empty() {
                self.extend_front(ALIAS_MAXIMUM_LEN);
            }
            self.send_with_alias = Some(Self::send_with_alias);
        }

        /// Leaves more room for CONNECT and SUBSCRIBE, if there is any and nothing lies behind them.
        fn extend_front(&mut self, len: Len) {
            let base = self.core.base.saturating_add(len);
            if !self.core.is_v5() || base as usize > self.buffer.as_mut().len() {
                return;
            }
            self.core.base = base;
            self.core.tail = base;
            self.core.v5.extend_front(len);
        }

        /// Sends the packet with a topic alias, if there is memory for its topic and the output has room for all
        /// of it. The buffer keeps the full form: an alias does not outlive the link [MQTT-3.3.2-7].
        fn send_with_alias(&mut self, index: usize, slot: &Slot, out: &mut Writer<'_>) -> bool {
            let longest = (slot.len as usize).saturating_add(ALIAS_LEN);
            if out.spare().len() < longest || self.check_packet_size(longest).is_err() {
                return false;
            }
            let Some((alias, known)) = self.alias_of(slot) else {
                return false;
            };
            let mut inner = Writer::new(out.spare());
            let written = write_with_alias(self.packet(index), alias, known, &mut inner);
            let len = inner.len();
            written.is_some() && out.advance(len).is_ok()
        }

        /// The alias of the packet's topic, and whether the server knows it.
        fn alias_of(&mut self, slot: &Slot) -> Option<(u16, bool)> {
            let v5 = &mut self.core.v5;
            let (front, packets) = self
                .buffer
                .as_mut()
                .split_at_mut_checked(self.core.base as usize)?;
            let at = slot.at.checked_sub(self.core.base)?;
            let topic = topic_of(packets.get(at as usize..)?)?;
            let filled = v5.topics_filled as usize;
            let mut rest = front.get(v5.topics as usize..filled)?;
            let mut alias: u16 = 0;
            while let Some((len, tail)) = rest.split_first_chunk::<2>() {
                alias = alias.saturating_add(1);
                let (name, tail) = tail.split_at_checked(u16::from_be_bytes(*len).into())?;
                if name == topic {
                    return Some((alias, true));
                }
                rest = tail;
            }
            if alias >= v5.topic_alias_maximum {
                return None;
            }
            let mut writer = Writer::new(front.get_mut(filled..v5.topics_end as usize)?);
            writer.binary(topic).ok()?;
            v5.topics_filled = v5.topics_filled.saturating_add(to_len(writer.len()));
            Some((alias.saturating_add(1), false))
        }
    }

    /// Milliseconds as whole seconds. A division takes 400 bytes on thumbv6m.
    fn seconds(millis: u32) -> u32 {
        let mut rest = millis;
        let mut seconds = 0;
        for bit in (0..22).rev() {
            let step = 1000_u32 << bit;
            if rest >= step {
                rest = rest.wrapping_sub(step);
                seconds |= 1 << bit;
            }
        }
        seconds
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
