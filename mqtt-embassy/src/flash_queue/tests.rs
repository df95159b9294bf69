//! Power is lost at every word that is written and in every erasure; futures are dropped there.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::{vec, vec::Vec};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use mqtt_core::outbox::{AppendError, RecordNumber, Store};

use super::{FlashQueue, FlashQueueError};

pub(crate) const BLOCK: usize = 128;
const BLOCKS: usize = 6;

/// What is left of a block whose erasure was cut off.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Erased {
    Nothing,
    FirstHalf,
    SecondHalf,
    /// Everything but the last word.
    Almost,
    /// What lies between the first and the last word stays.
    Ends,
}

/// What happens when the last step is reached.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Cut {
    PowerLost(Erased),
    /// The driver waits for ever, until its future is dropped. Nothing was written.
    Waits,
}

/// Flash of words of `WORD` bytes, of which each bit can be cleared and only an erasure sets it.
pub(crate) struct Flash<'s, const WORD: usize> {
    bytes: &'s mut Vec<u8>,
    /// Words and erasures before the cut.
    left: &'s mut usize,
    cut: Cut,
}

#[derive(Debug)]
pub(crate) struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WORD: usize> ErrorType for Flash<'_, WORD> {
    type Error = NoPower;
}

impl<'s, const WORD: usize> Flash<'s, WORD> {
    pub(crate) fn new(bytes: &'s mut Vec<u8>, left: &'s mut usize, cut: Cut) -> Self {
        Self { bytes, left, cut }
    }

    /// Whether this step is still done.
    async fn step(&mut self) -> bool {
        if *self.left > 1 {
            *self.left -= 1;
            return true;
        }
        if self.cut == Cut::Waits && *self.left == 1 {
            *self.left = usize::MAX;
            poll_fn(|_| Poll::<()>::Pending).await;
        }
        false
    }
}

impl<const WORD: usize> ReadNorFlash for Flash<'_, WORD> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        let at = offset as usize;
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
        let half = from.midpoint(to);
        let is_done = self.step().await;
        let erased = match self.cut {
            _ if is_done => from..to,
            Cut::PowerLost(Erased::FirstHalf) if *self.left == 1 => from..half,
            Cut::PowerLost(Erased::SecondHalf) if *self.left == 1 => half..to,
            Cut::PowerLost(Erased::Almost) if *self.left == 1 => from..to - WORD,
            _ => from..from,
        };
        self.bytes[erased].fill(0xff);
        if self.cut == Cut::PowerLost(Erased::Ends) && !is_done && *self.left == 1 {
            self.bytes[from..from + 8].fill(0xff);
            self.bytes[to - 8..to].fill(0xff);
        }
        if !is_done {
            *self.left = 0;
            return Err(NoPower);
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        let at = offset as usize;
        assert!(at.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD));
        for (at, word) in (at..).step_by(WORD).zip(bytes.chunks(WORD)) {
            let is_done = self.step().await;
            let len = match (is_done, *self.left) {
                (true, _) => WORD,
                (false, 1) => WORD / 2,
                (false, _) => 0,
            };
            for (place, byte) in self.bytes[at..].iter_mut().zip(&word[..len]) {
                *place &= byte;
            }
            if !is_done {
                *self.left = 0;
                return Err(NoPower);
            }
        }
        Ok(())
    }
}

impl<const WORD: usize> MultiwriteNorFlash for Flash<'_, WORD> {}

/// The result, or `None` if the future waits and was dropped.
pub(crate) fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn record(number: u32) -> Vec<u8> {
    let mut record = number.to_le_bytes().to_vec();
    let len = 3 + number as usize * 5 % 23;
    record.extend((0..len).map(|at| u8::try_from((number as usize * 31 + at) % 251).unwrap()));
    record
}

fn number(number: u32) -> RecordNumber {
    RecordNumber::of(&number.to_le_bytes()).unwrap()
}

/// The numbers of all records, each of which must be as it was written.
fn numbers<const WORD: usize>(queue: &mut FlashQueue<Flash<'_, WORD>>) -> Vec<u32> {
    let mut numbers = Vec::new();
    let found = poll(queue.find(
        &mut |found| {
            let number = u32::from_le_bytes(found[..4].try_into().unwrap());
            assert_eq!(found, record(number));
            numbers.push(number);
            false
        },
        &mut [0; 64],
    ));
    assert_eq!(found, Some(Ok(None)));
    numbers
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Append(u32),
    Remove(u32),
}

/// What must be in the queue, and the one record that may be there or not.
#[derive(Default)]
struct Model {
    records: Vec<u32>,
    uncertain: Option<u32>,
    accepted: usize,
}

impl Model {
    /// Does one operation. False if it was cut off.
    fn does<const WORD: usize>(
        &mut self,
        queue: &mut FlashQueue<Flash<'_, WORD>>,
        operation: Operation,
    ) -> bool {
        match operation {
            Operation::Append(new) => match poll(queue.append(&record(new))) {
                Some(Ok(())) => {
                    self.records.push(new);
                    self.accepted += 1;
                }
                Some(Err(AppendError::Full)) => {}
                Some(Err(AppendError::TooLarge)) => panic!("{new} is too large"),
                Some(Err(AppendError::Store(_))) | None => {
                    self.uncertain = Some(new);
                    return false;
                }
            },
            Operation::Remove(old) => {
                self.records.retain(|record| *record != old);
                if poll(queue.remove(number(old), &mut [0; 64])) != Some(Ok(())) {
                    self.uncertain = Some(old);
                    return false;
                }
            }
        }
        true
    }

    /// Does what is left of a script after an operation that was cut off.
    fn goes_on<const WORD: usize>(
        &mut self,
        queue: &mut FlashQueue<Flash<'_, WORD>>,
        cut_off: Option<Operation>,
        script: impl Iterator<Item = Operation>,
        case: &str,
    ) {
        self.settles(queue, case);
        // What may be there still is removed again; what may not be there is not appended again.
        let again = cut_off.filter(|operation| matches!(operation, Operation::Remove(_)));
        for (index, operation) in again.into_iter().chain(script).enumerate() {
            assert!(self.does(queue, operation), "{case}");
            if index % 8 < 2 {
                self.settles(queue, case);
            }
        }
        self.settles(queue, case);
    }

    /// The queue holds what it must; what may be there, it holds or not from now on.
    fn settles<const WORD: usize>(&mut self, queue: &mut FlashQueue<Flash<'_, WORD>>, case: &str) {
        let found = numbers(queue);
        if let Some(uncertain) = self
            .uncertain
            .take()
            .filter(|number| found.contains(number))
        {
            self.records.push(uncertain);
            self.records.sort_unstable();
        }
        assert_eq!(found, self.records, "{case}");
    }
}

/// Appends, and removals in and out of order, long enough that all blocks are used several times.
fn script() -> Vec<Operation> {
    let mut script = Vec::new();
    let mut late = Vec::new();
    for number in 0..45 {
        script.push(Operation::Append(number));
        // 1 before 0, 3 before 2; one in seven is removed late.
        let Some(old) = number.checked_sub(6).map(|old| old ^ 1) else {
            continue;
        };
        if old % 7 != 6 {
            script.push(Operation::Remove(old));
            continue;
        }
        late.push(old);
        if late.len() > 1 {
            script.push(Operation::Remove(late.remove(0)));
        }
    }
    script
}

/// Whether the script was cut off.
fn survives<const WORD: usize>(left: usize, cut: Cut) -> bool {
    let case = std::format!("word of {WORD}, step {left}, {cut:?}");
    let mut bytes = vec![0xff; BLOCK * BLOCKS];
    let mut model = Model::default();
    let mut script = script().into_iter();
    let mut left = left;
    let mut last = None;
    let was_cut;
    {
        let flash: Flash<'_, WORD> = Flash {
            bytes: &mut bytes,
            left: &mut left,
            cut,
        };
        let mut queue = FlashQueue::new(flash).unwrap();
        for operation in script.by_ref() {
            if !model.does(&mut queue, operation) {
                last = Some(operation);
                break;
            }
        }
        was_cut = last.is_some();
        if cut == Cut::Waits {
            // The same value is used on.
            model.goes_on(&mut queue, last.take(), script.by_ref(), &case);
        }
    }
    left = usize::MAX;
    let flash: Flash<'_, WORD> = Flash {
        bytes: &mut bytes,
        left: &mut left,
        cut,
    };
    let mut queue = FlashQueue::new(flash).unwrap();
    model.goes_on(&mut queue, last, script, &case);
    assert!(model.accepted > 40, "{case}: {} accepted", model.accepted);
    was_cut
}

fn survives_at_every_step<const WORD: usize>(cut: Cut) {
    let mut left = 1;
    while survives::<WORD>(left, cut) {
        left += 1;
    }
    std::println!("{cut:?}: {} cuts, words of {WORD}", left - 1);
    assert!(left > 200, "{left} steps of words of {WORD}");
}

#[test]
fn power_lost_at_any_word_or_erasure_costs_no_record() {
    for erased in [
        Erased::Nothing,
        Erased::FirstHalf,
        Erased::SecondHalf,
        Erased::Almost,
        Erased::Ends,
    ] {
        survives_at_every_step::<4>(Cut::PowerLost(erased));
    }
    survives_at_every_step::<1>(Cut::PowerLost(Erased::Nothing));
    survives_at_every_step::<8>(Cut::PowerLost(Erased::FirstHalf));
}

/// A number below `end` that looks drawn by lot.
fn draw(lot: &mut u32, end: usize) -> usize {
    *lot = lot.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*lot >> 16) as usize % end
}

/// Many short lives; also the flash is mended in several.
fn survives_again_and_again(seed: u32) -> usize {
    const PATTERNS: [Erased; 5] = [
        Erased::Nothing,
        Erased::FirstHalf,
        Erased::SecondHalf,
        Erased::Almost,
        Erased::Ends,
    ];
    let mut bytes = vec![0xff; BLOCK * BLOCKS];
    let mut model = Model::default();
    let mut script = script().into_iter().peekable();
    let mut lot = seed;
    let mut cuts = 0;
    while script.peek().is_some() {
        let cut = Cut::PowerLost(PATTERNS[draw(&mut lot, PATTERNS.len())]);
        let mut left = 2 + draw(&mut lot, 80);
        let mut queue = FlashQueue::new(Flash::<4>::new(&mut bytes, &mut left, cut)).unwrap();
        while let Some(operation) = script.peek().copied() {
            if !model.does(&mut queue, operation) {
                cuts += 1;
                break;
            }
            script.next();
        }
        // What may not be there is not appended again; what may be there still is removed again.
        script.next_if(|operation| matches!(operation, Operation::Append(_)));
        for power in [2 + draw(&mut lot, 4), usize::MAX] {
            let mut left = power;
            let flash = Flash::<4>::new(&mut bytes, &mut left, cut);
            let mut queue = FlashQueue::new(flash).unwrap();
            let checked = poll(queue.check(&mut [0; 64]));
            if power == usize::MAX {
                assert_eq!(checked, Some(Ok(())), "seed {seed}");
                model.settles(&mut queue, &std::format!("seed {seed}, cut {cuts}"));
            }
        }
    }
    cuts
}

#[test]
fn power_lost_again_and_again_costs_no_record() {
    let cuts: usize = (0..100).map(survives_again_and_again).sum();
    std::println!("{cuts} cuts in 100 devices");
    assert!(cuts > 500, "{cuts} cuts");
}

#[test]
fn a_future_dropped_at_any_word_or_erasure_costs_no_record() {
    survives_at_every_step::<4>(Cut::Waits);
}

#[test]
fn a_full_queue_takes_records_again_when_a_block_is_free() {
    let mut bytes = vec![0xff; BLOCK * BLOCKS];
    let mut left = usize::MAX;
    let flash: Flash<'_, 4> = Flash {
        bytes: &mut bytes,
        left: &mut left,
        cut: Cut::Waits,
    };
    let mut queue = FlashQueue::new(flash).unwrap();
    let mut next = 0;
    while poll(queue.append(&record(next))).unwrap().is_ok() {
        next += 1;
    }
    assert_eq!(
        poll(queue.append(&record(next))),
        Some(Err(AppendError::Full))
    );
    assert!(next > 10);
    assert_eq!(
        poll(queue.append(&[0; BLOCK])),
        Some(Err(AppendError::TooLarge))
    );
    let mut removed = 0;
    while poll(queue.append(&record(next))).unwrap().is_err() {
        poll(queue.remove(number(removed), &mut [0; 64]))
            .unwrap()
            .unwrap();
        removed += 1;
    }
    assert!(removed < next / 2);
    assert_eq!(numbers(&mut queue), (removed..=next).collect::<Vec<_>>());
}

/// Flash of a program, for example.
fn is_usable_after(fill: impl Fn(usize) -> u8, expected: Result<(), FlashQueueError>) {
    let mut bytes: Vec<u8> = (0..BLOCK * BLOCKS).map(fill).collect();
    let mut left = usize::MAX;
    let flash: Flash<'_, 4> = Flash {
        bytes: &mut bytes,
        left: &mut left,
        cut: Cut::Waits,
    };
    let mut queue = FlashQueue::new(flash).unwrap();
    let checked = poll(queue.check(&mut [0; 300])).unwrap();
    assert_eq!(checked, expected);
    if checked.is_err() {
        poll(queue.erase()).unwrap().unwrap();
    }
    assert_eq!(poll(queue.append(&record(1))), Some(Ok(())));
    assert_eq!(numbers(&mut queue), [1]);
}

#[test]
fn flash_with_something_else_in_it_can_be_made_usable() {
    is_usable_after(|_| 0, Err(FlashQueueError::Corrupted));
    is_usable_after(|_| 0x5a, Err(FlashQueueError::Corrupted));
    is_usable_after(|at| u8::try_from(at * 7 % 256).unwrap(), Ok(()));
    is_usable_after(|at| u8::try_from(at * 91 % 251).unwrap(), Ok(()));
}

#[test]
fn a_buffer_shorter_than_a_record_is_an_error() {
    let mut bytes = vec![0xff; BLOCK * BLOCKS];
    let mut left = usize::MAX;
    let flash: Flash<'_, 4> = Flash {
        bytes: &mut bytes,
        left: &mut left,
        cut: Cut::Waits,
    };
    let mut queue = FlashQueue::new(flash).unwrap();
    poll(queue.append(&record(3))).unwrap().unwrap();
    let found = poll(queue.find(&mut |_| true, &mut [0; 8]));
    assert_eq!(found, Some(Err(FlashQueueError::BufferTooSmall)));
}

#[test]
fn two_blocks_are_too_few() {
    let mut bytes = vec![0xff; 2 * BLOCK];
    let mut left = usize::MAX;
    let flash: Flash<'_, 4> = Flash {
        bytes: &mut bytes,
        left: &mut left,
        cut: Cut::Waits,
    };
    assert!(FlashQueue::new(flash).is_err());
}
