//! What is remembered of a link beside the small error codes of the core.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use crate::{ConnectFailure, Stage};

/// Shared by the connector, both halves of the link, and the runner that tells the story afterwards.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    state: Mutex<State>,
    heard: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    failure: Option<ConnectFailure>,
}

impl Trace {
    /// Forgets the link before.
    pub(super) fn begin(&self) {
        self.heard.store(false, Relaxed);
        self.with(|state| *state = State::default());
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.with(|state| state.stage = stage);
    }

    /// Remembers `failure`, unless there is one already: the first is the cause.
    pub(crate) fn fail(&self, failure: ConnectFailure) {
        self.with(|state| {
            state.failure.get_or_insert(failure);
        });
    }

    /// Remembers an error of a link that was up, and gives the core its kind.
    pub(super) fn fail_io(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.fail(sort(error));
        kind.into()
    }

    /// Notes that the peer has sent something.
    pub(crate) fn hear(&self) {
        self.heard.store(true, Relaxed);
    }

    /// Whether the peer of the present link has sent anything.
    pub(crate) fn heard(&self) -> bool {
        self.heard.load(Relaxed)
    }

    /// How far the present link has come.
    pub(crate) fn stage(&self) -> Stage {
        self.with(|state| state.stage)
    }

    /// What went wrong with the present link, if it was the transport.
    pub(crate) fn failure(&self) -> Option<ConnectFailure> {
        self.with(|state| state.failure.clone())
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn sort(error: io::Error) -> ConnectFailure {
    // TLS 1.3: the refusal of a client certificate arrives after the handshake, as an alert.
    #[cfg(feature = "tls")]
    let error = match super::tls::refusal(error) {
        Ok(failure) => return failure,
        Err(error) => error,
    };
    ConnectFailure::Io(Arc::new(error))
}
