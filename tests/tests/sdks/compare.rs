//! What two devices did, side by side.

use serde_json::{Map, Value, json};

/// Where an SDK and our helper do not agree, and why.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The action; a `*` at the end stands for anything.
    pub(crate) action: &'static str,
    /// Where in what was recorded, as a JSON pointer; `*` stands for any step, at the end for any number of them.
    pub(crate) at: &'static str,
    /// The JSON text of the SDK's side; `ABSENT` if there is nothing.
    pub(crate) sdk: &'static str,
    /// The JSON text of our side; `ABSENT` if there is nothing.
    pub(crate) ours: &'static str,
    /// Why it is right that they differ.
    pub(crate) reason: &'static str,
}

/// One side has nothing there.
pub(crate) const ABSENT: &str = "absent";

/// Any value will do: it depends on the time or on chance, or the reason says it.
pub(crate) const ANY: &str = "any";

/// Collects what differs; [`Comparison::finish`] judges it.
#[derive(Debug)]
pub(crate) struct Comparison {
    expected: &'static [Difference],
    met: Vec<bool>,
    unexpected: Vec<String>,
}

impl Comparison {
    /// With the differences that are intended.
    pub(crate) fn new(expected: &'static [Difference]) -> Self {
        Self {
            expected,
            met: vec![false; expected.len()],
            unexpected: Vec::new(),
        }
    }

    /// Both sides sent this in an action.
    pub(crate) fn sent(&mut self, action: &str, sdk: &[Value], ours: &[Value]) {
        self.same(action, &exchange(sdk), &exchange(ours));
    }

    /// Both sides made this of a message.
    pub(crate) fn understood(&mut self, action: &str, sdk: &Value, ours: &Value) {
        self.same(
            action,
            &json!({"understood": sdk}),
            &json!({"understood": ours}),
        );
    }

    /// All that differs is intended, and all intended differences were met.
    pub(crate) fn finish(self) {
        let unmet = self
            .expected
            .iter()
            .zip(&self.met)
            .filter(|(_, met)| !**met);
        let unmet: Vec<_> = unmet
            .map(|(expected, _)| {
                let Difference {
                    action, at, reason, ..
                } = expected;
                format!("not met: {action} at {at} ({reason})")
            })
            .collect();
        let problems = [self.unexpected, unmet].concat();
        assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    }

    fn same(&mut self, action: &str, sdk: &Value, ours: &Value) {
        let mut found = Vec::new();
        differences(String::new(), Some(sdk), Some(ours), &mut found);
        for (at, sdk, ours) in found {
            let is_expected = |expected: &Difference| {
                matches(expected.action, action)
                    && matches_place(expected.at, &at)
                    && is_value(expected.sdk, sdk.as_ref())
                    && is_value(expected.ours, ours.as_ref())
            };
            if let Some(place) = self.expected.iter().position(is_expected) {
                self.met[place] = true;
            } else {
                let text =
                    |value: Option<Value>| value.map_or(ABSENT.into(), |value| value.to_string());
                let (sdk, ours) = (text(sdk), text(ours));
                self.unexpected
                    .push(format!("{action} at {at}\n   sdk: {sdk}\n  ours: {ours}"));
            }
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    }
}

fn matches_place(pattern: &str, place: &str) -> bool {
    let (mut steps, mut pattern) = (place.split('/'), pattern.split('/').peekable());
    while let Some(expected) = pattern.next() {
        match steps.next() {
            Some(_) if expected == "*" && pattern.peek().is_none() => return true,
            Some(step) if expected == "*" || expected == step => {}
            _ => return false,
        }
    }
    steps.next().is_none()
}

fn is_value(expected: &str, value: Option<&Value>) -> bool {
    match (expected, value) {
        (ANY, _) | (ABSENT, None) => true,
        (ABSENT, Some(_)) | (_, None) => false,
        (_, Some(value)) => {
            let expected: Value = serde_json::from_str(expected).expect("JSON in the table");
            let mut found = Vec::new();
            differences(String::new(), Some(&expected), Some(value), &mut found);
            found.is_empty()
        }
    }
}

/// What was recorded in an action, without what does not matter: in how many packets filters are subscribed, and how
/// often the same message is sent in a row, which is counted.
fn exchange(records: &[Value]) -> Value {
    let mut exchange = Map::new();
    let mut subscriptions = Map::new();
    let mut publications: Vec<Value> = Vec::new();
    for record in records {
        let mut record = plain(record);
        let packet = record["packet"].take();
        record.as_object_mut().expect("a record").remove("packet");
        match packet.as_str() {
            Some("SUBSCRIBE") => subscriptions.extend(filters(&record)),
            Some("PUBLISH") => match publications.last_mut() {
                Some(last) if is_same_message(last, &record) => {
                    last["times"] = json!(last["times"].as_u64().unwrap_or(1) + 1);
                }
                _ => publications.push(record),
            },
            Some(name) => {
                exchange.insert(name.to_lowercase(), record);
            }
            None => panic!("a packet without a name"),
        }
    }
    exchange.insert("subscriptions".into(), subscriptions.into());
    exchange.insert("publications".into(), publications.into());
    exchange.into()
}

fn filters(record: &Value) -> Map<String, Value> {
    record["filters"].as_object().expect("filters").clone()
}

fn is_same_message(last: &Value, next: &Value) -> bool {
    ["topic", "qos", "retain", "payload"]
        .iter()
        .all(|member| last[member] == next[member])
}

/// With names for values that depend on the time or on chance.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), plain_member(name, value)))
            .collect(),
        Value::Array(elements) => elements.iter().map(plain).collect(),
        value => value.clone(),
    }
}

fn plain_member(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("reqId", Value::String(id)) if is_generated(id) => json!("<generated>"),
        ("measuredDateTime" | "timestamp", Value::String(_)) => json!("<time>"),
        _ => plain(value),
    }
}

/// Identifiers of the SDK are UUIDs, ours are two numbers of eight digits.
fn is_generated(id: &str) -> bool {
    let is_digits =
        |part: &str| part.len() >= 4 && part.chars().all(|digit| digit.is_ascii_hexdigit());
    id.contains('-') && id.split('-').all(is_digits)
}

type Found = (String, Option<Value>, Option<Value>);

fn differences(at: String, sdk: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Found>) {
    match (sdk, ours) {
        (Some(Value::Object(sdk)), Some(Value::Object(ours))) => {
            let only_ours = ours.keys().filter(|name| !sdk.contains_key(*name));
            for name in sdk.keys().chain(only_ours) {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                differences(at, sdk.get(name), ours.get(name), found);
            }
        }
        (Some(Value::Array(sdk)), Some(Value::Array(ours))) => {
            for place in 0..sdk.len().max(ours.len()) {
                differences(
                    format!("{at}/{place}"),
                    sdk.get(place),
                    ours.get(place),
                    found,
                );
            }
        }
        (Some(Value::Number(sdk)), Some(Value::Number(ours))) if sdk.as_f64() == ours.as_f64() => {}
        (sdk, ours) if sdk == ours => {}
        (sdk, ours) => found.push((at, sdk.cloned(), ours.cloned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTENDED: &[Difference] = &[Difference {
        action: "state",
        at: "/publications/0/qos",
        sdk: "0",
        ours: "1",
        reason: "for the test",
    }];

    fn publish(qos: u8) -> [Value; 1] {
        [
            json!({"packet": "PUBLISH", "topic": "t", "qos": qos, "retain": false, "payload": {"json": 1}}),
        ]
    }

    #[test]
    fn an_intended_difference_is_no_failure() {
        let mut comparison = Comparison::new(INTENDED);
        comparison.sent("state", &publish(0), &publish(1));
        comparison.finish();
    }

    #[test]
    #[should_panic(expected = "state at /publications/0/qos")]
    fn another_difference_is_a_failure() {
        let mut comparison = Comparison::new(INTENDED);
        comparison.sent("state", &publish(0), &publish(1));
        comparison.sent("state", &publish(0), &publish(2));
        comparison.finish();
    }

    #[test]
    #[should_panic(expected = "not met: state at /publications/0/qos")]
    fn a_difference_that_is_no_more_is_a_failure() {
        let mut comparison = Comparison::new(INTENDED);
        comparison.sent("state", &publish(1), &publish(1));
        comparison.finish();
    }

    #[test]
    #[should_panic(expected = "state at /publications/1")]
    fn a_message_that_one_side_does_not_send_is_a_failure() {
        let mut comparison = Comparison::new(&[]);
        comparison.sent("state", &[publish(0), publish(1)].concat(), &publish(0));
        comparison.finish();
    }
}
