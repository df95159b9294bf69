//! JSON that is read where it lies, and JSON that is written, compared with `serde_json`.
//!
//! Where the two differ on purpose: at most 32 values inside each other are read here, where `serde_json` has 128; half of a
//! surrogate pair is read as U+FFFD, which `serde_json` refuses; and so it does a number that no `f64` can hold, which is
//! text here until somebody asks for its value. And -0 is an integer here, for `serde_json` it is none.

use std::collections::BTreeMap;

use mqtt_core::{
    codec::{EncodeError, Writer},
    platform::{
        Decimal,
        json::{JsonError, JsonStr, RawJson},
    },
    write_json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The input is the JSON.
pub fn run(input: &[u8]) {
    let ours = RawJson::parse(input);
    let theirs = serde_json::from_slice::<Value>(input);
    match (ours, &theirs) {
        (Ok(json), Ok(value)) => {
            same(json, value);
            typed(json, input);
            written(value);
        }
        (Ok(json), Err(error)) => {
            let is_known = has_half_pair(json) || error.to_string().contains("out of range");
            assert!(is_known, "{error}: {json}");
            assert!(json.number().is_none() || json.to::<f64>().is_err());
        }
        (Err(error), Ok(value)) => {
            assert_eq!(error, JsonError::TooDeep, "{value}");
            assert!(depth(value) > 32);
        }
        (Err(_), Err(_)) => {}
    }
    if let Ok(json) = ours {
        assert_eq!(RawJson::parse(json.as_bytes()), Ok(json));
        goes_back_as_it_came(json);
    }
}

/// Every way to look at the value says what `serde_json` says.
fn same(json: RawJson<'_>, value: &Value) {
    assert_eq!(json.is_null(), value.is_null());
    assert_eq!(json.boolean(), value.as_bool());
    assert_eq!(json.number().is_some(), value.is_number());
    match value {
        Value::Number(number) => same_number(json, number),
        Value::String(text) => same_text(json.string().expect("a string"), text),
        Value::Array(values) => {
            let elements: Vec<_> = json.elements().expect("an array").collect();
            assert_eq!(elements.len(), values.len());
            for (element, value) in elements.into_iter().zip(values) {
                same(element, value);
            }
        }
        Value::Object(members) => {
            let mut last = BTreeMap::new();
            for (name, member) in json.members().expect("an object") {
                last.insert(name.chars().collect::<String>(), member);
            }
            assert_eq!(last.len(), members.len());
            for (name, value) in members {
                assert_eq!(json.member(name), last.get(name).copied());
                same(last[name], value);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn same_number(json: RawJson<'_>, number: &Number) {
    let text = json.number().expect("a number");
    let is_plain = !text.iter().any(|byte| b".eE".contains(byte));
    if is_plain && text != b"-0" {
        assert_eq!(json.integer::<i64>(), number.as_i64());
        assert_eq!(json.to::<u64>().ok(), number.as_u64());
    } else if !is_plain {
        assert_eq!(json.integer::<i64>(), None);
    }
    let ours: f64 = json.to().expect("a number");
    let theirs = number.as_f64().expect("a number");
    assert_eq!(ours.to_bits(), theirs.to_bits(), "{json}");
    if let Some(decimal) = Decimal::<2, i64>::from_json(json) {
        #[allow(clippy::cast_precision_loss, reason = "to compare with such a number")]
        let value = decimal.mantissa() as f64 / 100.0;
        let difference = (value - theirs).abs();
        assert!(difference <= 0.01 + theirs.abs() * 1e-12, "{json} {value}");
    }
}

fn same_text(string: JsonStr<'_>, text: &str) {
    assert!(string == *text);
    assert_eq!(string.chars().collect::<String>(), text);
    assert!(string.as_str().is_none_or(|plain| plain == text));
    let mut buffer = vec![0; text.len()];
    assert_eq!(string.unescape(&mut buffer), Some(text));
    if !text.is_empty() {
        let mut short = vec![0; text.len() - 1];
        assert_eq!(string.unescape(&mut short), None);
    }
    assert_eq!(string.to_string(), text);
}

/// What an application may ask for.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Report {
    name: String,
    count: Option<u32>,
    small: Option<i8>,
    large: Option<u64>,
    level: Option<f64>,
    #[serde(default)]
    on: bool,
    letter: Option<char>,
    pair: Option<(u8, bool)>,
    list: Option<Vec<i16>>,
    mode: Option<Mode>,
    inner: Option<Box<Report>>,
    map: Option<BTreeMap<String, i32>>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Mode {
    Off,
    Level(u8),
    Between(u8, u8),
    Named { a: bool },
}

/// A type of an application is read alike, or refused alike.
fn typed(json: RawJson<'_>, input: &[u8]) {
    let theirs = serde_json::from_slice::<Report>(input);
    let mut buffer = vec![0; input.len() + 1];
    let ours = json.to_unescaped::<Report>(&mut buffer);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(_), Err(_)) => {}
        (Ok(ours), Err(error)) => {
            let is_minus_zero = error.to_string().contains("`-0.0`");
            assert!(is_minus_zero, "only we read it ({error}): {ours:?}");
        }
        (Err(error), Ok(theirs)) => panic!("only they read it ({error}): {theirs:?}"),
    }
    let theirs = serde_json::from_slice::<Vec<f32>>(input).ok();
    assert_eq!(json.to::<Vec<f32>>().ok(), theirs);
}

/// What we write, they read as the same.
fn written(value: &Value) {
    let expected = serde_json::to_vec(value).expect("it was read");
    let mut buffer = vec![0; 6 * expected.len() + 32];
    let mut writer = Writer::new(&mut buffer);
    write_json(&mut writer, value).expect("there is room");
    let len = writer.len();
    let again: Value = serde_json::from_slice(&buffer[..len]).expect("we wrote JSON");
    assert_eq!(again, *value);
    let ours = RawJson::parse(&buffer[..len]).expect("we wrote JSON");
    same(ours, value);
    let mut short = vec![0; len - 1];
    let refused = write_json(&mut Writer::new(&mut short), value);
    assert_eq!(refused, Err(EncodeError::NoRoom));
}

fn goes_back_as_it_came(json: RawJson<'_>) {
    let mut buffer = vec![0; json.as_bytes().len()];
    let mut writer = Writer::new(&mut buffer);
    assert_eq!(write_json(&mut writer, &json), Ok(()));
    assert_eq!(buffer, json.as_bytes());
}

fn has_half_pair(json: RawJson<'_>) -> bool {
    if let Some(string) = json.string() {
        return is_half_pair(string);
    }
    if let Some(mut elements) = json.elements() {
        return elements.any(has_half_pair);
    }
    json.members().is_some_and(|mut members| {
        members.any(|(name, value)| is_half_pair(name) || has_half_pair(value))
    })
}

/// An escape sequence stands for half of a pair.
fn is_half_pair(string: JsonStr<'_>) -> bool {
    let is_replaced = string.chars().any(|character| character == '\u{fffd}');
    is_replaced && string.as_str().is_none()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
