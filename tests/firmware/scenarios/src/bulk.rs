//! Thousands of messages each way at the same time: none is lost, none comes twice, and no memory grows.

use embassy_futures::join::join;
use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::{Client, Inbox};

use crate::Status;
use crate::device::{Device, all_delivered, next, publish, ready, subscribe, within};
use crate::numbers::{self, InOrder};

/// After so many messages every path has been taken.
const WARM: u32 = 500;

/// Interrupts come at any depth, so the stack is not used to the byte in the same way.
const STACK_TOLERANCE: usize = 512;

pub(crate) async fn run(
    mut device: Device<'_, impl Connect>,
    stack: fn() -> usize,
) -> Result<(), Status> {
    let count = device.count;
    let options = device.options();
    let warm = device
        .link(&options, async |client, inbox| {
            subscribe(client, "fw/down/number").await?;
            ready(client).await?;
            let (sent, received) = join(send(client, count), receive(inbox, count, stack)).await;
            sent.and(received)
        })
        .await?;
    let used = stack();
    defmt::info!("stack: {=usize} bytes, then {=usize}", warm, used);
    if used > warm + STACK_TOLERANCE {
        return Err(Status::StackGrows);
    }
    let counters = device.client.report().session;
    defmt::info!("{}", counters);
    if counters.published != counters.delivered || counters.failed != 0 {
        return Err(Status::WrongCounters);
    }
    Ok(())
}

async fn send(client: &Client, count: u32) -> Result<(), Status> {
    for number in 0..count {
        within(Status::NoMessage, numbers::in_step(number)).await?;
        let payload = numbers::payload(number);
        let message = numbers::message("fw/up/number", number, &payload);
        let _unwatched = publish(client, &message).await?;
    }
    all_delivered(client).await
}

/// The answer is how much of the stack had been used after the first messages.
async fn receive(inbox: &mut Inbox, count: u32, stack: fn() -> usize) -> Result<usize, Status> {
    let mut order = InOrder::new();
    let mut warm = 0;
    for index in 0..count {
        if index <= WARM {
            warm = stack();
        }
        let message = next(inbox).await?;
        order.add(numbers::read(&message)?)?;
    }
    Ok(warm)
}
