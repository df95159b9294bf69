//! The file as it is left by a loss of power.

use std::{fs, io::ErrorKind, path::PathBuf};

use mqtt_core::outbox::{AppendError, RecordNumber, Store};
use tempfile::TempDir;

use super::{OutboxFile, SMALL};
use crate::wait::block_on as now;

/// A directory of its own, removed at the end.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("outbox")
    }

    fn open(&self) -> OutboxFile {
        OutboxFile::open(self.file(), 1_000).unwrap()
    }
}

/// A record that shows if any byte of it is wrong.
fn record(number: u8) -> Vec<u8> {
    let len = 5 + usize::from(number) % 7;
    let mut record = vec![number; len];
    record[1..4].fill(0);
    record
}

fn append(store: &mut OutboxFile, number: u8) {
    now(store.append(&record(number))).unwrap();
}

fn remove(store: &mut OutboxFile, number: u8) {
    let number = RecordNumber::of(&record(number)).unwrap();
    now(store.remove(number, &mut [])).unwrap();
}

/// The numbers of all records, each as it was written.
fn numbers(store: &mut OutboxFile) -> Vec<u8> {
    let mut numbers = Vec::new();
    let found = now(store.find(
        &mut |bytes| {
            assert_eq!(bytes, record(bytes[0]));
            numbers.push(bytes[0]);
            false
        },
        &mut [0; 100],
    ));
    assert_eq!(found.unwrap(), None);
    numbers
}

#[test]
fn records_come_back_in_order_and_go_in_any() {
    let directory = Directory::new();
    let mut store = directory.open();
    for number in 0..5 {
        append(&mut store, number);
    }
    remove(&mut store, 3);
    remove(&mut store, 0);
    remove(&mut store, 0);
    drop(store);
    let mut store = directory.open();
    assert_eq!(numbers(&mut store), [1, 2, 4]);
    append(&mut store, 5);
    assert_eq!(numbers(&mut store), [1, 2, 4, 5]);
    assert_eq!((store.len(), store.damaged()), (4, 0));
}

#[test]
fn what_a_loss_of_power_tore_is_cut_off_and_the_rest_is_there() {
    let directory = Directory::new();
    let mut store = directory.open();
    // What is durable at each length of the file.
    let mut history = vec![(store.end, vec![])];
    for number in 1..6 {
        append(&mut store, number);
        history.push((store.end, numbers(&mut store)));
        if number % 3 == 2 {
            remove(&mut store, number - 1);
            history.push((store.end, numbers(&mut store)));
        }
    }
    drop(store);
    let whole = fs::read(directory.file()).unwrap();
    for len in 0..=whole.len() {
        let (at, expected) = history
            .iter()
            .rev()
            .find(|(end, _)| usize::try_from(*end).unwrap() <= len)
            .map_or((8, &[][..]), |(end, numbers)| (*end, &numbers[..]));
        // Torn off; or of the right length with other bytes in it.
        for fill in [None, Some(0x5a), Some(0xff)] {
            if fill.is_some() && (len < 8 || len % 4 != 0) {
                continue;
            }
            let mut torn = whole[..len].to_vec();
            if let Some(fill) = fill {
                torn.resize(len + 40, fill);
            }
            fs::write(directory.file(), &torn).unwrap();
            let mut store = directory.open();
            assert_eq!(numbers(&mut store), expected, "{len} {fill:?}");
            assert_eq!((store.end, store.damaged()), (at, 0), "{len} {fill:?}");
            // And it can be used.
            append(&mut store, 100);
            drop(store);
            let mut store = directory.open();
            assert_eq!(numbers(&mut store).last(), Some(&100));
        }
    }
}

#[test]
fn a_record_that_the_disk_has_spoiled_does_not_take_others_with_it() {
    let directory = Directory::new();
    let mut store = directory.open();
    append(&mut store, 1);
    let at = usize::try_from(store.end).unwrap();
    append(&mut store, 2);
    append(&mut store, 3);
    drop(store);
    let mut bytes = fs::read(directory.file()).unwrap();
    bytes[at + 10] ^= 1;
    fs::write(directory.file(), &bytes).unwrap();
    let mut store = directory.open();
    assert_eq!(numbers(&mut store), [1, 3]);
    assert_eq!(store.damaged(), 1);
}

#[test]
fn the_store_is_bounded_and_so_is_the_file() {
    let directory = Directory::new();
    let mut store = directory.open();
    let mut number = 0;
    while now(store.append(&record(number))).is_ok() {
        number += 1;
    }
    assert!(matches!(
        now(store.append(&record(number))),
        Err(AppendError::Full)
    ));
    assert!(number > 40);
    let many = [0; 992];
    assert!(matches!(
        now(store.append(&many)),
        Err(AppendError::TooLarge)
    ));
    assert!(matches!(
        now(store.append(&many[1..])),
        Err(AppendError::Full)
    ));
    // Room comes back, and the file does not grow for ever.
    let mut longest = 0;
    for round in 0..200_u32 {
        let number = u8::try_from(round % 200).unwrap();
        let first = numbers(&mut store)[0];
        remove(&mut store, first);
        match now(store.append(&record(number))) {
            Ok(()) => {}
            Err(AppendError::Full) => {
                let first = numbers(&mut store)[0];
                remove(&mut store, first);
                append(&mut store, number);
            }
            Err(error) => panic!("{error}"),
        }
        longest = longest.max(fs::metadata(directory.file()).unwrap().len());
    }
    assert!(longest < 2_100, "{longest}");
    assert!(numbers(&mut store).len() > 30);
}

#[test]
fn a_file_is_written_anew_when_half_of_it_is_of_no_use() {
    let directory = Directory::new();
    let mut store = OutboxFile::open(directory.file(), 10 << 20).unwrap();
    for number in 0..100 {
        append(&mut store, number);
    }
    let mut longest = 0;
    let large = [100; 5_000];
    for _ in 0..20 {
        now(store.append(&large)).unwrap();
        let number = RecordNumber::of(&large).unwrap();
        now(store.remove(number, &mut [])).unwrap();
        longest = longest.max(store.end);
    }
    assert!(longest < SMALL + 6_000 && store.end < longest);
    let expected: Vec<_> = (0..100).collect();
    assert_eq!(numbers(&mut store), expected);
    drop(store);
    // Cut off in the middle of the next one.
    fs::write(directory.0.path().join("outbox.new"), b"mqttbox").unwrap();
    let mut store = directory.open();
    assert_eq!(numbers(&mut store), expected);
    assert!(!directory.0.path().join("outbox.new").exists());
}

#[test]
fn a_file_has_one_owner() {
    let directory = Directory::new();
    let store = directory.open();
    let second = OutboxFile::open(directory.file(), 1_000).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::WouldBlock);
    assert!(second.to_string().contains("in use"), "{second}");
    drop(store);
    directory.open();
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let directory = Directory::new();
    fs::write(directory.file(), b"root:x:0:0").unwrap();
    let error = OutboxFile::open(directory.file(), 1_000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(fs::read(directory.file()).unwrap(), b"root:x:0:0");
    assert!(OutboxFile::open(directory.0.path().join("no/outbox"), 1).is_err());
}

#[test]
fn a_buffer_shorter_than_a_record_is_an_error() {
    let directory = Directory::new();
    let mut store = directory.open();
    append(&mut store, 6);
    assert!(now(store.find(&mut |_| true, &mut [0; 5])).is_err());
    assert_eq!(
        now(store.find(&mut |_| true, &mut [0; 11])).unwrap(),
        Some(11)
    );
}
