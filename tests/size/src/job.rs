//! What every job says to the broker.

use mqtt_core::Message;
use mqtt_core::codec::{QoS, Subscription, TopicFilter, TopicName, Will};
use mqtt_core::session::{Options, Session, Slot};

use crate::stubs::BUFFER_LEN;

/// Unacknowledged messages in each direction.
const IN_FLIGHT: u16 = 8;

/// Slots of a session: eight messages in each direction, CONNECT and SUBSCRIBE.
pub const SLOTS: usize = 8 + 8 + 2;

/// The session of the jobs without a client.
pub type JobSession = Session<[u8; BUFFER_LEN], [Slot; SLOTS]>;

/// The one filter, at QoS 1: subscribed whenever the server has no session.
static SUBSCRIPTIONS: [Subscription<'static>; 1] = {
    let Ok(filter) = TopicFilter::new("device/command") else {
        panic!("the filter is good");
    };
    [Subscription::new(filter, QoS::AtLeastOnce)]
};

/// CONNECT with user, password and a QoS 1 will. Checked by the compiler, like all that is known then.
pub static OPTIONS: Options<'static> = {
    let Ok(topic) = TopicName::new("device/status") else {
        panic!("the topic is good");
    };
    let mut will = Will::new(topic, b"offline");
    will.qos = QoS::AtLeastOnce;
    let mut options = Options::new("device-0001").credentials("access-key", b"access-secret");
    options.will = Some(will);
    options.subscriptions = &SUBSCRIPTIONS;
    options.max_in_flight = IN_FLIGHT;
    options.receive_maximum = IN_FLIGHT;
    options
};

/// 64 bytes at each quality of service.
pub static MESSAGES: [Message<'static>; 3] = {
    let message = Message::new("device/state", &[b'x'; 64]);
    [message, message.at_least_once(), message.exactly_once()]
};
