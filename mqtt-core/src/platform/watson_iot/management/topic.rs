//! Topics of device management.

use crate::codec::{EncodeError, Writer};

use super::super::{DeviceId, incoming::Levels, outgoing::write_device};

/// Which device is managed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target<'a> {
    /// The device that is connected; not for gateways.
    Own,
    /// The gateway that is connected, or a device behind it. Topics name it.
    Device(DeviceId<'a>),
}

/// What the server asks or answers, as far as its topic says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ServerTopic<'m> {
    Response,
    Update,
    Observe,
    Cancel,
    Action(super::ActionKind),
    Custom { bundle: &'m str, action: &'m str },
    Unknown,
}

impl Target<'_> {
    /// `iotdevice-1`, the device if it has to be named, and `rest`.
    pub(super) fn write_topic(self, rest: &str, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(b"iotdevice-1")?;
        if let Target::Device(device) = self {
            write_device(device, topic)?;
        }
        topic.bytes(b"/")?;
        topic.bytes(rest.as_bytes())
    }

    /// What a topic means; `None` if it is not about device management, or about that of another device.
    pub(super) fn read_topic(self, topic: &[u8]) -> Option<ServerTopic<'_>> {
        let mut levels = Levels::new(topic)?;
        levels.expect("iotdm-1")?;
        if let Target::Device(wanted) = self {
            levels.expect("type")?;
            if levels.device()? != wanted {
                return None;
            }
        }
        Some(ServerTopic::read(levels.rest()))
    }
}

impl<'m> ServerTopic<'m> {
    fn read(rest: &'m str) -> Self {
        use super::ActionKind::{FactoryReset, FirmwareDownload, FirmwareUpdate, Reboot};
        match rest {
            "response" => Self::Response,
            "device/update" => Self::Update,
            "observe" => Self::Observe,
            "cancel" => Self::Cancel,
            "mgmt/initiate/device/reboot" => Self::Action(Reboot),
            "mgmt/initiate/device/factory_reset" => Self::Action(FactoryReset),
            "mgmt/initiate/firmware/download" => Self::Action(FirmwareDownload),
            "mgmt/initiate/firmware/update" => Self::Action(FirmwareUpdate),
            other => Self::custom(other).unwrap_or(Self::Unknown),
        }
    }

    fn custom(rest: &'m str) -> Option<Self> {
        let (bundle, action) = rest.strip_prefix("mgmt/custom/")?.split_once('/')?;
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        (is_name(bundle) && is_name(action)).then_some(Self::Custom { bundle, action })
    }
}
