use super::code;
use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketIdentifier, PacketType, Properties, Reader, ReasonCode,
    Version, Writer,
};

/// The body that PUBACK, PUBREC, PUBREL and PUBCOMP share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ack<'a> {
    /// The exchange that is answered.
    pub packet_identifier: PacketIdentifier,
    /// How it went; always [`ReasonCode::SUCCESS`] in 3.1.1, which has no field for it.
    pub code: ReasonCode,
    /// Reason string and user properties.
    pub properties: Properties<'a>,
}

/// Answer to a PUBLISH at QoS 1.
pub type PubAck<'a> = Ack<'a>;
/// First answer to a PUBLISH at QoS 2.
pub type PubRec<'a> = Ack<'a>;
/// Answer to PUBREC.
pub type PubRel<'a> = Ack<'a>;
/// Answer to PUBREL.
pub type PubComp<'a> = Ack<'a>;

impl<'a> Ack<'a> {
    /// An answer without reason code and properties.
    #[must_use]
    pub const fn new(packet_identifier: PacketIdentifier) -> Self {
        Self {
            packet_identifier,
            code: ReasonCode::SUCCESS,
            properties: Properties::NONE,
        }
    }

    /// Writes the packet as one of the four types, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PacketType`] for any other type, [`EncodeError::InvalidValue`] for a code that the
    /// type cannot have, errors of the properties, [`EncodeError::NoRoom`].
    pub fn encode(
        &self,
        packet_type: PacketType,
        version: Version,
        out: &mut [u8],
    ) -> Result<usize, EncodeError> {
        if !is_ack(packet_type) {
            return Err(EncodeError::PacketType);
        }
        if !version.is_v5() {
            return encode_ack(packet_type, self.packet_identifier, self.code, version, out);
        }
        if !self.code.is_of(packet_type) {
            return Err(EncodeError::InvalidValue);
        }
        if self.properties.is_empty() {
            return encode_ack(packet_type, self.packet_identifier, self.code, version, out);
        }
        let remaining_length = self.properties.section_len(version).saturating_add(3);
        let mut writer = Writer::new(out);
        writer.fixed_header(packet_type.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.get())?;
        writer.u8(self.code.value())?;
        self.properties.write(&mut writer, version, Place::Ack)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(
        packet_type: PacketType,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut ack = Self::new(reader.packet_identifier()?);
        let (code, properties) = (&mut ack.code, &mut ack.properties);
        code::read(packet_type, Place::Ack, reader, code, properties, version)?;
        Ok(ack)
    }
}

/// Writes PUBACK, PUBREC, PUBREL or PUBCOMP without properties: 4 bytes, or 5 with a code other than
/// success on MQTT 5. 3.1.1 has no field for the code, and it is left out.
///
/// # Errors
///
/// [`EncodeError::NoRoom`].
#[inline]
pub fn encode_ack(
    packet_type: PacketType,
    packet_identifier: PacketIdentifier,
    code: ReasonCode,
    version: Version,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let [high, low] = packet_identifier.get().to_be_bytes();
    let first = packet_type.first_byte();
    if version.is_v5() && code != ReasonCode::SUCCESS {
        let out = out.first_chunk_mut().ok_or(EncodeError::NoRoom)?;
        *out = [first, 3, high, low, code.value()];
        return Ok(out.len());
    }
    let out = out.first_chunk_mut().ok_or(EncodeError::NoRoom)?;
    *out = [first, 2, high, low];
    Ok(out.len())
}

const fn is_ack(packet_type: PacketType) -> bool {
    matches!(
        packet_type,
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp
    )
}
