//! The store of an outbox in a file.

use std::{
    collections::VecDeque,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use mqtt_core::outbox::{AppendError, RecordNumber, Store};

use crate::durable::sync_directory;

/// What a file of records begins with: a name and the version of the layout.
const MAGIC: &[u8; 8] = b"mqttbox\x01";

/// Length of what follows, and its checksum.
const HEADER_LEN: usize = 8;

/// The checksum of a frame. It tells what was torn by a loss of power from what was written.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// A file below this many bytes is not worth being written anew.
const SMALL: u64 = 64 << 10;

/// Keeps the records of an [`Outbox`](crate::Outbox) in a file.
///
/// The file is a log: records are appended, and so is the word that one was removed. A record is on the disk, by
/// `fdatasync`, when [`append`](Store::append) returns. Removals are written at once and reach the disk with the next
/// record: after a loss of power, not of the process alone, the last acknowledged messages may be sent again. What a loss
/// of power tore at the end of the file is cut off when it is opened.
///
/// When removed records fill half of the file, what is left is written to `NAME.new`, which then takes its place by a
/// rename. `NAME.lock` keeps a second process away.
///
/// Its methods use the disk while they are polled, and block the thread for as long as that takes.
///
/// ```no_run
/// use mqtt_std::OutboxFile;
///
/// let store = OutboxFile::open("/var/lib/meter/outbox", 1 << 20)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct OutboxFile {
    path: PathBuf,
    capacity: u64,
    file: File,
    /// Where the next frame belongs.
    end: u64,
    /// Behind `end` there may be what could not be written in full.
    is_torn: bool,
    /// What is not removed, oldest first.
    records: VecDeque<Entry>,
    /// Bytes of their frames.
    used: u64,
    damaged: usize,
    /// Held as long as the store.
    _lock: File,
}

/// Where a record lies in the file.
#[derive(Clone, Debug)]
struct Entry {
    number: RecordNumber,
    record: Range<u64>,
}

impl Entry {
    /// Bytes in the file, with the frame around it.
    fn frame_len(&self) -> u64 {
        frame_len(self.record.end - self.record.start)
    }
}

/// What a frame says, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// This is a record.
    Record = 1,
    /// The record of this number is gone.
    Removed = 2,
}

impl OutboxFile {
    /// The store at `path`, in a directory that exists; the file is made if it is not there. Records of `capacity` bytes fit,
    /// 9 bytes for each included; the file is about twice as long at most.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if another process, or another value, has it open; [`io::ErrorKind::InvalidData`] if
    /// the file is none of an outbox; or what the system says.
    pub fn open(path: impl Into<PathBuf>, capacity: u64) -> io::Result<Self> {
        let path = path.into();
        if path.file_name().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let lock = lock(&path.with_added_extension("lock"))?;
        // A compaction that was cut off. The file itself is whole.
        remove_if_there(&new_path(&path))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let mut store = Self {
            path,
            capacity,
            file,
            end: 0,
            is_torn: false,
            records: VecDeque::new(),
            used: 0,
            damaged: 0,
            _lock: lock,
        };
        if store.scan()? {
            store.file.sync_all()?;
            sync_directory(&store.path)?;
        }
        Ok(store)
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Records, or words of a removal, that the disk has spoiled since they were written, found when the file was opened.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Reads the whole log, and cuts off what was torn; whether the file was changed.
    fn scan(&mut self) -> io::Result<bool> {
        let bytes = fs::read(&self.path)?;
        if !bytes.starts_with(MAGIC) {
            if !MAGIC.starts_with(&bytes) {
                let none = "not the file of an outbox";
                return Err(io::Error::new(io::ErrorKind::InvalidData, none));
            }
            self.file.write_all_at(MAGIC, 0)?;
        }
        let mut at = MAGIC.len();
        self.end = to_u64(at);
        let mut bad = 0;
        while let Some(body) = frame_at(&bytes, at) {
            let next = body.end;
            if is_whole(&bytes, at, &body) {
                self.replay(&bytes[body.clone()], to_u64(body.start));
                self.end = to_u64(next);
                // What is bad in front of what is whole was not torn.
                self.damaged += std::mem::take(&mut bad);
            } else {
                bad += 1;
            }
            at = next;
        }
        if to_u64(bytes.len()) > self.end {
            self.file.set_len(self.end)?;
        }
        Ok(to_u64(bytes.len()) != self.end)
    }

    /// Does what a frame says. `at`: where its body begins.
    fn replay(&mut self, body: &[u8], at: u64) {
        let Some((kind, record)) = body.split_first() else {
            return;
        };
        let Some(number) = RecordNumber::of(record) else {
            return;
        };
        if *kind == Kind::Record as u8 {
            self.note(number, at + 1..at + to_u64(body.len()));
        } else if *kind == Kind::Removed as u8 {
            self.forget(number);
        }
    }

    fn note(&mut self, number: RecordNumber, record: Range<u64>) {
        let entry = Entry { number, record };
        self.used += entry.frame_len();
        self.records.push_back(entry);
    }

    /// Whether it was there.
    fn forget(&mut self, number: RecordNumber) -> bool {
        let mut records = self.records.iter();
        let Some(index) = records.position(|entry| entry.number == number) else {
            return false;
        };
        if let Some(entry) = self.records.remove(index) {
            self.used -= entry.frame_len();
        }
        true
    }

    /// Appends a frame, and returns where its body begins.
    fn write(&mut self, kind: Kind, body: &[u8], sync: bool) -> io::Result<u64> {
        if std::mem::replace(&mut self.is_torn, true) {
            self.file.set_len(self.end)?;
        }
        let frame = frame(kind, body);
        self.file.write_all_at(&frame, self.end)?;
        if sync {
            self.file.sync_data()?;
        }
        self.is_torn = false;
        let body_at = self.end + to_u64(HEADER_LEN);
        self.end += to_u64(frame.len());
        Ok(body_at)
    }

    /// Writes what is left to a new file, if that saves enough.
    fn compact(&mut self) -> io::Result<()> {
        let limit = (2 * self.used).max(SMALL);
        if self.end < limit.min(2 * self.capacity) {
            return Ok(());
        }
        let path = new_path(&self.path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        let mut bytes = MAGIC.to_vec();
        let mut records = VecDeque::with_capacity(self.records.len());
        for entry in &self.records {
            let record = self.read(entry)?;
            let at = to_u64(bytes.len() + HEADER_LEN + 1);
            bytes.extend(frame(Kind::Record, &record));
            records.push_back(Entry {
                number: entry.number,
                record: at..at + to_u64(record.len()),
            });
        }
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        fs::rename(&path, &self.path)?;
        // From here on the old file has no name.
        self.file = file;
        self.end = to_u64(bytes.len());
        self.is_torn = false;
        self.records = records;
        sync_directory(&self.path)
    }

    fn read(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut record = vec![0; to_usize(entry.record.end - entry.record.start)];
        self.file.read_exact_at(&mut record, entry.record.start)?;
        Ok(record)
    }
}

impl Store for OutboxFile {
    type Error = io::Error;

    async fn append(&mut self, record: &[u8]) -> Result<(), AppendError<io::Error>> {
        let len = frame_len(to_u64(record.len()));
        if len > self.capacity {
            return Err(AppendError::TooLarge);
        }
        if self.used + len > self.capacity {
            return Err(AppendError::Full);
        }
        let number = RecordNumber::of(record)
            .ok_or_else(|| AppendError::Store(io::ErrorKind::InvalidInput.into()))?;
        self.compact().map_err(AppendError::Store)?;
        let written = self.write(Kind::Record, record, true);
        let body = written.map_err(AppendError::Store)?;
        self.note(number, body + 1..body + 1 + to_u64(record.len()));
        Ok(())
    }

    async fn find(
        &mut self,
        wanted: &mut (dyn FnMut(&[u8]) -> bool + Send),
        buffer: &mut [u8],
    ) -> io::Result<Option<usize>> {
        for entry in &self.records {
            let len = to_usize(entry.record.end - entry.record.start);
            let place = buffer
                .get_mut(..len)
                .ok_or_else(|| io::Error::other("record longer than the buffer"))?;
            self.file.read_exact_at(place, entry.record.start)?;
            if wanted(place) {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }

    async fn remove(&mut self, number: RecordNumber, _scratch: &mut [u8]) -> io::Result<()> {
        let mut records = self.records.iter();
        let Some(entry) = records.find(|entry| entry.number == number) else {
            return Ok(());
        };
        let mut bytes = [0; RecordNumber::LEN];
        self.file.read_exact_at(&mut bytes, entry.record.start)?;
        self.write(Kind::Removed, &bytes, false)?;
        self.forget(number);
        Ok(())
    }
}

impl fmt::Debug for OutboxFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxFile")
            .field("path", &self.path)
            .field("capacity", &self.capacity)
            .field("used", &self.used)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// Bytes of a frame around so many bytes of record.
fn frame_len(record_len: u64) -> u64 {
    record_len + to_u64(HEADER_LEN) + 1
}

/// `length u32 LE | checksum u32 LE | kind | body`; the length is that of kind and body, the checksum goes over all three.
fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 1)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let kind = [kind as u8];
    let mut digest = CRC.digest();
    for bytes in [&len[..], &kind, body] {
        digest.update(bytes);
    }
    [&len[..], &digest.finalize().to_le_bytes(), &kind, body].concat()
}

/// Where the body, kind included, of the frame at `at` lies; `None` if it goes beyond the end, or there is none.
fn frame_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let header = bytes.get(at..)?.first_chunk::<HEADER_LEN>()?;
    let len = u32::from_le_bytes(*header.first_chunk()?);
    let start = at + HEADER_LEN;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    // None is empty: a run of zeros, as some file systems leave it, is no frame.
    (len > 0 && end <= bytes.len()).then_some(start..end)
}

fn is_whole(bytes: &[u8], at: usize, body: &Range<usize>) -> bool {
    let header = &bytes[at..body.start];
    let mut digest = CRC.digest();
    digest.update(&header[..4]);
    digest.update(&bytes[body.clone()]);
    digest.finalize().to_le_bytes() == header[4..]
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "in use already, by this program or another",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn new_path(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
