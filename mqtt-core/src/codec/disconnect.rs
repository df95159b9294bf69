use super::code;
use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketType, Properties, Reader, ReasonCode, Version, Writer,
};

/// The last packet of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Disconnect<'a> {
    /// Why; always [`ReasonCode::NORMAL_DISCONNECTION`] in 3.1.1, which has no field for it.
    pub code: ReasonCode,
    /// Reason string, user properties; session expiry from a client, server reference from a server.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A normal end.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            code: ReasonCode::NORMAL_DISCONNECTION,
            properties: Properties::NONE,
        }
    }

    /// Writes the packet, and says how long it is. In 3.1.1 the code is left out.
    ///
    /// # Errors
    ///
    /// [`EncodeError::InvalidValue`] for a code that DISCONNECT cannot have, errors of the properties,
    /// [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        let is_short = self.code == ReasonCode::NORMAL_DISCONNECTION && self.properties.is_empty();
        if !version.is_v5() || is_short {
            writer.bytes(&[PacketType::Disconnect.first_byte(), 0])?;
            return Ok(writer.len());
        }
        if !self.code.is_of(PacketType::Disconnect) {
            return Err(EncodeError::InvalidValue);
        }
        let remaining_length = self.properties.section_len(version).saturating_add(1);
        writer.fixed_header(PacketType::Disconnect.first_byte(), remaining_length)?;
        writer.u8(self.code.value())?;
        self.properties
            .write(&mut writer, version, Place::Disconnect)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut disconnect = Self::new();
        code::read(
            PacketType::Disconnect,
            Place::Disconnect,
            Reader::new(body),
            &mut disconnect.code,
            &mut disconnect.properties,
            version,
        )?;
        Ok(disconnect)
    }

    /// Reads a DISCONNECT in a client: 3.1.1 servers send none, and two things are for clients only.
    pub(crate) fn decode_from_server(
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        if !version.is_v5() {
            return Err(DecodeError::WrongDirection);
        }
        let disconnect = Self::decode(body, version)?;
        // [MQTT-3.14.2-2]
        let has_expiry = disconnect.properties.session_expiry_interval().is_some();
        if has_expiry || disconnect.code == ReasonCode::DISCONNECT_WITH_WILL_MESSAGE {
            return Err(DecodeError::WrongDirection);
        }
        Ok(disconnect)
    }
}

impl Default for Disconnect<'_> {
    fn default() -> Self {
        Self::new()
    }
}
