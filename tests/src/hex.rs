//! Bytes as lower-case hexadecimal text.

/// Writes `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('?');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// Reads pairs of hexadecimal digits; white space between pairs is allowed.
///
/// `None` if there is anything else, or half a pair.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(16))
        .collect::<Option<Vec<_>>>()?;
    digits
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u8::try_from(high << 4 | low).ok(),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let bytes = [0x00, 0x9f, 0xff, 0x10];
        assert_eq!(encode(&bytes), "009fff10");
        assert_eq!(decode("009f ff10").as_deref(), Some(&bytes[..]));
    }

    #[test]
    fn half_a_pair_and_other_characters_are_refused() {
        assert_eq!(decode("123"), None);
        assert_eq!(decode("0x12"), None);
    }
}
