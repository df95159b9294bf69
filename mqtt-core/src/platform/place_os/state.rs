//! State: what the modules of a system report.

use core::str::from_utf8;

use serde::Serialize;

use crate::{
    codec::{EncodeError, Writer},
    json::write_u64,
    platform::ApplicationMessage,
};

use super::{
    MISSING, ROOT, ReadError, Removal, STATE, Stamped, Value, Zones, publication::Topic,
    write_level,
};

/// Where a status of a module is published. `Z` is the hierarchy, [`WithRegion`](super::WithRegion) for example, of
/// `Option<&str>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StateTopic<'a, Z> {
    /// The identifier of the scope: as a rule, the zone of the organization.
    pub scope: &'a str,
    /// The identifiers of the other zones, `None` for what the system is not in.
    pub zones: Z,
    /// The identifier of the system.
    pub system: &'a str,
    /// The identifier of the driver.
    pub driver: &'a str,
    /// The name of the module, any text.
    pub module: &'a str,
    /// Which of the modules of that name, from 1.
    pub index: u32,
    /// The name of the status.
    pub key: &'a str,
}

/// A received status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State<'m, Z> {
    /// Of what.
    pub topic: StateTopic<'m, Z>,
    /// Its value; `None` when the status was removed.
    pub value: Option<Value<'m>>,
}

/// Reads a status; `None` if the topic is not that of a state.
///
/// # Errors
///
/// [`ReadError`] if topic or payload are malformed, or the topic is of another hierarchy: see [`zone_levels`].
pub fn read_state<'m, Z: Zones<Option<&'m str>>>(
    message: impl ApplicationMessage<'m>,
) -> Result<Option<State<'m, Z>>, ReadError> {
    let (topic, payload) = message.topic_and_payload();
    let Some((scope, levels)) = split(topic) else {
        return Ok(None);
    };
    let topic = StateTopic::from_levels(scope, levels)?;
    let value = match payload {
        [] => None,
        payload => Some(Value::read(payload)?),
    };
    Ok(Some(State { topic, value }))
}

/// How many zones a state topic has, if its key holds no `/`: 4 with the default hierarchy, 3 with the old one. `None` if it
/// is no state topic.
///
/// For a program that does not know the deployment: subscribe, look at a topic, and choose the type.
#[must_use]
pub fn zone_levels(topic: &str) -> Option<usize> {
    let (_, levels) = split(topic.as_bytes())?;
    levels.split('/').count().checked_sub(LEVELS_BEHIND_ZONES)
}

/// System, driver, module, index and key.
const LEVELS_BEHIND_ZONES: usize = 5;

/// The scope, and what stands behind `state/`.
fn split(topic: &[u8]) -> Option<(&str, &str)> {
    let (scope, rest) = from_utf8(topic)
        .ok()?
        .strip_prefix(ROOT)?
        .strip_prefix('/')?
        .split_once('/')?;
    let levels = rest.strip_prefix(STATE)?.strip_prefix('/')?;
    Some((scope, levels))
}

impl<'a, Z: Zones<Option<&'a str>>> StateTopic<'a, Z> {
    /// A value to be published, retained. `time_s`: seconds since 1970 in UTC.
    pub const fn value<'v, T: Serialize>(
        &'v self,
        time_s: u64,
        value: &'v T,
    ) -> Stamped<'v, Self, T> {
        Stamped::new(self, time_s, value)
    }

    /// Removes the status: what was retained is cleared.
    pub const fn removal(&self) -> Removal<'_, Self> {
        Removal(self)
    }

    fn from_levels(scope: &'a str, levels: &'a str) -> Result<Self, ReadError> {
        let mut rest = levels;
        let mut next = || {
            let (level, tail) = rest.split_once('/')?;
            rest = tail;
            Some(level).filter(|level| !level.is_empty())
        };
        let zones =
            Z::from_levels(&mut || next().map(|zone| Some(zone).filter(|zone| *zone != MISSING)));
        let zones = zones.ok_or(ReadError::Levels)?;
        let system = next().ok_or(ReadError::Levels)?;
        let driver = next().ok_or(ReadError::Levels)?;
        let module = next().ok_or(ReadError::Levels)?;
        let index = next().ok_or(ReadError::Levels)?;
        if rest.is_empty() || scope.is_empty() {
            return Err(ReadError::Levels);
        }
        Ok(Self {
            scope,
            zones,
            system,
            driver,
            module,
            index: number(index).ok_or(ReadError::ModuleIndex)?,
            key: rest,
        })
    }
}

impl<'a, Z: Zones<Option<&'a str>>> Topic for StateTopic<'a, Z> {
    fn write(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(ROOT.as_bytes())?;
        write_level(topic, self.scope)?;
        write_level(topic, STATE)?;
        self.zones.try_for_each(&mut |zone| match zone {
            Some(zone) if *zone == MISSING => Err(EncodeError::InvalidValue),
            zone => write_level(topic, zone.unwrap_or(MISSING)),
        })?;
        write_level(topic, self.system)?;
        write_level(topic, self.driver)?;
        write_level(topic, self.module)?;
        write_index(topic, self.index)?;
        write_level(topic, self.key)
    }
}

/// Writes the index of a module, with `/` before it.
pub(super) fn write_index(topic: &mut Writer<'_>, index: u32) -> Result<(), EncodeError> {
    topic.bytes(b"/")?;
    write_u64(topic, u64::from(index))
}

fn number(text: &str) -> Option<u32> {
    text.bytes().try_fold(0u32, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u32::from(digit))
    })
}
