//! The link is cut in the middle of packets, again and again: nothing that was acknowledged is lost, and nothing at
//! QoS 2 comes twice.

use core::cell::Cell;

use embassy_futures::join::join;
use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::mqtt_core::codec::{Subscription, TopicFilter};
use mqtt_embassy::{Client, Inbox, Message, QoS};

use crate::Status;
use crate::device::{Device, deliver, kept, next, ready};
use crate::flow::Flow;
use crate::numbers::{self, Seen};

pub(crate) async fn run(mut device: Device<'_, impl Connect>) -> Result<(), Status> {
    let filter = TopicFilter::new("fw/down/+").map_err(|_| Status::Options)?;
    let subscriptions = [Subscription::new(filter, QoS::ExactlyOnce)];
    let options = kept(device.options().subscriptions(&subscriptions));
    device
        .link(&options, async |client, inbox| {
            ready(client).await?;
            let stop = Cell::new(false);
            let (sent, received) = join(send(client, &stop), receive(inbox, &stop)).await;
            received?;
            let sent = sent?.to_be_bytes();
            deliver(client, &Message::new("fw/up/sent", &sent).at_least_once()).await
        })
        .await?;
    let connections = device.client.report().session.connections;
    defmt::info!("{=u16} connections", connections);
    Ok(())
}

/// Publishes until it is told to stop, and waits for every acknowledgement. The answer is how many they were.
async fn send(client: &Client, stop: &Cell<bool>) -> Result<u32, Status> {
    let mut flow = Flow::new(client);
    while !stop.get() {
        flow.send().await?;
    }
    flow.settle().await
}

/// Receives until the host has said how many messages there were, and that many have come.
async fn receive(inbox: &mut Inbox, stop: &Cell<bool>) -> Result<(), Status> {
    let mut seen = Seen::new();
    let mut all = None;
    while all != Some(seen.count()) {
        let message = next(inbox).await?;
        if message.topic().as_str() == "fw/down/stop" {
            let count = message.payload().first_chunk().copied();
            all = Some(count.map(u32::from_be_bytes).ok_or(Status::WrongMessage)?);
            stop.set(true);
        } else {
            seen.add(numbers::read(&message)?)?;
        }
    }
    defmt::info!("all {=u32} messages have come", seen.count());
    Ok(())
}
