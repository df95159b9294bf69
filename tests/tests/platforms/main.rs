//! The helpers of `mqtt_core::platform` against the simulators, over the client of `mqtt-std`.

mod losant;
mod place_os;
mod support;
mod thingsboard;
mod thingsboard_update;
mod watson_iot;
