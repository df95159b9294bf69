//! What differs from device to device.

use mqtt_core::{
    codec::{Properties, QoS, Subscription, TopicError, TopicName, Will},
    session::{Options, Reconnect},
};

use crate::Topics;

/// What differs from device to device. Where the broker is, the connector knows.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The client identifier: unique at the broker, or the devices throw each other out.
    pub client_id: &'a str,
    /// Everything is published and listened to below this topic.
    pub topic: &'a str,
    /// The user name, if the broker wants one.
    pub user_name: Option<&'a str>,
    /// The password, if the broker wants one.
    pub password: Option<&'a str>,
    /// Seconds between two reports, until a command says otherwise: 1 to [`MAX_INTERVAL_S`](Self::MAX_INTERVAL_S).
    pub interval_s: u32,
    /// What the device is, for `identify`.
    pub board: &'a str,
}

impl<'a> Settings<'a> {
    /// The longest interval between two reports: a day.
    pub const MAX_INTERVAL_S: u32 = 86_400;

    /// The options of the client. `subscriptions` are those of [`Topics::subscriptions`].
    ///
    /// # Errors
    ///
    /// The topic cannot be published to.
    pub fn options(
        &self,
        topics: &'a Topics,
        subscriptions: &'a [Subscription<'a>],
    ) -> Result<Options<'a>, TopicError> {
        let mut options = Options::new(self.client_id).subscriptions(subscriptions);
        options.user_name = self.user_name;
        options.password = self.password.map(str::as_bytes);
        options.will = Some(Will {
            topic: TopicName::new(&topics.presence)?,
            payload: Topics::OFFLINE,
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::NONE,
        });
        // Commands that are sent while the link is down come later.
        options.clean_session = false;
        // The server may have kept the session of a firmware that listened elsewhere.
        options.always_resubscribe = true;
        // A site whose power comes back must not storm the broker in the same second.
        options.reconnect = Reconnect {
            floor_ms: 500,
            ..Reconnect::new()
        };
        Ok(options)
    }
}
