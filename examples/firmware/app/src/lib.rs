//! The example device that all boards share.
//!
//! It connects, publishes a reading every few seconds, obeys commands, tells whether it is there, shows the link on a
//! light, and survives whatever happens to the link. A board gives it a [`Sensor`], a [`Light`] and a connector:
//!
//! ```text
//!  board: pins, network, TLS          this crate                    mqtt-core
//!  Sensor --------------------> report loop ----\
//!  Light  <-------------------- light loop  ---- Client, Inbox
//!  Connect -------------------> link loop   ---- Runner
//! ```
//!
//! [`run`] runs the three loops as one future: no task is spawned, nothing is allocated.
//!
//! # Topics
//!
//! Under [`Settings::topic`], the same as the program `host-monitor` for Linux:
//!
//! | topic | content |
//! | --- | --- |
//! | `…/report` | JSON at QoS 1: `{"sequence":7,"uptime_s":63,"reading":{…}}`, the reading as the board has it |
//! | `…/presence` | `online` or `offline`, retained; `offline` is the will |
//! | `…/command` | listens: `interval 2`, `identify`, `report-now`, or as JSON `{"command":"interval","seconds":2}` |
//! | `…/identity` | JSON, the answer to `identify` |
//!
//! # Light
//!
//! | light | the device |
//! | --- | --- |
//! | fast blinking | connects |
//! | on, with a short gap every two seconds | is connected |
//! | slow blinking | lost the link and pauses before the next attempt |
//! | three flashes and a pause | is refused: credentials, certificate or settings are wrong |
//! | flickering for three seconds | was asked to identify itself |
//!
//! # Features
//!
//! `defmt`: log lines.
#![no_std]
#![warn(clippy::std_instead_of_core)]

#[cfg(test)]
extern crate std;

mod command;
mod device;
mod light;
mod log;
pub mod network;
mod report;
mod settings;
mod topics;
mod uptime;

use core::convert::Infallible;

use embassy_futures::select::{Either3, select3};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, signal::Signal};
use mqtt_core::{
    client::{Client, Connect, Inbox, Kind, Runner},
    session::Options,
};
use serde::Serialize;

use device::Device;

pub use settings::Settings;
pub use topics::Topics;

/// What the board measures.
pub trait Sensor {
    /// One reading. It is published as JSON: name units in the fields, and prefer integers (`temperature_mc` for
    /// thousandths of a degree) to floating point, which a Cortex-M0 has to emulate.
    type Reading: Serialize;

    /// Takes a reading. A sensor that can fail says so in the reading, for instance by an `Option`.
    ///
    /// The future is never dropped before its end.
    fn read(&mut self) -> impl Future<Output = Self::Reading>;
}

/// What shows the state of the link: a LED, or nothing.
pub trait Light {
    /// Switches it. The future is never dropped before its end.
    fn set(&mut self, on: bool) -> impl Future<Output = ()>;
}

/// A board without a light.
#[derive(Clone, Copy, Debug)]
pub struct NoLight;

impl Light for NoLight {
    async fn set(&mut self, _on: bool) {}
}

/// Asks the light to show which device this is.
type Identify = Signal<NoopRawMutex, ()>;

/// A device that is refused for good asks again after this long: somebody may have mended the server's settings.
const REFUSED_PAUSE_MS: u32 = 60_000;

/// Runs the device for ever.
///
/// `options` are those of [`Settings::options`], and those with which the handles were made. Dropping the future drops
/// the link, and the server publishes the will.
pub async fn run<K: Kind, C: Connect, S: Sensor, L: Light>(
    (client, mut inbox, mut runner): (Client<K>, Inbox<K>, Runner<K>),
    connector: &mut C,
    options: &Options<'_>,
    settings: &Settings<'_>,
    topics: &Topics,
    sensor: S,
    light: L,
) -> Infallible {
    let identify = Identify::new();
    let mut device = Device::new(&client, settings, topics, sensor, &identify);
    let loops = select3(
        keep_link(&mut runner, connector, options),
        device.live(&mut inbox),
        light::show(&client, light, &identify),
    );
    match loops.await {
        Either3::First(never) | Either3::Second(never) | Either3::Third(never) => never,
    }
}

/// The runner mends what can be mended. What it gives up is tried again all the same, for nobody is there to press a button.
async fn keep_link<K: Kind, C: Connect>(
    runner: &mut Runner<K>,
    connector: &mut C,
    options: &Options<'_>,
) -> Infallible {
    loop {
        let end = runner.run(connector, options).await;
        log::warn!(
            "refused: {}; asking again in {} s",
            end,
            REFUSED_PAUSE_MS / 1000
        );
        sleep::<K>(REFUSED_PAUSE_MS).await;
    }
}

fn sleep<K: Kind>(millis: u32) -> impl Future<Output = ()> {
    K::sleep_until(K::now().plus(millis))
}
