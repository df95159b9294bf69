use core::fmt;

use super::text::{self, Text};
use super::{DecodeError, PacketIdentifier};

/// A cursor over received bytes. Every read either takes what it asks for or fails without moving.
#[derive(Clone, Copy)]
pub struct Reader<'p> {
    rest: &'p [u8],
}

impl<'p> Reader<'p> {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'p [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer than `len` bytes are left.
    #[inline]
    pub const fn bytes(&mut self, len: usize) -> Result<&'p [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(DecodeError::Truncated);
        };
        self.rest = rest;
        Ok(head)
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if no byte is left.
    #[inline]
    pub const fn u8(&mut self) -> Result<u8, DecodeError> {
        let Some((first, rest)) = self.rest.split_first() else {
            return Err(DecodeError::Truncated);
        };
        self.rest = rest;
        Ok(*first)
    }

    /// Takes a two byte integer (MQTT 5 §1.5.2).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer than two bytes are left.
    #[inline]
    pub const fn u16(&mut self) -> Result<u16, DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Truncated);
        };
        self.rest = rest;
        Ok(u16::from_be_bytes(*head))
    }

    /// Takes a four byte integer (MQTT 5 §1.5.3).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if fewer than four bytes are left.
    #[inline]
    pub const fn u32(&mut self) -> Result<u32, DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Truncated);
        };
        self.rest = rest;
        Ok(u32::from_be_bytes(*head))
    }

    /// Takes binary data: two bytes of length, then as many bytes (MQTT 5 §1.5.6).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if the data is longer than what is left.
    #[inline]
    pub fn binary(&mut self) -> Result<&'p [u8], DecodeError> {
        let mut ahead = *self;
        let len = ahead.u16()?;
        let data = ahead.bytes(usize::from(len))?;
        *self = ahead;
        Ok(data)
    }

    /// Takes a UTF-8 string (MQTT 5 §1.5.4).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or [`DecodeError::String`] if it is ill-formed or holds U+0000.
    pub fn str(&mut self) -> Result<&'p str, DecodeError> {
        let mut ahead = *self;
        let bytes = ahead.binary()?;
        let string = core::str::from_utf8(bytes).map_err(|_| DecodeError::String)?;
        if text::classify(bytes) == Text::Invalid {
            return Err(DecodeError::String);
        }
        *self = ahead;
        Ok(string)
    }

    /// Takes a variable byte integer of one to four bytes (MQTT 5 §1.5.5).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or [`DecodeError::VariableByteInteger`] if it has a fifth byte or
    /// is not in its shortest form.
    pub const fn variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        let mut rest = self.rest;
        let mut value = 0;
        let mut shift = 0u32;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            value |= ((byte & 0x7f) as u32) << shift;
            if byte < 0x80 {
                if byte == 0 && shift != 0 {
                    return Err(DecodeError::VariableByteInteger);
                }
                self.rest = rest;
                return Ok(value);
            }
            if shift == 21 {
                return Err(DecodeError::VariableByteInteger);
            }
            shift = shift.wrapping_add(7);
        }
        Err(DecodeError::Truncated)
    }

    /// What is left to read.
    #[must_use]
    pub const fn rest(&self) -> &'p [u8] {
        self.rest
    }

    /// Number of bytes left to read.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) const fn packet_identifier(&mut self) -> Result<PacketIdentifier, DecodeError> {
        match self.u16() {
            Ok(value) => match PacketIdentifier::new(value) {
                Some(identifier) => Ok(identifier),
                None => Err(DecodeError::PacketIdentifierZero),
            },
            Err(error) => Err(error),
        }
    }

    /// Fails unless everything was read.
    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}

/// Not what is to be read: it may be a password.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("rest_len", &self.rest.len())
            .finish()
    }
}
