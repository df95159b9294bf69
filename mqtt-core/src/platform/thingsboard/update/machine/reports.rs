//! What the server is told, in the order of sending: a bit for each.

use crate::platform::{thingsboard::Uplink, update::Checksum};

use super::{
    super::{PackageReport, PackageState},
    State, Update,
};

pub(super) const REPORT_CURRENT: u8 = 1;
pub(super) const REPORT_DOWNLOADING: u8 = 2;
pub(super) const REPORT_DOWNLOADED: u8 = 4;
pub(super) const REPORT_VERIFIED: u8 = 8;
pub(super) const REPORT_UPDATING: u8 = 16;
pub(super) const REPORT_UPDATED: u8 = 32;
pub(super) const REPORT_FAILED: u8 = 64;

impl<'a, C: Checksum> Update<'a, C> {
    pub(super) fn has_reports(&self) -> bool {
        self.is_connected && self.reports != 0
    }

    /// The first of the reports.
    pub(super) fn report(&self) -> Uplink<'static, PackageReport<'a>> {
        let installed = Some((self.options.title, self.options.version));
        let first = self.reports & self.reports.wrapping_neg();
        let (installed, state, error) = match first {
            REPORT_CURRENT => (installed, None, None),
            REPORT_DOWNLOADING => (None, Some(PackageState::Downloading), None),
            REPORT_DOWNLOADED => (None, Some(PackageState::Downloaded), None),
            REPORT_VERIFIED => (None, Some(PackageState::Verified), None),
            REPORT_UPDATING => (None, Some(PackageState::Updating), None),
            REPORT_UPDATED => (installed, Some(PackageState::Updated), None),
            _ => (None, Some(PackageState::Failed), self.error_text()),
        };
        self.device.package_report(PackageReport {
            package: self.options.package,
            installed,
            state,
            error,
        })
    }

    pub(super) fn error_text(&self) -> Option<&'static str> {
        match self.state {
            State::Failed { error, .. } => Some(error.text()),
            _ => None,
        }
    }
}
