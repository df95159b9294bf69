//! The arguments that most programs share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use mqtt_std::{Options, OptionsError, QoS, Version};

use crate::monitor::commands;

/// Which broker, and how to speak to it.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// The URL of the broker.
    #[arg(
        long,
        env = "MQTT_URL",
        hide_env_values = true,
        default_value = "mqtt://127.0.0.1:1883",
        help = "Broker, by mqtt, mqtts, ws or wss: mqtts://user:password@host:8883; with a password better by the environment"
    )]
    pub url: String,
    /// What is common to all programs.
    #[command(flatten)]
    pub session: Session,
}

/// How to speak to a broker, whatever says which one.
#[derive(Debug, Clone, Args)]
pub struct Session {
    /// Version of MQTT: 3.1.1 or 5
    #[arg(long, value_name = "VERSION", default_value = "3.1.1", value_parser = parse_version)]
    pub version: Version,
    /// Trust only the certificate authorities in this PEM file, not those of the platform
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Client identifier; made up when not given
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
}

impl Connection {
    /// The options for [`mqtt_std::new`] that these arguments ask for.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used.
    pub fn options(&self) -> Result<Options, OptionsError> {
        self.session.options(&self.url)
    }
}

impl Session {
    /// The options for [`mqtt_std::new`] that these arguments ask for, with the broker at `url`.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used.
    pub fn options(&self, url: &str) -> Result<Options, OptionsError> {
        let mut options = Options::from_url(url)?.version(self.version);
        if let Some(file) = &self.ca_file {
            options = options.ca_file(file);
        }
        if let Some(client_id) = &self.client_id {
            options = options.client_id(client_id);
        }
        Ok(options)
    }
}

/// Reads `3.1.1` or `5`.
///
/// # Errors
///
/// A text for the user when it is neither.
pub fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "3.1.1" | "311" | "4" => Ok(Version::V3_1_1),
        "5" | "5.0" => Ok(Version::V5),
        _ => Err("expected 3.1.1 or 5".to_owned()),
    }
}

/// The version as people write it.
#[must_use]
pub fn version_name(version: Version) -> &'static str {
    if version.is_v5() { "5" } else { "3.1.1" }
}

/// Reads the seconds between two reports.
///
/// # Errors
///
/// A text for the user when they are no number, or not in [`commands::INTERVAL_S`].
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    commands::interval(seconds).map_err(|error| error.to_string())
}

/// A URL without user name and password, to be shown.
#[must_use]
pub fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
            format!("{scheme}://{address}")
        }
        None => url.to_owned(),
    }
}

/// The folder of this user's in which `program` keeps what belongs to `of`, an address for example.
///
/// # Errors
///
/// When the user has no home folder.
pub fn state_folder(program: &str, of: &str) -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(std::env::home_dir()?.join(".local/state")));
    let base = base.context("there is no home folder: give --state")?;
    let name = of.replace(
        |letter: char| !letter.is_ascii_alphanumeric() && letter != '.',
        "-",
    );
    Ok(base.join("mqtt-examples").join(program).join(name))
}

/// Whether a URL says more than where the server is.
#[must_use]
pub fn has_path(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/')
        .is_some_and(|(_, path)| !path.is_empty())
}

/// Reads `0`, `1` or `2`.
///
/// # Errors
///
/// A text for the user when it is none of them.
pub fn parse_qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("expected 0, 1 or 2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_of_a_url_is_not_shown() {
        assert_eq!(
            without_user("mqtts://user:p@ss@host:8883/id"),
            "mqtts://host:8883/id"
        );
        assert_eq!(without_user("mqtt://host"), "mqtt://host");
    }

    #[test]
    fn path_of_a_url_is_what_follows_the_host() {
        assert!(has_path("wss://host:443/api/mqtt/"));
        assert!(!has_path("wss://host:443/"));
        assert!(!has_path("mqtt://host"));
    }
}
