//! Inputs that begin with some bytes of choices, so that a seed can be written by hand: choices, then the vector.

use mqtt_core::Version;

/// Bytes that are taken from the front; 0 when there are no more.
pub(crate) struct Choices<'i>(pub(crate) &'i [u8]);

impl Choices<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }
}

/// The version that the lowest bit says.
pub(crate) fn version(choice: u8) -> Version {
    if choice & 1 == 0 {
        Version::V3_1_1
    } else {
        Version::V5
    }
}

/// Lengths of pieces that follow each other for ever, from one byte: 0 for one piece, 1 for single bytes, then mixed.
pub(crate) fn piece_len(choice: u8, number: usize) -> usize {
    match choice {
        0 => usize::MAX,
        1 => 1,
        _ => 1 + (number * 7 + usize::from(choice)) % (usize::from(choice) % 31 + 2),
    }
}

/// `bytes` in pieces as [`piece_len`] says.
pub(crate) fn pieces(bytes: &[u8], choice: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut number = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = piece_len(choice, number).min(rest.len());
        number += 1;
        let (piece, later) = rest.split_at(len);
        rest = later;
        Some(piece)
    })
}
