//! Recipes for a plain broker: common needs, with what MQTT has anyway.
//!
//! # One to one
//!
//! Give each client a topic of its own to be written to, named after its client identifier, and let it subscribe to
//! that at QoS 1. Who expects an answer says in the message where to.
//!
//! ```
//! use mqtt_core::{Message, codec::{QoS, Subscription, TopicFilter}};
//!
//! let inbox = Subscription::new(TopicFilter::new("dev-1/in")?, QoS::AtLeastOnce);
//! let to_dev_1 = Message::new("dev-1/in", b"reply to dev-2/in: how warm is it?").at_least_once();
//! # assert!(inbox.filter.matches(to_dev_1.topic));
//! # Ok::<(), mqtt_core::codec::TopicError>(())
//! ```
//!
//! # Presence
//!
//! A retained message says whether a client is there; its will takes it back when the link breaks. See [`Presence`].
//!
//! # Broadcast
//!
//! One topic that all subscribe to. A group gets a level of its own, and those who want all groups a wildcard. Not
//! retained: who comes later must not obey an old order.
//!
//! ```
//! use mqtt_core::{Message, codec::{QoS, Subscription, TopicFilter}};
//!
//! let mine = Subscription::new(TopicFilter::new("all/north")?, QoS::AtLeastOnce);
//! let any = Subscription::new(TopicFilter::new("all/#")?, QoS::AtLeastOnce);
//! let order = Message::new("all/north", b"reboot").at_least_once();
//! # assert!(mine.filter.matches(order.topic) && any.filter.matches(order.topic));
//! # Ok::<(), mqtt_core::codec::TopicError>(())
//! ```
//!
//! # Last value
//!
//! Publish a value retained: who subscribes later gets the last one at once, with the retain flag set. One value for a
//! topic; an empty retained message removes it.
//!
//! ```
//! use mqtt_core::Message;
//!
//! let last = Message::new("dev-1/temperature", b"21.5").at_least_once().retain();
//! let removed = Message::new("dev-1/temperature", b"").at_least_once().retain();
//! ```

use crate::{
    Message,
    codec::{QoS, TopicName, Will},
};

/// Whether a client is there, as a retained `true` or `false` on a topic.
///
/// ```
/// use mqtt_core::{codec::TopicName, platform::recipes::Presence, session::Options};
///
/// let presence = Presence::new(TopicName::new("presence/dev-1")?);
/// let mut options = Options::new("dev-1");
/// options.will = Some(presence.will());
///
/// let after_each_connect = presence.online();
/// let before_disconnect = presence.offline();
///
/// // Who watches subscribes to `presence/+`.
/// assert_eq!(presence.read(b"presence/dev-1", b"true"), Some(true));
/// # Ok::<(), mqtt_core::codec::TopicError>(())
/// ```
///
/// - Publish [`online`](Self::online) after every connect: the will of a broken link may have been published meanwhile.
/// - A server publishes no will after DISCONNECT, so publish [`offline`](Self::offline) before it.
/// - A broken link is noticed after one and a half keep-alives: choose a keep-alive that fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Presence<'a> {
    topic: TopicName<'a>,
}

const ONLINE: &[u8] = b"true";
const OFFLINE: &[u8] = b"false";

impl<'a> Presence<'a> {
    /// The presence that is told on `topic`.
    #[must_use]
    pub const fn new(topic: TopicName<'a>) -> Self {
        Self { topic }
    }

    /// What the server is to publish when the link breaks: `false`, retained, at QoS 1.
    #[must_use]
    pub const fn will(&self) -> Will<'a> {
        let mut will = Will::new(self.topic, OFFLINE);
        will.qos = QoS::AtLeastOnce;
        will.retain = true;
        will
    }

    /// The client is there: `true`, retained.
    #[must_use]
    pub fn online(&self) -> Message<'a> {
        Message::new(self.topic.as_str(), ONLINE).retain()
    }

    /// The client leaves: `false`, retained.
    #[must_use]
    pub fn offline(&self) -> Message<'a> {
        Message::new(self.topic.as_str(), OFFLINE).retain()
    }

    /// Whether the client is there; `None` for another topic or another payload.
    #[must_use]
    pub fn read(&self, topic: &[u8], payload: &[u8]) -> Option<bool> {
        if topic != self.topic.as_bytes() {
            return None;
        }
        match payload {
            ONLINE => Some(true),
            OFFLINE => Some(false),
            _ => None,
        }
    }
}
