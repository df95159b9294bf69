//! What the app uses of the board: something to measure, and a light.

use firmware_app::{Light, Sensor};
use serde::Serialize;

/// Step 5: your sensor. Keep here what reading it needs.
pub(crate) struct Thermometer;

/// Step 5: what is reported. Each field becomes one of the JSON; its name says the unit.
#[derive(Serialize)]
pub(crate) struct Reading {
    /// Thousandths of a degree Celsius; `null` while it cannot be measured.
    temperature_mc: Option<i32>,
}

impl Sensor for Thermometer {
    type Reading = Reading;

    async fn read(&mut self) -> Reading {
        Reading {
            temperature_mc: None,
        }
    }
}

/// Step 6: your LED. Keep here the pin, an `Output` of the HAL. A board without one takes `firmware_app::NoLight`.
pub(crate) struct Led;

impl Light for Led {
    async fn set(&mut self, on: bool) {
        defmt::debug!("light: {}", on);
    }
}
