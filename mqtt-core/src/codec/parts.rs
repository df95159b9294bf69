//! The parts of a PUBLISH of MQTT 5 that was encoded before, for the few changes that are made when it is sent.

use super::{Reader, properties};

/// An encoded PUBLISH, taken apart. Topic and properties stand without their length.
pub(crate) struct PublishParts<'a> {
    pub(crate) topic: &'a [u8],
    /// Two bytes, or none at QoS 0.
    pub(crate) identifier: &'a [u8],
    pub(crate) properties: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl<'a> PublishParts<'a> {
    pub(crate) fn of(packet: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(packet);
        let first = reader.u8().ok()?;
        reader.variable_byte_integer().ok()?;
        let topic = reader.binary().ok()?;
        let has_identifier = first & 0x06 != 0;
        let identifier = reader.bytes(if has_identifier { 2 } else { 0 }).ok()?;
        let len = reader.variable_byte_integer().ok()?;
        let properties = reader.bytes(usize::try_from(len).ok()?).ok()?;
        Some(Self {
            topic,
            identifier,
            properties,
            payload: reader.rest(),
        })
    }

    /// Where in `packet` the Message Expiry Interval lies.
    pub(crate) fn expiry_interval_at(packet: &[u8]) -> Option<usize> {
        let parts = PublishParts::of(packet)?;
        let value = properties::value_at(parts.properties, 0x02)?;
        let behind = parts.properties.len().checked_add(parts.payload.len())?;
        packet.len().checked_sub(behind)?.checked_add(value)
    }
}
