//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use examples::arguments::parse_interval;
use examples::secret::Secret;
use mqtt_std::platform::losant;

/// Reports the readings of this machine to Losant.
///
/// Without --device-id it reports to a simulated Losant that runs inside this program.
#[derive(Debug, Parser)]
#[command(name = "losant-host-monitor", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// Identifier of the device, 24 hexadecimal digits
    #[arg(long, value_name = "ID", env = "LOSANT_DEVICE_ID", value_parser = parse_device_id, requires_all = ["access_key", "access_secret"])]
    device_id: Option<String>,
    /// Access key, or @FILE
    #[arg(
        long,
        value_name = "KEY",
        env = "LOSANT_ACCESS_KEY",
        hide_env_values = true
    )]
    access_key: Option<Secret>,
    /// Access secret, or @FILE; better by the environment than here, where others can read it
    #[arg(
        long,
        value_name = "SECRET",
        env = "LOSANT_ACCESS_SECRET",
        hide_env_values = true
    )]
    access_secret: Option<Secret>,
    /// How to get to Losant
    #[arg(long, value_enum, default_value = "tls")]
    pub(crate) transport: Transport,
    /// Another place than Losant's own, such as a proxy: mqtt, mqtts, ws or wss://host:port
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "transport",
        requires = "device_id"
    )]
    url: Option<String>,
    /// Trust only the certificate authorities in this PEM file, not those of the platform
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// End after this many acknowledged reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Seconds between two reports; Losant allows two a second
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    pub(crate) interval: Duration,
}

/// The four ways to Losant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    Ws,
    Wss,
}

/// Which device, and where.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) device_id: String,
    pub(crate) access_key: Secret,
    pub(crate) access_secret: Secret,
    pub(crate) url: String,
}

impl Arguments {
    /// The account at the real service, if one was given.
    pub(crate) fn account(&self) -> Option<Account> {
        Some(Account {
            device_id: self.device_id.clone()?,
            access_key: self.access_key.clone()?,
            access_secret: self.access_secret.clone()?,
            url: self
                .url
                .clone()
                .unwrap_or_else(|| self.transport.of_losant().url().to_owned()),
        })
    }
}

impl Account {
    /// The device that the simulator knows.
    pub(crate) const SIMULATED: &str = "575ecf887ae143cd83dc4aa2";

    /// That device's account.
    pub(crate) fn simulated(address: SocketAddr) -> anyhow::Result<Self> {
        let secret = |text: &str| text.parse().map_err(anyhow::Error::msg);
        Ok(Self {
            device_id: Self::SIMULATED.to_owned(),
            access_key: secret("my-access-key")?,
            access_secret: secret("my-access-secret")?,
            url: format!("mqtt://{address}"),
        })
    }
}

fn parse_device_id(text: &str) -> Result<String, String> {
    if text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err("expected 24 hexadecimal digits".to_owned())
    }
}

impl Transport {
    fn of_losant(self) -> losant::Transport {
        match self {
            Self::Tcp => losant::Transport::Tcp,
            Self::Tls => losant::Transport::Tls,
            Self::Ws => losant::Transport::WebSocket,
            Self::Wss => losant::Transport::SecureWebSocket,
        }
    }
}
