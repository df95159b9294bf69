//! Flash that does not trust itself: what `sequential-storage` takes for granted.

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// Flash that is written by 8 bytes at least, and read back.
///
/// The header of a record has 8 bytes. The next record is written behind what a loss of power has left: in smaller words
/// that could be part of a header, which the first bytes of the next record might complete by chance, so that it would
/// hide that record.
///
/// What is written is read back: worn-out flash keeps it not, and then the record must not be accepted.
pub(super) struct CarefulFlash<F>(pub(super) F);

/// The header of a record.
const HEADER_LEN: usize = 8;

/// What is compared at once, and the longest word.
const CHUNK_LEN: usize = 32;

/// As many bits are zero in the first bytes of a block that is in use, and in the last ones of a block that is full.
const MARK_BITS: u32 = 4;

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure<E> {
    Flash(E),
    /// What was written cannot be read.
    NotWritten,
}

impl<E: NorFlashError> NorFlashError for Failure<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Flash(error) => error.kind(),
            Self::NotWritten => NorFlashErrorKind::Other,
        }
    }
}

/// What a block looks like.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    Empty,
    /// The one that is being filled.
    Open,
    Full,
    /// Its erasure was cut off, as the crate will see.
    Torn,
}

impl<F: NorFlash> CarefulFlash<F> {
    /// Erases blocks whose erasure was cut off, where the crate would not see that. Reads all blocks that look empty.
    ///
    /// Blocks are used in turn, and what is erased is the oldest block that is in use, without a record. If a loss of
    /// power leaves the first mark of it and not the last, it looks as the youngest one does, and new records would go
    /// there and not be found. But the youngest follows a full block, if there is any.
    pub(super) async fn mend(&mut self) -> Result<(), Failure<F::Error>> {
        let mut any_full = false;
        for index in 0..self.blocks() {
            any_full |= self.look(index).await? == Block::Full;
        }
        for index in 0..self.blocks() {
            let is_torn = match self.look(index).await? {
                Block::Empty => !self.is_blank(index).await?,
                Block::Open if any_full => {
                    self.look(index + self.blocks() - 1).await? != Block::Full
                }
                Block::Open => self.look(index + 1).await? == Block::Open,
                // The crate sees that.
                Block::Full | Block::Torn => false,
            };
            if is_torn {
                let at = self.at(index);
                self.erase(at, at + block_len::<F>()).await?;
            }
        }
        Ok(())
    }

    /// Whether the block holds nothing at all.
    async fn is_blank(&mut self, index: usize) -> Result<bool, Failure<F::Error>> {
        let mut chunk = [0; CHUNK_LEN];
        let begin = self.at(index);
        for at in (begin..begin + block_len::<F>()).step_by(CHUNK_LEN) {
            let rest = usize::try_from(begin + block_len::<F>() - at).unwrap_or(0);
            let chunk = chunk.get_mut(..rest.min(CHUNK_LEN)).unwrap_or_default();
            self.read(at, chunk).await?;
            if chunk.iter().any(|byte| *byte != 0xff) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn blocks(&self) -> usize {
        self.0.capacity() / F::ERASE_SIZE
    }

    /// Where a block begins; indices go round.
    fn at(&self, index: usize) -> u32 {
        let index = u32::try_from(index % self.blocks()).unwrap_or(0);
        index * block_len::<F>()
    }

    async fn look(&mut self, index: usize) -> Result<Block, Failure<F::Error>> {
        let at = self.at(index);
        let end = at + block_len::<F>() - u32::try_from(F::READ_SIZE).unwrap_or(0);
        Ok(
            match (self.is_marked(at).await?, self.is_marked(end).await?) {
                (false, false) => Block::Empty,
                (true, false) => Block::Open,
                (true, true) => Block::Full,
                (false, true) => Block::Torn,
            },
        )
    }

    async fn is_marked(&mut self, at: u32) -> Result<bool, Failure<F::Error>> {
        let mut word = [0; CHUNK_LEN];
        let word = word.get_mut(..F::READ_SIZE).unwrap_or_default();
        self.read(at, word).await?;
        let zeros: u32 = word.iter().map(|byte| byte.count_zeros()).sum();
        Ok(zeros >= MARK_BITS)
    }
}

fn block_len<F: NorFlash>() -> u32 {
    u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX)
}

impl<F: ErrorType> ErrorType for CarefulFlash<F> {
    type Error = Failure<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for CarefulFlash<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes).await.map_err(Failure::Flash)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for CarefulFlash<F> {
    const WRITE_SIZE: usize = if F::WRITE_SIZE > HEADER_LEN {
        F::WRITE_SIZE
    } else {
        HEADER_LEN
    };
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to).await.map_err(Failure::Flash)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes).await.map_err(Failure::Flash)?;
        let mut at = offset;
        for written in bytes.chunks(CHUNK_LEN) {
            let mut read = [0; CHUNK_LEN];
            let read = read.get_mut(..written.len()).unwrap_or_default();
            self.read(at, read).await?;
            if read != written {
                return Err(Failure::NotWritten);
            }
            at = at.saturating_add(u32::try_from(written.len()).unwrap_or(0));
        }
        Ok(())
    }
}

impl<F: MultiwriteNorFlash> MultiwriteNorFlash for CarefulFlash<F> {}
