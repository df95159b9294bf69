//! What an update is told, and what it tells.

use core::fmt;

use crate::Instant;

use super::{ChunkRefusal, Package, RecordBytes, UpdateMessage};

/// What an [`Update`](super::Update) needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UpdateOptions<'a> {
    /// Which package. Firmware and software are two updates, with a store each.
    pub package: Package,
    /// The title of what is installed.
    pub title: &'a str,
    /// The version of what is installed.
    pub version: &'a str,
    /// Bytes of a chunk. Default: 1,024. See [`chunk_len_for`].
    pub chunk_len: u32,
    /// How long to wait for a chunk, in milliseconds. Default: 10,000.
    pub chunk_timeout_ms: u32,
    /// How often to ask for one chunk, or for the attributes, before giving up. Default: 12.
    pub attempts: u8,
    /// After so many bytes the record is replaced: less is lost by a restart, more is written. Default: 16,384.
    pub save_every: u32,
    /// Install what was verified at once. Default: true. Otherwise [`Update::install`](super::Update::install) does.
    pub automatic: bool,
}

impl<'a> UpdateOptions<'a> {
    /// The defaults, for `package` of which this title and version are installed.
    #[must_use]
    pub const fn new(package: Package, title: &'a str, version: &'a str) -> Self {
        Self {
            package,
            title,
            version,
            chunk_len: 1_024,
            chunk_timeout_ms: 10_000,
            attempts: 12,
            save_every: 16_384,
            automatic: true,
        }
    }
}

/// The largest chunk whose message fits into a receive buffer of so many bytes.
///
/// Larger ones can be received in pieces, with [`Oversize::Stream`](crate::session::Oversize::Stream): up to 65,000
/// bytes, the server's largest message. Large chunks are faster on slow links: each costs a round trip.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "65,000 at most")]
pub const fn chunk_len_for(receive_buffer_len: usize) -> u32 {
    // Fixed header, topic with both numbers, packet identifier, and the properties of MQTT 5.
    let len = receive_buffer_len.saturating_sub(72);
    if len > 65_000 { 65_000 } else { len as u32 }
}

/// Where an update stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UpdatePhase {
    /// Nothing is offered that is not installed.
    Idle,
    /// What is offered lies at a URL: the application sees to it, see [`Offer`](super::Offer).
    Elsewhere,
    /// The image arrives.
    Downloading,
    /// It is being checked.
    Verifying,
    /// It is there and right, and waits for [`Update::install`](super::Update::install).
    Verified,
    /// It is being installed.
    Installing,
    /// It is installed. Firmware: time to restart. Anything else: call [`Update::installed`](super::Update::installed).
    Installed,
    /// The update ended. It begins anew when the package is assigned again, or another one.
    Failed(UpdateError),
}

/// Why an update failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UpdateError {
    /// What is offered is incomplete or malformed.
    Offer,
    /// The image is larger than the store.
    TooLarge,
    /// This program cannot compute the checksum.
    Algorithm,
    /// A chunk did not come, or never as it should be. The update goes on after the next reconnect.
    NoChunk,
    /// The server refused.
    Refused(ChunkRefusal),
    /// The image that is in the store is not the one that was offered. It will not be installed.
    Checksum,
    /// The store failed.
    Store,
    /// After the restart the old firmware still runs.
    NotStarted,
}

impl UpdateError {
    /// A text for people, as it is reported to the server.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Offer => "offer is incomplete or malformed",
            Self::TooLarge => "image is too large",
            Self::Algorithm => "checksum algorithm is not known",
            Self::NoChunk => "chunk did not arrive",
            Self::Refused(ChunkRefusal::NotFound) => "server: no package assigned",
            Self::Refused(ChunkRefusal::PayloadTooLarge) => "server: chunk too large",
            Self::Refused(ChunkRefusal::Failure) => "server: failure",
            Self::Checksum => "checksum is wrong",
            Self::Store => "store failed",
            Self::NotStarted => "new image did not start",
        }
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for UpdateError {}

/// What the caller is to do next.
#[derive(Debug)]
pub enum Action<'a> {
    /// Publish this, then call [`Update::done`](super::Update::done). If there is no room, try again later.
    Publish(UpdateMessage<'a>),
    /// Replace the record in the store, then call [`Update::done`](super::Update::done).
    Save(RecordBytes),
    /// Flush the store, then call [`Update::done`](super::Update::done).
    Flush,
    /// Read this from the store, and give it to [`Update::check`](super::Update::check).
    Read {
        /// Where.
        offset: u32,
        /// How much, 128 bytes at most.
        len: u32,
    },
    /// Activate the image, then call [`Update::done`](super::Update::done).
    Activate {
        /// Its length.
        len: u32,
    },
    /// Nothing before this instant, if there is one, or before something has come in.
    Wait(Option<Instant>),
}

/// What was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Chunk {
    /// No chunk, or one of the other package.
    NotOurs,
    /// A chunk that is not waited for: a duplicate, a late one, or one of the wrong length. To be dropped.
    Unwanted,
    /// The chunk that was asked for: give it to [`Update::piece`](super::Update::piece), whole or in pieces, and call [`Update::end_chunk`](super::Update::end_chunk).
    Wanted,
}
