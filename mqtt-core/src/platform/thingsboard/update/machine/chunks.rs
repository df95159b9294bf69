//! Chunks: asked for by index, taken piece by piece.

use crate::{
    Instant,
    codec::TopicName,
    platform::{ApplicationMessage, thingsboard::topics::MAX_ID, update::Checksum},
};

use super::{
    super::{Chunk, ChunkRefusal},
    Ask, ChunkName, State, Update, UpdateError,
};

/// The smallest chunk that is tried when the server finds larger ones too large.
pub(super) const MIN_CHUNK_LEN: u32 = 64;

/// The requests of the application count from 1; these begin where it will not come soon, firmware and software in turns.
pub(super) const FIRST_ID: u32 = 0x7000_0000;

impl<C: Checksum> Update<'_, C> {
    /// A message of `len` bytes has come: whether it is the chunk that is waited for.
    pub fn begin_chunk(&mut self, topic: TopicName<'_>, len: u32, now: Instant) -> Chunk {
        self.begin_chunk_of(topic.as_bytes(), len, now)
    }

    pub(in super::super) fn begin_chunk_of(
        &mut self,
        topic: &[u8],
        len: u32,
        now: Instant,
    ) -> Chunk {
        let name = ChunkName::of_bytes(topic);
        let Some(name) = name.filter(|name| name.package == self.options.package) else {
            return Chunk::NotOurs;
        };
        let (Ask::Waiting { id, .. }, Some((index, expected))) = (self.chunk, self.wanted()) else {
            return Chunk::Unwanted;
        };
        if name.request_id != id || name.index != index {
            return Chunk::Unwanted;
        }
        if len != expected {
            self.reject_chunk(len == 0, now);
            return Chunk::Unwanted;
        }
        let start = index.saturating_mul(self.chunk_len);
        self.incoming = Some((start, start.saturating_add(len)));
        Chunk::Wanted
    }

    /// Takes bytes of the chunk: what of them is to be written, and where. They count as written; if they cannot be,
    /// call [`store_failed`](Self::store_failed).
    pub fn piece<'p>(&mut self, bytes: &'p [u8]) -> (u32, &'p [u8]) {
        let offset = self.received;
        let Some((at, end)) = self.incoming else {
            return (offset, &[]);
        };
        let room = end.saturating_sub(at) as usize;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let next = at.saturating_add(len);
        self.incoming = Some((next, end));
        // What a link that was lost in the middle of the chunk has brought is there already.
        let known = offset.saturating_sub(at).min(len);
        self.received = offset.max(next);
        (offset, bytes.get(known as usize..).unwrap_or_default())
    }

    /// The chunk is at its end, or will not go on.
    pub fn end_chunk(&mut self) {
        if let Some((at, end)) = self.incoming.take()
            && at == end
        {
            self.chunk = Ask::Later(None);
            self.attempts = 0;
        }
    }

    /// Takes a message on the topic of refusals; false if it is another topic. One that is about the other package is
    /// ignored.
    pub fn refusal<'m>(&mut self, message: impl ApplicationMessage<'m>) -> bool {
        let Some(refusal) = ChunkRefusal::of(message) else {
            return false;
        };
        if !matches!(self.chunk, Ask::Waiting { .. }) {
            return true;
        }
        // The server closes the link now: nothing is asked on it any more.
        self.chunk = Ask::No;
        if refusal == ChunkRefusal::PayloadTooLarge && self.chunk_len >= 2 * MIN_CHUNK_LEN {
            self.chunk_len /= 2;
        } else {
            self.fail(UpdateError::Refused(refusal));
        }
        true
    }

    /// Asks for the next chunk if that is not done.
    pub(super) fn go_on(&mut self) {
        if self.chunk == Ask::No {
            self.chunk = Ask::Later(None);
        }
    }

    /// A chunk that came is not what was asked for. The first time it is asked for again at once.
    pub(super) fn reject_chunk(&mut self, is_empty: bool, now: Instant) {
        let pause_ms = if self.attempts > 1 {
            self.options.chunk_timeout_ms
        } else {
            0
        };
        if self.attempts >= self.options.attempts {
            self.fail(UpdateError::NoChunk);
            return;
        }
        self.chunk = Ask::Later(Some(now.plus(pause_ms)));
        if is_empty {
            // The server has dropped the package from its memory. A new number makes it load what is assigned now, so that
            // is to be looked at first.
            self.new_id();
            self.attribute_attempts = 0;
            self.ask_attributes();
        }
    }

    pub(super) fn new_id(&mut self) {
        self.next_id = self.next_id.wrapping_add(2) & MAX_ID | FIRST_ID;
    }

    /// The chunk to ask for: its index and length. `None` if nothing is missing.
    pub(super) fn wanted(&self) -> Option<(u32, u32)> {
        let size = self.target?.image.size;
        if !matches!(self.state, State::Downloading { .. }) || self.received >= size {
            return None;
        }
        let index = self.received.checked_div(self.chunk_len)?;
        let rest = size.saturating_sub(index.saturating_mul(self.chunk_len));
        Some((index, rest.min(self.chunk_len)))
    }
}
