//! A payload larger than the transmit buffer: it passes through a part of the arena piece by piece.

use crate::{
    codec::{EncodeError, FixedHeader, Writer},
    publication::Publication,
    time::Instant,
};

use super::{
    Phase, PublishError, Session, SessionError, State, Ticket, bump,
    event::failure,
    outbound::{first_byte, new_slot, put_header, write_head},
    slot::{Kind, Len, Slot},
    states,
    table::to_len,
    transmit::copy_some,
};

/// The one PUBLISH whose payload is being handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    id: u16,
    /// Bytes of the payload still to come from the caller.
    left: u32,
    /// Bytes in the slot, and how many of them were given out.
    filled: Len,
    sent: Len,
}

/// How to send a stream and how to end it. A program that never streams does not contain them.
pub(super) struct StreamOps<B, S> {
    pub(super) send: fn(&mut Session<B, S>, usize, &mut Writer<'_>) -> bool,
    pub(super) abort: fn(&mut Session<B, S>),
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// The first `len` bytes of [`stream_room`](Self::stream_room) are filled. True when the payload is complete.
    pub fn stream_filled(&mut self, ticket: Ticket, len: usize) -> bool {
        let stream = self.core.stream.as_mut();
        let Some(stream) = stream.filter(|stream| stream.id == ticket.0) else {
            return true;
        };
        stream.filled = stream.filled.saturating_add(to_len(len));
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        stream.left = stream.left.saturating_sub(len);
        stream.left == 0
    }

    /// The rest of the payload will not come. The link must end if a part of it was sent.
    ///
    /// # Errors
    ///
    /// [`SessionError::StreamAborted`]: the link must end.
    pub fn stream_abort(&mut self, ticket: Ticket) -> Result<(), SessionError> {
        let begun = self.core.partial == ticket.0;
        if self.core.stream.is_some_and(|stream| stream.id == ticket.0) {
            self.abort_stream();
            if begun {
                self.core.fail(SessionError::StreamAborted);
                return Err(SessionError::StreamAborted);
            }
        }
        Ok(())
    }
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Begins a PUBLISH whose payload of `len` bytes is handed over in pieces: fill
    /// [`stream_room`](Self::stream_room), and say how much by [`stream_filled`](Self::stream_filled), until all is in.
    ///
    /// The payload of `publication` is not used. Nothing is kept for repetition: when the link ends before the
    /// acknowledgement, the delivery ends as [`DeliveryError::LinkLost`](super::DeliveryError::LinkLost). Nothing else can be sent from its first byte
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
        if self.core.phase != Phase::Connected {
            return Err(PublishError::NotConnected);
        }
        if self.core.stream.is_some() {
            return Err(PublishError::StreamBusy);
        }
        let qos = publication.qos();
        self.check_publish(qos, publication.retain())?;
        self.sweep();
        // What does not fit beside nothing will never fit.
        let full = match self.find(0, states::OUTBOUND) {
            Some(_) => PublishError::Full,
            None => PublishError::TooLarge,
        };
        if !self.has_free_slot(self.slots_to_keep()) {
            return Err(full);
        }
        let id = self.new_identifier();
        let head_len = match self.encode_head(publication, id, len) {
            Err(PublishError::Encode(EncodeError::NoRoom)) => return Err(full),
            result => result?,
        };
        let payload = usize::try_from(len).unwrap_or(usize::MAX);
        let whole = self.check_packet_size(head_len.saturating_add(payload))?;
        // Half of the room: the other half is for what is published meanwhile.
        let room = self.room().len();
        let capacity = whole.min((room / 2).max(head_len.saturating_add(1)));
        if capacity > room {
            return Err(full);
        }
        let slot = Slot {
            kind: Kind::publish(qos),
            state: State::STREAM,
            ..new_slot(id, watched)
        };
        self.accept(slot, capacity);
        self.core.stream = Some(Stream {
            id,
            left: len,
            filled: to_len(head_len),
            sent: 0,
        });
        self.stream_ops = Some(StreamOps {
            send: Self::send_stream,
            abort: Self::abort_stream,
        });
        let _ = now;
        bump(&mut self.core.counters.published);
        Ok(Ticket(id))
    }

    fn encode_head(
        &mut self,
        publication: &dyn Publication,
        id: u16,
        len: u32,
    ) -> Result<usize, PublishError> {
        let version = self.core.version();
        let room = self.room();
        let payload = usize::try_from(len).unwrap_or(usize::MAX);
        let guess = FixedHeader::len_of(usize::MAX);
        let out = room.get_mut(guess..).unwrap_or_default();
        let body = write_head(publication, id, version, out)?;
        Ok(put_header(
            room,
            guess,
            body,
            payload,
            first_byte(publication),
        )?)
    }

    /// Where the next bytes of the payload go; empty while the transport is behind, or when all are in.
    ///
    /// `None` if there is no such stream (any more): see its outcome.
    pub fn stream_room(&mut self, ticket: Ticket) -> Option<&mut [u8]> {
        let index = self.find(ticket.0, State::STREAM.bit())?;
        let slot = *self.slot(index);
        let stream = self
            .core
            .stream
            .as_mut()
            .filter(|stream| stream.id == ticket.0)?;
        if stream.sent == stream.filled {
            stream.sent = 0;
            stream.filled = 0;
        }
        let left = usize::try_from(stream.left).unwrap_or(usize::MAX);
        let filled = stream.filled as usize;
        let end = filled.saturating_add(left).min(slot.len as usize);
        let at = slot.at as usize;
        let range = at.saturating_add(filled)..at.saturating_add(end);
        self.buffer.as_mut().get_mut(range)
    }

    /// Gives out what has come in; true when that was the end of the packet.
    fn send_stream(&mut self, index: usize, out: &mut Writer<'_>) -> bool {
        let id = self.slot(index).id;
        let Some(mut stream) = self.core.stream.filter(|stream| stream.id == id) else {
            return false;
        };
        let ready = self
            .packet(index)
            .get(stream.sent as usize..stream.filled as usize);
        let sent = copy_some(ready.unwrap_or_default(), out);
        stream.sent = stream.sent.saturating_add(to_len(sent));
        if sent != 0 {
            self.core.partial = id;
            self.core.progress();
        }
        self.core.stream = Some(stream);
        if stream.left != 0 || stream.sent != stream.filled {
            return false;
        }
        self.core.stream = None;
        self.core.partial = 0;
        self.slot(index).len = 0;
        self.sent(index);
        true
    }

    /// The bytes cannot be completed any more.
    fn abort_stream(&mut self) {
        let Some(stream) = self.core.stream.take() else {
            return;
        };
        if let Some(index) = self.find(stream.id, states::OUTBOUND) {
            self.finish(index, failure::LINK_LOST, 0);
        }
    }
}
