//! Where the device publishes and listens.

use examples::monitor::host_name;

/// The topics of one device.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    base: String,
    pub(crate) report: String,
    /// Retained: [`Topics::ONLINE`] or, by the device or by its will, [`Topics::OFFLINE`].
    pub(crate) presence: String,
    pub(crate) command: String,
    pub(crate) identity: String,
}

impl Topics {
    pub(crate) const ONLINE: &[u8] = b"online";
    pub(crate) const OFFLINE: &[u8] = b"offline";

    /// The topics under `base`, by default `host-monitor/<host name>`.
    pub(crate) fn new(base: Option<&str>) -> Self {
        let base = base.map_or_else(
            || format!("host-monitor/{}", level(&host_name())),
            ToOwned::to_owned,
        );
        Self {
            report: format!("{base}/report"),
            presence: format!("{base}/presence"),
            command: format!("{base}/command"),
            identity: format!("{base}/identity"),
            base,
        }
    }

    /// The filter that matches all of them.
    pub(crate) fn all(&self) -> String {
        format!("{}/#", self.base)
    }
}

/// A text as one level of a topic: separators and wildcards mean something there (MQTT 3.1.1 §4.7).
fn level(text: &str) -> String {
    text.replace(['/', '+', '#', '\0'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_lie_under_their_base() {
        let topics = Topics::new(Some("plant/7"));
        assert_eq!(topics.report, "plant/7/report");
        assert_eq!(topics.command, "plant/7/command");
        assert_eq!(topics.all(), "plant/7/#");
    }

    #[test]
    fn host_name_becomes_one_level() {
        assert_eq!(level("a/b+c#d"), "a-b-c-d");
    }
}
