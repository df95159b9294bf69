//! Slices without panics, and without what a compiler makes of `memmove` on a small processor.

/// Moves `len` bytes from `from` to an earlier place, `to`. What lies outside the slice is left alone.
#[cfg(target_os = "none")]
pub(crate) fn move_down(bytes: &mut [u8], from: usize, len: usize, to: usize) {
    // The early return keeps this a loop of some 20 bytes; `memmove` has 1,300 on thumbv6m.
    for offset in 0..len {
        let Some(&byte) = bytes.get(from.wrapping_add(offset)) else {
            return;
        };
        let Some(place) = bytes.get_mut(to.wrapping_add(offset)) else {
            return;
        };
        *place = byte;
    }
}

/// Moves `len` bytes from `from` to an earlier place, `to`. What lies outside the slice is left alone.
#[cfg(not(target_os = "none"))]
pub(crate) fn move_down(bytes: &mut [u8], from: usize, len: usize, to: usize) {
    let end = from.saturating_add(len);
    if from != to && to < from && end <= bytes.len() {
        bytes.copy_within(from..end, to);
    }
}

/// Folds `bytes` into a number that tells texts apart (FNV-1a). Not against anybody who means to deceive.
pub(crate) fn fingerprint(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start ^ 0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
