use super::code;
use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketType, Properties, Reader, ReasonCode, Version, Writer,
};

/// A step of extended authentication (MQTT 5 §3.15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Auth<'a> {
    /// [`ReasonCode::SUCCESS`], [`ReasonCode::CONTINUE_AUTHENTICATION`], or from a client
    /// [`ReasonCode::RE_AUTHENTICATE`].
    pub code: ReasonCode,
    /// Authentication method, authentication data, reason string, user properties.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketType`] for 3.1.1, [`EncodeError::InvalidValue`] for a code that AUTH cannot
    /// have or a missing authentication method, errors of the properties, [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::PacketType);
        }
        let is_short = self.code == ReasonCode::SUCCESS && self.properties.is_empty();
        let has_method = self.properties.has_authentication_method();
        if !self.code.is_of(PacketType::Auth) || !is_short && !has_method {
            return Err(EncodeError::InvalidValue);
        }
        let mut writer = Writer::new(out);
        if is_short {
            writer.fixed_header(PacketType::Auth.first_byte(), 0)?;
            return Ok(writer.len());
        }
        let remaining_length = self.properties.section_len(version).saturating_add(1);
        writer.fixed_header(PacketType::Auth.first_byte(), remaining_length)?;
        writer.u8(self.code.value())?;
        self.properties.write(&mut writer, version, Place::Auth)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        if !version.is_v5() {
            return Err(DecodeError::PacketType);
        }
        let mut auth = Self {
            code: ReasonCode::SUCCESS,
            properties: Properties::NONE,
        };
        code::read(
            PacketType::Auth,
            Place::Auth,
            Reader::new(body),
            &mut auth.code,
            &mut auth.properties,
            version,
        )?;
        // Without a body it is a success without properties (§3.15.2.1), else they must be there.
        match body {
            [] => Ok(auth),
            [_] => Err(DecodeError::Truncated),
            _ if auth.properties.has_authentication_method() => Ok(auth),
            _ => Err(DecodeError::AuthenticationMethod),
        }
    }

    /// Reads an AUTH in a client, to whom no server sends "re-authenticate".
    pub(crate) fn decode_from_server(
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let auth = Self::decode(body, version)?;
        if auth.code == ReasonCode::RE_AUTHENTICATE {
            return Err(DecodeError::WrongDirection);
        }
        Ok(auth)
    }
}
