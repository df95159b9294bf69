//! Properties of a message, in the words of the protocol of the probe.

use mqtt_core::codec::TopicError;
use mqtt_std::{Properties, Property, TopicName};
use mqtt_tests::hex;
use serde_json::{Map, Value, json};

use crate::command;

/// The properties that a command asks for.
pub(crate) fn asked_for(properties: &command::Properties) -> Result<Vec<Property<'_>>, TopicError> {
    let mut list = Vec::new();
    let response_topic = properties.response_topic.as_deref().map(TopicName::new);
    let correlation_data = properties.correlation_data.as_ref();
    list.extend(
        properties
            .payload_format
            .map(|format| Property::PayloadFormatIndicator(format != 0)),
    );
    list.extend(
        properties
            .message_expiry_s
            .map(Property::MessageExpiryInterval),
    );
    list.extend(
        properties
            .content_type
            .as_deref()
            .map(Property::ContentType),
    );
    list.extend(response_topic.transpose()?.map(Property::ResponseTopic));
    list.extend(correlation_data.map(|data| Property::CorrelationData(&data.0)));
    let user = properties.user.iter();
    list.extend(user.map(|(name, value)| Property::UserProperty(name, value)));
    Ok(list)
}

/// The properties of a received message; `None` if it has none of those the probe knows.
pub(crate) fn described(properties: Properties<'_>) -> Option<Value> {
    let mut map = Map::new();
    let mut user = Vec::new();
    for property in properties.iter() {
        let (name, value) = match property {
            Property::PayloadFormatIndicator(format) => ("payload_format", json!(u8::from(format))),
            Property::MessageExpiryInterval(seconds) => ("message_expiry_s", json!(seconds)),
            Property::ContentType(text) => ("content_type", json!(text)),
            Property::ResponseTopic(topic) => ("response_topic", json!(topic.as_str())),
            Property::CorrelationData(data) => ("correlation_data", json!(hex::encode(data))),
            Property::UserProperty(name, value) => {
                user.push(json!([name, value]));
                continue;
            }
            _ => continue,
        };
        map.insert(name.to_owned(), value);
    }
    if !user.is_empty() {
        map.insert("user".to_owned(), Value::Array(user));
    }
    (!map.is_empty()).then_some(Value::Object(map))
}
