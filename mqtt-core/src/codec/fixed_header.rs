use super::writer::MAX_REMAINING_LENGTH;
use super::{DecodeError, EncodeError, Reader, Version, Writer};

/// The fifteen kinds of packet (MQTT 5 §2.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum PacketType {
    /// The client asks for a connection.
    Connect = 1,
    /// The server accepts or refuses it.
    ConnAck,
    /// A message.
    Publish,
    /// Answer to a PUBLISH at QoS 1.
    PubAck,
    /// First answer to a PUBLISH at QoS 2.
    PubRec,
    /// Answer to PUBREC.
    PubRel,
    /// Answer to PUBREL, the end of a QoS 2 exchange.
    PubComp,
    /// The client asks for subscriptions.
    Subscribe,
    /// Answer to SUBSCRIBE.
    SubAck,
    /// The client ends subscriptions.
    Unsubscribe,
    /// Answer to UNSUBSCRIBE.
    UnsubAck,
    /// The client asks for a sign of life.
    PingReq,
    /// Answer to PINGREQ.
    PingResp,
    /// The end of the connection; from the server only in MQTT 5.
    Disconnect,
    /// A step of extended authentication, only in MQTT 5.
    Auth,
}

/// What every packet starts with: type, flags and the number of bytes that follow (MQTT 3.1.1 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FixedHeader {
    /// Type in the upper four bits, flags in the lower.
    pub packet_type_and_flags: u8,
    /// Length of the packet behind the fixed header, at most 268,435,455.
    pub remaining_length: u32,
}

impl FixedHeader {
    /// Takes the fixed header from the front of a stream, and says how long it is (2 to 5 bytes).
    ///
    /// `Ok(None)` when more bytes are needed. A bad first byte is refused without waiting for a second.
    ///
    /// # Errors
    ///
    /// Malformed: [`DecodeError::PacketType`], [`DecodeError::ReservedBits`], [`DecodeError::QoS`],
    /// [`DecodeError::Dup`], [`DecodeError::VariableByteInteger`] (the shortest form is required in both
    /// versions).
    #[inline]
    pub fn decode(bytes: &[u8], version: Version) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let Ok(packet_type_and_flags) = reader.u8() else {
            return Ok(None);
        };
        check_first_byte(packet_type_and_flags, version)?;
        let remaining_length = match reader.variable_byte_integer() {
            Ok(remaining_length) => remaining_length,
            Err(DecodeError::Truncated) => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = Self {
            packet_type_and_flags,
            remaining_length,
        };
        let len = bytes.len().wrapping_sub(reader.remaining());
        Ok(Some((header, len)))
    }

    /// Writes the header to the front of `out` and says how long it is (2 to 5 bytes).
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] if the remaining length is above 268,435,455, [`EncodeError::NoRoom`].
    pub fn encode(self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        let remaining_length = usize::try_from(self.remaining_length).unwrap_or(usize::MAX);
        writer.fixed_header(self.packet_type_and_flags, remaining_length)?;
        Ok(writer.len())
    }

    /// The kind of packet. Of a header that [`decode`](Self::decode) would refuse, the answer means nothing.
    #[must_use]
    pub const fn packet_type(self) -> PacketType {
        match self.packet_type_and_flags >> 4 {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            _ => PacketType::Auth,
        }
    }

    /// Length of the fixed header of a packet with `remaining` bytes behind it: 2 to 5.
    #[must_use]
    pub const fn len_of(remaining: usize) -> usize {
        variable_byte_integer_len(remaining).wrapping_add(1)
    }

    /// The largest remaining length: 268,435,455.
    pub const MAX_REMAINING_LENGTH: u32 = MAX_REMAINING_LENGTH;
}

impl PacketType {
    /// The first byte of such a packet; PUBLISH adds its flags.
    pub(crate) const fn first_byte(self) -> u8 {
        (self as u8) << 4 | required_flags(self as u8)
    }
}

/// Number of bytes of a variable byte integer: 1 to 4.
pub(crate) const fn variable_byte_integer_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[inline]
const fn check_first_byte(byte: u8, version: Version) -> Result<(), DecodeError> {
    let packet_type = byte >> 4;
    let flags = byte & 0x0f;
    if packet_type == 0 || packet_type == 15 && !version.is_v5() {
        return Err(DecodeError::PacketType);
    }
    if packet_type == PacketType::Publish as u8 {
        return check_publish_flags(flags);
    }
    if flags != required_flags(packet_type) {
        return Err(DecodeError::ReservedBits);
    }
    Ok(())
}

/// MQTT 3.1.1 §2.2.2: 0b0010 for PUBREL, SUBSCRIBE and UNSUBSCRIBE, else zero.
const fn required_flags(packet_type: u8) -> u8 {
    // One bit per type: a shift is shorter and faster than a comparison with each.
    const WITH_FLAG: u16 = 1 << 6 | 1 << 8 | 1 << 10;
    let has_flag = WITH_FLAG.wrapping_shr(packet_type as u32) & 1;
    (has_flag as u8) << 1
}

const fn check_publish_flags(flags: u8) -> Result<(), DecodeError> {
    if flags & 0x06 == 0x06 {
        return Err(DecodeError::QoS);
    }
    // [MQTT-3.3.1-2]
    if flags & 0x0e == 0x08 {
        return Err(DecodeError::Dup);
    }
    Ok(())
}
