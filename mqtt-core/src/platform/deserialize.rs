//! Values of an application, read by `serde` from JSON that was checked before.

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
        VariantAccess, Visitor, value::StrDeserializer,
    },
};

use super::json::{Elements, JsonError, JsonStr, Members, RawJson};

/// Reads a value. Strings with escape sequences are resolved in `buffer`, one after the other.
pub(super) fn read<'de, T: Deserialize<'de>>(
    json: RawJson<'de>,
    buffer: &mut [u8],
) -> Result<T, JsonError> {
    T::deserialize(Value { json, buffer }).map_err(|Failure(error)| error)
}

/// The name of the newtype, as which a type asks for the JSON itself.
const RAW: &str = "$mqtt_core::RawJson";

/// Reads what `read` makes of the JSON itself.
pub(super) fn from_raw<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    read: fn(RawJson<'de>) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(RAW, RawVisitor { expected, read })
}

struct RawVisitor<'de, T> {
    expected: &'static str,
    read: fn(RawJson<'de>) -> Option<T>,
}

impl<'de, T> Visitor<'de> for RawVisitor<'de, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<T, E> {
        (self.read)(RawJson::from_checked(bytes)).ok_or_else(|| E::custom(self.expected))
    }
}

/// A [`JsonError`] as `serde` wants it.
#[derive(Debug)]
struct Failure(JsonError);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T>(_: T) -> Self {
        TYPE
    }
}

const TYPE: Failure = Failure(JsonError::Type);

/// A value that is to be read.
struct Value<'de, 'b> {
    json: RawJson<'de>,
    buffer: &'b mut [u8],
}

impl<'de> Value<'de, '_> {
    fn integer<T: TryFrom<i64>>(&self) -> Result<T, Failure> {
        self.json.integer().ok_or(TYPE)
    }

    fn number<T: core::str::FromStr>(&self) -> Result<T, Failure> {
        self.json.number().ok_or(TYPE)?;
        self.json.as_str().parse().map_err(|_| TYPE)
    }

    fn string(&self) -> Result<JsonStr<'de>, Failure> {
        self.json.string().ok_or(TYPE)
    }
}

fn visit_string<'de, V: Visitor<'de>>(
    string: JsonStr<'de>,
    buffer: &mut [u8],
    visitor: V,
) -> Result<V::Value, Failure> {
    if let Some(text) = string.as_str() {
        return visitor.visit_borrowed_str(text);
    }
    if buffer.is_empty() {
        return Err(Failure(JsonError::Escaped));
    }
    let text = string.unescape(buffer).ok_or(Failure(JsonError::Escaped))?;
    visitor.visit_str(text)
}

macro_rules! integers {
    ($($deserialize:ident $visit:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.integer()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de, '_> {
    type Error = Failure;

    integers! {
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.json.as_bytes().first() {
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b'"') => self.deserialize_str(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'n') => visitor.visit_unit(),
            _ => match self.json.integer() {
                Some(integer) => visitor.visit_i64(integer),
                None => match self.number() {
                    Ok(integer) => visitor.visit_u64(integer),
                    Err(_) => self.deserialize_f64(visitor),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_bool(self.json.boolean().ok_or(TYPE)?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let number: f32 = self.number()?;
        if number.is_infinite() {
            return Err(TYPE);
        }
        visitor.visit_f32(number)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let number: f64 = self.number()?;
        if number.is_infinite() {
            return Err(TYPE);
        }
        visitor.visit_f64(number)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut characters = self.string()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => Err(TYPE),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visit_string(self.string()?, self.buffer, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        // JSON has none.
        Err(TYPE)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(TYPE)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.json.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.json.is_null() {
            visitor.visit_unit()
        } else {
            Err(TYPE)
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == RAW {
            visitor.visit_borrowed_bytes(self.json.as_bytes())
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut sequence = Sequence {
            elements: self.json.elements().ok_or(TYPE)?,
            buffer: self.buffer,
        };
        let value = visitor.visit_seq(&mut sequence)?;
        match sequence.elements.next() {
            None => Ok(value),
            Some(_) => Err(TYPE),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(Object {
            members: self.json.members().ok_or(TYPE)?,
            value: RawJson::NULL,
            buffer: self.buffer,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if let Some(name) = self.json.string() {
            let name: StrDeserializer<'_, Failure> = name.as_str().ok_or(TYPE)?.into_deserializer();
            return visitor.visit_enum(name);
        }
        let mut members = self.json.members().ok_or(TYPE)?;
        let (Some((name, json)), None) = (members.next(), members.next()) else {
            return Err(TYPE);
        };
        visitor.visit_enum(Variant {
            name,
            value: Value {
                json,
                buffer: self.buffer,
            },
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

/// The elements of an array.
struct Sequence<'de, 'b> {
    elements: Elements<'de>,
    buffer: &'b mut [u8],
}

impl<'de> SeqAccess<'de> for Sequence<'de, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(json) = self.elements.next() else {
            return Ok(None);
        };
        let buffer = &mut *self.buffer;
        seed.deserialize(Value { json, buffer }).map(Some)
    }
}

/// The members of an object.
struct Object<'de, 'b> {
    members: Members<'de>,
    /// Of the member whose name was read last.
    value: RawJson<'de>,
    buffer: &'b mut [u8],
}

impl<'de> MapAccess<'de> for Object<'de, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some((name, value)) = self.members.next() else {
            return Ok(None);
        };
        self.value = value;
        let buffer = &mut *self.buffer;
        seed.deserialize(Name { name, buffer }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let buffer = &mut *self.buffer;
        let json = self.value;
        seed.deserialize(Value { json, buffer })
    }
}

/// The name of a member.
struct Name<'de, 'b> {
    name: JsonStr<'de>,
    buffer: &'b mut [u8],
}

impl<'de> Deserializer<'de> for Name<'de, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visit_string(self.name, self.buffer, visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.buffer.is_empty() {
            // A name with escape sequences is not that of a field; no field is named so that it needs any.
            return visitor.visit_borrowed_str(self.name.as_str().unwrap_or_default());
        }
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}

/// A variant that has a value.
struct Variant<'de, 'b> {
    name: JsonStr<'de>,
    value: Value<'de, 'b>,
}

impl<'de, 'b> EnumAccess<'de> for Variant<'de, 'b> {
    type Error = Failure;
    type Variant = Value<'de, 'b>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Value<'de, 'b>), Failure> {
        let name: StrDeserializer<'_, Failure> =
            self.name.as_str().ok_or(TYPE)?.into_deserializer();
        Ok((seed.deserialize(name)?, self.value))
    }
}

impl<'de> VariantAccess<'de> for Value<'de, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        if self.json.is_null() {
            Ok(())
        } else {
            Err(TYPE)
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned as _;
    use std::collections::BTreeMap;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;
    use serde::Deserialize;

    use crate::platform::json::{JsonError, RawJson};

    #[derive(Deserialize, PartialEq, Debug)]
    enum Kind {
        Unit,
        New(u8),
        Tuple(u8, bool),
        Struct { a: Option<u8> },
    }

    #[derive(Deserialize, PartialEq, Debug)]
    struct Everything<'a> {
        unit: (),
        text: &'a str,
        letter: char,
        none: Option<u8>,
        missing: Option<u8>,
        some: Option<i8>,
        list: Vec<u16>,
        pair: (i16, f64),
        #[serde(borrow)]
        raw: RawJson<'a>,
        kinds: Vec<Kind>,
        map: BTreeMap<String, f32>,
    }

    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, JsonError> {
        RawJson::parse(text.as_bytes())?.to()
    }

    #[test]
    fn every_type_is_read() {
        let text = r#"{"x":[{"y":"\n"}],"unit":null,"text":"é","letter":"\u0078","none":null,"some":-128,
            "list":[1,65535],"pair":[-5,0.1],"raw":{"a":[1, 2]},
            "kinds":["Unit",{"New":1},{"Tuple":[2,true]},{"Struct":{"a":null}}],"map":{"a":1.5}}"#;
        let everything = Everything {
            unit: (),
            text: "é",
            letter: 'x',
            none: None,
            missing: None,
            some: Some(-128),
            list: Vec::from([1, 65_535]),
            pair: (-5, 0.1),
            raw: RawJson::parse(br#"{"a":[1, 2]}"#).unwrap(),
            kinds: Vec::from([
                Kind::Unit,
                Kind::New(1),
                Kind::Tuple(2, true),
                Kind::Struct { a: None },
            ]),
            map: BTreeMap::from([("a".to_owned(), 1.5)]),
        };
        assert_eq!(read::<Everything<'_>>(text), Ok(everything));
    }

    #[test]
    fn values_of_another_type_or_size_are_refused() {
        assert_eq!(read::<u8>("256"), Err(JsonError::Type));
        assert_eq!(read::<u8>("-1"), Err(JsonError::Type));
        assert_eq!(read::<i32>("1.0"), Err(JsonError::Type));
        assert_eq!(read::<i32>("\"1\""), Err(JsonError::Type));
        assert_eq!(read::<u64>("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(read::<u64>("18446744073709551616"), Err(JsonError::Type));
        assert_eq!(read::<f64>("null"), Err(JsonError::Type));
        assert_eq!(read::<(u8, u8)>("[1]"), Err(JsonError::Type));
        assert_eq!(read::<(u8, u8)>("[1,2,3]"), Err(JsonError::Type));
        assert_eq!(read::<char>("\"ab\""), Err(JsonError::Type));
        assert_eq!(
            read::<Kind>("{\"New\":1,\"Unit\":null}"),
            Err(JsonError::Type)
        );
        assert_eq!(read::<Kind>("\"New\""), Err(JsonError::Type));
        assert_eq!(read::<()>("{}"), Err(JsonError::Type));
    }

    #[test]
    fn only_a_string_that_is_asked_for_needs_a_buffer() {
        #[derive(Deserialize, PartialEq, Debug)]
        struct Named {
            name: String,
        }
        let text = r#"{"other":"\n","na\u0000me":1,"name":"plain"}"#;
        assert_eq!(read::<Named>(text).unwrap().name, "plain");
        let text = r#"{"name":"two\nlines"}"#;
        assert_eq!(read::<Named>(text), Err(JsonError::Escaped));
        let json = RawJson::parse(text.as_bytes()).unwrap();
        assert_eq!(
            json.to_unescaped::<Named>(&mut [0; 9]).unwrap().name,
            "two\nlines"
        );
        assert_eq!(
            json.to_unescaped::<Named>(&mut [0; 8]),
            Err(JsonError::Escaped)
        );
        // With a buffer names are resolved too.
        let json = RawJson::parse(br#"{"n\u0061me":"x"}"#).unwrap();
        assert_eq!(json.to_unescaped::<Named>(&mut [0; 8]).unwrap().name, "x");
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_read(
            text in "[a-zA-Z é\u{1f600}]*",
            numbers: Vec<i64>,
            floats: Vec<f32>,
            positive: u64,
            map in prop::collection::btree_map("[a-z]{0,5}", prop::option::of(0u32..), 0..5),
        ) {
            type Values = (String, Vec<i64>, Vec<f32>, u64, BTreeMap<String, Option<u32>>);
            let value: Values = (text, numbers, floats, positive, map);
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(read::<Values>(&json), Ok(value));
        }

        #[test]
        fn whatever_is_json_is_read_by_a_type_that_takes_anything(text in "[\\[\\]{}:,\"0-9a-f.eE\\-]{0,30}") {
            let anything = read::<serde_json::Value>(&text);
            if let (Ok(ours), Ok(theirs)) = (&anything, serde_json::from_str::<serde_json::Value>(&text)) {
                prop_assert_eq!(format!("{ours}"), format!("{theirs}"));
            }
            prop_assert!(anything.is_ok() || serde_json::from_str::<serde_json::Value>(&text).is_err());
        }
    }
}
