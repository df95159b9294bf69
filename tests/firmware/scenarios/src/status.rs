//! The verdict of a run.

/// The exit status of a firmware: 0, or a number for what was expected and did not happen.
///
/// Statuses from 100 belong to the board: panic, fault, time limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, defmt::Format)]
#[repr(u8)]
pub enum Status {
    /// All went as it should.
    Good = 0,

    /// An argument is missing, or says nothing that is known.
    Arguments = 10,
    /// DHCP gave no address.
    NoAddress = 11,
    /// A file of the host cannot be read.
    File = 12,
    /// The options were refused before the first link.
    Options = 13,

    /// The link ended for good in the middle of the job.
    LinkEnded = 20,
    /// No link was made in time.
    NotConnected = 21,
    /// The server had a session where none was expected.
    SessionPresent = 22,
    /// A subscription was refused, or granted at a lower QoS.
    NotSubscribed = 23,
    /// A message was not accepted for sending.
    NotPublished = 24,
    /// A message was not acknowledged.
    NotAcknowledged = 25,
    /// A message did not come in time.
    NoMessage = 26,
    /// A message has another topic, QoS or payload than was sent.
    WrongMessage = 27,
    /// A message is missing between two others.
    MessageLost = 28,
    /// A message came twice that must not.
    MessageDoubled = 29,
    /// The counters of the client do not say what happened.
    WrongCounters = 30,
    /// More stack is used after many messages than after some.
    StackGrows = 31,
    /// A chunk of a large message is missing.
    NoChunk = 32,
    /// A large message that was to be skipped came in pieces, or the other way round.
    NotSkipped = 33,
    /// A task of the firmware did not end.
    TaskHangs = 34,

    /// Refused: the broker accepts neither user name nor password.
    BadCredentials = 40,
    /// Refused: the certificate of the server is not signed by our authority.
    UnknownAuthority = 41,
    /// Refused: the certificate of the server is for another name.
    WrongName = 42,
    /// Refused: the certificate of the server has expired.
    Expired = 43,
    /// Refused: a certificate that is no authority signed the server's.
    NotAnAuthority = 44,
    /// Refused: the certificate of the server, for another reason.
    BadCertificate = 45,
    /// Refused: no common version of TLS, or another failure of its handshake.
    NoTls = 46,
    /// Refused: nothing listens on the port.
    PortClosed = 47,
    /// Refused: the peer accepts the connection and does not say a word.
    Silence = 48,
    /// Refused for a reason that has no status of its own.
    OtherRefusal = 49,
    /// The link was made, although it should have been refused.
    Accepted = 50,
}

impl Status {
    /// Logs the verdict: the host shows it beside the number.
    pub fn log(self) {
        if self == Self::Good {
            defmt::info!("verdict: {=str}", self.text());
        } else {
            defmt::error!("verdict: {=str}", self.text());
        }
    }

    /// What the log says.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Arguments => "an argument is missing or not known",
            Self::NoAddress => "no address from DHCP",
            Self::File => "a file of the host cannot be read",
            Self::Options => "the options were refused",
            Self::LinkEnded => "the link ended for good",
            Self::NotConnected => "no link in time",
            Self::SessionPresent => "the server had a session",
            Self::NotSubscribed => "not subscribed at the QoS asked for",
            Self::NotPublished => "a message was not accepted for sending",
            Self::NotAcknowledged => "a message was not acknowledged",
            Self::NoMessage => "no message in time",
            Self::WrongMessage => "a message is not what was sent",
            Self::MessageLost => "a message was lost",
            Self::MessageDoubled => "a message came twice",
            Self::WrongCounters => "the counters are wrong",
            Self::StackGrows => "the stack grows with the number of messages",
            Self::NoChunk => "a chunk of a large message is missing",
            Self::NotSkipped => "a large message was not treated as asked for",
            Self::TaskHangs => "a task did not end",
            Self::BadCredentials => "refused: user name or password",
            Self::UnknownAuthority => "refused: certificate not signed by our authority",
            Self::WrongName => "refused: certificate for another name",
            Self::Expired => "refused: certificate has expired",
            Self::NotAnAuthority => "refused: certificate signed by one that is no authority",
            Self::BadCertificate => "refused: certificate not accepted",
            Self::NoTls => "refused: TLS handshake failed",
            Self::PortClosed => "refused: port closed",
            Self::Silence => "refused: no answer",
            Self::OtherRefusal => "refused: another reason",
            Self::Accepted => "accepted instead of refused",
        }
    }
}
