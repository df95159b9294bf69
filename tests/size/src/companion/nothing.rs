use mqtt_core::{codec::Publish, session::Event};

use crate::job::JobSession;

/// Nothing.
#[derive(Debug)]
pub struct Companion;

impl Companion {
    /// Nothing.
    #[inline]
    pub const fn new() -> Option<Self> {
        Some(Self)
    }

    /// Sees what has happened.
    #[inline]
    pub const fn see(&mut self, _: &Event<'_>) {}

    /// Does what is due.
    #[inline]
    pub const fn upkeep(&mut self, _: &mut JobSession) {}

    /// Takes a message.
    #[inline]
    pub const fn take(&mut self, _: &mut JobSession, _: &Publish<'_>) {}
}
