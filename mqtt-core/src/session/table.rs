//! The transmit buffer and its table: packets one behind the other, and a slot for each.
//!
//! ```text
//! bytes: | CONNECT, SUBSCRIBE of the options | packets, oldest first |  room  |
//!        0                                 base                    tail
//! slots: | SUBSCRIBE | free | oldest .. newest | free |
//!        0           1    first            used
//! ```
//!
//! Freed slots and bytes are reclaimed by sliding the rest together, only when room is needed.

use crate::bytes::move_down;

use super::{
    FIRST_SLOT, Session,
    outbound::HANDSHAKE_SLOTS,
    slot::{BYTES_MAX, Len, Slot, State},
};

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// The slots that may be in use.
    pub(super) fn live(&mut self) -> &mut [Slot] {
        let range = usize::from(self.core.first)..usize::from(self.core.used);
        self.slots.as_mut().get_mut(range).unwrap_or_default()
    }

    /// The index of the oldest slot in one of `states`, with the identifier `id`, or with any if that is 0.
    pub(super) fn find(&mut self, id: u16, states: u16) -> Option<usize> {
        let first = usize::from(self.core.first);
        self.live()
            .iter()
            .position(|slot| slot.state.is_in(states) && (id == 0 || slot.id == id))
            .map(|index| first.wrapping_add(index))
    }

    /// How many slots are in one of `states`.
    pub(super) fn count(&mut self, states: u16) -> u16 {
        let mut count: u16 = 0;
        for slot in self.live() {
            count = count.wrapping_add(u16::from(slot.state.is_in(states)));
        }
        count
    }

    /// The slot; one that is of no account if there is none.
    #[inline(never)]
    pub(super) fn slot(&mut self, index: usize) -> &mut Slot {
        match self.slots.as_mut().get_mut(index) {
            Some(slot) => slot,
            None => &mut self.nobody,
        }
    }

    /// The packet of a slot.
    #[inline(never)]
    pub(super) fn packet(&mut self, index: usize) -> &mut [u8] {
        let slot = self.slot(index);
        let at = slot.at as usize;
        let end = at.wrapping_add(slot.len as usize);
        self.buffer.as_mut().get_mut(at..end).unwrap_or_default()
    }

    /// The free bytes.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let end = self.buffer.as_mut().len().min(BYTES_MAX);
        let from = self.core.tail as usize;
        self.buffer.as_mut().get_mut(from..end).unwrap_or_default()
    }

    /// Takes the first `len` bytes of [`room`](Self::room) as the packet of `slot`. False if there is no free slot.
    pub(super) fn push(&mut self, mut slot: Slot, len: usize) -> bool {
        if usize::from(self.core.used) == self.slots.as_mut().len() {
            self.sweep();
        }
        let Some(free) = self.slots.as_mut().get_mut(usize::from(self.core.used)) else {
            return false;
        };
        if len != 0 {
            slot.at = self.core.tail;
            slot.len = to_len(len);
            self.core.tail = self.core.tail.wrapping_add(slot.len);
        }
        free.become_copy_of(&slot);
        self.core.used = self.core.used.wrapping_add(1);
        true
    }

    /// Takes note of what the server began, if that leaves the slots that the next connection needs.
    pub(super) fn push_inbound(&mut self, slot: Slot) -> bool {
        if !self.has_free_slot(HANDSHAKE_SLOTS) {
            self.sweep();
        }
        self.has_free_slot(HANDSHAKE_SLOTS) && self.push(slot, 0)
    }

    /// Whether `keep` slots are free beside one for a new packet.
    pub(super) fn has_free_slot(&mut self, keep: u16) -> bool {
        let used = usize::from(self.core.used).wrapping_add(usize::from(keep));
        used < self.slots.as_mut().len()
    }

    /// Gives the slot and its bytes back.
    pub(super) fn free(&mut self, index: usize) {
        self.slot(index).state = State::FREE;
        let freed = self.live().iter();
        let freed = freed.take_while(|slot| slot.state == State::FREE).count();
        #[allow(clippy::cast_possible_truncation, reason = "at most `used`")]
        let first = self.core.first.wrapping_add(freed as u16);
        self.core.first = first;
        if self.core.is_empty() {
            self.restart_table();
        }
    }

    /// Makes room at the front of an empty table.
    #[inline(never)]
    pub(super) fn restart_table(&mut self) {
        self.core.first = FIRST_SLOT;
        self.core.used = FIRST_SLOT;
        self.core.next = FIRST_SLOT;
        self.core.tail = self.core.base;
    }

    /// Slides packets and slots together. Indices change, [`Core::next`](super::Core::next) with them.
    pub(super) fn sweep(&mut self) {
        let base = self.core.base;
        let mut tail = base;
        let mut kept = FIRST_SLOT;
        let mut next = self.core.next.min(FIRST_SLOT);
        // The first slot stays where it is.
        let first = self.core.first.max(FIRST_SLOT);
        for index in usize::from(first)..usize::from(self.core.used) {
            let slots = self.slots.as_mut();
            let Some((before, slot)) = slots.split_at_mut_checked(index) else {
                break;
            };
            let Some(slot) = slot.first_mut().filter(|slot| slot.state != State::FREE) else {
                continue;
            };
            if slot.at >= base {
                let (from, len) = (slot.at as usize, slot.len as usize);
                move_down(self.buffer.as_mut(), from, len, tail as usize);
                slot.at = tail;
                tail = tail.wrapping_add(slot.len);
            }
            // Absent if the slot is in its place already.
            if let Some(to) = before.get_mut(usize::from(kept)) {
                to.become_copy_of(slot);
            }
            kept = kept.wrapping_add(1);
            if index < usize::from(self.core.next) {
                next = kept;
            }
        }
        self.core.tail = tail;
        self.core.first = self.core.first.min(FIRST_SLOT);
        self.core.used = kept;
        self.core.next = next;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "never above `BYTES_MAX`")]
pub(super) const fn to_len(len: usize) -> Len {
    len as Len
}
