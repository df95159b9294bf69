//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use examples::arguments::{parse_interval, state_folder, without_user};
use examples::secret::Secret;
use mqtt_std::platform::watson_iot::PORT_TLS;

/// A device that IBM Watson IoT or Maximo Monitor manages.
///
/// Without --org it talks to a simulated platform that runs inside this program. Firmware is fetched from file: URIs, and
/// by http: from this machine only; what is fetched is kept in the state folder and never executed.
#[derive(Debug, Parser)]
#[command(name = "watson-iot-device", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Identifier of the organization, 6 characters
    #[arg(long, value_name = "ORG", env = "WATSON_ORG", requires_all = ["type_id", "id", "token"])]
    org: Option<String>,
    /// Type of the device
    #[arg(long = "type", value_name = "TYPE", env = "WATSON_TYPE")]
    type_id: Option<String>,
    /// Identifier of the device
    #[arg(long, value_name = "ID", env = "WATSON_ID")]
    id: Option<String>,
    /// Authentication token of the device, or @FILE; better by the environment than here, where others can read it
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WATSON_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
    /// Where the platform is; that of the former public service when not given. Maximo: mqtts://host:443
    #[arg(long, value_name = "URL", requires = "org")]
    url: Option<String>,
    /// Trust only the certificate authorities in this PEM file, not those of the platform
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where the device is, in degrees, east and north positive
    #[arg(long, value_name = "LONGITUDE,LATITUDE", allow_hyphen_values = true, value_parser = parse_location)]
    location: Option<(f64, f64)>,
    /// Where firmware, and how far it is, are kept
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// End after this many acknowledged events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Seconds between two of them
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    pub(crate) interval: Duration,
}

/// Which device, and where its platform is.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) organization: String,
    pub(crate) type_id: String,
    pub(crate) device_id: String,
    pub(crate) token: Secret,
    pub(crate) url: String,
}

impl Arguments {
    /// The account at the real platform, if one was given.
    pub(crate) fn account(&self) -> Option<Account> {
        let organization = self.org.clone()?;
        let url = self.url.clone().unwrap_or_else(|| {
            format!("mqtts://{organization}.messaging.internetofthings.ibmcloud.com:{PORT_TLS}")
        });
        Some(Account {
            organization,
            type_id: self.type_id.clone()?,
            device_id: self.id.clone()?,
            token: self.token.clone()?,
            url,
        })
    }

    /// Where the device is, if that is known; the simulated platform is told of a place in the Alps.
    pub(crate) fn location(&self, is_simulated: bool) -> Option<(f64, f64)> {
        self.location.or(is_simulated.then_some((7.985, 46.547)))
    }

    /// `--state`, or a folder of the user's for this device.
    pub(crate) fn state_folder(&self, account: &Account) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.state {
            return Ok(folder.clone());
        }
        let Account {
            type_id, device_id, ..
        } = account;
        let of = match &self.org {
            Some(_) => format!("{}-{type_id}-{device_id}", without_user(&account.url)),
            None => "simulator".to_owned(),
        };
        state_folder("watson-iot-device", &of)
    }
}

impl Account {
    /// Type and identifier of the device that the simulator knows.
    pub(crate) const SIMULATED: &str = "thermometer t-1";

    /// That device's account.
    pub(crate) fn simulated(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            organization: "orgid1".to_owned(),
            type_id: "thermometer".to_owned(),
            device_id: "t-1".to_owned(),
            token: "device-token".parse().map_err(anyhow::Error::msg)?,
            url: format!("mqtt://{address}"),
        })
    }
}

fn parse_location(text: &str) -> Result<(f64, f64), String> {
    let parse = || {
        let (longitude, latitude) = text.split_once(',')?;
        Some((
            longitude.trim().parse().ok()?,
            latitude.trim().parse().ok()?,
        ))
    };
    parse()
        .filter(|(longitude, latitude)| {
            (-180.0..=180.0).contains(longitude) && (-90.0..=90.0).contains(latitude)
        })
        .ok_or_else(|| "expected longitude and latitude in degrees, as 7.985,46.547".to_owned())
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
    fn locations_outside_the_globe_are_refused() {
        assert_eq!(parse_location("-71.06, 42.36"), Ok((-71.06, 42.36)));
        for text in ["", "7", "181,0", "0,91", "north,east", "NaN,0"] {
            assert!(parse_location(text).is_err(), "{text}");
        }
    }

    #[test]
    fn account_is_given_as_a_whole() {
        let some = ["watson-iot-device", "--org", "orgid1", "--type", "t"];
        assert!(Arguments::try_parse_from(some).is_err());
    }
}
