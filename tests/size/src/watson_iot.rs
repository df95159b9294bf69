//! An event of two values to IBM Watson IoT Platform.

use mqtt_core::Publication;
use mqtt_core::platform::watson_iot::Device;

use crate::reading::Reading;

static DEVICE: Device<'static> = match Device::new("za6xa7", "thermometer", "kitchen") {
    Ok(device) => device,
    Err(_) => panic!("the names are good"),
};

/// The event of a reading.
pub fn event(reading: &Reading) -> impl Publication {
    DEVICE.event("status").at_least_once().json_in_d(reading)
}
