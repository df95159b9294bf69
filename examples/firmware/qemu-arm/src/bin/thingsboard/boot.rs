//! What a boot loader does, as far as a device can tell.

use embedded_storage_async::nor_flash::{NorFlash as _, NorFlashErrorKind};
use mqtt_embassy::Activate;
use sha2::{Digest as _, Sha256};

use crate::flash::RamFlash;

/// The exit status when the image that was activated is another than the expected one.
const WRONG_IMAGE: u8 = 2;

/// Knows the length of the image that is to be started, if there is one.
pub(crate) struct BootLoader(RamFlash);

/// The image that the host has offered.
pub(crate) struct Expected {
    size: u32,
    sha256: &'static str,
}

/// From the arguments `size` and `sha256`.
pub(crate) fn expected() -> Option<Expected> {
    Some(Expected {
        size: board::argument_number("size")?,
        sha256: board::argument("sha256")?,
    })
}

impl BootLoader {
    pub(crate) const fn new(flash: RamFlash) -> Self {
        Self(flash)
    }

    /// Whether an image was activated; one that is not the expected one is not started.
    pub(crate) fn boot(&self, image: &RamFlash, expected: Option<&Expected>) -> bool {
        let Some(len) = self.activated() else {
            return false;
        };
        let is_right = expected.is_none_or(|expected| {
            let bytes = image.bytes().get(..len as usize).unwrap_or_default();
            len == expected.size && is_hex_of(expected.sha256, &Sha256::digest(bytes))
        });
        if !is_right {
            defmt::error!("verdict: the image of {=u32} bytes is a wrong one", len);
            board::exit(WRONG_IMAGE)
        }
        true
    }

    fn activated(&self) -> Option<u32> {
        let (len, _) = self.0.bytes().split_first_chunk()?;
        Some(u32::from_le_bytes(*len)).filter(|len| *len != u32::MAX)
    }
}

impl Activate for BootLoader {
    type Error = NorFlashErrorKind;

    async fn activate(&mut self, len: u32) -> Result<(), Self::Error> {
        let size = u32::try_from(self.0.bytes().len()).unwrap_or(u32::MAX);
        self.0.erase(0, size).await?;
        self.0.write(0, &len.to_le_bytes()).await
    }
}

fn is_hex_of(text: &str, bytes: &[u8]) -> bool {
    let digits = text.as_bytes().chunks(2);
    let parsed = digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    text.len() == 2 * bytes.len() && parsed.eq(bytes.iter().copied().map(Some))
}
