//! What a user of the asynchronous client sees of messages: publishing, deliveries, subscriptions, the guard of a
//! received message.

use std::{cell::RefCell, rc::Rc};

use crate::support::{
    Config, Delivery, World,
    executor::{Cut, Gate, yield_now},
    wire::{self, CONNACK, puback, pubcomp, publish, pubrec, pubrel},
    world::{Q0, Q1, Q2, V3},
};
use mqtt_core::{
    Message, Publication, QoS,
    client::{LinkEnd, Stopped, SubscribeError},
    codec::{EncodeError, Properties, ReasonCode, Subscription, TopicFilter, Writer},
    session::{DeliveryError, OutboxPolicy, PublishError},
};

const HELLO: Message<'static> = Message::new("t", b"hello");

/// A world in which one message of 100 bytes fits, and a second does not.
fn narrow() -> Config {
    Config::narrow(&large("a"))
}

const LARGE: [u8; 100] = [b'x'; 100];

fn large(topic: &'static str) -> Message<'static> {
    Message::new(topic, &LARGE).at_least_once()
}

#[test]
fn at_most_once_is_delivered_when_the_link_has_taken_it() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    link.stalls();
    let client = world.client.clone();
    let mut delivery = world.finish(async move { client.publish(&HELLO).await.unwrap() });
    assert_eq!(link.got(), [""; 0]);
    link.recovers();
    world.expect(&link, &["PUBLISH q0 t=hello"]);
    assert_eq!(delivery.try_acknowledged(), Some(Ok(ReasonCode::SUCCESS)));
}

#[test]
fn at_least_once_is_delivered_when_puback_came() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let outcome = world.spawn("publisher", async move {
        let mut delivery = client.publish(&HELLO.at_least_once()).await.unwrap();
        delivery.acknowledged().await
    });
    world.expect(&link, &["PUBLISH q1 #1 t=hello"]);
    assert!(!outcome.is_ready());
    link.sends(puback(link.id(1)));
    world.run();
    assert_eq!(outcome.take(), Ok(ReasonCode::SUCCESS));
}

#[test]
fn exactly_once_is_delivered_when_pubcomp_came() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let outcome = world.spawn("publisher", async move {
        let mut delivery = client.publish(&HELLO.exactly_once()).await.unwrap();
        delivery.acknowledged().await
    });
    world.expect(&link, &["PUBLISH q2 #1 t=hello"]);
    link.sends(pubrec(link.id(1)));
    world.expect(&link, &["PUBREL 1"]);
    assert!(!outcome.is_ready());
    link.sends(pubcomp(link.id(1)));
    world.run();
    assert_eq!(outcome.take(), Ok(ReasonCode::SUCCESS));
}

#[test]
fn what_is_published_before_the_first_link_goes_out_on_it_in_order() {
    let (mut world, _inbox) = World::new(Config::new());
    let client = world.client.clone();
    for qos in [Q1, Q0, Q2] {
        let delivery = client.try_publish(&HELLO.qos(qos));
        drop(delivery.unwrap());
    }
    world.start(Config::new().options);
    let link = world.link();
    world.expect(&link, &["CONNECT dev clean"]);
    link.sends(CONNACK);
    world.expect(
        &link,
        &[
            "PUBLISH q1 #1 t=hello",
            "PUBLISH q0 t=hello",
            "PUBLISH q2 #2 t=hello",
        ],
    );
}

#[test]
fn a_dropped_delivery_does_not_call_the_message_off() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    drop(world.client.try_publish(&HELLO.exactly_once()).unwrap());
    world.expect(&link, &["PUBLISH q2 #1 t=hello"]);
    link.sends(pubrec(link.id(1)));
    world.expect(&link, &["PUBREL 1"]);
    link.sends(pubcomp(link.id(1)));
    world.run();
    assert_eq!(world.client.report().session.delivered, 1);
}

#[test]
fn a_delivery_waits_over_a_reconnect() {
    let (mut world, _inbox, link) =
        World::connected(Config::new().options(|o| o.clean_session = false));
    let client = world.client.clone();
    let outcome = world.spawn("publisher", async move {
        let mut delivery = client.publish(&HELLO.at_least_once()).await.unwrap();
        delivery.acknowledged().await
    });
    world.expect(&link, &["PUBLISH q1 #1 t=hello"]);
    link.hangs_up();
    let link = world.reconnect(true);
    world.expect(&link, &["PUBLISH dup q1 #1 t=hello"]);
    assert!(!outcome.is_ready());
    link.sends(puback(link.id(1)));
    world.run();
    assert_eq!(outcome.take(), Ok(ReasonCode::SUCCESS));
}

#[test]
fn each_delivery_gets_its_own_outcome() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let mut deliveries: Vec<Delivery> = ["a", "b", "c"]
        .map(|topic| Message::new(topic, b"").at_least_once())
        .iter()
        .map(|message| world.client.try_publish(message).unwrap())
        .collect();
    world.expect(
        &link,
        &["PUBLISH q1 #1 a=", "PUBLISH q1 #2 b=", "PUBLISH q1 #3 c="],
    );
    link.sends(puback(link.id(2)));
    world.run();
    let known = |deliveries: &mut [Delivery]| {
        let known = deliveries
            .iter_mut()
            .map(|d| d.try_acknowledged().is_some());
        known.collect::<Vec<_>>()
    };
    assert_eq!(known(&mut deliveries), [false, true, false]);
    link.sends([puback(link.id(3)), puback(link.id(1))].concat());
    world.run();
    assert_eq!(known(&mut deliveries), [true, true, true]);
}

#[test]
fn an_outcome_is_told_as_often_as_it_is_asked_for() {
    let (mut world, _inbox, _link) = World::connected(Config::new());
    let mut delivery = world.client.try_publish(&HELLO).unwrap();
    world.run();
    let outcome = world.finish(async move {
        let first = delivery.acknowledged().await;
        let second = delivery.acknowledged().await;
        (first, second, delivery.try_acknowledged())
    });
    let success = Ok(ReasonCode::SUCCESS);
    assert_eq!(outcome, (success, success, Some(success)));
}

#[test]
fn a_delivery_fails_when_the_runner_ends_and_succeeds_in_its_next_run() {
    let config = Config::new().options(|o| o.clean_session = false);
    let (mut world, _inbox, link) = World::connected(config);
    let delivery = Rc::new(RefCell::new(
        world.client.try_publish(&HELLO.at_least_once()).unwrap(),
    ));
    let wait = |delivery: &Rc<RefCell<Delivery>>| {
        let delivery = delivery.clone();
        #[allow(clippy::await_holding_refcell_ref, reason = "the only user at a time")]
        async move {
            delivery.borrow_mut().acknowledged().await
        }
    };
    let stopped = world.spawn("waits", wait(&delivery));
    world.expect(&link, &["PUBLISH q1 #1 t=hello"]);
    let client = world.client.clone();
    world.finish(async move { client.disconnect().await });
    assert_eq!(stopped.take(), Err(DeliveryError::Stopped));

    world.start(config.options);
    let link = world.link();
    let again = world.spawn("waits again", wait(&delivery));
    world.expect(&link, &["CONNECT dev"]);
    link.sends(wire::CONNACK_PRESENT);
    world.expect(&link, &["PUBLISH dup q1 #1 t=hello"]);
    link.sends(puback(link.id(1)));
    world.run();
    assert_eq!(again.take(), Ok(ReasonCode::SUCCESS));
}

/// Its payload cannot be written.
struct Broken;

impl Publication for Broken {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(b"t")
    }

    fn write_payload(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
        Err(EncodeError::InvalidValue)
    }
}

#[test]
fn a_publication_that_is_none_is_refused_at_once_and_leaves_no_trace() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let refused = world.finish(async move {
        [
            client.publish(&Message::new("a/+", b"")).await.err(),
            client.publish(&Message::new("", b"")).await.err(),
            client.publish(&Message::new("t", &[0; 2000])).await.err(),
            client.publish(&Broken).await.err(),
        ]
    });
    assert!(matches!(refused[0], Some(PublishError::Topic(_))));
    assert!(matches!(refused[1], Some(PublishError::Topic(_))));
    assert_eq!(refused[2], Some(PublishError::TooLarge));
    assert_eq!(
        refused[3],
        Some(PublishError::Encode(EncodeError::InvalidValue))
    );
    world.expect(&link, &[]);
    assert_eq!(world.client.report().session.published, 0);
}

#[test]
fn publish_waits_for_room_until_an_acknowledgement_makes_some() {
    let (mut world, _inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    assert!(!second.is_ready());
    link.sends(puback(link.id(1)));
    world.expect(&link, &["PUBLISH q1 #2 b=<100 bytes>"]);
    assert_eq!(second.take(), Ok(()));
}

#[test]
fn publish_gets_the_room_of_a_delivery_whose_outcome_was_fetched_or_dropped() {
    let cases = [(false, false), (false, true), (true, false), (true, true)];
    for ((fetch, backwards), config) in cases.into_iter().zip([
        narrow(),
        Config::short(&HELLO),
        Config::short(&HELLO),
        narrow(),
    ]) {
        let (mut world, _inbox, link) = World::connected(config);
        world.executor.backwards = backwards;
        let client = world.client.clone();
        let delivery = client.try_publish(&large("a")).unwrap();
        let second = world.spawn("second", async move {
            client.publish(&large("b")).await.map(drop)
        });
        world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
        link.sends(puback(link.id(1)));
        world.run();
        if fetch {
            let mut delivery = delivery;
            world
                .finish(async move { delivery.acknowledged().await.map(drop) })
                .unwrap();
        } else {
            drop(delivery);
        }
        world.expect(&link, &["PUBLISH q1 #2 b=<100 bytes>"]);
        assert_eq!(second.take(), Ok(()));
    }
}

#[test]
fn publish_that_waits_for_room_ends_with_the_runner() {
    let (mut world, _inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    let client = world.client.clone();
    world.finish(async move { client.disconnect().await });
    assert_eq!(second.take(), Err(PublishError::Stopped));
    // And nothing was queued: the next run sends what was accepted.
    assert_eq!(world.client.report().session.published, 1);
}

#[test]
fn other_outbox_policies_never_wait() {
    for (policy, expected) in [
        (OutboxPolicy::Reject, Err(PublishError::Full)),
        (OutboxPolicy::DropOldest, Ok(())),
        (OutboxPolicy::KeepLatest, Ok(())),
    ] {
        let mut config = narrow();
        // The outcome of the first is kept, which may take some bytes.
        config.tx += 40;
        let (mut world, _inbox) = World::started(config);
        let client = world.client.clone();
        client.set_outbox_policy(policy);
        let mut first = client.try_publish(&large("a")).unwrap();
        let second = world.finish(async move { client.publish(&large("b")).await.map(drop) });
        assert_eq!(second, expected, "{policy:?}");
        let dropped = expected.is_ok().then_some(Err(DeliveryError::Dropped));
        assert_eq!(first.try_acknowledged(), dropped, "{policy:?}");
    }
}

#[test]
fn publish_without_room_is_full_while_a_message_is_held() {
    let (mut world, mut inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    link.sends(publish(Q0, 0, "in", "x"));
    let full = world.finish(async move {
        let message = inbox.next().await.unwrap();
        let reply = client.publish(&large("b")).await.map(drop);
        drop(message);
        (reply, inbox)
    });
    assert_eq!(full.0, Err(PublishError::Full));
}

#[test]
fn publish_without_room_is_full_while_a_message_waits_untaken() {
    let (mut world, _inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    link.sends(publish(Q0, 0, "in", "x"));
    world.run();
    let full = world.finish(async move { client.publish(&large("b")).await.map(drop) });
    assert_eq!(full, Err(PublishError::Full));
}

#[test]
fn publish_that_waits_already_is_full_when_a_message_comes_that_nobody_takes() {
    let (mut world, _inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    assert!(!second.is_ready());
    link.sends([publish(Q0, 0, "in", "x"), puback(link.id(1))].concat());
    world.run();
    assert_eq!(second.take(), Err(PublishError::Full));
}

#[test]
fn publish_that_waits_already_goes_on_while_the_message_that_came_is_held() {
    let (mut world, mut inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    let gate = Gate::default();
    let wait = gate.clone();
    world.spawn("holder", async move {
        let message = inbox.next().await.unwrap();
        wait.wait().await;
        drop(message);
        inbox
    });
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    link.sends([publish(Q0, 0, "in", "x"), puback(link.id(1))].concat());
    world.run();
    // PUBACK lies behind the message, and is read when that is done with.
    assert!(!second.is_ready());
    gate.open();
    world.expect(&link, &["PUBLISH q1 #2 b=<100 bytes>"]);
    assert_eq!(second.take(), Ok(()));
}

/// `next` is dropped when it was woken for a message, before it could take it.
fn next_is_dropped_beside_a_publish_that_waits(inbox_stays: bool) -> Result<(), PublishError> {
    let (mut world, inbox, link) = World::connected(narrow());
    let client = world.client.clone();
    drop(client.try_publish(&large("a")).unwrap());
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    let inbox = Rc::new(RefCell::new(inbox));
    let borrowed = inbox.clone();
    let inbox = inbox_stays.then_some(inbox);
    #[allow(clippy::await_holding_refcell_ref, reason = "the only user at a time")]
    let next = world.spawn("next", async move {
        borrowed.borrow_mut().next().await.map(drop)
    });
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    let polls = world.executor.polls(next.index());
    world.executor.cut(next.index(), Cut::Before(polls));
    link.sends(publish(Q0, 0, "in", "x"));
    world.run();
    if !inbox_stays {
        assert!(!second.is_ready());
        link.sends(puback(link.id(1)));
        world.expect(&link, &["PUBLISH q1 #2 b=<100 bytes>"]);
    }
    drop(inbox);
    second.take()
}

#[test]
fn publish_that_waits_is_full_when_the_inbox_no_longer_waits() {
    let result = next_is_dropped_beside_a_publish_that_waits(true);
    assert_eq!(result, Err(PublishError::Full));
}

#[test]
fn publish_that_waits_goes_on_when_the_inbox_was_dropped_with_its_message() {
    let result = next_is_dropped_beside_a_publish_that_waits(false);
    assert_eq!(result, Ok(()));
}

#[test]
fn a_reply_is_published_while_the_message_is_read() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    link.sends(publish(Q1, 7, "question", "41 + 1"));
    let answered = world.spawn("answers", async move {
        let message = inbox.next().await.unwrap();
        assert_eq!(message.topic(), "question");
        let delivery = client
            .publish(&Message::new("answer", message.payload()))
            .await;
        drop(delivery.unwrap());
        yield_now().await;
        assert_eq!(message.payload(), b"41 + 1");
    });
    world.expect(&link, &["PUBLISH q0 answer=41 + 1", "PUBACK 7"]);
    answered.take();
}

#[test]
fn a_message_is_acknowledged_when_it_is_dropped_and_not_before() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([publish(Q1, 7, "a", "1"), publish(Q2, 8, "b", "2")].concat());
    world.run();
    let first = inbox.try_next().expect("a message");
    assert_eq!((first.topic().as_str(), first.qos()), ("a", Q1));
    world.expect(&link, &[]);
    drop(first);
    world.expect(&link, &["PUBACK 7"]);
    let second = inbox.try_next().expect("a message");
    assert_eq!((second.topic().as_str(), second.qos()), ("b", Q2));
    world.expect(&link, &[]);
    drop(second);
    world.expect(&link, &["PUBREC 8"]);
    link.sends(pubrel(8));
    world.expect(&link, &["PUBCOMP 8"]);
    assert!(inbox.try_next().is_none());
}

#[test]
fn a_message_tells_all_that_came_with_it() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([0x3b, 9, 0, 3, b'a', b'/', b'b', 0, 9, b'h', b'i']);
    world.run();
    let message = inbox.try_next().expect("a message");
    assert_eq!(message.topic(), "a/b");
    assert_eq!(message.payload(), b"hi");
    assert_eq!(message.qos(), Q1);
    assert!(message.retain() && message.dup() && message.is_whole());
    assert_eq!(message.total_len(), 2);
    assert_eq!(message.properties(), Properties::NONE);
    assert_eq!(message.publish().packet_identifier, Some(wire::id(9)));
}

#[test]
fn a_whole_message_has_no_chunks() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends(publish(Q1, 7, "a", "1"));
    let chunk = world.finish(async move {
        let mut message = inbox.next().await.unwrap();
        message.chunk().await.map(|chunk| chunk.map(<[u8]>::to_vec))
    });
    assert_eq!(chunk, Ok(None));
}

#[test]
fn an_acknowledgement_can_be_deferred() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([publish(Q1, 7, "a", "1"), publish(Q0, 0, "b", "2")].concat());
    world.run();
    let token = inbox
        .try_next()
        .unwrap()
        .defer_ack()
        .expect("a token at QoS 1");
    assert_eq!(inbox.try_next().unwrap().defer_ack(), None);
    world.expect(&link, &[]);
    world.client.acknowledge(token);
    world.expect(&link, &["PUBACK 7"]);
    // A token is good for one acknowledgement.
    world.client.acknowledge(token);
    world.expect(&link, &[]);
}

#[test]
fn deferred_acknowledgements_go_out_in_the_order_of_the_messages() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    for id in 1..=3 {
        link.sends(publish(Q1, id, "a", "1"));
    }
    world.run();
    let tokens: Vec<_> = (0..3)
        .map(|_| inbox.try_next().unwrap().defer_ack().unwrap())
        .collect();
    world.client.acknowledge(tokens[2]);
    world.expect(&link, &[]);
    world.client.acknowledge(tokens[0]);
    world.expect(&link, &["PUBACK 1"]);
    world.client.acknowledge(tokens[1]);
    world.expect(&link, &["PUBACK 2", "PUBACK 3"]);
}

#[test]
fn a_token_of_an_earlier_link_does_nothing() {
    let config = Config::new().options(|o| o.clean_session = false);
    let (mut world, mut inbox, link) = World::connected(config);
    link.sends(publish(Q1, 7, "a", "1"));
    world.run();
    let token = inbox.try_next().unwrap().defer_ack().unwrap();
    link.hangs_up();
    let link = world.reconnect(true);
    link.sends(publish(Q1, 7, "a", "1"));
    world.run();
    world.client.acknowledge(token);
    world.expect(&link, &[]);
    drop(inbox.try_next().expect("the repetition"));
    world.expect(&link, &["PUBACK 7"]);
}

#[test]
fn on_3_1_1_a_rejected_message_is_acknowledged_like_any_other() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([publish(Q1, 7, "a", "1"), publish(Q1, 8, "a", "2")].concat());
    world.run();
    inbox.try_next().unwrap().reject(ReasonCode::NOT_AUTHORIZED);
    world.expect(&link, &["PUBACK 7"]);
    let token = inbox.try_next().unwrap().defer_ack().unwrap();
    world.client.reject(token, ReasonCode::NOT_AUTHORIZED);
    world.expect(&link, &["PUBACK 8"]);
}

#[test]
fn nothing_is_read_from_the_link_while_a_message_is_held() {
    let mut config = Config::new();
    config.rx = 64;
    let (mut world, mut inbox, link) = World::connected(config);
    for n in 0..20_u8 {
        link.sends(publish(Q0, 0, "counter", [n; 20]));
    }
    world.run();
    let message = inbox.try_next().unwrap();
    let unread = link.unread();
    assert!(unread > 0);
    world.advance(10_000);
    assert_eq!(link.unread(), unread);
    drop(message);
    for n in 1..20_u8 {
        world.run();
        assert_eq!(
            inbox.try_next().expect("the next message").payload(),
            [n; 20]
        );
    }
}

#[test]
fn next_that_was_dropped_when_a_message_was_ready_loses_nothing() {
    let (mut world, inbox, link) = World::connected(Config::new());
    let inbox = Rc::new(RefCell::new(inbox));
    let borrowed = inbox.clone();
    #[allow(clippy::await_holding_refcell_ref, reason = "the only user at a time")]
    let next = world.spawn("next", async move {
        borrowed.borrow_mut().next().await.map(drop)
    });
    world.run();
    let polls = world.executor.polls(next.index());
    world.executor.cut(next.index(), Cut::Before(polls));
    link.sends(publish(Q1, 7, "a", "1"));
    world.expect(&link, &[]);
    assert!(!next.is_ready());
    let mut inbox = inbox.borrow_mut();
    assert_eq!(inbox.try_next().expect("the message").payload(), b"1");
    world.expect(&link, &["PUBACK 7"]);
}

#[test]
fn a_guard_that_was_forgotten_holds_nothing_up() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([publish(Q1, 7, "a", "1"), publish(Q1, 8, "a", "2")].concat());
    world.run();
    std::mem::forget(inbox.try_next().unwrap());
    assert_eq!(inbox.try_next().unwrap().payload(), b"2");
    world.run();
    // The first stays unacknowledged, and so does what comes behind it.
    world.expect(&link, &[]);
    link.sends(publish(Q0, 0, "a", "3"));
    world.run();
    assert_eq!(inbox.try_next().unwrap().payload(), b"3");
}

/// MQTT 3.1.1 [MQTT-4.5.0-2]
#[test]
fn messages_are_acknowledged_unseen_when_the_inbox_was_dropped() {
    let (mut world, inbox, link) = World::connected(Config::new());
    link.sends([publish(Q1, 7, "a", "1"), publish(Q1, 8, "a", "2")].concat());
    world.expect(&link, &[]);
    drop(inbox);
    world.expect(&link, &["PUBACK 7", "PUBACK 8"]);
    link.sends(publish(Q2, 9, "a", "3"));
    world.expect(&link, &["PUBREC 9"]);
    link.sends(pubrel(9));
    world.expect(&link, &["PUBCOMP 9"]);
    assert_eq!(world.client.report().discarded, 3);
    drop(world.client.try_publish(&HELLO).unwrap());
    world.expect(&link, &["PUBLISH q0 t=hello"]);
}

#[test]
fn an_inbox_that_was_dropped_with_a_message_out_of_hand_blocks_nobody() {
    let (mut world, mut inbox, link) = World::connected(narrow());
    drop(world.client.try_publish(&large("a")).unwrap());
    link.sends(publish(Q0, 0, "in", "1"));
    world.run();
    std::mem::forget(inbox.try_next().unwrap());
    drop(inbox);
    world.expect(&link, &["PUBLISH q1 #1 a=<100 bytes>"]);
    let client = world.client.clone();
    let second = world.spawn("second", async move {
        client.publish(&large("b")).await.map(drop)
    });
    world.run();
    assert!(!second.is_ready());
    link.sends(puback(link.id(1)));
    world.run();
    assert_eq!(second.take(), Ok(()));
}

#[test]
fn next_ends_with_the_runner_and_goes_on_with_its_next_run() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    link.sends([publish(Q0, 0, "a", "1"), publish(Q0, 0, "a", "2")].concat());
    world.run();
    let client = world.client.clone();
    let gone = world.spawn("gone", async move { client.disconnect().await });
    let mut inbox = {
        // What has been received is still given out, then the end.
        assert_eq!(inbox.try_next().unwrap().payload(), b"1");
        world.run();
        gone.take();
        let (end, inbox) = world.finish(async move {
            let end = loop {
                match inbox.next().await {
                    Ok(message) => assert_eq!(message.payload(), b"2"),
                    Err(end) => break end,
                }
            };
            (end, inbox)
        });
        assert_eq!(end, Stopped(LinkEnd::Disconnected));
        inbox
    };
    world.start(Config::new().options);
    let link = world.link();
    link.sends(CONNACK);
    link.sends(publish(Q0, 0, "a", "3"));
    let payload = world.finish(async move { inbox.next().await.unwrap().payload().to_vec() });
    assert_eq!(payload, b"3");
}

#[test]
fn subscribe_tells_the_granted_qos_or_the_refusal() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let subscribe = |world: &mut World, filter: &'static str, qos: QoS| {
        let client = world.client.clone();
        world.spawn(
            "subscriber",
            async move { client.subscribe(filter, qos).await },
        )
    };
    let granted = subscribe(&mut world, "a/+", Q2);
    let refused = subscribe(&mut world, "b", Q1);
    world.expect(&link, &["SUBSCRIBE 1 a/+:2", "SUBSCRIBE 2 b:1"]);
    link.sends(
        [
            wire::suback(V3, link.id(2), &[0x80]),
            wire::suback(V3, link.id(1), &[1]),
        ]
        .concat(),
    );
    world.run();
    assert_eq!(granted.take(), Ok(Q1));
    assert_eq!(
        refused.take(),
        Err(SubscribeError::Rejected(ReasonCode::UNSPECIFIED_ERROR))
    );
    let wrong = subscribe(&mut world, "a/#/b", Q1);
    world.expect(&link, &[]);
    assert!(matches!(
        wrong.take(),
        Err(SubscribeError::Request(PublishError::Topic(_)))
    ));
}

#[test]
fn several_filters_get_an_answer_each() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let codes = world.spawn("subscriber", async move {
        let filters = ["a", "b/#", "c"].map(|filter| TopicFilter::new(filter).unwrap());
        let subscriptions = filters.map(|filter| Subscription::new(filter, Q2));
        let mut codes = [ReasonCode::SUCCESS; 3];
        let answer = client.subscribe_all(&subscriptions, Properties::NONE, &mut codes);
        answer.await.map(|()| codes.map(ReasonCode::value))
    });
    world.expect(&link, &["SUBSCRIBE 1 a:2 b/#:2 c:2"]);
    link.sends(wire::suback(V3, link.id(1), &[2, 0x80, 0]));
    world.run();
    assert_eq!(codes.take(), Ok([2, 0x80, 0]));

    let client = world.client.clone();
    let ended = world.spawn("unsubscriber", async move {
        let filters = ["a", "b/#"].map(|filter| TopicFilter::new(filter).unwrap());
        let mut codes = [ReasonCode::UNSPECIFIED_ERROR; 2];
        let answer = client.unsubscribe_all(&filters, Properties::NONE, &mut codes);
        answer.await.map(|()| codes)
    });
    world.expect(&link, &["UNSUBSCRIBE 2 a b/#"]);
    assert!(!ended.is_ready());
    link.sends(wire::unsuback(V3, link.id(2), &[]));
    world.run();
    assert_eq!(ended.take(), Ok([ReasonCode::SUCCESS; 2]));
}

#[test]
fn unsubscribe_waits_for_its_answer() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let ended = world.spawn("unsubscriber", async move { client.unsubscribe("a").await });
    world.expect(&link, &["UNSUBSCRIBE 1 a"]);
    assert!(!ended.is_ready());
    link.sends(wire::unsuback(V3, link.id(1), &[]));
    world.run();
    assert_eq!(ended.take(), Ok(()));
}

#[test]
fn a_subscription_request_is_kept_over_a_reconnect() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let granted = world.spawn("subscriber", async move { client.subscribe("a", Q1).await });
    world.expect(&link, &["SUBSCRIBE 1 a:1"]);
    link.hangs_up();
    let link = world.reconnect(false);
    world.expect(&link, &["SUBSCRIBE 1 a:1"]);
    link.sends(wire::suback(V3, link.id(1), &[1]));
    world.run();
    assert_eq!(granted.take(), Ok(Q1));
}

#[test]
fn a_dropped_subscribe_is_answered_all_the_same() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let request = world.spawn("subscriber", async move { client.subscribe("a", Q1).await });
    world.expect(&link, &["SUBSCRIBE 1 a:1"]);
    world.executor.drop_task(request.index());
    link.sends(wire::suback(V3, link.id(1), &[1]));
    drop(world.client.try_publish(&HELLO.at_least_once()).unwrap());
    world.expect(&link, &["PUBLISH q1 #2 t=hello"]);
    assert_eq!(world.links(), 1);
}

#[test]
fn subscribe_ends_with_the_runner() {
    let (mut world, _inbox, _link) = World::connected(Config::new());
    let client = world.client.clone();
    let request = world.spawn("subscriber", async move { client.subscribe("a", Q1).await });
    world.run();
    let client = world.client.clone();
    world.finish(async move { client.disconnect().await });
    assert_eq!(
        request.take(),
        Err(SubscribeError::Request(PublishError::Stopped))
    );
}

#[test]
fn many_tasks_publish_while_one_receives() {
    const TASKS: usize = 12;
    const EACH: usize = 25;
    for (rough, backwards) in [(false, false), (true, false), (true, true)] {
        let mut config = Config::new();
        config.tx = 500;
        if rough {
            config.profile = crate::support::Profile::ROUGH;
        }
        let (mut world, mut inbox) = World::with_broker(config);
        world.executor.backwards = backwards;
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        world.spawn("receiver", async move {
            loop {
                let Ok(message) = inbox.next().await else {
                    return;
                };
                yield_now().await;
                log.borrow_mut().push(message.payload().to_vec());
            }
        });
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let client = world.client.clone();
                world.spawn("publisher", async move {
                    for n in 0..EACH {
                        let payload = format!("{task}:{n}");
                        let qos = QoS::from_u8(u8::try_from((task + n) % 3).unwrap()).unwrap();
                        let message = Message::new("t", payload.as_bytes()).qos(qos);
                        let mut delivery = loop {
                            match client.publish(&message).await {
                                Ok(delivery) => break delivery,
                                Err(PublishError::Full) => yield_now().await,
                                Err(error) => panic!("{error}"),
                            }
                        };
                        assert_eq!(delivery.acknowledged().await, Ok(ReasonCode::SUCCESS));
                    }
                })
            })
            .collect();
        for n in 0..60_u8 {
            let qos = QoS::from_u8(n % 3).unwrap();
            world.broker().publishes(qos, "in", [n]);
        }
        world.run();
        for task in tasks {
            task.take();
        }
        let broker = world.broker();
        let mut arrived: Vec<_> = broker.received.iter().map(|(_, p)| p.clone()).collect();
        assert_eq!(arrived.len(), TASKS * EACH);
        arrived.sort();
        arrived.dedup();
        assert_eq!(arrived.len(), TASKS * EACH);
        assert!(broker.is_idle());
        let expected: Vec<_> = (0..60_u8).map(|n| vec![n]).collect();
        assert_eq!(*seen.borrow(), expected);
        assert_eq!(world.links(), 1);
        let session = world.client.report().session;
        assert_eq!(session.delivered as usize, TASKS * EACH);
        assert_eq!((session.failed, session.received), (0, 60));
    }
}
