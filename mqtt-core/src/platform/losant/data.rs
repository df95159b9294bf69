//! The member `data` of a report, checked after it was written.

use crate::codec::{EncodeError, Writer};

/// What stands before it.
pub(super) const MEMBERS: &[u8] = br#"{"data":"#;

/// The longest value of an attribute.
const MAX_STRING: usize = 0x1_0000;

/// Lets `write` write the attributes, and checks them.
///
/// On the bytes that were written, so that the check is there once, whatever the types of the data.
pub(super) fn write(
    payload: &mut Writer<'_>,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let mut data = Writer::new(payload.spare());
    write(&mut data)?;
    let len = data.len();
    check(payload.spare().get(..len).unwrap_or_default())?;
    payload.advance(len)
}

/// Whether it is an object whose names are those of attributes. It is known to be JSON.
fn check(data: &[u8]) -> Result<(), EncodeError> {
    if data.first() != Some(&b'{') {
        return Err(EncodeError::InvalidValue);
    }
    let mut depth = 0u32;
    let mut name_follows = false;
    let mut rest = data;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' => depth = depth.wrapping_add(1),
            b'}' | b']' => depth = depth.wrapping_sub(1),
            b'"' => {
                let (string, tail) = split_string(tail);
                if name_follows && !is_name(string) {
                    return Err(EncodeError::InvalidValue);
                }
                if string.len() > MAX_STRING {
                    return Err(EncodeError::TooLong);
                }
                rest = tail;
            }
            _ => {}
        }
        name_follows = depth == 1 && matches!(byte, b'{' | b',');
    }
    Ok(())
}

/// The rest of a string up to its quote, as it was written, and what follows.
fn split_string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut len = 0usize;
    let mut escaped = false;
    for &byte in bytes {
        if byte == b'"' && !escaped {
            break;
        }
        escaped = byte == b'\\' && !escaped;
        len = len.wrapping_add(1);
    }
    let (string, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
    (string, rest.get(1..).unwrap_or_default())
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
