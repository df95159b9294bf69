//! The zones of a deployment's hierarchy.

use crate::codec::EncodeError;

use super::Level;

/// The zones between scope and system, in the order of the hierarchy. `L` is `Option<&str>` in a topic, [`Level`] in a filter.
///
/// Implement it for a hierarchy of other names; or use [`OtherZones`].
pub trait Zones<L>: Sized {
    /// How many there are.
    const COUNT: usize;

    /// Takes each zone from `next`, in order; `None` as soon as that gives none.
    fn from_levels(next: &mut dyn FnMut() -> Option<L>) -> Option<Self>;

    /// Calls `visit` with each zone, in order, and ends with its first error.
    ///
    /// # Errors
    ///
    /// Those of `visit`.
    fn try_for_each(
        &self,
        visit: &mut dyn FnMut(&L) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError>;
}

/// Region, building, level and area: the default since 2024.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WithRegion<L> {
    /// The region.
    pub region: L,
    /// The building.
    pub building: L,
    /// The level.
    pub level: L,
    /// The area.
    pub area: L,
}

/// Building, level and area: the default before 2024, and that of the public documents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WithoutRegion<L> {
    /// The building.
    pub building: L,
    /// The level.
    pub level: L,
    /// The area.
    pub area: L,
}

/// A hierarchy with any other number of zones below the scope.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OtherZones<L, const COUNT: usize>(
    /// In the order of the hierarchy.
    pub [L; COUNT],
);

impl WithRegion<Level<'_>> {
    /// Any zones.
    pub const ANY: Self = Self {
        region: Level::Any,
        building: Level::Any,
        level: Level::Any,
        area: Level::Any,
    };
}

impl WithoutRegion<Level<'_>> {
    /// Any zones.
    pub const ANY: Self = Self {
        building: Level::Any,
        level: Level::Any,
        area: Level::Any,
    };
}

impl<const COUNT: usize> OtherZones<Level<'_>, COUNT> {
    /// Any zones.
    pub const ANY: Self = Self([Level::Any; COUNT]);
}

impl<L> Zones<L> for WithRegion<L> {
    const COUNT: usize = 4;

    fn from_levels(next: &mut dyn FnMut() -> Option<L>) -> Option<Self> {
        Some(Self {
            region: next()?,
            building: next()?,
            level: next()?,
            area: next()?,
        })
    }

    fn try_for_each(
        &self,
        visit: &mut dyn FnMut(&L) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        visit(&self.region)?;
        visit(&self.building)?;
        visit(&self.level)?;
        visit(&self.area)
    }
}

impl<L> Zones<L> for WithoutRegion<L> {
    const COUNT: usize = 3;

    fn from_levels(next: &mut dyn FnMut() -> Option<L>) -> Option<Self> {
        Some(Self {
            building: next()?,
            level: next()?,
            area: next()?,
        })
    }

    fn try_for_each(
        &self,
        visit: &mut dyn FnMut(&L) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        visit(&self.building)?;
        visit(&self.level)?;
        visit(&self.area)
    }
}

impl<L: Copy + Default, const COUNT: usize> Zones<L> for OtherZones<L, COUNT> {
    const COUNT: usize = COUNT;

    fn from_levels(next: &mut dyn FnMut() -> Option<L>) -> Option<Self> {
        let mut zones = [L::default(); COUNT];
        for zone in &mut zones {
            *zone = next()?;
        }
        Some(Self(zones))
    }

    fn try_for_each(
        &self,
        visit: &mut dyn FnMut(&L) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.0.iter().try_for_each(visit)
    }
}
