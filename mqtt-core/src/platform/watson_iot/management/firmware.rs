//! The states of a firmware action, as the platform names them.

use core::fmt;

/// `mgmt.firmware.state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum FirmwareState {
    /// No image is there or on its way.
    #[default]
    Idle = 0,
    /// The image is on its way.
    Downloading = 1,
    /// The image is there.
    Downloaded = 2,
}

/// `mgmt.firmware.updateStatus`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum UpdateStatus {
    /// Done, or nothing was done yet.
    #[default]
    Success = 0,
    /// The image is being installed.
    InProgress = 1,
    /// No room for the image.
    OutOfMemory = 2,
    /// The download broke off.
    ConnectionLost = 3,
    /// The image does not agree with the verifier.
    VerificationFailed = 4,
    /// The image is not for this device.
    UnsupportedImage = 5,
    /// There is no image at the URI.
    InvalidUri = 6,
}

/// How a download failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DownloadFailure {
    /// No room for the image.
    OutOfMemory,
    /// The download broke off.
    ConnectionLost,
    /// The image does not agree with the verifier.
    VerificationFailed,
    /// There is no image at the URI.
    InvalidUri,
}

/// How an installation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UpdateFailure {
    /// No room for the image.
    OutOfMemory,
    /// The image is not for this device.
    UnsupportedImage,
}

/// What the operator wants to be installed, and how far it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Firmware<'a> {
    /// The version; empty if not given, like the other texts.
    pub version: &'a str,
    /// The name.
    pub name: &'a str,
    /// Where to fetch it: by HTTP or whatever the URI says, not by MQTT.
    pub uri: &'a str,
    /// What to check it with; a checksum, in a form that operator and device agree on.
    pub verifier: &'a str,
    /// How far the download got.
    pub state: FirmwareState,
    /// How far the installation got, or what was wrong.
    pub update_status: UpdateStatus,
}

/// A firmware action has no such step now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WrongState;

impl fmt::Display for WrongState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such firmware action is going on")
    }
}

impl core::error::Error for WrongState {}

/// A saved record was damaged, or is longer than the memory for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadRecord;

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("record of the device management cannot be used")
    }
}

impl core::error::Error for BadRecord {}

impl From<DownloadFailure> for UpdateStatus {
    fn from(failure: DownloadFailure) -> Self {
        match failure {
            DownloadFailure::OutOfMemory => Self::OutOfMemory,
            DownloadFailure::ConnectionLost => Self::ConnectionLost,
            DownloadFailure::VerificationFailed => Self::VerificationFailed,
            DownloadFailure::InvalidUri => Self::InvalidUri,
        }
    }
}

impl From<UpdateFailure> for UpdateStatus {
    fn from(failure: UpdateFailure) -> Self {
        match failure {
            UpdateFailure::OutOfMemory => Self::OutOfMemory,
            UpdateFailure::UnsupportedImage => Self::UnsupportedImage,
        }
    }
}
