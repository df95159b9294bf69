//! The update of the firmware, and its progress in the log.

use mqtt_core::{
    Instant,
    client::{Client, Kind, Received},
    platform::{
        thingsboard::update::{UpdateOptions, UpdatePhase, Updater},
        update::{Sha256, UpdateStore},
    },
};

use crate::{DEVICE, log};

/// Lines in the log, in percent.
const LINE_EVERY: u32 = 10;

/// An update that may be going on.
///
/// Packages must be uploaded with the checksum algorithm SHA-256, which is the server's default: others are refused.
/// With `AnyChecksum` instead, all seven are known, for some more flash.
pub(crate) struct Firmware<'a, U: UpdateStore> {
    updater: Updater<'a, U, Sha256>,
    phase: UpdatePhase,
    /// The last line in percent.
    told: u32,
}

impl<'a, U: UpdateStore> Firmware<'a, U> {
    /// Goes on with what the store remembers, or begins.
    pub(crate) async fn open(options: UpdateOptions<'a>, store: U) -> Self {
        Self {
            updater: Updater::open(DEVICE, options, store).await,
            phase: UpdatePhase::Idle,
            told: 0,
        }
    }

    /// Does what is due, and tells when to call it again.
    pub(crate) async fn advance<K: Kind>(&mut self, client: &Client<K>) -> Instant {
        let wake = self.updater.advance(client).await;
        if self.updater.take_store_error().is_some() {
            log::error!("update: flash failed");
        }
        self.log_phase();
        self.log_progress();
        wake
    }

    /// Takes a message; true if it is about nothing but the update.
    pub(crate) async fn receive<K: Kind>(&mut self, received: &mut Received<'_, K>) -> bool {
        self.updater.receive_from(received).await
    }

    /// Whether it is time to restart with the new firmware.
    pub(crate) fn is_installed(&self) -> bool {
        self.phase == UpdatePhase::Installed
    }

    fn log_phase(&mut self) {
        let phase = self.updater.update().phase();
        if phase != self.phase {
            self.phase = phase;
            self.told = 0;
            log::info!("update: {}", phase);
        }
    }

    fn log_progress(&mut self) {
        let Some((received, size)) = self.updater.update().progress() else {
            return;
        };
        // In this order, 32 bits are enough.
        let percent = received / (size / 100).max(1);
        if self.phase == UpdatePhase::Downloading && percent >= self.told + LINE_EVERY {
            self.told = percent / LINE_EVERY * LINE_EVERY;
            log::info!("update: {=u32} of {=u32} bytes", received, size);
        }
    }
}
