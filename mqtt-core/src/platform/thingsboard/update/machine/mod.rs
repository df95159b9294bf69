//! The update as a state machine: no socket, no clock, no storage.
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | the state, the link, and what is to be done next |
//! | `ask.rs` | a question to the server, and when it is asked again |
//! | `offer.rs` | what is assigned, and what follows from it |
//! | `chunks.rs` | asks for chunks, and takes them |
//! | `check.rs` | reads the image back |
//! | `reports.rs` | what the server is told |
//! | `records.rs` | what the store remembers |

mod ask;
mod check;
mod chunks;
mod offer;
mod records;
mod reports;

use crate::{
    Instant,
    platform::{
        thingsboard::{ATTRIBUTE_TIMEOUT_MS, AttributeKeys, Device},
        update::{AnyChecksum, Checksum},
    },
};

use super::{
    Action, ChunkName, UpdateError, UpdateMessage, UpdateOptions, UpdatePhase,
    message::Message,
    package::chunk_request,
    record::{Stage, Target},
};

use ask::Ask;
use chunks::{FIRST_ID, MIN_CHUNK_LEN};
use reports::{REPORT_CURRENT, REPORT_DOWNLOADED, REPORT_FAILED, REPORT_UPDATING};

pub(super) use check::READ_LEN;

/// The update of one package.
///
/// In: the link, attributes, chunks, the time. Out: [`Action`]s. The caller has the socket, the clock and the store;
/// [`Updater`](super::Updater) is such a caller.
#[derive(Debug)]
pub struct Update<'a, C = AnyChecksum> {
    device: Device,
    options: UpdateOptions<'a>,
    capacity: u32,
    block_len: u32,
    state: State<C>,
    target: Option<Target>,
    received: u32,
    /// How much of it the record in the store says.
    saved: u32,
    /// Reports that are still to be sent, a bit for each, in the order of sending.
    reports: u8,
    is_connected: bool,
    attributes: Ask,
    chunk: Ask,
    /// How often the present chunk was asked for.
    attempts: u8,
    /// How often the attributes were asked for.
    attribute_attempts: u8,
    chunk_len: u32,
    next_id: u32,
    /// The chunk that is being received: where its next byte belongs, and where it ends.
    incoming: Option<(u32, u32)>,
    install: bool,
}

#[derive(Debug)]
enum State<C> {
    Idle,
    Elsewhere,
    /// The record says so; what is offered now is not known yet.
    Restored(Stage),
    /// `begun` once the record of it is saved.
    Downloading {
        begun: bool,
    },
    Flushing,
    Verifying {
        at: u32,
        checksum: C,
    },
    Verified {
        saved: bool,
    },
    Activating,
    Activated {
        saved: bool,
    },
    Failed {
        error: UpdateError,
        saved: bool,
    },
    /// The record is to be removed.
    Forgetting,
}

impl<'a, C: Checksum> Update<'a, C> {
    /// An update into a store of this capacity and block length, with the record that the store has.
    #[must_use]
    pub fn new(
        device: Device,
        options: UpdateOptions<'a>,
        capacity: u32,
        block_len: u32,
        record: &[u8],
    ) -> Self {
        let mut update = Self {
            device,
            options,
            capacity,
            block_len: block_len.max(1),
            state: State::Idle,
            target: None,
            received: 0,
            saved: 0,
            reports: REPORT_CURRENT,
            is_connected: false,
            attributes: Ask::No,
            chunk: Ask::No,
            attempts: 0,
            attribute_attempts: 0,
            chunk_len: options.chunk_len.clamp(MIN_CHUNK_LEN, 65_000),
            next_id: FIRST_ID | options.package as u32,
            incoming: None,
            install: false,
        };
        update.restore(record);
        update
    }

    /// The link is in use: CONNACK has come and the subscriptions of the options are on their way. To be called for each
    /// link.
    pub fn connected(&mut self) {
        self.link_lost();
        self.is_connected = true;
        self.attribute_attempts = 0;
        self.ask_attributes();
    }

    /// The link is gone.
    pub fn link_lost(&mut self) {
        self.is_connected = false;
        self.attributes = Ask::No;
        self.chunk = Ask::No;
        self.incoming = None;
        self.attempts = 0;
    }

    /// Lets a verified image be installed, if that does not happen by itself. What has waited is checked once more before.
    pub fn install(&mut self) {
        self.install = true;
        if matches!(self.state, State::Verified { .. }) {
            self.begin_check();
        }
    }

    /// What was to be done with the store failed. The update ends.
    pub fn store_failed(&mut self) {
        match &mut self.state {
            // Only the record of it could not be saved. What was activated stays so.
            State::Activated { saved } => *saved = true,
            _ => self.fail(UpdateError::Store),
        }
    }

    /// What the last [`Action`] said is done.
    pub fn done(&mut self, action: &Action<'_>, now: Instant) {
        match action {
            Action::Publish(message) => self.published(message, now),
            Action::Save(_) => self.record_saved(),
            Action::Flush => self.begin_check(),
            Action::Activate { .. } => self.state = State::Activated { saved: false },
            Action::Read { .. } | Action::Wait(_) => {}
        }
    }

    /// What is to be done next. Says the same again until it is done.
    pub fn next(&mut self, now: Instant) -> Action<'a> {
        self.expire(now);
        if let Some(message) = self.message(now) {
            return Action::Publish(message);
        }
        if let Some(record) = self.unsaved() {
            return Action::Save(record);
        }
        let size = self.target.map_or(0, |target| target.image.size);
        match self.state {
            State::Flushing => Action::Flush,
            State::Verifying { at, .. } => Action::Read {
                offset: at,
                len: size.saturating_sub(at).min(READ_LEN),
            },
            State::Verified { .. } if self.options.automatic || self.install => {
                self.install = false;
                self.reports |= REPORT_UPDATING;
                self.state = State::Activating;
                self.next(now)
            }
            State::Activating => Action::Activate { len: size },
            _ => Action::Wait(self.next_deadline()),
        }
    }

    /// When to call [`next`](Self::next) at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.is_connected {
            return None;
        }
        // Chunks are not asked for before the attributes are known.
        if self.attributes == Ask::No {
            self.chunk.deadline()
        } else {
            self.attributes.deadline()
        }
    }

    /// Where the update stands.
    #[must_use]
    pub fn phase(&self) -> UpdatePhase {
        match self.state {
            State::Idle | State::Restored(_) | State::Forgetting => UpdatePhase::Idle,
            State::Elsewhere => UpdatePhase::Elsewhere,
            State::Downloading { .. } => UpdatePhase::Downloading,
            State::Flushing | State::Verifying { .. } => UpdatePhase::Verifying,
            State::Verified { .. } => UpdatePhase::Verified,
            State::Activating => UpdatePhase::Installing,
            // Not before the last report is on its way, if there is one.
            State::Activated { saved } if !saved || self.has_reports() => UpdatePhase::Installing,
            State::Activated { .. } => UpdatePhase::Installed,
            State::Failed { error, .. } => UpdatePhase::Failed(error),
        }
    }

    /// How much of the image is there, and how large it is, in bytes; `None` if there is no image.
    #[must_use]
    pub fn progress(&self) -> Option<(u32, u32)> {
        match self.state {
            State::Idle | State::Restored(_) | State::Elsewhere | State::Forgetting => None,
            _ => self.target.map(|target| (self.received, target.image.size)),
        }
    }

    /// The device whose messages it sends and reads.
    pub(super) const fn device(&self) -> Device {
        self.device
    }

    fn fail(&mut self, error: UpdateError) {
        self.chunk = Ask::No;
        self.incoming = None;
        self.reports |= REPORT_FAILED;
        if error == UpdateError::Store {
            self.received = 0;
        }
        self.state = State::Failed {
            error,
            // What may go on by itself keeps its record, and a store that failed is left alone.
            saved: matches!(error, UpdateError::NoChunk | UpdateError::Store)
                || self.target.is_none(),
        };
    }

    /// Gives up waiting where it is time to, and sees whether the image is complete.
    fn expire(&mut self, now: Instant) {
        if self.attributes.is_expired(now) {
            self.attributes_unanswered();
        }
        if self.chunk.is_expired(now) && self.incoming.is_none() {
            if self.attempts < self.options.attempts {
                self.chunk = Ask::Later(None);
            } else {
                self.fail(UpdateError::NoChunk);
            }
        }
        if matches!(self.state, State::Downloading { begun: true })
            && self.incoming.is_none()
            && self.wanted().is_none()
        {
            self.chunk = Ask::No;
            self.reports |= REPORT_DOWNLOADED;
            self.state = State::Flushing;
        }
    }

    /// What is to be published now.
    fn message(&self, now: Instant) -> Option<UpdateMessage<'a>> {
        if !self.is_connected {
            return None;
        }
        if self.reports != 0 {
            return Some(Message::Report(self.report()).into());
        }
        if self.attributes.is_due(now) {
            let keys = AttributeKeys::shared(self.options.package.attribute_keys());
            let request = self.device.attribute_request(self.next_id, keys);
            return Some(Message::Attributes(request.at_most_once()).into());
        }
        // What is assigned is to be known first, and the record to be there.
        if self.attributes != Ask::No
            || !self.chunk.is_due(now)
            || !matches!(self.state, State::Downloading { begun: true })
        {
            return None;
        }
        let (index, _) = self.wanted()?;
        let name = ChunkName {
            package: self.options.package,
            request_id: self.next_id,
            index,
        };
        Some(Message::Chunk(chunk_request(name, self.chunk_len)).into())
    }

    fn published(&mut self, message: &UpdateMessage<'_>, now: Instant) {
        match message.0 {
            Message::Report(_) => self.reports &= self.reports.wrapping_sub(1),
            Message::Attributes(_) => {
                self.attribute_attempts = self.attribute_attempts.saturating_add(1);
                self.attributes = Ask::Waiting {
                    id: self.next_id,
                    until: now.plus(ATTRIBUTE_TIMEOUT_MS),
                };
                self.new_id();
            }
            Message::Chunk(_) => {
                self.attempts = self.attempts.saturating_add(1);
                self.chunk = Ask::Waiting {
                    id: self.next_id,
                    until: now.plus(self.options.chunk_timeout_ms),
                };
            }
        }
    }
}
