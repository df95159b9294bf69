//! The whole client: storage, handles and runner, over TCP on embassy-net, against a broker of a few lines.
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use std::mem::replace;

use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use mqtt_embassy::{
    Client, Delivery, Embassy, Inbox, LinkEnd, LinkState, Message, Options, QoS, Reconnect, Runner,
    Storage, Subscription, TcpConnector, TopicFilter, WAITING_TASKS, mqtt_core::client::Shared,
};
use static_cell::ConstStaticCell;

use support::{
    leak,
    net::{Network, both, socket},
};

const PORT: u16 = 1883;

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

/// Accepts links for ever, and serves the client of each until it is gone. Before it takes the `cut`-th message it
/// resets the link, once.
async fn broker(socket: &mut TcpSocket<'_>, cut: usize, seen: &mut Vec<u8>) {
    let mut may_cut = true;
    loop {
        socket.accept(PORT).await.unwrap();
        while let Some(packet) = packet(socket).await {
            let answer = match packet[0] >> 4 {
                1 => CONNACK.to_vec(),
                3 if seen.len() == cut && replace(&mut may_cut, false) => break,
                3 => published(&packet, seen),
                8 => vec![0x90, 3, packet[2], packet[3], 1],
                _ => break,
            };
            if support::try_write_all(socket, &answer).await.is_err() {
                break;
            }
        }
        socket.abort();
        let _ = socket.flush().await;
    }
}

/// Remembers the payload of one byte. The answer is a message with the same payload, and the acknowledgement.
fn published(packet: &[u8], seen: &mut Vec<u8>) -> Vec<u8> {
    let &[_, _, 0, 1, b't', high, low, payload] = packet else {
        panic!("not a message of this test: {packet:?}");
    };
    seen.push(payload);
    let mut answer = b"\x30\x06\x00\x03cmd".to_vec();
    answer.extend([payload, 0x40, 2, high, low]);
    answer
}

/// One packet, of at most 127 bytes behind its fixed header.
async fn packet(socket: &mut TcpSocket<'_>) -> Option<Vec<u8>> {
    let mut packet = vec![0; 2];
    support::try_read_exact(socket, &mut packet).await.ok()?;
    let len = usize::from(packet[1]);
    assert!(len < 128);
    packet.resize(2 + len, 0);
    support::try_read_exact(socket, &mut packet[2..])
        .await
        .ok()?;
    Some(packet)
}

fn subscriptions() -> [Subscription<'static>; 1] {
    let filter = TopicFilter::new("cmd").unwrap();
    [Subscription::new(filter, QoS::AtLeastOnce)]
}

#[test]
fn messages_pass_both_ways_and_survive_a_reset() {
    static STORAGE: ConstStaticCell<Storage<256, 1024>> = ConstStaticCell::new(Storage::new());
    let network = Network::new();
    let mut connector = TcpConnector::new(network.device, "10.0.0.2", PORT, leak(1024), leak(1024));
    let mut socket = socket(network.broker);
    let subscriptions = subscriptions();
    let mut options = Options::new("thermometer").subscriptions(&subscriptions);
    options.reconnect.initial_ms = 10;
    let (client, mut inbox, mut runner) = mqtt_embassy::new(STORAGE.take(), &options).unwrap();
    let mut seen = Vec::new();
    network.run(async {
        let application = async {
            let publish = async {
                for number in 0..20 {
                    let payload = [number];
                    let message = Message::new("t", &payload).at_least_once();
                    let mut delivery = client.publish(&message).await.unwrap();
                    delivery.acknowledged().await.unwrap();
                }
            };
            let receive = async {
                for number in 0..20 {
                    let message = inbox.next().await.unwrap();
                    assert_eq!(message.topic().as_str(), "cmd");
                    assert_eq!(message.payload(), [number]);
                }
            };
            both(publish, receive).await;
            assert_eq!(client.report().session.connections, 2);
            client.disconnect().await;
        };
        let run = both(runner.run(&mut connector, &options), application);
        match select(run, broker(&mut socket, 10, &mut seen)).await {
            Either::First((end, ())) => assert_eq!(end, LinkEnd::Disconnected),
            Either::Second(()) => unreachable!("it runs for ever"),
        }
    });
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_refused_connection_is_a_state_that_a_task_can_await() {
    static STORAGE: ConstStaticCell<Storage<256, 512>> = ConstStaticCell::new(Storage::new());
    let network = Network::new();
    let mut connector = TcpConnector::new(network.device, "10.0.0.2", PORT, leak(512), leak(512));
    let mut options = Options::new("thermometer");
    options.reconnect = Reconnect::never();
    let (client, _inbox, mut runner) = mqtt_embassy::new(STORAGE.take(), &options).unwrap();
    network.run(async {
        let watch = async {
            let mut states = vec![client.state()];
            while !matches!(states.last(), Some(LinkState::Stopped(_))) {
                states.push(client.state_change(*states.last().unwrap()).await);
            }
            states
        };
        let (states, end) = both(watch, runner.run(&mut connector, &options)).await;
        assert_eq!(end, LinkEnd::Connect(mqtt_embassy::ConnectError::Refused));
        assert_eq!(states[0], LinkState::Idle);
        assert_eq!(
            states[1..],
            [LinkState::Connecting, LinkState::Stopped(end)]
        );
    });
}

#[test]
fn the_runner_ends_a_link_that_says_nothing() {
    static STORAGE: ConstStaticCell<Storage<256, 512>> = ConstStaticCell::new(Storage::new());
    let network = Network::new();
    let mut connector = TcpConnector::new(network.device, "10.0.0.2", PORT, leak(512), leak(512));
    let mut broker = socket(network.broker);
    let mut options = Options::new("thermometer");
    options.connack_timeout_ms = 100;
    options.reconnect = Reconnect::never();
    let (_client, _inbox, mut runner) = mqtt_embassy::new(STORAGE.take(), &options).unwrap();
    network.run(async {
        let silence = async {
            broker.accept(PORT).await.unwrap();
            while let Ok(1..) = broker.read(&mut [0; 64]).await {}
        };
        let (end, ()) = both(runner.run(&mut connector, &options), silence).await;
        assert!(matches!(end, LinkEnd::Session(_)), "{end}");
    });
}

#[test]
fn many_tasks_may_wait_for_one_connection() {
    static STORAGE: ConstStaticCell<Storage<256, 512>> = ConstStaticCell::new(Storage::new());
    let options = Options::new("thermometer");
    let (client, _inbox, _runner) = mqtt_embassy::new(STORAGE.take(), &options).unwrap();
    let waits = (0..=WAITING_TASKS).map(|_| client.connected());
    let mut waits: Vec<_> = waits.map(Box::pin).collect();
    let (waker, woken) = support::counting_wakers(waits.len());
    for (wait, waker) in waits.iter_mut().zip(&waker) {
        let mut context = core::task::Context::from_waker(waker);
        assert!(wait.as_mut().poll(&mut context).is_pending());
    }
    // One more than there is room for: the first ones were woken, to register again.
    assert!(woken[..WAITING_TASKS].iter().all(|count| count.get() == 1));
    assert_eq!(woken[WAITING_TASKS].get(), 0);
}

#[test]
fn storage_is_the_sum_of_its_parts() {
    let grown = Storage::<1024, 4096>::SIZE - Storage::<1024, 2048>::SIZE;
    assert_eq!(grown, 2048);
    assert_eq!(Storage::<256, 512>::SIZE, size_of::<Storage<256, 512>>());
}

/// Handles go to tasks of any executor, and a client is shared among them.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_sync<T: Sync>() {}
    is_send::<Client>();
    is_sync::<Client>();
    is_send::<Delivery>();
    is_send::<Inbox>();
    is_send::<Runner>();
    is_sync::<Shared<Embassy>>();
};
