//! Every future of the client, dropped after each number of polls: nothing is lost, nothing hangs.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mqtt_core::codec::QoS;
use mqtt_std::{Delivery, LinkEnd, LinkState, Message, Options, Oversize, ReasonCode};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::echo::Echo;

/// More than any future here needs.
const POLLS: usize = 12;

fn connected(echo: &Echo) -> Device {
    let options = Options::new("127.0.0.1")
        .port(echo.port())
        .rx_buffer(512)
        .tx_buffer(1024)
        .oversize(Oversize::Stream)
        .reconnect(soon());
    Device::connect(options)
}

/// The outcome, if that many polls are enough.
async fn polled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The client still publishes, hears the echo, and acknowledges.
fn is_well(device: &mut Device) {
    device.connected();
    let mut delivery = device.publish(&Message::new("is/well", b"?").at_least_once());
    while device.message().topic().as_str() != "is/well" {}
    // The acknowledgement may lie behind other messages.
    device.wait(delivery.acknowledged()).expect("acknowledged");
}

#[test]
fn of_publish() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        let large = Message::new("quiet/large", &[0; 200]).at_least_once();
        let mut accepted: Vec<Delivery> = Vec::new();
        for _ in 0..20 {
            let publish = polled(polls, device.client.publish(&large));
            let published = device.wait(publish);
            accepted.extend(published.map(|published| published.expect("room")));
        }
        for delivery in &mut accepted {
            device.wait(delivery.acknowledged()).expect("acknowledged");
        }
        // What was not accepted was not sent either.
        let published = device.client.report().session.published;
        assert_eq!(usize::try_from(published), Ok(accepted.len()));
        assert!(!accepted.is_empty());
        is_well(&mut device);
    }
}

#[test]
fn of_acknowledged() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let device = connected(&echo);
        let mut delivery = device.publish(&Message::new("quiet/a", b"").exactly_once());
        device.wait(polled(polls, delivery.acknowledged()));
        let code = device.wait(delivery.acknowledged());
        assert_eq!(code, Ok(ReasonCode::SUCCESS));
    }
}

#[test]
fn of_subscribe_and_unsubscribe() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        for _ in 0..10 {
            device.wait(polled(
                polls,
                device.client.subscribe("a/#", QoS::AtLeastOnce),
            ));
            device.wait(polled(polls, device.client.unsubscribe("a/#")));
        }
        let granted = device.wait(device.client.subscribe("b", QoS::AtLeastOnce));
        assert_eq!(granted, Ok(QoS::AtLeastOnce));
        is_well(&mut device);
    }
}

#[test]
fn of_the_inbox() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        for number in 0..20_u8 {
            drop(device.publish(&Message::new("count", &[number]).at_least_once()));
            let message = loop {
                let next = polled(polls, device.inbox.next());
                if let Some(message) = device.executor.wait(next) {
                    break message.expect("a message");
                }
            };
            assert_eq!(message.payload(), [number]);
        }
    }
}

#[test]
fn of_chunks() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        let content: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let head = Message::new("large", b"").at_least_once();
        let mut reader = &content[..];
        let stream = device.client.publish_stream(&head, 5000, &mut reader);
        drop(device.wait(stream).expect("streamed"));

        let mut message = device
            .executor
            .wait(device.inbox.next())
            .expect("a message");
        let mut received: Vec<u8> = Vec::new();
        while received.len() < content.len() {
            let chunk = polled(polls, message.chunk());
            if let Some(chunk) = device.executor.wait(chunk) {
                received.extend(chunk.expect("a link").expect("more"));
            }
        }
        assert!(received == content);
        drop(message);
        is_well(&mut device);
    }
}

#[test]
fn of_a_streamed_publish() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        let head = Message::new("large", b"").at_least_once();
        let mut reader = &[0; 5000][..];
        let stream = device.client.publish_stream(&head, 5000, &mut reader);
        drop(device.wait(polled(polls, stream)));
        is_well(&mut device);
    }
}

#[test]
fn of_the_state() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        let state = device.client.state();
        let change = polled(polls, device.client.state_change(state));
        let changed = device
            .executor
            .wait_at_most(Duration::from_millis(5), change);
        assert!(!matches!(changed, Some(Some(_))));
        assert!(
            device
                .wait(polled(polls, device.client.connected()))
                .is_some()
        );
        is_well(&mut device);
    }
}

#[test]
fn of_disconnect() {
    for polls in 1..POLLS {
        let echo = Echo::start();
        let mut device = connected(&echo);
        device.wait(polled(polls, device.client.disconnect()));
        device.ends().expect("a clean end");
        assert_eq!(
            device.client.state(),
            LinkState::Stopped(LinkEnd::Disconnected)
        );
    }
}
