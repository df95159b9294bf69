//! Properties on the wire. All 27 are handled by their kind of value, from one table; names come in with
//! [`Property`] only.

use super::property::ListOps;
use super::{Place, Property, Raw};
use crate::codec::fixed_header::variable_byte_integer_len;
use crate::codec::text::{self, Text};
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// Where properties come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A list of the user, and what can be done with it. The functions are named only where such a list is
    /// made, so that a program which makes none does not link them.
    Listed(&'a [Property<'a>], &'static ListOps),
    /// Bytes that [`read`] found legal.
    Received(&'a [u8]),
}

impl<'a> Source<'a> {
    pub(super) const NONE: Self = Self::Received(&[]);

    pub(super) const fn is_empty(self) -> bool {
        match self {
            Self::Listed(list, _) => list.is_empty(),
            Self::Received(bytes) => bytes.is_empty(),
        }
    }

    /// The value of the first property `id`, which is a number of fixed length.
    pub(super) fn integer(self, id: u8) -> Option<u32> {
        match self {
            Self::Listed(mut list, ops) => (ops.find)(&mut list, id).map(|raw| raw.integer),
            Self::Received(mut bytes) => find(&mut bytes, id).map(integer),
        }
    }

    /// The value of the first property `id`, which is a string or data.
    pub(super) fn data(self, id: u8) -> Option<&'a [u8]> {
        match self {
            Self::Listed(mut list, ops) => (ops.find)(&mut list, id).map(|raw| raw.bytes),
            Self::Received(mut bytes) => find(&mut bytes, id)?.get(2..),
        }
    }
}

impl Default for Source<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

/// Iterator over properties from either source.
#[derive(Clone)]
pub(super) struct Iter<'a>(Source<'a>);

impl<'a> Iter<'a> {
    pub(super) const fn new(source: Source<'a>) -> Self {
        Self(source)
    }

    /// Drops all properties before the next `id`, and takes that one.
    pub(super) fn next_of(&mut self, id: u8) -> Option<Raw<'a>> {
        match &mut self.0 {
            Source::Listed(list, ops) => (ops.find)(list, id),
            Source::Received(bytes) => find(bytes, id).map(|value| Raw::received(id, value)),
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let id = match self.0 {
            Source::Listed(list, _) => list.first()?.identifier(),
            Source::Received(bytes) => *bytes.first()?,
        };
        self.next_of(id)
    }
}

/// Where in received or encoded properties the value of the first property `id` begins.
pub(crate) fn value_at(properties: &[u8], id: u8) -> Option<usize> {
    let mut rest = properties;
    let value = find(&mut rest, id)?;
    properties
        .len()
        .checked_sub(rest.len())?
        .checked_sub(value.len())
}

/// Takes a property section and checks all of it.
pub(super) fn read<'a>(reader: &mut Reader<'a>, place: Place) -> Result<&'a [u8], DecodeError> {
    let len = reader.variable_byte_integer()?;
    let bytes = reader.bytes(len as usize)?;
    check(bytes, place)?;
    Ok(bytes)
}

/// Writes a property section and checks all of it.
pub(super) fn write(
    source: Source<'_>,
    writer: &mut Writer<'_>,
    place: Place,
) -> Result<(), EncodeError> {
    let len = encoded_len(source);
    writer.variable_byte_integer(u32::try_from(len).map_err(|_| EncodeError::TooLong)?)?;
    let mut section = Writer::new(writer.spare());
    match source {
        Source::Listed(list, ops) => (ops.write)(list, &mut section)?,
        Source::Received(bytes) => section.bytes(bytes)?,
    }
    // The rules are the reader's, applied to what was written.
    let written = writer.spare().get(..len).unwrap_or_default();
    check(written, place).map_err(|error| match error {
        DecodeError::PropertyNotAllowed => EncodeError::PropertyNotAllowed,
        DecodeError::PropertyTwice => EncodeError::PropertyTwice,
        _ => EncodeError::InvalidValue,
    })?;
    writer.advance(len)
}

/// Length with the property length in front.
pub(super) fn section_len(source: Source<'_>) -> usize {
    let len = encoded_len(source);
    variable_byte_integer_len(len).saturating_add(len)
}

fn encoded_len(source: Source<'_>) -> usize {
    match source {
        Source::Listed(list, ops) => (ops.encoded_len)(list),
        Source::Received(bytes) => bytes.len(),
    }
}

/// The rules for a whole section.
fn check(section: &[u8], place: Place) -> Result<(), DecodeError> {
    let mut walk = Walk::new(section);
    while !walk.rest.is_empty() {
        walk.step()?;
        walk.check(place)?;
    }
    // MQTT 5 §3.1.2.11.10
    if has(section, AUTHENTICATION_DATA) && !has(section, AUTHENTICATION_METHOD) {
        return Err(DecodeError::AuthenticationMethod);
    }
    Ok(())
}

fn has(mut section: &[u8], id: u8) -> bool {
    find(&mut section, id).is_some()
}

/// Drops all properties before the next `id`, takes that one, and gives its value as on the wire.
fn find<'a>(section: &mut &'a [u8], id: u8) -> Option<&'a [u8]> {
    let mut walk = Walk::new(section);
    while walk.step().is_ok() {
        if walk.id == id {
            *section = walk.rest.rest();
            return Some(walk.value);
        }
    }
    None
}

/// A walk through a section, property by property.
struct Walk<'a> {
    rest: Reader<'a>,
    id: u8,
    shape: Shape,
    /// As on the wire.
    value: &'a [u8],
}

impl<'a> Walk<'a> {
    const fn new(section: &'a [u8]) -> Self {
        Self {
            rest: Reader::new(section),
            id: 0,
            shape: NO,
            value: section,
        }
    }

    /// Takes one property, without a look at its value.
    fn step(&mut self) -> Result<(), DecodeError> {
        // An identifier is a variable byte integer, but all that exist have one byte.
        self.id = self.rest.u8()?;
        self.shape = Shape::of(self.id).ok_or(DecodeError::UnknownProperty)?;
        let value = self.rest.rest();
        skip(self.shape.kind(), &mut self.rest).map_err(|error| match error {
            DecodeError::Truncated => DecodeError::PropertyLength,
            error => error,
        })?;
        let len = value.len().wrapping_sub(self.rest.remaining());
        self.value = value.get(..len).unwrap_or_default();
        Ok(())
    }

    /// Whether the property may stand there, only once, and with this value.
    fn check(&self, place: Place) -> Result<(), DecodeError> {
        if !self.shape.allows(place) {
            return Err(DecodeError::PropertyNotAllowed);
        }
        let may_repeat = self.id == USER_PROPERTY
            || self.id == SUBSCRIPTION_IDENTIFIER && place == Place::Publish;
        if !may_repeat && has(self.rest.rest(), self.id) {
            return Err(DecodeError::PropertyTwice);
        }
        match self.shape.kind() {
            // Booleans, and the Maximum QoS, which may only be 0 or 1.
            Kind::Byte if integer(self.value) > 1 => Err(DecodeError::PropertyValue),
            Kind::String | Kind::Pair => self.check_text(),
            _ if self.shape.is_never_zero() && self.value.iter().all(|byte| *byte == 0) => {
                Err(match self.id {
                    TOPIC_ALIAS => DecodeError::TopicAlias,
                    _ => DecodeError::PropertyValue,
                })
            }
            _ => Ok(()),
        }
    }

    /// A response topic is a topic name [MQTT-3.3.2-14].
    fn check_text(&self) -> Result<(), DecodeError> {
        let mut strings = Reader::new(self.value);
        let is_topic = self.id == RESPONSE_TOPIC;
        while !strings.is_empty() {
            let string = strings.binary()?;
            match text::classify(string) {
                Text::Invalid => return Err(DecodeError::String),
                Text::Wildcard if is_topic => return Err(DecodeError::PropertyValue),
                _ if is_topic && string.is_empty() => return Err(DecodeError::TopicEmpty),
                _ => {}
            }
        }
        Ok(())
    }
}

fn skip(kind: Kind, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match kind {
        Kind::VariableByte => return reader.variable_byte_integer().map(|_| ()),
        Kind::String | Kind::Binary => {}
        Kind::Pair => {
            reader.binary()?;
        }
        fixed => return reader.bytes(1usize.wrapping_shl(fixed as u32)).map(|_| ()),
    }
    reader.binary().map(|_| ())
}

/// A number of fixed length.
fn integer(value: &[u8]) -> u32 {
    value
        .iter()
        .fold(0, |integer, byte| integer << 8 | u32::from(*byte))
}

impl<'a> Raw<'a> {
    fn received(id: u8, value: &'a [u8]) -> Self {
        let mut reader = Reader::new(value);
        let mut raw = Self {
            id,
            ..Self::default()
        };
        match Shape::of(id).map(Shape::kind) {
            Some(Kind::VariableByte) => {
                raw.integer = reader.variable_byte_integer().unwrap_or_default();
            }
            Some(Kind::String | Kind::Binary | Kind::Pair) => {
                raw.bytes = reader.binary().unwrap_or_default();
                raw.value = reader.binary().unwrap_or_default();
            }
            _ => raw.integer = integer(value),
        }
        raw
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        let Some(shape) = Shape::of(self.id) else {
            return Err(EncodeError::InvalidValue);
        };
        writer.u8(self.id)?;
        let [_, _, high, low] = self.integer.to_be_bytes();
        match shape.kind() {
            Kind::Byte => writer.u8(low),
            Kind::TwoByte => writer.bytes(&[high, low]),
            Kind::FourByte => writer.u32(self.integer),
            Kind::VariableByte => writer.variable_byte_integer(self.integer),
            Kind::String | Kind::Binary => writer.binary(self.bytes),
            Kind::Pair => {
                writer.binary(self.bytes)?;
                writer.binary(self.value)
            }
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        let value = match Shape::of(self.id).map(Shape::kind) {
            None => 0,
            Some(Kind::Byte) => 1,
            Some(Kind::TwoByte) => 2,
            Some(Kind::FourByte) => 4,
            Some(Kind::VariableByte) => variable_byte_integer_len(self.integer as usize),
            Some(Kind::String | Kind::Binary) => self.bytes.len().saturating_add(2),
            Some(Kind::Pair) => {
                (self.bytes.len().saturating_add(4)).saturating_add(self.value.len())
            }
        };
        value.saturating_add(1)
    }
}

const RESPONSE_TOPIC: u8 = 0x08;
const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
const AUTHENTICATION_METHOD: u8 = 0x15;
const AUTHENTICATION_DATA: u8 = 0x16;
const TOPIC_ALIAS: u8 = 0x23;
const USER_PROPERTY: u8 = 0x26;

/// How a value is written (MQTT 5 table 2-4). The first three are the logarithm of their length.
#[derive(Clone, Copy)]
enum Kind {
    Byte,
    TwoByte,
    FourByte,
    VariableByte,
    String,
    Binary,
    Pair,
}

/// Kind in the upper bits, one bit per [`Place`] below, and between them whether zero is forbidden.
#[derive(Clone, Copy)]
struct Shape(u16);

impl Shape {
    fn of(id: u8) -> Option<Self> {
        let shape = *TABLE.get(usize::from(id))?;
        (shape.0 != 0).then_some(shape)
    }

    const fn kind(self) -> Kind {
        match self.0 >> 12 {
            0 => Kind::Byte,
            1 => Kind::TwoByte,
            2 => Kind::FourByte,
            3 => Kind::VariableByte,
            4 => Kind::String,
            5 => Kind::Binary,
            _ => Kind::Pair,
        }
    }

    const fn allows(self, place: Place) -> bool {
        self.0 & 1u16.wrapping_shl(place as u32) != 0
    }

    const fn is_never_zero(self) -> bool {
        self.0 & NEVER_ZERO != 0
    }
}

const CONNECT: u16 = 1 << Place::Connect as u8;
const CONNACK: u16 = 1 << Place::ConnAck as u8;
const PUBLISH: u16 = 1 << Place::Publish as u8;
const WILL: u16 = 1 << Place::Will as u8;
const ACK: u16 = 1 << Place::Ack as u8;
const SUBSCRIBE: u16 = 1 << Place::Subscribe as u8;
const DISCONNECT: u16 = 1 << Place::Disconnect as u8;
const AUTH: u16 = 1 << Place::Auth as u8;
const ALL: u16 = 0x1ff;
const NEVER_ZERO: u16 = 1 << 11;

const fn shape(kind: Kind, places: u16) -> Shape {
    Shape((kind as u16) << 12 | places)
}

const NO: Shape = Shape(0);

/// By property identifier.
const TABLE: [Shape; 0x2b] = [
    NO,
    shape(Kind::Byte, PUBLISH | WILL), // 01 payload format indicator
    shape(Kind::FourByte, PUBLISH | WILL), // 02 message expiry interval
    shape(Kind::String, PUBLISH | WILL), // 03 content type
    NO,
    NO,
    NO,
    NO,
    shape(Kind::String, PUBLISH | WILL), // 08 response topic
    shape(Kind::Binary, PUBLISH | WILL), // 09 correlation data
    NO,
    shape(Kind::VariableByte, PUBLISH | SUBSCRIBE | NEVER_ZERO), // 0b subscription identifier
    NO,
    NO,
    NO,
    NO,
    NO,
    shape(Kind::FourByte, CONNECT | CONNACK | DISCONNECT), // 11 session expiry interval
    shape(Kind::String, CONNACK),                          // 12 assigned client identifier
    shape(Kind::TwoByte, CONNACK),                         // 13 server keep alive
    NO,
    shape(Kind::String, CONNECT | CONNACK | AUTH), // 15 authentication method
    shape(Kind::Binary, CONNECT | CONNACK | AUTH), // 16 authentication data
    shape(Kind::Byte, CONNECT),                    // 17 request problem information
    shape(Kind::FourByte, WILL),                   // 18 will delay interval
    shape(Kind::Byte, CONNECT),                    // 19 request response information
    shape(Kind::String, CONNACK),                  // 1a response information
    NO,
    shape(Kind::String, CONNACK | DISCONNECT), // 1c server reference
    NO,
    NO,
    shape(Kind::String, CONNACK | ACK | DISCONNECT | AUTH), // 1f reason string
    NO,
    shape(Kind::TwoByte, CONNECT | CONNACK | NEVER_ZERO), // 21 receive maximum
    shape(Kind::TwoByte, CONNECT | CONNACK),              // 22 topic alias maximum
    shape(Kind::TwoByte, PUBLISH | NEVER_ZERO),           // 23 topic alias
    shape(Kind::Byte, CONNACK),                           // 24 maximum QoS
    shape(Kind::Byte, CONNACK),                           // 25 retain available
    shape(Kind::Pair, ALL),                               // 26 user property
    shape(Kind::FourByte, CONNECT | CONNACK | NEVER_ZERO), // 27 maximum packet size
    shape(Kind::Byte, CONNACK),                           // 28 wildcard subscription available
    shape(Kind::Byte, CONNACK),                           // 29 subscription identifier available
    shape(Kind::Byte, CONNACK),                           // 2a shared subscription available
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Receive maximum 8, as it stands in CONNACK.
    const RECEIVED: [u8; 3] = [0x21, 0, 8];

    #[test]
    fn received_properties_are_sent_on_only_where_they_are_allowed() {
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer);
        let source = Source::Received(&RECEIVED);
        assert_eq!(
            write(source, &mut writer, Place::Publish),
            Err(EncodeError::PropertyNotAllowed)
        );

        let mut writer = Writer::new(&mut buffer);
        assert_eq!(write(source, &mut writer, Place::ConnAck), Ok(()));
        assert_eq!(writer.len(), section_len(source));
        assert_eq!(buffer[..4], [3, 0x21, 0, 8]);
    }

    #[test]
    fn a_value_is_found_where_it_begins() {
        let properties = [0x01, 1, 0x26, 0, 1, b'a', 0, 1, b'b', 0x02, 0, 0, 0, 9];
        assert_eq!(value_at(&properties, 0x01), Some(1));
        assert_eq!(value_at(&properties, 0x26), Some(3));
        assert_eq!(value_at(&properties, 0x02), Some(10));
        assert_eq!(value_at(&properties, 0x03), None);
    }
}
