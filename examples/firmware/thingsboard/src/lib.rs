//! A device of ThingsBoard, for any board: telemetry, attributes, calls by the server, and firmware updates.
//!
//! A board gives it a [`Sensor`], a connector and an [`UpdateStore`]: a `FlashStore` over the partition that the boot loader
//! takes new firmware from, with a type that tells the boot loader. [`run`] returns when it is time to restart. [`network`]
//! does the same with buffers and connectors for embassy-net.
//!
//! | what | how |
//! | --- | --- |
//! | telemetry | a reading of the sensor every few seconds |
//! | client attributes | `interval`, `firmware`: what holds now |
//! | shared attribute `interval` | seconds between two readings |
//! | call `setInterval` with `{"seconds":5}` | the same |
//! | call `restart` | [`run`] returns |
//! | assigned firmware | is downloaded, checked, installed; then [`run`] returns |
//!
//! An update goes on after a lost link and after a restart. The new firmware reports `UPDATED` by itself: it runs this
//! with a store over the same flash, and with its own version. Where the boot loader can go back, it is on [`Trial`] at
//! first: it stays if its server lets it in within ten minutes. Otherwise [`run`] returns, and the reset brings the firmware
//! before.
//!
//! # Features
//!
//! `defmt`: log lines.
#![no_std]
#![warn(clippy::std_instead_of_core)]

mod device;
mod log;
pub mod network;
mod trial;
mod update;

use embassy_futures::select::select;
use mqtt_core::{
    client::{Client, Connect, Inbox, Kind, LinkEnd, Runner},
    codec::Subscription,
    platform::{
        thingsboard::{
            self, Credentials, CredentialsError,
            update::{Package, UpdateOptions},
        },
        update::UpdateStore,
    },
    session::Options,
};

use device::Device;
use trial::Examination;
use update::Firmware;

pub use firmware_app::Sensor;
pub use trial::{NoTrial, TRIAL_MS, Trial};

/// The topics that every server knows.
const DEVICE: thingsboard::Device = thingsboard::Device::new();

/// The server grants no filters but exactly these.
const SUBSCRIPTIONS: [Subscription<'static>; 5] = [
    DEVICE.attribute_updates(),
    DEVICE.attribute_responses(),
    DEVICE.rpc_requests(),
    DEVICE.chunks(Package::Firmware),
    DEVICE.chunk_refusals(),
];

/// A device that is refused for good asks again after this long: somebody may have mended the server's settings.
const REFUSED_PAUSE_MS: u32 = 60_000;

/// What differs from device to device. Where the server is, the connector knows.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Title and version of the firmware that runs, and how the next one is fetched.
    pub update: UpdateOptions<'a>,
    /// Seconds between two readings, until the server says otherwise: 1 to [`MAX_INTERVAL_S`](Self::MAX_INTERVAL_S).
    pub interval_s: u32,
}

impl Settings<'_> {
    /// The longest interval between two readings: a day.
    pub const MAX_INTERVAL_S: u32 = 86_400;
}

/// The options of the client, for a device with this access token.
///
/// # Errors
///
/// The token is empty or reserved.
pub fn options(token: &str) -> Result<Options<'_>, CredentialsError> {
    let credentials = Credentials::access_token(token)?;
    Ok(DEVICE.options(&credentials).subscriptions(&SUBSCRIPTIONS))
}

/// Runs the device until it is to restart: new firmware is installed, the server has called `restart`, or this firmware has
/// failed its trial.
///
/// `options` are those of [`options`], and those with which the handles were made. Dropping the future drops the link; the
/// update goes on where the store remembers it.
pub async fn run<K: Kind, C: Connect, S: Sensor, U: UpdateStore, T: Trial>(
    (client, mut inbox, mut runner): (Client<K>, Inbox<K>, Runner<K>),
    connector: &mut C,
    options: &Options<'_>,
    settings: &Settings<'_>,
    sensor: S,
    store: U,
    trial: T,
) {
    let live = async {
        let firmware = Firmware::open(settings.update, store).await;
        let trial = Examination::begin(trial, K::now());
        Device::new(&client, settings, sensor, firmware, trial)
            .live(&mut inbox)
            .await;
        // Sends what is queued: the last report of the update, the answer to the call.
        client.disconnect().await;
    };
    select(keep_link(&mut runner, connector, options), live).await;
}

/// The runner mends what can be mended. What it gives up is tried again all the same, for nobody is there to press a button.
async fn keep_link<K: Kind, C: Connect>(
    runner: &mut Runner<K>,
    connector: &mut C,
    options: &Options<'_>,
) {
    loop {
        let end = runner.run(connector, options).await;
        if end == LinkEnd::Disconnected {
            return;
        }
        log::warn!(
            "refused: {}; asking again in {} s",
            end,
            REFUSED_PAUSE_MS / 1000
        );
        K::sleep_until(K::now().plus(REFUSED_PAUSE_MS)).await;
    }
}
