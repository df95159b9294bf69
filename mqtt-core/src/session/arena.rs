//! The transmit buffer: packets from the front, a table of slots from the back.
//!
//! ```text
//! | packets, oldest first -> |   free   | <- slots, oldest first | reserved |
//! 0                        tail                              limit
//! ```
//!
//! A packet lies in one piece and in the order in which it was accepted. Its slot says where it lies and what has
//! become of it. Freed slots and bytes are reclaimed by sliding the rest together, only when room is needed, so
//! the cost per packet stays small. A slot without bytes stands for an exchange that has no packet of ours:
//! an inbound message to acknowledge, or a PUBREL.

use crate::bytes::copy_within;

use super::slot::{SLOT_LEN, Slot, State};

/// Where things lie in the buffer. Kept apart from the bytes, so that the session owns no borrow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    /// End of the packets.
    tail: usize,
    /// Where the slot table ends and the reserved bytes begin.
    limit: usize,
    /// Slots in use, freed ones included.
    slots: usize,
    /// Slots before this one are free.
    first: usize,
    /// Slots before this one are not waiting to be sent.
    pub(super) next: usize,
}

pub(super) struct Arena<'b> {
    bytes: &'b mut [u8],
    layout: &'b mut Layout,
}

impl Layout {
    /// An empty arena in `len` bytes, none of them reserved.
    pub(super) fn new(len: usize) -> Self {
        Self {
            limit: len,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == self.slots
    }

    /// Whether there are slots that were not looked at for sending.
    pub(super) fn has_unsent(&self) -> bool {
        self.next < self.slots
    }
}

impl<'b> Arena<'b> {
    pub(super) fn new(bytes: &'b mut [u8], layout: &'b mut Layout) -> Self {
        Self { bytes, layout }
    }

    /// Sets `reserved` bytes aside at the end. Slots move along.
    ///
    /// Returns false, and changes nothing, if the slots and packets do not fit any more.
    pub(super) fn reserve(&mut self, reserved: usize) -> bool {
        self.compact();
        let Some(limit) = self.bytes.len().checked_sub(reserved) else {
            return false;
        };
        let table = self.layout.slots.wrapping_mul(SLOT_LEN);
        let Some(to) = limit
            .checked_sub(table)
            .filter(|to| *to >= self.layout.tail)
        else {
            return false;
        };
        let from = self.layout.limit.wrapping_sub(table);
        if from != to && table != 0 {
            copy_within(self.bytes, from, table, to);
        }
        self.layout.limit = limit;
        true
    }

    /// The reserved bytes.
    pub(super) fn reserved(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.layout.limit..).unwrap_or_default()
    }

    /// The free bytes in which a packet can be written, when one more slot and `keep` further slots are left free.
    pub(super) fn room(&mut self, keep: usize) -> &mut [u8] {
        self.room_and_reserved(keep).0
    }

    /// [`room`](Self::room) together with [`reserved`](Self::reserved).
    pub(super) fn room_and_reserved(&mut self, keep: usize) -> (&mut [u8], &mut [u8]) {
        let table = self
            .layout
            .slots
            .saturating_add(keep)
            .saturating_add(1)
            .saturating_mul(SLOT_LEN);
        let end = self.layout.limit.saturating_sub(table);
        let (front, reserved) = self
            .bytes
            .split_at_mut_checked(self.layout.limit)
            .unwrap_or_default();
        let room = front.get_mut(self.layout.tail..end).unwrap_or_default();
        (room, reserved)
    }

    /// Accepts the first `len` bytes of [`room`](Self::room) as the packet of `slot`.
    pub(super) fn push(&mut self, mut slot: Slot, len: usize) -> bool {
        if self.room(0).len() < len || !self.has_room_for_slot() {
            return false;
        }
        slot.offset = self.layout.tail;
        slot.len = len;
        self.layout.tail = self.layout.tail.wrapping_add(len);
        let index = self.layout.slots;
        self.layout.slots = index.wrapping_add(1);
        self.store(index, slot);
        true
    }

    /// Adds a slot without bytes, if need be after tidying up.
    pub(super) fn push_bare(&mut self, slot: Slot) -> bool {
        self.push(slot, 0) || {
            self.compact();
            self.push(slot, 0)
        }
    }

    fn has_room_for_slot(&self) -> bool {
        let table = self.layout.slots.wrapping_add(1).wrapping_mul(SLOT_LEN);
        self.layout
            .limit
            .checked_sub(table)
            .is_some_and(|end| end >= self.layout.tail)
    }

    /// Indices of the slots that may be in use.
    pub(super) fn indices(&self) -> core::ops::Range<usize> {
        self.layout.first..self.layout.slots
    }

    /// Whether nothing is in the arena.
    pub(super) fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    /// A copy of slot `index`; a free one if there is no such slot.
    #[inline]
    pub(super) fn load(&self, index: usize) -> Slot {
        self.slot_bytes(index)
            .map_or(Slot::FREE, |bytes| Slot::from_bytes(*bytes))
    }

    pub(super) fn store(&mut self, index: usize, slot: Slot) {
        let at = self.slot_at(index);
        if let Some(bytes) = self
            .bytes
            .get_mut(at..)
            .and_then(<[u8]>::first_chunk_mut::<SLOT_LEN>)
        {
            *bytes = slot.to_bytes();
        }
    }

    /// The slot at or behind `from` for which `matches` holds.
    pub(super) fn find(&self, mut matches: impl FnMut(&Slot) -> bool) -> Option<(usize, Slot)> {
        self.indices()
            .map(|index| (index, self.load(index)))
            .find(|(_, slot)| matches(slot))
    }

    /// Gives the slot and its bytes back.
    pub(super) fn free(&mut self, index: usize) {
        self.store(index, Slot::FREE);
        while self.layout.first < self.layout.slots
            && self.load(self.layout.first).state == State::FREE
        {
            self.layout.first = self.layout.first.wrapping_add(1);
        }
        if self.layout.first == self.layout.slots {
            self.layout.tail = 0;
            self.layout.slots = 0;
            self.layout.first = 0;
            self.layout.next = 0;
        }
    }

    /// [`reserved`](Self::reserved) together with the packet of a slot.
    #[cfg(feature = "v5")]
    pub(super) fn reserved_and_packet(&mut self, slot: Slot) -> (&mut [u8], &[u8]) {
        let (front, reserved) = self
            .bytes
            .split_at_mut_checked(self.layout.limit)
            .unwrap_or_default();
        let packet = front
            .get(slot.offset..)
            .and_then(|tail| tail.get(..slot.len));
        (reserved, packet.unwrap_or_default())
    }

    /// The packet of a slot.
    pub(super) fn packet(&self, slot: Slot) -> &[u8] {
        self.bytes
            .get(slot.offset..)
            .and_then(|tail| tail.get(..slot.len))
            .unwrap_or_default()
    }

    /// The packet of a slot, to be changed in place.
    pub(super) fn packet_mut(&mut self, slot: Slot) -> &mut [u8] {
        self.bytes
            .get_mut(slot.offset..)
            .and_then(|tail| tail.get_mut(..slot.len))
            .unwrap_or_default()
    }

    /// Slides packets and slots together. Indices change; [`Layout::next`] follows.
    pub(super) fn compact(&mut self) {
        let mut tail: usize = 0;
        let mut kept: usize = 0;
        let mut next = None;
        for index in self.indices() {
            if index >= self.layout.next && next.is_none() {
                next = Some(kept);
            }
            let mut slot = self.load(index);
            if slot.state == State::FREE {
                continue;
            }
            copy_within(self.bytes, slot.offset, slot.len, tail);
            slot.offset = tail;
            tail = tail.wrapping_add(slot.len);
            self.store(kept, slot);
            kept = kept.wrapping_add(1);
        }
        self.layout.tail = tail;
        self.layout.slots = kept;
        self.layout.first = 0;
        self.layout.next = next.unwrap_or(kept);
    }

    fn slot_at(&self, index: usize) -> usize {
        let table = index.wrapping_add(1).wrapping_mul(SLOT_LEN);
        self.layout.limit.wrapping_sub(table)
    }

    fn slot_bytes(&self, index: usize) -> Option<&[u8; SLOT_LEN]> {
        if index >= self.layout.slots {
            return None;
        }
        self.bytes.get(self.slot_at(index)..)?.first_chunk()
    }
}
