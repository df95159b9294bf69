//! What every job says to the broker.

use mqtt_core::Message;
use mqtt_core::codec::{QoS, Subscription, TopicError, TopicFilter, TopicName, Will};
use mqtt_core::session::Options;

/// Unacknowledged messages in each direction.
const IN_FLIGHT: u16 = 8;

/// CONNECT with user, password and a QoS 1 will.
///
/// # Errors
///
/// None: the topic is good.
pub fn options() -> Result<Options<'static>, TopicError> {
    let mut will = Will::new(TopicName::new("device/status")?, b"offline");
    will.qos = QoS::AtLeastOnce;
    let mut options = Options::new("device-0001").credentials("access-key", b"access-secret");
    options.will = Some(will);
    options.max_in_flight = IN_FLIGHT;
    options.receive_maximum = IN_FLIGHT;
    Ok(options)
}

/// What is subscribed.
pub const FILTER: &str = "device/command";

/// The one filter, at QoS 1.
///
/// # Errors
///
/// None: the filter is good.
pub fn subscription() -> Result<Subscription<'static>, TopicError> {
    let filter = TopicFilter::new(FILTER)?;
    Ok(Subscription::new(filter, QoS::AtLeastOnce))
}

/// 64 bytes at each quality of service.
pub static MESSAGES: [Message<'static>; 3] = {
    let message = Message::new("device/state", &[b'x'; 64]);
    [message, message.at_least_once(), message.exactly_once()]
};
