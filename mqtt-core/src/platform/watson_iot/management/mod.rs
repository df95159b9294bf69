//! Device management: the platform reboots a device, updates its firmware, and watches it.
//!
//! [`ManagedDevice`] is the state machine; it needs a clock and an MQTT client to be given to it. A message goes in,
//! what is to be done comes out:
//!
//! ```
//! use mqtt_core::{Instant, Publication, platform::{ApplicationMessage, watson_iot::MalformedMessage}};
//! use mqtt_core::platform::watson_iot::management::{Action, ActionKind, ManagedDevice, Profile, Target};
//!
//! /// What came from the platform.
//! fn received<'m>(
//!     device: &mut ManagedDevice<'_>,
//!     message: impl ApplicationMessage<'m>,
//!     now: Instant,
//!     publish: &mut impl FnMut(&dyn Publication),
//! ) -> Result<(), MalformedMessage> {
//!     match device.handle(message, now)? {
//!         Some(Action::Update(_, Some(response)) | Action::Cancelled(_, response) | Action::Refused(_, response)) => {
//!             publish(&response);
//!         }
//!         Some(Action::Observe(observe)) => publish(&device.observe(&observe, &[])),
//!         Some(Action::Requested(requested)) => {
//!             publish(&device.accept(requested));
//!             // Save `device.unsaved()`; then reboot, or fetch `device.firmware().uri`, or install the image.
//!         }
//!         _ => {}
//!     }
//!     Ok(())
//! }
//!
//! /// After each message, and when `device.next_deadline()` has come.
//! fn upkeep(device: &mut ManagedDevice<'_>, now: Instant, publish: &mut impl FnMut(&dyn Publication)) {
//!     while let Some((kind, _)) = device.tick(now) {
//!         // No response came to a request of this kind.
//!     }
//!     while let Some(publication) = device.next_publication() {
//!         publish(&publication);
//!         device.published(&publication, now);
//!     }
//! }
//!
//! let mut profile = Profile::new();
//! profile.lifetime_s = 3_600;
//! profile.device_actions = true;
//! profile.firmware_actions = true;
//! profile.device_info.firmware_version = Some("1.4.0");
//! let mut record = [0; 256];
//! let random = 4; // of the hardware
//! let mut device = ManagedDevice::new(Target::Own, &profile, &mut record, random)?;
//! // device.restore(..) what was saved before the restart
//!
//! let now = Instant::from_millis(0);
//! let mut publish = |publication: &dyn Publication| { /* client.publish(publication) */ };
//! upkeep(&mut device, now, &mut publish);
//! let message = ("iotdm-1/response", &br#"{"rc":200,"reqId":"00000004-00000001"}"#[..]);
//! received(&mut device, &message, now, &mut publish)?;
//! assert!(device.is_managed());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Topics
//!
//! Under `iotdevice-1/`, from the device:
//!
//! | topic | here | response |
//! | --- | --- | --- |
//! | `mgmt/manage` | [`ManagedDevice::next_publication`], from the [`Profile`] | 200; 400, 403, 404, 409 |
//! | `mgmt/unmanage` | [`Unmanage`] | 200 |
//! | `device/update/location` | [`Location`] | 200 |
//! | `add/diag/errorCodes`, `clear/diag/errorCodes` | [`ErrorCode`], [`ClearErrorCodes`] | 200 |
//! | `add/diag/log`, `clear/diag/log` | [`LogEntry`], [`ClearLog`] | 200 |
//! | `notify` | [`Notify`]; of `mgmt.firmware` [`ManagedDevice::next_publication`] | 200 |
//! | `response` | [`Response`] | none |
//!
//! Under `iotdm-1/`, from the server, see [`MANAGED`](super::MANAGED):
//!
//! | topic | here | response |
//! | --- | --- | --- |
//! | `response` | [`Action::Completed`] | none |
//! | `device/update` | [`Action::Update`] | 204 |
//! | `observe` | [`Action::Observe`] | 200 with the values; 404 |
//! | `cancel` | [`Action::Cancelled`] | 200 |
//! | `mgmt/initiate/device/reboot`, `../factory_reset` | [`Action::Requested`] | 202; 500, 501 |
//! | `mgmt/initiate/firmware/download` | [`Action::Requested`] | 202; 400, 500 |
//! | `mgmt/initiate/firmware/update` | [`Action::Requested`] | 202; 400, 500, 501 |
//! | `mgmt/custom/<bundle>/<action>` | [`Action::Custom`] | 200 when done; 500, 501 |
//! | any other | [`Action::Refused`] | 501 |
//!
//! # Firmware
//!
//! ```text
//!             accept            download_finished          accept
//!  Idle ------------> Downloading ------------> Downloaded ------> Downloaded, InProgress
//!   ^                     |                                             |
//!   +---------------------+  download_failed                            |
//!   +-------------------------------------------------------------------+  update_finished, update_failed
//! ```
//!
//! The image does not come over MQTT: the application fetches [`Firmware::uri`] by its own means, checks it, writes it
//! to an [`UpdateStore`](crate::platform::update::UpdateStore) or where it likes, and says how it went. While
//! `mgmt.firmware` is observed, each step is told to the server, what changed together in one notification. The record
//! holds the state, the details of the image, what the server was told, and which action was accepted last; after a
//! restart [`ManagedDevice::interrupted`] says what to go on with. Whether other attributes are observed is forgotten.
//!
//! # Limits
//!
//! | what | limit | what happens |
//! | --- | --- | --- |
//! | lifetime | 3,600 s or more | [`ProfileError::Lifetime`] |
//! | requests that wait for a response | 8 | [`RequestError::TooMany`] |
//! | wait for a response | 30 s, see [`ManagedDevice::set_request_timeout`] | [`ManagedDevice::tick`] |
//! | attributes that can be observed | 32 and `mgmt.firmware` | [`ProfileError::TooManyAttributes`] |
//! | details of an image | the memory for the record | [`Refusal::NoRoom`] |
//!
//! # Traps
//!
//! - **Malformed requests.** What is not JSON or has no `reqId` is not acted on; a reboot least of all. What can be
//!   answered is answered with 400.
//! - **The same request twice.** QoS 1 may deliver a reboot again after the reboot. The last accepted one is in the
//!   record, and answered without being done. So the record has to be [saved](ManagedDevice::save) between
//!   [`accept`](ManagedDevice::accept) and the restart, and the response to be delivered.
//! - **A restart between download and update** loses the state unless it is saved; an official client gave up checking
//!   the state for that reason. Here it is saved.
//! - **The sample of the update** in the documents answers the observation with state 0 and then demands state 2. The
//!   true state is answered.
//! - **500 or 501.** The documents want 500 for a download that is not supported, and 501 for everything else.
//! - **Observations.** The documents disagree on whether the values are part of the response; they are.
//! - **`rc` 0** in a sample; the platform sends numbers like those of HTTP. 0 is taken for success.
//! - **The official Python client** asks to be managed ten times at each start, sends no facts, and tells of no
//!   property that changes. One request is enough; it is repeated only if no response comes.
//! - **Topics.** An old document wants `iotdm-1/#` subscribed, the Python client subscribes nine filters; one is
//!   enough.

mod code;
mod device;
mod firmware;
mod image;
mod profile;
mod request;
mod server;
mod topic;

pub use code::ResponseCode;
pub use device::{ManagedDevice, RequestError, Upkeep};
pub use firmware::{
    BadRecord, DownloadFailure, Firmware, FirmwareState, UpdateFailure, UpdateStatus, WrongState,
};
pub use profile::{DeviceInfo, Profile, ProfileError};
pub use request::{
    Attribute, ClearErrorCodes, ClearLog, ErrorCode, JsonValue, Location, LogEntry, Notify,
    Request, RequestBody, RequestId, RequestKind, Severity, Unmanage,
};
pub use server::{
    Action, ActionKind, Attributes, AttributesIter, Completed, Custom, Observe, Refusal, Requested,
    Response,
};
pub use topic::Target;
