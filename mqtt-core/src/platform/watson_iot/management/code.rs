//! How a request ended.

/// The `rc` of a response. Its numbers are those of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseCode(
    /// The number.
    pub u16,
);

impl ResponseCode {
    /// Done.
    pub const OK: Self = Self(200);
    /// Begun; the end is told in another way.
    pub const ACCEPTED: Self = Self(202);
    /// Attributes were taken over.
    pub const CHANGED: Self = Self(204);
    /// The format or a value is wrong, or the request does not fit the state.
    pub const BAD_REQUEST: Self = Self(400);
    /// The actions that the device claims to support are not allowed for it.
    pub const FORBIDDEN: Self = Self(403);
    /// The device is not registered, or the attribute does not exist.
    pub const NOT_FOUND: Self = Self(404);
    /// Something else is being done; try again.
    pub const CONFLICT: Self = Self(409);
    /// It was tried and failed.
    pub const FAILED: Self = Self(500);
    /// There is no such action.
    pub const NOT_SUPPORTED: Self = Self(501);

    /// 200 to 299. Also 0, as in a sample of the documentation; the platform was not seen to send it.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self.0, 0 | 200..=299)
    }

    /// Whether the same request may succeed later: 409, and 500 to 599 but for 501.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self.0, 409 | 500 | 502..=599)
    }
}
