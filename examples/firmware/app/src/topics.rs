//! Where the device publishes and listens.

use heapless::String;
use mqtt_core::codec::{QoS, Subscription, TopicError, TopicFilter};

/// Bytes of the longest topic.
const MAX_LEN: usize = 64;

/// The topics of one device. They are put together once, since a will and a subscription want them in one piece.
#[derive(Clone, Debug)]
pub struct Topics {
    pub(crate) report: String<MAX_LEN>,
    /// Retained: [`Topics::ONLINE`] or, by the device or by its will, [`Topics::OFFLINE`].
    pub(crate) presence: String<MAX_LEN>,
    pub(crate) command: String<MAX_LEN>,
    pub(crate) identity: String<MAX_LEN>,
}

impl Topics {
    pub(crate) const ONLINE: &[u8] = b"online";
    pub(crate) const OFFLINE: &[u8] = b"offline";

    /// The topics under `base`, which may have 55 bytes.
    ///
    /// # Errors
    ///
    /// [`TopicError::TooLong`].
    pub fn new(base: &str) -> Result<Self, TopicError> {
        Ok(Self {
            report: below(base, "/report")?,
            presence: below(base, "/presence")?,
            command: below(base, "/command")?,
            identity: below(base, "/identity")?,
        })
    }

    /// What the device listens to.
    ///
    /// # Errors
    ///
    /// The topic cannot be subscribed to.
    pub fn subscriptions(&self) -> Result<[Subscription<'_>; 1], TopicError> {
        let command = TopicFilter::new(&self.command)?;
        Ok([Subscription::new(command, QoS::AtLeastOnce)])
    }
}

fn below(base: &str, leaf: &str) -> Result<String<MAX_LEN>, TopicError> {
    let mut topic = String::new();
    topic.push_str(base).map_err(|_| TopicError::TooLong)?;
    topic.push_str(leaf).map_err(|_| TopicError::TooLong)?;
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_lie_under_their_base() {
        let topics = Topics::new("plant/7").unwrap();
        assert_eq!(topics.report, "plant/7/report");
        assert_eq!(topics.presence, "plant/7/presence");
        let [command] = topics.subscriptions().unwrap();
        assert!(command.filter.matches("plant/7/command"));
    }

    #[test]
    fn a_base_of_55_bytes_is_the_longest() {
        let base = [b'x'; 56];
        let base = core::str::from_utf8(&base).unwrap();
        assert!(Topics::new(&base[..55]).is_ok());
        assert_eq!(Topics::new(base).unwrap_err(), TopicError::TooLong);
    }
}
