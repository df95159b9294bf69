//! Properties on the wire. All 27 are handled by their kind of value, from one table; names come in with
//! [`Property`] only.

use super::{Place, Property, Raw};
use crate::codec::fixed_header::variable_byte_integer_len;
use crate::codec::text::{self, Text};
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// Where properties come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Listed(&'a [Property<'a>]),
    /// Bytes that [`read`] found legal.
    Received(&'a [u8]),
}

impl Default for Source<'_> {
    fn default() -> Self {
        Self::Listed(&[])
    }
}

/// Iterator over properties from either source.
#[derive(Clone)]
pub(super) struct Iter<'a>(Source<'a>);

impl<'a> Iter<'a> {
    pub(super) const fn new(source: Source<'a>) -> Self {
        Self(source)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        match &mut self.0 {
            Source::Listed(list) => {
                let (first, rest) = list.split_first()?;
                *list = rest;
                Some(first.to_raw())
            }
            Source::Received(bytes) => {
                let mut reader = Reader::new(bytes);
                let raw = Raw::read(&mut reader).ok()?;
                *bytes = reader.rest();
                Some(raw)
            }
        }
    }
}

/// Where in received or encoded properties the value of the first property `id` begins.
pub(crate) fn value_at(properties: &[u8], id: u8) -> Option<usize> {
    let mut reader = Reader::new(properties);
    loop {
        let at = properties.len().checked_sub(reader.remaining())?;
        if Raw::read(&mut reader).ok()?.id == id {
            return at.checked_add(1);
        }
    }
}

/// Takes a property section and checks all of it.
pub(super) fn read<'a>(reader: &mut Reader<'a>, place: Place) -> Result<&'a [u8], DecodeError> {
    let len = reader.variable_byte_integer()?;
    let bytes = reader.bytes(len as usize)?;
    let mut section = Reader::new(bytes);
    let mut seen = Seen::default();
    while !section.is_empty() {
        let raw = Raw::read(&mut section)?;
        raw.check(place)?;
        if seen.twice(&raw, place) {
            return Err(DecodeError::PropertyTwice);
        }
    }
    if seen.data_without_method() {
        return Err(DecodeError::AuthenticationMethod);
    }
    Ok(bytes)
}

/// Writes a property section and checks all of it.
pub(super) fn write(
    source: Source<'_>,
    writer: &mut Writer<'_>,
    place: Place,
) -> Result<(), EncodeError> {
    let len = u32::try_from(encoded_len(source)).map_err(|_| EncodeError::TooLong)?;
    writer.variable_byte_integer(len)?;
    let mut seen = Seen::default();
    for raw in Iter::new(source) {
        raw.check(place).map_err(|error| match error {
            DecodeError::PropertyNotAllowed => EncodeError::PropertyNotAllowed,
            _ => EncodeError::InvalidValue,
        })?;
        if seen.twice(&raw, place) {
            return Err(EncodeError::PropertyTwice);
        }
        raw.write(writer)?;
    }
    if seen.data_without_method() {
        return Err(EncodeError::InvalidValue);
    }
    Ok(())
}

/// Length with the property length in front.
pub(super) fn section_len(source: Source<'_>) -> usize {
    let len = encoded_len(source);
    variable_byte_integer_len(len).saturating_add(len)
}

fn encoded_len(source: Source<'_>) -> usize {
    if let Source::Received(bytes) = source {
        return bytes.len();
    }
    Iter::new(source).fold(0, |len, raw| len.saturating_add(raw.encoded_len()))
}

impl<'a> Raw<'a> {
    /// Takes one property, without a look at its value.
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // An identifier is a variable byte integer, but all that exist have one byte.
        let id = reader.u8()?;
        let shape = Shape::of(id).ok_or(DecodeError::UnknownProperty)?;
        let mut raw = Self {
            id,
            ..Self::default()
        };
        raw.read_value(shape.kind(), reader)
            .map_err(|error| match error {
                DecodeError::Truncated => DecodeError::PropertyLength,
                error => error,
            })?;
        Ok(raw)
    }

    fn read_value(&mut self, kind: Kind, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match kind {
            Kind::Byte => self.integer = reader.u8()?.into(),
            Kind::TwoByte => self.integer = reader.u16()?.into(),
            Kind::FourByte => self.integer = reader.u32()?,
            Kind::VariableByte => self.integer = reader.variable_byte_integer()?,
            Kind::String | Kind::Binary => self.bytes = reader.binary()?,
            Kind::Pair => {
                self.bytes = reader.binary()?;
                self.value = reader.binary()?;
            }
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
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

    fn encoded_len(&self) -> usize {
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

    /// Whether the property may stand there, and with this value.
    fn check(&self, place: Place) -> Result<(), DecodeError> {
        let shape = Shape::of(self.id).ok_or(DecodeError::UnknownProperty)?;
        if !shape.allows(place) {
            return Err(DecodeError::PropertyNotAllowed);
        }
        match shape.kind() {
            // Booleans, and the Maximum QoS, which may only be 0 or 1.
            Kind::Byte if self.integer > 1 => return Err(DecodeError::PropertyValue),
            Kind::String => check_text(self.bytes)?,
            Kind::Pair => {
                check_text(self.bytes)?;
                check_text(self.value)?;
            }
            _ => {}
        }
        match self.id {
            RESPONSE_TOPIC => check_topic(self.bytes),
            TOPIC_ALIAS if self.integer == 0 => Err(DecodeError::TopicAlias),
            SUBSCRIPTION_IDENTIFIER | RECEIVE_MAXIMUM | MAXIMUM_PACKET_SIZE
                if self.integer == 0 =>
            {
                Err(DecodeError::PropertyValue)
            }
            _ => Ok(()),
        }
    }
}

fn check_text(bytes: &[u8]) -> Result<(), DecodeError> {
    match text::classify(bytes) {
        Text::Invalid => Err(DecodeError::String),
        _ => Ok(()),
    }
}

/// A response topic is a topic name [MQTT-3.3.2-14]; it was checked as a string before.
fn check_topic(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::TopicEmpty);
    }
    match text::classify(bytes) {
        Text::Plain => Ok(()),
        _ => Err(DecodeError::TopicWildcard),
    }
}

const RESPONSE_TOPIC: u8 = 0x08;
const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
const AUTHENTICATION_METHOD: u8 = 0x15;
const AUTHENTICATION_DATA: u8 = 0x16;
const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS: u8 = 0x23;
const USER_PROPERTY: u8 = 0x26;
const MAXIMUM_PACKET_SIZE: u8 = 0x27;

/// Which properties came by already: a bit each, in two words because identifiers go up to 42.
#[derive(Default)]
struct Seen {
    low: u32,
    high: u32,
}

impl Seen {
    /// Notes a property, and says if it came by before and must not come again.
    fn twice(&mut self, raw: &Raw<'_>, place: Place) -> bool {
        let bit = bit(raw.id);
        let word = if raw.id < 32 {
            &mut self.low
        } else {
            &mut self.high
        };
        let before = *word & bit != 0;
        *word |= bit;
        let may_repeat =
            raw.id == USER_PROPERTY || raw.id == SUBSCRIPTION_IDENTIFIER && place == Place::Publish;
        before && !may_repeat
    }

    /// MQTT 5 §3.1.2.11.10: authentication data needs a method.
    const fn data_without_method(&self) -> bool {
        self.low & bit(AUTHENTICATION_DATA) != 0 && self.low & bit(AUTHENTICATION_METHOD) == 0
    }
}

const fn bit(id: u8) -> u32 {
    1u32.wrapping_shl(id as u32)
}

/// How a value is written (MQTT 5 table 2-4).
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

/// Kind in the upper bits, one bit per [`Place`] below.
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
    shape(Kind::VariableByte, PUBLISH | SUBSCRIBE), // 0b subscription identifier
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
    shape(Kind::TwoByte, CONNECT | CONNACK), // 21 receive maximum
    shape(Kind::TwoByte, CONNECT | CONNACK), // 22 topic alias maximum
    shape(Kind::TwoByte, PUBLISH),           // 23 topic alias
    shape(Kind::Byte, CONNACK),              // 24 maximum QoS
    shape(Kind::Byte, CONNACK),              // 25 retain available
    shape(Kind::Pair, ALL),                  // 26 user property
    shape(Kind::FourByte, CONNECT | CONNACK), // 27 maximum packet size
    shape(Kind::Byte, CONNACK),              // 28 wildcard subscription available
    shape(Kind::Byte, CONNACK),              // 29 subscription identifier available
    shape(Kind::Byte, CONNACK),              // 2a shared subscription available
];
