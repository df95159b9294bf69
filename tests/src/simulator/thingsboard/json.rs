//! What the server takes for JSON.

use serde_json::{Map, Value};

/// An object.
pub(super) fn object(payload: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(payload) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// An object, or an array of objects; with `ts` and `values`, or without.
pub(super) fn telemetry(payload: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let is_legal = match &value {
        Value::Array(entries) => entries.iter().all(is_entry),
        entry => is_entry(entry),
    };
    is_legal.then_some(value)
}

fn is_entry(entry: &Value) -> bool {
    let Value::Object(object) = entry else {
        return false;
    };
    match (object.get("ts"), object.get("values")) {
        (Some(ts), Some(values)) => ts.is_i64() && values.is_object(),
        _ => true,
    }
}
