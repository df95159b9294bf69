//! Telemetry of two values to ThingsBoard.

use mqtt_core::Publication;
use mqtt_core::platform::{Decimal, thingsboard::Device};
use serde::Serialize;

const DEVICE: Device = Device::new();

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

/// The telemetry of a reading.
pub fn telemetry(reading: &Reading) -> impl Publication {
    DEVICE.telemetry(reading)
}
