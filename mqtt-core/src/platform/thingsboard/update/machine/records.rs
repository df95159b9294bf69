//! What the store remembers over a restart.

use crate::platform::update::Checksum;

use super::{
    super::record::{Record, RecordBytes, Stage},
    Ask, State, Update,
};

impl<C: Checksum> Update<'_, C> {
    /// Goes back to what a record says, since what was done after it is not known: after a restart, or when the store was
    /// left in the middle of something.
    pub fn restore(&mut self, record: &[u8]) {
        self.incoming = None;
        self.chunk = Ask::No;
        self.target = None;
        self.state = State::Idle;
        self.ask_attributes();
        let record = Record::decode(record).filter(|record| record.package == self.options.package);
        let Some(record) = record else {
            return;
        };
        self.target = Some(record.target);
        let into_block = record.received.checked_rem(self.block_len).unwrap_or(0);
        self.received = record.received.saturating_sub(into_block);
        self.saved = self.received;
        self.state = State::Restored(record.stage);
    }

    /// The record that is to be saved.
    pub(super) fn unsaved(&self) -> Option<RecordBytes> {
        let stage = match self.state {
            State::Forgetting => return Some(RecordBytes::NONE),
            State::Downloading { begun } => {
                let since = self.received.saturating_sub(self.saved);
                if begun && since < self.options.save_every {
                    return None;
                }
                Stage::Downloading
            }
            State::Verified { saved: false } => Stage::Verified,
            State::Activated { saved: false } => Stage::Activated,
            State::Failed { saved: false, .. } => Stage::Failed,
            _ => return None,
        };
        let record = Record {
            package: self.options.package,
            stage,
            target: self.target?,
            received: self.received,
        };
        Some(record.encode())
    }

    pub(super) fn record_saved(&mut self) {
        self.saved = self.received;
        match &mut self.state {
            State::Forgetting => self.state = State::Idle,
            State::Downloading { begun } => *begun = true,
            State::Verified { saved }
            | State::Activated { saved }
            | State::Failed { saved, .. } => {
                *saved = true;
            }
            _ => {}
        }
    }
}
