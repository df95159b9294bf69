//! Two tasks publish while a third one receives, and all of them drop futures at random.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;

use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::Timer;
use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::{Client, Delivery, Inbox, PublishError};

use crate::Status;
use crate::device::{Device, all_delivered, ready, subscribe, within};
use crate::numbers::{self, InOrder};
use crate::random::Random;

/// Where the publishing tasks publish.
const TOPICS: [&str; 2] = ["fw/up/one", "fw/up/two"];

/// How they ended.
static ENDS: Channel<CriticalSectionRawMutex, Result<(), Status>, 2> = Channel::new();

pub(crate) async fn run(
    mut device: Device<'_, impl Connect>,
    spawner: Spawner,
) -> Result<(), Status> {
    let count = device.count;
    let mut random = device.random.clone();
    let options = device.options();
    device
        .link(&options, async |client, inbox| {
            subscribe(client, "fw/down/number").await?;
            ready(client).await?;
            for topic in TOPICS {
                let random = Random::new(random.next());
                let task = publisher(client.clone(), topic, count, random);
                spawner.spawn(task.map_err(|_| Status::TaskHangs)?);
            }
            receive(inbox, count, &mut random).await?;
            for _ in TOPICS {
                within(Status::TaskHangs, ENDS.receive()).await??;
            }
            all_delivered(client).await
        })
        .await
}

async fn receive(inbox: &mut Inbox, count: u32, random: &mut Random) -> Result<(), Status> {
    let mut order = InOrder::new();
    for _ in 0..count {
        let next = async {
            loop {
                if let Some(message) = perhaps(inbox.next(), random).await {
                    break match message {
                        Ok(message) => numbers::read(&message),
                        Err(_) => Err(Status::LinkEnded),
                    };
                }
            }
        };
        order.add(within(Status::NoMessage, next).await??)?;
    }
    Ok(())
}

#[embassy_executor::task(pool_size = 2)]
async fn publisher(client: Client, topic: &'static str, count: u32, mut random: Random) {
    let end = publish_all(&client, topic, count, &mut random).await;
    ENDS.send(end).await;
}

async fn publish_all(
    client: &Client,
    topic: &'static str,
    count: u32,
    random: &mut Random,
) -> Result<(), Status> {
    for number in 0..count {
        within(Status::NoMessage, numbers::in_step(number)).await?;
        let accepted = publish(client, topic, number, random);
        let mut delivery = within(Status::NotPublished, accepted).await??;
        // Most are left alone; for some the task waits, in many attempts.
        if random.below(4) == 0 {
            within(Status::NotAcknowledged, settle(&mut delivery, random)).await??;
        }
    }
    Ok(())
}

/// A future that was dropped has queued nothing: so it can be made anew, and the message still goes out once.
async fn publish(
    client: &Client,
    topic: &'static str,
    number: u32,
    random: &mut Random,
) -> Result<Delivery, Status> {
    let payload = numbers::payload(number);
    let message = numbers::message(topic, number, &payload);
    loop {
        match perhaps(client.publish(&message), random).await {
            None | Some(Err(PublishError::Full)) => {}
            Some(Ok(delivery)) => return Ok(delivery),
            Some(Err(error)) => {
                defmt::error!("publish {=str}: {}", topic, error);
                return Err(Status::NotPublished);
            }
        }
    }
}

async fn settle(delivery: &mut Delivery, random: &mut Random) -> Result<(), Status> {
    loop {
        if let Some(outcome) = perhaps(delivery.acknowledged(), random).await {
            return outcome.map(|_| ()).map_err(|_| Status::NotAcknowledged);
        }
    }
}

/// Polls a future for a while, then drops it.
async fn perhaps<T>(future: impl Future<Output = T>, random: &mut Random) -> Option<T> {
    let future_is_first = random.below(2) == 0;
    let time = a_while(random);
    if future_is_first {
        return match select(future, time).await {
            Either::First(output) => Some(output),
            Either::Second(()) => None,
        };
    }
    // The future may be dropped at the very moment in which it has become ready.
    match select(time, future).await {
        Either::First(()) => None,
        Either::Second(output) => Some(output),
    }
}

/// Up to two polls after the first, whoever causes them, or up to 2 ms.
fn a_while(random: &mut Random) -> impl Future<Output = ()> {
    let mut polls = 1 + random.below(3);
    let mut timer = Timer::after_micros(random.below(2_000).into());
    poll_fn(move |cx| {
        if polls == 0 {
            return Poll::Ready(());
        }
        polls -= 1;
        Pin::new(&mut timer).poll(cx)
    })
}
