use core::future::Future;

/// Bytes of the longest record that [`UpdateStore::save`] is given.
pub const MAX_RECORD_LEN: usize = 256;

/// Where an image is kept while it arrives, and what is remembered of it over a restart.
///
/// What an implementer must keep:
///
/// - [`write`](Self::write) is called in ascending order, without gaps. It begins anew at 0, for another image, or at a
///   multiple of [`block_len`](Self::block_len), after a restart; what was written from there on is forgotten then.
///   To erase a block when a write enters it at its start is enough.
/// - [`save`](Self::save) makes everything durable that was written before, up to the last full block, and then replaces
///   the record as a whole: after a loss of power there is the old one or the new one.
/// - Nothing is activated but by [`activate`](Self::activate).
///
/// The futures are awaited to their end, unless the application drops the one that called them. After that the update is
/// begun anew with what [`load`](Self::load) gives, as after a restart.
pub trait UpdateStore {
    /// Why the store failed. The update ends then, and reports that it did.
    type Error;

    /// Bytes of the largest image that can be kept.
    fn capacity(&self) -> u32;

    /// At multiples of this many bytes writing can begin anew after a restart: of flash, what is erased at once. A file
    /// can do so at any byte: 1, the default.
    fn block_len(&self) -> u32 {
        1
    }

    /// Writes bytes of the image.
    ///
    /// # Errors
    ///
    /// It failed. What is in the store from `offset` on is unknown.
    fn write(&mut self, offset: u32, bytes: &[u8])
    -> impl Future<Output = Result<(), Self::Error>>;

    /// The image ends here: whatever was held back, to be written with more, is written.
    ///
    /// # Errors
    ///
    /// It failed.
    fn flush(&mut self) -> impl Future<Output = Result<(), Self::Error>>;

    /// Reads back what was written and flushed.
    ///
    /// # Errors
    ///
    /// It failed.
    fn read(
        &mut self,
        offset: u32,
        bytes: &mut [u8],
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// Replaces the record of how far the update is, [`MAX_RECORD_LEN`] bytes at most.
    ///
    /// # Errors
    ///
    /// It failed; the old record may be there, or none.
    fn save(&mut self, record: &[u8]) -> impl Future<Output = Result<(), Self::Error>>;

    /// Reads the record; gives its length, 0 if there is none.
    ///
    /// # Errors
    ///
    /// It failed.
    fn load(&mut self, record: &mut [u8]) -> impl Future<Output = Result<usize, Self::Error>>;

    /// The image of `len` bytes is complete and was checked: it is made the one that the next restart starts, or
    /// whatever "installed" means here.
    ///
    /// It may be called again for the same image, when power was lost in between.
    ///
    /// # Errors
    ///
    /// It failed: the old image stays.
    fn activate(&mut self, len: u32) -> impl Future<Output = Result<(), Self::Error>>;
}
