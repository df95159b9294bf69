//! What may go wrong with flash.

use core::fmt;

use embedded_storage_async::nor_flash::{NorFlashError, NorFlashErrorKind};

/// Why a [`FlashStore`](super::FlashStore) failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash of the image.
    Image(FlashFault),
    /// The flash of the record.
    Record,
    /// The bytes do not follow those before, or lie outside the region.
    Order,
    /// The boot loader could not be told.
    Activate(E),
}

/// What a flash driver said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashFault {
    /// An address or length is not a multiple of what it must be of.
    NotAligned,
    /// An address lies outside.
    OutOfBounds,
    /// Anything else.
    Other,
}

impl<E: fmt::Display> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(FlashFault::NotAligned) => f.write_str("image: not aligned"),
            Self::Image(FlashFault::OutOfBounds) => f.write_str("image: out of bounds"),
            Self::Image(FlashFault::Other) => f.write_str("image: flash failed"),
            Self::Record => f.write_str("record: flash failed"),
            Self::Order => f.write_str("image: bytes out of order"),
            Self::Activate(error) => write!(f, "activate: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for FlashError<E> {}

/// The record region is too small, or its flash has words or blocks that records cannot be kept in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnsuitableFlash;

impl fmt::Display for UnsuitableFlash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flash region is not suitable")
    }
}

impl core::error::Error for UnsuitableFlash {}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(super) fn image_error<E>(error: impl NorFlashError) -> FlashError<E> {
    FlashError::Image(FlashFault::of(&error))
}

impl FlashFault {
    pub(crate) fn of(error: &impl NorFlashError) -> Self {
        match error.kind() {
            NorFlashErrorKind::NotAligned => Self::NotAligned,
            NorFlashErrorKind::OutOfBounds => Self::OutOfBounds,
            _ => Self::Other,
        }
    }
}
