//! Payloads much larger than the buffers: received in chunks, skipped, and published from a reader.

use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::{Client, Inbox, Message, Oversize};
use sha2::{Digest, Sha256};

use crate::Status;
use crate::device::{Device, acknowledged, deliver, next, publish, ready, subscribe, within};
use crate::random::{Random, RandomBytes};

/// Length of the payload that is published from a reader.
const STREAM_LEN: u32 = 20_000;

pub(crate) async fn run(mut device: Device<'_, impl Connect>) -> Result<(), Status> {
    let mut options = device.options();
    options.oversize = Oversize::Stream;
    let random = device.random.clone();
    device
        .link(&options, async |client, inbox| {
            subscribe(client, "fw/down/large").await?;
            ready(client).await?;
            receive_in_chunks(client, inbox).await?;
            publish_from_a_reader(client, random).await
        })
        .await?;
    options.oversize = Oversize::Skip;
    device
        .link(&options, async |client, inbox| {
            subscribe(client, "fw/down/large").await?;
            ready(client).await?;
            see_one_skipped(client, inbox).await
        })
        .await?;
    match device.client.report().skipped {
        1 => Ok(()),
        _ => Err(Status::WrongCounters),
    }
}

/// Publishes the hash of what has come: the host knows what it sent.
async fn receive_in_chunks(client: &Client, inbox: &mut Inbox) -> Result<(), Status> {
    let mut hash = Sha256::new();
    let mut len = 0;
    {
        let mut message = next(inbox).await?;
        if message.is_whole() || message.topic().as_str() != "fw/down/large" {
            return Err(Status::NotSkipped);
        }
        let total = message.total_len() as usize;
        loop {
            let chunk = within(Status::NoChunk, message.chunk()).await?;
            let Some(chunk) = chunk.map_err(|_| Status::NoChunk)? else {
                break;
            };
            hash.update(chunk);
            len += chunk.len();
        }
        defmt::info!("{=usize} of {=usize} bytes in chunks", len, total);
        if len != total {
            return Err(Status::NoChunk);
        }
    }
    let hash = hash.finalize();
    deliver(client, &Message::new("fw/up/hash", &hash).at_least_once()).await
}

async fn publish_from_a_reader(client: &Client, random: Random) -> Result<(), Status> {
    let head = Message::new("fw/up/stream", b"").at_least_once();
    let mut reader = RandomBytes(random);
    let streamed = client.publish_stream(&head, STREAM_LEN, &mut reader);
    let streamed = within(Status::NotPublished, streamed).await?;
    let mut delivery = streamed.map_err(|_| Status::NotPublished)?;
    acknowledged(&mut delivery).await
}

/// An oversized message is reported by its length and gives no byte; the next one is as if nothing had been.
async fn see_one_skipped(client: &Client, inbox: &mut Inbox) -> Result<(), Status> {
    {
        let mut message = next(inbox).await?;
        defmt::info!("skipped: {=u32} bytes", message.total_len());
        let chunk = within(Status::NoChunk, message.chunk()).await?;
        let skipped = chunk.map_err(|_| Status::NoChunk)?.is_none();
        if !skipped || message.is_whole() {
            return Err(Status::NotSkipped);
        }
    }
    let message = next(inbox).await?;
    let reply = Message::new("fw/up/after", message.payload()).at_least_once();
    let mut delivery = publish(client, &reply).await?;
    drop(message);
    acknowledged(&mut delivery).await
}
