//! JSON read where it lies: strict (RFC 8259), borrowed, without allocation and without recursion.
//!
//! A platform's envelope is walked with [`RawJson`]; the values inside are the application's own types, read by
//! `serde` with [`RawJson::to`], or looked at one by one.
//!
//! ```
//! use mqtt_core::platform::json::RawJson;
//!
//! let text = RawJson::parse(br#"{"method":"setGpio","params":{"pin":4,"on":true},"more":[]}"#)?;
//! let method = text.member("method").and_then(|method| method.string()).ok_or("no method")?;
//! assert!(method == "setGpio");
//!
//! #[derive(serde::Deserialize)]
//! struct SetGpio { pin: u8, on: bool }
//! let params: SetGpio = text.member("params").ok_or("no params")?.to()?;
//! assert!(params.pin == 4 && params.on);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::deserialize;

use crate::{
    codec::{
        EncodeError, Writer,
        text::{self, Text},
    },
    json::write_json,
};

/// Arrays and objects inside each other, at most. A bit of a word says which of the two each is.
const MAX_DEPTH: u32 = u32::BITS;

/// Why bytes are not the JSON that was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8, or with U+0000.
    NotText,
    /// Not JSON: cut short, or against the grammar.
    Syntax,
    /// More than 32 arrays and objects inside each other.
    TooDeep,
    /// JSON, but not of the type that was asked for.
    Type,
    /// A string that was asked for holds an escape sequence, and there was no buffer to resolve it in, or one too small.
    Escaped,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotText => "not UTF-8 text",
            Self::Syntax => "not JSON",
            Self::TooDeep => "JSON nested too deeply",
            Self::Type => "JSON of another type",
            Self::Escaped => "no room for a string with escapes",
        })
    }
}

impl core::error::Error for JsonError {}

/// A JSON value, as it lies in the payload. Checked once, by [`parse`](Self::parse).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a>(&'a [u8]);

impl<'a> RawJson<'a> {
    /// The value `null`.
    pub const NULL: RawJson<'static> = RawJson(b"null");

    /// Checks that `bytes` are one JSON value, with blanks around it at most.
    ///
    /// # Errors
    ///
    /// [`JsonError::NotText`], [`JsonError::Syntax`] or [`JsonError::TooDeep`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        if text::classify(bytes) == Text::Invalid {
            return Err(JsonError::NotText);
        }
        let mut cursor = Cursor { rest: bytes };
        let value = cursor.value()?;
        cursor.skip_blanks();
        if cursor.rest.is_empty() {
            Ok(value)
        } else {
            Err(JsonError::Syntax)
        }
    }

    /// The text of the value, without blanks around it.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text of the value. Costs a UTF-8 check; [`as_bytes`](Self::as_bytes) is free of it.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        text::as_str(self.0)
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == b"null"
    }

    /// The value of `true` or `false`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value of an integer that is written without point and exponent and fits into `T`.
    #[must_use]
    pub fn integer<T: TryFrom<i64>>(self) -> Option<T> {
        integer(self.0).and_then(|value| T::try_from(value).ok())
    }

    /// The text of a number, for those who read it with a type of their own.
    #[must_use]
    pub fn number(self) -> Option<&'a [u8]> {
        matches!(self.0.first(), Some(b'-' | b'0'..=b'9')).then_some(self.0)
    }

    /// The value of a string.
    #[must_use]
    pub fn string(self) -> Option<JsonStr<'a>> {
        match self.0 {
            [b'"', inner @ .., b'"'] => Some(JsonStr(inner)),
            _ => None,
        }
    }

    /// The members of an object, in the order of the text.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        self.inside(b'{').map(Members)
    }

    /// The elements of an array.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        self.inside(b'[').map(Elements)
    }

    /// The member `name` of an object; the last one, if there are several.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        let named = self.members()?.filter(|(key, _)| *key == name);
        named.last().map(|(_, value)| value)
    }

    /// Reads the value into the application's own type.
    ///
    /// Strings are borrowed; one with escape sequences is refused: see [`to_unescaped`](Self::to_unescaped). A field may be
    /// a `RawJson` itself, to be looked at later.
    ///
    /// # Errors
    ///
    /// [`JsonError::Type`] if it is another type, [`JsonError::Escaped`] if a string that is asked for has an escape.
    pub fn to<T: Deserialize<'a>>(self) -> Result<T, JsonError> {
        deserialize::read(self, &mut [])
    }

    /// As [`to`](Self::to), with a buffer in which a string with escapes is resolved; `T` owns its strings.
    ///
    /// # Errors
    ///
    /// [`JsonError::Type`] if it is another type, [`JsonError::Escaped`] if a string does not fit into `buffer`.
    pub fn to_unescaped<T: Deserialize<'a>>(self, buffer: &mut [u8]) -> Result<T, JsonError> {
        deserialize::read(self, buffer)
    }

    /// A value that was checked before.
    pub(super) const fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What lies behind the bracket, the closing one included.
    fn inside(self, bracket: u8) -> Option<Cursor<'a>> {
        let (&first, rest) = self.0.split_first()?;
        (first == bracket).then_some(Cursor { rest })
    }
}

/// With the methods of this module only.
impl<'de: 'a, 'a> Deserialize<'de> for RawJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize::from_raw(deserializer, "JSON", Some)
    }
}

/// As it is, with [`write_json`] only.
impl Serialize for RawJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl fmt::Debug for RawJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RawJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for RawJson<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// A JSON string, as it lies between its quotation marks. Compared with `==` as the text that it means.
#[derive(Clone, Copy)]
pub struct JsonStr<'a>(&'a [u8]);

impl<'a> JsonStr<'a> {
    /// The string, unless an escape sequence is in it: then see [`chars`](Self::chars) and [`unescape`](Self::unescape).
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        (!self.0.contains(&b'\\')).then(|| text::as_str(self.0))
    }

    /// The bytes between the quotation marks, escape sequences as they are.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// The characters, escape sequences resolved. Half of a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn chars(self) -> Chars<'a> {
        Chars(text::as_str(self.0).chars())
    }

    /// The string with escape sequences resolved, in `buffer`; `None` if it does not fit.
    #[must_use]
    pub fn unescape(self, buffer: &mut [u8]) -> Option<&str> {
        let mut len = 0_usize;
        for character in self.chars() {
            let end = len.checked_add(character.len_utf8())?;
            character.encode_utf8(buffer.get_mut(len..end)?);
            len = end;
        }
        core::str::from_utf8(buffer.get(..len)?).ok()
    }

    /// Whether it is `""`.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq<str> for JsonStr<'_> {
    fn eq(&self, other: &str) -> bool {
        // Without escapes there is nothing to decode; a program that meets none still links the decoder.
        self.0 == other.as_bytes() || (self.0.contains(&b'\\') && self.chars().eq(other.chars()))
    }
}

impl PartialEq<&str> for JsonStr<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq for JsonStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.chars().eq(other.chars())
    }
}

impl Eq for JsonStr<'_> {}

impl fmt::Display for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars()
            .try_for_each(|character| fmt::Write::write_char(f, character))
    }
}

impl fmt::Debug for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", text::as_str(self.0))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for JsonStr<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "\"{=str}\"", text::as_str(self.0));
    }
}

/// The characters of a [`JsonStr`].
#[derive(Clone, Debug)]
pub struct Chars<'a>(core::str::Chars<'a>);

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '\\' => self.escaped(),
            character => Some(character),
        }
    }
}

impl Chars<'_> {
    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode()?,
            other => other,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.hexadecimal()?;
        if (0xd800..0xdc00).contains(&high) {
            let mut ahead = self.clone();
            if let (Some('\\'), Some('u'), Some(low @ 0xdc00..0xe000)) =
                (ahead.0.next(), ahead.0.next(), ahead.hexadecimal())
            {
                *self = ahead;
                return Some(surrogates(high, low));
            }
        }
        Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value << 4 | self.0.next()?.to_digit(16)?;
        }
        Some(value)
    }
}

/// The character that a pair stands for.
fn surrogates(high: u32, low: u32) -> char {
    let offset = (high & 0x3ff) << 10 | (low & 0x3ff);
    char::from_u32(offset.wrapping_add(0x1_0000)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The members of an object: names and values.
#[derive(Clone, Debug)]
pub struct Members<'a>(Cursor<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (JsonStr<'a>, RawJson<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_separators();
        let key = self.0.value().ok()?.string()?;
        self.0.skip_separators();
        Some((key, self.0.value().ok()?))
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Cursor<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = RawJson<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_separators();
        self.0.value().ok()
    }
}

/// What is left of a text.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Takes one value, with all that is inside it.
    fn value(&mut self) -> Result<RawJson<'a>, JsonError> {
        self.skip_blanks();
        let start = self.rest;
        let mut nest = Nest::default();
        loop {
            self.begin_value(&mut nest)?;
            while !nest.expects_value {
                if nest.depth == 0 {
                    let len = start.len().wrapping_sub(self.rest.len());
                    return Ok(RawJson(start.get(..len).unwrap_or_default()));
                }
                self.after_value(&mut nest)?;
            }
        }
    }

    /// Takes a scalar, or the start of an array or object and, if it is not empty, what leads to its first value.
    fn begin_value(&mut self, nest: &mut Nest) -> Result<(), JsonError> {
        self.skip_blanks();
        nest.expects_value = false;
        match self.byte()? {
            b'{' => {
                nest.push(true)?;
                self.skip_blanks();
                if self.rest.first() != Some(&b'}') {
                    self.key()?;
                    nest.expects_value = true;
                }
            }
            b'[' => {
                nest.push(false)?;
                self.skip_blanks();
                nest.expects_value = self.rest.first() != Some(&b']');
            }
            b'"' => self.rest_of_string()?,
            b't' => self.literal(b"rue")?,
            b'f' => self.literal(b"alse")?,
            b'n' => self.literal(b"ull")?,
            b'-' => {
                let first = self.byte()?;
                self.rest_of_number(first)?;
            }
            first => self.rest_of_number(first)?,
        }
        Ok(())
    }

    /// Takes a comma and what leads to the next value, or a closing bracket.
    fn after_value(&mut self, nest: &mut Nest) -> Result<(), JsonError> {
        self.skip_blanks();
        match self.byte()? {
            b',' => {
                if nest.in_object() {
                    self.skip_blanks();
                    self.key()?;
                }
                nest.expects_value = true;
            }
            b'}' if nest.in_object() => nest.pop(),
            b']' if !nest.in_object() => nest.pop(),
            _ => return Err(JsonError::Syntax),
        }
        Ok(())
    }

    fn key(&mut self) -> Result<(), JsonError> {
        self.literal(b"\"")?;
        self.rest_of_string()?;
        self.skip_blanks();
        self.literal(b":")
    }

    fn rest_of_string(&mut self) -> Result<(), JsonError> {
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                0..=0x1f => return Err(JsonError::Syntax),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    if !self.byte()?.is_ascii_hexdigit() {
                        return Err(JsonError::Syntax);
                    }
                }
                Ok(())
            }
            _ => Err(JsonError::Syntax),
        }
    }

    fn rest_of_number(&mut self, first: u8) -> Result<(), JsonError> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(JsonError::Syntax),
        }
        if self.skip(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.skip(|byte| matches!(byte, b'e' | b'E')) {
            self.skip(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.byte()?.is_ascii_digit() {
            return Err(JsonError::Syntax);
        }
        self.skip_digits();
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.skip(|byte| byte.is_ascii_digit()) {}
    }

    fn skip_blanks(&mut self) {
        while self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    /// Skips what stands between the values of a text that was checked.
    fn skip_separators(&mut self) {
        while self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')) {}
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) -> bool {
        match self.rest.split_first() {
            Some((&byte, rest)) if is_skipped(byte) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), JsonError> {
        self.rest = self.rest.strip_prefix(literal).ok_or(JsonError::Syntax)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, JsonError> {
        let (&byte, rest) = self.rest.split_first().ok_or(JsonError::Syntax)?;
        self.rest = rest;
        Ok(byte)
    }
}

/// The arrays and objects around a place in a text.
#[derive(Default)]
struct Nest {
    /// For each, innermost lowest: whether it is an object.
    objects: u32,
    depth: u32,
    expects_value: bool,
}

impl Nest {
    fn push(&mut self, object: bool) -> Result<(), JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.depth = self.depth.wrapping_add(1);
        self.objects = self.objects << 1 | u32::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.wrapping_sub(1);
        self.objects >>= 1;
    }

    const fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// The value of decimal digits with an optional sign, and nothing else.
fn integer(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text {
        [b'-', digits @ ..] => (digits, true),
        _ => (text, false),
    };
    if digits.is_empty() {
        return None;
    }
    // Downwards, since there is one more negative number than there are positive ones.
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// Writes a JSON object, member by member.
pub(crate) struct ObjectWriter<'w, 'b> {
    writer: &'w mut Writer<'b>,
    is_empty: bool,
}

impl<'w, 'b> ObjectWriter<'w, 'b> {
    /// Begins the object.
    pub(crate) fn new(writer: &'w mut Writer<'b>) -> Result<Self, EncodeError> {
        writer.u8(b'{')?;
        Ok(Self {
            writer,
            is_empty: true,
        })
    }

    /// Writes a name; the value is to be written to what is returned.
    pub(crate) fn name(&mut self, name: &str) -> Result<&mut Writer<'b>, EncodeError> {
        if !core::mem::take(&mut self.is_empty) {
            self.writer.u8(b',')?;
        }
        write_json(self.writer, name)?;
        self.writer.u8(b':')?;
        Ok(self.writer)
    }

    /// Writes a member.
    pub(crate) fn member<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), EncodeError> {
        write_json(self.name(name)?, value)
    }

    /// Writes a member whose value is a string, if there is one.
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) -> Result<(), EncodeError> {
        value.map_or(Ok(()), |value| self.member(name, value))
    }

    /// Ends the object.
    pub(crate) fn end(self) -> Result<(), EncodeError> {
        self.writer.u8(b'}')
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::{JsonError, RawJson};

    fn parse(text: &str) -> Result<RawJson<'_>, JsonError> {
        RawJson::parse(text.as_bytes())
    }

    #[test]
    fn every_kind_of_value_is_taken_as_it_lies() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0.5e+3",
            "12345678901234567890",
            "\"\"",
            "\"a\\\"b\\u00e9\"",
            "[]",
            "[ 1 , [2,{}] ]",
            "{}",
            "{ \"a\" : [1,2] , \"b\" : {\"c\":null} }",
        ] {
            assert_eq!(parse(text).unwrap().as_str(), text);
            let padded = std::format!(" \t\r\n{text} ");
            assert_eq!(parse(&padded).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_against_the_grammar_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "01",
            "-",
            "1.",
            "1.e2",
            ".5",
            "+1",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{1:2}",
            "{\"a\" 1}",
            "{\"a\":1]",
            "1 2",
            "{}{}",
            "NaN",
            "'a'",
            "{a:1}",
        ] {
            assert_eq!(parse(text), Err(JsonError::Syntax), "{text}");
        }
        assert_eq!(RawJson::parse(b"\"\xff\""), Err(JsonError::NotText));
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(32)).is_ok());
        assert_eq!(parse(&nested(33)), Err(JsonError::TooDeep));
    }

    #[test]
    fn members_and_elements_come_in_order() {
        let object = parse(r#"{"a" : 1, "b":[ true,"x" ] ,"a":{"a":2}}"#).unwrap();
        let names: Vec<_> = object
            .members()
            .unwrap()
            .map(|(name, _)| name.as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(object.member("a").unwrap().as_str(), r#"{"a":2}"#);
        let elements: Vec<_> = object
            .member("b")
            .unwrap()
            .elements()
            .unwrap()
            .map(RawJson::as_str)
            .collect();
        assert_eq!(elements, ["true", "\"x\""]);
        assert_eq!(object.member("c"), None);
        assert_eq!(parse("[]").unwrap().elements().unwrap().count(), 0);
        assert_eq!(parse("{ }").unwrap().members().unwrap().count(), 0);
        assert!(parse("1").unwrap().members().is_none());
    }

    #[test]
    fn escapes_are_resolved() {
        let text = parse(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00""#).unwrap();
        let string = text.string().unwrap();
        let expected = "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x\u{fffd}";
        assert_eq!(string.chars().collect::<String>(), expected);
        assert!(string == expected);
        assert_eq!(string.as_str(), None);
        let mut buffer = [0; 64];
        assert_eq!(string.unescape(&mut buffer), Some(expected));
        assert_eq!(string.unescape(&mut [0; 4]), None);
        assert!(parse(r#""se\u0074""#).unwrap().string().unwrap() == "set");
    }

    #[test]
    fn integers_fit_or_are_none() {
        let integer = |text| parse(text).unwrap().integer::<i64>();
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("1.0"), None);
        assert_eq!(integer("\"1\""), None);
        assert_eq!(parse("256").unwrap().integer::<u8>(), None);
        assert_eq!(parse("-1").unwrap().integer::<u32>(), None);
    }

    #[test]
    fn a_limit_too_large_for_its_type_is_refused_and_not_infinite() {
        let limit = parse("1e39").unwrap();
        assert_eq!(limit.to::<f64>(), Ok(1e39));
        assert_eq!(limit.to::<f32>(), Err(JsonError::Type));
        let limit = parse("-1e309").unwrap();
        assert_eq!(limit.to::<f64>(), Err(JsonError::Type));
        assert_eq!(limit.to::<Option<f32>>(), Err(JsonError::Type));
    }

    #[test]
    fn own_types_are_read_with_escapes_only_into_a_buffer() {
        #[derive(serde::Deserialize)]
        struct Place<'a> {
            name: &'a str,
        }
        assert_eq!(
            parse(r#"{"name":"x","other":[]}"#)
                .unwrap()
                .to::<Place<'_>>()
                .unwrap()
                .name,
            "x"
        );
        let escaped = parse(r#"{"name":"\n"}"#).unwrap();
        assert_eq!(escaped.to::<Place<'_>>().err(), Some(JsonError::Escaped));
        assert_eq!(
            parse("1").unwrap().to::<Place<'_>>().err(),
            Some(JsonError::Type)
        );
    }
}
