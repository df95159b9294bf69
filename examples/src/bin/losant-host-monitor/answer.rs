//! The answer to a command.

use serde::Serialize;

/// What is reported as answer: Losant has no other way for one than state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Answer<'a> {
    /// The command that was obeyed, or why it was not.
    pub(crate) last_command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<&'a str>,
}
