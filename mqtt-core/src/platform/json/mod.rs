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

mod cursor;
mod string;
mod writer;

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::deserialize;

use crate::codec::text::{self, Text};

use cursor::Cursor;

pub use cursor::{Elements, Members};
pub use string::{Chars, JsonStr};
pub(crate) use writer::ObjectWriter;

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

/// As it is, with [`write_json`](crate::json::write_json) only.
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

#[cfg(test)]
mod tests;
