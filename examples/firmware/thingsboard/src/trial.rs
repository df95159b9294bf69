//! New firmware on trial.

use mqtt_core::{
    Instant,
    client::{Client, Kind, LinkState},
};

use crate::log;

/// Firmware that has not reached its server for this long after its first start is given up: ten minutes, so that a server
/// that is restarted meanwhile is not taken for bad firmware.
pub const TRIAL_MS: u32 = 600_000;

/// How often the link is looked at meanwhile.
const LOOK_MS: u32 = 1_000;

/// What the boot loader knows of the firmware that runs.
///
/// A boot loader that swaps keeps the firmware before, where the next one is to be written. It goes back to it at the next
/// reset, unless the new one has said that it works.
pub trait Trial {
    /// Whether the boot loader waits for that.
    fn is_on_trial(&self) -> bool;

    /// Says it: this firmware stays. Whether that has succeeded; otherwise it is tried again.
    fn pass(&mut self) -> impl Future<Output = bool>;
}

/// For boards whose boot loader does not go back.
#[derive(Clone, Copy, Debug)]
pub struct NoTrial;

impl Trial for NoTrial {
    fn is_on_trial(&self) -> bool {
        false
    }

    async fn pass(&mut self) -> bool {
        true
    }
}

/// Firmware passes when its server lets it in: then the next update can reach it, whatever else is wrong with it.
pub(crate) struct Examination<T> {
    trial: T,
    /// When it has failed; `None` if there is nothing to pass, or no longer.
    ends: Option<Instant>,
}

impl<T: Trial> Examination<T> {
    pub(crate) fn begin(trial: T, now: Instant) -> Self {
        Self {
            ends: trial.is_on_trial().then(|| now.plus(TRIAL_MS)),
            trial,
        }
    }

    /// Passes if that is possible now. When to call it again, or `None` if it is done.
    pub(crate) async fn advance<K: Kind>(&mut self, client: &Client<K>) -> Option<Instant> {
        let ends = self.ends?;
        if matches!(client.state(), LinkState::Connected { .. }) {
            if self.trial.pass().await {
                log::info!("trial: passed, this firmware stays");
                self.ends = None;
                return None;
            }
            log::error!("trial: the boot loader cannot be told");
        }
        Some(ends.min(K::now().plus(LOOK_MS)))
    }

    pub(crate) fn has_failed(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now.has_reached(ends))
    }
}
