//! What devices, gateways and applications receive, apart from device management.

use core::fmt;

use serde::Deserialize;

use crate::platform::{
    ApplicationMessage,
    json::{JsonError, RawJson},
};

use super::{Application, Device, DeviceId, Gateway, Notification, Status};

/// A command or an event: its name, the name of its format, and its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Content<'a> {
    /// The name of the command or event.
    pub name: &'a str,
    /// The name of the format. `json` says nothing about the payload until that was parsed.
    pub format: &'a str,
    /// The payload as it came; may be empty.
    pub payload: &'a [u8],
}

impl<'a> Content<'a> {
    /// Reads the payload as JSON, whatever the format is called.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if it is not JSON, or not of the type `T`.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, JsonError> {
        RawJson::parse(self.payload)?.to()
    }
}

impl Device<'_> {
    /// Reads a command; `None` for any other message, with a topic that is incomplete for instance.
    ///
    /// Commands of unknown name or format are delivered like any other.
    #[must_use]
    pub fn command<'m>(&self, message: impl ApplicationMessage<'m>) -> Option<Content<'m>> {
        let (topic, payload) = message.topic_and_payload();
        let mut levels = Levels::new(topic)?;
        levels.expect("iot-2")?;
        levels.expect("cmd")?;
        levels.content(payload)
    }
}

/// What a gateway receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ToGateway<'a> {
    /// A command for the gateway itself or for a device behind it.
    Command(DeviceId<'a>, Content<'a>),
    /// The platform refused something that the gateway published or subscribed to.
    Notification(Notification<'a>),
}

impl Gateway<'_> {
    /// Reads a command or a notification; `None` for any other message.
    ///
    /// # Errors
    ///
    /// [`MalformedMessage`] for a notification that is none.
    pub fn message<'m>(
        &self,
        message: impl ApplicationMessage<'m>,
    ) -> Result<Option<ToGateway<'m>>, MalformedMessage> {
        let (topic, payload) = message.topic_and_payload();
        self.read(topic, payload)
    }

    fn read<'m>(
        &self,
        topic: &'m [u8],
        payload: &'m [u8],
    ) -> Result<Option<ToGateway<'m>>, MalformedMessage> {
        let Some((device, mut levels)) = device_levels(topic) else {
            return Ok(None);
        };
        Ok(match levels.next() {
            Some("cmd") => levels
                .content(payload)
                .map(|command| ToGateway::Command(device, command)),
            Some("notify") if levels.is_done() && device == self.id() => {
                Some(ToGateway::Notification(Notification::parse(payload)?))
            }
            _ => None,
        })
    }
}

/// What an application receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ToApplication<'a> {
    /// An event of a device.
    Event(DeviceId<'a>, Content<'a>),
    /// A command to a device, which another application may have sent.
    Command(DeviceId<'a>, Content<'a>),
    /// A device or gateway connected or disconnected. The last one of each device is retained.
    DeviceStatus(DeviceId<'a>, Status<'a>),
    /// An application, by its identifier, connected or disconnected.
    ApplicationStatus(&'a str, Status<'a>),
    /// The state of a device as a logical interface sees it.
    DeviceState {
        /// The device.
        device: DeviceId<'a>,
        /// The identifier of the logical interface.
        interface: &'a str,
        /// JSON, its shape is the interface's.
        payload: &'a [u8],
    },
    /// An event of the device could not be made into its state. The payload is JSON that says why.
    DeviceError(DeviceId<'a>, &'a [u8]),
}

impl Application<'_> {
    /// Reads a message; `None` if it is of no known kind.
    ///
    /// # Errors
    ///
    /// [`MalformedMessage`] for a status that is none.
    pub fn message<'m>(
        &self,
        message: impl ApplicationMessage<'m>,
    ) -> Result<Option<ToApplication<'m>>, MalformedMessage> {
        let (topic, payload) = message.topic_and_payload();
        ToApplication::read(topic, payload)
    }
}

impl<'m> ToApplication<'m> {
    fn read(topic: &'m [u8], payload: &'m [u8]) -> Result<Option<Self>, MalformedMessage> {
        if let Some((device, levels)) = device_levels(topic) {
            return Self::of_device(device, levels, payload);
        }
        let Some(application) = application_of(topic) else {
            return Ok(None);
        };
        let status = Status::parse(payload)?;
        Ok(Some(Self::ApplicationStatus(application, status)))
    }

    fn of_device(
        device: DeviceId<'m>,
        mut levels: Levels<'m>,
        payload: &'m [u8],
    ) -> Result<Option<Self>, MalformedMessage> {
        Ok(match levels.next() {
            Some("evt") => levels
                .content(payload)
                .map(|event| Self::Event(device, event)),
            Some("cmd") => levels
                .content(payload)
                .map(|command| Self::Command(device, command)),
            Some("mon") if levels.is_done() => {
                Some(Self::DeviceStatus(device, Status::parse(payload)?))
            }
            Some("intf") => levels.interface().map(|interface| Self::DeviceState {
                device,
                interface,
                payload,
            }),
            Some("err") => levels
                .last("data")
                .map(|()| Self::DeviceError(device, payload)),
            _ => None,
        })
    }
}

/// A message of the platform itself is not what it has to be. Only this message is lost; the link is not at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MalformedMessage {
    /// Not JSON, or not an object.
    Json(JsonError),
    /// A member that has to be there is missing or of another type.
    Member(&'static str),
}

impl From<JsonError> for MalformedMessage {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl fmt::Display for MalformedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::Member(name) => write!(f, "member {name} is missing or of another type"),
        }
    }
}

impl core::error::Error for MalformedMessage {}

/// `iot-2/type/T/id/I/...`: the device, and what follows it.
fn device_levels(topic: &[u8]) -> Option<(DeviceId<'_>, Levels<'_>)> {
    let mut levels = Levels::new(topic)?;
    levels.expect("iot-2")?;
    levels.expect("type")?;
    let device = levels.device()?;
    Some((device, levels))
}

/// `iot-2/app/A/mon`: the application.
fn application_of(topic: &[u8]) -> Option<&str> {
    let mut levels = Levels::new(topic)?;
    levels.expect("iot-2")?;
    levels.expect("app")?;
    let application = levels.next()?;
    levels.last("mon")?;
    Some(application)
}

/// The levels of a topic from left to right.
#[derive(Clone, Copy)]
pub(super) struct Levels<'a>(Option<&'a str>);

impl<'a> Levels<'a> {
    pub(super) fn new(topic: &'a [u8]) -> Option<Self> {
        core::str::from_utf8(topic)
            .ok()
            .map(|topic| Self(Some(topic)))
    }

    /// The next level, if there is one and it is not empty.
    pub(super) fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.take()?;
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        self.0 = rest;
        (!level.is_empty()).then_some(level)
    }

    pub(super) fn expect(&mut self, expected: &str) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_none()
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a str {
        self.0.unwrap_or_default()
    }

    /// `T/id/I`
    pub(super) fn device(&mut self) -> Option<DeviceId<'a>> {
        let type_id = self.next()?;
        self.expect("id")?;
        Some(DeviceId::received(type_id, self.next()?))
    }

    /// `name/fmt/format`, and nothing after it.
    fn content(mut self, payload: &'a [u8]) -> Option<Content<'a>> {
        let name = self.next()?;
        self.expect("fmt")?;
        let format = self.next()?;
        self.is_done().then_some(Content {
            name,
            format,
            payload,
        })
    }

    /// `interface/evt/state`, and nothing after it.
    fn interface(mut self) -> Option<&'a str> {
        let interface = self.next()?;
        self.expect("evt")?;
        self.last("state")?;
        Some(interface)
    }

    fn last(mut self, expected: &str) -> Option<()> {
        self.expect(expected)?;
        self.is_done().then_some(())
    }
}
