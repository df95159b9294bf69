//! What differs between brokers.

use mqtt_core::codec::{QoS, Version};
use mqtt_std::DeliveryError;

use crate::broker::{self, Broker, QUEUE_LIMIT};

/// What a broker does where brokers differ.
pub(crate) struct Expected {
    /// What it speaks.
    pub(crate) versions: &'static [Version],
    /// How the link ends of a client that asks for MQTT 5 where it is not spoken.
    pub(crate) other_version: Option<&'static str>,
    /// How the link ends of a client with a wrong password, on 3.1.1 and 5.
    pub(crate) wrong_password: [&'static str; 2],
    /// The most that it grants, and delivers at.
    pub(crate) best_qos: QoS,
    /// Whether a message comes at the quality of the subscription even if it was published at a lower one.
    pub(crate) raises_qos: bool,
    /// How the link ends of a client that publishes at QoS 2, where that does not work.
    pub(crate) exactly_once_ends_link: Option<&'static str>,
    /// What comes of a message at QoS 2 whose PUBCOMP got lost, on 3.1.1 and 5.
    pub(crate) lost_pubcomp: [LostPubComp; 2],
    /// How often a message comes that two subscriptions of one client match, on 3.1.1 and 5.
    pub(crate) overlapping: [usize; 2],
    /// Whether what is sent again says so.
    pub(crate) marks_duplicates: bool,
    /// Which of the messages for a device that is away are kept, of 15 where the limit, if there is one, is 10.
    pub(crate) kept: Kept,
    /// A broker of this kind with such a limit, if it is not the one that runs.
    pub(crate) bounded: Option<fn() -> Box<dyn Broker>>,
    /// How the link ends of a client when another one of the same name connects, on 3.1.1 and 5.
    pub(crate) taken_over: [&'static str; 2],
    /// What a SIGKILL leaves.
    pub(crate) after_kill: AfterKill,
}

/// What a broker makes of a PUBREL that comes again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum LostPubComp {
    /// It answers it.
    Sent,
    /// The delivery ends by this error.
    GivenUp(DeliveryError),
    /// Each link ends like this.
    EndsLinks(&'static str),
}

/// Which messages are kept in a queue that is full.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kept {
    /// All: there is no limit by number.
    All,
    /// The first ones.
    Oldest,
    /// The last ones.
    Newest,
}

/// What a broker still has after it was killed and started again.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum AfterKill {
    /// All that it had acknowledged.
    Everything,
    /// Sessions, but not always the last messages.
    Sessions,
    /// Nothing.
    Nothing,
}

const CLOSED: &str = "server closed the connection";

pub(crate) const MOSQUITTO: Expected = Expected {
    versions: &[Version::V3_1_1, Version::V5],
    other_version: None,
    wrong_password: ["refused: not authorized", "refused: not authorized"],
    best_qos: QoS::ExactlyOnce,
    raises_qos: false,
    exactly_once_ends_link: None,
    lost_pubcomp: [LostPubComp::Sent, LostPubComp::Sent],
    overlapping: [1, 2],
    marks_duplicates: true,
    kept: Kept::Oldest,
    bounded: Some(broker::bounded_mosquitto),
    taken_over: [CLOSED, CLOSED],
    after_kill: AfterKill::Sessions,
};

pub(crate) const RABBITMQ: Expected = Expected {
    versions: &[Version::V3_1_1],
    other_version: Some(CLOSED),
    wrong_password: ["refused: bad user name or password", ""],
    best_qos: QoS::AtLeastOnce,
    exactly_once_ends_link: Some("server broke the protocol: answer does not fit the request"),
    kept: Kept::Newest,
    bounded: None,
    after_kill: AfterKill::Everything,
    ..MOSQUITTO
};

pub(crate) const EMBEDDED: Expected = Expected {
    wrong_password: [
        "refused: bad user name or password",
        "refused: bad user name or password",
    ],
    lost_pubcomp: [
        // It has the reason code and the properties of MQTT 5.
        LostPubComp::EndsLinks("server sent a bad packet: bytes left after the last field"),
        LostPubComp::Sent,
    ],
    overlapping: [2, 2],
    kept: Kept::Newest,
    bounded: Some(broker::bounded_embedded),
    taken_over: [
        // DISCONNECT, which a server of 3.1.1 has not.
        "server sent a bad packet: only a client may send this",
        "server disconnected: session taken over",
    ],
    after_kill: AfterKill::Sessions,
    ..MOSQUITTO
};

pub(crate) const RUMQTTD: Expected = Expected {
    wrong_password: [CLOSED, CLOSED],
    raises_qos: true,
    // It closes the link at a PUBREL that comes again.
    lost_pubcomp: [LostPubComp::GivenUp(DeliveryError::Poison); 2],
    overlapping: [1, 1],
    marks_duplicates: false,
    kept: Kept::All,
    bounded: None,
    after_kill: AfterKill::Nothing,
    ..MOSQUITTO
};

pub(crate) const AEDES: Expected = Expected {
    versions: &[Version::V3_1_1],
    other_version: Some("refused: unsupported protocol version"),
    wrong_password: ["refused: bad user name or password", ""],
    // It keeps no session for who has not subscribed.
    lost_pubcomp: [LostPubComp::GivenUp(DeliveryError::SessionLost); 2],
    overlapping: [1, 1],
    marks_duplicates: false,
    kept: Kept::All,
    bounded: None,
    after_kill: AfterKill::Nothing,
    ..MOSQUITTO
};

impl Expected {
    /// The quality at which a message arrives.
    pub(crate) fn delivered(&self, published: QoS, granted: QoS) -> QoS {
        let granted = granted.min(self.best_qos);
        if self.raises_qos {
            granted
        } else {
            granted.min(published)
        }
    }
}

/// The one of two that belongs to that version.
pub(crate) const fn of<T: Copy>(version: Version, pair: [T; 2]) -> T {
    match version {
        Version::V3_1_1 => pair[0],
        Version::V5 => pair[1],
    }
}

impl Kept {
    /// The numbers that are kept, of those below `sent`.
    pub(crate) fn of(self, sent: u8) -> Vec<u8> {
        let limit = u8::try_from(QUEUE_LIMIT).expect("few");
        match self {
            Self::All => (0..sent).collect(),
            Self::Oldest => (0..limit).collect(),
            Self::Newest => (sent - limit..sent).collect(),
        }
    }
}
