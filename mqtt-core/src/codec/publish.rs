use super::properties::Place;
use super::{
    DecodeError, EncodeError, FixedHeader, PacketIdentifier, PacketType, Properties, QoS, Reader,
    TopicName, Version, Writer,
};

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Publish<'a> {
    /// Whether it may have been sent before; never at QoS 0.
    pub dup: bool,
    /// How often it must arrive.
    pub qos: QoS,
    /// To the server: keep it for later subscribers. From the server: it was kept.
    pub retain: bool,
    /// Where it is published; empty only where a topic alias stands for it.
    pub topic: TopicName<'a>,
    /// Names the exchange at QoS 1 and 2; `None` at QoS 0.
    pub packet_identifier: Option<PacketIdentifier>,
    /// What goes with it.
    pub properties: Properties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

/// A message without its payload, as it is known when only the first bytes of a packet have arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PublishHead<'a> {
    /// Whether it may have been sent before; never at QoS 0.
    pub dup: bool,
    /// How often it must arrive.
    pub qos: QoS,
    /// To the server: keep it for later subscribers. From the server: it was kept.
    pub retain: bool,
    /// Where it is published; empty only where a topic alias stands for it.
    pub topic: TopicName<'a>,
    /// Names the exchange at QoS 1 and 2; `None` at QoS 0.
    pub packet_identifier: Option<PacketIdentifier>,
    /// What goes with it.
    pub properties: Properties<'a>,
    /// Number of bytes of the payload.
    pub payload_len: u32,
}

impl<'a> Publish<'a> {
    /// A message at QoS 0, not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_identifier: None,
            properties: Properties::NONE,
            payload,
        }
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// As [`PublishHead::encode`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let flags = flags(self.dup, self.qos, self.retain);
        let identifier = self.packet_identifier;
        let properties = &self.properties;
        let variable_header = VariableHeader::new(flags, self.topic, identifier, properties);
        let mut writer = Writer::new(out);
        variable_header.write_with_fixed_header(self.payload.len(), version, &mut writer)?;
        writer.bytes(self.payload)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(
        header: FixedHeader,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut head = PublishHead::empty();
        head.read(header.packet_type_and_flags, &mut reader, version)?;
        Ok(Self {
            dup: head.dup,
            qos: head.qos,
            retain: head.retain,
            topic: head.topic,
            packet_identifier: head.packet_identifier,
            properties: head.properties,
            payload: reader.rest(),
        })
    }
}

impl<'a> PublishHead<'a> {
    /// Decodes topic, packet identifier and properties from the first bytes behind the fixed header, and
    /// says how long they are.
    ///
    /// `Ok(None)` if `prefix` ends before the head does. Bytes of the payload in `prefix` do no harm.
    ///
    /// # Errors
    ///
    /// What is wrong with the head, see [`DecodeError`]; [`DecodeError::Truncated`] if it is longer than
    /// the packet.
    pub fn decode(
        header: FixedHeader,
        prefix: &'a [u8],
        version: Version,
    ) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut head = Self::empty();
        let len = head.decode_in_place(header, prefix, version)?;
        Ok(len.map(|len| (head, len)))
    }

    /// As [`decode`](Self::decode), into `self`.
    pub(crate) fn decode_in_place(
        &mut self,
        header: FixedHeader,
        prefix: &'a [u8],
        version: Version,
    ) -> Result<Option<usize>, DecodeError> {
        let packet = usize::try_from(header.remaining_length).unwrap_or(usize::MAX);
        let prefix = prefix.get(..packet).unwrap_or(prefix);
        let mut reader = Reader::new(prefix);
        match self.read(header.packet_type_and_flags, &mut reader, version) {
            Ok(()) => {
                let len = prefix.len().saturating_sub(reader.remaining());
                let payload_len = packet.saturating_sub(len);
                self.payload_len = u32::try_from(payload_len).unwrap_or(u32::MAX);
                Ok(Some(len))
            }
            Err(DecodeError::Truncated) if prefix.len() < packet => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes fixed header, topic, packet identifier and properties, and says how long they are; the
    /// `payload_len` bytes of payload must follow.
    ///
    /// # Errors
    ///
    /// [`EncodeError::InvalidValue`] for a packet identifier at QoS 0 or none above, DUP at QoS 0, or an
    /// empty topic without alias; [`EncodeError::TooLong`] if the packet is above 268,435,455 bytes;
    /// errors of the properties; [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let payload_len = usize::try_from(self.payload_len).unwrap_or(usize::MAX);
        let mut writer = Writer::new(out);
        self.variable_header()
            .write_with_fixed_header(payload_len, version, &mut writer)?;
        Ok(writer.len())
    }

    /// Writes what stands between the fixed header and the payload. For a payload whose length is known
    /// only when it is written: leave five bytes, write this and the payload, then the
    /// [`FixedHeader`] with [`first_byte`](Self::first_byte) in front.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn write_variable_header(
        &self,
        version: Version,
        writer: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        self.variable_header().write(version, writer)
    }

    /// Type and flags as they stand in the fixed header.
    #[must_use]
    pub const fn first_byte(&self) -> u8 {
        PacketType::Publish.first_byte() | flags(self.dup, self.qos, self.retain)
    }

    /// Length of topic, packet identifier and properties in bytes.
    #[must_use]
    pub fn variable_header_len(&self, version: Version) -> usize {
        self.variable_header().len(version)
    }

    #[inline]
    const fn variable_header(&self) -> VariableHeader<'_, 'a> {
        let flags = flags(self.dup, self.qos, self.retain);
        VariableHeader::new(flags, self.topic, self.packet_identifier, &self.properties)
    }

    /// What [`read`](Self::read) begins with. Made field by field: a constant would be copied by `memcpy`.
    #[inline]
    pub(crate) const fn empty() -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: TopicName::EMPTY,
            packet_identifier: None,
            properties: Properties::NONE,
            payload_len: 0,
        }
    }

    /// Leaves `payload_len` to the caller. The head comes back in `self`: as a value it would be copied on
    /// its way up.
    #[inline]
    fn read(
        &mut self,
        flags: u8,
        reader: &mut Reader<'a>,
        version: Version,
    ) -> Result<(), DecodeError> {
        self.dup = flags & DUP != 0;
        self.retain = flags & RETAIN != 0;
        self.qos = QoS::from_u8((flags & QOS_MASK) >> QOS_SHIFT).ok_or(DecodeError::QoS)?;
        self.topic = TopicName::read(reader)?;
        if self.qos != QoS::AtMostOnce {
            self.packet_identifier = Some(reader.packet_identifier()?);
        }
        self.properties.read(reader, version, Place::Publish)?;
        if self.topic.is_empty() && !has_alias(self.properties, version) {
            return Err(DecodeError::TopicEmpty);
        }
        Ok(())
    }
}

/// What [`Publish`] and [`PublishHead`] have in common when they are written. It borrows the properties,
/// so that encoding copies nothing but bytes of the packet.
#[derive(Clone, Copy)]
struct VariableHeader<'h, 'a> {
    flags: u8,
    topic: TopicName<'a>,
    packet_identifier: Option<PacketIdentifier>,
    properties: &'h Properties<'a>,
}

impl<'h, 'a> VariableHeader<'h, 'a> {
    #[inline]
    const fn new(
        flags: u8,
        topic: TopicName<'a>,
        packet_identifier: Option<PacketIdentifier>,
        properties: &'h Properties<'a>,
    ) -> Self {
        Self {
            flags,
            topic,
            packet_identifier,
            properties,
        }
    }

    #[inline]
    fn write_with_fixed_header(
        self,
        payload_len: usize,
        version: Version,
        writer: &mut Writer<'_>,
    ) -> Result<(), EncodeError> {
        let first = PacketType::Publish.first_byte() | self.flags;
        writer.fixed_header(first, self.len(version).saturating_add(payload_len))?;
        self.write(version, writer)
    }

    #[inline]
    fn write(self, version: Version, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.check(version)?;
        writer.binary(self.topic.as_bytes())?;
        if let Some(packet_identifier) = self.packet_identifier {
            writer.u16(packet_identifier.get())?;
        }
        self.properties.write(writer, version, Place::Publish)
    }

    #[inline]
    fn len(self, version: Version) -> usize {
        let identifier = self.packet_identifier.map_or(0, |_| 2);
        // Cannot overflow: a topic name has at most 65,535 bytes.
        let len = self.topic.len().wrapping_add(2).wrapping_add(identifier);
        if !version.is_v5() {
            return len;
        }
        len.saturating_add(self.properties.section_len(version))
    }

    #[inline]
    fn check(self, version: Version) -> Result<(), EncodeError> {
        let is_consistent = match self.packet_identifier {
            None => self.flags & (QOS_MASK | DUP) == 0,
            Some(_) => self.flags & QOS_MASK != 0,
        };
        let has_topic = !self.topic.is_empty() || has_alias(*self.properties, version);
        if is_consistent && has_topic {
            Ok(())
        } else {
            Err(EncodeError::InvalidValue)
        }
    }
}

const DUP: u8 = 0x08;
const QOS_MASK: u8 = 0x06;
const QOS_SHIFT: u8 = 1;
const RETAIN: u8 = 0x01;

/// MQTT 3.1.1 §3.3.1.
const fn flags(dup: bool, qos: QoS, retain: bool) -> u8 {
    let dup = if dup { DUP } else { 0 };
    dup | (qos as u8) << QOS_SHIFT | retain as u8
}

/// MQTT 5 §3.3.2.1: a topic alias stands for the empty topic.
#[inline]
fn has_alias(properties: Properties<'_>, version: Version) -> bool {
    version.is_v5() && properties.topic_alias().is_some()
}
