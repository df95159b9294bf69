//! A payload larger than the transmit buffer: it passes through a part of the arena piece by piece.

use crate::{
    codec::{EncodeError, FixedHeader, PacketIdentifier, Writer},
    publication::Publication,
    time::Instant,
};

use super::{
    DeliveryError, Phase, PublishError, Session, SessionError, State, Ticket, Working, bump, flags,
    outbound::{first_byte, put_header, write_head},
    qos_flags,
    slot::Slot,
    transmit::copy_some,
};

/// The one PUBLISH whose payload is being handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    ticket: Ticket,
    /// Bytes of the payload still to come from the caller.
    left: u32,
    /// Bytes in the slot, and how many of them were given out.
    filled: usize,
    sent: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Session<B> {
    /// Begins a PUBLISH whose payload of `len` bytes is handed over in pieces: fill
    /// [`stream_room`](Self::stream_room), and say how much by [`stream_filled`](Self::stream_filled), until all is in.
    ///
    /// The payload of `publication` is not used. Nothing is kept for repetition: when the link ends before the
    /// acknowledgement, the delivery ends as [`DeliveryError::LinkLost`]. Nothing else can be sent from its first byte
    /// to its last.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); [`PublishError::NotConnected`], [`PublishError::StreamBusy`].
    pub fn stream_begin(
        &mut self,
        publication: &dyn Publication,
        len: u32,
        watched: bool,
        now: Instant,
    ) -> Result<Ticket, PublishError> {
        self.with(|mut core| core.stream_begin(publication, len, watched, now))
    }

    /// Where the next bytes of the payload go; empty while the transport is behind, or when all are in.
    ///
    /// `None` if there is no such stream (any more): see its outcome.
    pub fn stream_room(&mut self, ticket: Ticket) -> Option<&mut [u8]> {
        Working {
            state: &mut self.core,
            bytes: self.buffer.as_mut(),
        }
        .stream_room(ticket)
    }

    /// The first `len` bytes of [`stream_room`](Self::stream_room) are filled. True when the payload is complete.
    pub fn stream_filled(&mut self, ticket: Ticket, len: usize) -> bool {
        self.core.stream_filled(ticket, len)
    }

    /// The rest of the payload will not come. The link must end if a part of it was sent.
    ///
    /// # Errors
    ///
    /// [`SessionError::StreamAborted`]: the link must end.
    pub fn stream_abort(&mut self, ticket: Ticket) -> Result<(), SessionError> {
        let begun = self.core.partial == Some(ticket);
        if self
            .core
            .stream
            .is_some_and(|stream| stream.ticket == ticket)
        {
            self.with(|mut core| core.abort_stream());
            if begun {
                self.core.fail(SessionError::StreamAborted);
                return Err(SessionError::StreamAborted);
            }
        }
        Ok(())
    }
}

impl super::Core {
    fn stream_filled(&mut self, ticket: Ticket, len: usize) -> bool {
        let Some(stream) = self.stream.as_mut().filter(|s| s.ticket == ticket) else {
            return true;
        };
        stream.filled = stream.filled.saturating_add(len);
        stream.left = stream
            .left
            .saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        stream.left == 0
    }
}

impl<'s> Working<'s> {
    fn stream_begin(
        &mut self,
        publication: &dyn Publication,
        len: u32,
        watched: bool,
        now: Instant,
    ) -> Result<Ticket, PublishError> {
        if self.state.phase != Phase::Connected {
            return Err(PublishError::NotConnected);
        }
        if self.state.stream.is_some() {
            return Err(PublishError::StreamBusy);
        }
        let qos = publication.qos();
        self.check_publish(qos, publication.retain())?;
        let id = self.identifier_for(qos)?;
        self.arena().compact();
        let head_len = self.encode_head(publication, id, len)?;
        let payload = usize::try_from(len).unwrap_or(usize::MAX);
        let whole = head_len.saturating_add(payload);
        #[cfg(feature = "v5")]
        self.check_packet_size(whole)?;
        let keep = self.slots_to_keep();
        let half = self.arena().room(keep).len() / 2;
        let capacity = whole.min(half.max(head_len.saturating_add(1)));
        let ticket = self.new_ticket();
        let slot = Slot {
            ticket,
            id: id.map_or(0, PacketIdentifier::get),
            state: State::STREAM,
            flags: qos_flags(qos) | if watched { flags::WATCHED } else { 0 },
            since: now,
            ..Slot::FREE
        };
        if capacity > self.arena().room(keep).len() || !self.arena().push(slot, capacity) {
            return Err(PublishError::Full);
        }
        self.state.stream = Some(Stream {
            ticket,
            left: len,
            filled: head_len,
            sent: 0,
        });
        bump(&mut self.state.counters.published);
        Ok(ticket)
    }

    fn encode_head(
        &mut self,
        publication: &dyn Publication,
        id: Option<PacketIdentifier>,
        len: u32,
    ) -> Result<usize, PublishError> {
        let version = self.state.version();
        let keep = self.slots_to_keep();
        let mut arena = self.arena();
        let room = arena.room(keep);
        let payload = usize::try_from(len).unwrap_or(usize::MAX);
        let guess = FixedHeader::len_of(payload);
        let out = room.get_mut(guess..).unwrap_or_default();
        let written = write_head(publication, id, version, out);
        let full = |error| match error {
            PublishError::Encode(EncodeError::NoRoom) => PublishError::Full,
            error => error,
        };
        let body = written.map_err(full)?;
        put_header(room, guess, body, payload, first_byte(publication))
            .map_err(|error| full(error.into()))
    }

    fn stream_room(mut self, ticket: Ticket) -> Option<&'s mut [u8]> {
        let (_, slot) = self.find_ticket(ticket)?;
        let stream = self.state.stream.as_mut().filter(|s| s.ticket == ticket)?;
        if stream.sent == stream.filled {
            stream.sent = 0;
            stream.filled = 0;
        }
        let left = usize::try_from(stream.left).unwrap_or(usize::MAX);
        let end = stream.filled.saturating_add(left).min(slot.len);
        let from = slot.offset.saturating_add(stream.filled);
        self.bytes.get_mut(from..slot.offset.saturating_add(end))
    }

    /// Gives out what has come in; true when that was the end of the packet.
    pub(super) fn send_stream(
        &mut self,
        index: usize,
        mut slot: Slot,
        out: &mut Writer<'_>,
    ) -> bool {
        let Some(mut stream) = self.state.stream.filter(|s| s.ticket == slot.ticket) else {
            return false;
        };
        let arena = self.arena();
        let ready = arena
            .packet(slot)
            .get(stream.sent..stream.filled)
            .unwrap_or_default();
        let sent = copy_some(ready, out);
        stream.sent = stream.sent.saturating_add(sent);
        if sent != 0 {
            self.state.partial = Some(slot.ticket);
            self.state.counters.progress = self.state.counters.progress.wrapping_add(1);
        }
        if stream.left != 0 || stream.sent != stream.filled {
            self.state.stream = Some(stream);
            return false;
        }
        self.state.stream = None;
        self.state.partial = None;
        slot.len = 0;
        self.advance(index, slot);
        true
    }

    /// Ends the stream: its bytes cannot be completed any more.
    pub(super) fn abort_stream(&mut self) {
        let Some(stream) = self.state.stream.take() else {
            return;
        };
        if let Some((index, slot)) = self.find_ticket(stream.ticket) {
            self.finish(index, slot, Err(DeliveryError::LinkLost));
        }
    }
}
