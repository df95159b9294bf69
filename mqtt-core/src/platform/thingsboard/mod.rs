//! ThingsBoard: the device and the gateway API over MQTT.
//!
//! A device that sends telemetry, takes a setting and answers calls, on any client:
//!
//! ```
//! use mqtt_core::{Publication, codec::Subscription, platform::ApplicationMessage, session::Options};
//! use mqtt_core::platform::thingsboard::{AttributeUpdate, BadPayload, Credentials, Device};
//!
//! const DEVICE: Device = Device::new();
//! const SUBSCRIPTIONS: [Subscription<'static>; 2] = [DEVICE.attribute_updates(), DEVICE.rpc_requests()];
//!
//! fn options<'a>(credentials: &Credentials<'a>) -> Options<'a> {
//!     DEVICE.options(credentials).subscriptions(&SUBSCRIPTIONS)
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Reading { temperature: i16, door_open: bool }
//!
//! fn telemetry(reading: &Reading) -> impl Publication + '_ {
//!     DEVICE.telemetry(reading) // or telemetry_at(unix_ms, reading)
//! }
//!
//! /// What a received message asks for; `reply` publishes.
//! fn take<'m>(message: impl ApplicationMessage<'m> + Copy, interval_s: &mut u32, reply: impl FnOnce(&dyn Publication)) -> Result<(), BadPayload> {
//!     if let Some(AttributeUpdate::Changed(changed)) = DEVICE.attribute_update(message)? {
//!         *interval_s = changed.member("interval").and_then(|value| value.integer()).unwrap_or(*interval_s);
//!     } else if let Some(call) = DEVICE.rpc_request(message)? {
//!         reply(&DEVICE.rpc_reply(call.id, &(call.method == "ping")));
//!     }
//!     Ok(())
//! }
//! # let mut interval_s = 60;
//! # take(("v1/devices/me/attributes", &br#"{"interval":5}"#[..]), &mut interval_s, |_| panic!("no call"))?;
//! # assert_eq!(interval_s, 5);
//! # let mut count = 0;
//! # take(("v1/devices/me/rpc/request/0", &br#"{"method":"ping"}"#[..]), &mut interval_s, |_| count += 1)?;
//! # assert_eq!(count, 1);
//! # assert_eq!(options(&Credentials::access_token("A1_TEST_TOKEN").unwrap()).user_name, Some("A1_TEST_TOKEN"));
//! # let _ = telemetry(&Reading { temperature: 21, door_open: false });
//! # Ok::<(), BadPayload>(())
//! ```
//!
//! With the client of this crate `message` is what `Inbox::next` gave, `&message`; and
//! publishing is `Client::publish`. Numbers with a point need no floating point: see
//! [`Decimal`](crate::platform::Decimal).
//!
//! # What there is
//!
//! | function | here | topic (v1; [`Topics`] has the short ones) |
//! | --- | --- | --- |
//! | connect | [`Credentials`], [`Device::options`] | |
//! | telemetry | [`telemetry`](Device::telemetry), [`telemetry_at`](Device::telemetry_at), [`telemetry_batch`](Device::telemetry_batch) | `v1/devices/me/telemetry` |
//! | attributes of the device | [`attributes`](Device::attributes) | `v1/devices/me/attributes` |
//! | changes, deletions | [`attribute_updates`](Device::attribute_updates), [`attribute_update`](Device::attribute_update) | `v1/devices/me/attributes` |
//! | asking for attributes | [`attribute_request`](Device::attribute_request), [`attribute_response`](Device::attribute_response), [`Requests`] | `v1/devices/me/attributes/request/ID`, `../response/ID` |
//! | calls by the server | [`rpc_requests`](Device::rpc_requests), [`rpc_request`](Device::rpc_request), [`rpc_reply`](Device::rpc_reply), [`SeenRequests`] | `v1/devices/me/rpc/request/ID`, `../response/ID` |
//! | calls of the server | [`rpc`](Device::rpc), [`rpc_response`](Device::rpc_response), [`Requests`] | the same, the other way round |
//! | limits | [`session_limits_request`](Device::session_limits_request), [`SessionLimits`], [`RateLimiter`] | as a call |
//! | claim | [`claim`](Device::claim) | `v1/devices/me/claim` |
//! | provisioning | [`provisioning`] | `/provision/request`, `/provision/response` |
//! | gateway | [`gateway`] | `v1/gateway/..` |
//! | firmware and software | [`update`] | `v2/fw/..`, `v2/sw/..`, and attributes |
//!
//! Not here: Sparkplug B, and protobuf payloads.
//!
//! # Limits
//!
//! | what | limit | |
//! | --- | --- | --- |
//! | QoS | 0 and 1 | there is no way to say 2 |
//! | retained messages | none | there is no way to say so |
//! | topic and payload of a message | 65,536 bytes | refused when published |
//! | number of a request | 2,147,483,647 | refused when published; larger ones of the server are ignored |
//! | silence | 600 s | the options' keep-alive is 60 s |
//! | rates | of the tenant profile | [`RateLimiter`], if it is used |
//! | answer of the rule chain | 60 s | [`RPC_TIMEOUT_MS`] |
//!
//! # Traps, and what becomes of them
//!
//! Where the public documentation and the server differ, this follows the server.
//!
//! | the server | here |
//! | --- | --- |
//! | says in CONNACK that it kept a session, but never does | a clean session, and subscribed anew on each link |
//! | compares filters as texts: `v1/devices/me/#` is refused, and so is the filter for chunks that the official SDKs use | the exact filters, as functions |
//! | answers without a subscription, too | topics are told apart by name, not by subscription |
//! | uses the same topics for calls in both directions | told apart by direction |
//! | closes the link for a payload that it does not like; the session repeats it on the next one | such payloads are refused before; the options set a message aside after three links |
//! | acknowledges QoS 2 like QoS 1 | not offered |
//! | takes `{"ts":..,"t":..}` for a value named `ts` | refused; times go to [`telemetry_at`](Device::telemetry_at) |
//! | takes keys as one string, and does not trim it | keys are joined; what cannot be asked for is refused |
//! | sends a deletion as a member `deleted`, which may be an attribute, too | a deletion only if it is an array of strings |
//! | does not answer a request that failed | [`Requests`] has time-outs |
//! | ends a call of the device after 60 s, even one that was answered, so that a number used again is ended early | numbers of [`Requests`] are not used again |
//! | repeats calls after every subscription | [`SeenRequests`] |
//! | answers `getSessionLimits` on the v1 topic only | asked for there, the answer is read on both |
//! | offers firmware by changed attributes, not as the documentation says by answers | [`update`] reads both |
//! | sends an empty chunk when it forgot the package | not taken for the end: asked for again under a new number |
//! | tells refusals of software on the topic of firmware | they are for whichever is being fetched |
//! | never acknowledges a request for a chunk that it refuses | asked for at QoS 0 |
//! | writes CRC-32 and Murmur3 least significant byte first | compared so |

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
