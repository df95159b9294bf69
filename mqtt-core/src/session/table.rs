//! The transmit buffer and its table: packets one behind the other, and a slot for each.
//!
//! ```text
//! bytes: | CONNECT, SUBSCRIBE of the options | packets, oldest first |  room  |
//!        0                                 base                    tail
//! slots: | free | oldest .. newest | free |
//!               first            used
//! ```
//!
//! Freed slots and bytes are reclaimed by sliding the rest together, only when room is needed.

use crate::bytes::move_down;

use super::{
    Working,
    slot::{BYTES_MAX, Len, Slot, State},
};

impl Working<'_> {
    /// The slots that may be in use.
    pub(super) fn live(&mut self) -> &mut [Slot] {
        let range = usize::from(self.state.first)..usize::from(self.state.used);
        self.slots.get_mut(range).unwrap_or_default()
    }

    /// The index of the oldest slot in one of `states`, with the identifier `id`, or with any if that is 0.
    pub(super) fn find(&mut self, id: u16, states: u16) -> Option<usize> {
        let first = usize::from(self.state.first);
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

    /// A copy of the slot; a free one if there is none.
    pub(super) fn slot(&self, index: usize) -> Slot {
        self.slots.get(index).copied().unwrap_or(Slot::FREE)
    }

    pub(super) fn set_state(&mut self, index: usize, state: State) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.state = state;
        }
    }

    /// The packet of a slot.
    pub(super) fn packet(&mut self, slot: &Slot) -> &mut [u8] {
        let at = slot.at as usize;
        let end = at.wrapping_add(slot.len as usize);
        self.bytes.get_mut(at..end).unwrap_or_default()
    }

    /// The free bytes.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let end = self.bytes.len().min(BYTES_MAX);
        let from = self.state.tail as usize;
        self.bytes.get_mut(from..end).unwrap_or_default()
    }

    /// Takes the first `len` bytes of [`room`](Self::room) as the packet of `slot`. False if there is no free slot.
    pub(super) fn push(&mut self, mut slot: Slot, len: usize) -> bool {
        if usize::from(self.state.used) == self.slots.len() {
            self.sweep();
        }
        let Some(free) = self.slots.get_mut(usize::from(self.state.used)) else {
            return false;
        };
        if len != 0 {
            slot.at = self.state.tail;
            slot.len = to_len(len);
            self.state.tail = self.state.tail.wrapping_add(slot.len);
        }
        *free = slot;
        self.state.used = self.state.used.wrapping_add(1);
        true
    }

    /// Whether `keep` slots are free beside one for a new packet.
    pub(super) fn has_free_slot(&mut self, keep: u16) -> bool {
        let used = usize::from(self.state.used).wrapping_add(usize::from(keep));
        used < self.slots.len()
    }

    /// Gives the slot and its bytes back.
    pub(super) fn free(&mut self, index: usize) {
        self.set_state(index, State::FREE);
        let freed = self.live().iter();
        let freed = freed.take_while(|slot| slot.state == State::FREE).count();
        #[allow(clippy::cast_possible_truncation, reason = "at most `used`")]
        let first = self.state.first.wrapping_add(freed as u16);
        self.state.first = first;
        if first == self.state.used {
            self.state.first = 0;
            self.state.used = 0;
            self.state.next = 0;
            self.state.tail = self.state.base;
        }
    }

    /// Slides packets and slots together. Indices change, [`Core::next`](super::Core::next) with them.
    pub(super) fn sweep(&mut self) {
        let base = self.state.base;
        let mut tail = base;
        let mut kept: u16 = 0;
        let mut next = 0;
        for index in self.state.first..self.state.used {
            let mut slot = self.slot(usize::from(index));
            if slot.state == State::FREE {
                continue;
            }
            if slot.at >= base {
                move_down(
                    self.bytes,
                    slot.at as usize,
                    slot.len as usize,
                    tail as usize,
                );
                slot.at = tail;
                tail = tail.wrapping_add(slot.len);
            }
            if let Some(to) = self.slots.get_mut(usize::from(kept)) {
                *to = slot;
            }
            kept = kept.wrapping_add(1);
            if index < self.state.next {
                next = kept;
            }
        }
        self.state.tail = tail;
        self.state.first = 0;
        self.state.used = kept;
        self.state.next = next;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "never above `BYTES_MAX`")]
pub(super) const fn to_len(len: usize) -> Len {
    len as Len
}
