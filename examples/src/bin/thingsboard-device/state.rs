//! What the device keeps over a restart: its credentials, which firmware it runs, and the image of the next one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqtt_std::UpdateFile;
use mqtt_std::platform::thingsboard;
use serde::{Deserialize, Serialize};

/// The largest image that is taken.
const CAPACITY: u32 = 256 << 20;

/// The state folder.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

/// Which firmware: title and version as the server tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) title: String,
    pub(crate) version: String,
}

/// How the device proves who it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Credentials {
    Token(String),
    Basic {
        client_id: Option<String>,
        user_name: Option<String>,
        password: Option<String>,
    },
    X509,
}

impl State {
    /// The title of this program as a firmware.
    pub(crate) const TITLE: &str = "monitor";
    const FIRST_VERSION: &str = "1.0";

    /// Opens the folder, or makes it.
    pub(crate) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// What a boot loader does: finds out which firmware is to run.
    ///
    /// The image is a stand-in, so its name and version lie beside it. They are written as the next ones before it is
    /// activated: once the activated image is in its place, they are those that run.
    pub(crate) fn boot(&self) -> anyhow::Result<Version> {
        let (running, next) = (self.path("running.json"), self.path("next.json"));
        let is_activated =
            self.path("firmware.bin").exists() && !self.path("firmware.bin.part").exists();
        if is_activated && next.exists() {
            fs::rename(&next, &running)
                .with_context(|| format!("cannot replace {}", running.display()))?;
        }
        Ok(read(&running)?.unwrap_or_else(|| Version {
            title: Self::TITLE.to_owned(),
            version: Self::FIRST_VERSION.to_owned(),
        }))
    }

    /// Before an image is activated: what will run after the next [`boot`](Self::boot).
    pub(crate) fn announce(&self, next: &Version) -> anyhow::Result<()> {
        write(&self.path("next.json"), next)
    }

    /// Where the image is kept while it arrives.
    pub(crate) fn store(&self) -> anyhow::Result<UpdateFile> {
        UpdateFile::open(self.path("firmware.bin"), CAPACITY)
            .with_context(|| format!("cannot use the folder {}", self.folder.display()))
    }

    /// Keeps credentials, readable by this user only.
    pub(crate) fn keep(&self, credentials: &Credentials) -> anyhow::Result<()> {
        write(&self.path("credentials.json"), credentials)
    }

    /// The credentials that were kept, if any.
    pub(crate) fn kept(&self) -> anyhow::Result<Option<Credentials>> {
        read(&self.path("credentials.json"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Credentials {
    pub(crate) fn token(token: &str) -> Self {
        Self::Token(token.to_owned())
    }

    /// As the helper wants them.
    pub(crate) fn borrowed(
        &self,
    ) -> Result<thingsboard::Credentials<'_>, thingsboard::CredentialsError> {
        match self {
            Self::Token(token) => thingsboard::Credentials::access_token(token),
            Self::Basic {
                client_id,
                user_name,
                password,
            } => thingsboard::Credentials::basic(
                client_id.as_deref(),
                user_name.as_deref(),
                password.as_deref(),
            ),
            Self::X509 => Ok(thingsboard::Credentials::x509()),
        }
    }
}

/// Shows no secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Option<T>> {
    let unreadable = || format!("cannot read {}", path.display());
    match fs::read(path) {
        Ok(text) => Ok(Some(
            serde_json::from_slice(&text).with_context(unreadable)?,
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(unreadable),
    }
}

/// Replaces the file: after a loss of power there is the old one or the new one.
fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let text = serde_json::to_vec(value)?;
    replace(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str) -> Version {
        Version {
            title: State::TITLE.to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn announced_firmware_runs_once_its_image_is_activated() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().to_owned()).unwrap();
        assert_eq!(state.boot().unwrap(), version("1.0"));
        fs::write(state.path("firmware.bin.part"), "image").unwrap();
        state.announce(&version("2.0")).unwrap();
        assert_eq!(state.boot().unwrap(), version("1.0"));
        fs::rename(state.path("firmware.bin.part"), state.path("firmware.bin")).unwrap();
        assert_eq!(state.boot().unwrap(), version("2.0"));
        assert_eq!(state.boot().unwrap(), version("2.0"));
    }

    #[test]
    fn kept_credentials_are_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path().to_owned()).unwrap();
        assert_eq!(state.kept().unwrap(), None);
        state.keep(&Credentials::token("hush")).unwrap();
        assert_eq!(state.kept().unwrap(), Some(Credentials::token("hush")));
        let file = fs::metadata(state.path("credentials.json")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
}
