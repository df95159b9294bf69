use mqtt_core::{Instant, codec::Publish};

use crate::job::JobSession;

/// Nothing.
#[derive(Debug)]
pub struct Companion;

impl Companion {
    /// Nothing.
    #[inline(always)]
    pub const fn new() -> Option<Self> {
        Some(Self)
    }

    /// The link is in use.
    #[inline(always)]
    pub const fn connected(&mut self) {}

    /// Does what is due.
    #[inline(always)]
    pub const fn upkeep(&mut self, _: &mut JobSession, _: Instant) {}

    /// Takes a message.
    #[inline(always)]
    pub const fn take(&mut self, _: &mut JobSession, _: &Publish<'_>, _: Instant) {}
}
