use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketIdentifier, PacketType, Properties, QoS, Reader, ReasonCode,
    Version, Writer,
};

/// The answer of the server to SUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SubAck<'a> {
    /// The exchange that is answered.
    pub packet_identifier: PacketIdentifier,
    /// Reason string and user properties.
    pub properties: Properties<'a>,
    codes: &'a [u8],
}

/// The answer of the server to UNSUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnsubAck<'a> {
    /// The exchange that is answered.
    pub packet_identifier: PacketIdentifier,
    /// Reason string and user properties.
    pub properties: Properties<'a>,
    codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    /// An answer without properties; one code for each filter: 0, 1 or 2 for the granted QoS, 0x80 (and
    /// in MQTT 5 other reason codes) for a refusal.
    #[must_use]
    pub const fn new(packet_identifier: PacketIdentifier, codes: &'a [u8]) -> Self {
        Self {
            packet_identifier,
            properties: Properties::NONE,
            codes,
        }
    }

    /// What became of each filter, in the order of the SUBSCRIBE.
    #[must_use]
    pub fn codes(&self) -> impl ExactSizeIterator<Item = Result<QoS, ReasonCode>> + use<'a> {
        self.codes
            .iter()
            .map(|code| QoS::from_u8(*code).ok_or(ReasonCode(*code)))
    }

    /// The codes as on the wire.
    #[must_use]
    pub const fn raw_codes(&self) -> &'a [u8] {
        self.codes
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::EmptyList`] without a code, [`EncodeError::InvalidValue`] for one that SUBACK
    /// cannot have, errors of the properties, [`EncodeError::TooLong`], [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        check(PacketType::SubAck, self.codes, version).map_err(encode_error)?;
        encode(
            PacketType::SubAck,
            self.packet_identifier,
            self.properties,
            self.codes,
            version,
            out,
        )
    }

    /// Reads a SUBACK, or an UNSUBACK in its form.
    #[inline]
    pub(crate) fn decode(
        packet_type: PacketType,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut suback = Self::new(reader.packet_identifier()?, &[]);
        suback.properties.read(&mut reader, version, Place::Ack)?;
        suback.codes = reader.rest();
        check(packet_type, suback.codes, version)?;
        Ok(suback)
    }

    pub(crate) const fn into_unsuback(self) -> UnsubAck<'a> {
        UnsubAck {
            packet_identifier: self.packet_identifier,
            properties: self.properties,
            codes: self.codes,
        }
    }
}

impl<'a> UnsubAck<'a> {
    /// An answer without properties; in MQTT 5 one code for each filter, in 3.1.1 none.
    #[must_use]
    pub const fn new(packet_identifier: PacketIdentifier, codes: &'a [u8]) -> Self {
        Self {
            packet_identifier,
            properties: Properties::NONE,
            codes,
        }
    }

    /// What became of each filter, in the order of the UNSUBSCRIBE; empty in 3.1.1.
    #[must_use]
    pub fn codes(&self) -> impl ExactSizeIterator<Item = ReasonCode> + use<'a> {
        self.codes.iter().map(|code| ReasonCode(*code))
    }

    /// The codes as on the wire; empty in 3.1.1.
    #[must_use]
    pub const fn raw_codes(&self) -> &'a [u8] {
        self.codes
    }

    /// Writes the packet, and says how long it is. In 3.1.1 the codes are left out.
    ///
    /// # Errors
    ///
    /// [`EncodeError::EmptyList`] without a code in MQTT 5, [`EncodeError::InvalidValue`] for one that
    /// UNSUBACK cannot have, errors of the properties, [`EncodeError::TooLong`], [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let codes = if version.is_v5() { self.codes } else { &[] };
        check(PacketType::UnsubAck, codes, version).map_err(encode_error)?;
        encode(
            PacketType::UnsubAck,
            self.packet_identifier,
            self.properties,
            codes,
            version,
            out,
        )
    }
}

fn encode(
    packet_type: PacketType,
    packet_identifier: PacketIdentifier,
    properties: Properties<'_>,
    codes: &[u8],
    version: Version,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let remaining_length = properties
        .section_len(version)
        .saturating_add(codes.len())
        .saturating_add(2);
    let mut writer = Writer::new(out);
    writer.fixed_header(packet_type.first_byte(), remaining_length)?;
    writer.u16(packet_identifier.get())?;
    properties.write(&mut writer, version, Place::Ack)?;
    writer.bytes(codes)?;
    Ok(writer.len())
}

const fn encode_error(error: DecodeError) -> EncodeError {
    match error {
        DecodeError::EmptyList => EncodeError::EmptyList,
        _ => EncodeError::InvalidValue,
    }
}

#[inline]
fn check(packet_type: PacketType, codes: &[u8], version: Version) -> Result<(), DecodeError> {
    let is_unsuback = packet_type == PacketType::UnsubAck;
    if is_unsuback && !version.is_v5() {
        // 3.1.1 §3.11: a packet identifier and nothing else.
        return Reader::new(codes).finish();
    }
    if codes.is_empty() {
        return Err(DecodeError::EmptyList);
    }
    let are_legal = codes
        .iter()
        .all(|code| is_code(packet_type, *code, version));
    if are_legal {
        Ok(())
    } else {
        Err(DecodeError::ReasonCode)
    }
}

/// MQTT 3.1.1 §3.9.3, MQTT 5 §3.9.3 and §3.11.3.
#[inline]
fn is_code(packet_type: PacketType, code: u8, version: Version) -> bool {
    if version.is_v5() {
        ReasonCode(code).is_of(packet_type)
    } else {
        matches!(code, 0..=2 | 0x80)
    }
}
