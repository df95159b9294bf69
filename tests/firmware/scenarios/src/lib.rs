//! What firmware does in the emulator with a real broker, and how it judges itself.
//!
//! A program for a board brings the network up, makes a connector and calls [`run`]; the [`Status`] that comes back is
//! the exit status of the emulator. The host plays the other side: `tests/src/bin/firmware`, scenario by scenario.
//! What both agree on:
//!
//! - the firmware publishes under `fw/up/`, the host under `fw/down/`;
//! - the host is there first, and publishes when the firmware has said `fw/up/ready`;
//! - at the end the firmware logs one line that begins with `report:`, see [`report`].

#![no_std]
#![forbid(unsafe_code)]

mod arguments;
mod basics;
mod bulk;
mod cuts;
mod device;
mod flow;
mod large;
mod numbers;
mod random;
mod refused;
pub mod report;
mod restart;
mod status;
mod tasks;

use embassy_executor::Spawner;
use mqtt_embassy::mqtt_core::client::Connect;

pub use arguments::{Arguments, Scenario};
pub use device::{Memory, Timed};
pub use status::Status;

use device::Device;

/// Runs the scenario that the arguments name. To be called once: it takes its memory for ever.
///
/// `stack` tells how many bytes of the stack have been used at most; tasks of the scenario are started by `spawner`.
///
/// # Errors
///
/// What was expected and did not happen; with [`Scenario::Refused`] always, see there.
pub async fn run<C: Connect>(
    arguments: &Arguments,
    spawner: Spawner,
    stack: fn() -> usize,
    connector: &mut Timed<C>,
) -> Result<(), Status> {
    let device = Device::new(arguments, connector)?;
    match arguments.scenario {
        Scenario::Basics => basics::run(device).await,
        Scenario::Bulk => bulk::run(device, stack).await,
        Scenario::Large => large::run(device).await,
        Scenario::Cuts => cuts::run(device).await,
        Scenario::Restart => restart::run(device).await,
        Scenario::Tasks => tasks::run(device, spawner).await,
        Scenario::Refused => refused::run(device).await,
    }
}
