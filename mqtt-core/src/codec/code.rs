//! Reason codes on the wire of MQTT 5: which packet may have which, and how they stand before properties.

use super::properties::Place;
use super::{DecodeError, PacketType, Properties, Reader, ReasonCode, Version};

impl ReasonCode {
    /// Whether such a packet can have the code (MQTT 5 §2.4, table 2-6).
    pub(crate) fn is_of(self, packet_type: PacketType) -> bool {
        let types = match self.0 {
            0x00 => return true,
            0x01 | 0x02 => SUBACK,
            0x04 => DISCONNECT,
            0x10 => ACK,
            0x11 => UNSUBACK,
            0x18 | 0x19 => AUTH,
            error => {
                let index = usize::from(error).wrapping_sub(0x80);
                ERRORS.get(index).copied().unwrap_or_default()
            }
        };
        types & 1u16.wrapping_shl(packet_type as u32) != 0
    }
}

/// Takes a code and the properties behind it, both of which may be missing, and with them the packet ends.
pub(super) fn read<'a>(
    packet_type: PacketType,
    place: Place,
    mut reader: Reader<'a>,
    code: &mut ReasonCode,
    properties: &mut Properties<'a>,
    version: Version,
) -> Result<(), DecodeError> {
    if version.is_v5() && !reader.is_empty() {
        *code = ReasonCode(reader.u8()?);
        if !code.is_of(packet_type) {
            return Err(DecodeError::ReasonCode);
        }
        if !reader.is_empty() {
            properties.read(&mut reader, version, place)?;
        }
    }
    reader.finish()
}

const CONNACK: u16 = 1 << PacketType::ConnAck as u8;
/// PUBACK and PUBREC.
const ACK: u16 = 1 << PacketType::PubAck as u8 | 1 << PacketType::PubRec as u8;
/// PUBREL and PUBCOMP.
const PUBREL: u16 = 1 << PacketType::PubRel as u8 | 1 << PacketType::PubComp as u8;
const SUBACK: u16 = 1 << PacketType::SubAck as u8;
const UNSUBACK: u16 = 1 << PacketType::UnsubAck as u8;
const DISCONNECT: u16 = 1 << PacketType::Disconnect as u8;
const AUTH: u16 = 1 << PacketType::Auth as u8;

/// Who may have a code, from 0x80 on.
static ERRORS: [u16; 0x23] = [
    CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT, // 80
    CONNACK | DISCONNECT,                           // 81
    CONNACK | DISCONNECT,                           // 82
    CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT, // 83
    CONNACK,                                        // 84
    CONNACK,                                        // 85
    CONNACK,                                        // 86
    CONNACK | ACK | SUBACK | UNSUBACK | DISCONNECT, // 87
    CONNACK,                                        // 88
    CONNACK | DISCONNECT,                           // 89
    CONNACK,                                        // 8a
    DISCONNECT,                                     // 8b
    CONNACK,                                        // 8c
    DISCONNECT,                                     // 8d
    DISCONNECT,                                     // 8e
    SUBACK | UNSUBACK | DISCONNECT,                 // 8f
    CONNACK | ACK | DISCONNECT,                     // 90
    ACK | SUBACK | UNSUBACK,                        // 91
    PUBREL,                                         // 92
    DISCONNECT,                                     // 93
    DISCONNECT,                                     // 94
    CONNACK | DISCONNECT,                           // 95
    DISCONNECT,                                     // 96
    CONNACK | ACK | SUBACK | DISCONNECT,            // 97
    DISCONNECT,                                     // 98
    CONNACK | ACK | DISCONNECT,                     // 99
    CONNACK | DISCONNECT,                           // 9a
    CONNACK | DISCONNECT,                           // 9b
    CONNACK | DISCONNECT,                           // 9c
    CONNACK | DISCONNECT,                           // 9d
    SUBACK | DISCONNECT,                            // 9e
    CONNACK | DISCONNECT,                           // 9f
    DISCONNECT,                                     // a0
    SUBACK | DISCONNECT,                            // a1
    SUBACK | DISCONNECT,                            // a2
];

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn codes(packet_type: PacketType) -> Vec<u8> {
        (0..=0xff)
            .filter(|code| ReasonCode(*code).is_of(packet_type))
            .collect()
    }

    /// MQTT 5 [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2]
    /// MQTT 5 [MQTT-3.14.2-1] [MQTT-3.15.2-1]
    #[test]
    fn each_packet_has_the_codes_of_its_section_in_the_standard() {
        let puback = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
        assert_eq!(codes(PacketType::PubAck), puback);
        assert_eq!(codes(PacketType::PubRec), puback);
        assert_eq!(codes(PacketType::PubRel), [0x00, 0x92]);
        assert_eq!(codes(PacketType::PubComp), [0x00, 0x92]);
        assert_eq!(
            codes(PacketType::ConnAck),
            [
                0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90,
                0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
            ]
        );
        assert_eq!(
            codes(PacketType::SubAck),
            [
                0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
            ]
        );
        assert_eq!(
            codes(PacketType::UnsubAck),
            [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]
        );
        assert_eq!(
            codes(PacketType::Disconnect),
            [
                0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93,
                0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1,
                0xa2,
            ]
        );
        assert_eq!(codes(PacketType::Auth), [0x00, 0x18, 0x19]);
    }
}
