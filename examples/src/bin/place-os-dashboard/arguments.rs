//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use examples::secret::Secret;
use mqtt_std::EncodeError;
use mqtt_std::platform::place_os::{
    self, Level, PATH, StateFilter, Token, WithRegion, WithoutRegion, Zones,
};

/// Follows a building of PlaceOS.
///
/// Without --url it follows a small building of a simulated PlaceOS that runs inside this program. It only reads.
#[derive(Debug, Parser)]
#[command(name = "place-os-dashboard", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// The broker of PlaceOS.
    #[arg(
        long,
        value_name = "URL",
        env = "PLACEOS_URL",
        hide_env_values = true,
        requires = "token",
        help = "The broker of PlaceOS, such as wss://placeos.example/api/mqtt/"
    )]
    url: Option<String>,
    /// JWT or API key, or @FILE; better by the environment than here, where others can read it
    #[arg(
        long,
        value_name = "TOKEN",
        env = "PLACEOS_TOKEN",
        hide_env_values = true
    )]
    token: Option<Secret>,
    /// Trust only the certificate authorities in this PEM file, not those of the platform
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Identifier of the organization's zone; any when not given, like all that follow
    #[arg(long, value_name = "ZONE")]
    org: Option<String>,
    /// Identifier of the building's zone
    #[arg(long, value_name = "ZONE")]
    building: Option<String>,
    /// Identifier of the level's zone
    #[arg(long, value_name = "ZONE")]
    level: Option<String>,
    /// Identifier of the system
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// Name of the modules, such as Display
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    /// Name of the status, such as power
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// The topics have no level for the region, as before 2024
    #[arg(long)]
    no_region: bool,
    /// End after this many values
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Where to read, and the right to.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) url: String,
    token: Secret,
}

impl Arguments {
    /// The account at the real platform, if one was given.
    pub(crate) fn account(&self) -> Option<Account> {
        Some(Account {
            url: self.url.clone()?,
            token: self.token.clone()?,
        })
    }

    pub(crate) fn has_region(&self) -> bool {
        !self.no_region
    }

    /// What to subscribe.
    pub(crate) fn filter(&self) -> anyhow::Result<String> {
        let (building, level) = (wanted(self.building.as_ref()), wanted(self.level.as_ref()));
        let filter = if self.has_region() {
            self.write(WithRegion {
                building,
                level,
                ..WithRegion::ANY
            })
        } else {
            self.write(WithoutRegion {
                building,
                level,
                ..WithoutRegion::ANY
            })
        };
        filter.context("zone, system, module and status are one level of a topic each")
    }

    fn write<'a, Z: Zones<Level<'a>>>(&'a self, zones: Z) -> Result<String, EncodeError> {
        let filter = StateFilter {
            scope: wanted(self.org.as_ref()),
            system: wanted(self.system.as_ref()),
            module: wanted(self.module.as_ref()),
            key: wanted(self.key.as_ref()),
            ..StateFilter::all(zones)
        };
        // The longest that a topic can be.
        let mut memory = vec![0; usize::from(u16::MAX)];
        Ok(filter.write(&mut memory)?.as_str().to_owned())
    }
}

fn wanted(id: Option<&String>) -> Level<'_> {
    id.map_or(Level::Any, |id| Level::Is(id))
}

impl Account {
    /// A reader that the simulator knows.
    pub(crate) fn simulated(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            url: format!("ws://{address}{PATH}"),
            token: "reader.key".parse().map_err(anyhow::Error::msg)?,
        })
    }

    /// How to connect.
    pub(crate) fn preset<'a>(
        &'a self,
        client_id: &'a str,
    ) -> anyhow::Result<mqtt_core::session::Options<'a>> {
        let token = Token::new(self.token.reveal()).context("--token")?;
        Ok(place_os::options(client_id, token))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn filter(arguments: &[&str]) -> anyhow::Result<String> {
        Arguments::try_parse_from([&["place-os-dashboard"], arguments].concat())?.filter()
    }

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_become_a_filter() {
        assert_eq!(filter(&[]).unwrap(), "placeos/+/state/#");
        let displays = [
            "--org",
            "zone-o",
            "--building",
            "zone-b",
            "--module",
            "Display",
            "--key",
            "power",
        ];
        assert_eq!(
            filter(&displays).unwrap(),
            "placeos/zone-o/state/+/zone-b/+/+/+/+/Display/+/power"
        );
        assert_eq!(
            filter(&["--no-region", "--building", "zone-b"]).unwrap(),
            "placeos/+/state/zone-b/#"
        );
        assert!(filter(&["--building", "a/b"]).is_err());
    }

    #[test]
    fn server_wants_a_token() {
        let without = [
            "place-os-dashboard",
            "--url",
            "wss://placeos.example/api/mqtt/",
        ];
        assert!(Arguments::try_parse_from(without).is_err());
    }
}
