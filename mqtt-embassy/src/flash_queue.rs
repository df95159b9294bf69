//! Feature `flash`: the store of an outbox in NOR flash.

mod careful;

use core::fmt;

use embedded_storage_async::nor_flash::{MultiwriteNorFlash, NorFlash as _, NorFlashError};
use mqtt_core::outbox::{AppendError, RecordNumber, Store};
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    queue::{QueueConfig, QueueStorage},
};

use crate::{FlashFault, UnsuitableFlash};

pub(crate) use careful::CarefulFlash;

/// Keeps the records of an [`Outbox`](crate::Outbox) in a region of NOR flash, for nothing else.
///
/// Records lie one behind the other, each with a checksum (crate `sequential-storage`), and blocks are used in turn, so
/// that they wear evenly. One that a loss of power cut off is not seen, and takes no other with it. A block is erased
/// when all of its records were removed and room is needed, or when records are looked for. What is written is read back.
///
/// - The region has three erase blocks at least: a record lies within one block, and the room of a block comes back as a whole.
/// - A record takes 8 bytes more than its length, rounded up to a multiple of 8 or of what the flash is written by; a block
///   loses twice that.
/// - Wear: a record of 100 bytes costs 1/36 of an erasure of a block of 4 KB; of 16 such blocks, each good for
///   100,000 erasures, 57 million messages.
/// - Removing a record overwrites its header with zeros. So the flash must take a second write to a word
///   ([`MultiwriteNorFlash`]): RP2040, RP2350, ESP32 and most external flash do. Flash with error correction for each
///   word, as in many STM32, does not: there an external flash has to serve.
/// - Some drivers write from aligned memory only: then the buffer of the outbox must be aligned.
///
/// With flash that several parties use, give a partition of it, as `embassy_embedded_hal::flash::partition` makes them.
///
/// ```no_run
/// # async fn example<F: embedded_storage_async::nor_flash::MultiwriteNorFlash>(
/// #     client: mqtt_embassy::Client, partition: F,
/// # ) -> Result<(), Box<dyn core::error::Error>> {
/// use mqtt_embassy::{FlashQueue, FlashQueueError, Message, Outbox};
/// use static_cell::ConstStaticCell;
///
/// static BUFFER: ConstStaticCell<[u8; 256]> = ConstStaticCell::new([0; 256]);
///
/// let mut queue = FlashQueue::new(partition)?;
/// // The first start, on flash that was used for something else.
/// if let Err(FlashQueueError::Corrupted) = queue.check(&mut [0; 256]).await {
///     queue.erase().await?;
/// }
/// let outbox: Outbox<_> = Outbox::new(client, queue, BUFFER.take());
/// // In one task:
/// outbox.run(|_, _| Ok(()), |message, loss| { /* log it */ }).await;
/// // In any other:
/// outbox.publish(&Message::new("meter/kwh", b"4711").at_least_once()).await.unwrap();
/// # Ok(())
/// # }
/// ```
pub struct FlashQueue<F: MultiwriteNorFlash> {
    queue: QueueStorage<CarefulFlash<F>, Cache<Uncached, Uncached, Uncached>>,
    /// Power may have been lost since the flash was looked at.
    is_suspect: bool,
}

/// Why a [`FlashQueue`] or a [`FlashSession`](crate::FlashSession) failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashQueueError {
    /// The driver of the flash; or what was written is not what can be read, since the flash is worn out.
    Flash(FlashFault),
    /// What lies there is none of ours, and could not be mended: the flash was used for something else before, or is worn
    /// out. [`FlashQueue::erase`] makes it usable.
    Corrupted,
    /// The buffer is shorter than a record, of firmware that had a longer one.
    BufferTooSmall,
}

impl fmt::Display for FlashQueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flash(FlashFault::NotAligned) => "flash: not aligned",
            Self::Flash(FlashFault::OutOfBounds) => "flash: out of bounds",
            Self::Flash(FlashFault::Other) => "flash failed",
            Self::Corrupted => "flash holds something else",
            Self::BufferTooSmall => "record longer than the buffer",
        })
    }
}

impl core::error::Error for FlashQueueError {}

impl<F: MultiwriteNorFlash> FlashQueue<F> {
    /// A queue in `flash`, with what is in it already.
    ///
    /// # Errors
    ///
    /// [`UnsuitableFlash`].
    pub fn new(flash: F) -> Result<Self, UnsuitableFlash> {
        let len = u32::try_from(flash.capacity()).map_err(|_| UnsuitableFlash)?;
        let config = QueueConfig::try_new(0..len).map_err(|_| UnsuitableFlash)?;
        if !CarefulFlash::<F>::IS_SUITABLE || flash.capacity() < 3 * F::ERASE_SIZE {
            return Err(UnsuitableFlash);
        }
        Ok(Self {
            queue: QueueStorage::new(CarefulFlash(flash), config, Cache::new_uncached()),
            is_suspect: true,
        })
    }

    /// Reads all records, to see whether there is a queue, or empty flash. It may mend what a loss of power has left.
    /// `scratch` is as long as the longest record.
    ///
    /// # Errors
    ///
    /// [`FlashQueueError`].
    pub async fn check(&mut self, scratch: &mut [u8]) -> Result<(), FlashQueueError> {
        self.find(&mut |_| false, scratch).await?;
        self.begin().await?;
        let room = self.queue.find_max_fit().await;
        room.map_err(|error| failure(&error))?;
        self.is_suspect = false;
        Ok(())
    }

    /// To be called before anything is done, and `is_suspect` to be cleared when that went well.
    async fn begin(&mut self) -> Result<(), FlashQueueError> {
        if self.is_suspect {
            let mended = self.queue.flash().mend().await;
            mended.map_err(|error| FlashQueueError::Flash(FlashFault::of(&error)))?;
        }
        self.is_suspect = true;
        Ok(())
    }

    /// Erases the whole region: all records are lost.
    ///
    /// # Errors
    ///
    /// [`FlashQueueError::Flash`].
    pub async fn erase(&mut self) -> Result<(), FlashQueueError> {
        self.queue
            .erase_all()
            .await
            .map_err(|error| failure(&error))
    }
}

impl<F: MultiwriteNorFlash> Store for FlashQueue<F> {
    type Error = FlashQueueError;

    fn word_len(&self) -> usize {
        CarefulFlash::<F>::WRITE_SIZE.max(F::READ_SIZE)
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), AppendError<FlashQueueError>> {
        self.begin().await.map_err(AppendError::Store)?;
        let pushed = self.queue.push(record, false).await;
        let full = match pushed {
            Ok(()) => Ok(()),
            Err(Error::FullStorage) => Err(AppendError::Full),
            Err(Error::ItemTooBig) => Err(AppendError::TooLarge),
            Err(error) => return Err(AppendError::Store(failure(&error))),
        };
        self.is_suspect = false;
        full
    }

    async fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
        buffer: &mut [u8],
    ) -> Result<Option<usize>, FlashQueueError> {
        self.begin().await?;
        let mut records = self.queue.iter().await.map_err(|error| failure(&error))?;
        let found = loop {
            let record = records.next(buffer).await;
            match record.map_err(|error| failure(&error))? {
                Some(record) if wanted(&record) => break Some(record.len()),
                Some(_) => {}
                None => break None,
            }
        };
        self.is_suspect = false;
        Ok(found)
    }

    async fn remove(
        &mut self,
        number: RecordNumber,
        scratch: &mut [u8],
    ) -> Result<(), FlashQueueError> {
        self.begin().await?;
        let mut records = self.queue.iter().await.map_err(|error| failure(&error))?;
        loop {
            let record = records.next(scratch).await;
            match record.map_err(|error| failure(&error))? {
                Some(record) if RecordNumber::of(&record) == Some(number) => {
                    record.pop().await.map_err(|error| failure(&error))?;
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        self.is_suspect = false;
        Ok(())
    }
}

impl<F: MultiwriteNorFlash> fmt::Debug for FlashQueue<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashQueue").finish_non_exhaustive()
    }
}

fn failure<E: NorFlashError>(error: &Error<E>) -> FlashQueueError {
    match error {
        Error::Storage { value, .. } => FlashQueueError::Flash(FlashFault::of(value)),
        Error::BufferTooSmall(_) => FlashQueueError::BufferTooSmall,
        _ => FlashQueueError::Corrupted,
    }
}

#[cfg(test)]
pub(crate) mod tests;
