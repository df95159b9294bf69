//! What a user can see of the link.

use core::fmt;

use crate::session::{Counters, ProtocolError, PublishError, SessionError};

use super::ConnectError;

/// Where the link stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LinkState {
    /// The runner has not been run yet.
    #[default]
    Idle,
    /// A link is being made, or CONNACK is awaited.
    Connecting,
    /// In use.
    Connected {
        /// The server has kept the session of an earlier connection.
        session_present: bool,
    },
    /// Between two links.
    Waiting {
        /// Length of the pause in milliseconds.
        retry_in_ms: u32,
        /// Why the last link ended, or could not be made.
        end: LinkEnd,
    },
    /// The runner has ended.
    Stopped(LinkEnd),
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Connecting => f.write_str("connecting"),
            Self::Connected { .. } => f.write_str("connected"),
            Self::Waiting { retry_in_ms, end } => {
                write!(f, "{end}; next attempt in {retry_in_ms} ms")
            }
            Self::Stopped(end) => write!(f, "stopped: {end}"),
        }
    }
}

/// Why a link ended, or could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)] // From 1: none is 0, so that the state of a client is all zero at first and takes no flash.
pub enum LinkEnd {
    /// The user wanted it.
    Disconnected = 1,
    /// The server closed the link without a word.
    PeerClosed,
    /// The transport failed.
    Io,
    /// The link could not be made.
    Connect(ConnectError),
    /// The session ended it.
    Session(SessionError),
    /// The options do not make a CONNECT, or ask for more room than there is.
    Options(PublishError),
}

impl LinkEnd {
    /// Whether trying again with the same options is bound to fail.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Disconnected | Self::Options(_) => true,
            Self::Session(error) => error.is_final(),
            Self::PeerClosed | Self::Io | Self::Connect(_) => false,
        }
    }

    /// Whether the server closed it or answered what nobody understands, perhaps because of what was sent.
    pub(super) const fn is_by_peer(self) -> bool {
        matches!(
            self,
            Self::PeerClosed
                | Self::Session(
                    SessionError::ServerDisconnect(_)
                        | SessionError::Protocol(ProtocolError::WrongAcknowledgement)
                )
        )
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("disconnected"),
            Self::PeerClosed => f.write_str("server closed the connection"),
            Self::Io => f.write_str("connection lost"),
            Self::Connect(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Options(error) => write!(f, "options: {error}"),
        }
    }
}

impl core::error::Error for LinkEnd {}

/// What a field engineer wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Report {
    /// What the session has counted.
    pub session: Counters,
    /// Attempts to make a link.
    pub attempts: u32,
    /// Messages larger than the receive buffer whose payload was skipped.
    pub skipped: u32,
    /// Messages acknowledged unseen, because the inbox was dropped.
    pub discarded: u32,
    /// Why the last link ended, or could not be made.
    pub last_end: Option<LinkEnd>,
}
