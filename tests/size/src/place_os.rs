//! A state of two values, published to PlaceOS.

use mqtt_core::Publication;
use mqtt_core::platform::place_os::{StateTopic, WithRegion};

use crate::reading::Reading;

static TOPIC: StateTopic<'static, WithRegion<Option<&'static str>>> = StateTopic {
    scope: "zone-org",
    zones: WithRegion {
        region: None,
        building: Some("zone-bld"),
        level: Some("zone-lvl"),
        area: None,
    },
    system: "sys-abc",
    driver: "driver-xyz",
    module: "Thermometer",
    index: 1,
    key: "reading",
};

/// The state that is a reading, at the time `time_s` in seconds since 1970.
pub fn state(time_s: u64, reading: &Reading) -> impl Publication {
    TOPIC.value(time_s, reading).at_least_once()
}
