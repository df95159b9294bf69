//! Slices without panics.

/// As [`slice::copy_within`], but a range outside the slice copies nothing.
pub(crate) fn copy_within(bytes: &mut [u8], from: usize, len: usize, to: usize) {
    let end = from.saturating_add(len);
    let fits = end <= bytes.len() && to.saturating_add(len) <= bytes.len();
    if fits && from != to {
        bytes.copy_within(from..end, to);
    }
}
