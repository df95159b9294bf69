//! Thousands of messages each way at the same time.

use std::cell::RefCell;
use std::time::Duration;

use mqtt_std::{Client, Inbox, Message, PublishError};
use mqtt_tests::device::Device;
use mqtt_tests::mosquitto::{Mosquitto, Setup};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::numbers::{Numbers, payload, qos};
use crate::stage::Stage;

const COUNT: u32 = 10_000;
/// Between two looks at what has come.
const PAUSE: Duration = Duration::from_micros(200);
const LIMIT: Duration = Duration::from_secs(110);

pub(super) fn play(stage: &mut Stage<'_>) {
    let broker = Mosquitto::start(Setup::default());
    let mut host = stage.counterpart(&broker);
    let mut boot = stage.boot_for(&broker);
    boot.count = COUNT;
    stage.boot(&boot);
    host.hears_on(stage, "fw/up/ready");
    let Device {
        executor,
        client,
        inbox,
        ..
    } = &mut host.0;
    let numbers = RefCell::new(Numbers::new());
    let exchange = async { tokio::join!(send(client, &numbers), receive(inbox, &numbers)) };
    let in_time = executor.wait_at_most(LIMIT, exchange).is_some();
    let numbers = numbers.into_inner();
    assert!(in_time, "{} messages in {LIMIT:?}", numbers.count());
    numbers.are_as_sent(COUNT);
    stage.firmware_ends();
}

async fn send(client: &Client, numbers: &RefCell<Numbers>) {
    for number in 0..COUNT {
        while !numbers.borrow().allow(number) {
            sleep(PAUSE).await;
        }
        let payload = payload(number);
        let message = Message::new("fw/down/number", &payload).qos(qos(number));
        // Also when a message waits in the inbox, which the other half takes.
        while let Err(error) = client.publish(&message).await {
            assert_eq!(error, PublishError::Full);
            yield_now().await;
        }
    }
}

async fn receive(inbox: &mut Inbox, numbers: &RefCell<Numbers>) {
    for _ in 0..COUNT {
        let message = inbox.next().await.expect("a running client");
        numbers.borrow_mut().add(message.payload(), message.qos());
    }
}
