//! The state of the link, told as events.

use std::sync::{Arc, Mutex, PoisonError};

use mqtt_core::codec::Fault;
use mqtt_std::{Client, ConnectFailure, Error, LinkEnd, LinkState, SessionError};
use serde_json::{Value, json};

use crate::command::Version;
use crate::event::emit;

/// Tells each link once that it is up, and once that it is down.
pub(crate) struct Reporter {
    client: Client,
    seen: Mutex<Seen>,
}

/// What matters of the options.
#[derive(Clone, Copy, Default)]
pub(crate) struct Run {
    pub(crate) version: Version,
    pub(crate) clean: bool,
    pub(crate) streams: bool,
}

#[derive(Default)]
struct Seen {
    run: Run,
    running: bool,
    /// Connections of this client that have been told.
    connections: u16,
    /// The end of this link has been told.
    ended: bool,
}

impl Reporter {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            seen: Mutex::default(),
        }
    }

    /// A run of the client is about to begin.
    pub(crate) fn begins(&self, run: Run) {
        self.with(|seen| {
            *seen = Seen {
                run,
                running: true,
                connections: self.client.report().session.connections,
                ..Seen::default()
            }
        });
    }

    /// The run is over.
    pub(crate) fn ends(&self, result: Result<(), Error>) {
        let foreign = result.as_ref().is_err_and(speaks_something_else);
        if !foreign {
            self.observe();
        }
        self.with(|seen| {
            seen.running = false;
            if let Err(error) = result
                && !std::mem::replace(&mut seen.ended, true)
            {
                let by = if foreign { "protocol error" } else { "io" };
                emit(&json!({"event": "closed", "by": by, "reason": error.to_string()}));
            }
        });
    }

    /// Tells the state of the link if that is news. Called before any other event, so that all
    /// are in order.
    pub(crate) fn observe(&self) {
        self.with(|seen| match self.client.state() {
            LinkState::Connected { session_present } => {
                self.tell_connected(seen, Some(session_present));
            }
            LinkState::Waiting { end, .. } | LinkState::Stopped(end) => {
                // A link that lived for an instant; whether there was a session is known if
                // there could be none.
                self.tell_connected(seen, seen.run.clean.then_some(false));
                if !std::mem::replace(&mut seen.ended, true) {
                    emit(&closed(end));
                }
            }
            _ => {}
        });
    }

    fn tell_connected(&self, seen: &mut Seen, session_present: Option<bool>) {
        let connections = self.client.report().session.connections;
        if seen.connections != connections {
            seen.connections = connections;
            seen.ended = false;
            emit(&json!({
                "event": "connected",
                "session_present": session_present,
                "version": seen.run.version.name(),
            }));
        }
    }

    /// Tells every change, for as long as the program runs.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut state = self.client.state();
        loop {
            state = self.client.state_change(state).await;
            // The end of a run is told by `ends`, after what came before it.
            if !matches!(state, LinkState::Stopped(_)) {
                self.observe();
            }
        }
    }

    /// Waits while the client is stopped.
    pub(crate) async fn next_run(&self) {
        while let stopped @ LinkState::Stopped(_) = self.client.state() {
            self.client.state_change(stopped).await;
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.with(|seen| seen.running)
    }

    pub(crate) fn streams(&self) -> bool {
        self.with(|seen| seen.run.streams)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Seen) -> R) -> R {
        f(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The transport knows the first bytes of other protocols, before they are taken for MQTT.
const fn speaks_something_else(error: &Error) -> bool {
    let failure = match error {
        Error::Connect { failure, .. } => Some(failure),
        Error::Lost { failure, .. } => failure.as_ref(),
        _ => None,
    };
    matches!(
        failure,
        Some(ConnectFailure::SpeaksTls | ConnectFailure::SpeaksHttp)
    )
}

/// The event for the end of a link.
fn closed(end: LinkEnd) -> Value {
    if let LinkEnd::Session(SessionError::Refused(code)) = end {
        return json!({"event": "refused", "code": code.value()});
    }
    let mut event = json!({"event": "closed", "by": by(end), "reason": end.to_string()});
    if let Some(code) = code(end) {
        event["code"] = code.into();
    }
    event
}

fn by(end: LinkEnd) -> &'static str {
    let LinkEnd::Session(error) = end else {
        return match end {
            LinkEnd::Disconnected => "disconnect",
            LinkEnd::PeerClosed => "peer",
            _ => "io",
        };
    };
    match (error, error.fault()) {
        (_, Some(Fault::Malformed)) => "malformed",
        (_, Some(Fault::ProtocolError)) => "protocol error",
        (SessionError::ServerDisconnect(_), _) => "server",
        (
            SessionError::ConnAckTimeout
            | SessionError::PingTimeout
            | SessionError::AckTimeout
            | SessionError::WriteTimeout,
            _,
        ) => "timeout",
        _ => "protocol error",
    }
}

/// The server's reason, or the one that we gave.
fn code(end: LinkEnd) -> Option<u8> {
    match end {
        LinkEnd::Session(SessionError::ServerDisconnect(code)) => Some(code.value()),
        LinkEnd::Session(error) => Some(error.reason_code().value()).filter(|code| *code >= 0x80),
        _ => None,
    }
}
