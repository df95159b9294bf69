use core::fmt;

use super::{EncodeError, text};

/// The largest remaining length, and the largest variable byte integer: 268,435,455.
pub(crate) const MAX_REMAINING_LENGTH: u32 = 0x0fff_ffff;

/// A cursor over the buffer that a packet is written into. A write that fails leaves nothing behind.
#[derive(Default)]
pub struct Writer<'b> {
    spare: &'b mut [u8],
    capacity: usize,
}

impl<'b> Writer<'b> {
    /// A cursor at the start of `buffer`.
    #[must_use]
    #[inline]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        let capacity = buffer.len();
        Self {
            spare: buffer,
            capacity,
        }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if bytes.len() > self.spare.len() {
            return Err(EncodeError::NoRoom);
        }
        let spare = core::mem::take(&mut self.spare);
        if let Some((head, rest)) = spare.split_at_mut_checked(bytes.len()) {
            copy(bytes, head);
            self.spare = rest;
        }
        Ok(())
    }

    /// Writes one byte.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn u8(&mut self, value: u8) -> Result<(), EncodeError> {
        self.bytes(&[value])
    }

    /// Writes a two byte integer, most significant byte first.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn u16(&mut self, value: u16) -> Result<(), EncodeError> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes a four byte integer, most significant byte first.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn u32(&mut self, value: u32) -> Result<(), EncodeError> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes binary data behind its length.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] above 65,535 bytes, [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn binary(&mut self, data: &[u8]) -> Result<(), EncodeError> {
        let len = u16::try_from(data.len()).map_err(|_| EncodeError::TooLong)?;
        if self.spare.len() < usize::from(len).wrapping_add(2) {
            return Err(EncodeError::NoRoom);
        }
        self.u16(len)?;
        self.bytes(data)
    }

    /// Writes a string behind its length.
    ///
    /// # Errors
    ///
    /// As [`binary`](Self::binary), and [`EncodeError::InvalidValue`] for U+0000 in the string.
    #[inline]
    pub fn str(&mut self, string: &str) -> Result<(), EncodeError> {
        if text::has_nul(string.as_bytes()) {
            return Err(EncodeError::InvalidValue);
        }
        self.binary(string.as_bytes())
    }

    /// Writes a variable byte integer in its shortest form.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] above 268,435,455, [`EncodeError::NoRoom`] if the buffer is full.
    #[inline]
    pub fn variable_byte_integer(&mut self, value: u32) -> Result<(), EncodeError> {
        if value > MAX_REMAINING_LENGTH {
            return Err(EncodeError::TooLong);
        }
        let mut rest = value as usize;
        while rest >= 0x80 {
            self.u8(low_bits(rest) | 0x80)?;
            rest >>= 7;
        }
        self.u8(low_bits(rest))
    }

    /// Writes the fixed header of a packet with `remaining_length` bytes to follow.
    pub(crate) fn fixed_header(
        &mut self,
        packet_type_and_flags: u8,
        remaining_length: usize,
    ) -> Result<(), EncodeError> {
        // Most packets are short; this is one write instead of two, where speed counts more than size.
        if cfg!(target_pointer_width = "64") && remaining_length < 0x80 {
            return self.bytes(&[packet_type_and_flags, low_bits(remaining_length)]);
        }
        self.long_fixed_header(packet_type_and_flags, remaining_length)
    }

    fn long_fixed_header(
        &mut self,
        packet_type_and_flags: u8,
        remaining_length: usize,
    ) -> Result<(), EncodeError> {
        let remaining_length = u32::try_from(remaining_length).map_err(|_| EncodeError::TooLong)?;
        self.u8(packet_type_and_flags)?;
        self.variable_byte_integer(remaining_length)
    }

    /// The part of the buffer that is still free, for a caller that fills it itself.
    #[inline]
    pub const fn spare(&mut self) -> &mut [u8] {
        self.spare
    }

    /// Counts `len` bytes of [`spare`](Self::spare) as written.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if the buffer has fewer bytes left.
    pub fn advance(&mut self, len: usize) -> Result<(), EncodeError> {
        if len > self.spare.len() {
            return Err(EncodeError::NoRoom);
        }
        let spare = core::mem::take(&mut self.spare);
        self.spare = spare.get_mut(len..).unwrap_or_default();
        Ok(())
    }

    /// Number of bytes written.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.capacity.wrapping_sub(self.spare.len())
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Copies between slices of the same length.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    if cfg!(target_pointer_width = "64") {
        // Inlined, with the check of the lengths seen through.
        to.copy_from_slice(from);
    } else {
        // Optimized for size, that check stays, and a panic behind it.
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "masked to seven bits")]
const fn low_bits(value: usize) -> u8 {
    (value & 0x7f) as u8
}

/// Not what was written: it may be a password.
impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("capacity", &self.capacity)
            .field("spare_len", &self.spare.len())
            .finish()
    }
}
