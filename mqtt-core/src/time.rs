//! Time as the core sees it: a number the caller passes in.

/// A moment, in milliseconds since any fixed point in the past.
///
/// Wraps after 49.7 days: two instants can be compared as long as they lie less than 24.8 days apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u32);

impl Instant {
    /// The instant `millis` after the caller's fixed point, modulo 2^32.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// Milliseconds since the caller's fixed point, modulo 2^32.
    #[must_use]
    pub const fn as_millis(self) -> u32 {
        self.0
    }

    /// The instant `millis` later. At most 2^31 - 1, or the result compares as earlier.
    #[must_use]
    pub const fn plus(self, millis: u32) -> Self {
        Self(self.0.wrapping_add(millis))
    }

    /// Milliseconds from `earlier` to `self`, modulo 2^32.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether `self` is at or after `other`.
    #[must_use]
    pub const fn has_reached(self, other: Self) -> bool {
        self.since(other) <= u32::MAX / 2
    }

    /// The earlier of two instants.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.has_reached(self) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;

    #[test]
    fn comparison_survives_the_wrap() {
        let before = Instant::from_millis(u32::MAX - 10);
        let after = before.plus(20);
        assert_eq!(after.as_millis(), 9);
        assert!(after.has_reached(before));
        assert!(!before.has_reached(after));
        assert_eq!(after.since(before), 20);
        assert_eq!(after.min(before), before);
    }
}
