//! What happens to a publication that finds no room.

use core::fmt;

use super::{Working, event::failure, slot::Slot};

/// What happens to a publication that finds no room in the transmit buffer.
///
/// A policy that is not named in a program takes no room in it.
#[derive(Clone, Copy)]
pub struct OutboxPolicy(&'static Policy);

struct Policy {
    name: &'static str,
    waits: bool,
    /// Gives something up to make room; false if there is nothing to give up.
    make_room: Option<fn(&mut Working<'_>) -> bool>,
    /// Is told of each message that was accepted.
    accepted: Option<fn(&mut Working<'_>)>,
}

#[allow(non_upper_case_globals, reason = "they are the variants of a choice")]
impl OutboxPolicy {
    /// The asynchronous client waits for room; the session answers [`Full`](super::PublishError::Full).
    pub const Wait: Self = Self(&Policy {
        name: "Wait",
        waits: true,
        make_room: None,
        accepted: None,
    });
    /// It is refused with [`Full`](super::PublishError::Full).
    pub const Reject: Self = Self(&Policy {
        name: "Reject",
        waits: false,
        make_room: None,
        accepted: None,
    });
    /// The oldest messages that were never sent make room; they end as [`Dropped`](super::DeliveryError::Dropped).
    pub const DropOldest: Self = Self(&Policy {
        name: "DropOldest",
        waits: false,
        make_room: Some(drop_oldest),
        accepted: None,
    });
    /// A message never sent with the same topic is replaced by a newer one, full or not. Room for both is needed for
    /// a moment: when there is none, the oldest messages go as with `DropOldest`.
    pub const KeepLatest: Self = Self(&Policy {
        name: "KeepLatest",
        waits: false,
        make_room: Some(drop_oldest),
        accepted: Some(replace_same_topic),
    });

    #[cfg(feature = "client")]
    pub(crate) fn waits(self) -> bool {
        self.0.waits
    }

    pub(super) fn make_room(self, session: &mut Working<'_>) -> bool {
        self.0.make_room.is_some_and(|make_room| make_room(session))
    }

    pub(super) fn accepted(self, session: &mut Working<'_>) {
        if let Some(accepted) = self.0.accepted {
            accepted(session);
        }
    }
}

impl Default for OutboxPolicy {
    fn default() -> Self {
        Self::Wait
    }
}

impl PartialEq for OutboxPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for OutboxPolicy {}

impl fmt::Debug for OutboxPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for OutboxPolicy {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.0.name);
    }
}

impl Working<'_> {
    /// Whether nothing of this message is on its way.
    fn is_droppable(&self, slot: &Slot) -> bool {
        slot.is_unsent_publish() && self.state.partial != slot.id
    }

    fn drop_slot(&mut self, index: Option<usize>) -> bool {
        if let Some(index) = index {
            self.finish(index, failure::DROPPED, 0);
        }
        index.is_some()
    }
}

/// Gives up the oldest message that was never sent.
fn drop_oldest(session: &mut Working<'_>) -> bool {
    let used = usize::from(session.state.used);
    let oldest = (0..used).find(|index| session.is_droppable(&session.slot(*index)));
    session.drop_slot(oldest)
}

/// Gives up a message that was never sent and has the same topic as the newest.
fn replace_same_topic(session: &mut Working<'_>) {
    let Some(newest) = usize::from(session.state.used).checked_sub(1) else {
        return;
    };
    let latest = session.slot(newest);
    let older = (0..newest).find(|index| {
        let slot = session.slot(*index);
        session.is_droppable(&slot) && session.topic(&slot) == session.topic(&latest)
    });
    session.drop_slot(older);
}

impl Working<'_> {
    /// The topic of an encoded PUBLISH.
    fn topic(&self, slot: &Slot) -> Option<&[u8]> {
        topic_of(self.bytes.get(slot.at as usize..)?)
    }
}

/// The topic of the encoded PUBLISH at the front of `bytes`.
pub(super) fn topic_of(bytes: &[u8]) -> Option<&[u8]> {
    // The remaining length goes on while the high bit is set.
    let length = bytes.get(1..)?;
    let more = length.iter().take_while(|byte| **byte >= 0x80).count();
    let body = length.get(more.wrapping_add(1)..)?;
    let (len, rest) = body.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}
