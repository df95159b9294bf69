//! What a managed device says about itself.

use core::fmt;

use crate::{
    codec::{EncodeError, Writer},
    platform::json::ObjectWriter,
};

use super::{JsonValue, RequestBody, RequestKind};

/// What a managed device says about itself, and what it lets the server do.
#[derive(Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Profile<'a> {
    /// Seconds until the server takes the device for dormant, if it does not ask again: 3,600 or more, 0 (the default)
    /// for never. It is asked again 120 s before the end, and every 24 days at least.
    pub lifetime_s: u32,
    /// The server may reboot the device and reset it to factory settings. Default: false.
    pub device_actions: bool,
    /// The server may have firmware downloaded and installed. Default: false.
    pub firmware_actions: bool,
    /// The identifiers of the bundles of custom actions that the device knows.
    pub bundles: &'a [&'a str],
    /// The names of the attributes that the server may observe, `mgmt.firmware` excepted; 32 at most.
    pub observable: &'a [&'a str],
    /// Facts about the device.
    pub device_info: DeviceInfo<'a>,
    /// Anything else: an object of the application's own.
    pub metadata: Option<&'a (dyn JsonValue + Sync)>,
}

impl Profile<'_> {
    /// Nothing is said and nothing allowed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lifetime_s: 0,
            device_actions: false,
            firmware_actions: false,
            bundles: &[],
            observable: &[],
            device_info: DeviceInfo::NONE,
            metadata: None,
        }
    }

    /// Whether the platform would accept it.
    pub(super) const fn check(&self) -> Result<(), ProfileError> {
        if self.lifetime_s != 0 && self.lifetime_s < MIN_LIFETIME_S {
            return Err(ProfileError::Lifetime);
        }
        if self.observable.len() > u32::BITS as usize {
            return Err(ProfileError::TooManyAttributes);
        }
        Ok(())
    }
}

const MIN_LIFETIME_S: u32 = 3_600;

impl Default for Profile<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Profile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("lifetime_s", &self.lifetime_s)
            .field("device_actions", &self.device_actions)
            .field("firmware_actions", &self.firmware_actions)
            .field("bundles", &self.bundles)
            .field("observable", &self.observable)
            .field("device_info", &self.device_info)
            .finish_non_exhaustive()
    }
}

impl RequestBody for Profile<'_> {
    const KIND: RequestKind = RequestKind::Manage;

    fn write_data(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut data = ObjectWriter::new(data)?;
        if let Some(metadata) = self.metadata {
            metadata.write_json(data.name("metadata")?)?;
        }
        if self.lifetime_s != 0 {
            data.member("lifetime", &self.lifetime_s)?;
        }
        let mut supports = ObjectWriter::new(data.name("supports")?)?;
        supports.member("deviceActions", &self.device_actions)?;
        supports.member("firmwareActions", &self.firmware_actions)?;
        for bundle in self.bundles {
            supports.member(bundle, &true)?;
        }
        supports.end()?;
        if self.device_info != DeviceInfo::NONE {
            self.device_info.write(data.name("deviceInfo")?)?;
        }
        data.end()
    }
}

/// Facts about the device, each of them optional.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceInfo<'a> {
    /// The serial number.
    pub serial_number: Option<&'a str>,
    /// The manufacturer.
    pub manufacturer: Option<&'a str>,
    /// The model.
    pub model: Option<&'a str>,
    /// The class of devices.
    pub device_class: Option<&'a str>,
    /// A description.
    pub description: Option<&'a str>,
    /// The version of the firmware that runs. After an update it is what shows success to the operator.
    pub firmware_version: Option<&'a str>,
    /// The version of the hardware.
    pub hardware_version: Option<&'a str>,
    /// The place in words.
    pub descriptive_location: Option<&'a str>,
}

impl DeviceInfo<'_> {
    /// No facts.
    pub const NONE: Self = Self {
        serial_number: None,
        manufacturer: None,
        model: None,
        device_class: None,
        description: None,
        firmware_version: None,
        hardware_version: None,
        descriptive_location: None,
    };

    fn write(&self, info: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut info = ObjectWriter::new(info)?;
        info.text("serialNumber", self.serial_number)?;
        info.text("manufacturer", self.manufacturer)?;
        info.text("model", self.model)?;
        info.text("deviceClass", self.device_class)?;
        info.text("description", self.description)?;
        info.text("fwVersion", self.firmware_version)?;
        info.text("hwVersion", self.hardware_version)?;
        info.text("descriptiveLocation", self.descriptive_location)?;
        info.end()
    }
}

/// Why a profile cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProfileError {
    /// The lifetime is above 0 and below 3,600 s.
    Lifetime,
    /// More than 32 attributes that the server may observe.
    TooManyAttributes,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lifetime => "lifetime below 3600 s",
            Self::TooManyAttributes => "more than 32 observable attributes",
        })
    }
}

impl core::error::Error for ProfileError {}
