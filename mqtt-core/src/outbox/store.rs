//! Where records lie over a loss of power.

use core::fmt;

/// A bounded queue of records that outlives a loss of power, oldest first.
///
/// A record is a run of bytes whose first four are its [`RecordNumber`]; the rest is of no concern to the store. Numbers
/// ascend in the order of appending. What an implementer must keep:
///
/// - Once [`append`](Self::append) has returned `Ok`, the record is there after any loss of power, until
///   [`remove`](Self::remove) was called for it or one of its futures was dropped.
/// - [`find`](Self::find) never shows a record that was not written to its end.
/// - Losing power in the middle of anything leaves all other records as they are, and the store can be used.
/// - A future that is dropped before its end counts as a loss of power at that moment: the same value is used on.
///
/// `mqtt-std` has one in a file, `mqtt-embassy` one in NOR flash.
pub trait Store {
    /// Why the medium failed.
    type Error;

    /// Of a buffer only a multiple of so many bytes can be read into: of flash, what is read or written at once. 1, the
    /// default, where that does not matter.
    fn word_len(&self) -> usize {
        1
    }

    /// Adds a record as the newest. Returns when it is durable.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; the record is not there, or with [`AppendError::Store`] it may be. The store can be used on.
    fn append(
        &mut self,
        record: &[u8],
    ) -> impl Future<Output = Result<(), AppendError<Self::Error>>>;

    /// Shows `wanted` the records, oldest first, until it returns true; that record is left in `buffer`, and its length
    /// returned. `None` if there is no such record.
    ///
    /// # Errors
    ///
    /// The medium failed, or `buffer` is shorter than a record.
    fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<Option<usize>, Self::Error>>;

    /// Removes the record with that number, if it is there. Any may be removed, not only the oldest. `scratch` is as long
    /// as the longest record, for stores that need such room.
    ///
    /// # Errors
    ///
    /// The medium failed; the record may still be there.
    fn remove(
        &mut self,
        number: RecordNumber,
        scratch: &mut [u8],
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// The name of a record: its first four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecordNumber(u32);

impl RecordNumber {
    /// Number of bytes.
    pub const LEN: usize = 4;

    pub(super) const FIRST: Self = Self(0);

    /// The number of a record; `None` if that is shorter than a number.
    #[must_use]
    pub const fn of(record: &[u8]) -> Option<Self> {
        match record.first_chunk() {
            Some(bytes) => Some(Self(u32::from_le_bytes(*bytes))),
            None => None,
        }
    }

    /// Whether its record is newer than that of `other`. Numbers wrap.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        let distance = self.0.wrapping_sub(other.0);
        distance != 0 && distance <= u32::MAX / 2
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    pub(super) const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_le_bytes()
    }
}

/// Why a [`Store`] did not take a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AppendError<E> {
    /// No room now; removing records makes some.
    Full,
    /// No room for a record of this length, ever.
    TooLarge,
    /// The medium failed.
    Store(E),
}

impl<E: fmt::Display> fmt::Display for AppendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("store is full"),
            Self::TooLarge => f.write_str("larger than the store"),
            Self::Store(error) => write!(f, "store: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for AppendError<E> {}

#[cfg(test)]
mod tests {
    use super::RecordNumber;

    #[test]
    fn newer_stays_newer_when_numbers_wrap() {
        let last = RecordNumber(u32::MAX);
        assert!(last.next().is_after(last));
        assert!(!last.is_after(last.next()));
        assert!(!last.is_after(last));
    }

    #[test]
    fn a_record_without_a_number_has_none() {
        assert_eq!(RecordNumber::of(&[1, 0, 0]), None);
        assert_eq!(
            RecordNumber::of(&[1, 0, 0, 0, 9]),
            Some(RecordNumber::FIRST.next())
        );
    }
}
