//! Topic filters of applications, and of gateways that want less than everything.

use crate::codec::{EncodeError, TopicFilter, Writer};

use super::{DeviceId, outgoing::write_level};

/// Which messages an application wants: all, unless narrowed down.
///
/// ```
/// use mqtt_core::platform::watson_iot::Filter;
///
/// let mut buffer = [0; 96];
/// let filter = Filter::events().type_id("thermometer").name("status").topic_filter(&mut buffer)?;
/// assert!(filter == "iot-2/type/thermometer/id/+/evt/status/fmt/+");
/// # Ok::<(), mqtt_core::codec::EncodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "write the topic filter"]
pub struct Filter<'a> {
    kind: Kind<'a>,
    type_id: &'a str,
    device_id: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Kind<'a> {
    /// `evt` or `cmd`.
    Content {
        level: &'static str,
        name: &'a str,
        format: &'a str,
    },
    DeviceStatus,
    ApplicationStatus,
    DeviceState(&'a str),
    DeviceErrors,
}

/// Any level; never a name that [`write_level`] would accept.
const ANY: &str = "+";

impl<'a> Filter<'a> {
    /// Events of devices.
    pub const fn events() -> Self {
        Self::content("evt")
    }

    /// Commands to devices.
    pub const fn commands() -> Self {
        Self::content("cmd")
    }

    /// Connects and disconnects of devices.
    pub const fn device_status() -> Self {
        Self::of(Kind::DeviceStatus)
    }

    /// Connects and disconnects of applications; [`device_id`](Self::device_id) narrows it down to one application.
    pub const fn application_status() -> Self {
        Self::of(Kind::ApplicationStatus)
    }

    /// States of devices through the logical interface `interface`, or through any if it is `+`.
    pub const fn device_state(interface: &'a str) -> Self {
        Self::of(Kind::DeviceState(interface))
    }

    /// Errors in making states out of events.
    pub const fn device_errors() -> Self {
        Self::of(Kind::DeviceErrors)
    }

    /// Only of devices of this type.
    pub const fn type_id(mut self, type_id: &'a str) -> Self {
        self.type_id = type_id;
        self
    }

    /// Only of devices with this identifier, of any type if none is given.
    pub const fn device_id(mut self, device_id: &'a str) -> Self {
        self.device_id = device_id;
        self
    }

    /// Only of this device.
    pub const fn device(mut self, device: DeviceId<'a>) -> Self {
        self.type_id = device.type_id();
        self.device_id = device.device_id();
        self
    }

    /// Only events or commands of this name. Without effect on the rest.
    pub const fn name(mut self, wanted: &'a str) -> Self {
        if let Kind::Content { name, .. } = &mut self.kind {
            *name = wanted;
        }
        self
    }

    /// Only events or commands in this format. Without effect on the rest.
    pub const fn format(mut self, wanted: &'a str) -> Self {
        if let Kind::Content { format, .. } = &mut self.kind {
            *format = wanted;
        }
        self
    }

    /// The topic filter, written into `buffer`. 95 bytes and the names of events and formats suffice.
    ///
    /// # Errors
    ///
    /// [`EncodeError::InvalidValue`] for a name with `/`, a wildcard within it, or none at all;
    /// [`EncodeError::NoRoom`] if the buffer is too small.
    pub fn topic_filter(self, buffer: &mut [u8]) -> Result<TopicFilter<'_>, EncodeError> {
        let mut writer = Writer::new(buffer);
        self.write(&mut writer)?;
        let len = writer.len();
        Ok(TopicFilter::from_checked(
            buffer.get(..len).unwrap_or_default(),
        ))
    }

    const fn content(level: &'static str) -> Self {
        Self::of(Kind::Content {
            level,
            name: ANY,
            format: ANY,
        })
    }

    const fn of(kind: Kind<'a>) -> Self {
        Self {
            kind,
            type_id: ANY,
            device_id: ANY,
        }
    }

    fn write(self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        if self.kind == Kind::ApplicationStatus {
            writer.bytes(b"iot-2/app/")?;
            write_wanted(self.device_id, writer)?;
            return writer.bytes(b"/mon");
        }
        writer.bytes(b"iot-2/type/")?;
        write_wanted(self.type_id, writer)?;
        writer.bytes(b"/id/")?;
        write_wanted(self.device_id, writer)?;
        match self.kind {
            Kind::Content {
                level,
                name,
                format,
            } => {
                writer.u8(b'/')?;
                writer.bytes(level.as_bytes())?;
                writer.u8(b'/')?;
                write_wanted(name, writer)?;
                writer.bytes(b"/fmt/")?;
                write_wanted(format, writer)
            }
            Kind::DeviceState(interface) => {
                writer.bytes(b"/intf/")?;
                write_wanted(interface, writer)?;
                writer.bytes(b"/evt/state")
            }
            Kind::DeviceErrors => writer.bytes(b"/err/data"),
            Kind::DeviceStatus | Kind::ApplicationStatus => writer.bytes(b"/mon"),
        }
    }
}

fn write_wanted(level: &str, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
    if level == ANY {
        writer.bytes(ANY.as_bytes())
    } else {
        write_level(level, writer)
    }
}
