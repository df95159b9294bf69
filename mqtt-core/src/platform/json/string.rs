//! Strings, and the escape sequences in them.

use core::fmt;

use crate::codec::text;

/// A JSON string, as it lies between its quotation marks. Compared with `==` as the text that it means.
#[derive(Clone, Copy)]
pub struct JsonStr<'a>(pub(super) &'a [u8]);

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
