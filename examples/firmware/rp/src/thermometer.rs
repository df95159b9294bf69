//! The temperature sensor inside the chip.

use embassy_rp::{
    Peri,
    adc::{Adc, Async, Channel, Config, InterruptHandler},
    interrupt::typelevel::{ADC_IRQ_FIFO, Binding},
    peripherals::{ADC, ADC_TEMP_SENSOR},
};
use firmware_app::Sensor;
use serde::Serialize;

/// The temperature sensor inside the chip: some degrees off, and above that of the room.
pub struct Thermometer {
    adc: Adc<'static, Async>,
    channel: Channel<'static>,
}

/// What the chip measures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Reading {
    /// Thousandths of a degree Celsius; `null` if the conversion failed.
    pub temperature_mc: Option<i32>,
}

impl Thermometer {
    /// Takes the converter and its channel.
    pub fn new(
        adc: Peri<'static, ADC>,
        channel: Peri<'static, ADC_TEMP_SENSOR>,
        interrupts: impl Binding<ADC_IRQ_FIFO, InterruptHandler>,
    ) -> Self {
        Self {
            adc: Adc::new(adc, interrupts, Config::default()),
            channel: Channel::new_temp_sensor(channel),
        }
    }
}

impl Sensor for Thermometer {
    type Reading = Reading;

    async fn read(&mut self) -> Reading {
        let raw = self.adc.read(&mut self.channel).await;
        Reading {
            temperature_mc: raw.ok().map(millidegrees),
        }
    }
}

impl core::fmt::Debug for Thermometer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Thermometer").finish_non_exhaustive()
    }
}

/// The data sheets of both chips: 27 °C at 0.706 V, and 1.721 mV less for each degree more. The reference is 3.3 V, 12 bits.
const fn millidegrees(raw: u16) -> i32 {
    let microvolts = raw as i32 * 412_500 / 512;
    27_000 - (microvolts - 706_000) * 581 / 1_000
}

// The crate has no host to run tests on: these are checked by the compiler.
const _: () = assert!(millidegrees(876) / 100 == 271);
const _: () = assert!(millidegrees(891) / 100 == 201);
const _: () = assert!(millidegrees(0) / 1_000 == 437 && millidegrees(4_095) / 1_000 == -1_479);
