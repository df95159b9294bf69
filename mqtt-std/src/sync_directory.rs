//! Renames that outlive a loss of power.

use std::{fs::File, io, path::Path};

/// Makes a rename in the directory of `path` durable, on systems that have a way to do so.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
