//! `TcpConnector` on embassy-net, against a second stack.
#![allow(clippy::large_futures, reason = "there is a stack")]

mod support;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_io_async::Read;
use mqtt_embassy::{
    ConnectError, TcpConnector,
    mqtt_core::client::{Connect, Link},
};

use support::{
    leak,
    net::{BROKER, Network, both, socket},
    pattern, read_exact, write_all,
};

const PORT: u16 = 1883;

fn connector(network: &Network, host: &'static str) -> TcpConnector<'static> {
    TcpConnector::new(network.device, host, PORT, leak(1024), leak(1024))
}

#[test]
fn bytes_pass_both_ways_at_once() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2");
    let mut broker = socket(network.broker);
    let bytes = pattern(100_000);
    network.run(async {
        let serve = async {
            broker.accept(PORT).await.unwrap();
            let (mut reader, mut writer) = broker.split();
            let received = both(
                read_exact(&mut reader, bytes.len()),
                write_all(&mut writer, &bytes, 999),
            );
            assert_eq!(received.await.0, bytes);
        };
        let connect = async {
            let mut link = connector.connect().await.unwrap();
            {
                let (mut reader, mut writer) = link.split();
                let received = both(
                    read_exact(&mut reader, bytes.len()),
                    write_all(&mut writer, &bytes, 128),
                );
                assert_eq!(received.await.0, bytes);
            }
            link.close().await;
        };
        both(serve, connect).await;
    });
}

#[test]
fn a_closed_port_is_a_refusal_and_the_next_attempt_may_succeed() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2");
    let mut broker = socket(network.broker);
    network.run(async {
        for _ in 0..3 {
            assert_eq!(
                connector.connect().await.unwrap_err(),
                ConnectError::Refused
            );
        }
        let (accepted, link) = both(broker.accept(PORT), connector.connect()).await;
        accepted.unwrap();
        link.unwrap();
    });
}

#[test]
fn one_socket_serves_link_after_link_however_they_end() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2");
    let mut broker = socket(network.broker);
    network.run(async {
        for round in 0..12 {
            let (accepted, link) = both(broker.accept(PORT), connector.connect()).await;
            accepted.unwrap();
            let mut link = link.unwrap();
            {
                let (_, mut writer) = link.split();
                write_all(&mut writer, b"hello", 5).await;
            }
            let mut hello = [0; 5];
            assert_eq!(broker.read(&mut hello).await, Ok(5), "round {round}");
            match round % 4 {
                // Dropped: the peer sees a reset.
                0 => {
                    drop(link);
                    assert!(broker.read(&mut hello).await.is_err());
                }
                // Closed: the peer sees the end.
                1 => {
                    let close = both(link.close(), broker.read(&mut hello)).await;
                    assert_eq!(close.1, Ok(0));
                }
                // The peer closes.
                2 => {
                    broker.close();
                    let (mut reader, _) = link.split();
                    assert_eq!(reader.read(&mut hello).await, Ok(0));
                }
                // The peer resets.
                _ => {
                    broker.abort();
                    let (mut reader, _) = link.split();
                    assert!(reader.read(&mut hello).await.is_err());
                }
            }
            broker.abort();
            broker.flush().await.unwrap();
        }
    });
}

#[test]
fn an_attempt_that_was_given_up_does_not_spoil_the_next() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2");
    let mut broker = socket(network.broker);
    let cut = network.cut.clone();
    network.run(async {
        cut.set(true);
        {
            let attempt = with_timeout(Duration::from_millis(300), connector.connect()).await;
            assert!(attempt.is_err(), "nobody has answered");
        }
        cut.set(false);
        // Longer than the stack waits before it tries again by itself.
        let accepted = with_timeout(Duration::from_millis(1_500), broker.accept(PORT)).await;
        assert!(accepted.is_err(), "nobody asks any more");
        broker.abort();
        let (accepted, link) = both(broker.accept(PORT), connector.connect()).await;
        accepted.unwrap();
        link.unwrap();
    });
}

#[test]
fn after_a_cut_the_link_ends_by_its_timeout_and_the_next_one_works() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2")
        .with_keep_alive_s(1)
        .with_timeout_s(2);
    let mut broker = socket(network.broker);
    let cut = network.cut.clone();
    network.run(async {
        {
            let (_, link) = both(broker.accept(PORT), connector.connect()).await;
            let mut link = link.unwrap();
            cut.set(true);
            let (mut reader, _) = link.split();
            let mut buffer = [0; 8];
            let read = reader.read(&mut buffer);
            assert!(
                with_timeout(Duration::from_secs(10), read)
                    .await
                    .unwrap()
                    .is_err()
            );
        }
        cut.set(false);
        broker.abort();
        let (accepted, link) = both(broker.accept(PORT), connector.connect()).await;
        accepted.unwrap();
        link.unwrap();
    });
}

#[test]
fn names_are_resolved_and_unknown_ones_are_an_error_of_their_own() {
    let network = Network::new();
    let mut known = connector(&network, "broker.test");
    let mut unknown = connector(&network, "nobody.test");
    let mut broker = socket(network.broker);
    let meta = || vec![PacketMetadata::EMPTY; 4].leak();
    let mut server = UdpSocket::new(network.broker, meta(), leak(1024), meta(), leak(1024));
    server.bind(53).unwrap();
    network.run(async {
        let names = async {
            let mut query = [0; 512];
            loop {
                let (len, from) = server.recv_from(&mut query).await.unwrap();
                server.send_to(&answer(&query[..len]), from).await.unwrap();
            }
        };
        let test = async {
            let (accepted, link) = both(broker.accept(PORT), known.connect()).await;
            accepted.unwrap();
            link.unwrap();
            let error = unknown.connect().await.unwrap_err();
            assert_eq!(error, ConnectError::NameResolution);
        };
        embassy_futures::select::select(names, test).await;
    });
}

/// `broker.test` is the broker, there is nobody else.
fn answer(query: &[u8]) -> Vec<u8> {
    let is_known = query.windows(6).any(|part| part == b"broker");
    let mut answer = query.to_vec();
    answer[2] = 0x81;
    answer[3] = if is_known { 0x80 } else { 0x83 };
    if is_known {
        answer[7] = 1;
        // The name of the question, A, IN, 60 s, 4 bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(BROKER.octets());
    }
    answer
}

#[test]
fn without_an_address_of_its_own_it_waits() {
    let network = Network::new();
    let mut connector = connector(&network, "10.0.0.2");
    let mut broker = socket(network.broker);
    let device = network.device;
    let config = device.config_v4().unwrap();
    device.set_config_v4(embassy_net::ConfigV4::None);
    network.run(async {
        let later = async {
            Timer::after_millis(100).await;
            device.set_config_v4(embassy_net::ConfigV4::Static(config));
            broker.accept(PORT).await.unwrap();
        };
        let (link, ()) = both(connector.connect(), later).await;
        link.unwrap();
    });
}
