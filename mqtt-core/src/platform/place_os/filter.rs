//! Filters for state.

use crate::codec::{EncodeError, TopicFilter, Writer};

use super::{MISSING, ROOT, STATE, Zones, state::write_index, write_level};

/// What a filter wants of a level.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level<'a> {
    /// Anything.
    #[default]
    Any,
    /// A zone that is missing, `_`.
    Missing,
    /// This.
    Is(&'a str),
}

/// Which state to follow. `Z` is the hierarchy, [`WithRegion`](super::WithRegion) for example, of [`Level`].
///
/// ```
/// use mqtt_core::platform::place_os::{Level, StateFilter, WithRegion};
///
/// let connected = StateFilter { scope: Level::Is("zone-org"), key: Level::Is("connected"), ..StateFilter::all(WithRegion::ANY) };
/// let mut memory = [0; 64];
/// assert_eq!(connected.write(&mut memory)?, "placeos/zone-org/state/+/+/+/+/+/+/+/+/connected");
/// # Ok::<(), mqtt_core::codec::EncodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StateFilter<'a, Z> {
    /// The identifier of the scope: as a rule, the zone of the organization.
    pub scope: Level<'a>,
    /// The identifiers of the other zones.
    pub zones: Z,
    /// The identifier of the system.
    pub system: Level<'a>,
    /// The identifier of the driver.
    pub driver: Level<'a>,
    /// The name of the module.
    pub module: Level<'a>,
    /// Which of the modules of that name; `None` for any.
    pub index: Option<u32>,
    /// The name of the status.
    pub key: Level<'a>,
}

impl<'a, Z: Zones<Level<'a>>> StateFilter<'a, Z> {
    /// All that is in these zones.
    #[must_use]
    pub const fn all(zones: Z) -> Self {
        Self {
            scope: Level::Any,
            zones,
            system: Level::Any,
            driver: Level::Any,
            module: Level::Any,
            index: None,
            key: Level::Any,
        }
    }

    /// Writes the filter. Levels at the end that may be anything become `#`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] if `memory` is too small; [`EncodeError::InvalidValue`] if a level is empty, holds `/` or a
    /// wildcard, or something else than a zone is missing.
    pub fn write<'m>(&self, memory: &'m mut [u8]) -> Result<TopicFilter<'m>, EncodeError> {
        let mut filter = FilterWriter {
            writer: Writer::new(memory),
            any: 0,
        };
        filter.writer.bytes(ROOT.as_bytes())?;
        filter.level(self.scope)?;
        filter.level(Level::Is(STATE))?;
        self.zones.try_for_each(&mut |zone| match zone {
            Level::Missing => filter.level(Level::Is(MISSING)),
            zone => filter.level(*zone),
        })?;
        filter.level(self.system)?;
        filter.level(self.driver)?;
        filter.level(self.module)?;
        match self.index {
            None => filter.level(Level::Any)?,
            Some(index) => {
                filter.write_any()?;
                write_index(&mut filter.writer, index)?;
            }
        }
        filter.level(self.key)?;
        if filter.any > 0 {
            filter.writer.bytes(b"/#")?;
        }
        let len = filter.writer.len();
        Ok(TopicFilter::from_checked(
            memory.get(..len).unwrap_or_default(),
        ))
    }
}

/// Holds back wildcards until it is known what follows.
struct FilterWriter<'m> {
    writer: Writer<'m>,
    any: usize,
}

impl FilterWriter<'_> {
    fn level(&mut self, level: Level<'_>) -> Result<(), EncodeError> {
        match level {
            Level::Any => {
                self.any = self.any.saturating_add(1);
                Ok(())
            }
            Level::Missing => Err(EncodeError::InvalidValue),
            Level::Is(level) => {
                self.write_any()?;
                write_level(&mut self.writer, level)
            }
        }
    }

    fn write_any(&mut self) -> Result<(), EncodeError> {
        for _ in 0..core::mem::take(&mut self.any) {
            self.writer.bytes(b"/+")?;
        }
        Ok(())
    }
}
