//! The grammar, read from front to back without recursion.

use super::{JsonError, JsonStr, RawJson};

/// Arrays and objects inside each other, at most. A bit of a word says which of the two each is.
const MAX_DEPTH: u32 = u32::BITS;

/// The members of an object: names and values.
#[derive(Clone, Debug)]
pub struct Members<'a>(pub(super) Cursor<'a>);

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
pub struct Elements<'a>(pub(super) Cursor<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = RawJson<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.skip_separators();
        self.0.value().ok()
    }
}

/// What is left of a text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Takes one value, with all that is inside it.
    pub(super) fn value(&mut self) -> Result<RawJson<'a>, JsonError> {
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

    pub(super) fn skip_blanks(&mut self) {
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
