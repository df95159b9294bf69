//! The asynchronous client against a broker of a few lines.
#![allow(clippy::large_futures, reason = "a host's stack is large")]

mod common;

use std::future::Future;

use common::{Broker, LIMIT, closed_port, reporting};
use mqtt_core::codec::Packet;
use mqtt_std::{
    Client, ConnectFailure, Error, LinkEnd, LinkState, Message, Options, Properties, PublishError,
    QoS, Reconnect, Runner,
};
use tokio::time::timeout;

fn options(broker: &Broker) -> Options {
    Options::from_url(&broker.url()).unwrap()
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("took too long")
}

/// Runs a client that nobody talks to.
async fn run(options: Options) -> Result<(), Error> {
    let (_client, _, mut runner) = mqtt_std::new(options).unwrap();
    within(runner.run()).await
}

#[test]
fn handles_go_anywhere() {
    fn everywhere<T: Clone + Send + Sync + 'static>() {}
    fn movable<T: Send + 'static>() {}
    everywhere::<Client>();
    everywhere::<mqtt_std::blocking::Client>();
    movable::<Runner>();
    movable::<mqtt_std::Inbox>();
    movable::<mqtt_std::Delivery>();
    movable::<mqtt_std::blocking::Inbox>();
}

/// Every future can be awaited in a task of a multi-threaded runtime.
#[test]
fn futures_go_anywhere() {
    fn sendable<F: Future + Send>(_: F) {}
    let options = Options::new("localhost");
    let (client, mut inbox, mut runner) = mqtt_std::new(options).unwrap();
    let message = Message::new("t", b"");
    sendable(client.subscribe("t", QoS::AtMostOnce));
    sendable(client.subscribe_all(&[], Properties::NONE, &mut []));
    sendable(client.unsubscribe("t"));
    sendable(client.unsubscribe_all(&[], Properties::NONE, &mut []));
    sendable(client.disconnect());
    sendable(client.state_change(client.state()));
    sendable(client.connected());
    sendable(client.try_publish(&message).unwrap().acknowledged());
    sendable(inbox.next());
    sendable(runner.run());
    let path = std::env::temp_dir().join(format!("mqtt-sendable-{}", std::process::id()));
    let store = mqtt_std::OutboxFile::open(&path, 1_000).unwrap();
    let outbox = std::sync::Arc::new(mqtt_std::outbox(&client, store, 100));
    sendable(outbox.publish(&message));
    sendable(outbox.run(|_, _| Ok(()), |_, _| ()));
    sendable(async move { outbox.flush(|_, _| Ok(()), |_, _| ()).await });
    std::fs::remove_file(path.with_added_extension("lock")).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spawned_runner_serves_publisher_and_receiver() {
    let (broker, took_leave) = reporting(|mut link| {
        link.accept();
        link.echo()
    });
    let (client, mut inbox, mut runner) =
        mqtt_std::new(options(&broker).subscribe("echo", QoS::AtLeastOnce)).unwrap();
    let running = tokio::spawn(async move { runner.run().await });

    let publishing = async {
        for n in 0..100_u8 {
            let payload = [n];
            let message = Message::new("echo", &payload).at_least_once();
            let mut delivery = client.publish(&message).await.unwrap();
            delivery.acknowledged().await.unwrap();
        }
    };
    let receiving = async {
        for n in 0..100_u8 {
            let message = inbox.next().await.unwrap();
            assert_eq!(message.publish().topic.as_str(), "echo");
            assert_eq!(
                (message.payload(), message.qos()),
                (&[n][..], QoS::AtLeastOnce)
            );
        }
    };
    within(async { tokio::join!(publishing, receiving) }).await;
    within(client.disconnect()).await;
    within(running).await.unwrap().unwrap();
    assert!(took_leave.recv().unwrap());
    broker.finish();
}

#[tokio::test]
async fn a_refused_port_is_told_in_one_line() {
    let address = closed_port();
    let error = run(Options::from_url(&format!("mqtt://user:sesame@{address}"))
        .unwrap()
        .fail_fast(true))
    .await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                failure: ConnectFailure::Refused,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("cannot connect to {address}: connection refused")
    );
}

/// Even when the next attempt would follow at once.
#[tokio::test]
async fn fail_fast_tells_of_the_first_attempt() {
    let address = closed_port();
    let hasty = Reconnect {
        initial_ms: 0,
        ..Reconnect::default()
    };
    let options = Options::from_url(&format!("mqtt://{address}"))
        .unwrap()
        .fail_fast(true)
        .reconnect(hasty);
    let (client, mut inbox, mut runner) = mqtt_std::new(options).unwrap();
    let (outcome, next) = within(async { tokio::join!(runner.run(), inbox.next()) }).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        format!("cannot connect to {address}: connection refused")
    );
    assert!(next.is_err(), "the inbox waits for what will not come");
    assert_eq!(client.report().attempts, 1);
}

#[tokio::test]
async fn an_unknown_host_is_told() {
    let error = run(Options::new("no-such-host.invalid").fail_fast(true))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                failure: ConnectFailure::NameResolution(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "cannot connect to no-such-host.invalid:1883: host name not found"
    );
}

#[tokio::test]
async fn a_wrong_password_is_final_and_not_shown() {
    let broker = Broker::once(|mut link| {
        assert!(matches!(link.packet(), Some(Packet::Connect(_))));
        link.send(&[0x20, 2, 0, 4]);
        assert!(link.packet().is_none());
    });
    let error = run(options(&broker).user_name("user").password(*b"sesame"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Refused { code, .. } if code.value() == 4),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!(
            "broker {} refused: bad user name or password",
            broker.address
        )
    );
    assert!(!format!("{error:?}").contains("sesame"));
    broker.finish();
}

#[tokio::test]
async fn a_broker_that_hangs_up_at_once_gave_no_answer() {
    let broker = Broker::once(|mut link| {
        assert!(matches!(link.packet(), Some(Packet::Connect(_))));
        link.close();
    });
    let error = run(options(&broker).fail_fast(true)).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    assert_eq!(error.end(), Some(LinkEnd::PeerClosed));
    broker.finish();
}

#[tokio::test]
async fn a_tls_port_is_recognised() {
    let broker = Broker::once(|mut link| {
        link.send(&[0x15, 3, 1, 0, 2, 2, 70]);
        while link.packet().is_some() {}
    });
    let error = run(options(&broker).fail_fast(true)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                failure: ConnectFailure::SpeaksTls,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("use mqtts://"), "{error}");
    broker.finish();
}

#[tokio::test]
async fn a_broker_that_goes_away_is_told() {
    let broker = Broker::once(|mut link| {
        link.accept();
        link.close();
    });
    let error = run(options(&broker).reconnect(Reconnect::never()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Lost {
                end: LinkEnd::PeerClosed,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("link to {} lost: ", broker.address)),
        "{error}"
    );
    broker.finish();
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_handshake_that_hangs_is_timed_out_and_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = Options::new("127.0.0.1").port(port).tls().fail_fast(true);
    let error = run(options.connect_timeout(std::time::Duration::from_millis(50)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Connect {
                failure: ConnectFailure::TimedOut(mqtt_std::Stage::Tls),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("cannot connect to 127.0.0.1:{port}: timed out during the TLS handshake")
    );
}

#[tokio::test]
async fn the_link_comes_back_by_itself() {
    let broker = Broker::start(vec![
        Box::new(|mut link| {
            link.accept();
            link.close();
        }),
        Box::new(|mut link| {
            link.accept();
            assert!(link.echo());
        }),
    ]);
    let quick = Reconnect {
        initial_ms: 1,
        ..Reconnect::default()
    };
    let (client, _, mut runner) =
        mqtt_std::new(options(&broker).fail_fast(true).reconnect(quick)).unwrap();
    let running = tokio::spawn(async move { runner.run().await });
    while client.report().session.connections < 2 {
        let state = client.state();
        if client.report().session.connections < 2 {
            within(client.state_change(state)).await;
        }
    }
    let mut delivery = client
        .publish(&Message::new("t", b"later").at_least_once())
        .await
        .unwrap();
    within(delivery.acknowledged()).await.unwrap();
    within(client.disconnect()).await;
    within(running).await.unwrap().unwrap();
    broker.finish();
}

#[tokio::test]
async fn a_second_run_delivers_what_the_first_could_not() {
    let broker = Broker::start(vec![
        Box::new(|mut link| {
            link.accept();
            link.close();
        }),
        Box::new(|mut link| {
            link.accept();
            assert!(link.echo());
        }),
    ]);
    let (client, _, mut runner) =
        mqtt_std::new(options(&broker).reconnect(Reconnect::never())).unwrap();
    within(runner.run()).await.unwrap_err();
    assert_eq!(
        client
            .try_publish(&Message::new("t", b"x"))
            .map(drop)
            .err()
            .filter(|e| *e != PublishError::Stopped),
        None
    );
    runner
        .options_mut()
        .clone_from(&options(&broker).keep_alive_s(30));
    let running = tokio::spawn(async move { runner.run().await });
    let mut state = client.state();
    while !matches!(state, LinkState::Connected { .. }) {
        state = within(client.state_change(state)).await;
    }
    let mut delivery = client
        .publish(&Message::new("t", b"x").at_least_once())
        .await
        .unwrap();
    within(delivery.acknowledged()).await.unwrap();
    within(client.disconnect()).await;
    within(running).await.unwrap().unwrap();
    broker.finish();
}
