//! From the application to the server: PUBLISH, SUBSCRIBE and UNSUBSCRIBE, and what the server answers.

use crate::{
    bytes::copy_within,
    codec::{
        Ack, EncodeError, FixedHeader, PacketIdentifier, PacketType, Properties, QoS, ReasonCode,
        SubAck, Subscribe, Subscription, Subscriptions, TopicFilter, TopicFilters, TopicName,
        UnsubAck, Unsubscribe, Version, Writer,
    },
    publication::Publication,
    time::Instant,
};

use super::{
    DeliveryError, Event, OutboxPolicy, Outcome, ProtocolError, PublishError, SessionError, State,
    Ticket, Working, bump, event, flags, qos_flags, slot::Slot,
};

/// A packet written into the free part of the arena, not yet accepted.
struct Draft {
    len: usize,
    #[cfg(feature = "v5")]
    expires: bool,
}

impl Working<'_> {
    pub(super) fn publish(
        &mut self,
        publication: &dyn Publication,
        watched: bool,
        now: Instant,
    ) -> Result<Ticket, PublishError> {
        let qos = publication.qos();
        self.check_publish(qos, publication.retain())?;
        let id = self.identifier_for(qos)?;
        let draft = self.draft(publication, id, publication.payload_len())?;
        #[cfg(feature = "v5")]
        self.check_packet_size(draft.len)?;
        let ticket = self.new_ticket();
        let slot = Slot {
            ticket,
            id: id.map_or(0, PacketIdentifier::get),
            state: State::QUEUED,
            flags: qos_flags(qos) | watched_flag(watched) | draft.flags(),
            since: now,
            ..Slot::FREE
        };
        // Cannot fail: the draft was written into room for it.
        if !self.arena().push(slot, draft.len) {
            return Err(PublishError::Full);
        }
        bump(&mut self.state.counters.published);
        if self.state.settings.outbox == OutboxPolicy::KeepLatest {
            self.replace_same_topic(ticket);
        }
        Ok(ticket)
    }

    /// What can be refused before a byte is written: limits that the server announced (MQTT 5 §3.2.2.3).
    pub(super) fn check_publish(&self, qos: QoS, retain: bool) -> Result<(), PublishError> {
        #[cfg(feature = "v5")]
        if self.state.phase == super::Phase::Connected {
            if qos > self.state.v5.maximum_qos {
                return Err(PublishError::QoSNotSupported);
            }
            if retain && !self.state.v5.retain_available {
                return Err(PublishError::RetainNotSupported);
            }
        }
        let _ = (qos, retain);
        Ok(())
    }

    pub(super) fn identifier_for(
        &mut self,
        qos: QoS,
    ) -> Result<Option<PacketIdentifier>, PublishError> {
        if qos == QoS::AtMostOnce {
            return Ok(None);
        }
        self.new_identifier().map(Some).ok_or(PublishError::Full)
    }

    /// Writes the packet into free room, and makes room as the policy says.
    fn draft(
        &mut self,
        publication: &dyn Publication,
        id: Option<PacketIdentifier>,
        payload_len: Option<usize>,
    ) -> Result<Draft, PublishError> {
        if payload_len.is_some_and(|len| len >= self.bytes.len()) {
            return Err(PublishError::TooLarge);
        }
        let mut compacted = false;
        loop {
            match self.encode(publication, id, payload_len) {
                Err(PublishError::Encode(EncodeError::NoRoom)) => {}
                result => return result,
            }
            if !compacted {
                self.arena().compact();
                compacted = true;
            } else if self.is_drained() {
                return Err(PublishError::TooLarge);
            } else if !self.drop_oldest() {
                return Err(PublishError::Full);
            } else {
                compacted = false;
            }
        }
    }

    /// Whether waiting for acknowledgements would make no more room.
    fn is_drained(&mut self) -> bool {
        self.arena().find(|slot| !slot.state.is_inbound()).is_none()
    }

    fn encode(
        &mut self,
        publication: &dyn Publication,
        id: Option<PacketIdentifier>,
        payload_len: Option<usize>,
    ) -> Result<Draft, PublishError> {
        let version = self.state.version();
        let keep = self.slots_to_keep();
        let mut arena = self.arena();
        let room = arena.room(keep);
        // The header's length depends on the packet's: guess it, and slide the packet if the guess was wrong.
        let guess = FixedHeader::len_of(payload_len.unwrap_or(room.len()));
        let out = room.get_mut(guess..).unwrap_or_default();
        let head_len = write_head(publication, id, version, out)?;
        let mut writer = Writer::new(out.get_mut(head_len..).unwrap_or_default());
        publication.write_payload(&mut writer)?;
        let body = head_len.saturating_add(writer.len());
        let len = put_header(room, guess, body, 0, first_byte(publication))?;
        Ok(Draft {
            len,
            #[cfg(feature = "v5")]
            expires: version.is_v5()
                && publication.properties().message_expiry_interval().is_some(),
        })
    }

    /// Slots that stay free for acknowledgements, whatever is published.
    pub(super) fn slots_to_keep(&self) -> usize {
        let keep = self
            .state
            .settings
            .receive_maximum
            .saturating_sub(self.state.inbound);
        usize::from(keep)
    }

    /// Gives up the oldest message that was never sent, if the policy is to.
    fn drop_oldest(&mut self) -> bool {
        match self.state.settings.outbox {
            OutboxPolicy::Wait | OutboxPolicy::Reject => return false,
            OutboxPolicy::DropOldest | OutboxPolicy::KeepLatest => {}
        }
        let partial = self.state.partial;
        let oldest = self.arena().find(|slot| is_droppable(slot, partial));
        let Some((index, slot)) = oldest else {
            return false;
        };
        self.finish(index, slot, Err(DeliveryError::Dropped));
        true
    }

    /// Gives up a message that was never sent and has the same topic as `latest`.
    fn replace_same_topic(&mut self, latest: Ticket) {
        let partial = self.state.partial;
        let Some((_, newest)) = self.find_ticket(latest) else {
            return;
        };
        let arena = self.arena();
        let topic = topic_of(arena.packet(newest));
        let older = arena.find(|slot| {
            slot.ticket != latest
                && is_droppable(slot, partial)
                && topic_of(arena.packet(*slot)) == topic
        });
        if let Some((index, slot)) = older {
            self.finish(index, slot, Err(DeliveryError::Dropped));
        }
    }

    pub(super) fn subscribe(
        &mut self,
        filters: &[Subscription<'_>],
        properties: Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        #[cfg(feature = "v5")]
        self.check_subscribe(filters, &properties)?;
        let packet_identifier = self.new_identifier().ok_or(PublishError::Full)?;
        let subscribe = Subscribe {
            packet_identifier,
            filters: Subscriptions::from(filters),
            properties,
        };
        let version = self.state.version();
        self.request(
            packet_identifier,
            flags::SUBSCRIBE | watched_flag(watched),
            filters.len(),
            |room| subscribe.encode(version, room),
        )
    }

    pub(super) fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        let packet_identifier = self.new_identifier().ok_or(PublishError::Full)?;
        let unsubscribe = Unsubscribe {
            packet_identifier,
            filters: TopicFilters::from(filters),
            properties,
        };
        let version = self.state.version();
        self.request(
            packet_identifier,
            flags::UNSUBSCRIBE | watched_flag(watched),
            filters.len(),
            |room| unsubscribe.encode(version, room),
        )
    }

    #[cfg(feature = "v5")]
    fn check_subscribe(
        &self,
        filters: &[Subscription<'_>],
        properties: &Properties<'_>,
    ) -> Result<(), PublishError> {
        if self.state.phase != super::Phase::Connected {
            return Ok(());
        }
        let v5 = &self.state.v5;
        let wildcard = |filter: &Subscription<'_>| {
            filter
                .filter
                .as_bytes()
                .iter()
                .any(|byte| matches!(byte, b'+' | b'#'))
        };
        if !v5.shared_available && filters.iter().any(|filter| filter.filter.is_shared()) {
            return Err(PublishError::SharedSubscriptionsNotSupported);
        }
        if !v5.wildcards_available && filters.iter().any(wildcard) {
            return Err(PublishError::WildcardsNotSupported);
        }
        let identified = properties.subscription_identifiers().next().is_some();
        if identified && !v5.subscription_identifiers_available {
            return Err(PublishError::SubscriptionIdentifiersNotSupported);
        }
        Ok(())
    }

    /// Queues SUBSCRIBE or UNSUBSCRIBE. The number of filters stands in `code` and `failure`.
    fn request(
        &mut self,
        id: PacketIdentifier,
        flags: u8,
        filters: usize,
        encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<Ticket, PublishError> {
        let filters = u16::try_from(filters).map_err(|_| EncodeError::TooLong)?;
        let keep = self.slots_to_keep();
        let mut encoded = encode(self.arena().room(keep));
        if encoded == Err(EncodeError::NoRoom) {
            self.arena().compact();
            encoded = encode(self.arena().room(keep));
        }
        let len = match encoded {
            Err(EncodeError::NoRoom) if self.is_drained() => return Err(PublishError::TooLarge),
            Err(EncodeError::NoRoom) => return Err(PublishError::Full),
            encoded => encoded?,
        };
        #[cfg(feature = "v5")]
        self.check_packet_size(len)?;
        let ticket = self.new_ticket();
        let [failure, code] = filters.to_be_bytes();
        let slot = Slot {
            ticket,
            id: id.get(),
            state: State::QUEUED,
            flags,
            failure,
            code,
            ..Slot::FREE
        };
        if self.arena().push(slot, len) {
            Ok(ticket)
        } else {
            Err(PublishError::Full)
        }
    }

    /// PUBACK: the end of QoS 1.
    pub(super) fn handle_puback(
        &mut self,
        ack: &Ack<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        let Some((index, slot)) = self.find_identifier(ack.packet_identifier) else {
            return Ok(());
        };
        match slot.state {
            State::AWAIT_PUBACK => {
                self.state.timers.progress = now;
                self.finish(index, slot, outcome_of(ack.code));
                Ok(())
            }
            // Not sent yet on this connection: an answer to nothing.
            State::QUEUED => Ok(()),
            _ => Err(ProtocolError::WrongAcknowledgement.into()),
        }
    }

    /// PUBREC: the server has the message, its bytes can go.
    pub(super) fn handle_pubrec(
        &mut self,
        ack: &Ack<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        let id = ack.packet_identifier;
        let Some((index, mut slot)) = self.find_identifier(id) else {
            return self.answer_unknown(id, ack.code, State::PUBREL);
        };
        match slot.state {
            State::AWAIT_PUBREC if ack.code.is_error() => {
                self.state.timers.progress = now;
                self.finish(index, slot, outcome_of(ack.code));
                Ok(())
            }
            // A new slot at the end: PUBREL are sent in the order of PUBREC [MQTT-4.6.0-4].
            State::AWAIT_PUBREC => {
                self.state.timers.progress = now;
                self.state.acks = self.state.acks.saturating_add(1);
                slot.state = State::PUBREL;
                slot.code = 0;
                self.arena().free(index);
                self.arena().push_bare(slot);
                self.state.counters.progress = self.state.counters.progress.wrapping_add(1);
                Ok(())
            }
            State::AWAIT_PUBCOMP => {
                self.state.acks = self.state.acks.saturating_add(1);
                self.set_state(index, slot, State::PUBREL);
                Ok(())
            }
            State::PUBREL | State::QUEUED => Ok(()),
            _ => Err(ProtocolError::WrongAcknowledgement.into()),
        }
    }

    /// PUBCOMP: the end of QoS 2.
    pub(super) fn handle_pubcomp(
        &mut self,
        ack: &Ack<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        let Some((index, slot)) = self.find_identifier(ack.packet_identifier) else {
            return Ok(());
        };
        match slot.state {
            State::AWAIT_PUBCOMP => {
                self.state.timers.progress = now;
                // The server had PUBREC'd the message; that it forgot the identifier is no failure.
                self.finish(index, slot, Ok(ReasonCode::SUCCESS));
                Ok(())
            }
            State::QUEUED | State::PUBREL => Ok(()),
            _ => Err(ProtocolError::WrongAcknowledgement.into()),
        }
    }

    pub(super) fn handle_suback<'rx>(
        &mut self,
        suback: SubAck<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        let codes = suback.raw_codes();
        if suback.packet_identifier.get() == self.state.subscribe_id && self.state.control_end != 0
        {
            return self.handle_resubscribed(suback, now);
        }
        self.answer_request(
            suback.packet_identifier,
            State::AWAIT_SUBACK,
            Some(codes),
            now,
        )?;
        Ok(Event::None)
    }

    fn handle_resubscribed<'rx>(
        &mut self,
        suback: SubAck<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        if suback.raw_codes().len() != usize::from(self.state.subscribe_filters) {
            return Err(ProtocolError::WrongAcknowledgement.into());
        }
        self.state.timers.progress = now;
        self.state.subscribe_id = 0;
        self.state.requests = self.state.requests.saturating_sub(1);
        for _ in suback.codes().filter(Result::is_err) {
            bump(&mut self.state.counters.subscriptions_refused);
        }
        Ok(Event::Resubscribed(suback))
    }

    pub(super) fn handle_unsuback(
        &mut self,
        unsuback: &UnsubAck<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        // 3.1.1 has no codes.
        let codes = self.state.is_v5().then_some(unsuback.raw_codes());
        self.answer_request(
            unsuback.packet_identifier,
            State::AWAIT_UNSUBACK,
            codes,
            now,
        )
    }

    /// Keeps the codes where the request lay: there is one byte of answer for at least three of request.
    fn answer_request(
        &mut self,
        id: PacketIdentifier,
        awaited: State,
        codes: Option<&[u8]>,
        now: Instant,
    ) -> Result<(), SessionError> {
        let Some((index, mut slot)) = self.find_identifier(id) else {
            return Ok(());
        };
        if slot.state != awaited {
            return Err(ProtocolError::WrongAcknowledgement.into());
        }
        let filters = usize::from(u16::from_be_bytes([slot.failure, slot.code]));
        if codes.is_some_and(|codes| codes.len() != filters) {
            return Err(ProtocolError::WrongAcknowledgement.into());
        }
        self.state.timers.progress = now;
        self.state.requests = self.state.requests.saturating_sub(1);
        slot.len = filters.min(slot.len);
        let mut arena = self.arena();
        let kept = arena.packet_mut(slot);
        match codes.filter(|codes| codes.len() == kept.len()) {
            Some(codes) => kept.copy_from_slice(codes),
            None => kept.fill(0),
        }
        self.finish(index, slot, Ok(ReasonCode::SUCCESS));
        Ok(())
    }

    pub(super) fn find_identifier(&mut self, id: PacketIdentifier) -> Option<(usize, Slot)> {
        self.arena()
            .find(|slot| slot.id == id.get() && slot.state.owns_identifier())
    }

    /// MQTT 5 §4.3.3 and §3.6.2.1: an unknown identifier is answered, so that the server can forget it.
    pub(super) fn answer_unknown(
        &mut self,
        id: PacketIdentifier,
        code: ReasonCode,
        answer: State,
    ) -> Result<(), SessionError> {
        if code.is_error() {
            return Ok(());
        }
        let already = self
            .arena()
            .find(|slot| slot.id == id.get() && slot.state == answer && slot.is(flags::UNKNOWN))
            .is_some();
        let slot = Slot {
            id: id.get(),
            state: answer,
            flags: flags::UNKNOWN,
            ..Slot::FREE
        };
        if already {
            return Ok(());
        }
        if !self.arena().push_bare(slot) {
            return Err(ProtocolError::ReceiveMaximum.into());
        }
        self.state.acks = self.state.acks.saturating_add(1);
        Ok(())
    }

    pub(super) fn take_outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        let (index, slot) = self.find_ticket(ticket)?;
        if slot.state != State::DONE {
            return None;
        }
        self.arena().free(index);
        Some(event::decode_outcome(slot.failure, slot.code))
    }

    pub(super) fn take_codes(
        &mut self,
        ticket: Ticket,
        codes: &mut [ReasonCode],
    ) -> Option<Outcome> {
        let (_, slot) = self.find_ticket(ticket)?;
        if slot.state != State::DONE {
            return None;
        }
        for (to, from) in codes.iter_mut().zip(self.arena().packet(slot)) {
            *to = ReasonCode::new(*from);
        }
        self.take_outcome(ticket)
    }

    pub(super) fn forget(&mut self, ticket: Ticket) {
        let Some((index, mut slot)) = self.find_ticket(ticket) else {
            return;
        };
        if slot.state == State::DONE {
            self.arena().free(index);
        } else {
            slot.flags &= !flags::WATCHED;
            self.arena().store(index, slot);
        }
    }

    /// [MQTT-3.2.2-15]
    #[cfg(feature = "v5")]
    pub(super) fn check_packet_size(&self, len: usize) -> Result<(), PublishError> {
        let maximum = self.state.v5.maximum_packet_size as usize;
        if self.state.phase == super::Phase::Connected && maximum != 0 && len > maximum {
            return Err(PublishError::PacketTooLarge);
        }
        Ok(())
    }
}

impl Draft {
    #[cfg(feature = "v5")]
    fn flags(&self) -> u8 {
        if self.expires { flags::EXPIRES } else { 0 }
    }

    #[cfg(not(feature = "v5"))]
    #[allow(clippy::unused_self, reason = "the same call with MQTT 5")]
    fn flags(&self) -> u8 {
        0
    }
}

/// Type and flags of a PUBLISH that is sent for the first time.
pub(super) fn first_byte(publication: &dyn Publication) -> u8 {
    PacketType::Publish.first_byte()
        | qos_flags(publication.qos()) << 1
        | u8::from(publication.retain())
}

/// Writes what stands between the fixed header and the payload, and returns its length.
pub(super) fn write_head(
    publication: &dyn Publication,
    id: Option<PacketIdentifier>,
    version: Version,
    out: &mut [u8],
) -> Result<usize, PublishError> {
    let (len, rest) = out
        .split_first_chunk_mut::<2>()
        .ok_or(EncodeError::NoRoom)?;
    let mut topic = Writer::new(rest);
    publication.write_topic(&mut topic)?;
    let topic_len = topic.len();
    TopicName::check(rest.get(..topic_len).unwrap_or_default())?;
    *len = u16::try_from(topic_len)
        .map_err(|_| EncodeError::TooLong)?
        .to_be_bytes();
    let mut writer = Writer::new(out);
    writer.advance(topic_len.saturating_add(2))?;
    if let Some(id) = id {
        writer.u16(id.get())?;
    }
    let properties = publication.properties();
    // Aliases are the session's business; subscription identifiers come from the server [MQTT-3.3.4-6].
    let forbidden = properties.topic_alias().is_some()
        || properties.subscription_identifiers().next().is_some();
    if forbidden && version.is_v5() {
        return Err(EncodeError::PropertyNotAllowed.into());
    }
    properties.write_to_publish(&mut writer, version)?;
    Ok(writer.len())
}

/// Puts the fixed header in front of `body` bytes at `guess`, and moves both to the front of `room`.
///
/// `more` bytes follow elsewhere.
pub(super) fn put_header(
    room: &mut [u8],
    guess: usize,
    body: usize,
    more: usize,
    first_byte: u8,
) -> Result<usize, EncodeError> {
    let remaining = body.saturating_add(more);
    let header_len = FixedHeader::len_of(remaining);
    let len = header_len.saturating_add(body);
    if len > room.len() {
        return Err(EncodeError::NoRoom);
    }
    copy_within(room, guess, body, header_len);
    let header = FixedHeader {
        packet_type_and_flags: first_byte,
        remaining_length: u32::try_from(remaining).map_err(|_| EncodeError::TooLong)?,
    };
    header.encode(room)?;
    Ok(len)
}

/// The topic of an encoded PUBLISH, behind its length.
pub(super) fn topic_of(packet: &[u8]) -> Option<&[u8]> {
    // The length of the length: bytes with the high bit set go on.
    let length = packet.get(1..)?;
    let more = length.iter().take_while(|byte| **byte >= 0x80).count();
    let body = length.get(more.wrapping_add(1)..)?;
    let (len, rest) = body.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

fn is_droppable(slot: &Slot, partial: Option<Ticket>) -> bool {
    slot.is_queued_publish() && !slot.is(flags::SENT) && partial != Some(slot.ticket)
}

fn watched_flag(watched: bool) -> u8 {
    if watched { flags::WATCHED } else { 0 }
}

fn outcome_of(code: ReasonCode) -> Outcome {
    if code.is_error() {
        Err(DeliveryError::Rejected(code))
    } else {
        Ok(code)
    }
}
