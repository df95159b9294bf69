//! What runs beside the job on the session: nothing, or a state machine of a platform that exchanges messages of its own.

#[cfg(not(any(feature = "thingsboard-update", feature = "watson-iot-management")))]
mod nothing;
#[cfg(feature = "thingsboard-update")]
mod thingsboard_update;
#[cfg(feature = "watson-iot-management")]
mod watson_iot_management;

#[cfg(not(any(feature = "thingsboard-update", feature = "watson-iot-management")))]
pub use nothing::Companion;
#[cfg(feature = "thingsboard-update")]
pub use thingsboard_update::Companion;
#[cfg(feature = "watson-iot-management")]
pub use watson_iot_management::Companion;
