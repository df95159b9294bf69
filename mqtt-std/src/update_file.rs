//! Images of firmware or software in files.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

use mqtt_core::platform::update::UpdateStore;

use crate::durable::{replace_file, sync_directory};

/// Keeps an image in a file, and beside it what is remembered of its progress.
///
/// While the image arrives it is in `NAME.part`, and its record in `NAME.progress`. When it is complete and was checked, it
/// is renamed to `NAME`: a program that looks there finds the old image or the new one, never a part of one, also after a
/// loss of power. What is then to be done with it is the application's business.
///
/// Its methods use the disk while they are polled, and block the thread for as long as that takes.
///
/// ```no_run
/// use mqtt_std::UpdateFile;
///
/// let store = UpdateFile::open("/var/lib/thermostat/firmware.bin", 16 << 20)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UpdateFile {
    image: PathBuf,
    part: PathBuf,
    progress: PathBuf,
    capacity: u32,
    /// The part, once it is used.
    file: Option<File>,
    /// Where the next byte belongs.
    end: u32,
}

impl UpdateFile {
    /// A store for images of at most `capacity` bytes that end up at `image`, in a directory that exists.
    ///
    /// # Errors
    ///
    /// `image` is not the path of a file in a directory that can be opened.
    pub fn open(image: impl Into<PathBuf>, capacity: u32) -> io::Result<Self> {
        let image = image.into();
        if image.file_name().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sync_directory(&image)?;
        Ok(Self {
            part: image.with_added_extension("part"),
            progress: image.with_added_extension("progress"),
            image,
            capacity,
            file: None,
            end: 0,
        })
    }

    /// The part, which is made if it is not there.
    fn part(&mut self) -> io::Result<&File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&self.part)?,
        };
        Ok(self.file.insert(file))
    }

    fn save_record(&mut self, record: &[u8]) -> io::Result<()> {
        // Only what is on the disk may be in the record.
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        replace_file(&self.progress, record)
    }

    fn install(&mut self, len: u32) -> io::Result<()> {
        self.file = None;
        self.end = 0;
        match File::options().write(true).open(&self.part) {
            Ok(file) => {
                file.set_len(len.into())?;
                file.sync_all()?;
                fs::rename(&self.part, &self.image)?;
                sync_directory(&self.image)
            }
            // It has been renamed already, and then the record of it was lost.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_there = fs::metadata(&self.image)?.len() == u64::from(len);
                if is_there { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

impl UpdateStore for UpdateFile {
    type Error = io::Error;

    fn capacity(&self) -> u32 {
        self.capacity
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> io::Result<()> {
        let begins_anew = offset != self.end || offset == 0;
        let file = self.part()?;
        if begins_anew {
            file.set_len(offset.into())?;
        }
        file.write_all_at(bytes, offset.into())?;
        self.end = u32::try_from(bytes.len())
            .ok()
            .and_then(|len| offset.checked_add(len))
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> io::Result<()> {
        // An image that was activated before the record said so.
        if self.file.is_none() && !self.part.exists() {
            return File::open(&self.image)?.read_exact_at(bytes, offset.into());
        }
        self.part()?.read_exact_at(bytes, offset.into())
    }

    async fn save(&mut self, record: &[u8]) -> io::Result<()> {
        self.save_record(record)
    }

    async fn load(&mut self, record: &mut [u8]) -> io::Result<usize> {
        let saved = match fs::read(&self.progress) {
            Ok(saved) => saved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        // Longer ones are none of ours.
        let Some(place) = record.get_mut(..saved.len()) else {
            return Ok(0);
        };
        place.copy_from_slice(&saved);
        Ok(saved.len())
    }

    async fn activate(&mut self, len: u32) -> io::Result<()> {
        self.install(len)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mqtt_core::platform::update::UpdateStore;
    use tempfile::TempDir;

    use super::UpdateFile;
    use crate::wait::block_on as now;

    /// A directory of its own, removed at the end.
    struct Directory(TempDir);

    impl Directory {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> UpdateFile {
            UpdateFile::open(self.0.path().join("image.bin"), 1_000).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.path()).unwrap();
            let mut names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn an_image_goes_on_where_the_record_says_and_is_renamed_at_the_end() {
        let directory = Directory::new();
        let mut store = directory.open();
        now(store.write(0, b"abc")).unwrap();
        now(store.save(b"3")).unwrap();
        now(store.write(3, b"lost")).unwrap();
        drop(store);
        let mut store = directory.open();
        let mut record = [0; 128];
        let len = now(store.load(&mut record)).unwrap();
        assert_eq!(&record[..len], b"3");
        now(store.write(3, b"def")).unwrap();
        now(store.flush()).unwrap();
        let mut back = [0; 6];
        now(store.read(0, &mut back)).unwrap();
        assert_eq!(&back, b"abcdef");
        assert!(now(store.read(4, &mut [0; 3])).is_err());
        assert_eq!(directory.names(), ["image.bin.part", "image.bin.progress"]);
        now(store.activate(6)).unwrap();
        assert_eq!(directory.names(), ["image.bin", "image.bin.progress"]);
        assert_eq!(
            fs::read(directory.0.path().join("image.bin")).unwrap(),
            b"abcdef"
        );
    }

    #[test]
    fn a_longer_image_of_before_leaves_nothing_behind() {
        let directory = Directory::new();
        let mut store = directory.open();
        now(store.write(0, b"a long image")).unwrap();
        now(store.write(0, b"short")).unwrap();
        now(store.activate(5)).unwrap();
        assert_eq!(
            fs::read(directory.0.path().join("image.bin")).unwrap(),
            b"short"
        );
        // And the next one begins with an empty part.
        now(store.write(0, b"x")).unwrap();
        assert_eq!(
            fs::read(directory.0.path().join("image.bin.part")).unwrap(),
            b"x"
        );
    }

    #[test]
    fn an_image_that_is_activated_already_can_be_read_and_activated_again() {
        let directory = Directory::new();
        let mut store = directory.open();
        now(store.write(0, b"image")).unwrap();
        now(store.activate(5)).unwrap();
        drop(store);
        let mut store = directory.open();
        let mut back = [0; 5];
        now(store.read(0, &mut back)).unwrap();
        assert_eq!(&back, b"image");
        now(store.activate(5)).unwrap();
        assert!(now(store.activate(6)).is_err());
    }

    #[test]
    fn a_record_that_was_being_written_is_not_seen() {
        let directory = Directory::new();
        let mut store = directory.open();
        now(store.save(b"old")).unwrap();
        fs::write(directory.0.path().join("image.bin.progress.new"), b"ne").unwrap();
        let mut record = [0; 128];
        assert_eq!(now(store.load(&mut record)).unwrap(), 3);
        now(store.save(b"newer")).unwrap();
        assert_eq!(now(store.load(&mut record)).unwrap(), 5);
        assert_eq!(now(directory.open().load(&mut [0; 2])).unwrap(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let directory = Directory::new();
        assert!(UpdateFile::open(directory.0.path().join("no/image"), 1).is_err());
        assert!(UpdateFile::open("/", 1).is_err());
    }
}
