//! What the client asks of the server: publish, subscribe, unsubscribe.

use std::sync::Arc;
use std::time::Duration;

use mqtt_core::codec::{Properties, Subscription, TopicError, TopicFilter};
use mqtt_std::{
    Client, Delivery, DeliveryError, Message, PublishError, ReasonCode, SubscribeError,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::command::{Filter, Publish};
use crate::event::{emit, usage};
use crate::properties::asked_for;
use crate::reporter::Reporter;

/// Publishes in the order of the commands, however long each waits for room.
pub(crate) async fn publish_in_order(
    client: Client,
    mut queue: UnboundedReceiver<Publish>,
    reporter: Arc<Reporter>,
) {
    while let Some(publish) = queue.recv().await {
        match accepted(&client, &publish, &reporter).await {
            Ok(delivery) => {
                spawn_local(report_delivery(delivery, publish.tag, reporter.clone()));
            }
            Err(error) => emit(&refused(publish.tag, error)),
        }
    }
}

async fn accepted(
    client: &Client,
    publish: &Publish,
    reporter: &Reporter,
) -> Result<Delivery, PublishError> {
    let properties = asked_for(&publish.properties)?;
    let mut message = Message::new(&publish.topic, &publish.payload_hex.0)
        .qos(publish.qos.0)
        .properties(Properties::from(&properties[..]));
    message.retain = publish.retain;
    loop {
        match client.publish(&message).await {
            Err(PublishError::Stopped) => reporter.next_run().await,
            // A message waits to be told, which takes a moment.
            Err(PublishError::Full) => sleep(Duration::from_millis(1)).await,
            result => return result,
        }
    }
}

async fn report_delivery(mut delivery: Delivery, tag: u64, reporter: Arc<Reporter>) {
    let outcome = loop {
        match delivery.acknowledged().await {
            Err(DeliveryError::Stopped) => reporter.next_run().await,
            outcome => break outcome,
        }
    };
    reporter.observe();
    emit(&match outcome {
        Ok(_) => json!({"event": "delivered", "tag": tag}),
        Err(DeliveryError::Rejected(code)) => {
            json!({"event": "rejected", "tag": tag, "code": code.value()})
        }
        Err(error) => {
            json!({"event": "rejected", "tag": tag, "local": true, "reason": error.to_string()})
        }
    });
}

/// Nothing of it appears on the wire.
fn refused(tag: u64, error: PublishError) -> Value {
    let mut event = json!({
        "event": "rejected", "tag": tag, "local": true, "reason": error.to_string(),
    });
    if let Some(code) = error.server_limit() {
        event["code"] = code.value().into();
    }
    event
}

pub(crate) async fn subscribe(client: Client, filters: Vec<Filter>, reporter: Arc<Reporter>) {
    let subscriptions: Result<Vec<_>, TopicError> = filters
        .iter()
        .map(|filter| {
            Ok(Subscription::new(
                TopicFilter::new(&filter.filter)?,
                filter.qos.0,
            ))
        })
        .collect();
    let subscriptions = match subscriptions {
        Ok(subscriptions) => subscriptions,
        Err(error) => return usage(&error),
    };
    let mut codes = vec![ReasonCode::SUCCESS; filters.len()];
    let result = client
        .subscribe_all(&subscriptions, Properties::NONE, &mut codes)
        .await;
    report_codes("subscribed", result, &codes, &reporter);
}

pub(crate) async fn unsubscribe(client: Client, filters: Vec<String>, reporter: Arc<Reporter>) {
    let topics: Result<Vec<_>, TopicError> = filters
        .iter()
        .map(|filter| TopicFilter::new(filter))
        .collect();
    let topics = match topics {
        Ok(topics) => topics,
        Err(error) => return usage(&error),
    };
    let mut codes = vec![ReasonCode::SUCCESS; filters.len()];
    let result = client
        .unsubscribe_all(&topics, Properties::NONE, &mut codes)
        .await;
    report_codes("unsubscribed", result, &codes, &reporter);
}

/// The end of the run is told by its own event.
const STOPPED: SubscribeError = SubscribeError::Request(PublishError::Stopped);

fn report_codes(
    event: &str,
    result: Result<(), SubscribeError>,
    codes: &[ReasonCode],
    reporter: &Reporter,
) {
    reporter.observe();
    match result {
        Ok(()) => {
            let codes: Vec<_> = codes.iter().map(|code| code.value()).collect();
            emit(&json!({"event": event, "codes": codes}));
        }
        Err(error) if error != STOPPED => usage(&error),
        Err(_) => {}
    }
}
