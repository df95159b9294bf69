//! The broker is killed in mid-traffic and comes back: what it did not acknowledge is sent again.

use core::cell::Cell;

use embassy_futures::join::join;
use embassy_time::Timer;
use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::mqtt_core::codec::{Subscription, TopicFilter};
use mqtt_embassy::{Client, Inbox, Message, QoS};

use crate::Status;
use crate::device::{Device, deliver, kept, next, ready};
use crate::flow::Flow;

/// What the host wants of the publisher.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Go,
    /// Say so when everything is acknowledged, then go on.
    Pause,
    Stop,
}

pub(crate) async fn run(mut device: Device<'_, impl Connect>) -> Result<(), Status> {
    let filter = TopicFilter::new("fw/down/+").map_err(|_| Status::Options)?;
    let subscriptions = [Subscription::new(filter, QoS::AtLeastOnce)];
    let mut options = kept(device.options().subscriptions(&subscriptions));
    // Should the broker have lost the session, then rather twice than never.
    options.redeliver_exactly_once = true;
    device
        .link(&options, async |client, inbox| {
            ready(client).await?;
            let wish = Cell::new(Wish::Go);
            let (sent, obeyed) = join(send(client, &wish), obey(inbox, &wish)).await;
            obeyed?;
            let sent = sent?.to_be_bytes();
            deliver(client, &Message::new("fw/up/sent", &sent).at_least_once()).await
        })
        .await?;
    let connections = device.client.report().session.connections;
    defmt::info!("{=u16} connections", connections);
    Ok(())
}

async fn send(client: &Client, wish: &Cell<Wish>) -> Result<u32, Status> {
    let mut flow = Flow::new(client);
    loop {
        match wish.get() {
            Wish::Go => flow.send().await?,
            Wish::Stop => return flow.settle().await,
            Wish::Pause => {
                let sent = flow.settle().await?.to_be_bytes();
                wish.set(Wish::Go);
                deliver(client, &Message::new("fw/up/paused", &sent).at_least_once()).await?;
                // Meanwhile the host stops the broker in its tracks, so that it acknowledges nothing more.
                Timer::after_millis(200).await;
            }
        }
    }
}

/// Takes the wishes of the host, which have numbers because they may come twice.
async fn obey(inbox: &mut Inbox, wish: &Cell<Wish>) -> Result<(), Status> {
    let mut taken = 0;
    loop {
        let message = next(inbox).await?;
        let [number] = *message.payload() else {
            return Err(Status::WrongMessage);
        };
        if number <= taken {
            continue;
        }
        taken = number;
        if message.topic().as_str() == "fw/down/stop" {
            wish.set(Wish::Stop);
            return Ok(());
        }
        wish.set(Wish::Pause);
    }
}
