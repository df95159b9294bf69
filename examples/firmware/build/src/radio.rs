//! The firmware of the CYW43439, which may not be distributed with this code.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{fail, write};

/// Names the folder with the files, or [`ZERO_FILLED`].
const VARIABLE: &str = "CYW43_FIRMWARE";

/// Instead of a folder: builds with files of the right length without content, for checks of the build only.
const ZERO_FILLED: &str = "zero-filled";

/// What the driver loads into the radio, and its length in the release that this was made with.
const FILES: [(&str, usize); 3] = [
    ("43439A0.bin", 231_077),
    ("43439A0_clm.bin", 984),
    ("nvram_rp2040.bin", 743),
];

/// Copies the files of the radio into the folder where `src/main.rs` includes them from.
pub fn radio_firmware() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let folder = env::var(VARIABLE).unwrap_or_default();
    for (name, len) in FILES {
        let bytes = if folder == ZERO_FILLED {
            Ok(vec![0; len])
        } else {
            read(&folder, name)
        };
        write(name, &bytes.unwrap_or_else(|error| fail(&error)));
    }
    if folder == ZERO_FILLED {
        println!("cargo::warning=radio firmware is zero-filled: this image cannot join a network");
    }
}

fn read(folder: &str, name: &str) -> Result<Vec<u8>, String> {
    if folder.is_empty() {
        return Err(format!(
            "{VARIABLE} must name the folder that holds {}, {} and {}: see README.md. \
             {VARIABLE}={ZERO_FILLED} builds an image without them that cannot run",
            FILES[0].0, FILES[1].0, FILES[2].0
        ));
    }
    let path: PathBuf = Path::new(folder).join(name);
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(&path).map_err(|error| {
        format!(
            "cannot read {} of the radio firmware: {error}. {VARIABLE} must be an absolute path",
            path.display()
        )
    })
}
