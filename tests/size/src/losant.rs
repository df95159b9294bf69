//! A report of two attributes to Losant.

use mqtt_core::platform::losant::{Device, State};

use crate::reading::Reading;

static DEVICE: Device<'static> = match Device::new("575ecf887ae143cd83dc4aa2") {
    Ok(device) => device,
    Err(_) => panic!("the identifier is good"),
};

/// The report of a reading.
pub fn report(reading: &Reading) -> State<'_, Reading> {
    DEVICE.state(reading).at_least_once()
}
