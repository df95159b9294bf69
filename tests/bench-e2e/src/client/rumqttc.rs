//! rumqttc 0.25, its asynchronous client on a single-threaded runtime, which is its fastest set-up on one core.

use std::time::{Duration, Instant};

use anyhow::Result;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};

use super::{Task, WINDOW};
use crate::packets::{PAYLOAD, TOPIC};

/// Requests between the publishing task and the event loop.
const CHANNEL: usize = 100;

/// Returns the round trips of [`Task::RoundTrip`].
pub(crate) fn run(task: Task, port: u16, count: u32) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As a task: waking the future of `block_on` itself costs tokio an epoll_wait each time.
    runtime.block_on(async { tokio::spawn(perform(task, port, count)).await? })
}

async fn perform(task: Task, port: u16, count: u32) -> Result<Vec<Duration>> {
    let mut options = MqttOptions::new("rumqttc", "127.0.0.1", port);
    options.set_inflight(WINDOW);
    options.set_keep_alive(Duration::from_mins(1));
    let (client, mut events) = AsyncClient::new(options, CHANNEL);
    let mut round_trips = Vec::new();
    match task {
        Task::AtMostOnce => at_most_once(client.clone(), count),
        Task::AtLeastOnce => at_least_once(client.clone(), &mut events, count).await?,
        Task::RoundTrip => round_trips = measure_round_trips(&client, &mut events, count).await?,
        Task::Receive => receive(&client, &mut events, count).await?,
    }
    if task != Task::AtMostOnce {
        client.disconnect().await?;
    }
    until(&mut events, 1, |event| {
        matches!(event, Event::Outgoing(Outgoing::Disconnect))
    })
    .await?;
    Ok(round_trips)
}

fn at_most_once(client: AsyncClient, count: u32) {
    tokio::spawn(async move {
        publish(&client, QoS::AtMostOnce, count).await?;
        client.disconnect().await
    });
}

async fn at_least_once(client: AsyncClient, events: &mut EventLoop, count: u32) -> Result<()> {
    tokio::spawn(async move { publish(&client, QoS::AtLeastOnce, count).await });
    until(events, count, is_puback).await
}

async fn publish(client: &AsyncClient, qos: QoS, count: u32) -> Result<(), rumqttc::ClientError> {
    for _ in 0..count {
        client.publish(TOPIC, qos, false, PAYLOAD).await?;
    }
    Ok(())
}

async fn measure_round_trips(
    client: &AsyncClient,
    events: &mut EventLoop,
    count: u32,
) -> Result<Vec<Duration>> {
    let mut round_trips = Vec::new();
    until(events, 1, |event| {
        matches!(event, Event::Incoming(Packet::ConnAck(_)))
    })
    .await?;
    for _ in 0..count {
        let start = Instant::now();
        publish(client, QoS::AtLeastOnce, 1).await?;
        until(events, 1, is_puback).await?;
        round_trips.push(start.elapsed());
    }
    Ok(round_trips)
}

async fn receive(client: &AsyncClient, events: &mut EventLoop, count: u32) -> Result<()> {
    client.subscribe(TOPIC, QoS::AtMostOnce).await?;
    until(events, count, |event| {
        matches!(event, Event::Incoming(Packet::Publish(_)))
    })
    .await
}

fn is_puback(event: &Event) -> bool {
    matches!(event, Event::Incoming(Packet::PubAck(_)))
}

/// Polls until the event came `count` times.
async fn until(events: &mut EventLoop, count: u32, wanted: fn(&Event) -> bool) -> Result<()> {
    let mut seen = 0;
    while seen < count {
        seen += u32::from(wanted(&events.poll().await?));
    }
    Ok(())
}
