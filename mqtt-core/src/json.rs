//! Values written as JSON, by `serde`, where the payload is sent from.
//!
//! Made for small processors: no division, no floating point unless a value has it, no formatting, no panic. An integer
//! costs about 150 bytes of flash, where a library that divides takes 500 for that alone.

use serde::{
    Serialize, Serializer,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::codec::{EncodeError, Writer};

/// Writes `value` as JSON.
///
/// Byte strings (`serialize_bytes`) are written as they are: they are taken for JSON. Numbers that JSON does not have,
/// infinite ones for example, become `null`.
///
/// # Errors
///
/// [`EncodeError::NoRoom`] if it does not fit, [`EncodeError::InvalidValue`] if it cannot be written as JSON: a map whose keys
/// are no strings, 128-bit integers, an error of the value itself.
pub fn write_json<T: Serialize + ?Sized>(
    writer: &mut Writer<'_>,
    value: &T,
) -> Result<(), EncodeError> {
    let mut json = Json {
        writer,
        decimals: 0,
    };
    value.serialize(&mut json).map_err(|Failure(error)| error)
}

/// The name of the enum, as which a number with decimals announces itself: the index of its variant is their count.
pub(crate) const DECIMAL: &str = "$mqtt_core::Decimal";

/// Writes an integer.
pub(crate) fn write_u64(writer: &mut Writer<'_>, value: u64) -> Result<(), EncodeError> {
    write_number(writer, Number::positive(value), 0, &POWERS)
}

/// Writes an integer, or with decimals a number with a point.
pub(crate) fn write_i32(
    writer: &mut Writer<'_>,
    value: i32,
    decimals: u8,
) -> Result<(), EncodeError> {
    let number = Number {
        negative: value < 0,
        magnitude: value.unsigned_abs(),
    };
    write_number(writer, number, decimals, &SMALL_POWERS)
}

fn write_i64(writer: &mut Writer<'_>, value: i64, decimals: u8) -> Result<(), EncodeError> {
    let number = Number {
        negative: value < 0,
        magnitude: value.unsigned_abs(),
    };
    write_number(writer, number, decimals, &POWERS)
}

#[derive(Clone, Copy)]
struct Number<M> {
    negative: bool,
    magnitude: M,
}

impl<M> Number<M> {
    const fn positive(magnitude: M) -> Self
    where
        M: Copy,
    {
        Self {
            negative: false,
            magnitude,
        }
    }
}

/// Powers of ten in 64 bits, from the highest.
static POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut rest: &mut [u64] = &mut powers;
    let mut power = 1;
    while let Some((last, before)) = rest.split_last_mut() {
        *last = power;
        power = u64::wrapping_mul(power, 10);
        rest = before;
    }
    powers
};

/// Powers of ten in 32 bits, from the highest.
static SMALL_POWERS: [u32; 10] = {
    let mut powers = [1; 10];
    let mut rest: &mut [u32] = &mut powers;
    let mut power = 1;
    while let Some((last, before)) = rest.split_last_mut() {
        *last = power;
        power = u32::wrapping_mul(power, 10);
        rest = before;
    }
    powers
};

/// Digits by subtraction: a processor without a divider would link a routine of 400 bytes, or of a kilobyte for 64 bits.
fn write_number<M>(
    writer: &mut Writer<'_>,
    number: Number<M>,
    decimals: u8,
    powers: &[M],
) -> Result<(), EncodeError>
where
    M: Copy + PartialOrd + core::ops::Sub<Output = M>,
{
    if number.negative {
        writer.u8(b'-')?;
    }
    let decimals = usize::from(decimals);
    // Zeros that the powers do not reach.
    let mut places = powers.len().max(decimals.saturating_add(1));
    let mut rest = number.magnitude;
    let mut begun = false;
    while places > 0 {
        let mut digit = b'0';
        if let Some(at) = powers.len().checked_sub(places)
            && let Some(&power) = powers.get(at)
        {
            (digit, rest) = divide(rest, power);
        }
        places = places.wrapping_sub(1);
        begun |= digit != b'0' || places <= decimals;
        if begun {
            writer.u8(digit)?;
        }
        if places == decimals && places > 0 {
            writer.u8(b'.')?;
        }
    }
    Ok(())
}

/// The quotient, below ten, as a digit, and the remainder.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "only what is not larger is subtracted"
)]
fn divide<M>(mut rest: M, power: M) -> (u8, M)
where
    M: Copy + PartialOrd + core::ops::Sub<Output = M>,
{
    let mut digit = b'0';
    while rest >= power {
        rest = rest - power;
        digit = digit.wrapping_add(1);
    }
    (digit, rest)
}

/// Writes a string with its quotation marks.
fn write_str(writer: &mut Writer<'_>, string: &str) -> Result<(), EncodeError> {
    writer.u8(b'"')?;
    let mut rest = string.as_bytes();
    loop {
        let plain = rest.iter().position(|byte| is_special(*byte));
        let (head, tail) = rest
            .split_at_checked(plain.unwrap_or(rest.len()))
            .unwrap_or_default();
        writer.bytes(head)?;
        let Some((&special, tail)) = tail.split_first() else {
            return writer.u8(b'"');
        };
        escape(writer, special)?;
        rest = tail;
    }
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

fn escape(writer: &mut Writer<'_>, byte: u8) -> Result<(), EncodeError> {
    if byte >= 0x20 {
        return writer.bytes(&[b'\\', byte]);
    }
    let low = byte & 0x0f;
    let low = if low < 10 {
        b'0' | low
    } else {
        low.wrapping_add(b'a' - 10)
    };
    writer.bytes(b"\\u00")?;
    writer.bytes(&[b'0' | byte >> 4, low])
}

/// Writes one value.
struct Json<'w, 'b> {
    writer: &'w mut Writer<'b>,
    /// Of the number that comes next.
    decimals: u8,
}

/// An [`EncodeError`] as `serde` wants it.
#[derive(Debug)]
struct Failure(EncodeError);

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T>(_: T) -> Self {
        Self(EncodeError::InvalidValue)
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self(error)
    }
}

type Written = Result<(), Failure>;

impl Json<'_, '_> {
    fn bytes(&mut self, bytes: &[u8]) -> Written {
        Ok(self.writer.bytes(bytes)?)
    }

    /// Begins an object with one member, the variant of an enum; its value follows.
    fn variant(&mut self, variant: &str) -> Written {
        self.bytes(b"{")?;
        write_str(self.writer, variant)?;
        self.bytes(b":")
    }
}

impl<'s, 'w, 'b> Json<'w, 'b> {
    /// Begins an array or object.
    fn list(&'s mut self, brackets: Brackets) -> Result<List<'s, 'w, 'b>, Failure> {
        let opening = match brackets {
            Brackets::Array | Brackets::VariantArray => b'[',
            Brackets::Object | Brackets::VariantObject => b'{',
        };
        self.writer.u8(opening)?;
        Ok(List {
            json: self,
            brackets,
            is_empty: true,
        })
    }
}

impl<'s, 'w, 'b> Serializer for &'s mut Json<'w, 'b> {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = List<'s, 'w, 'b>;
    type SerializeTuple = List<'s, 'w, 'b>;
    type SerializeTupleStruct = List<'s, 'w, 'b>;
    type SerializeTupleVariant = List<'s, 'w, 'b>;
    type SerializeMap = List<'s, 'w, 'b>;
    type SerializeStruct = List<'s, 'w, 'b>;
    type SerializeStructVariant = List<'s, 'w, 'b>;

    fn serialize_bool(self, value: bool) -> Written {
        self.bytes(if value { b"true" } else { b"false" })
    }

    fn serialize_i8(self, value: i8) -> Written {
        self.serialize_i32(i32::from(value))
    }

    fn serialize_i16(self, value: i16) -> Written {
        self.serialize_i32(i32::from(value))
    }

    fn serialize_i32(self, value: i32) -> Written {
        Ok(write_i32(self.writer, value, self.decimals)?)
    }

    fn serialize_i64(self, value: i64) -> Written {
        Ok(write_i64(self.writer, value, self.decimals)?)
    }

    fn serialize_u8(self, value: u8) -> Written {
        self.serialize_u32(u32::from(value))
    }

    fn serialize_u16(self, value: u16) -> Written {
        self.serialize_u32(u32::from(value))
    }

    fn serialize_u32(self, value: u32) -> Written {
        let number = Number::positive(value);
        Ok(write_number(self.writer, number, 0, &SMALL_POWERS)?)
    }

    fn serialize_u64(self, value: u64) -> Written {
        Ok(write_u64(self.writer, value)?)
    }

    fn serialize_f32(self, value: f32) -> Written {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.bytes(ryu::Buffer::new().format_finite(value).as_bytes())
    }

    fn serialize_f64(self, value: f64) -> Written {
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.bytes(ryu::Buffer::new().format_finite(value).as_bytes())
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        Ok(write_str(self.writer, value)?)
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.bytes(value)
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        self.bytes(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        if name == DECIMAL {
            self.decimals = u8::try_from(index).unwrap_or(u8::MAX);
            let written = value.serialize(&mut *self);
            self.decimals = 0;
            return written;
        }
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.bytes(b"}")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Failure> {
        self.list(Brackets::Array)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Failure> {
        self.list(Brackets::Array)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Failure> {
        self.list(Brackets::Array)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failure> {
        self.variant(variant)?;
        self.list(Brackets::VariantArray)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Failure> {
        self.list(Brackets::Object)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Failure> {
        self.list(Brackets::Object)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Failure> {
        self.variant(variant)?;
        self.list(Brackets::VariantObject)
    }

    fn collect_str<T: core::fmt::Display + ?Sized>(self, value: &T) -> Written {
        self.bytes(b"\"")?;
        let mut text = Inside(self.writer, Ok(()));
        let formatted = core::fmt::Write::write_fmt(&mut text, format_args!("{value}"));
        text.1?;
        formatted.map_err(|_| EncodeError::InvalidValue)?;
        self.bytes(b"\"")
    }
}

/// Text that goes into a string, and what became of it.
struct Inside<'w, 'b>(&'w mut Writer<'b>, Result<(), EncodeError>);

impl core::fmt::Write for Inside<'_, '_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            self.1 = if is_special(byte) {
                escape(self.0, byte)
            } else {
                self.0.u8(byte)
            };
            if self.1.is_err() {
                return Err(core::fmt::Error);
            }
        }
        Ok(())
    }
}

/// What stands around the elements.
#[derive(Clone, Copy)]
enum Brackets {
    Array,
    Object,
    /// An array inside the object that names the variant.
    VariantArray,
    VariantObject,
}

/// An array or object that is being written.
struct List<'s, 'w, 'b> {
    json: &'s mut Json<'w, 'b>,
    brackets: Brackets,
    is_empty: bool,
}

impl List<'_, '_, '_> {
    fn separate(&mut self) -> Written {
        if core::mem::take(&mut self.is_empty) {
            return Ok(());
        }
        self.json.bytes(b",")
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.separate()?;
        value.serialize(&mut *self.json)
    }

    fn name(&mut self, name: &str) -> Written {
        self.separate()?;
        write_str(self.json.writer, name)?;
        self.json.bytes(b":")
    }

    fn close(self) -> Written {
        self.json.bytes(match self.brackets {
            Brackets::Array => b"]",
            Brackets::Object => b"}",
            Brackets::VariantArray => b"]}",
            Brackets::VariantObject => b"}}",
        })
    }
}

impl SerializeSeq for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeTuple for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeTupleStruct for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeTupleVariant for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.element(value)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeMap for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.separate()?;
        let mut name = Writer::new(self.json.writer.spare());
        write_json(&mut name, key)?;
        let len = name.len();
        if self.json.writer.spare().first() != Some(&b'"') {
            return Err(Failure(EncodeError::InvalidValue));
        }
        self.json.writer.advance(len)?;
        self.json.bytes(b":")
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeStruct for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written {
        self.name(name)?;
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Written {
        self.close()
    }
}

impl SerializeStructVariant for List<'_, '_, '_> {
    type Ok = ();
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written {
        self.name(name)?;
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Written {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    use proptest::prelude::*;
    use serde::Serialize;

    use super::write_json;
    use crate::codec::{EncodeError, Writer};

    fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
        let mut out = vec![0; 0x10_0000];
        let mut writer = Writer::new(&mut out);
        write_json(&mut writer, value)?;
        let len = writer.len();
        Ok(String::from_utf8(out[..len].to_vec()).unwrap())
    }

    #[derive(Serialize)]
    enum Kind {
        Unit,
        New(u8),
        Tuple(u8, bool),
        Struct { a: Option<u8> },
    }

    #[derive(Serialize)]
    struct Everything<'a> {
        unit: (),
        text: &'a str,
        letter: char,
        none: Option<u8>,
        some: Option<i8>,
        list: &'a [u16],
        empty: [u8; 0],
        pair: (i16, f64),
        kinds: [Kind; 4],
        map: BTreeMap<&'a str, f32>,
    }

    #[test]
    fn every_type_is_written_as_serde_json_writes_it() {
        let everything = Everything {
            unit: (),
            text: "é\u{1f600}/ ",
            letter: 'x',
            none: None,
            some: Some(-128),
            list: &[1, 65_535],
            empty: [],
            pair: (-5, 0.1),
            kinds: [
                Kind::Unit,
                Kind::New(1),
                Kind::Tuple(2, true),
                Kind::Struct { a: None },
            ],
            map: BTreeMap::from([("a", 1.5), ("b", f32::NAN)]),
        };
        assert_eq!(
            json(&everything).unwrap(),
            serde_json::to_string(&everything).unwrap()
        );
        assert_eq!(
            json(&core::net::Ipv4Addr::LOCALHOST).unwrap(),
            "\"127.0.0.1\""
        );
    }

    #[test]
    fn integers_at_their_edges_are_written_in_full() {
        for value in [0, 1, 9, 10, 99, 1_000_000_000, u32::MAX] {
            assert_eq!(json(&value).unwrap(), value.to_string());
        }
        for value in [i32::MIN, -10, -1, 0, i32::MAX] {
            assert_eq!(json(&value).unwrap(), value.to_string());
        }
        for value in [0, 10_000_000_000_000_000_000, u64::MAX] {
            assert_eq!(json(&value).unwrap(), value.to_string());
        }
        for value in [i64::MIN, 0, i64::MAX] {
            assert_eq!(json(&value).unwrap(), value.to_string());
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert_eq!(
            json(&BTreeMap::from([(1, 2)])),
            Err(EncodeError::InvalidValue)
        );
        assert_eq!(json(&1_u128), Err(EncodeError::InvalidValue));
        let not_text = std::path::Path::new(std::ffi::OsStr::new("x"));
        assert_eq!(json(not_text).unwrap(), "\"x\"");
    }

    #[test]
    fn a_buffer_too_small_is_always_told() {
        let value = (
            ["a\"b", "\n"],
            Some(1.5),
            Kind::Struct { a: Some(7) },
            BTreeMap::from([("k", i64::MIN)]),
        );
        let len = json(&value).unwrap().len();
        for room in 0..len {
            let mut out = vec![0; room];
            let written = write_json(&mut Writer::new(&mut out), &value);
            assert_eq!(written, Err(EncodeError::NoRoom));
        }
        assert!(write_json(&mut Writer::new(&mut vec![0; len]), &value).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_means_what_was_meant(
            text: String,
            numbers: Vec<i64>,
            floats: Vec<f32>,
            map: BTreeMap<String, Option<u32>>,
        ) {
            let value = (text, numbers, floats, map);
            let ours: serde_json::Value = serde_json::from_str(&json(&value).unwrap()).unwrap();
            let theirs = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&theirs).unwrap());
        }

        #[test]
        fn integers_are_written_as_the_standard_library_does(small: i32, large: i64, positive: u64) {
            prop_assert_eq!(json(&small).unwrap(), format!("{small}"));
            prop_assert_eq!(json(&large).unwrap(), format!("{large}"));
            prop_assert_eq!(json(&positive).unwrap(), format!("{positive}"));
        }
    }
}
