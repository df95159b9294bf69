//! The check of UTF-8 strings and topic names in one pass.
//!
//! `core::str::from_utf8` would be a second pass and, on a device, several hundred bytes of flash and a
//! table that nothing else needs. Strings are therefore kept as checked bytes, and become `str` where
//! somebody asks for one.

/// What a string turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Text {
    /// Not UTF-8, or with U+0000 (MQTT 3.1.1 §1.5.3).
    Invalid,
    /// Legal, with a `+` or `#` in it.
    Wildcard,
    /// Legal, without wildcard characters.
    Plain,
}

/// Looks at every byte once.
pub(crate) const fn classify(bytes: &[u8]) -> Text {
    #[cfg(target_pointer_width = "64")]
    let bytes = skip_plain(bytes);
    let mut rest = bytes;
    let mut text = Text::Plain;
    // What is missing of a character: how many bytes, and between which values the next one lies.
    let (mut missing, mut least, mut most) = (0u32, 0x80, 0xbf);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if missing != 0 {
            if byte < least || byte > most {
                return Text::Invalid;
            }
            missing = missing.wrapping_sub(1);
            (least, most) = (0x80, 0xbf);
            continue;
        }
        missing = match byte {
            b'+' | b'#' => {
                text = Text::Wildcard;
                0
            }
            0x01..=0x7f => 0,
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => return Text::Invalid,
        };
        // Overlong forms, surrogates, and what lies above the last character.
        match byte {
            0xe0 => least = 0xa0,
            0xed => most = 0x9f,
            0xf0 => least = 0x90,
            0xf4 => most = 0x8f,
            _ => {}
        }
    }
    if missing == 0 { text } else { Text::Invalid }
}

/// Whether there is a zero byte, all that can be wrong with a `str`.
pub(crate) const fn has_nul(bytes: &[u8]) -> bool {
    #[cfg(target_pointer_width = "64")]
    let bytes = skip_without_nul(bytes);
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == 0 {
            return true;
        }
        rest = tail;
    }
    false
}

/// The string of bytes that were found legal when they were read.
pub(crate) fn as_str(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Drops leading words of eight plain ASCII characters; what is left is looked at byte by byte.
#[cfg(target_pointer_width = "64")]
const fn skip_plain(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if !is_plain(u64::from_ne_bytes(*word)) {
            return rest;
        }
        rest = tail;
    }
    // Up to seven bytes are left; look at them together with some that were seen before.
    match bytes.last_chunk::<8>() {
        Some(word) if is_plain(u64::from_ne_bytes(*word)) => &[],
        _ => rest,
    }
}

/// As [`skip_plain`], for words without a zero byte.
#[cfg(target_pointer_width = "64")]
const fn skip_without_nul(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if has_zero_byte(u64::from_ne_bytes(*word)) {
            return rest;
        }
        rest = tail;
    }
    match bytes.last_chunk::<8>() {
        Some(word) if !has_zero_byte(u64::from_ne_bytes(*word)) => &[],
        _ => rest,
    }
}

#[cfg(target_pointer_width = "64")]
const ONES: u64 = u64::from_ne_bytes([1; 8]);

#[cfg(target_pointer_width = "64")]
const fn has_zero_byte(word: u64) -> bool {
    word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
}

/// Whether all eight bytes are ASCII, none of them zero, `+` or `#`.
#[cfg(target_pointer_width = "64")]
const fn is_plain(word: u64) -> bool {
    const PLUS: u64 = u64::from_ne_bytes([b'+'; 8]);
    const HASH: u64 = u64::from_ne_bytes([b'#'; 8]);
    // A zero byte borrows from its neighbour and leaves the high bit set. Of the bytes below 0x80 no
    // other does, unless a zero stands before it, and then the word is refused anyway.
    let zero = word.wrapping_sub(ONES);
    let plus = (word ^ PLUS).wrapping_sub(ONES);
    let hash = (word ^ HASH).wrapping_sub(ONES);
    (word | zero | plus | hash) & (ONES << 7) == 0
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use super::*;

    fn expected(bytes: &[u8]) -> Text {
        match core::str::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => Text::Invalid,
            Ok(text) if text.contains(['+', '#']) => Text::Wildcard,
            Ok(_) => Text::Plain,
            Err(_) => Text::Invalid,
        }
    }

    #[test]
    fn every_character_is_classified_as_the_standard_library_does() {
        for character in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(classify(bytes), expected(bytes), "{character:?}");
        }
    }

    #[test]
    fn sequences_at_the_edges_of_utf8_are_classified_as_the_standard_library_does() {
        let edges = [
            0x00, 0x2b, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
        ];
        for first in 0..=0xff {
            for second in edges {
                for third in edges {
                    for fourth in edges {
                        let bytes = [first, second, third, fourth];
                        for len in 1..=4 {
                            assert_eq!(classify(&bytes[..len]), expected(&bytes[..len]));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_special_byte_is_seen_at_every_place_of_every_length() {
        for len in 1..40 {
            for at in 0..len {
                for special in [0, b'+', b'#', 0x80, 0xff, b'*', b'$', 1, 0x7f] {
                    let mut bytes: Vec<u8> = format!("{:/<len$}", "").into_bytes();
                    bytes[at] = special;
                    assert_eq!(classify(&bytes), expected(&bytes), "{bytes:?}");
                    assert_eq!(has_nul(&bytes), bytes.contains(&0), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_word_of_bytes_above_ascii_is_not_passed_over() {
        for byte in 0x80..=0xff {
            assert!(matches!(classify(&[byte; 8]), Text::Invalid), "{byte:#x}");
        }
    }
}
