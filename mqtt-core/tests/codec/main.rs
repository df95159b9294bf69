//! Packets and bytes.

mod packets;
#[cfg(feature = "v5")]
mod v5;
