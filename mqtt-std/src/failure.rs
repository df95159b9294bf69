//! Why no link to the broker could be made, in the words a user can act on.

use std::{fmt, io, sync::Arc};

use mqtt_core::client::ConnectError;

/// Why no link to the broker could be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host name is unknown, or no name server answered.
    NameResolution(Arc<io::Error>),
    /// The host answered that nothing listens on the port.
    Refused,
    /// No route to the host or network.
    Unreachable(Arc<io::Error>),
    /// No answer in time; what was waited for.
    TimedOut(Stage),
    /// The peer closed the link, or broke it, at this stage.
    Closed(Stage),
    /// The certificate of the broker is signed by nobody we trust: a private CA needs
    /// [`Options::ca_file`](crate::Options::ca_file).
    UnknownAuthority,
    /// The certificate of the broker has expired. Or the clock of this machine is wrong.
    Expired,
    /// The certificate of the broker is not valid yet. Or the clock of this machine is wrong.
    NotYetValid,
    /// The certificate of the broker is for other names than the one we connect to.
    WrongName {
        /// The name that we asked for.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The certificate of the broker cannot be accepted for another reason.
    BadCertificate(String),
    /// The broker asks for a client certificate, or does not accept ours.
    ClientCertificate(String),
    /// What listens on the port does not speak TLS.
    NotTls,
    /// The port speaks TLS, and we do not: use `mqtts` or `wss`.
    SpeaksTls,
    /// The port speaks HTTP, and we do not: use `ws` or `wss`.
    SpeaksHttp,
    /// The TLS handshake failed for another reason.
    Tls(String),
    /// The HTTP server answered the WebSocket handshake with this status instead of 101: a wrong path, or a missing
    /// or refused `Authorization` header.
    HttpStatus(u16),
    /// What listens on the port is no WebSocket server, or not one for MQTT.
    NotWebSocket(String),
    /// The WebSocket server does not offer the subprotocol `mqtt` (MQTT 3.1.1 §6.0).
    NoSubprotocol,
    /// Anything else that the operating system reports.
    Io(Arc<io::Error>),
}

/// What comes before the first byte of MQTT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Stage {
    /// The host name is looked up.
    #[default]
    NameResolution,
    /// The TCP connection is made.
    Tcp,
    /// TLS is negotiated.
    Tls,
    /// HTTP is upgraded to WebSocket.
    WebSocket,
}

impl ConnectFailure {
    /// Sorts what the operating system reports while a TCP connection is made.
    pub(crate) fn from_tcp(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut(Stage::Tcp),
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkDown => Self::Unreachable(Arc::new(error)),
            _ => Self::Io(Arc::new(error)),
        }
    }

    /// Sorts what the operating system reports while something is negotiated over TCP.
    #[cfg(any(feature = "tls", feature = "websocket"))]
    pub(crate) fn from_stage(stage: Stage, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Closed(stage),
            io::ErrorKind::TimedOut => Self::TimedOut(stage),
            _ => Self::Io(Arc::new(error)),
        }
    }

    /// What the core is told of it.
    pub(crate) fn kind(&self) -> ConnectError {
        match self {
            Self::NameResolution(_) => ConnectError::NameResolution,
            Self::Refused => ConnectError::Refused,
            Self::Unreachable(_) => ConnectError::Unreachable,
            Self::TimedOut(_) => ConnectError::TimedOut,
            Self::UnknownAuthority
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongName { .. }
            | Self::BadCertificate(_)
            | Self::ClientCertificate(_) => ConnectError::Certificate,
            Self::NotTls | Self::SpeaksTls | Self::Tls(_) | Self::Closed(Stage::Tls) => {
                ConnectError::Tls
            }
            Self::HttpStatus(_)
            | Self::NotWebSocket(_)
            | Self::NoSubprotocol
            | Self::SpeaksHttp
            | Self::Closed(Stage::WebSocket) => ConnectError::WebSocket,
            Self::Closed(_) | Self::Io(_) => ConnectError::Other,
        }
    }

    /// The underlying error of the operating system, where there is one.
    pub(crate) fn io(&self) -> Option<&io::Error> {
        match self {
            Self::NameResolution(error) | Self::Unreachable(error) | Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameResolution(_) => f.write_str("host name not found"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable(_) => f.write_str("host unreachable"),
            Self::TimedOut(stage) => write!(f, "timed out during {stage}"),
            Self::Closed(Stage::Tls) => {
                f.write_str("the peer closed the link during the TLS handshake (does this port speak TLS?)")
            }
            Self::Closed(Stage::WebSocket) => {
                f.write_str("the peer closed the link during the WebSocket handshake (does this port speak HTTP?)")
            }
            Self::Closed(stage) => write!(f, "the peer closed the link during {stage}"),
            Self::UnknownAuthority => {
                f.write_str("the broker's certificate is signed by an unknown authority (a private CA must be added)")
            }
            Self::Expired => f.write_str("the broker's certificate has expired (or the local clock is wrong)"),
            Self::NotYetValid => f.write_str("the broker's certificate is not valid yet (or the local clock is wrong)"),
            Self::WrongName { expected, presented } => wrong_name(f, expected, presented),
            Self::BadCertificate(detail) => write!(f, "the broker's certificate is not acceptable: {detail}"),
            Self::ClientCertificate(detail) => write!(f, "the broker does not accept our client certificate: {detail}"),
            Self::NotTls => f.write_str("the port does not speak TLS"),
            Self::SpeaksTls => f.write_str("the port speaks TLS (use mqtts:// or wss://)"),
            Self::SpeaksHttp => f.write_str("the port speaks HTTP (use ws:// or wss://)"),
            Self::Tls(detail) => write!(f, "TLS handshake failed: {detail}"),
            Self::HttpStatus(status) => write!(f, "the WebSocket handshake was answered with HTTP status {status}"),
            Self::NotWebSocket(detail) => write!(f, "not a WebSocket endpoint: {detail}"),
            Self::NoSubprotocol => f.write_str("the WebSocket endpoint does not offer the subprotocol mqtt"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

fn wrong_name(f: &mut fmt::Formatter<'_>, expected: &str, presented: &[String]) -> fmt::Result {
    write!(f, "the broker's certificate is not for {expected}")?;
    if presented.is_empty() {
        return Ok(());
    }
    write!(f, " but for {}", presented.join(", "))
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameResolution => "name resolution",
            Self::Tcp => "TCP connect",
            Self::Tls => "the TLS handshake",
            Self::WebSocket => "the WebSocket handshake",
        })
    }
}
