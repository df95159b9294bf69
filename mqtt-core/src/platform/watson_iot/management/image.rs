//! How far a firmware action got, and the record of it that outlives a restart.

use crate::{
    codec::Writer,
    platform::json::{JsonStr, RawJson},
};

use super::{BadRecord, Firmware, FirmwareState, UpdateStatus, request::FirmwareNotify};

/// Why the details of an image were not taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DetailsError {
    Malformed,
    /// Another image is being downloaded or installed.
    Busy,
    NoRoom,
}

/// Length of the record without its texts.
pub(super) const HEADER: usize = 20;

const MAGIC: [u8; 2] = *b"W1";
const OBSERVED: u8 = 1;
/// In the order in which their texts lie in the record.
const DETAILS: [&str; 4] = ["version", "name", "uri", "verifier"];

/// State and details, with the memory for the record.
///
/// The record: `W1`, state, status, both as last reported, flags, a zero, the hash of the last action, four lengths,
/// then the texts. Numbers are little-endian.
#[derive(Debug)]
pub(super) struct Image<'a> {
    record: &'a mut [u8],
    lengths: [u16; DETAILS.len()],
    pub(super) progress: Progress,
    /// What the server was told last.
    reported: Progress,
    observed: bool,
    /// Hash of the action that was begun last; 0 for none.
    last_action: u32,
    /// Whether the record has to be saved.
    pub(super) changed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: FirmwareState,
    pub(super) status: UpdateStatus,
}

impl<'a> Image<'a> {
    pub(super) fn new(record: &'a mut [u8]) -> Self {
        Self {
            record,
            lengths: [0; DETAILS.len()],
            progress: Progress::default(),
            reported: Progress::default(),
            observed: false,
            last_action: 0,
            changed: false,
        }
    }

    /// Takes over what [`save`](Self::save) gave.
    pub(super) fn restore(&mut self, saved: &[u8]) -> Result<(), BadRecord> {
        let mut room = Writer::new(self.record);
        room.bytes(saved).map_err(|_| BadRecord)?;
        self.adopt(saved.len())
    }

    /// The memory for the record, no more than `len` bytes from now on; to be filled before it is
    /// [adopted](Self::adopt).
    pub(super) fn record(&mut self, len: usize) -> &mut [u8] {
        let record = core::mem::take(&mut self.record);
        let len = record.len().min(len);
        self.record = record.get_mut(..len).unwrap_or_default();
        self.record
    }

    /// Takes over the record of `len` bytes that lies in the memory for it. A bad one leaves everything as in the
    /// beginning.
    pub(super) fn adopt(&mut self, len: usize) -> Result<(), BadRecord> {
        let header = self
            .record
            .get(..len)
            .and_then(Header::read)
            .ok_or(BadRecord);
        self.lengths = [0; DETAILS.len()];
        self.changed = false;
        let header = header?;
        self.lengths = header.lengths;
        self.progress = header.progress;
        self.reported = header.reported;
        self.observed = header.observed;
        self.last_action = header.last_action;
        Ok(())
    }

    /// The record, or nothing if there is no memory for it.
    pub(super) fn save(&mut self) -> Option<&[u8]> {
        let header = Header {
            lengths: self.lengths,
            progress: self.progress,
            reported: self.reported,
            observed: self.observed,
            last_action: self.last_action,
        };
        let mut room = Writer::new(self.record);
        room.bytes(&header.write()).ok()?;
        self.record
            .get(..total(&self.lengths).saturating_add(HEADER))
    }

    pub(super) fn details(&self) -> Firmware<'_> {
        let [version, name, uri, verifier] = [0, 1, 2, 3].map(|index| self.text(index));
        Firmware {
            version,
            name,
            uri,
            verifier,
            state: self.progress.state,
            update_status: self.progress.status,
        }
    }

    /// Takes over the value of `mgmt.firmware` that the server sent. It is the description of the image that is to
    /// come, so what was downloaded before counts no longer.
    pub(super) fn set_details(&mut self, value: RawJson<'_>) -> Result<(), DetailsError> {
        let texts = texts(value).ok_or(DetailsError::Malformed)?;
        if self.is_busy() {
            return if self.has(&texts) {
                Ok(())
            } else {
                Err(DetailsError::Busy)
            };
        }
        let lengths = self.measure(&texts).ok_or(DetailsError::NoRoom)?;
        let mut rest = self.record.get_mut(HEADER..).unwrap_or_default();
        for text in texts.iter().flatten() {
            for character in text.chars() {
                let Some((to, after)) = rest.split_at_mut_checked(character.len_utf8()) else {
                    return Err(DetailsError::NoRoom);
                };
                character.encode_utf8(to);
                rest = after;
            }
        }
        self.lengths = lengths;
        self.set(FirmwareState::Idle, UpdateStatus::Success);
        Ok(())
    }

    pub(super) fn set(&mut self, state: FirmwareState, status: UpdateStatus) {
        self.progress = Progress { state, status };
        self.changed = true;
    }

    /// Notes that the server observes the attribute, or no longer does. It was just told the state, if it does.
    pub(super) fn set_observed(&mut self, observed: bool) {
        self.observed = observed;
        self.reported = self.progress;
        self.changed = true;
    }

    /// Remembers an action by its kind and the server's name for it.
    pub(super) fn remember(&mut self, action: u32) {
        self.last_action = action;
        self.changed = true;
    }

    pub(super) fn was_last(&self, action: u32) -> bool {
        self.last_action == action
    }

    pub(super) const fn is_observed(&self) -> bool {
        self.observed
    }

    /// What the server has to be told.
    pub(super) fn unreported(&self) -> Option<FirmwareNotify> {
        if !self.observed || self.progress == self.reported {
            return None;
        }
        // What is idle ended somehow, and the status says how.
        let Progress { state, status } = self.progress;
        let tell_status = state == FirmwareState::Idle || status != self.reported.status;
        Some(FirmwareNotify {
            state,
            update_status: tell_status.then_some(status),
        })
    }

    /// The server was told.
    pub(super) fn reported(&mut self, told: FirmwareNotify) {
        self.reported.state = told.state;
        if let Some(status) = told.update_status {
            self.reported.status = status;
        }
        self.changed = true;
    }

    /// Whether there is something that could be downloaded.
    pub(super) fn has_uri(&self) -> bool {
        is_uri(self.text(2))
    }

    fn is_busy(&self) -> bool {
        self.progress.state == FirmwareState::Downloading
            || self.progress.status == UpdateStatus::InProgress
    }

    fn has(&self, texts: &Texts<'_>) -> bool {
        texts.iter().enumerate().all(|(index, text)| match text {
            Some(text) => *text == *self.text(index),
            None => self.text(index).is_empty(),
        })
    }

    /// The lengths of the texts, if they fit.
    fn measure(&self, texts: &Texts<'_>) -> Option<[u16; DETAILS.len()]> {
        let mut lengths = [0; DETAILS.len()];
        for (length, text) in lengths.iter_mut().zip(texts) {
            let chars = text.iter().flat_map(|text| text.chars());
            let len = chars.fold(0_usize, |len, character| {
                len.saturating_add(character.len_utf8())
            });
            *length = u16::try_from(len).ok()?;
        }
        let room = self.record.len().checked_sub(HEADER)?;
        (total(&lengths) <= room).then_some(lengths)
    }

    fn text(&self, index: usize) -> &str {
        let before = self.lengths.get(..index).unwrap_or_default();
        let len = self.lengths.get(index).copied().unwrap_or_default();
        let start = total(before).saturating_add(HEADER);
        let end = start.saturating_add(usize::from(len));
        let bytes = self.record.get(start..end).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Version, name, URI and verifier, as far as they are given.
type Texts<'m> = [Option<JsonStr<'m>>; DETAILS.len()];

/// `None` if the value is no object or one of them is no string.
fn texts(value: RawJson<'_>) -> Option<Texts<'_>> {
    let mut texts = [None; DETAILS.len()];
    value.members()?;
    for (text, name) in texts.iter_mut().zip(DETAILS) {
        if let Some(value) = value.member(name).filter(|value| !value.is_null()) {
            *text = Some(value.string()?);
        }
    }
    Some(texts)
}

/// An absolute URI, as far as its form shows (RFC 3986 §4.3): a scheme, a colon, and printable characters.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(is_scheme)
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

/// The record without its texts.
struct Header {
    lengths: [u16; DETAILS.len()],
    progress: Progress,
    reported: Progress,
    observed: bool,
    last_action: u32,
}

impl Header {
    /// Reads the header of a record, and checks that the texts behind it are as it says.
    fn read(record: &[u8]) -> Option<Self> {
        let (head, texts) = record.split_first_chunk::<HEADER>()?;
        let &[
            w,
            one,
            state,
            status,
            reported_state,
            reported_status,
            flags,
            0,
            a0,
            a1,
            a2,
            a3,
            l0,
            l1,
            l2,
            l3,
            l4,
            l5,
            l6,
            l7,
        ] = head
        else {
            return None;
        };
        let lengths = [[l0, l1], [l2, l3], [l4, l5], [l6, l7]].map(u16::from_le_bytes);
        if [w, one] != MAGIC || flags > OBSERVED || !are_texts(texts, &lengths) {
            return None;
        }
        Some(Self {
            lengths,
            progress: Progress::read(state, status)?,
            reported: Progress::read(reported_state, reported_status)?,
            observed: flags == OBSERVED,
            last_action: u32::from_le_bytes([a0, a1, a2, a3]),
        })
    }

    fn write(&self) -> [u8; HEADER] {
        let [w, one] = MAGIC;
        let [a0, a1, a2, a3] = self.last_action.to_le_bytes();
        let [[l0, l1], [l2, l3], [l4, l5], [l6, l7]] = self.lengths.map(u16::to_le_bytes);
        [
            w,
            one,
            self.progress.state as u8,
            self.progress.status as u8,
            self.reported.state as u8,
            self.reported.status as u8,
            u8::from(self.observed),
            0,
            a0,
            a1,
            a2,
            a3,
            l0,
            l1,
            l2,
            l3,
            l4,
            l5,
            l6,
            l7,
        ]
    }
}

impl Progress {
    fn read(state: u8, status: u8) -> Option<Self> {
        Some(Self {
            state: match state {
                0 => FirmwareState::Idle,
                1 => FirmwareState::Downloading,
                2 => FirmwareState::Downloaded,
                _ => return None,
            },
            status: match status {
                0 => UpdateStatus::Success,
                1 => UpdateStatus::InProgress,
                2 => UpdateStatus::OutOfMemory,
                3 => UpdateStatus::ConnectionLost,
                4 => UpdateStatus::VerificationFailed,
                5 => UpdateStatus::UnsupportedImage,
                6 => UpdateStatus::InvalidUri,
                _ => return None,
            },
        })
    }
}

fn total(lengths: &[u16]) -> usize {
    lengths
        .iter()
        .fold(0, |sum: usize, len| sum.saturating_add(usize::from(*len)))
}

/// Whether `bytes` are texts of these lengths, and nothing else.
fn are_texts(bytes: &[u8], lengths: &[u16]) -> bool {
    let mut rest = bytes;
    for len in lengths {
        let Some((text, after)) = rest.split_at_checked(usize::from(*len)) else {
            return false;
        };
        if core::str::from_utf8(text).is_err() {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}
