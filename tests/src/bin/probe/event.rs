//! The events.

use std::fmt::Display;
use std::io::{Write, stdout};

use serde_json::{Value, json};

/// Writes one event, at once.
pub(crate) fn emit(event: &Value) {
    let mut out = stdout().lock();
    // When nobody reads any more, the end of the input follows.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// Answers a command that cannot be obeyed.
pub(crate) fn usage(reason: &dyn Display) {
    emit(&json!({"event": "usage", "reason": reason.to_string()}));
}
