//! Device management.

mod code;
mod device;
mod firmware;
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
