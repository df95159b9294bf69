//! A question to the server, and when it is asked again.

use crate::Instant;

/// A question to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    No,
    /// To be asked, not before the instant if there is one.
    Later(Option<Instant>),
    Waiting {
        id: u32,
        until: Instant,
    },
}

impl Ask {
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Later(at) => at,
            Self::Waiting { until, .. } => Some(until),
            Self::No => None,
        }
    }

    pub(super) fn is_due(self, now: Instant) -> bool {
        matches!(self, Self::Later(at) if at.is_none_or(|at| now.has_reached(at)))
    }

    pub(super) fn is_expired(self, now: Instant) -> bool {
        matches!(self, Self::Waiting { until, .. } if now.has_reached(until))
    }
}
