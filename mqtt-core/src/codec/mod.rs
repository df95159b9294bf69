//! Bytes to packets and packets to bytes. Knows nothing of sessions or time.
//!
//! ```
//! use mqtt_core::codec::{FixedHeader, Packet, Publish, QoS, TopicName, Version};
//!
//! let publish = Publish::new(TopicName::new("dw/demo")?, b"21.5");
//! let mut buffer = [0; 64];
//! let len = publish.encode(Version::V3_1_1, &mut buffer)?;
//!
//! let bytes = &buffer[..len];
//! let (header, header_len) = FixedHeader::decode(bytes, Version::V3_1_1)?.ok_or("more bytes needed")?;
//! let packet = Packet::decode(header, &bytes[header_len..], Version::V3_1_1)?;
//! assert_eq!(packet, Packet::Publish(publish));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Decoding is strict: whatever the standard calls malformed or a protocol error, and can be told from
//! the packet alone, is a [`DecodeError`]. Encoding refuses what the standard forbids a sender.
//! Decoded packets borrow the bytes they came from; nothing is copied.

mod ack;
#[cfg(feature = "v5")]
mod auth;
mod code;
mod connack;
mod connect;
mod disconnect;
mod error;
mod fixed_header;
mod packet;
#[cfg(feature = "v5")]
mod parts;
mod properties;
mod publish;
mod qos;
mod reader;
mod reason_code;
mod suback;
mod subscribe;
pub(crate) mod text;
mod topic;
mod unsubscribe;
mod writer;

pub use ack::{Ack, PubAck, PubComp, PubRec, PubRel, encode_ack};
#[cfg(feature = "v5")]
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use error::{DecodeError, EncodeError, Fault};
pub use fixed_header::{FixedHeader, PacketType};
pub use packet::{Packet, encode_ping_req};
#[cfg(feature = "v5")]
pub(crate) use parts::PublishParts;
#[cfg(feature = "v5")]
pub use properties::Property;
pub use properties::{Properties, SubscriptionIdentifiers, UserProperties};
pub use publish::{Publish, PublishHead};
pub use qos::{PacketIdentifier, QoS, Version};
pub use reader::Reader;
pub use reason_code::ReasonCode;
pub use suback::{SubAck, UnsubAck};
pub use subscribe::{RetainHandling, Subscribe, Subscription, Subscriptions};
pub use topic::{TopicError, TopicFilter, TopicName};
pub use unsubscribe::{TopicFilters, Unsubscribe};
pub use writer::Writer;
