//! What the device publishes about itself.

use serde::Serialize;

/// One report as it goes out.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a, R> {
    /// Counts the reports since the start, from 1.
    pub(crate) sequence: u32,
    /// Seconds since the start: boards have no clock that knows the day.
    pub(crate) uptime_s: u32,
    pub(crate) reading: &'a R,
}

/// Who the device is, the answer to `identify`.
#[derive(Debug, Serialize)]
pub(crate) struct Identity<'a> {
    pub(crate) host: &'a str,
    pub(crate) system: &'a str,
    pub(crate) program: &'static str,
}
