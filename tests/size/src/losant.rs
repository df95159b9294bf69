//! A report of two attributes to Losant.

use mqtt_core::platform::{
    Decimal,
    losant::{Device, State},
};
use serde::Serialize;

static DEVICE: Device<'static> = match Device::new("575ecf887ae143cd83dc4aa2") {
    Ok(device) => device,
    Err(_) => panic!("the identifier is good"),
};

/// What a thermometer reports.
#[derive(Debug, Serialize)]
pub struct Reading {
    temperature: Decimal<1>,
    is_stable: bool,
}

impl Reading {
    /// From what the hardware gives.
    pub const fn new(raw: u32) -> Self {
        Self {
            temperature: Decimal::new(raw.cast_signed()),
            is_stable: raw & 1 == 0,
        }
    }
}

/// The report of a reading.
pub fn report(reading: &Reading) -> State<'_, Reading> {
    DEVICE.state(reading).at_least_once()
}
