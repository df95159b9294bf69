//! What is remembered of an update over a restart.

use crate::{
    bytes::fingerprint,
    platform::update::{Algorithm, Digest, MAX_RECORD_LEN},
};

use super::{Image, Package};

/// An image, and the name that it was offered under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Of title and version. That two are taken for one does no harm: the checksum decides.
    pub(super) name: u32,
    pub(super) image: Image,
}

/// What an update was about when the record was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Stage {
    Downloading = 1,
    /// All of it is there and was right.
    Verified = 2,
    /// It was activated: what the store holds now is not known.
    Activated = 3,
    /// It is not to be tried again by itself.
    Failed = 4,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) package: Package,
    pub(super) stage: Stage,
    pub(super) target: Target,
    pub(super) received: u32,
}

const LAYOUT: u8 = 1;

/// Layout, package, stage, algorithm, size, received, name, checksum; and the fingerprint of all that.
const HEAD_LEN: usize = 16;
const CHECK_LEN: usize = 4;
const RECORD_LEN: usize = HEAD_LEN + Digest::MAX_LEN + CHECK_LEN;
const _: () = assert!(RECORD_LEN <= MAX_RECORD_LEN);

/// A record as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordBytes {
    bytes: [u8; RECORD_LEN],
    len: usize,
}

impl RecordBytes {
    /// No update is under way.
    pub(super) const NONE: Self = Self {
        bytes: [0; RECORD_LEN],
        len: 0,
    };

    /// The bytes to be kept. Empty: nothing is to be remembered.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len = self.len.wrapping_add(1);
            }
        }
    }
}

impl Record {
    pub(super) fn encode(&self) -> RecordBytes {
        let mut bytes = RecordBytes::NONE;
        let image = &self.target.image;
        bytes.push(&[
            LAYOUT,
            self.package as u8,
            self.stage as u8,
            image.algorithm as u8,
        ]);
        for number in [image.size, self.received, self.target.name] {
            bytes.push(&number.to_le_bytes());
        }
        bytes.push(image.checksum.as_bytes());
        let check = fingerprint(0, bytes.as_bytes());
        bytes.push(&check.to_le_bytes());
        bytes
    }

    /// `None` if it is none of ours, or torn.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
        if *check != fingerprint(0, content).to_le_bytes() {
            return None;
        }
        let (&[LAYOUT, package, stage, algorithm], rest) = content.split_first_chunk()? else {
            return None;
        };
        let (size, rest) = rest.split_first_chunk()?;
        let (received, rest) = rest.split_first_chunk()?;
        let (name, checksum) = rest.split_first_chunk()?;
        let all = Algorithm::ALL;
        let record = Self {
            package: [Package::Firmware, Package::Software]
                .into_iter()
                .find(|known| *known as u8 == package)?,
            stage: [
                Stage::Downloading,
                Stage::Verified,
                Stage::Activated,
                Stage::Failed,
            ]
            .into_iter()
            .find(|known| *known as u8 == stage)?,
            target: Target {
                name: u32::from_le_bytes(*name),
                image: Image {
                    size: u32::from_le_bytes(*size),
                    algorithm: all.into_iter().find(|known| *known as u8 == algorithm)?,
                    checksum: Digest::new(checksum)?,
                },
            },
            received: u32::from_le_bytes(*received),
        };
        (record.received <= record.target.image.size).then_some(record)
    }
}
