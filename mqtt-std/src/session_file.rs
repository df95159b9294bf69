//! A copy of the session in a file.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use mqtt_core::client::{Mutex as _, SessionKeeper, SessionStore};

use crate::{Client, OptionsError, Std, durable::replace_file, kind::Lock, wait::block_on};

/// A session that is saved before bytes go to the broker.
pub(crate) struct KeptSession(Lock<SessionKeeper<Std, SessionFile, Box<[u8]>>>);

impl KeptSession {
    /// Takes over what the file holds, for a client with a transmit buffer of so many bytes.
    pub(crate) fn open(
        client: &Client,
        path: &Path,
        transmit_len: usize,
    ) -> Result<Self, OptionsError> {
        // A slot for every 64 bytes, and 8 bytes of copy for each; and some bytes around them.
        let buffer = vec![0; transmit_len * 2 + 4096].into_boxed_slice();
        let file = SessionFile(path.to_owned());
        let opened = block_on(SessionKeeper::open(client.clone(), file, buffer));
        let keeper = opened.map_err(|error| OptionsError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        if let Err(error) = keeper.restored() {
            tracing::warn!(file = %path.display(), "{error}");
        }
        Ok(Self(Lock::new(keeper)))
    }

    /// Saves the session if it has changed. Blocks the thread for as long as the disk takes.
    pub(crate) fn save(&self) -> io::Result<()> {
        let saved = self.0.with(|keeper| block_on(keeper.save()));
        saved.map_err(io::Error::other)
    }
}

impl fmt::Debug for KeptSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSession").finish_non_exhaustive()
    }
}

/// The copy, in a file that is replaced by a rename.
struct SessionFile(PathBuf);

impl SessionStore for SessionFile {
    type Error = io::Error;

    async fn save(&mut self, copy: &[u8]) -> io::Result<()> {
        replace_file(&self.0, copy).inspect_err(|error| {
            tracing::error!(file = %self.0.display(), "session is not saved: {error}");
        })
    }

    async fn load(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let copy = match fs::read(&self.0) {
            Ok(copy) => copy,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let Some(place) = buffer.get_mut(..copy.len()) else {
            return Ok(0);
        };
        place.copy_from_slice(&copy);
        Ok(copy.len())
    }
}
