//! What happens to a publication that finds no room.

use super::{Session, event::failure, slot::Slot};

/// What happens to a publication that finds no room in the transmit buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OutboxPolicy {
    /// The asynchronous client waits for room; the session answers [`Full`](super::PublishError::Full).
    #[default]
    Wait,
    /// It is refused with [`Full`](super::PublishError::Full).
    Reject,
    /// The oldest messages that were never sent make room; they end as [`Dropped`](super::DeliveryError::Dropped).
    DropOldest,
    /// A message never sent with the same topic is replaced by a newer one, full or not. Room for both is needed for
    /// a moment: when there is none, the oldest messages go as with `DropOldest`.
    KeepLatest,
}

type MakeRoom<B, S> = fn(&mut Session<B, S>) -> bool;

/// What a policy does. A program that never names one does not contain it.
pub(super) struct Outbox<B, S> {
    /// Gives something up to make room; false if there is nothing to give up.
    pub(super) make_room: Option<MakeRoom<B, S>>,
    /// Is told of each message that was accepted.
    pub(super) accepted: Option<fn(&mut Session<B, S>)>,
}

impl<B, S> Outbox<B, S> {
    pub(super) const WAIT: Self = Self {
        make_room: None,
        accepted: None,
    };
}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Sets what happens to publications that find no room. Before the first call it is [`OutboxPolicy::Wait`].
    pub fn set_outbox_policy(&mut self, policy: OutboxPolicy) {
        self.core.outbox_policy = policy;
        self.outbox = match policy {
            OutboxPolicy::Wait | OutboxPolicy::Reject => Outbox::WAIT,
            OutboxPolicy::DropOldest => Outbox {
                make_room: Some(Self::drop_oldest),
                accepted: None,
            },
            OutboxPolicy::KeepLatest => Outbox {
                make_room: Some(Self::drop_oldest),
                accepted: Some(Self::replace_same_topic),
            },
        };
    }

    /// What happens to publications that find no room.
    #[must_use]
    pub fn outbox_policy(&self) -> OutboxPolicy {
        self.core.outbox_policy
    }

    /// Gives up the oldest message that was never sent.
    fn drop_oldest(&mut self) -> bool {
        let used = usize::from(self.core.used);
        let oldest = (0..used).find(|index| self.is_droppable(*index));
        self.drop_message(oldest)
    }

    /// Gives up a message that was never sent and has the same topic as the newest.
    fn replace_same_topic(&mut self) {
        let Some(newest) = usize::from(self.core.used).checked_sub(1) else {
            return;
        };
        let at = self.slot(newest).at as usize;
        let older = (0..newest).find(|index| {
            self.is_droppable(*index) && {
                let older = self.slot(*index).at as usize;
                let bytes = &*self.buffer.as_mut();
                topic_at(bytes, older) == topic_at(bytes, at)
            }
        });
        self.drop_message(older);
    }

    /// Whether nothing of this message is on its way.
    fn is_droppable(&mut self, index: usize) -> bool {
        let partial = self.core.partial;
        let slot = self.slot(index);
        slot.is_unsent_publish() && partial != slot.id
    }

    fn drop_message(&mut self, index: Option<usize>) -> bool {
        if let Some(index) = index {
            self.finish(index, failure::DROPPED, 0);
        }
        index.is_some()
    }
}

fn topic_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    topic_of(bytes.get(at..)?)
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
