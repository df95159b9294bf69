//! The image is read back from the store, and its checksum compared.

use crate::platform::update::Checksum;

use super::{State, Update, UpdateError, reports::REPORT_VERIFIED};

/// Bytes that are read back at once to be checked.
pub(in super::super) const READ_LEN: u32 = 128;

impl<C: Checksum> Update<'_, C> {
    /// Takes bytes of the image as they were read back.
    pub fn check(&mut self, bytes: &[u8]) {
        let State::Verifying { at, checksum } = &mut self.state else {
            return;
        };
        checksum.update(bytes);
        *at = at.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let Some(target) = self.target.filter(|target| *at >= target.image.size) else {
            return;
        };
        let State::Verifying { checksum, .. } =
            core::mem::replace(&mut self.state, State::Verified { saved: false })
        else {
            return;
        };
        if checksum.finish() == target.image.checksum {
            self.reports |= REPORT_VERIFIED;
        } else {
            self.fail(UpdateError::Checksum);
        }
    }

    /// Begins to read the image back.
    pub(super) fn begin_check(&mut self) {
        match self
            .target
            .and_then(|target| C::begin(target.image.algorithm))
        {
            Some(checksum) => self.state = State::Verifying { at: 0, checksum },
            None => self.fail(UpdateError::Algorithm),
        }
    }
}
