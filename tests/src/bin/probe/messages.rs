//! Received messages: told as events, acknowledged at once or held.

use std::sync::{Arc, Mutex, PoisonError};

use mqtt_std::{AckToken, Client, Inbox, Received};
use mqtt_tests::hex;
use serde_json::{Value, json};

use crate::event::emit;
use crate::properties::described;
use crate::reporter::Reporter;

/// The acknowledgements that are withheld, while they are.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Option<Vec<AckToken>>>>);

impl Held {
    /// From now on acknowledgements are withheld.
    pub(crate) fn hold(&self) {
        self.with(|held| {
            held.get_or_insert_default();
        });
    }

    /// Gives out what was withheld, in order. From now on nothing is.
    pub(crate) fn release(&self, client: Option<&Client>) {
        let tokens = self.with(Option::take).unwrap_or_default();
        if let Some(client) = client {
            for token in tokens {
                client.acknowledge(token);
            }
        }
    }

    /// Acknowledges, or withholds it.
    fn settle(&self, received: Received<'_>) {
        self.with(|held| match held {
            Some(tokens) => tokens.extend(received.defer_ack()),
            None => drop(received),
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut Option<Vec<AckToken>>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reports all messages until the client is gone.
pub(crate) async fn report_messages(mut inbox: Inbox, held: Held, reporter: Arc<Reporter>) {
    loop {
        let Ok(mut received) = inbox.next().await else {
            reporter.next_run().await;
            continue;
        };
        reporter.observe();
        if received.is_whole() {
            emit(&described_message(&received));
        } else if reporter.streams() {
            report_chunks(&mut received).await;
        } else {
            emit(&json!({
                "event": "skipped", "topic": received.topic().as_str(), "size": received.total_len(),
            }));
        }
        held.settle(received);
    }
}

fn described_message(received: &Received<'_>) -> Value {
    let mut event = json!({
        "event": "message",
        "topic": received.topic().as_str(),
        "payload_hex": hex::encode(received.payload()),
        "qos": received.qos() as u8,
        "retain": received.retain(),
        "dup": received.dup(),
    });
    if let Some(properties) = described(received.properties()) {
        event["properties"] = properties;
    }
    event
}

async fn report_chunks(received: &mut Received<'_>) {
    let topic = received.topic().as_str().to_owned();
    let total = received.total_len();
    let mut offset = 0;
    // A link that ends in the middle is reported as such.
    while let Ok(Some(chunk)) = received.chunk().await {
        emit(&json!({
            "event": "chunk", "topic": topic, "offset": offset, "total": total,
            "payload_hex": hex::encode(chunk),
        }));
        offset += chunk.len();
    }
}
