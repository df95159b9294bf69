//! Feature `flash`: firmware images in NOR flash.

mod error;

use core::{fmt, future::Future};

use embedded_storage_async::nor_flash::NorFlash;
use mqtt_core::platform::update::{MAX_RECORD_LEN, UpdateStore};
use sequential_storage::{
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

use error::image_error;

pub use error::{FlashError, FlashFault, UnsuitableFlash};

/// The largest word that a flash is written by, in bytes.
const MAX_WORD_LEN: usize = 32;

/// The only key in the map of records.
const KEY: u8 = 0;

/// Keeps an image in one region of flash and the record of its progress in another.
///
/// The region of the image is the one that the boot loader takes it from: the DFU partition of `embassy-boot`, say. Blocks
/// are erased as the image reaches them, so nothing has to be prepared. Whatever power does, the image that is installed is
/// the right one: it was read back and checked as a whole before.
///
/// The region of the record needs two erase blocks at least, for nothing else. Records lie in it one behind the other, each
/// with a checksum (crate `sequential-storage`): one that was cut off by a loss of power is not seen, and the one before
/// it holds. A record of 128 bytes at every 16 KB of the image: a megabyte costs two or three erasures of 4 KB
/// blocks.
///
/// With flash that several parties use, give partitions of it, as `embassy_embedded_hal::flash::partition` makes them.
pub struct FlashStore<I, R: NorFlash, A> {
    image: I,
    record: MapStorage<u8, R, Records>,
    activate: A,
    capacity: u32,
    /// Where the next byte belongs.
    end: u32,
    /// What does not make a word yet.
    part: Aligned<MAX_WORD_LEN>,
    part_len: usize,
}

/// Tells the boot loader that an image is to be started.
///
/// With `embassy-boot`, as the example firmware `rp2040-thingsboard` has it:
///
/// ```
/// # mod embassy_boot {
/// #     #[derive(Debug)]
/// #     pub struct FirmwareUpdaterError;
/// #     pub struct FirmwareState;
/// #     impl FirmwareState {
/// #         pub async fn mark_updated(&mut self) -> Result<(), FirmwareUpdaterError> { Ok(()) }
/// #     }
/// # }
/// use embassy_boot::{FirmwareState, FirmwareUpdaterError};
///
/// struct BootLoader(FirmwareState);
///
/// impl mqtt_embassy::Activate for BootLoader {
///     type Error = FirmwareUpdaterError;
///
///     async fn activate(&mut self, _len: u32) -> Result<(), FirmwareUpdaterError> {
///         self.0.mark_updated().await
///     }
/// }
/// ```
pub trait Activate {
    /// Why it could not be told.
    type Error;

    /// The image of `len` bytes is complete and was checked: the next restart is to start it.
    ///
    /// # Errors
    ///
    /// The boot loader could not be told.
    fn activate(&mut self, len: u32) -> impl Future<Output = Result<(), Self::Error>>;
}

type Records = Cache<Uncached, Uncached, Uncached, u8>;

/// Some flash drivers write from aligned memory only.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Aligned<const N: usize>([u8; N]);

impl<I: NorFlash, R: NorFlash, A: Activate> FlashStore<I, R, A> {
    /// A store for images in `image`, with its records in `records`; `activate` tells the boot loader.
    ///
    /// # Errors
    ///
    /// [`UnsuitableFlash`].
    pub fn new(image: I, records: R, activate: A) -> Result<Self, UnsuitableFlash> {
        let len = u32::try_from(records.capacity()).map_err(|_| UnsuitableFlash)?;
        let config = MapConfig::try_new(0..len).map_err(|_| UnsuitableFlash)?;
        let is_word = I::WRITE_SIZE > 0 && MAX_WORD_LEN.is_multiple_of(I::WRITE_SIZE);
        let is_read = I::READ_SIZE > 0 && MAX_WORD_LEN.is_multiple_of(I::READ_SIZE);
        if !is_word
            || !is_read
            || I::ERASE_SIZE == 0
            || !I::ERASE_SIZE.is_multiple_of(I::WRITE_SIZE)
        {
            return Err(UnsuitableFlash);
        }
        let whole_blocks = image.capacity() / I::ERASE_SIZE * I::ERASE_SIZE;
        Ok(Self {
            capacity: u32::try_from(whole_blocks).unwrap_or(u32::MAX),
            image,
            record: MapStorage::new(records, config, Cache::new_uncached()),
            activate,
            end: 0,
            part: Aligned([0; MAX_WORD_LEN]),
            part_len: 0,
        })
    }

    /// Takes no images above `len` bytes: a boot loader that swaps needs some blocks for itself.
    #[must_use]
    pub fn limit(mut self, len: u32) -> Self {
        self.capacity = self.capacity.min(len);
        self
    }

    /// Writes whole words, and erases each block that they enter.
    async fn write_words(&mut self, at: u32, words: &[u8]) -> Result<(), FlashError<A::Error>> {
        let mut at = at;
        let mut rest = words;
        while !rest.is_empty() {
            let into_block = at as usize % I::ERASE_SIZE;
            if into_block == 0 {
                let end = at.saturating_add(block_len::<I>());
                self.image.erase(at, end).await.map_err(image_error)?;
            }
            let (now, later) = rest.split_at(rest.len().min(I::ERASE_SIZE - into_block));
            self.image.write(at, now).await.map_err(image_error)?;
            at = at.saturating_add(len_of(now));
            rest = later;
        }
        Ok(())
    }

    /// Where the bytes lie that do not make a word yet.
    fn part_at(&self) -> u32 {
        self.end
            .saturating_sub(u32::try_from(self.part_len).unwrap_or(0))
    }

    /// Adds bytes to the word that is not whole yet; those behind its end are left.
    fn take_part<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let len = bytes.len().min(I::WRITE_SIZE.saturating_sub(self.part_len));
        let (head, tail) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        let places = self.part.0.iter_mut().skip(self.part_len);
        for (place, byte) in places.zip(head) {
            *place = *byte;
        }
        self.part_len += head.len();
        tail
    }
}

impl<I: NorFlash, R: NorFlash, A: Activate> UpdateStore for FlashStore<I, R, A> {
    type Error = FlashError<A::Error>;

    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn block_len(&self) -> u32 {
        block_len::<I>()
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        if offset != self.end {
            if !offset.is_multiple_of(block_len::<I>()) {
                return Err(FlashError::Order);
            }
            self.end = offset;
            self.part_len = 0;
        }
        let end = offset
            .checked_add(len_of(bytes))
            .filter(|end| *end <= self.capacity);
        let end = end.ok_or(FlashError::Order)?;
        let mut rest = bytes;
        if self.part_len > 0 {
            let at = self.part_at();
            rest = self.take_part(rest);
            if self.part_len == I::WRITE_SIZE {
                let part = self.part;
                self.write_words(at, &part.0[..I::WRITE_SIZE]).await?;
                self.part_len = 0;
            }
        }
        let (words, part) = rest.split_at(rest.len() - rest.len() % I::WRITE_SIZE);
        self.write_words(end - len_of(rest), words).await?;
        self.take_part(part);
        self.end = end;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        if self.part_len > 0 {
            let mut part = self.part;
            for byte in part.0.iter_mut().skip(self.part_len) {
                *byte = 0xff;
            }
            self.write_words(self.part_at(), &part.0[..I::WRITE_SIZE])
                .await?;
            self.part_len = 0;
            // What would come now cannot be written any more.
            self.end = u32::MAX;
        }
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let whole = bytes.len() - bytes.len() % I::READ_SIZE;
        let (words, part) = bytes.split_at_mut(whole);
        self.image.read(offset, words).await.map_err(image_error)?;
        if !part.is_empty() {
            let mut word = [0; MAX_WORD_LEN];
            let at = offset.saturating_add(len_of(words));
            let word = &mut word[..I::READ_SIZE];
            self.image.read(at, word).await.map_err(image_error)?;
            for (place, byte) in part.iter_mut().zip(word) {
                *place = *byte;
            }
        }
        Ok(())
    }

    async fn save(&mut self, record: &[u8]) -> Result<(), Self::Error> {
        let mut buffer = Aligned([0; BUFFER_LEN]);
        let result = self.record.store_item(&mut buffer.0, &KEY, &record).await;
        result.map_err(|_| FlashError::Record)
    }

    async fn load(&mut self, record: &mut [u8]) -> Result<usize, Self::Error> {
        let mut buffer = Aligned([0; BUFFER_LEN]);
        let saved = self.record.fetch_item::<&[u8]>(&mut buffer.0, &KEY).await;
        let saved = match saved {
            Ok(saved) => saved.unwrap_or_default(),
            Err(sequential_storage::Error::Storage { .. }) => return Err(FlashError::Record),
            // What lies there is none of ours: flash that was used for something else before.
            Err(_) => {
                self.record
                    .erase_all()
                    .await
                    .map_err(|_| FlashError::Record)?;
                &[]
            }
        };
        let place = record.get_mut(..saved.len()).ok_or(FlashError::Record)?;
        place.copy_from_slice(saved);
        Ok(saved.len())
    }

    async fn activate(&mut self, len: u32) -> Result<(), Self::Error> {
        self.activate
            .activate(len)
            .await
            .map_err(FlashError::Activate)
    }
}

impl<I, R: NorFlash, A> fmt::Debug for FlashStore<I, R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashStore")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A record, its key and its length, in whole words.
const BUFFER_LEN: usize = (MAX_RECORD_LEN + MAX_WORD_LEN).next_multiple_of(MAX_WORD_LEN);

fn block_len<I: NorFlash>() -> u32 {
    u32::try_from(I::ERASE_SIZE).unwrap_or(u32::MAX)
}

fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
