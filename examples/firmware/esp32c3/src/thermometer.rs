//! The temperature sensor inside the chip.

use esp_hal::{
    peripherals::TSENS,
    tsens::{Config, ConfigError, TemperatureSensor},
};
use firmware_app::Sensor;
use serde::Serialize;

/// The temperature sensor inside the chip: it is warmer there than in the room, by far when the radio is busy.
pub(crate) struct Thermometer(TemperatureSensor<'static>);

/// What the chip measures.
#[derive(Serialize)]
pub(crate) struct Reading {
    /// Thousandths of a degree Celsius.
    temperature_mc: i32,
}

impl Thermometer {
    pub(crate) fn new(sensor: TSENS<'static>) -> Result<Self, ConfigError> {
        TemperatureSensor::new(sensor, Config::default()).map(Self)
    }
}

impl Sensor for Thermometer {
    type Reading = Reading;

    async fn read(&mut self) -> Reading {
        let temperature = self.0.get_temperature();
        Reading {
            temperature_mc: millidegrees(temperature.raw_value, temperature.offset),
        }
    }
}

/// 0.4386 °C for each step, 27.88 °C for each step of the offset, from -20.52 °C: in integers, for the chip has no
/// floating point.
const fn millidegrees(raw: u8, offset: i8) -> i32 {
    raw as i32 * 4_386 / 10 - offset as i32 * 27_880 - 20_520
}

// There is no host to run tests on: these are checked by the compiler.
const _: () = assert!(millidegrees(0, 0) == -20_520);
const _: () = assert!(millidegrees(100, -1) == 51_220);
