//! Commands: what the platform wants of a device.

use serde::Deserialize;

use crate::platform::{
    ApplicationMessage,
    json::{JsonError, JsonStr, RawJson},
};

use super::{COMMAND_END, Date, TOPIC_START};

/// A command, borrowed from the message. Unknown members are left aside.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Command<'m> {
    /// What is to be done. Compare it with `==`.
    pub name: JsonStr<'m>,
    payload: Option<RawJson<'m>>,
    time: Option<RawJson<'m>>,
}

impl<'m> Command<'m> {
    /// The parameters, as a type of the application. What has none is read as `null`: `Option<T>` takes both.
    ///
    /// # Errors
    ///
    /// [`JsonError::Type`] if they are of another type, [`JsonError::Escaped`] if a string has escape sequences: see
    /// [`RawJson::to_unescaped`].
    pub fn payload<T: Deserialize<'m>>(&self) -> Result<T, JsonError> {
        self.payload.unwrap_or(RawJson::NULL).to()
    }

    /// The parameters as they came, if any.
    #[must_use]
    pub const fn raw_payload(&self) -> Option<RawJson<'m>> {
        self.payload
    }

    /// When the server sent it, if it says so in a form that [`Date`] knows (`$time`, not documented).
    #[must_use]
    pub fn time(&self) -> Option<Date> {
        self.time.and_then(Date::from_json)
    }

    pub(super) fn read(payload: &'m [u8]) -> Result<Self, JsonError> {
        let command = RawJson::parse(payload)?;
        let name = command.member("name").and_then(RawJson::string);
        Ok(Self {
            name: name.ok_or(JsonError::Type)?,
            payload: command.member("payload"),
            time: command.member("$time"),
        })
    }
}

/// Reads a command to any device, and says to which one: for a gateway with many peripherals. `None` if the topic is
/// not that of commands.
///
/// # Errors
///
/// As [`Device::command`](super::Device::command).
pub fn read_command<'m>(
    message: impl ApplicationMessage<'m>,
) -> Result<Option<(&'m str, Command<'m>)>, JsonError> {
    let (topic, payload) = message.topic_and_payload();
    let Some(id) = addressee(topic) else {
        return Ok(None);
    };
    Command::read(payload).map(|command| Some((id, command)))
}

fn addressee(topic: &[u8]) -> Option<&str> {
    let id = topic.strip_prefix(TOPIC_START)?.strip_suffix(COMMAND_END)?;
    if id.is_empty() || !super::is_id(id) {
        return None;
    }
    core::str::from_utf8(id).ok()
}
