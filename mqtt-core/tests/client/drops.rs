//! Every future of the client may be dropped at any time. The same scenario is run once for each poll of each future
//! of `Client`, `Inbox`, `Delivery` and `Received` in it; that future is dropped there, and made anew.

use std::{cell::RefCell, rc::Rc};

use crate::support::{
    Client, Config, Inbox, Profile, World,
    broker::Broker,
    executor::yield_now,
    knife::Knife,
    world::{Q0, Q1, Q2, V3},
};
use mqtt_core::{
    Message, QoS,
    client::LinkState,
    codec::ReasonCode,
    session::{Oversize, PublishError},
};

const EACH: u8 = 4;
const LARGE: usize = 150;

/// Publishes `EACH` messages in turn and waits for each to be acknowledged.
async fn publish(knife: Knife, client: Client, first: u8) {
    for n in first..first + EACH {
        let payload = [n; 40];
        let qos = QoS::from_u8(n % 3).unwrap();
        let message = Message::new("t", &payload).qos(qos);
        let mut delivery = loop {
            match knife.on(async || client.publish(&message).await).await {
                Ok(delivery) => break delivery,
                Err(PublishError::Full) => yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let outcome = knife.on(async || delivery.acknowledged().await).await;
        assert_eq!(outcome, Ok(ReasonCode::SUCCESS));
    }
}

/// What was received, large messages put together.
type Log = Rc<RefCell<Vec<Vec<u8>>>>;

async fn receive(knife: Knife, mut inbox: Inbox, log: Log) {
    let mut running = true;
    while running {
        running = knife
            .on(async || {
                let Ok(message) = inbox.next().await else {
                    return false;
                };
                log.borrow_mut().push(message.payload().to_vec());
                // Dropped here, the future takes the guard with it: the message was processed.
                yield_now().await;
                true
            })
            .await;
    }
}

/// Receives messages of which each may be large.
async fn receive_large(knife: Knife, mut inbox: Inbox, log: Log) {
    while let Ok(mut message) = inbox.next().await {
        if message.is_whole() {
            log.borrow_mut().push(message.payload().to_vec());
            continue;
        }
        let mut all = Vec::new();
        loop {
            let chunk = knife
                .on(async || {
                    let chunk = message.chunk().await.expect("the link lives");
                    chunk.map(<[u8]>::to_vec)
                })
                .await;
            let Some(chunk) = chunk else { break };
            all.extend(chunk);
        }
        log.borrow_mut().push(all);
    }
}

async fn others(knife: Knife, client: Client) {
    assert_eq!(knife.on(async || client.connected().await).await, Ok(false));
    let granted = knife.on(async || client.subscribe("a/#", Q1).await).await;
    assert_eq!(granted, Ok(Q1));
    let ended = knife.on(async || client.unsubscribe("a/#").await).await;
    assert_eq!(ended, Ok(()));
}

async fn watch(knife: Knife, client: Client) -> LinkState {
    let mut state = client.state();
    while !matches!(state, LinkState::Stopped(_)) {
        let from = state;
        state = knife.on(async || client.state_change(from).await).await;
        assert_ne!(state, from);
    }
    state
}

#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
struct Case {
    poll: usize,
    after: bool,
    rough: bool,
    backwards: bool,
    large: bool,
}

/// Runs the scenario; false if there was no such poll.
fn scenario(case: Case) -> bool {
    let mut config = Config::new().options(|o| {
        o.oversize = Oversize::Stream;
        o.receive_maximum = 8;
    });
    config.rx = 80;
    // Room for two or three messages only: publishers wait.
    config.tx = 220;
    if case.rough {
        config.profile = Profile::ROUGH;
    }
    let (mut world, inbox) = World::new(config);
    world.executor.backwards = case.backwards;
    world.broker = Some(Broker::new(V3));
    let knife = Knife::new(case.poll, case.after);
    let publishers = [0, 100].map(|first| {
        let client = world.client.clone();
        world.spawn("publisher", publish(knife.clone(), client, first))
    });
    let log = Log::default();
    let client = world.client.clone();
    let others = world.spawn("others", others(knife.clone(), client));
    let client = world.client.clone();
    let watcher = world.spawn("watcher", watch(knife.clone(), client));
    let receiver = if case.large {
        let knife = knife.clone();
        world.spawn("receiver", receive_large(knife, inbox, log.clone()))
    } else {
        let knife = knife.clone();
        world.spawn("receiver", receive(knife, inbox, log.clone()))
    };
    let mut expected = Vec::new();
    for n in 0..6_u8 {
        let len = if case.large && n % 2 == 0 { LARGE } else { 20 };
        let payload = vec![n; len];
        let qos = [Q0, Q1, Q2][usize::from(n / 2)];
        world.broker().publishes(qos, "in", &payload);
        expected.push(payload);
    }
    world.start(config.options);

    for publisher in publishers {
        publisher.take();
    }
    others.take();
    let client = world.client.clone();
    let leaving = knife.clone();
    let left = world.spawn("leaver", async move {
        leaving.on(async || client.disconnect().await).await;
    });
    world.run();
    left.take();
    receiver.take();
    assert!(matches!(watcher.take(), LinkState::Stopped(_)));

    assert_eq!(world.links(), 1, "{case:?}");
    assert_eq!(world.link().partial(), 0, "{case:?}");
    assert_eq!(*log.borrow(), expected, "{case:?}");
    let broker = world.broker();
    assert!(broker.is_idle() && broker.disconnected, "{case:?}");
    for n in (0..EACH).chain(100..100 + EACH) {
        assert_eq!(broker.count(&[n; 40]), 1, "{case:?}: {n}");
    }
    let session = world.client.report().session;
    let published = 2 * u32::from(EACH);
    assert_eq!(
        (session.delivered, session.failed),
        (published, 0),
        "{case:?}"
    );
    assert_eq!((session.received, session.duplicates), (6, 0), "{case:?}");
    knife.has_struck()
}

fn at_every_poll(large: bool) {
    for rough in [false, true] {
        for backwards in [false, true] {
            for after in [false, true] {
                let mut poll = 0;
                while scenario(Case {
                    poll,
                    after,
                    rough,
                    backwards,
                    large,
                }) {
                    poll += 1;
                }
                assert!(poll > 30, "{poll}");
            }
        }
    }
}

#[test]
fn any_future_can_be_dropped_at_any_poll() {
    at_every_poll(false);
}

#[test]
fn any_future_can_be_dropped_at_any_poll_while_large_messages_come() {
    at_every_poll(true);
}
