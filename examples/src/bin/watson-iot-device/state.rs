//! What the device keeps over a restart: how far its firmware is, and the image.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context as _;
use mqtt_std::UpdateFile;
use mqtt_std::platform::update::{MAX_RECORD_LEN, UpdateStore as _};

/// The largest image that is taken.
const CAPACITY: u32 = 64 << 20;

/// The version of a device that has never been updated.
const FIRST_VERSION: &str = "1.0";

/// The state folder.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    /// Keeps the record of the device management; it has no image.
    pub(crate) record: UpdateFile,
}

impl State {
    /// Opens the folder, or makes it.
    pub(crate) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use the folder {}", folder.display());
        fs::create_dir_all(&folder).with_context(unusable)?;
        let record = UpdateFile::open(folder.join("management"), 0).with_context(unusable)?;
        Ok(Self { folder, record })
    }

    /// Where the image is kept while it arrives.
    pub(crate) fn image(&self) -> anyhow::Result<UpdateFile> {
        UpdateFile::open(self.folder.join("firmware.bin"), CAPACITY)
            .with_context(|| format!("cannot use the folder {}", self.folder.display()))
    }

    /// The version of the firmware that runs.
    pub(crate) fn version(&self) -> anyhow::Result<String> {
        let path = self.version_path();
        match fs::read_to_string(&path) {
            Ok(version) => Ok(version),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(FIRST_VERSION.to_owned()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The length of the image that was downloaded.
    pub(crate) fn image_len(&self) -> anyhow::Result<u32> {
        let path = self.folder.join("firmware.bin.part");
        let len = fs::metadata(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        u32::try_from(len).context("the image is too large")
    }

    /// Installs the image that was downloaded, and makes it the version that runs. May be done again after an interruption.
    pub(crate) async fn install(&self, version: &str) -> anyhow::Result<()> {
        let installed = self.folder.join("firmware.bin");
        let len = match self.image_len() {
            Ok(len) => len,
            // An interrupted installation has come this far already.
            Err(_) if installed.exists() => u32::try_from(fs::metadata(&installed)?.len())?,
            Err(error) => return Err(error),
        };
        self.image()?.activate(len).await?;
        let new = self.folder.join("version.new");
        fs::write(&new, version)?;
        fs::rename(new, self.version_path())?;
        Ok(())
    }

    /// Back to the state of delivery. What the device management remembers stays, or the same request would be done
    /// again.
    pub(crate) fn reset(&self) -> anyhow::Result<()> {
        for name in ["version", "firmware.bin", "firmware.bin.part"] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn version_path(&self) -> PathBuf {
        self.folder.join("version")
    }
}

/// Memory for the record.
pub(crate) const RECORD_LEN: usize = MAX_RECORD_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn installed_version_runs_until_the_reset() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().to_owned()).unwrap();
        assert_eq!(state.version().unwrap(), "1.0");
        assert!(state.install("2.0").await.is_err());
        let mut image = state.image().unwrap();
        image.write(0, b"image").await.unwrap();
        state.install("2.0").await.unwrap();
        // As after a loss of power at the end of it.
        state.install("2.0").await.unwrap();
        assert_eq!(state.version().unwrap(), "2.0");
        state.reset().unwrap();
        assert_eq!(state.version().unwrap(), "1.0");
        state.reset().unwrap();
    }
}
