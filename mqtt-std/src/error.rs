//! The whole story of a link that ended.

use std::{error, fmt, io, sync::Arc};

use mqtt_core::{client::LinkEnd, codec::ReasonCode, session::SessionError};

use crate::{ConnectFailure, OptionsError, link::Trace};

/// Why the client stopped although nobody asked it to.
///
/// `Display` is one line that names the broker as `host:port`, and never holds a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The options cannot be used.
    Options(OptionsError),
    /// No link to the broker could be made.
    Connect {
        /// `host:port`.
        broker: String,
        /// What went wrong.
        failure: ConnectFailure,
    },
    /// The broker answered `Connect` with a refusal: a wrong password, for example.
    Refused {
        /// `host:port`.
        broker: String,
        /// The code of `ConnAck`: a return code 1 to 5 on 3.1.1, a reason code from 0x80 on MQTT 5.
        code: ReasonCode,
    },
    /// The broker closed the link without having said anything. Does it speak MQTT, of this version, on this port?
    NoAnswer {
        /// `host:port`.
        broker: String,
    },
    /// The link was up, and ended.
    Lost {
        /// `host:port`.
        broker: String,
        /// How it ended.
        end: LinkEnd,
        /// What the transport reported, if it was the transport.
        failure: Option<ConnectFailure>,
    },
    /// The thread of the blocking client could not be started, or was stopped.
    Thread(Arc<io::Error>),
}

impl Error {
    /// Completes what the core knows with what the transport remembers.
    pub(crate) fn of_link(broker: String, end: LinkEnd, trace: &Trace) -> Self {
        match (end, trace.failure()) {
            (LinkEnd::Connect(_), Some(failure)) => Self::Connect { broker, failure },
            // The core dropped the attempt: nothing was remembered but how far it had come.
            (LinkEnd::Connect(_), None) => Self::Connect {
                broker,
                failure: ConnectFailure::TimedOut(trace.stage()),
            },
            (LinkEnd::Options(error), _) => Self::Options(OptionsError::Session(error)),
            (LinkEnd::Session(SessionError::Refused(code)), _) => Self::Refused { broker, code },
            (_, Some(failure)) if told_at_once(&failure) => Self::Connect { broker, failure },
            (LinkEnd::PeerClosed | LinkEnd::Io, _) if !trace.heard() => Self::NoAnswer { broker },
            (_, failure) => Self::Lost {
                broker,
                end,
                failure,
            },
        }
    }

    /// What the core knows of it; `None` if the core was never asked.
    #[must_use]
    pub fn end(&self) -> Option<LinkEnd> {
        match self {
            Self::Options(OptionsError::Session(error)) => Some(LinkEnd::Options(*error)),
            Self::Options(_) | Self::Thread(_) => None,
            Self::Connect { failure, .. } => Some(LinkEnd::Connect(failure.kind())),
            Self::Refused { code, .. } => Some(LinkEnd::Session(SessionError::Refused(*code))),
            Self::NoAnswer { .. } => Some(LinkEnd::PeerClosed),
            Self::Lost { end, .. } => Some(*end),
        }
    }
}

/// Failures that belong to the handshake although they show only afterwards.
fn told_at_once(failure: &ConnectFailure) -> bool {
    matches!(
        failure,
        ConnectFailure::SpeaksTls
            | ConnectFailure::SpeaksHttp
            | ConnectFailure::ClientCertificate(_)
    )
}

impl From<OptionsError> for Error {
    fn from(error: OptionsError) -> Self {
        Self::Options(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(error) => error.fmt(f),
            Self::Connect { broker, failure } => write!(f, "cannot connect to {broker}: {failure}"),
            Self::Refused { broker, code } => {
                write!(f, "broker {broker} {}", SessionError::Refused(*code))
            }
            Self::NoAnswer { broker } => {
                write!(
                    f,
                    "broker {broker} closed the link without an answer (is it an MQTT port, and without TLS?)"
                )
            }
            Self::Lost {
                broker,
                end: LinkEnd::Session(SessionError::ConnAckTimeout),
                ..
            } => {
                write!(
                    f,
                    "broker {broker} does not answer (is it an MQTT port, and without TLS?)"
                )
            }
            Self::Lost {
                broker,
                failure: Some(failure),
                ..
            } => write!(f, "link to {broker} lost: {failure}"),
            Self::Lost { broker, end, .. } => write!(f, "link to {broker} lost: {end}"),
            Self::Thread(error) => write!(f, "the thread of the client does not run: {error}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Options(error) => error.source(),
            // The failure itself is part of the text.
            Self::Connect { failure, .. }
            | Self::Lost {
                failure: Some(failure),
                ..
            } => failure.source(),
            Self::Thread(error) => Some(&**error),
            Self::Refused { .. } | Self::NoAnswer { .. } | Self::Lost { .. } => None,
        }
    }
}

impl error::Error for ConnectFailure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.io().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::client::ConnectError;

    use super::*;
    use crate::Stage;

    fn told(end: LinkEnd, failure: Option<ConnectFailure>, heard: bool) -> String {
        let trace = Trace::default();
        trace.enter(Stage::Tcp);
        if heard {
            trace.hear();
        }
        if let Some(failure) = failure {
            trace.fail(failure);
        }
        Error::of_link("h:1".to_owned(), end, &trace).to_string()
    }

    #[test]
    fn each_end_has_a_line_of_its_own() {
        let reset = || Some(ConnectFailure::Io(Arc::new(io::Error::other("reset"))));
        let refused = LinkEnd::Session(SessionError::Refused(ReasonCode::NOT_AUTHORIZED));
        let cases = [
            (
                told(
                    LinkEnd::Connect(ConnectError::Refused),
                    Some(ConnectFailure::Refused),
                    false,
                ),
                "cannot connect to h:1: connection refused",
            ),
            (
                told(LinkEnd::Connect(ConnectError::TimedOut), None, false),
                "cannot connect to h:1: timed out during TCP connect",
            ),
            (
                told(
                    LinkEnd::Io,
                    Some(ConnectFailure::ClientCertificate("x".into())),
                    false,
                ),
                "cannot connect to h:1: the broker does not accept our client certificate: x",
            ),
            (
                told(refused, None, true),
                "broker h:1 refused: not authorized",
            ),
            (
                told(LinkEnd::PeerClosed, None, false),
                "broker h:1 closed the link without an answer (is it an MQTT port, and without TLS?)",
            ),
            (
                told(LinkEnd::PeerClosed, reset(), false),
                "broker h:1 closed the link without an answer (is it an MQTT port, and without TLS?)",
            ),
            (
                told(LinkEnd::Session(SessionError::ConnAckTimeout), None, false),
                "broker h:1 does not answer (is it an MQTT port, and without TLS?)",
            ),
            (
                told(LinkEnd::PeerClosed, None, true),
                "link to h:1 lost: server closed the connection",
            ),
            (told(LinkEnd::Io, reset(), true), "link to h:1 lost: reset"),
            (
                told(LinkEnd::Session(SessionError::PingTimeout), None, true),
                "link to h:1 lost: no answer to PINGREQ",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text, expected);
        }
    }
}
