//! What all messages from the server have in common.

use core::fmt;

use crate::platform::json::{JsonError, RawJson};

/// A message that came on a known topic, but whose payload is not what belongs there. The link is not affected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadPayload {
    /// The number of the request that the message makes or answers, if it has one: so that an error can be replied,
    /// or the request be given up.
    pub id: Option<u32>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Problem {
    /// It is not JSON, or not of the type that it should have.
    Json(JsonError),
    /// This member is missing, or of another type.
    Member(&'static str),
}

impl fmt::Display for BadPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Json(error) => error.fmt(f),
            Problem::Member(name) => write!(f, "member {name} missing or of another type"),
        }
    }
}

impl core::error::Error for BadPayload {}

impl BadPayload {
    pub(super) const fn member(id: Option<u32>, name: &'static str) -> Self {
        Self {
            id,
            problem: Problem::Member(name),
        }
    }
}

/// A payload that is to be JSON.
pub(super) fn json(payload: &[u8], id: Option<u32>) -> Result<RawJson<'_>, BadPayload> {
    RawJson::parse(payload).map_err(|error| BadPayload {
        id,
        problem: Problem::Json(error),
    })
}

/// A payload that is to be a JSON object.
pub(super) fn object(payload: &[u8], id: Option<u32>) -> Result<RawJson<'_>, BadPayload> {
    let value = json(payload, id)?;
    if value.members().is_none() {
        return Err(BadPayload {
            id,
            problem: Problem::Json(JsonError::Type),
        });
    }
    Ok(value)
}
