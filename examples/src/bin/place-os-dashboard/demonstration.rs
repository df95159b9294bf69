//! A building of the simulator in which something happens.

use std::time::Duration;

use examples::simulator::PlatformSimulator;
use examples::terminal;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Where the simulated building reports the volume of its board room.
const VOLUME: &str = "zone-org/state/_/zone-bld/zone-lvl1/_/sys-board/driver-Mixer/Mixer/1/volume";

/// Changes a value every second.
#[derive(Debug)]
pub(crate) struct Demonstration {
    ticker: Interval,
    step: u32,
}

/// Starts a PlaceOS with a small building in this program, and tells what can be done with it.
pub(crate) fn simulator() -> anyhow::Result<PlatformSimulator> {
    let simulator = PlatformSimulator::start("placeos")?;
    simulator.command("building")?;
    terminal::print(&format!(
        "simulated PlaceOS on {}, for this machine only; change its building by typing a line, for example\n\
         \n  state zone-org/state/_/zone-bld/zone-lvl1/_/sys-lobby/driver-Display/Display/1/power false\
         \n  remove zone-org/state/_/zone-bld/zone-lvl1/_/sys-lobby/driver-Display/Display/1/power\
         \n  metadata sys-lobby {{\"name\":\"Lobby\"}}\
         \n  help\n",
        simulator.address()
    ))?;
    simulator.obey_standard_input();
    Ok(simulator)
}

impl Demonstration {
    pub(crate) fn new() -> Self {
        let mut ticker = interval(Duration::from_secs(1));
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticker, step: 0 }
    }

    /// Waits until something is to happen.
    pub(crate) async fn due(&mut self) {
        self.ticker.tick().await;
    }

    /// Turns the volume up and down.
    pub(crate) fn go_on(&mut self, simulator: &PlatformSimulator) -> anyhow::Result<()> {
        self.step = (self.step + 1) % 20;
        let volume = 30 + self.step.min(20 - self.step);
        simulator.command(&format!("state {VOLUME} {volume}"))
    }
}
