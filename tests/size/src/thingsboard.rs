//! Telemetry of two values to ThingsBoard.

use mqtt_core::Publication;
use mqtt_core::platform::thingsboard::Device;

use crate::reading::Reading;

const DEVICE: Device = Device::new();

/// The telemetry of a reading.
pub fn telemetry(reading: &Reading) -> impl Publication {
    DEVICE.telemetry(reading)
}
