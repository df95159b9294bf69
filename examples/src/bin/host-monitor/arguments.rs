//! The command line.

use std::time::Duration;

use clap::Parser;
use examples::arguments::{Session, parse_interval};
use mqtt_std::TopicName;

/// Publishes the readings of this machine to an MQTT broker.
#[derive(Debug, Parser)]
#[command(name = "host-monitor", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// The URL of the broker; without it one is started inside this program.
    #[arg(
        long,
        value_name = "URL",
        env = "MQTT_URL",
        hide_env_values = true,
        help = "Broker: mqtts://user:password@host:8883, better by the environment; without it one is started in this program"
    )]
    pub(crate) broker: Option<String>,
    /// End after this many acknowledged reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Seconds between two reports
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    pub(crate) interval: Duration,
    /// Report, presence, command and identity are below this topic; host-monitor/HOST when not given
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic)]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) session: Session,
}

fn parse_topic(text: &str) -> Result<String, String> {
    let topic = TopicName::new(text).map_err(|error| error.to_string())?;
    Ok(topic.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn version_means_that_of_mqtt() {
        let arguments =
            Arguments::try_parse_from(["host-monitor", "--version", "5", "--interval", "0.5"])
                .unwrap();
        assert_eq!(arguments.session.version, mqtt_std::Version::V5);
        assert_eq!(arguments.interval, Duration::from_millis(500));
    }

    #[test]
    fn useless_values_are_refused() {
        for (option, value) in [
            ("--count", "0"),
            ("--interval", "0"),
            ("--version", "4.2"),
            ("--topic", "a/#"),
        ] {
            assert!(
                Arguments::try_parse_from(["host-monitor", option, value]).is_err(),
                "{option}"
            );
        }
    }
}
