//! Feature `flash`: firmware images in NOR flash.

use core::{fmt, future::Future};

use embedded_storage_async::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};
use mqtt_core::platform::update::{MAX_RECORD_LEN, UpdateStore};
use sequential_storage::{
    cache::{Cache, Uncached},
    map::{MapConfig, MapStorage},
};

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
/// With `embassy-boot`:
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

/// Why a [`FlashStore`] failed.
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

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn image_error<E>(error: impl NorFlashError) -> FlashError<E> {
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

#[cfg(test)]
mod tests {
    use core::{
        convert::Infallible,
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };
    use std::{vec, vec::Vec};

    use embedded_storage_async::nor_flash::{
        ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
    };
    use mqtt_core::{
        Instant,
        codec::TopicName,
        platform::{
            thingsboard::{
                Device,
                update::{Package, UpdateOptions, UpdatePhase, Updater},
            },
            update::{AnyChecksum, UpdateStore},
        },
    };

    use super::{Activate, FlashError, FlashStore, UnsuitableFlash};

    const BLOCK: usize = 256;

    /// Flash of words of `WORD` bytes: each is written once between two erasures.
    struct Flash<'s, const WORD: usize> {
        bytes: &'s mut Vec<u8>,
        written: &'s mut Vec<bool>,
        /// Words and erasures before power is lost, in the middle of one.
        left: &'s mut usize,
    }

    #[derive(Debug)]
    struct NoPower;

    impl NorFlashError for NoPower {
        fn kind(&self) -> NorFlashErrorKind {
            NorFlashErrorKind::Other
        }
    }

    impl<const WORD: usize> ErrorType for Flash<'_, WORD> {
        type Error = NoPower;
    }

    impl<const WORD: usize> Flash<'_, WORD> {
        fn spends(&mut self) -> Result<(), NoPower> {
            *self.left = self.left.checked_sub(1).ok_or(NoPower)?;
            if *self.left == 0 {
                Err(NoPower)
            } else {
                Ok(())
            }
        }
    }

    impl<const WORD: usize> ReadNorFlash for Flash<'_, WORD> {
        const READ_SIZE: usize = WORD;

        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
            let at = offset as usize;
            assert!(at.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD));
            bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
            Ok(())
        }

        fn capacity(&self) -> usize {
            self.bytes.len()
        }
    }

    impl<const WORD: usize> NorFlash for Flash<'_, WORD> {
        const WRITE_SIZE: usize = WORD;
        const ERASE_SIZE: usize = BLOCK;

        async fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
            let (from, to) = (from as usize, to as usize);
            assert!(from.is_multiple_of(BLOCK) && to.is_multiple_of(BLOCK));
            let is_powered = self.spends();
            // A block that was being erased holds anything.
            let content = if is_powered.is_ok() { 0xff } else { 0x3a };
            self.bytes[from..to].fill(content);
            self.written[from..to].fill(is_powered.is_err());
            is_powered
        }

        async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
            let at = offset as usize;
            assert!(at.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD));
            for (at, word) in (at..).step_by(WORD).zip(bytes.chunks(WORD)) {
                assert!(
                    !self.written[at..at + WORD].contains(&true),
                    "{at} is written twice"
                );
                let is_powered = self.spends();
                let half = if is_powered.is_ok() { WORD } else { WORD / 2 };
                self.bytes[at..at + half].copy_from_slice(&word[..half]);
                self.written[at..at + WORD].fill(true);
                is_powered?;
            }
            Ok(())
        }
    }

    /// Memory that outlives a loss of power.
    struct Board {
        image: Vec<u8>,
        image_written: Vec<bool>,
        records: Vec<u8>,
        records_written: Vec<bool>,
        image_left: usize,
        records_left: usize,
        activated: Option<u32>,
    }

    impl Board {
        fn new() -> Self {
            Self {
                image: vec![0x77; 16 * BLOCK],
                image_written: vec![true; 16 * BLOCK],
                records: vec![0xff; 4 * BLOCK],
                records_written: vec![false; 4 * BLOCK],
                image_left: usize::MAX,
                records_left: usize::MAX,
                activated: None,
            }
        }

        fn store<const WORD: usize>(
            &mut self,
        ) -> FlashStore<Flash<'_, WORD>, Flash<'_, WORD>, Boot<'_>> {
            let image = Flash {
                bytes: &mut self.image,
                written: &mut self.image_written,
                left: &mut self.image_left,
            };
            let records = Flash {
                bytes: &mut self.records,
                written: &mut self.records_written,
                left: &mut self.records_left,
            };
            FlashStore::new(image, records, Boot(&mut self.activated)).unwrap()
        }
    }

    struct Boot<'s>(&'s mut Option<u32>);

    impl Activate for Boot<'_> {
        type Error = Infallible;

        async fn activate(&mut self, len: u32) -> Result<(), Infallible> {
            *self.0 = Some(len);
            Ok(())
        }
    }

    fn now_or_never<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("flash waits"),
        }
    }

    fn image(len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| u8::try_from((at * 7 + at / 256) % 256).unwrap())
            .collect()
    }

    fn is_kept<const WORD: usize>(piece_len: usize) {
        let mut board = Board::new();
        let mut store = board.store::<WORD>();
        let image = image(3_001);
        let mut offset = 0;
        for piece in image.chunks(piece_len) {
            now_or_never(store.write(offset, piece)).unwrap();
            offset += u32::try_from(piece.len()).unwrap();
        }
        now_or_never(store.flush()).unwrap();
        let mut back = vec![0; image.len()];
        now_or_never(store.read(0, &mut back)).unwrap();
        assert!(back == image, "{WORD} by {piece_len}");
    }

    #[test]
    fn pieces_of_any_length_make_whole_words() {
        for piece_len in [1, 3, 32, 33, 255, 256, 257, 3_001] {
            is_kept::<1>(piece_len);
            is_kept::<4>(piece_len);
            is_kept::<8>(piece_len);
            is_kept::<32>(piece_len);
        }
    }

    #[test]
    fn writing_begins_anew_at_blocks_only() {
        let mut board = Board::new();
        let mut store = board.store::<4>();
        let image = image(1_000);
        now_or_never(store.write(0, &image[..999])).unwrap();
        assert_eq!(
            now_or_never(store.write(513, &image[513..])),
            Err(FlashError::Order)
        );
        now_or_never(store.write(512, &image[512..])).unwrap();
        now_or_never(store.flush()).unwrap();
        let mut back = vec![0; image.len()];
        now_or_never(store.read(0, &mut back)).unwrap();
        assert_eq!(back, image);
        let outside = store.capacity() - 3;
        assert_eq!(
            now_or_never(store.write(outside / 256 * 256, &[0; 257])),
            Err(FlashError::Order)
        );
    }

    #[test]
    fn a_record_that_is_cut_off_leaves_the_one_before() {
        for cut in 1..400 {
            let mut board = Board::new();
            board.records_left = cut;
            let mut last = 0;
            // Long enough that blocks are used again.
            for number in 1..=20_u8 {
                let mut store = board.store::<4>();
                if now_or_never(store.save(&[number; 84])).is_err() {
                    break;
                }
                last = number;
            }
            board.records_left = usize::MAX;
            let mut record = [0; 128];
            let len = now_or_never(board.store::<4>().load(&mut record)).unwrap();
            let found = record[..len].first().copied().unwrap_or(0);
            assert!(
                found == last || found == last + 1,
                "{found} after {last}, cut {cut}"
            );
            assert!(record[..len].iter().all(|byte| *byte == found));
        }
    }

    #[test]
    fn flash_with_something_else_in_it_holds_no_record() {
        let mut board = Board::new();
        board.records = image(4 * BLOCK);
        board.records_written.fill(true);
        let mut record = [0; 128];
        assert_eq!(
            now_or_never(board.store::<4>().load(&mut record)).unwrap(),
            0
        );
        now_or_never(board.store::<4>().save(&[5; 84])).unwrap();
        assert_eq!(
            now_or_never(board.store::<4>().load(&mut record)).unwrap(),
            84
        );
    }

    #[test]
    fn a_region_without_room_for_two_records_is_refused() {
        let mut board = Board::new();
        board.records.truncate(BLOCK);
        let image = Flash::<4> {
            bytes: &mut board.image,
            written: &mut board.image_written,
            left: &mut board.image_left,
        };
        let records = Flash::<4> {
            bytes: &mut board.records,
            written: &mut board.records_written,
            left: &mut board.records_left,
        };
        let store = FlashStore::new(image, records, Boot(&mut board.activated));
        assert_eq!(store.err(), Some(UnsuitableFlash));
    }

    /// Answers all requests until power is lost or nothing is left to do.
    fn run(board: &mut Board, image: &[u8], title: &'static str) -> UpdatePhase {
        const OFFER: &str = r#"{"shared":{"fw_title":"t","fw_version":"2","fw_size":3001,"fw_checksum_algorithm":"CRC32","fw_checksum":"#;
        let checksum = {
            use mqtt_core::platform::update::{Algorithm, Checksum};
            let mut checksum = AnyChecksum::begin(Algorithm::Crc32).unwrap();
            checksum.update(image);
            std::format!("{OFFER}\"{}\"}}}}", checksum.finish())
        };
        let options = UpdateOptions {
            chunk_len: 300,
            save_every: 256,
            ..UpdateOptions::new(Package::Firmware, title, "2")
        };
        let store = board.store::<4>();
        let mut updater: Updater<'_, _, AnyChecksum> =
            now_or_never(Updater::open(Device::new(), options, store));
        updater.update().connected();
        let mut now = Instant::from_millis(0);
        for _ in 0..10_000 {
            let mut out = Vec::new();
            let next = now_or_never(updater.advance_with(now, |message| {
                use mqtt_core::{Publication, codec::Writer};
                let mut topic = [0; 128];
                let mut writer = Writer::new(&mut topic);
                message.write_topic(&mut writer).unwrap();
                let len = writer.len();
                out.push(std::string::String::from_utf8(topic[..len].to_vec()).unwrap());
                true
            }));
            let is_idle = out.is_empty();
            for topic in out {
                if let Some(id) = topic.strip_prefix("v1/devices/me/attributes/request/") {
                    let topic = std::format!("v1/devices/me/attributes/response/{id}");
                    let topic = TopicName::new(&topic).unwrap();
                    now_or_never(updater.receive((topic, checksum.as_bytes()), now));
                } else if topic.starts_with("v2/fw/request/") {
                    let index: usize = topic.rsplit('/').next().unwrap().parse().unwrap();
                    let bytes = &image[index * 300..image.len().min(index * 300 + 300)];
                    let topic = topic.replace("request", "response");
                    now_or_never(updater.receive((TopicName::new(&topic).unwrap(), bytes), now));
                }
            }
            let phase = updater.update().phase();
            if matches!(phase, UpdatePhase::Failed(_) | UpdatePhase::Installed)
                || (is_idle && next.is_none())
            {
                return phase;
            }
            now = next.unwrap_or(now);
        }
        panic!("no end");
    }

    #[test]
    fn power_lost_at_any_word_costs_no_image() {
        let image = image(3_001);
        for cut in (1..900).step_by(7) {
            for is_record in [false, true] {
                let mut board = Board::new();
                if is_record {
                    board.records_left = cut;
                } else {
                    board.image_left = cut;
                }
                if run(&mut board, &image, "old") != UpdatePhase::Installed {
                    assert_eq!(board.activated, None);
                    (board.image_left, board.records_left) = (usize::MAX, usize::MAX);
                    assert_eq!(
                        run(&mut board, &image, "old"),
                        UpdatePhase::Installed,
                        "{cut}"
                    );
                }
                assert_eq!(board.activated, Some(3_001));
                assert!(board.image[..3_001] == image, "{cut}");
            }
        }
    }
}
