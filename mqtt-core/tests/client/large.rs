//! Messages larger than a buffer: received piece by piece or skipped, and published from a reader.

use std::{cell::RefCell, future::poll_fn, pin::pin, rc::Rc, task::Poll};

use crate::support::{
    Config, Inbox, Link, World,
    executor::{Cut, Gate},
    wire::{self, puback, pubcomp, publish, pubrec, pubrel},
    world::{Q0, Q1, Q2, V3},
};
use embedded_io_async::{ErrorKind, ErrorType, Read};
use mqtt_core::{
    Message, QoS,
    client::{LinkEnd, StreamError},
    codec::ReasonCode,
    session::{DeliveryError, Oversize, PublishError, SessionError},
};

/// A receive buffer of 64 bytes, and pieces are delivered.
fn streaming() -> Config {
    let mut config = Config::new().options(|o| {
        o.oversize = Oversize::Stream;
        o.clean_session = false;
    });
    config.rx = 64;
    config
}

fn skipping() -> Config {
    streaming().options(|o| o.oversize = Oversize::Skip)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

/// What a task has read of a message so far.
#[derive(Clone, Default)]
struct Reading(Rc<RefCell<(Vec<u8>, usize)>>);

impl Reading {
    fn len(&self) -> usize {
        self.0.borrow().0.len()
    }

    fn chunks(&self) -> usize {
        self.0.borrow().1
    }

    fn add(&self, chunk: &[u8]) {
        assert!(!chunk.is_empty());
        let mut inner = self.0.borrow_mut();
        inner.0.extend(chunk);
        inner.1 += 1;
    }
}

/// Reads one message to its end, or to an error.
async fn read_one(inbox: &mut Inbox, reading: &Reading) -> Result<(), LinkEnd> {
    let mut message = inbox.next().await.expect("a message");
    assert!(!message.is_whole());
    assert_eq!(message.topic(), "big");
    assert_eq!(message.payload(), b"");
    while let Some(chunk) = message.chunk().await? {
        reading.add(chunk);
    }
    assert_eq!(message.topic(), "big");
    assert_eq!(message.total_len() as usize, reading.len());
    // And the end stays the end.
    assert_eq!(message.chunk().await, Ok(None));
    Ok(())
}

#[test]
fn a_large_message_comes_in_pieces_and_is_acknowledged_after_the_last() {
    for profile in [
        crate::support::Profile::SMOOTH,
        crate::support::Profile::ROUGH,
    ] {
        let mut config = streaming();
        config.profile = profile;
        let (mut world, mut inbox, link) = World::connected(config);
        let reading = Reading::default();
        let log = reading.clone();
        let read = world.spawn("reader", async move {
            read_one(&mut inbox, &log).await.unwrap();
            inbox
        });
        let packet = publish(Q1, 7, "big", bytes(1000));
        let (head, tail) = packet.split_at(packet.len() - 1);
        link.sends(head);
        world.expect(&link, &[]);
        assert_eq!(reading.len(), 999);
        assert!(!read.is_ready());
        link.sends(tail);
        link.sends(publish(Q1, 8, "small", "x"));
        world.expect(&link, &["PUBACK 7"]);
        assert_eq!(reading.0.borrow().0, bytes(1000));
        assert!(reading.chunks() > 10);
        let mut inbox = read.take();
        assert_eq!(inbox.try_next().unwrap().topic(), "small");
        world.expect(&link, &["PUBACK 8"]);
    }
}

#[test]
fn exactly_once_of_a_large_message_is_delivered_once() {
    let (mut world, mut inbox, link) = World::connected(streaming());
    let packet = publish(Q2, 7, "big", bytes(500));
    link.sends(&packet);
    let reading = Reading::default();
    let log = reading.clone();
    let read = world.spawn("reader", async move {
        read_one(&mut inbox, &log).await.unwrap();
        inbox
    });
    world.expect(&link, &["PUBREC 7"]);
    link.sends(packet);
    world.expect(&link, &["PUBREC 7"]);
    let mut inbox = read.take();
    assert!(inbox.try_next().is_none());
    link.sends(pubrel(7));
    world.expect(&link, &["PUBCOMP 7"]);
}

#[test]
fn a_skipped_message_tells_topic_and_length_and_has_no_chunks() {
    let (mut world, mut inbox, link) = World::connected(skipping());
    link.sends(publish(Q1, 7, "big", bytes(1000)));
    link.sends(publish(Q1, 8, "small", "x"));
    let told = world.finish(async move {
        let mut message = inbox.next().await.unwrap();
        let told = (
            message.topic().as_str().to_owned(),
            message.total_len(),
            message.is_whole(),
            message.payload().len(),
        );
        assert_eq!(message.chunk().await, Ok(None));
        drop(message);
        assert_eq!(inbox.next().await.unwrap().topic(), "small");
        told
    });
    assert_eq!(told, ("big".into(), 1000, false, 0));
    world.expect(&link, &["PUBACK 7", "PUBACK 8"]);
    assert_eq!(world.client.report().skipped, 1);
}

#[test]
fn a_skipped_message_is_acknowledged_when_all_of_it_has_come() {
    let (mut world, mut inbox, link) = World::connected(skipping());
    let packet = publish(Q1, 7, "big", bytes(1000));
    link.sends(&packet[..900]);
    world.run();
    drop(inbox.try_next().expect("the head"));
    world.expect(&link, &[]);
    link.sends(&packet[900..]);
    world.expect(&link, &["PUBACK 7"]);
}

#[test]
fn a_topic_larger_than_the_buffer_is_empty_and_the_link_lives() {
    for config in [skipping(), streaming()] {
        let (mut world, mut inbox, link) = World::connected(config);
        link.sends(publish(Q1, 7, &"t".repeat(200), bytes(100)));
        link.sends(publish(Q1, 8, "small", "x"));
        world.run();
        let message = inbox.try_next().expect("the head");
        assert_eq!((message.topic().as_str(), message.is_whole()), ("", false));
        drop(message);
        world.expect(&link, &[]);
        assert_eq!(inbox.try_next().unwrap().topic(), "small");
        // The packet identifier of the first was lost with its topic.
        world.expect(&link, &["PUBACK 8"]);
    }
}

#[test]
fn the_rest_of_a_large_message_is_thrown_away_when_its_guard_is_dropped() {
    // After so many chunks, with and without a chunk that is being waited for.
    for (chunks, waiting) in [(0, false), (1, false), (5, false), (0, true), (3, true)] {
        let (mut world, mut inbox, link) = World::connected(streaming());
        let packet = publish(Q1, 7, "big", bytes(1000));
        link.sends(&packet[..500]);
        let gate = Gate::default();
        let wait = gate.clone();
        let dropped = world.spawn("reader", async move {
            let mut message = inbox.next().await.unwrap();
            for _ in 0..chunks {
                assert!(message.chunk().await.unwrap().is_some());
            }
            if waiting {
                // Takes all there is, and drops the future that waits for more.
                loop {
                    let mut chunk = pin!(message.chunk());
                    let mut open = pin!(wait.wait());
                    let more = poll_fn(|cx| {
                        if open.as_mut().poll(cx).is_ready() {
                            return Poll::Ready(false);
                        }
                        let chunk = chunk.as_mut().poll(cx);
                        chunk.map(|chunk| chunk.unwrap().is_some())
                    });
                    if !more.await {
                        break;
                    }
                }
            }
            drop(message);
            inbox
        });
        world.run();
        gate.open();
        // What wakes the reader is the gate alone, or the gate and the next piece.
        for tail in [&packet[500..500], &packet[500..]] {
            link.sends(tail);
        }
        world.expect(&link, &["PUBACK 7"]);
        let mut inbox = dropped.take();
        assert!(inbox.try_next().is_none(), "{chunks} {waiting}");
        let again = publish(Q1, 8, "big", bytes(300));
        link.sends(again);
        let reading = Reading::default();
        let log = reading.clone();
        let read = world.spawn("reader", async move { read_one(&mut inbox, &log).await });
        world.expect(&link, &["PUBACK 8"]);
        read.take().unwrap();
        assert_eq!(reading.0.borrow().0, bytes(300), "{chunks} {waiting}");
    }
}

/// The piece came, but the guard was dropped instead of fetching it.
#[test]
fn a_piece_that_nobody_fetched_is_no_message() {
    for last in [false, true] {
        let (mut world, inbox, link) = World::connected(streaming());
        let packet = publish(Q1, 7, "big", bytes(100));
        let inbox = Rc::new(RefCell::new(inbox));
        let borrowed = inbox.clone();
        #[allow(clippy::await_holding_refcell_ref, reason = "the only user at a time")]
        let reader = world.spawn("reader", async move {
            let mut inbox = borrowed.borrow_mut();
            let mut message = inbox.next().await.unwrap();
            while message.chunk().await.unwrap().is_some() {}
        });
        let most = packet.len() - 10;
        link.sends(&packet[..most]);
        world.run();
        let polls = world.executor.polls(reader.index());
        world.executor.cut(reader.index(), Cut::Before(polls));
        let more = if last { packet.len() } else { most + 5 };
        link.sends(&packet[most..more]);
        world.run();
        link.sends(&packet[more..]);
        link.sends(publish(Q1, 8, "small", "x"));
        world.expect(&link, &["PUBACK 7"]);
        let mut inbox = inbox.borrow_mut();
        assert_eq!(inbox.try_next().unwrap().topic(), "small", "{last}");
        world.expect(&link, &["PUBACK 8"]);
    }
}

#[test]
fn a_forgotten_guard_of_a_large_message_is_no_trap() {
    let (mut world, mut inbox, link) = World::connected(streaming());
    link.sends(publish(Q0, 0, "big", bytes(300)));
    link.sends(publish(Q0, 0, "small", "x"));
    world.run();
    std::mem::forget(inbox.try_next().expect("the head"));
    let topic = world.finish(async move {
        let message = inbox.next().await.unwrap();
        message.topic().as_str().to_owned()
    });
    assert_eq!(topic, "small");
}

#[test]
fn a_dropped_chunk_loses_nothing() {
    let (mut world, mut inbox, link) = World::connected(streaming());
    let packet = publish(Q1, 7, "big", bytes(400));
    let reading = Reading::default();
    let log = reading.clone();
    let read = world.spawn("reader", async move {
        let mut message = inbox.next().await.unwrap();
        loop {
            // Each future is polled once, and dropped if it was pending.
            let mut chunk = Box::pin(message.chunk());
            let polled = poll_fn(|cx| match chunk.as_mut().poll(cx) {
                Poll::Pending => Poll::Ready(None),
                Poll::Ready(chunk) => Poll::Ready(Some(chunk.unwrap())),
            });
            match polled.await {
                Some(Some(chunk)) => log.add(chunk),
                Some(None) => break,
                None => {
                    drop(chunk);
                    crate::support::executor::yield_now().await;
                    if log.len() == 400 {
                        break;
                    }
                }
            }
        }
    });
    for byte in packet {
        link.sends([byte]);
        for _ in 0..5 {
            world.executor.round();
        }
    }
    world.expect(&link, &["PUBACK 7"]);
    read.take();
    assert_eq!(reading.0.borrow().0, bytes(400));
}

#[test]
fn a_large_message_is_cut_short_by_the_loss_of_its_link_and_comes_again() {
    let (mut world, mut inbox, link) = World::connected(streaming());
    let packet = publish(Q1, 7, "big", bytes(400));
    let reading = Reading::default();
    let log = reading.clone();
    let read = world.spawn("reader", async move {
        let end = read_one(&mut inbox, &log).await;
        let all = Reading::default();
        read_one(&mut inbox, &all).await.unwrap();
        (end, all)
    });
    link.sends(&packet[..200]);
    world.run();
    assert!(reading.len() > 100);
    link.hangs_up();
    let link = world.reconnect(true);
    link.sends(packet);
    world.expect(&link, &["PUBACK 7"]);
    let (end, all) = read.take();
    assert_eq!(end, Err(LinkEnd::PeerClosed));
    assert_eq!(all.0.borrow().0, bytes(400));
}

/// Found by simulation: the server repeats it, and a repetition at QoS 2 is not delivered.
#[test]
fn the_last_piece_of_a_large_message_survives_the_end_of_the_link() {
    let config = streaming();
    let (mut world, mut inbox, link) = World::connected(config);
    let packet = publish(Q2, 7, "big", bytes(80));
    let gate = Gate::default();
    let wait = gate.clone();
    let read = world.spawn("reader", async move {
        let mut message = inbox.next().await.unwrap();
        let mut all = message.chunk().await.unwrap().unwrap().to_vec();
        {
            // Asks for more, and has other things to do when it comes.
            let mut chunk = pin!(message.chunk());
            poll_fn(|cx| {
                assert!(chunk.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        wait.wait().await;
        while let Some(chunk) = message.chunk().await.unwrap() {
            all.extend(chunk);
        }
        drop(message);
        (all, inbox)
    });
    link.sends(&packet[..64]);
    world.run();
    link.sends(&packet[64..]);
    world.run();
    world.drop_run();
    gate.open();
    world.run();
    let (all, mut inbox) = read.take();
    assert_eq!(all, bytes(80));
    world.start(config.options);
    let link = world.link();
    world.expect(&link, &["CONNECT dev"]);
    link.sends(wire::connack_in(V3, true));
    link.sends(packet);
    world.expect(&link, &["PUBREC 7"]);
    assert!(inbox.try_next().is_none());
}

#[test]
fn a_guard_that_outlives_the_link_in_mid_stream_does_not_keep_the_next_one_away() {
    // The guard is kept while its chunk waits, until after the next link; then dropped.
    for unfetched in [false, true] {
        let (mut world, inbox, link) = World::connected(streaming());
        let inbox = Rc::new(RefCell::new(inbox));
        let borrowed = inbox.clone();
        #[allow(clippy::await_holding_refcell_ref, reason = "the only user at a time")]
        let reader = world.spawn("reader", async move {
            let mut inbox = borrowed.borrow_mut();
            let mut message = inbox.next().await.unwrap();
            while let Ok(Some(_)) = message.chunk().await {}
            message.chunk().await.map(|chunk| chunk.is_some())
        });
        let packet = publish(Q1, 7, "big", bytes(400));
        link.sends(&packet[..200]);
        world.run();
        if unfetched {
            // A piece comes, and instead of fetching it the task is dropped.
            let polls = world.executor.polls(reader.index());
            world.executor.cut(reader.index(), Cut::Before(polls));
            link.sends(&packet[200..230]);
        }
        link.hangs_up();
        let link = world.reconnect(true);
        if !unfetched {
            assert_eq!(reader.take(), Err(LinkEnd::PeerClosed));
        }
        link.sends(publish(Q1, 7, "small", "x"));
        world.run();
        assert_eq!(inbox.borrow_mut().try_next().unwrap().topic(), "small");
        world.expect(&link, &["PUBACK 7"]);
    }
}

#[test]
fn large_messages_are_acknowledged_when_the_inbox_was_dropped() {
    // Dropped before the message, or with its head untaken: never acknowledged before its end.
    for early in [true, false] {
        let (mut world, inbox, link) = World::connected(streaming());
        let packet = publish(Q1, 7, "big", bytes(1000));
        let mut inbox = Some(inbox);
        if early {
            inbox = None;
        }
        link.sends(&packet[..500]);
        world.run();
        drop(inbox);
        world.expect(&link, &[]);
        link.sends(&packet[500..]);
        world.expect(&link, &["PUBACK 7"]);
        link.sends(publish(Q1, 8, "small", "x"));
        world.expect(&link, &["PUBACK 8"]);
        assert_eq!(world.client.report().discarded, 2);
    }
}

/// Gives `bytes` in pieces of `step`, then the end or an error; waits at `gate` before byte `pause`.
struct Source {
    bytes: Vec<u8>,
    at: usize,
    step: usize,
    pause: usize,
    gate: Gate,
    error: bool,
}

impl Source {
    fn new(bytes: Vec<u8>, step: usize) -> Self {
        let gate = Gate::default();
        Self {
            pause: usize::MAX,
            at: 0,
            error: false,
            bytes,
            step,
            gate,
        }
    }
}

impl ErrorType for Source {
    type Error = ErrorKind;
}

impl Read for Source {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(!buffer.is_empty());
        if self.at >= self.pause {
            self.gate.wait().await;
        }
        let rest = &self.bytes[self.at..];
        if rest.is_empty() && self.error {
            return Err(ErrorKind::Other);
        }
        let until_pause = self.pause.saturating_sub(self.at);
        let step = self.step.min(if until_pause == 0 {
            usize::MAX
        } else {
            until_pause
        });
        let len = rest.len().min(buffer.len()).min(step);
        buffer[..len].copy_from_slice(&rest[..len]);
        self.at += len;
        Ok(len)
    }
}

const BIG: Message<'static> = Message::new("big", b"");

/// The payload of the only PUBLISH that came.
#[track_caller]
fn payload(link: &Link) -> Vec<u8> {
    let payloads = link.packets(|packet| match packet {
        mqtt_core::codec::Packet::Publish(publish) => publish.payload.to_vec(),
        other => panic!("{other:?}"),
    });
    assert_eq!(payloads.len(), 1);
    payloads.into_iter().next().unwrap()
}

#[test]
fn a_payload_larger_than_all_buffers_is_streamed() {
    for (qos, step, profile) in [
        (Q0, 4096, crate::support::Profile::SMOOTH),
        (Q1, 1, crate::support::Profile::SMOOTH),
        (Q2, 100, crate::support::Profile::ROUGH),
    ] {
        let mut config = Config::new();
        config.tx = 300;
        config.profile = profile;
        let (mut world, _inbox, link) = World::connected(config);
        let client = world.client.clone();
        let sent = world.spawn("streamer", async move {
            let mut source = Source::new(bytes(5000), step);
            let message = BIG.qos(qos);
            let mut delivery = client
                .publish_stream(&message, 5000, &mut source)
                .await
                .unwrap();
            delivery.acknowledged().await
        });
        world.run();
        let id = link.lock().written.clone();
        assert_eq!(payload(&link), bytes(5000));
        // Behind the topic: its length, and the identifier.
        let at = id.len() - 5000 - 2;
        let id = u16::from_be_bytes([id[at], id[at + 1]]);
        match qos {
            Q1 => link.sends(puback(id)),
            Q2 => {
                assert!(!sent.is_ready());
                link.sends(pubrec(id));
                world.expect(&link, &["PUBREL 1"]);
                link.sends(pubcomp(id));
            }
            _ => {}
        }
        world.run();
        assert_eq!(sent.take(), Ok(ReasonCode::SUCCESS));
        drop(
            world
                .client
                .try_publish(&Message::new("t", b"after"))
                .unwrap(),
        );
        world.expect(&link, &["PUBLISH q0 t=after"]);
    }
}

#[test]
fn an_empty_payload_can_be_streamed_too() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let sent = world.finish(async move {
        let mut source = Source::new(Vec::new(), 1);
        let mut delivery = client.publish_stream(&BIG, 0, &mut source).await.unwrap();
        delivery.acknowledged().await
    });
    assert_eq!(sent, Ok(ReasonCode::SUCCESS));
    world.expect(&link, &["PUBLISH q0 big="]);
}

#[test]
fn nothing_is_mixed_into_a_streamed_payload() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let gate = Gate::default();
    let mut source = Source::new(bytes(3000), 100);
    source.pause = 1500;
    source.gate = gate.clone();
    let sent = world.spawn("streamer", async move {
        client
            .publish_stream(&BIG, 3000, &mut source)
            .await
            .map(drop)
    });
    world.run();
    assert!(link.partial() >= 1500);
    for topic in ["a", "b"] {
        drop(
            world
                .client
                .try_publish(&Message::new(topic, b"1"))
                .unwrap(),
        );
    }
    link.sends(publish(Q1, 7, "in", "x"));
    world.expect(&link, &[]);
    gate.open();
    world.expect(
        &link,
        &[
            "PUBLISH q0 big=<3000 bytes>",
            "PUBLISH q0 a=1",
            "PUBLISH q0 b=1",
        ],
    );
    sent.take().unwrap();
}

#[test]
fn a_second_stream_waits_for_the_first() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let tasks = [b'1', b'2'].map(|byte| {
        let client = world.client.clone();
        world.spawn("streamer", async move {
            let mut source = Source::new(vec![byte; 2000], 77);
            client
                .publish_stream(&BIG, 2000, &mut source)
                .await
                .map(drop)
        })
    });
    world.run();
    let payloads = link.packets(|packet| match packet {
        mqtt_core::codec::Packet::Publish(publish) => publish.payload.to_vec(),
        other => panic!("{other:?}"),
    });
    assert_eq!(payloads, [vec![b'1'; 2000], vec![b'2'; 2000]]);
    for task in tasks {
        task.take().unwrap();
    }
}

#[test]
fn a_stream_waits_for_the_link() {
    let (mut world, _inbox) = World::started(Config::new());
    let client = world.client.clone();
    let sent = world.spawn("streamer", async move {
        let mut source = Source::new(bytes(2000), 77);
        client
            .publish_stream(&BIG, 2000, &mut source)
            .await
            .map(drop)
    });
    let link = world.link();
    world.expect(&link, &["CONNECT dev clean"]);
    assert!(!sent.is_ready());
    link.sends(wire::CONNACK);
    world.expect(&link, &["PUBLISH q0 big=<2000 bytes>"]);
    sent.take().unwrap();
}

/// How a stream fails; and whether the link ends, since a part of the packet was sent.
#[test]
fn a_reader_that_fails_or_ends_early_ends_the_link_and_nothing_else() {
    for error in [false, true] {
        let (mut world, _inbox, link) = World::connected(Config::new());
        let client = world.client.clone();
        let failed = world.spawn("streamer", async move {
            let mut source = Source::new(bytes(1000), 100);
            source.error = error;
            client
                .publish_stream(&BIG.at_least_once(), 3000, &mut source)
                .await
                .map(drop)
        });
        drop(
            world
                .client
                .try_publish(&Message::new("a", b"1").at_least_once())
                .unwrap(),
        );
        world.run();
        let expected = if error {
            StreamError::Read(ErrorKind::Other)
        } else {
            StreamError::End
        };
        assert_eq!(failed.take(), Err(expected));
        assert!(link.is_gone());
        assert_eq!(
            world.client.report().last_end,
            Some(LinkEnd::Session(SessionError::StreamAborted))
        );
        let before = link.got();
        assert!(
            before.iter().all(|packet| packet.contains("a=1")),
            "{before:?}"
        );
        let link = world.reconnect(false);
        world.expect(&link, &["PUBLISH q1 #1 a=1"]);
    }
}

#[test]
fn a_reader_that_fails_before_the_first_byte_costs_nothing() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    link.stalls();
    drop(
        world
            .client
            .try_publish(&Message::new("a", &bytes(200)))
            .unwrap(),
    );
    world.run();
    let failed = world.spawn("streamer", async move {
        client
            .publish_stream(&BIG, 3000, &mut Source::new(Vec::new(), 1))
            .await
            .map(drop)
    });
    world.run();
    assert_eq!(failed.take(), Err(StreamError::End));
    link.recovers();
    world.expect(&link, &["PUBLISH q0 a=<200 bytes>"]);
    drop(world.client.try_publish(&Message::new("b", b"2")).unwrap());
    world.expect(&link, &["PUBLISH q0 b=2"]);
    assert_eq!(world.links(), 1);
}

#[test]
fn a_stream_can_be_dropped_at_every_poll() {
    let mut ends = [0; 2];
    for cut in 0.. {
        let mut config = Config::new();
        config.tx = 300;
        config.profile = crate::support::Profile::ROUGH;
        let (mut world, _inbox, link) = World::connected(config);
        let client = world.client.clone();
        let sent = world.spawn("streamer", async move {
            let mut source = Source::new(bytes(600), 50);
            client
                .publish_stream(&BIG, 600, &mut source)
                .await
                .map(drop)
        });
        world.executor.cut(sent.index(), Cut::Before(cut));
        drop(world.client.try_publish(&Message::new("a", b"1")).unwrap());
        world.run();
        if sent.is_ready() {
            assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
            break;
        }
        // Either nothing of it was sent, or the link has ended.
        ends[usize::from(link.is_gone())] += 1;
        if link.is_gone() {
            assert_eq!(
                world.client.report().last_end,
                Some(LinkEnd::Session(SessionError::StreamAborted))
            );
            link.got();
            world.reconnect(false);
        } else {
            world.expect(&link, &["PUBLISH q0 a=1"]);
        }
        let link = world.link();
        drop(world.client.try_publish(&Message::new("b", b"2")).unwrap());
        world.run();
        assert!(link.got().contains(&"PUBLISH q0 b=2".to_owned()), "{cut}");
        assert_eq!(link.partial(), 0);
    }
}

/// Streams 1000 bytes, of which the last `left` are read when the link is lost; what comes of it.
fn stream_over_a_lost_link(
    qos: QoS,
    left: usize,
) -> Result<Result<ReasonCode, DeliveryError>, StreamError<ErrorKind>> {
    let (mut world, _inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let mut source = Source::new(bytes(1000), 100);
    source.pause = 1000 - left;
    let gate = source.gate.clone();
    let sent = world.spawn("streamer", async move {
        let message = BIG.qos(qos);
        let delivery = client.publish_stream(&message, 1000, &mut source).await;
        match delivery {
            Ok(mut delivery) => Ok(delivery.acknowledged().await),
            Err(error) => Err(error),
        }
    });
    world.run();
    link.hangs_up();
    let link = world.reconnect(false);
    gate.open();
    world.expect(&link, &[]);
    sent.take()
}

#[test]
fn a_stream_fails_when_its_link_is_lost() {
    // In the middle, and while the reader gives the last byte.
    for left in [500, 1] {
        for qos in [Q0, Q1, Q2] {
            let result = stream_over_a_lost_link(qos, left);
            assert_eq!(result, Err(StreamError::LinkLost), "{left} {qos:?}");
        }
    }
}

#[test]
fn a_streamed_payload_is_not_sent_again() {
    // Sent in full, not acknowledged, and not kept.
    for qos in [Q1, Q2] {
        let result = stream_over_a_lost_link(qos, 0);
        assert_eq!(result, Ok(Err(DeliveryError::LinkLost)));
    }
}

#[test]
fn a_stream_that_waits_for_room_is_told_of_the_lost_link() {
    let mut config = Config::new();
    config.tx = 300;
    let (mut world, _inbox, link) = World::connected(config);
    link.stalls();
    let client = world.client.clone();
    let failed = world.spawn("streamer", async move {
        let mut source = Source::new(bytes(1000), 100);
        client
            .publish_stream(&BIG.at_least_once(), 1000, &mut source)
            .await
            .map(drop)
    });
    world.run();
    assert!(!failed.is_ready());
    link.breaks(ErrorKind::ConnectionReset);
    world.run();
    assert_eq!(failed.take(), Err(StreamError::LinkLost));
}

#[test]
fn a_stream_is_refused_for_what_any_publication_is_refused() {
    let (mut world, mut inbox, link) = World::connected(Config::new());
    let client = world.client.clone();
    let refused = world.finish(async move {
        let mut source = Source::new(bytes(10), 1);
        let message = Message::new("a/#", b"");
        client
            .publish_stream(&message, 10, &mut source)
            .await
            .map(drop)
    });
    assert!(matches!(
        refused,
        Err(StreamError::Publish(PublishError::Topic(_)))
    ));
    // While a message is held, a stream that must wait does not.
    link.sends(publish(Q0, 0, "in", "x"));
    world.run();
    let message = inbox.try_next().unwrap();
    link.stalls();
    let streams = [1, 2].map(|_| {
        let client = world.client.clone();
        world.spawn("streamer", async move {
            let mut source = Source::new(bytes(5000), 50);
            client
                .publish_stream(&BIG, 5000, &mut source)
                .await
                .map(drop)
        })
    });
    world.run();
    assert!(!streams[0].is_ready());
    assert_eq!(
        streams[1].take(),
        Err(StreamError::Publish(PublishError::Full))
    );
    drop(message);
}

#[test]
fn a_chunk_of_an_earlier_link_is_an_error_also_when_the_next_link_is_in_use() {
    let (mut world, mut inbox, link) = World::connected(streaming());
    let gate = Gate::default();
    let wait = gate.clone();
    let packet = publish(Q1, 7, "big", bytes(400));
    // No more than the buffer takes at once, so that the pump waits for more.
    link.sends(&packet[..60]);
    let read = world.spawn("reader", async move {
        let mut message = inbox.next().await.unwrap();
        // Until the pump has the buffer; the future that waits for more is dropped.
        let mut more = true;
        while more {
            let mut chunk = pin!(message.chunk());
            more = poll_fn(|cx| Poll::Ready(chunk.as_mut().poll(cx).is_ready())).await;
        }
        wait.wait().await;
        let end = message.chunk().await.map(|chunk| chunk.is_some());
        drop(message);
        let next = inbox.next().await.unwrap();
        (end, next.topic().as_str().to_owned())
    });
    world.run();
    link.hangs_up();
    let link = world.reconnect(true);
    link.sends(publish(Q1, 7, "small", "x"));
    world.run();
    gate.open();
    world.expect(&link, &["PUBACK 7"]);
    assert_eq!(read.take(), (Err(LinkEnd::PeerClosed), "small".into()));
}
