use core::fmt;

/// A checksum as its bytes, 64 at most.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Digest {
    /// Bytes of the longest checksum, SHA-512.
    pub const MAX_LEN: usize = 64;

    /// No bytes, which no algorithm gives.
    pub(super) const EMPTY: Self = Self {
        bytes: [0; Self::MAX_LEN],
        len: 0,
    };

    /// A checksum from its bytes; `None` if there are more than [`MAX_LEN`](Self::MAX_LEN).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut digest = Self::EMPTY;
        digest.len = u8::try_from(bytes.len()).ok()?;
        let place = digest.bytes.get_mut(..bytes.len())?;
        for (place, byte) in place.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Some(digest)
    }

    /// A checksum from hexadecimal digits, in upper or lower case, two for each byte.
    #[must_use]
    pub fn from_hexadecimal(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX_LEN];
        let pairs = text.chunks_exact(2);
        if !pairs.remainder().is_empty() || pairs.len() > bytes.len() {
            return None;
        }
        for (place, pair) in bytes.iter_mut().zip(pairs) {
            for digit in pair {
                let digit = char::from(*digit).to_digit(16)?;
                *place = *place << 4 | u8::try_from(digit).ok()?;
            }
        }
        Self::new(bytes.get(..text.len() / 2)?)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Digest {}

/// As hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Digest {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[u8]:02x}", self.as_bytes());
    }
}
