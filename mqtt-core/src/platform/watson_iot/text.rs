//! Short text that is put together in place, at compile time if its parts are known then.

use core::fmt;

/// At most `N` bytes of ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; N],
        len: 0,
    };

    /// With `text` at its end. The caller knows that it fits; what does not is left out.
    pub(super) const fn with(mut self, text: &str) -> Self {
        let mut from = text.as_bytes();
        if let Some((_, mut spare)) = self.bytes.split_at_mut_checked(self.len) {
            while let Some((&byte, tail)) = from.split_first()
                && let Some((to, rest)) = { spare }.split_first_mut()
            {
                *to = byte;
                self.len = self.len.wrapping_add(1);
                from = tail;
                spare = rest;
            }
        }
        self
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        match self.bytes.split_at_checked(self.len) {
            Some((text, _)) => text,
            None => b"",
        }
    }

    pub(super) const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
