//! Claiming: a user takes a device over.

use crate::{
    codec::{EncodeError, Writer},
    json::write_u64,
    platform::json::ObjectWriter,
};

use super::{
    Device,
    uplink::{Body, Uplink},
};

/// Makes a device claimable, for whoever knows the secret.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim<'a> {
    /// What the user must know. `None`: nothing.
    pub secret_key: Option<&'a str>,
    /// How long, in milliseconds. `None`: as the server is set, by default for 24 hours.
    pub duration_ms: Option<u64>,
}

impl Device {
    /// Makes this device claimable. There is no answer: PUBACK says only that the message was taken. A second claim does
    /// not replace one that is pending.
    pub const fn claim<'a>(&self, claim: Claim<'a>) -> Uplink<'a, impl Body + use<'a>> {
        Uplink::new("v1/devices/me/claim", claim)
    }
}

impl Body for Claim<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut object = ObjectWriter::new(payload)?;
        object.text("secretKey", self.secret_key)?;
        if let Some(duration_ms) = self.duration_ms {
            write_u64(object.name("durationMs")?, duration_ms)?;
        }
        object.end()
    }
}

impl core::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Claim")
            .field("duration_ms", &self.duration_ms)
            .finish_non_exhaustive()
    }
}
