//! From the application to the server: PUBLISH, SUBSCRIBE and UNSUBSCRIBE, and what the server answers.

use crate::{
    bytes::move_down,
    codec::{
        EncodeError, FixedHeader, PacketIdentifier, PacketType, Properties, QoS, ReasonCode,
        Subscribe, Subscription, Subscriptions, TopicFilter, TopicFilters, TopicName, Unsubscribe,
        Version, Writer,
    },
    publication::Publication,
    time::Instant,
};

use super::{
    Outcome, ProtocolError, PublishError, Session, SessionError, State, Ticket, bump,
    event::{self, failure},
    marks,
    slot::{Kind, Slot},
    states,
    table::to_len,
};

/// Slots that are left free beside those for inbound messages: for CONNECT.
pub(super) const HANDSHAKE_SLOTS: u16 = 1;

/// Writes SUBSCRIBE or UNSUBSCRIBE with the identifier, and returns its length.
type EncodeRequest<'e> =
    &'e mut dyn FnMut(PacketIdentifier, &mut [u8]) -> Result<usize, EncodeError>;

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Queues a publication. Never waits.
    ///
    /// `watched`: the outcome is kept until [`take_outcome`](Self::take_outcome) or [`forget`](Self::forget).
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn publish(
        &mut self,
        publication: &dyn Publication,
        watched: bool,
        now: Instant,
    ) -> Result<Ticket, PublishError> {
        let qos = publication.qos();
        self.check_publish(qos, publication.retain())?;
        let space = self
            .buffer
            .as_mut()
            .len()
            .saturating_sub(self.core.base as usize);
        if publication.payload_len().is_some_and(|len| len >= space) {
            return Err(PublishError::TooLarge);
        }
        let id = self.new_identifier();
        let len = self.write(&mut |session| session.encode(publication, id))?;
        let mut slot = Slot {
            kind: Kind::publish(qos),
            ..new_slot(id, watched)
        };
        #[cfg(feature = "v5")]
        {
            slot.since = now;
            if self.core.is_v5() && publication.properties().message_expiry_interval().is_some() {
                slot.marks |= marks::EXPIRES;
            }
        }
        let _ = (now, &mut slot);
        self.accept(slot, len);
        bump(&mut self.core.counters.published);
        if let Some(accepted) = self.outbox.accepted {
            accepted(self);
        }
        Ok(Ticket(id))
    }

    /// Whether a message could be published if nothing else were queued: `body` bytes behind the fixed header, and
    /// with MQTT 5 the properties, which are `section` bytes with their length.
    #[cfg(feature = "client")]
    pub(crate) fn check(
        &mut self,
        qos: QoS,
        retain: bool,
        body: usize,
        section: usize,
    ) -> Result<(), PublishError> {
        self.check_publish(qos, retain)?;
        let properties = if self.core.is_v5() { section.max(1) } else { 0 };
        let body = body.saturating_add(properties);
        let end = self.buffer.as_mut().len().min(super::slot::BYTES_MAX);
        let space = end.saturating_sub(self.core.base as usize);
        if body.saturating_add(FixedHeader::len_of(space)) > space {
            return Err(PublishError::TooLarge);
        }
        self.check_packet_size(body.saturating_add(FixedHeader::len_of(body)))?;
        Ok(())
    }

    /// What can be refused before a byte is written: limits that the server announced (MQTT 5 §3.2.2.3).
    #[cfg_attr(
        not(feature = "v5"),
        allow(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "limits are of MQTT 5"
        )
    )]
    pub(super) fn check_publish(&self, qos: QoS, retain: bool) -> Result<(), PublishError> {
        #[cfg(feature = "v5")]
        if self.core.is_in_use() {
            if qos > self.core.v5.maximum_qos {
                return Err(PublishError::QoSNotSupported);
            }
            if retain && !self.core.v5.retain_available {
                return Err(PublishError::RetainNotSupported);
            }
        }
        let _ = (qos, retain);
        Ok(())
    }

    /// Writes a packet into free room by `encode`, and makes room as the policy says.
    fn write(
        &mut self,
        encode: &mut dyn FnMut(&mut Self) -> Result<usize, PublishError>,
    ) -> Result<usize, PublishError> {
        loop {
            // Tidy up before anything is given up.
            for _ in 0..2 {
                if self.has_free_slot(self.slots_to_keep()) {
                    match encode(self) {
                        Err(PublishError::Encode(EncodeError::NoRoom)) => {}
                        Ok(len) => return self.check_packet_size(len),
                        refused => return refused,
                    }
                }
                self.sweep();
            }
            if self.find(0, states::OUTBOUND).is_none() {
                return Err(PublishError::TooLarge);
            }
            let make_room = self.outbox.make_room;
            if !make_room.is_some_and(|make_room| make_room(self)) {
                return Err(PublishError::Full);
            }
        }
    }

    /// Puts the packet of `len` bytes that was just written into the table, to be sent.
    pub(super) fn accept(&mut self, slot: Slot, len: usize) {
        self.push(slot, len);
        self.core.output = true;
    }

    fn encode(&mut self, publication: &dyn Publication, id: u16) -> Result<usize, PublishError> {
        let version = self.core.version();
        let room = self.room();
        // The header's length depends on the packet's: leave room for the longest, and slide the packet later.
        let guess = FixedHeader::len_of(room.len());
        let out = room.get_mut(guess..).unwrap_or_default();
        let head_len = write_head(publication, id, version, out)?;
        let mut writer = Writer::new(out.get_mut(head_len..).unwrap_or_default());
        publication.write_payload(&mut writer)?;
        let body = head_len.saturating_add(writer.len());
        Ok(put_header(room, guess, body, 0, first_byte(publication))?)
    }

    /// Slots that stay free whatever is published: acknowledgements and the next connection never lack one.
    pub(super) fn slots_to_keep(&self) -> u16 {
        let inbound = self.core.settings.receive_maximum;
        inbound
            .saturating_sub(self.core.inbound)
            .saturating_add(HANDSHAKE_SLOTS)
    }

    /// Queues SUBSCRIBE. The granted QoS are read by [`take_codes`](Self::take_codes).
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn subscribe(
        &mut self,
        filters: &[Subscription<'_>],
        properties: Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        #[cfg(feature = "v5")]
        self.check_subscribe(filters, &properties)?;
        let version = self.core.version();
        self.request(Kind::SUBSCRIBE, filters.len(), watched, &mut |id, room| {
            let subscribe = Subscribe {
                packet_identifier: id,
                filters: Subscriptions::from(filters),
                properties,
            };
            subscribe.encode(version, room)
        })
    }

    /// Queues UNSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// Nothing was queued, see [`PublishError`].
    pub fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
        watched: bool,
    ) -> Result<Ticket, PublishError> {
        let version = self.core.version();
        self.request(
            Kind::UNSUBSCRIBE,
            filters.len(),
            watched,
            &mut |id, room| {
                let unsubscribe = Unsubscribe {
                    packet_identifier: id,
                    filters: TopicFilters::from(filters),
                    properties,
                };
                unsubscribe.encode(version, room)
            },
        )
    }

    #[cfg(feature = "v5")]
    fn check_subscribe(
        &self,
        filters: &[Subscription<'_>],
        properties: &Properties<'_>,
    ) -> Result<(), PublishError> {
        if self.core.phase != super::Phase::Connected {
            return Ok(());
        }
        let v5 = &self.core.v5;
        let wildcard = |filter: &Subscription<'_>| {
            let bytes = filter.filter.as_bytes();
            bytes.iter().any(|byte| matches!(byte, b'+' | b'#'))
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

    /// Queues SUBSCRIBE or UNSUBSCRIBE. The number of filters is kept in place of a code.
    fn request(
        &mut self,
        kind: Kind,
        filters: usize,
        watched: bool,
        encode: EncodeRequest<'_>,
    ) -> Result<Ticket, PublishError> {
        let code = u8::try_from(filters).map_err(|_| EncodeError::TooLong)?;
        let id = self.new_identifier();
        let packet_identifier = PacketIdentifier::new(id).ok_or(PublishError::Full)?;
        let len = self.write(&mut |session| Ok(encode(packet_identifier, session.room())?))?;
        let slot = Slot {
            kind,
            code,
            ..new_slot(id, watched)
        };
        self.accept(slot, len);
        Ok(Ticket(id))
    }

    /// PUBACK, PUBREC, PUBCOMP, SUBACK and UNSUBACK; `codes` are those of the last two.
    pub(super) fn handle_ack(
        &mut self,
        packet_type: PacketType,
        id: PacketIdentifier,
        code: ReasonCode,
        codes: Option<&[u8]>,
        now: Instant,
    ) -> Result<(), SessionError> {
        let Some(index) = self.find(id.get(), states::OUTBOUND & !State::DONE.bit()) else {
            if packet_type == PacketType::PubRec && !code.is_error() {
                return self.answer_unknown(id, State::UNKNOWN_PUBREL);
            }
            return Ok(());
        };
        let state = self.slot(index).state;
        if state.0 != packet_type as u8 {
            return self.handle_early_ack(index, state, packet_type);
        }
        self.core.timers.progress = now;
        match packet_type {
            PacketType::PubRec if !code.is_error() => self.release(index),
            PacketType::SubAck | PacketType::UnsubAck => return self.keep_codes(index, codes),
            // The server had accepted the message; that it forgot the identifier is no failure.
            PacketType::PubComp => self.finish(index, 0, 0),
            _ => self.finish(
                index,
                u8::from(code.is_error()) * failure::REJECTED,
                code.value(),
            ),
        }
        Ok(())
    }

    /// An answer to what was not sent on this connection, or was answered before.
    fn handle_early_ack(
        &mut self,
        index: usize,
        state: State,
        packet_type: PacketType,
    ) -> Result<(), SessionError> {
        match state {
            State::QUEUED | State::STREAM | State::PUBREL => Ok(()),
            State::AWAIT_PUBCOMP if packet_type == PacketType::PubRec => {
                self.slot(index).state = State::PUBREL;
                self.core.output = true;
                Ok(())
            }
            _ => Err(ProtocolError::WrongAcknowledgement.into()),
        }
    }

    /// The server has the message: its bytes can go. A new slot, since PUBREL are sent in the order of PUBREC
    /// [MQTT-4.6.0-4].
    fn release(&mut self, index: usize) {
        self.renew(index, State::PUBREL);
        self.core.progress();
    }

    /// Moves a slot behind the others: acknowledgements go out in the order in which their causes came.
    pub(super) fn renew(&mut self, index: usize, state: State) {
        let slot = self.slot(index);
        let moved = Slot {
            state,
            len: 0,
            ..*slot
        };
        slot.state = State::FREE;
        self.push(moved, 0);
        self.core.output = true;
    }

    /// Keeps the codes where the request lay: there is one byte of answer for at least three of request.
    fn keep_codes(&mut self, index: usize, codes: Option<&[u8]>) -> Result<(), SessionError> {
        // UNSUBACK of 3.1.1 has no codes: all went well.
        let codes = codes.unwrap_or_default();
        let slot = self.slot(index);
        let filters = usize::from(slot.code);
        if !codes.is_empty() && codes.len() != filters {
            return Err(ProtocolError::WrongAcknowledgement.into());
        }
        let id = slot.id;
        if slot.is(marks::WATCHED) {
            slot.len = to_len(filters);
            let kept = self.packet(index);
            for (index, kept) in kept.iter_mut().enumerate() {
                *kept = codes.get(index).copied().unwrap_or_default();
            }
        } else {
            for _ in codes.iter().filter(|code| **code >= 0x80) {
                let counters = &mut self.core.counters;
                counters.subscriptions_refused = counters.subscriptions_refused.wrapping_add(1);
            }
        }
        if self.core.subscribe_id == id {
            self.core.subscribe_id = 0;
            self.core.subscribed = true;
        }
        self.finish(index, 0, 0);
        Ok(())
    }

    /// MQTT 5 §4.3.3 and §3.6.2.1: an unknown identifier is answered, so that the server can forget it.
    pub(super) fn answer_unknown(
        &mut self,
        id: PacketIdentifier,
        answer: State,
    ) -> Result<(), SessionError> {
        let slot = Slot {
            id: id.get(),
            state: answer,
            marks: marks::UNKNOWN,
            ..Slot::FREE
        };
        self.core.output = true;
        if self.find(id.get(), answer.bit()).is_some() || self.push_inbound(slot) {
            return Ok(());
        }
        Err(ProtocolError::ReceiveMaximum.into())
    }

    /// How the exchange of a watched ticket ended; `None` while it has not.
    ///
    /// An answer ends the watch, except for SUBSCRIBE and UNSUBSCRIBE, see [`take_codes`](Self::take_codes).
    pub fn take_outcome(&mut self, ticket: Ticket) -> Option<Outcome> {
        let index = self.find(ticket.0, State::DONE.bit())?;
        let slot = self.slot(index);
        let outcome = event::outcome(slot.marks, slot.code);
        self.free(index);
        Some(outcome)
    }

    /// The server's answer to a watched SUBSCRIBE or UNSUBSCRIBE, one code for each filter: `None` while there is none.
    ///
    /// UNSUBACK of 3.1.1 has no codes; they count as success. An answer ends the watch.
    pub fn take_codes(&mut self, ticket: Ticket, codes: &mut [ReasonCode]) -> Option<Outcome> {
        let index = self.find(ticket.0, State::DONE.bit())?;
        let kept = self.packet(index).iter();
        for (to, from) in codes.iter_mut().zip(kept) {
            *to = ReasonCode::new(*from);
        }
        self.take_outcome(ticket)
    }

    /// Nobody will ask for the outcome of `ticket` any more.
    pub fn forget(&mut self, ticket: Ticket) {
        // Newest first: mostly it is the one that was just accepted.
        let watched = self
            .live()
            .iter_mut()
            .rev()
            .find(|slot| slot.id == ticket.0 && slot.state.is_in(states::OUTBOUND));
        if let Some(slot) = watched.filter(|slot| slot.state != State::DONE) {
            slot.marks &= !marks::WATCHED;
            return;
        }
        self.take_outcome(ticket);
    }

    /// [MQTT-3.2.2-15]
    #[cfg_attr(
        not(feature = "v5"),
        allow(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "limits are of MQTT 5"
        )
    )]
    pub(super) fn check_packet_size(&self, len: usize) -> Result<usize, PublishError> {
        #[cfg(feature = "v5")]
        {
            let maximum = self.core.v5.maximum_packet_size as usize;
            if self.core.is_in_use() && maximum != 0 && len > maximum {
                return Err(PublishError::PacketTooLarge);
            }
        }
        Ok(len)
    }
}

pub(super) fn new_slot(id: u16, watched: bool) -> Slot {
    Slot {
        id,
        state: State::QUEUED,
        marks: if watched { marks::WATCHED } else { 0 },
        ..Slot::FREE
    }
}

/// Type and flags of a PUBLISH that is sent for the first time.
pub(super) fn first_byte(publication: &dyn Publication) -> u8 {
    PacketType::Publish.first_byte()
        | (publication.qos() as u8) << 1
        | u8::from(publication.retain())
}

/// Writes what stands between the fixed header and the payload, and returns its length.
pub(super) fn write_head(
    publication: &dyn Publication,
    id: u16,
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
    let mut writer = Writer::new(rest.get_mut(topic_len..).unwrap_or_default());
    if publication.qos() != QoS::AtMostOnce {
        writer.u16(id)?;
    }
    #[cfg(feature = "v5")]
    if version.is_v5() {
        let properties = publication.properties();
        // Aliases are the session's business; subscription identifiers come from the server [MQTT-3.3.4-6].
        let forbidden = properties.topic_alias().is_some()
            || properties.subscription_identifiers().next().is_some();
        if forbidden {
            return Err(EncodeError::PropertyNotAllowed.into());
        }
        properties.write_to_publish(&mut writer, version)?;
    }
    let _ = version;
    Ok(topic_len.saturating_add(2).saturating_add(writer.len()))
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
    move_down(room, guess, body, header_len);
    let header = FixedHeader {
        packet_type_and_flags: first_byte,
        remaining_length: u32::try_from(remaining).map_err(|_| EncodeError::TooLong)?,
    };
    header.encode(room)?;
    Ok(header_len.saturating_add(body))
}
