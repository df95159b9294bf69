//! The update as a state machine: no socket, no clock, no storage.

use crate::{
    Instant,
    bytes::fingerprint,
    codec::TopicName,
    platform::{
        ApplicationMessage,
        thingsboard::{
            ATTRIBUTE_TIMEOUT_MS, AttributeKeys, AttributeResponse, AttributeUpdate, Device,
            Uplink, topics::MAX_ID,
        },
        update::{AnyChecksum, Checksum},
    },
};

use super::{
    Action, Chunk, ChunkName, ChunkRefusal, Offer, PackageReport, PackageState, Source,
    UpdateError, UpdateMessage, UpdateOptions, UpdatePhase,
    message::Message,
    package::chunk_request,
    record::{Record, RecordBytes, Stage, Target},
};

/// Bytes that are read back at once to be checked.
pub(super) const READ_LEN: u32 = 128;

/// The smallest chunk that is tried when the server finds larger ones too large.
const MIN_CHUNK_LEN: u32 = 64;

/// The requests of the application count from 1; these begin where it will not come soon, firmware and software in turns.
const FIRST_ID: u32 = 0x7000_0000;

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

/// A question to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    No,
    /// To be asked, not before the instant if there is one.
    Later(Option<Instant>),
    Waiting {
        id: u32,
        until: Instant,
    },
}

const REPORT_CURRENT: u8 = 1;
const REPORT_DOWNLOADING: u8 = 2;
const REPORT_DOWNLOADED: u8 = 4;
const REPORT_VERIFIED: u8 = 8;
const REPORT_UPDATING: u8 = 16;
const REPORT_UPDATED: u8 = 32;
const REPORT_FAILED: u8 = 64;

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

    /// Takes a change or deletion of shared attributes. They may hold other things too, so the application looks at them
    /// as well.
    pub fn attribute_update(&mut self, update: &AttributeUpdate<'_>) {
        let package = self.options.package;
        match update {
            AttributeUpdate::Deleted(keys) => {
                // Stale keys of an old offer are deleted too when a new one is made, in any order.
                let mut names = package.attribute_keys().iter().take(2);
                if names.any(|key| keys.contains(key)) {
                    self.withdrawn();
                }
            }
            AttributeUpdate::Changed(attributes) => match Offer::read(package, *attributes) {
                Ok(None) => {}
                Ok(Some(offer)) => self.offered(&offer, true),
                // Only some of them have changed.
                Err(_) => {
                    self.attribute_attempts = 0;
                    self.ask_attributes();
                }
            },
        }
    }

    /// Takes the answer to a request of attributes; false if the request was not ours.
    pub fn attribute_response(&mut self, response: &AttributeResponse<'_>) -> bool {
        if !matches!(self.attributes, Ask::Waiting { id, .. } if id == response.id) {
            return false;
        }
        self.attributes = Ask::No;
        self.attribute_attempts = 0;
        let offer = response
            .shared
            .map_or(Ok(None), |shared| Offer::read(self.options.package, shared));
        match offer {
            Ok(Some(offer)) => self.offered(&offer, false),
            Ok(None) => self.withdrawn(),
            Err(_) => {
                self.target = None;
                self.fail(UpdateError::Offer);
            }
        }
        true
    }

    /// A message of `len` bytes has come: whether it is the chunk that is waited for.
    pub fn begin_chunk(&mut self, topic: TopicName<'_>, len: u32, now: Instant) -> Chunk {
        self.begin_chunk_of(topic.as_bytes(), len, now)
    }

    pub(super) fn begin_chunk_of(&mut self, topic: &[u8], len: u32, now: Instant) -> Chunk {
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

    /// Takes bytes of the image as they were read back.
    pub fn check(&mut self, bytes: &[u8]) {
        let State::Verifying { at, checksum } = &mut self.state else {
            return;
        };
        checksum.update(bytes);
        *at = at.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let Some(target) = self.target.filter(|target| *at >= target.image.size) else {
            return;
        };
        let State::Verifying { checksum, .. } =
            core::mem::replace(&mut self.state, State::Verified { saved: false })
        else {
            return;
        };
        if checksum.finish() == target.image.checksum {
            self.reports |= REPORT_VERIFIED;
        } else {
            self.fail(UpdateError::Checksum);
        }
    }

    /// Lets a verified image be installed, if that does not happen by itself. What has waited is checked once more before.
    pub fn install(&mut self) {
        self.install = true;
        if matches!(self.state, State::Verified { .. }) {
            self.begin_check();
        }
    }

    /// The activated image is in use without a restart: as software may be. Reports `UPDATED`; the title and version of
    /// what is installed now are those given here.
    pub fn installed(&mut self, title: &'a str, version: &'a str) {
        if matches!(self.state, State::Activated { .. }) {
            self.options.title = title;
            self.options.version = version;
            self.updated();
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

    fn has_reports(&self) -> bool {
        self.is_connected && self.reports != 0
    }

    fn ask_attributes(&mut self) {
        if self.is_connected {
            self.attributes = Ask::Later(None);
        }
    }

    fn offered(&mut self, offer: &Offer<'_>, is_new: bool) {
        if offer.title == *self.options.title && offer.version == *self.options.version {
            self.updated();
            return;
        }
        let Source::Chunks(image) = offer.source else {
            self.target = None;
            self.state = State::Elsewhere;
            return;
        };
        let title = fingerprint(0, offer.title.raw());
        let target = Target {
            name: fingerprint(title, offer.version.raw()),
            image,
        };
        if self.target != Some(target) {
            self.target = Some(target);
            self.begin(0);
            return;
        }
        match self.state {
            State::Downloading { .. } => self.go_on(),
            // Nothing was wrong with what is there.
            State::Restored(Stage::Downloading)
            | State::Failed {
                error: UpdateError::NoChunk,
                ..
            } => self.begin(self.received),
            State::Restored(Stage::Verified) => {
                self.received = image.size;
                self.begin_check();
            }
            State::Restored(Stage::Activated) => self.fail(UpdateError::NotStarted),
            State::Restored(Stage::Failed) | State::Failed { .. } if is_new => self.begin(0),
            State::Idle | State::Elsewhere | State::Forgetting => self.begin(0),
            _ => {}
        }
    }

    /// Begins to fetch the target, with what is there of it already.
    fn begin(&mut self, received: u32) {
        let Some(Target { image, .. }) = self.target else {
            return;
        };
        self.received = received;
        self.reports &= REPORT_CURRENT;
        self.incoming = None;
        self.chunk = Ask::No;
        if image.size > self.capacity {
            self.fail(UpdateError::TooLarge);
        } else if C::begin(image.algorithm).is_none() {
            self.fail(UpdateError::Algorithm);
        } else {
            self.reports |= REPORT_DOWNLOADING;
            self.state = State::Downloading { begun: false };
            self.new_id();
            self.go_on();
            self.attempts = 0;
        }
    }

    /// Asks for the next chunk if that is not done.
    fn go_on(&mut self) {
        if self.chunk == Ask::No {
            self.chunk = Ask::Later(None);
        }
    }

    /// The package is no longer assigned.
    fn withdrawn(&mut self) {
        self.chunk = Ask::No;
        self.incoming = None;
        match self.state {
            // What is activated cannot be taken back.
            State::Idle | State::Forgetting | State::Activated { .. } => {}
            State::Elsewhere => self.state = State::Idle,
            _ => {
                self.target = None;
                self.reports &= REPORT_CURRENT;
                self.state = State::Forgetting;
            }
        }
    }

    /// What is offered is installed.
    fn updated(&mut self) {
        self.chunk = Ask::No;
        self.incoming = None;
        if self.target.take().is_some() || !matches!(self.state, State::Idle) {
            self.state = State::Forgetting;
            self.reports = REPORT_UPDATED;
        }
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

    /// A chunk that came is not what was asked for. The first time it is asked for again at once.
    fn reject_chunk(&mut self, is_empty: bool, now: Instant) {
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

    fn new_id(&mut self) {
        self.next_id = self.next_id.wrapping_add(2) & MAX_ID | FIRST_ID;
    }

    /// The chunk to ask for: its index and length. `None` if nothing is missing.
    fn wanted(&self) -> Option<(u32, u32)> {
        let size = self.target?.image.size;
        if !matches!(self.state, State::Downloading { .. }) || self.received >= size {
            return None;
        }
        let index = self.received.checked_div(self.chunk_len)?;
        let rest = size.saturating_sub(index.saturating_mul(self.chunk_len));
        Some((index, rest.min(self.chunk_len)))
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

    fn attributes_unanswered(&mut self) {
        self.attributes = Ask::No;
        if self.attribute_attempts < self.options.attempts {
            self.attributes = Ask::Later(None);
        } else if matches!(self.state, State::Downloading { .. }) {
            self.fail(UpdateError::NoChunk);
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

    /// The first of the reports.
    fn report(&self) -> Uplink<'static, PackageReport<'a>> {
        let installed = Some((self.options.title, self.options.version));
        let first = self.reports & self.reports.wrapping_neg();
        let (installed, state, error) = match first {
            REPORT_CURRENT => (installed, None, None),
            REPORT_DOWNLOADING => (None, Some(PackageState::Downloading), None),
            REPORT_DOWNLOADED => (None, Some(PackageState::Downloaded), None),
            REPORT_VERIFIED => (None, Some(PackageState::Verified), None),
            REPORT_UPDATING => (None, Some(PackageState::Updating), None),
            REPORT_UPDATED => (installed, Some(PackageState::Updated), None),
            _ => (None, Some(PackageState::Failed), self.error_text()),
        };
        self.device.package_report(PackageReport {
            package: self.options.package,
            installed,
            state,
            error,
        })
    }

    fn error_text(&self) -> Option<&'static str> {
        match self.state {
            State::Failed { error, .. } => Some(error.text()),
            _ => None,
        }
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

    /// The record that is to be saved.
    fn unsaved(&self) -> Option<RecordBytes> {
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

    fn record_saved(&mut self) {
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

    /// Begins to read the image back.
    fn begin_check(&mut self) {
        match self
            .target
            .and_then(|target| C::begin(target.image.algorithm))
        {
            Some(checksum) => self.state = State::Verifying { at: 0, checksum },
            None => self.fail(UpdateError::Algorithm),
        }
    }
}

impl Ask {
    const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Later(at) => at,
            Self::Waiting { until, .. } => Some(until),
            Self::No => None,
        }
    }

    fn is_due(self, now: Instant) -> bool {
        matches!(self, Self::Later(at) if at.is_none_or(|at| now.has_reached(at)))
    }

    fn is_expired(self, now: Instant) -> bool {
        matches!(self, Self::Waiting { until, .. } if now.has_reached(until))
    }
}
