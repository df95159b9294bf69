//! Thousands of messages each way at the same time: none is lost, none comes twice, and no memory grows.

use embassy_futures::join::join;
use embassy_time::Timer;
use mqtt_embassy::mqtt_core::client::Connect;
use mqtt_embassy::{Client, Inbox};

use crate::Status;
use crate::device::{Device, next, publish, ready, subscribe, within};
use crate::numbers::{self, InOrder};

/// After so many messages each way, every path has been taken.
const WARM: u32 = 500;

/// Interrupts come at any depth, so the stack is not used to the byte in the same way.
const STACK_TOLERANCE: usize = 512;

pub(crate) async fn run(
    mut device: Device<'_, impl Connect>,
    stack: fn() -> usize,
) -> Result<(), Status> {
    let count = device.count;
    let options = device.options();
    device
        .link(&options, async |client, inbox| {
            subscribe(client, "fw/down/number").await?;
            ready(client).await?;
            exchange(client, inbox, 0, WARM.min(count)).await?;
            let warm = stack();
            exchange(client, inbox, WARM.min(count), count).await?;
            let used = stack();
            defmt::info!("stack: {=usize} bytes, then {=usize}", warm, used);
            if used > warm + STACK_TOLERANCE {
                return Err(Status::StackGrows);
            }
            Ok(())
        })
        .await?;
    let counters = device.client.report().session;
    defmt::info!("{}", counters);
    // And the one that said that we are ready.
    if counters.published != count + 1 || counters.delivered != count + 1 || counters.failed != 0 {
        return Err(Status::WrongCounters);
    }
    Ok(())
}

async fn exchange(client: &Client, inbox: &mut Inbox, from: u32, to: u32) -> Result<(), Status> {
    let (sent, received) = join(send(client, from, to), receive(inbox, from, to)).await;
    sent.and(received)
}

async fn send(client: &Client, from: u32, to: u32) -> Result<(), Status> {
    for number in from..to {
        let payload = numbers::payload(number);
        let message = numbers::message("fw/up/number", number, &payload);
        let _unwatched = publish(client, &message).await?;
    }
    // One more said that we are ready.
    let all_delivered = async {
        while client.report().session.delivered < to + 1 {
            Timer::after_millis(1).await;
        }
    };
    within(Status::NotAcknowledged, all_delivered).await
}

async fn receive(inbox: &mut Inbox, from: u32, to: u32) -> Result<(), Status> {
    let mut order = InOrder::after(from);
    for _ in from..to {
        let message = next(inbox).await?;
        order.add(numbers::read(&message)?)?;
    }
    Ok(())
}
