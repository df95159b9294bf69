//! mqtt-std as it comes, on a single-threaded runtime as rumqttc.

use std::time::{Duration, Instant};

use anyhow::Result;
use mqtt_std::{Client, Inbox, Message, Options, QoS};

use super::{Task, WINDOW};
use crate::packets::{PAYLOAD, TOPIC};

const MESSAGE: Message<'static> = Message::new(TOPIC, &PAYLOAD);

/// Returns the round trips of [`Task::RoundTrip`].
pub(crate) fn run(task: Task, port: u16, count: u32) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // As a task: waking the future of `block_on` itself costs tokio an epoll_wait each time.
    runtime.block_on(async { tokio::spawn(perform(task, port, count)).await? })
}

async fn perform(task: Task, port: u16, count: u32) -> Result<Vec<Duration>> {
    let options = Options::new("127.0.0.1")
        .port(port)
        .client_id("mqtt-std")
        .max_in_flight(WINDOW);
    let (client, mut inbox, mut runner) = mqtt_std::new(options)?;
    let running = tokio::spawn(async move { runner.run().await });
    let mut round_trips = Vec::new();
    match task {
        Task::AtMostOnce => at_most_once(&client, count).await?,
        Task::AtLeastOnce => at_least_once(&client, count).await?,
        Task::RoundTrip => round_trips = measure_round_trips(&client, count).await?,
        Task::Receive => receive(&client, &mut inbox, count).await?,
    }
    client.disconnect().await;
    running.await??;
    Ok(round_trips)
}

async fn at_most_once(client: &Client, count: u32) -> Result<()> {
    for _ in 0..count {
        drop(client.publish(&MESSAGE).await?);
    }
    Ok(())
}

async fn at_least_once(client: &Client, count: u32) -> Result<()> {
    let message = MESSAGE.at_least_once();
    for _ in 1..count {
        drop(client.publish(&message).await?);
    }
    // Acknowledgements come in order: after the last none is missing.
    client.publish(&message).await?.acknowledged().await?;
    Ok(())
}

async fn measure_round_trips(client: &Client, count: u32) -> Result<Vec<Duration>> {
    let message = MESSAGE.at_least_once();
    let mut round_trips = Vec::new();
    client.connected().await?;
    for _ in 0..count {
        let start = Instant::now();
        client.publish(&message).await?.acknowledged().await?;
        round_trips.push(start.elapsed());
    }
    Ok(round_trips)
}

async fn receive(client: &Client, inbox: &mut Inbox, count: u32) -> Result<()> {
    client.subscribe(TOPIC, QoS::AtMostOnce).await?;
    for _ in 0..count {
        inbox.next().await?;
    }
    Ok(())
}
