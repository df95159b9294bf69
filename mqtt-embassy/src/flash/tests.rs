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
