//! What a thermometer reports.

use mqtt_core::platform::Decimal;
use serde::Serialize;

/// Two values.
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
