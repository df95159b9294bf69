//! Everything at once, in an order drawn by lot: tasks that publish, stream, receive and hold messages, links that
//! break at any byte, runners that are dropped. Whatever happens, QoS 1 arrives at least once and QoS 2 exactly once,
//! both ways, and no task waits for ever.

use std::{cell::RefCell, rc::Rc};

use crate::support::{
    Client, Config, Inbox, Outcome, Plan, Profile, World,
    broker::Broker,
    clock::{self, Sleep},
    executor::Lot,
    world::{Q1, Q2},
};
use mqtt_core::{
    Message, QoS, Version,
    client::{LinkState, StreamError},
    codec::ReasonCode,
    session::{DeliveryError, Oversize, PublishError, Reconnect},
};

/// Longest message that is published whole.
const WHOLE: usize = 60;
const STREAMED: usize = 400;

async fn pause(lot: &Lot, most_ms: u32) {
    Sleep(clock::now().plus(lot.below(most_ms + 1))).await;
}

/// A payload that tells which one it is.
fn payload(name: u8, len: usize) -> Vec<u8> {
    let mut payload = vec![name];
    payload.extend((1..len).map(|n| name ^ u8::try_from(n % 256).unwrap()));
    payload
}

async fn publish(client: Client, lot: Lot, first: u8) {
    for n in first..first + 5 {
        let payload = payload(n, WHOLE);
        let qos = if n % 2 == 0 { Q1 } else { Q2 };
        let message = Message::new("t", &payload).qos(qos);
        let mut delivery = loop {
            match client.publish(&message).await {
                Ok(delivery) => break delivery,
                Err(PublishError::Full | PublishError::Stopped) => pause(&lot, 20).await,
                Err(error) => panic!("{error}"),
            }
        };
        let outcome = delivery.acknowledged().await;
        assert_eq!(outcome, Ok(ReasonCode::SUCCESS), "{n}");
        pause(&lot, 30).await;
    }
}

/// Streams one payload until it was acknowledged.
async fn stream(client: Client, lot: Lot) {
    let payload = payload(200, STREAMED);
    let message = Message::new("stream", b"").at_least_once();
    loop {
        let mut reader = &payload[..];
        let len = u32::try_from(STREAMED).unwrap();
        match client.publish_stream(&message, len, &mut reader).await {
            Ok(mut delivery) => match delivery.acknowledged().await {
                Ok(_) => return,
                Err(DeliveryError::LinkLost) => {}
                Err(error) => panic!("{error}"),
            },
            Err(StreamError::LinkLost | StreamError::Publish(PublishError::Full)) => {}
            Err(error) => panic!("{error}"),
        }
        pause(&lot, 20).await;
    }
}

type Log = Rc<RefCell<Vec<Vec<u8>>>>;

/// Receives, and holds each message for a while.
async fn receive(mut inbox: Inbox, lot: Lot, log: Log) {
    loop {
        let Ok(mut message) = inbox.next().await else {
            pause(&lot, 20).await;
            continue;
        };
        if lot.below(3) == 0 {
            pause(&lot, 50).await;
        }
        if message.is_whole() {
            log.borrow_mut().push(message.payload().to_vec());
        } else {
            let mut all = Vec::new();
            while let Ok(Some(chunk)) = message.chunk().await {
                all.extend(chunk);
                if lot.below(8) == 0 {
                    pause(&lot, 20).await;
                }
            }
            // Cut short, it comes again.
            log.borrow_mut().push(all);
        }
        if lot.below(3) == 0 {
            pause(&lot, 50).await;
        }
    }
}

/// Messages for the client: numbered, some of them too large for its buffer.
fn expected(lot: &Lot) -> Vec<(QoS, Vec<u8>)> {
    (0..10)
        .map(|n| {
            let large = lot.below(3) == 0;
            let qos = if large || n % 2 == 0 { Q1 } else { Q2 };
            let len = if large { 300 } else { 30 };
            (qos, payload(n, len))
        })
        .collect()
}

fn plan(lot: &Lot, links: u32) -> Vec<Plan> {
    let cut = || Some(usize::try_from(lot.below(500)).unwrap());
    (0..links)
        .map(|_| {
            let profile = if lot.below(2) == 0 {
                Profile::SMOOTH
            } else {
                Profile::ROUGH
            };
            Plan::Link(match lot.below(3) {
                0 => Profile {
                    cut_read: cut(),
                    ..profile
                },
                1 => Profile {
                    cut_write: cut(),
                    ..profile
                },
                // The runner is dropped on it.
                _ => profile,
            })
        })
        .collect()
}

fn chaos(version: Version, seed: u32) {
    let lot = Lot::new(seed);
    let mut config = Config::new().options(|o| {
        o.version = version;
        o.clean_session = false;
        o.oversize = Oversize::Stream;
        o.receive_maximum = 12;
        // Broken links are no message's fault here.
        o.poison_after = 0;
        o.reconnect = Reconnect {
            initial_ms: 5,
            max_ms: 20,
            ..Reconnect::new()
        };
    });
    config.rx = 100;
    config.tx = 250 + usize::try_from(lot.below(300)).unwrap();
    let (mut world, inbox) = World::new(config);
    world.executor.lot = Some(lot.clone());
    world.broker = Some(Broker::new(version));
    let log = Log::default();
    let mut tasks: Vec<Outcome<()>> = [10, 20, 30]
        .map(|first| {
            let task = publish(world.client.clone(), lot.clone(), first);
            world.spawn("publisher", task)
        })
        .into();
    let streamer = stream(world.client.clone(), lot.clone());
    tasks.push(world.spawn("streamer", streamer));
    world.spawn("receiver", receive(inbox, lot.clone(), log.clone()));
    let expected = expected(&lot);
    for (qos, payload) in &expected {
        world.broker().publishes(*qos, "in", payload);
    }
    let links = 2 + lot.below(6);
    world.plan(plan(&lot, links));
    world.start(config.options);
    for _ in 0..links {
        world.advance(lot.below(60));
        if lot.below(3) == 0 {
            world.drop_run();
            world.start(config.options);
        }
    }
    for _ in 0..200 {
        world.advance(50);
        if tasks.iter().all(Outcome::is_ready) && world.broker().is_idle() {
            break;
        }
    }

    for task in &tasks {
        assert!(task.is_ready(), "seed {seed}: {} is stuck", task.name());
    }
    let broker = world.broker();
    assert!(broker.is_idle(), "seed {seed}");
    for n in (10..15).chain(20..25).chain(30..35) {
        let count = broker.count(&payload(n, WHOLE));
        let fits = if n % 2 == 0 { count >= 1 } else { count == 1 };
        assert!(fits, "seed {seed}: {n} came {count} times");
    }
    assert!(broker.count(&payload(200, STREAMED)) >= 1, "seed {seed}");
    for (qos, payload) in &expected {
        let count = log.borrow().iter().filter(|p| *p == payload).count();
        let fits = if *qos == Q1 { count >= 1 } else { count == 1 };
        assert!(fits, "seed {seed}: got {} {count} times", payload[0]);
    }
    let client = world.client.clone();
    let left = world.spawn("leaver", async move { client.disconnect().await });
    world.advance(10_000);
    assert!(left.is_ready(), "seed {seed}");
    assert!(matches!(world.client.state(), LinkState::Stopped(_)));
}

#[test]
fn nothing_is_lost_and_nobody_waits_for_ever() {
    for seed in 1..=100 {
        chaos(Version::V3_1_1, seed);
    }
}

#[cfg(feature = "v5")]
#[test]
fn with_mqtt_5_nothing_is_lost_and_nobody_waits_for_ever() {
    for seed in 1..=100 {
        chaos(Version::V5, seed);
    }
}
