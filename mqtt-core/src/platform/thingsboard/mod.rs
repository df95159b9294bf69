//! ThingsBoard: the device and the gateway API over MQTT.

mod attributes;
mod claim;
mod credentials;
mod downlink;
pub mod gateway;
mod limits;
pub mod provisioning;
mod requests;
mod rpc;
mod telemetry;
mod topics;
pub mod update;
mod uplink;

pub use attributes::{
    ATTRIBUTE_TIMEOUT_MS, AttributeKeys, AttributeResponse, AttributeUpdate, Keys,
};
pub use claim::Claim;
pub use credentials::{Credentials, CredentialsError};
pub use downlink::{BadPayload, Problem};
pub use limits::{BadRate, RateLimiter, Rates, SessionLimits, Traffic};
pub use requests::{Requests, Seen, SeenRequests};
pub use rpc::{RPC_TIMEOUT_MS, RpcRequest, RpcResponse};
pub use telemetry::Sample;
pub use topics::Topics;
pub use uplink::{Body, MAX_MESSAGE_LEN, Uplink};

/// The port of the server without TLS, by default.
pub const PORT: u16 = 1883;

/// The port of the server with TLS, by default.
pub const TLS_PORT: u16 = 8883;

/// A device: makes its messages, and reads those of the server. It has no state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Device {
    topics: Topics,
}

impl Device {
    /// A device that uses the topics which every server knows.
    #[must_use]
    pub const fn new() -> Self {
        Self { topics: Topics::V1 }
    }

    /// With other names of the topics.
    #[must_use]
    pub const fn topics(mut self, topics: Topics) -> Self {
        self.topics = topics;
        self
    }
}
