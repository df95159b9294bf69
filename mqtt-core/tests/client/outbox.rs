//! What a user sees of the durable outbox, with a store that outlives the client.

use std::{cell::RefCell, rc::Rc};

use crate::support::{
    Client, Config, Outcome, Test, World, clock,
    disk::{Broken, Disk},
    executor::yield_now,
    knife::Knife,
    wire::{CONNACK, puback},
    world::{Q1, Q2},
};
use mqtt_core::{
    Instant, Message, QoS,
    client::LinkEnd,
    outbox::{AcceptError, Counters, Interval, Loss, RunError},
    session::{OutboxPolicy, PublishError},
};

type Outbox = mqtt_core::outbox::Outbox<Test, Disk, Box<[u8]>, 3>;
type Losses = Rc<RefCell<Vec<(String, Loss)>>>;

fn outbox(client: &Client, disk: &Disk) -> Rc<Outbox> {
    let buffer = vec![0; 120].into_boxed_slice();
    Rc::new(Outbox::new(client.clone(), disk.clone(), buffer))
}

fn run(world: &mut World, outbox: &Rc<Outbox>) -> (Outcome<RunError<Broken>>, Losses) {
    let losses = Losses::default();
    let (outbox, log) = (outbox.clone(), losses.clone());
    let end = world.spawn("outbox", async move {
        let lost = |message: &Message<'_>, loss| {
            log.borrow_mut().push((message.topic.to_owned(), loss));
        };
        outbox.run(|_, _| Ok(()), lost).await
    });
    (end, losses)
}

fn accept(
    world: &mut World,
    outbox: &Rc<Outbox>,
    message: Message<'static>,
) -> Outcome<Result<(), AcceptError<Broken>>> {
    let outbox = outbox.clone();
    let accepted = world.spawn("publish", async move { outbox.publish(&message).await });
    world.run();
    accepted
}

fn message(payload: &'static [u8]) -> Message<'static> {
    Message::new("t", payload).at_least_once()
}

fn received(world: &mut World) -> Vec<String> {
    let received = world.broker().received.iter();
    received
        .map(|(_, payload)| String::from_utf8(payload.clone()).unwrap())
        .collect()
}

const PAYLOADS: [&[u8]; 7] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6"];

/// What was accepted by a device that lost power before it had a link.
fn filled() -> Disk {
    let disk = Disk::new();
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    for payload in PAYLOADS {
        let accepted = accept(&mut world, &outbox, message(payload));
        assert_eq!(accepted.take(), Ok(()));
    }
    disk
}

#[test]
fn what_was_accepted_before_a_loss_of_power_is_published_oldest_first() {
    let disk = filled();
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    let accepted = accept(&mut world, &outbox, message(b"new"));
    world.run();
    assert_eq!(accepted.take(), Ok(()));
    let expected = ["0", "1", "2", "3", "4", "5", "6", "new"];
    assert_eq!(received(&mut world), expected);
    assert_eq!(disk.len(), 0);
    let counters = outbox.counters();
    assert_eq!((counters.accepted, counters.delivered), (1, 8));
}

#[test]
fn a_message_stays_until_the_server_has_acknowledged_it() {
    let disk = filled();
    let (mut world, _inbox, link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    // As many as the window has.
    world.expect(
        &link,
        &[
            "PUBLISH q1 #1 t=0",
            "PUBLISH q1 #2 t=1",
            "PUBLISH q1 #3 t=2",
        ],
    );
    assert_eq!(disk.len(), 7);
    // In any order.
    link.sends(puback(link.id(2)));
    world.expect(&link, &["PUBLISH q1 #4 t=3"]);
    assert_eq!(disk.len(), 6);
    // Power is lost now: the one that was acknowledged is not sent again, the others are.
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = self::outbox(&world.client, &disk);
    run(&mut world, &outbox);
    world.run();
    assert_eq!(received(&mut world), ["0", "2", "3", "4", "5", "6"]);
}

#[test]
fn nothing_is_taken_from_the_store_without_a_link() {
    let disk = filled();
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    world.run();
    assert_eq!(world.client.report().session.published, 0);
}

#[test]
fn a_message_survives_a_lost_link() {
    let disk = filled();
    let (mut world, _inbox, link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    world.run();
    link.got();
    link.hangs_up();
    let link = world.reconnect(false);
    let got = link.got();
    assert_eq!(
        got,
        [
            "PUBLISH q1 #1 t=0",
            "PUBLISH q1 #2 t=1",
            "PUBLISH q1 #3 t=2"
        ]
    );
    for number in 1..=3 {
        link.sends(puback(link.id(number)));
    }
    world.run();
    assert_eq!(disk.len(), 4);
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is_stored() {
    const LONG: [u8; 121] = [b'x'; 121];
    let disk = Disk::new();
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    let mut refused = |message| accept(&mut world, &outbox, message).take();
    assert_eq!(
        refused(Message::new("t", b"x")),
        Err(AcceptError::AtMostOnce)
    );
    assert_eq!(
        refused(message(&LONG)),
        Err(AcceptError::Publish(PublishError::TooLarge))
    );
    assert!(matches!(
        refused(Message::new("a/#", b"x").at_least_once()),
        Err(AcceptError::Publish(PublishError::Topic(_)))
    ));
    assert_eq!(disk.len(), 0);
}

#[test]
fn what_the_transmit_buffer_cannot_take_is_refused_before_it_is_stored() {
    const BYTES: [u8; 100] = [b'x'; 100];
    let disk = Disk::new();
    // The longest message that there is room for, and one byte more.
    let config = Config::narrow(&message(&BYTES[1..]));
    let (mut world, _inbox) = World::with_broker(config);
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    let refused = accept(&mut world, &outbox, message(&BYTES));
    assert_eq!(
        refused.take(),
        Err(AcceptError::Publish(PublishError::TooLarge))
    );
    assert_eq!(
        accept(&mut world, &outbox, message(&BYTES[1..])).take(),
        Ok(())
    );
    world.run();
    assert_eq!(world.broker().received.len(), 1);
}

#[test]
fn a_full_outbox_waits_or_refuses() {
    let disk = Disk::of(2);
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    for payload in &PAYLOADS[..2] {
        accept(&mut world, &outbox, message(payload))
            .take()
            .unwrap();
    }
    outbox.set_policy(OutboxPolicy::Reject);
    let refused = accept(&mut world, &outbox, message(b"2"));
    assert_eq!(refused.take(), Err(AcceptError::Full));
    outbox.set_policy(OutboxPolicy::Wait);
    let waiting = accept(&mut world, &outbox, message(b"3"));
    assert!(!waiting.is_ready());
    let mut link = {
        world.start(Config::new().options);
        world.link()
    };
    run(&mut world, &outbox);
    link.sends(CONNACK);
    world.run();
    link.got();
    assert!(!waiting.is_ready());
    link.sends(puback(link.id(1)));
    world.run();
    assert_eq!(waiting.take(), Ok(()));
    link = world.link();
    assert_eq!(link.got(), ["PUBLISH q1 #3 t=3"]);
}

#[test]
fn the_oldest_messages_make_room_except_those_under_way() {
    let disk = Disk::of(4);
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    outbox.set_policy(OutboxPolicy::DropOldest);
    for payload in PAYLOADS {
        assert_eq!(accept(&mut world, &outbox, message(payload)).take(), Ok(()));
    }
    assert_eq!(outbox.counters().dropped, 3);
    world.start(Config::new().options);
    let link = world.link();
    run(&mut world, &outbox);
    link.sends(CONNACK);
    world.run();
    link.got();
    // Three are under way, and one waits: that one goes.
    assert_eq!(accept(&mut world, &outbox, message(b"7")).take(), Ok(()));
    let arrived = (1..=3).map(|number| puback(link.id(number)));
    link.sends(arrived.collect::<Vec<_>>().concat());
    world.run();
    assert_eq!(link.got(), ["PUBLISH q1 #4 t=7"]);
    assert_eq!(outbox.counters().dropped, 4);
}

#[test]
fn nothing_is_dropped_while_everything_is_under_way() {
    let disk = Disk::of(2);
    let (mut world, _inbox, _link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    outbox.set_policy(OutboxPolicy::DropOldest);
    run(&mut world, &outbox);
    for payload in &PAYLOADS[..2] {
        accept(&mut world, &outbox, message(payload))
            .take()
            .unwrap();
    }
    let refused = accept(&mut world, &outbox, message(b"2"));
    assert_eq!(refused.take(), Err(AcceptError::Full));
}

#[test]
fn the_latest_message_of_a_topic_replaces_older_ones() {
    let disk = Disk::new();
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    outbox.set_policy(OutboxPolicy::KeepLatest);
    for (topic, payload) in [("a", "1"), ("b", "1"), ("a", "2"), ("ab", "1"), ("a", "3")] {
        let message = Message::new(topic, payload.as_bytes()).at_least_once();
        accept(&mut world, &outbox, message).take().unwrap();
    }
    assert_eq!(outbox.counters().replaced, 2);
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = self::outbox(&world.client, &disk);
    run(&mut world, &outbox);
    world.run();
    let received = world.broker().received.iter();
    let received: Vec<_> = received
        .map(|(topic, payload)| format!("{topic}={}", String::from_utf8_lossy(payload)))
        .collect();
    assert_eq!(received, ["b=1", "ab=1", "a=3"]);
}

#[cfg(feature = "v5")]
#[test]
fn a_message_that_the_server_refuses_is_told_of_and_removed() {
    use mqtt_core::{Version, codec::ReasonCode, session::DeliveryError};

    let disk = filled();
    let config = Config::new().options(|options| options.version = Version::V5);
    let (mut world, _inbox, link) = World::connected(config);
    let outbox = outbox(&world.client, &disk);
    let (_, losses) = run(&mut world, &outbox);
    world.run();
    link.got();
    let [high, low] = link.id(1).to_be_bytes();
    link.sends([0x40, 4, high, low, 0x87, 0]);
    world.run();
    let loss = Loss::Undelivered(DeliveryError::Rejected(ReasonCode::NOT_AUTHORIZED));
    assert_eq!(*losses.borrow(), [("t".to_owned(), loss)]);
    assert_eq!(disk.len(), 6);
    assert_eq!(outbox.counters().lost, 1);
}

#[cfg(feature = "v5")]
#[test]
fn properties_of_a_message_outlive_a_loss_of_power() {
    use mqtt_core::{
        Version,
        codec::{Properties, Property},
    };

    static EXPIRY: [Property<'_>; 1] = [Property::MessageExpiryInterval(60)];
    let disk = Disk::new();
    let (mut world, _inbox) = World::new(Config::new());
    let outbox = outbox(&world.client, &disk);
    let message = message(b"x").properties(Properties::from(&EXPIRY));
    accept(&mut world, &outbox, message).take().unwrap();
    let config = Config::new().options(|options| options.version = Version::V5);
    let (mut world, _inbox, link) = World::connected(config);
    let outbox = self::outbox(&world.client, &disk);
    run(&mut world, &outbox);
    world.run();
    let expiry = link.packets(|packet| match packet {
        mqtt_core::codec::Packet::Publish(publish) => publish.properties.message_expiry_interval(),
        _ => None,
    });
    assert_eq!(expiry, [Some(60)]);
}

#[test]
fn a_rate_is_kept() {
    let disk = filled();
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = outbox(&world.client, &disk);
    let times = Rc::new(RefCell::new(Vec::new()));
    let log = times.clone();
    let flushed = world.spawn("outbox", async move {
        let mut interval = Interval::of_millis(200);
        let admit = |_: &Message<'_>, now: Instant| {
            interval.admit(now)?;
            log.borrow_mut().push(clock::elapsed());
            Ok(())
        };
        outbox.flush(admit, |_, _| ()).await
    });
    world.advance(1_199);
    assert!(!flushed.is_ready());
    world.advance(1);
    assert_eq!(flushed.take(), Ok(()));
    assert_eq!(*times.borrow(), [0, 200, 400, 600, 800, 1000, 1200]);
    assert_eq!(received(&mut world).len(), 7);
}

#[test]
fn flushing_ends_when_the_store_is_empty() {
    let disk = filled();
    let (mut world, _inbox, link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    let flushed = world.spawn("outbox", async move {
        outbox.flush(|_, _| Ok(()), |_, _| ()).await
    });
    for number in 1..=7 {
        world.run();
        link.got();
        assert!(!flushed.is_ready(), "{number}");
        link.sends(puback(link.id(number)));
    }
    world.run();
    assert_eq!(flushed.take(), Ok(()));
    assert_eq!(disk.len(), 0);
}

#[test]
fn the_outbox_waits_while_others_fill_the_transmit_buffer() {
    const LARGE: [u8; 100] = [b'x'; 100];
    let disk = Disk::new();
    let (mut world, _inbox, link) = World::connected(Config::narrow(&message(&LARGE)));
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    let client = world.client.clone();
    drop(client.try_publish(&message(&LARGE)).unwrap());
    accept(&mut world, &outbox, message(&LARGE)).take().unwrap();
    world.advance(10_000);
    assert_eq!(link.got().len(), 1);
    link.sends(puback(link.id(1)));
    world.advance(1_000);
    assert_eq!(link.got().len(), 1);
}

#[test]
fn the_outbox_ends_with_the_runner_and_goes_on_with_it() {
    let disk = filled();
    let (mut world, _inbox, link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    let (end, _) = run(&mut world, &outbox);
    world.run();
    link.got();
    let client = world.client.clone();
    world.finish(async move { client.disconnect().await });
    assert_eq!(end.take(), RunError::Stopped(LinkEnd::Disconnected));
    world.start(Config::new().options);
    run(&mut world, &outbox);
    let link = world.link();
    link.sends(CONNACK);
    world.run();
    // The client has them still: none is sent twice.
    assert_eq!(link.got().len(), 4, "CONNECT and three messages");
    for number in 1..=3 {
        link.sends(puback(link.id(number)));
    }
    world.run();
    assert_eq!(disk.len(), 4);
}

#[test]
fn a_store_that_fails_ends_the_flush_and_loses_nothing() {
    let disk = filled();
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = outbox(&world.client, &disk);
    disk.lock().broken = true;
    let (end, _) = run(&mut world, &outbox);
    world.run();
    assert_eq!(end.take(), RunError::Store(Broken));
    assert_eq!(
        accept(&mut world, &outbox, message(b"x")).take(),
        Err(AcceptError::Store(Broken))
    );
    disk.lock().broken = false;
    run(&mut world, &outbox);
    world.run();
    assert_eq!(received(&mut world), ["0", "1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_record_of_another_version_is_told_of() {
    let disk = Disk::new();
    disk.lock().records.push(vec![9, 0, 0, 0, 0xf2, 1, 2, 3]);
    let (mut world, _inbox) = World::with_broker(Config::new());
    let outbox = outbox(&world.client, &disk);
    let (_, losses) = run(&mut world, &outbox);
    accept(&mut world, &outbox, message(b"x")).take().unwrap();
    assert_eq!(*losses.borrow(), [(String::new(), Loss::Unreadable)]);
    assert_eq!(received(&mut world), ["x"]);
    assert_eq!(disk.len(), 0);
}

/// Publishes its messages in turn; notes those that were accepted.
async fn publish_all(
    knife: Knife,
    outbox: Rc<Outbox>,
    topic: &'static str,
    accepted: Rc<RefCell<Vec<(&'static str, u8)>>>,
) {
    for n in 0..5_u8 {
        let payload = [n];
        let qos = if n % 2 == 0 { Q1 } else { Q2 };
        let message = Message::new(topic, &payload).qos(qos);
        knife
            .on(async || outbox.publish(&message).await)
            .await
            .unwrap();
        accepted.borrow_mut().push((topic, n));
    }
}

/// One run of the scenario, in which one future is dropped at one poll; whether that came to be.
fn is_kept_when_a_future_is_dropped(poll: usize, after: bool, policy: OutboxPolicy) -> bool {
    let disk = Disk::of(4);
    let mut config = Config::new();
    config.profile = crate::support::Profile::ROUGH;
    let (mut world, _inbox) = World::with_broker(config);
    let outbox = outbox(&world.client, &disk);
    outbox.set_policy(policy);
    let knife = Knife::new(poll, after);
    let accepted = Rc::new(RefCell::new(Vec::new()));
    let done: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|topic| {
            let publishing = publish_all(knife.clone(), outbox.clone(), topic, accepted.clone());
            world.spawn(topic, publishing)
        })
        .collect();
    let (flushing, flusher) = (outbox.clone(), knife.clone());
    world.spawn("outbox", async move {
        loop {
            let run = async || {
                flushing
                    .run(|_, _| Ok(()), |_, loss| panic!("{loss}"))
                    .await
            };
            let end = flusher.on(run).await;
            assert!(matches!(end, RunError::Stopped(_)), "{end:?}");
            yield_now().await;
        }
    });
    world.advance(1_000);
    assert!(done.iter().all(Outcome::is_ready), "poll {poll}");
    assert_eq!(disk.len(), 0, "poll {poll}");
    let Counters {
        dropped, replaced, ..
    } = outbox.counters();
    let given_up = usize::try_from(dropped + replaced).unwrap();
    let accepted = accepted.take();
    let received = &world.broker().received;
    let first = |(topic, n): &(&str, u8)| {
        let found = received.iter();
        let is_it = |(t, payload): &(String, Vec<u8>)| t == topic && payload[..] == [*n];
        found.clone().position(is_it)
    };
    let arrivals: Vec<_> = accepted
        .iter()
        .map(|message| (message.0, first(message)))
        .collect();
    let missing = arrivals.iter().filter(|(_, at)| at.is_none()).count();
    assert!(
        missing <= given_up,
        "poll {poll}: {missing} of {accepted:?} missing"
    );
    for topic in ["a", "b"] {
        let order: Vec<_> = arrivals
            .iter()
            .filter(|(t, _)| *t == topic)
            .filter_map(|(_, at)| *at)
            .collect();
        assert!(order.is_sorted(), "poll {poll}: {order:?}");
    }
    knife.has_struck()
}

#[test]
fn nothing_accepted_is_lost_whichever_future_is_dropped() {
    for policy in [
        OutboxPolicy::Wait,
        OutboxPolicy::DropOldest,
        OutboxPolicy::KeepLatest,
    ] {
        for after in [false, true] {
            let mut poll = 0;
            while is_kept_when_a_future_is_dropped(poll, after, policy) {
                poll += 1;
            }
            assert!(poll > 50, "{poll}");
        }
    }
}

#[test]
fn a_message_is_a_message_of_its_quality_of_service() {
    let disk = Disk::new();
    let (mut world, _inbox, link) = World::connected(Config::new());
    let outbox = outbox(&world.client, &disk);
    run(&mut world, &outbox);
    let message = Message::new("t", b"x").qos(QoS::ExactlyOnce).retain();
    accept(&mut world, &outbox, message).take().unwrap();
    let seen = link.packets(|packet| match packet {
        mqtt_core::codec::Packet::Publish(publish) => Some((publish.qos, publish.retain)),
        _ => None,
    });
    assert_eq!(seen, [Some((QoS::ExactlyOnce, true))]);
}
