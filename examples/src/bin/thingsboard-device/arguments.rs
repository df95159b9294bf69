//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use examples::arguments::{parse_interval, state_folder, without_user};
use examples::secret::Secret;
use mqtt_std::{Options, OptionsError};

use crate::state::Credentials;

/// A device of ThingsBoard: telemetry of this machine, attributes, calls, firmware updates.
///
/// Without --url it talks to a simulated ThingsBoard that runs inside this program.
#[derive(Debug, Parser)]
#[command(
    name = "thingsboard-device",
    disable_version_flag = true,
    args_conflicts_with_subcommands = false
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The URL of the server; without it one is simulated inside this program.
    #[arg(
        long,
        value_name = "URL",
        env = "THINGSBOARD_URL",
        hide_env_values = true,
        global = true,
        help = "The server: mqtt://host or mqtts://host:8883"
    )]
    pub(crate) url: Option<String>,
    /// Access token, or @FILE; better by the environment than here, where others can read it
    #[arg(
        long,
        value_name = "TOKEN",
        env = "THINGSBOARD_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
    /// Client identifier, if the server wants one (MQTT Basic)
    #[arg(long, value_name = "ID", conflicts_with = "token")]
    client_id: Option<String>,
    /// User name, if the server wants one (MQTT Basic)
    #[arg(long, value_name = "NAME", conflicts_with = "token")]
    user_name: Option<String>,
    /// Password, or @FILE (MQTT Basic)
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "THINGSBOARD_PASSWORD",
        hide_env_values = true,
        requires = "user_name"
    )]
    password: Option<Secret>,
    /// Client certificate chain in a PEM file (X.509)
    #[arg(long, value_name = "FILE", requires = "key_file", conflicts_with_all = ["token", "client_id", "user_name"])]
    cert_file: Option<PathBuf>,
    /// Private key of the client certificate in a PEM file
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Trust only the certificate authorities in this PEM file, not those of the platform
    #[arg(long, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// Where firmware, its progress and provisioned credentials are kept
    #[arg(long, value_name = "FOLDER", global = true)]
    state: Option<PathBuf>,
    /// End after this many acknowledged telemetry messages
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Seconds between two of them
    #[arg(long, value_name = "SECONDS", default_value = "1", global = true, value_parser = parse_interval)]
    pub(crate) interval: Duration,
    /// Call this method of the server's rule chain, once, and show the answer
    #[arg(long, value_name = "METHOD", global = true)]
    pub(crate) call: Option<String>,
    /// Bytes of a firmware chunk
    #[arg(long, value_name = "BYTES", default_value = "4096", global = true, value_parser = clap::value_parser!(u32).range(64..=65_000))]
    pub(crate) chunk_len: u32,
    /// Let the simulator offer this version of the firmware, some 20 MB
    #[arg(
        long,
        value_name = "VERSION",
        conflicts_with = "url",
        value_parser = parse_version
    )]
    pub(crate) offer: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Get credentials from the server, keep them in the state folder, and go on as that device
    Provision(Provision),
}

/// What the device profile wants of a new device.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// Provisioning key of the device profile, or @FILE; that of the simulator is provision-key
    #[arg(
        long,
        value_name = "KEY",
        env = "THINGSBOARD_PROVISION_KEY",
        hide_env_values = true
    )]
    pub(crate) key: Secret,
    /// Provisioning secret of the device profile, or @FILE; that of the simulator is provision-secret
    #[arg(
        long,
        value_name = "SECRET",
        env = "THINGSBOARD_PROVISION_SECRET",
        hide_env_values = true
    )]
    pub(crate) secret: Secret,
    /// Name of the device; made up by the server when not given
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl Arguments {
    /// The credentials that were given, if any.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        if let Some(token) = &self.token {
            return Some(Credentials::token(token.reveal()));
        }
        if self.cert_file.is_some() {
            return Some(Credentials::X509);
        }
        if self.client_id.is_none() && self.user_name.is_none() {
            return None;
        }
        Some(Credentials::Basic {
            client_id: self.client_id.clone(),
            user_name: self.user_name.clone(),
            password: self
                .password
                .as_ref()
                .map(|password| password.reveal().to_owned()),
        })
    }

    /// Options for the server, with what a helper has preset.
    pub(crate) fn connect(
        &self,
        url: &str,
        preset: &mqtt_core::session::Options<'_>,
    ) -> Result<Options, OptionsError> {
        let mut options = Options::from_url(url)?.preset(preset);
        if let Some(file) = &self.ca_file {
            options = options.ca_file(file);
        }
        if let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) {
            options = options.client_certificate(certificate, key);
        }
        Ok(options)
    }

    /// `--state`, or a folder of the user's for this server.
    pub(crate) fn state_folder(&self, url: &str) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.state {
            return Ok(folder.clone());
        }
        let server = match &self.url {
            Some(_) => without_user(url),
            None => "simulator".to_owned(),
        };
        state_folder("thingsboard-device", &server)
    }
}

/// One word, since the simulator takes words.
fn parse_version(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("expected one word".to_owned());
    }
    Ok(text.to_owned())
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
    fn kinds_of_credentials_exclude_each_other() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["thingsboard-device"], arguments].concat())
        };
        let token = parse(&["--token", "t"]).unwrap();
        assert_eq!(token.credentials(), Some(Credentials::token("t")));
        assert!(parse(&["--token", "t", "--user-name", "u"]).is_err());
        assert!(parse(&["--password", "p"]).is_err());
        assert!(parse(&["--cert-file", "c.pem"]).is_err());
    }
}
