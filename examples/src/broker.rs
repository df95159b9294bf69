//! A broker inside the program, so that an example runs with nothing installed.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use mqtt5::broker::config::{AuthConfig, StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};

/// A broker for MQTT 3.1.1 and 5 on a free port of 127.0.0.1. It keeps everything in memory and lets everybody in,
/// which is harmless only because nobody outside this machine can reach it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    address: SocketAddr,
}

impl EmbeddedBroker {
    /// Starts the broker on the current tokio runtime. It runs until the runtime ends.
    ///
    /// # Errors
    ///
    /// When no port can be opened on 127.0.0.1.
    pub async fn start() -> anyhow::Result<Self> {
        let mut broker = Box::pin(MqttBroker::with_config(config()))
            .await
            .context("cannot start the embedded broker")?;
        let address = broker
            .local_addr()
            .context("the embedded broker has no address")?;
        tokio::spawn(async move { Box::pin(broker.run()).await });
        Ok(Self { address })
    }

    /// The address as a URL, such as `mqtt://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

fn config() -> BrokerConfig {
    let memory = StorageConfig::new()
        .with_backend(StorageBackend::Memory)
        .with_persistence(false);
    BrokerConfig::default()
        .with_bind_address((Ipv4Addr::LOCALHOST, 0))
        .with_auth(AuthConfig::new().with_allow_anonymous(true))
        .with_storage(memory)
        .with_sys_topics_enabled(false)
}
