use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketType, Properties, Reader, ReasonCode, Version, Writer,
};

/// The answer of the server to CONNECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnAck<'a> {
    /// Whether the server goes on with a session that it kept.
    pub session_present: bool,
    /// As on the wire: a return code 0 to 5 in 3.1.1, a reason code in MQTT 5. Both have zero for success. When a
    /// server that knows 3.1.1 only refuses MQTT 5, [`ReasonCode::UNSUPPORTED_PROTOCOL_VERSION`].
    pub code: ReasonCode,
    /// What the server grants and limits.
    pub properties: Properties<'a>,
}

/// The body by which a server that knows 3.1.1 only has to refuse a CONNECT of MQTT 5 (MQTT 3.1.1 [MQTT-3.1.2-2]).
const UNACCEPTABLE_PROTOCOL_VERSION: [u8; 2] = [0, 1];

impl<'a> ConnAck<'a> {
    /// The code in the words of MQTT 5, whatever version it came in.
    #[must_use]
    pub const fn reason(&self, version: Version) -> ReasonCode {
        if version.is_v5() {
            return self.code;
        }
        match self.code.0 {
            0 => ReasonCode::SUCCESS,
            1 => ReasonCode::UNSUPPORTED_PROTOCOL_VERSION,
            2 => ReasonCode::CLIENT_IDENTIFIER_NOT_VALID,
            3 => ReasonCode::SERVER_UNAVAILABLE,
            4 => ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            5 => ReasonCode::NOT_AUTHORIZED,
            _ => ReasonCode::UNSPECIFIED_ERROR,
        }
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::InvalidValue`] for a code that CONNACK cannot have or a refusal with a session,
    /// errors of the properties, [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        if check(self.session_present, self.code, version).is_err() {
            return Err(EncodeError::InvalidValue);
        }
        let remaining_length = self.properties.section_len(version).saturating_add(2);
        let mut writer = Writer::new(out);
        writer.fixed_header(PacketType::ConnAck.first_byte(), remaining_length)?;
        writer.u8(self.session_present.into())?;
        writer.u8(self.code.value())?;
        self.properties
            .write(&mut writer, version, Place::ConnAck)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        let code = ReasonCode(reader.u8()?);
        if flags > 1 {
            return Err(DecodeError::ReservedBits);
        }
        let mut connack = Self {
            session_present: flags == 1,
            code,
            properties: Properties::NONE,
        };
        if version.is_v5() && body == UNACCEPTABLE_PROTOCOL_VERSION {
            connack.code = ReasonCode::UNSUPPORTED_PROTOCOL_VERSION;
            return Ok(connack);
        }
        check(connack.session_present, code, version)?;
        connack
            .properties
            .read(&mut reader, version, Place::ConnAck)?;
        reader.finish()?;
        Ok(connack)
    }
}

fn check(session_present: bool, code: ReasonCode, version: Version) -> Result<(), DecodeError> {
    if !is_code(code, version) {
        return Err(DecodeError::ReasonCode);
    }
    // [MQTT-3.2.2-4], MQTT 5 [MQTT-3.2.2-6]
    if session_present && code.0 != 0 {
        return Err(DecodeError::SessionPresent);
    }
    Ok(())
}

/// MQTT 3.1.1 table 3.1, MQTT 5 §3.2.2.2.
fn is_code(code: ReasonCode, version: Version) -> bool {
    if version.is_v5() {
        code.is_of(PacketType::ConnAck)
    } else {
        code.0 <= 5
    }
}
