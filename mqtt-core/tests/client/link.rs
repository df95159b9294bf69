//! What a user of the asynchronous client sees of the link: states, reconnects, time-outs, the ways in which it ends.

use std::{cell::RefCell, rc::Rc};

use crate::support::{
    Client, Config, Link, Plan, Profile, World, clock,
    wire::{self, CONNACK, CONNACK_PRESENT, PINGRESP, puback, publish},
    world::{Q0, Q1, Q2, V3},
};
use embedded_io_async::ErrorKind;
use mqtt_core::{
    Message, QoS, Version,
    client::{ConnectError, LinkEnd, LinkState},
    codec::{ReasonCode, Subscription, TopicFilter},
    session::{DeliveryError, ProtocolError, PublishError, Reconnect, SessionError},
};

const REFUSED: Plan = Plan::Fail(ConnectError::Refused);

/// Pauses of exactly this length.
fn pauses(exactly: u32) -> Reconnect {
    Reconnect {
        initial_ms: exactly,
        max_ms: exactly,
        floor_ms: exactly,
        ..Reconnect::new()
    }
}

/// All states that a task sees by `state_change`, from now on.
fn watch(world: &mut World) -> Rc<RefCell<Vec<LinkState>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    let client = world.client.clone();
    world.spawn("watcher", async move {
        let mut state = client.state();
        loop {
            log.borrow_mut().push(state);
            state = client.state_change(state).await;
        }
    });
    seen
}

/// Spawns `disconnect()`; ready when it has returned.
fn disconnect(world: &mut World) -> crate::support::Outcome<()> {
    let client = world.client.clone();
    world.spawn("disconnect", async move { client.disconnect().await })
}

#[test]
fn states_tell_what_the_link_does() {
    let config = Config::new().options(|o| o.reconnect = pauses(500));
    let (mut world, _inbox) = World::new(config);
    let seen = watch(&mut world);
    world.run();
    world.plan([REFUSED]);
    world.start(config.options);
    world.advance(500);
    let link = world.link();
    link.sends(CONNACK);
    world.run();
    link.hangs_up();
    world.advance(500);
    let link = world.link();
    link.sends(CONNACK);
    world.run();
    disconnect(&mut world);
    world.run();
    let waiting = |end| LinkState::Waiting {
        retry_in_ms: 500,
        end,
    };
    let connected = LinkState::Connected {
        session_present: false,
    };
    assert_eq!(
        *seen.borrow(),
        [
            LinkState::Idle,
            LinkState::Connecting,
            waiting(LinkEnd::Connect(ConnectError::Refused)),
            LinkState::Connecting,
            connected,
            waiting(LinkEnd::PeerClosed),
            LinkState::Connecting,
            connected,
            LinkState::Stopped(LinkEnd::Disconnected),
        ]
    );
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
}

#[test]
fn connected_waits_for_connack_and_tells_whether_the_session_was_kept() {
    let config = Config::new().options(|o| o.clean_session = false);
    let (mut world, _inbox) = World::new(config);
    let connected = |world: &mut World| {
        let client = world.client.clone();
        world.spawn("connected", async move { client.connected().await })
    };
    let early = connected(&mut world);
    world.start(config.options);
    let link = world.link();
    assert!(!early.is_ready());
    link.sends(CONNACK);
    world.run();
    assert_eq!(early.take(), Ok(false));
    link.hangs_up();
    world.run();
    let late = connected(&mut world);
    world.reconnect(true);
    assert_eq!(late.take(), Ok(true));
    disconnect(&mut world);
    world.run();
    let never = connected(&mut world);
    world.run();
    assert_eq!(never.take(), Err(LinkEnd::Disconnected));
}

#[test]
fn attempts_are_made_after_pauses_that_grow_within_their_bounds() {
    let config = Config::new().options(|o| {
        o.reconnect.initial_ms = 1000;
        o.reconnect.max_ms = 8000;
        o.reconnect.floor_ms = 300;
    });
    let (mut world, _inbox) = World::new(config);
    world.plan([REFUSED; 100]);
    let seen = watch(&mut world);
    world.start(config.options);
    world.advance(100_000);
    let attempts = world.attempts();
    assert_eq!(attempts[0], 0);
    assert!(attempts.len() > 12, "{attempts:?}");
    let told: Vec<_> = seen
        .borrow()
        .iter()
        .filter_map(|state| match state {
            LinkState::Waiting { retry_in_ms, .. } => Some(*retry_in_ms),
            _ => None,
        })
        .collect();
    // Each attempt comes exactly when it was announced.
    let made: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(made[..], told[..made.len()]);
    for (n, pause) in made.iter().enumerate() {
        let upper = (1000 << n.min(3)).min(8000);
        assert!((300..=upper).contains(pause), "{n}: {pause}");
    }
    assert!(made.iter().any(|pause| *pause > 2000), "{made:?}");
}

#[test]
fn the_back_off_starts_anew_after_a_link_that_was_stable_only() {
    for (lasts, reset) in [(9_999, false), (10_000, true)] {
        let config = Config::new().options(|o| {
            o.keep_alive_s = 0;
            o.reconnect.max_attempts = 3;
            o.reconnect.stable_after_ms = 10_000;
            o.reconnect.initial_ms = 10;
            o.reconnect.max_ms = 10;
        });
        let (mut world, _inbox) = World::new(config);
        world.plan([
            REFUSED,
            Plan::Link(Profile::SMOOTH),
            REFUSED,
            REFUSED,
            REFUSED,
        ]);
        world.start(config.options);
        world.advance(20);
        let link = world.link();
        link.sends(CONNACK);
        world.run();
        world.advance(lasts);
        link.hangs_up();
        world.advance(1000);
        // The first failure and the link count, or neither does.
        let end = Some(LinkEnd::Connect(ConnectError::Refused));
        let expected = if reset { 5 } else { 3 };
        if reset {
            assert_eq!(world.attempts().len(), expected - 1);
            assert_eq!(world.ends(), [end]);
        } else {
            assert_eq!(world.attempts().len(), expected);
            assert_eq!(world.ends(), [end]);
        }
    }
}

#[test]
fn gives_up_after_the_attempts_that_were_asked_for() {
    let config = Config::new().options(|o| o.reconnect.max_attempts = 4);
    let (mut world, _inbox) = World::new(config);
    world.plan([REFUSED; 10]);
    world.start(config.options);
    world.advance(100_000);
    let end = LinkEnd::Connect(ConnectError::Refused);
    assert_eq!(world.attempts().len(), 4);
    assert_eq!(world.ends(), [Some(end)]);
    assert_eq!(world.client.state(), LinkState::Stopped(end));
    assert_eq!(world.client.report().attempts, 4);
}

#[test]
fn one_link_only_if_reconnecting_is_off() {
    let config = Config::new().options(|o| o.reconnect = Reconnect::never());
    let (mut world, _inbox, link) = World::connected(config);
    link.hangs_up();
    world.advance(100_000);
    assert_eq!(world.attempts(), [0]);
    assert_eq!(world.ends(), [Some(LinkEnd::PeerClosed)]);
}

#[test]
fn refused_credentials_are_final_and_other_refusals_are_not() {
    for (code, is_final) in [(1, true), (2, true), (3, false), (4, true), (5, true)] {
        let (mut world, _inbox) = World::started(Config::new());
        world.link().sends(wire::refused(code, V3));
        world.run();
        let end = LinkEnd::Session(SessionError::Refused(ReasonCode::new(code)));
        let ended = if is_final { vec![Some(end)] } else { vec![] };
        assert_eq!(world.ends(), ended, "{code}");
        assert_eq!(world.client.report().last_end, Some(end));
        world.advance(1000);
        assert_eq!(
            world.attempts().len(),
            if is_final { 1 } else { 2 },
            "{code}"
        );
    }
}

#[test]
fn a_transport_that_takes_too_long_is_given_up() {
    let config = Config::new().options(|o| o.connect_timeout_ms = 7_000);
    let (mut world, _inbox) = World::new(config);
    world.plan([Plan::Hang]);
    world.start(config.options);
    world.advance(6_999);
    assert_eq!(world.client.state(), LinkState::Connecting);
    world.advance(1);
    let state = world.client.state();
    let end = LinkEnd::Connect(ConnectError::TimedOut);
    assert!(
        matches!(state, LinkState::Waiting { end: is, .. } if is == end),
        "{state}"
    );
    world.advance(1_000);
    assert_eq!(world.links(), 1);
}

#[test]
fn a_server_that_does_not_answer_connect_is_given_up() {
    let config = Config::new().options(|o| o.connack_timeout_ms = 7_000);
    let (mut world, _inbox) = World::started(config);
    let link = world.link();
    world.advance(6_999);
    assert!(!link.is_gone());
    world.advance(1);
    assert!(link.is_gone());
    assert_eq!(
        world.client.report().last_end,
        Some(LinkEnd::Session(SessionError::ConnAckTimeout))
    );
}

#[test]
fn options_that_make_no_connect_end_the_run() {
    let (mut world, _inbox) = World::new(Config::new());
    let mut options = Config::new().options;
    options.client_id = "";
    options.clean_session = false;
    world.start(options);
    let ends = world.ends();
    assert!(
        matches!(ends[..], [Some(LinkEnd::Options(PublishError::Encode(_)))]),
        "{ends:?}"
    );
    // Better ones work.
    world.start(Config::new().options);
    let link = world.link();
    world.expect(&link, &["CONNECT dev clean"]);
}

const fn subscription(filter: &'static str) -> Subscription<'static> {
    match TopicFilter::new(filter) {
        Ok(filter) => Subscription::new(filter, QoS::AtLeastOnce),
        Err(_) => panic!(),
    }
}

static SUBSCRIPTIONS: [Subscription<'static>; 2] = [subscription("a/+"), subscription("b")];

#[test]
fn subscriptions_of_the_options_are_renewed_unless_the_server_kept_them() {
    for always in [false, true] {
        let config = Config::new().options(|o| {
            o.subscriptions = &SUBSCRIPTIONS;
            o.clean_session = false;
            o.always_resubscribe = always;
        });
        let (mut world, _inbox, link) = World::connected(config);
        let subscribe = link.got();
        assert_eq!(subscribe.len(), 1);
        assert!(subscribe[0].ends_with(" a/+:1 b:1"), "{subscribe:?}");
        link.sends(wire::suback(V3, link.id(1), &[1, 1]));
        link.hangs_up();
        let link = world.reconnect(true);
        assert_eq!(link.got().len(), usize::from(always));
        link.hangs_up();
        let link = world.reconnect(false);
        assert_eq!(link.got().len(), 1);
        link.sends(wire::suback(V3, 999, &[1, 1]));
        world.run();
        assert!(!link.is_gone());
    }
}

#[test]
fn keep_alive_pings_exactly_when_nothing_was_sent_for_its_time() {
    // Shorter and longer than the time-out of CONNACK, which is what the clock was set for before.
    for keep_alive_s in [5, 60] {
        let config = Config::new().options(|o| o.keep_alive_s = keep_alive_s);
        let (mut world, mut inbox, link) = World::connected(config);
        let keep_alive = u32::from(keep_alive_s) * 1000;
        for _ in 0..3 {
            world.advance(keep_alive - 1);
            world.expect(&link, &[]);
            world.advance(1);
            world.expect(&link, &["PINGREQ"]);
            link.sends(PINGRESP);
            world.run();
        }
        // What is sent moves the ping; what comes does too, as long as we are not silent.
        world.advance(keep_alive - 1000);
        link.sends(publish(Q0, 0, "t", "x"));
        drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
        world.expect(&link, &["PUBLISH q0 t="]);
        assert!(inbox.try_next().is_some());
        world.advance(keep_alive - 1);
        world.expect(&link, &[]);
        world.advance(1);
        world.expect(&link, &["PINGREQ"]);
        assert_eq!(world.links(), 1);
    }
}

#[test]
fn no_keep_alive_no_ping() {
    let config = Config::new().options(|o| o.keep_alive_s = 0);
    let (mut world, _inbox, link) = World::connected(config);
    world.advance(10_000_000);
    world.expect(&link, &[]);
    assert_eq!(world.links(), 1);
}

#[test]
fn a_ping_without_answer_ends_the_link_exactly_after_its_time_out() {
    let config = Config::new().options(|o| {
        o.keep_alive_s = 5;
        o.ping_timeout_ms = 2_500;
    });
    let (mut world, _inbox, link) = World::connected(config);
    world.advance(5_000);
    world.expect(&link, &["PINGREQ"]);
    world.advance(2_499);
    assert!(!link.is_gone());
    world.advance(1);
    assert!(link.is_gone());
    assert_eq!(
        world.client.report().last_end,
        Some(LinkEnd::Session(SessionError::PingTimeout))
    );
}

#[test]
fn a_held_message_does_not_trip_the_ping_time_out() {
    let config = Config::new().options(|o| o.keep_alive_s = 5);
    let (mut world, mut inbox, link) = World::connected(config);
    link.sends(publish(Q0, 0, "t", "x"));
    world.run();
    let message = inbox.try_next().unwrap();
    world.advance(5_000);
    world.expect(&link, &["PINGREQ"]);
    // The answer lies behind the message.
    link.sends(PINGRESP);
    world.advance(600_000);
    assert!(!link.is_gone());
    link.got();
    drop(message);
    world.advance(1_000);
    assert!(!link.is_gone());
    assert_eq!(world.links(), 1);
}

#[test]
fn a_link_that_died_while_a_message_was_held_or_untaken_is_found_afterwards() {
    // Held and dropped; held and the inbox dropped; untaken and the inbox dropped.
    for (held, inbox_stays) in [(true, true), (true, false), (false, false)] {
        let config = Config::new().options(|o| {
            o.keep_alive_s = 5;
            o.ping_timeout_ms = 2_500;
        });
        let (mut world, mut inbox, link) = World::connected(config);
        link.sends(publish(Q0, 0, "t", "x"));
        world.run();
        let message = held.then(|| inbox.try_next().unwrap());
        world.advance(100_000);
        assert!(!link.is_gone());
        drop(message);
        let inbox = inbox_stays.then_some(inbox);
        world.advance(2_499);
        assert!(!link.is_gone());
        world.advance(1);
        assert!(link.is_gone(), "{held} {inbox_stays}");
        assert_eq!(
            world.client.report().last_end,
            Some(LinkEnd::Session(SessionError::PingTimeout))
        );
        drop(inbox);
    }
}

#[test]
fn a_missing_acknowledgement_ends_the_link_also_if_nothing_else_happens() {
    let config = Config::new().options(|o| {
        o.keep_alive_s = 0;
        o.ack_timeout_ms = 4_000;
    });
    let (mut world, _inbox, link) = World::connected(config);
    world.advance(100_000);
    drop(
        world
            .client
            .try_publish(&Message::new("t", b"").at_least_once())
            .unwrap(),
    );
    world.advance(3_999);
    assert!(!link.is_gone());
    world.advance(1);
    assert!(link.is_gone());
    assert_eq!(
        world.client.report().last_end,
        Some(LinkEnd::Session(SessionError::AckTimeout))
    );
}

#[test]
fn a_transport_that_takes_no_bytes_ends_the_link() {
    let config = Config::new().options(|o| {
        o.keep_alive_s = 0;
        o.ack_timeout_ms = 4_000;
    });
    let (mut world, _inbox, link) = World::connected(config);
    link.stalls();
    drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
    world.advance(3_999);
    assert!(!link.is_gone());
    world.advance(1);
    assert_eq!(
        world.client.report().last_end,
        Some(LinkEnd::Session(SessionError::WriteTimeout))
    );
}

#[test]
fn a_link_outlives_the_wrap_of_the_clock() {
    let config = Config::new().options(|o| o.keep_alive_s = 60);
    let (mut world, _inbox, link) = World::connected(config);
    let before = clock::now().as_millis();
    for _ in 0..5 {
        world.advance(60_000);
        world.expect(&link, &["PINGREQ"]);
        link.sends(PINGRESP);
    }
    world.run();
    assert!(clock::now().as_millis() < before);
    assert_eq!(world.links(), 1);
}

#[test]
fn all_that_is_written_is_flushed() {
    for profile in [Profile::SMOOTH, Profile::ROUGH] {
        let mut config = Config::new();
        config.profile = profile;
        let (mut world, _inbox, link) = World::connected(config);
        drop(
            world
                .client
                .try_publish(&Message::new("t", &[0; 200]))
                .unwrap(),
        );
        world.run();
        let state = link.lock();
        assert!(state.written.len() > 200);
        assert_eq!(state.flushed, state.written.len());
    }
}

#[test]
fn why_a_link_ended_is_told() {
    type Case = (fn(&Link), LinkEnd);
    let cases: [Case; 5] = [
        (Link::hangs_up, LinkEnd::PeerClosed),
        (
            |link| link.breaks(ErrorKind::ConnectionReset),
            LinkEnd::PeerClosed,
        ),
        (
            |link| link.breaks(ErrorKind::BrokenPipe),
            LinkEnd::PeerClosed,
        ),
        (|link| link.breaks(ErrorKind::Other), LinkEnd::Io),
        (
            |link| link.sends(CONNACK),
            LinkEnd::Session(SessionError::Protocol(ProtocolError::UnexpectedPacket)),
        ),
    ];
    for (cause, end) in cases {
        let (mut world, _inbox, link) = World::connected(Config::new());
        cause(&link);
        world.run();
        assert!(link.is_gone());
        assert_eq!(world.client.report().last_end, Some(end));
        world.reconnect(false);
    }
}

#[test]
fn on_3_1_1_a_protocol_error_closes_the_link_without_a_word() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    link.sends([0x30, 0]);
    world.expect(&link, &[]);
    assert!(link.is_gone());
    assert!(link.lock().closed);
}

/// MQTT 3.1.1 [MQTT-3.14.4-1]
#[test]
fn disconnect_sends_what_is_queued_then_disconnect_and_the_runner_returns() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    for n in [b"1", b"2"] {
        drop(
            world
                .client
                .try_publish(&Message::new("t", n).at_least_once())
                .unwrap(),
        );
    }
    let done = disconnect(&mut world);
    world.expect(
        &link,
        &["PUBLISH q1 #1 t=1", "PUBLISH q1 #2 t=2", "DISCONNECT"],
    );
    done.take();
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
    let state = link.lock();
    assert!(state.closed && state.reader_dropped && state.writer_dropped);
    assert_eq!(state.flushed, state.written.len());
}

#[test]
fn disconnect_ends_every_state_at_once() {
    type Case = (&'static str, fn(&mut World, &mut crate::support::Inbox));
    let cases: [Case; 7] = [
        ("idle", |_, _| {}),
        ("connecting the transport", |world, _| {
            world.plan([Plan::Hang]);
            world.start(Config::new().options);
        }),
        ("waiting for CONNACK", |world, _| {
            world.start(Config::new().options);
        }),
        ("in use", |world, _| {
            world.start(Config::new().options);
            world.link().sends(CONNACK);
        }),
        ("waiting for the next attempt", |world, _| {
            world.plan([REFUSED]);
            world.start(Config::new().options);
        }),
        ("stopped", |world, _| {
            let mut options = Config::new().options;
            options.reconnect = Reconnect::never();
            world.plan([REFUSED]);
            world.start(options);
        }),
        ("a message untaken, between links", |world, _| {
            world.start(Config::new().options);
            world.link().sends(CONNACK);
            world.link().sends(publish(Q0, 0, "t", "x"));
            world.run();
            world.link().hangs_up();
            world.link().breaks(ErrorKind::Other);
            drop(world.client.try_publish(&Message::new("t", b"")));
            world.advance(2_000);
        }),
    ];
    for (name, prepare) in cases {
        let (mut world, mut inbox) = World::new(Config::new());
        prepare(&mut world, &mut inbox);
        world.run();
        let done = disconnect(&mut world);
        world.run();
        assert!(done.is_ready(), "{name}");
        let ends = world.ends();
        match name {
            "idle" => assert!(ends.is_empty()),
            "stopped" => assert_eq!(ends, [Some(LinkEnd::Connect(ConnectError::Refused))]),
            _ => assert_eq!(ends, [Some(LinkEnd::Disconnected)], "{name}"),
        }
        // And the client can be used again.
        world.start(Config::new().options);
        while inbox.try_next().is_some() {}
        let link = world.link();
        link.sends(CONNACK);
        world.run();
        let state = world.client.state();
        assert!(
            matches!(state, LinkState::Connected { .. }),
            "{name}: {state}"
        );
    }
}

#[test]
fn a_dropped_disconnect_is_not_called_off() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    link.stalls();
    drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
    let gone = disconnect(&mut world);
    world.run();
    world.executor.drop_task(gone.index());
    link.recovers();
    world.expect(&link, &["PUBLISH q0 t=", "DISCONNECT"]);
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
}

#[test]
fn disconnect_takes_bounded_time_however_the_link_behaves() {
    let stall: fn(&Link) = Link::stalls;
    let stall_close: fn(&Link) = Link::stalls_close;
    let both: fn(&Link) = |link| {
        link.stalls();
        link.stalls_close();
    };
    for (cause, most_ms) in [(stall, 3_000), (stall_close, 3_000), (both, 6_000)] {
        let (mut world, _inbox, link) = World::connected(Config::new());
        cause(&link);
        drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
        world.run();
        let done = disconnect(&mut world);
        world.advance(most_ms - 1);
        assert!(!done.is_ready());
        world.advance(1);
        assert!(done.is_ready());
        assert!(link.is_gone());
        assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
    }
}

#[test]
fn disconnect_that_is_asked_for_again_and_again_takes_no_longer() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    link.stalls();
    drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
    world.run();
    for _ in 0..3 {
        let gone = disconnect(&mut world);
        world.advance(1_000);
        world.executor.drop_task(gone.index());
    }
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
}

#[test]
fn disconnect_with_will_is_silent_on_3_1_1() {
    let (mut world, _inbox, link) = World::connected(Config::new());
    drop(world.client.try_publish(&Message::new("t", b"")).unwrap());
    let client = world.client.clone();
    world.finish(async move { client.disconnect_with_will().await });
    world.expect(&link, &["PUBLISH q0 t="]);
    assert!(link.is_gone());
    assert_eq!(world.ends(), [Some(LinkEnd::Disconnected)]);
}

#[test]
fn a_runner_that_was_dropped_can_be_run_again_and_keeps_the_session() {
    let config = Config::new().options(|o| o.clean_session = false);
    let (mut world, mut inbox, link) = World::connected(config);
    let mut delivery = world
        .client
        .try_publish(&Message::new("t", b"1").at_least_once())
        .unwrap();
    world.expect(&link, &["PUBLISH q1 #1 t=1"]);
    world.drop_run();
    assert!(link.is_gone());
    assert_eq!(link.got(), [""; 0], "no DISCONNECT");
    assert_eq!(world.client.state(), LinkState::Idle);
    drop(world.client.try_publish(&Message::new("t", b"2")).unwrap());

    world.start(config.options);
    let link = world.link();
    world.expect(&link, &["CONNECT dev"]);
    link.sends(CONNACK_PRESENT);
    link.sends(publish(Q1, 7, "in", "x"));
    world.expect(&link, &["PUBLISH dup q1 #1 t=1", "PUBLISH q0 t=2"]);
    assert_eq!(inbox.try_next().unwrap().payload(), b"x");
    link.sends(puback(link.id(1)));
    world.expect(&link, &["PUBACK 7"]);
    assert_eq!(delivery.try_acknowledged(), Some(Ok(ReasonCode::SUCCESS)));
    assert_eq!(world.ends(), [None]);
}

#[test]
fn a_runner_can_be_dropped_at_every_poll() {
    let config = {
        let mut config = Config::new().options(|o| o.clean_session = false);
        config.profile = Profile::ROUGH;
        config
    };
    for rounds in 0..200 {
        let (mut world, mut inbox) = World::new(config);
        world.broker = Some(crate::support::broker::Broker::new(V3));
        for (qos, payload) in [(Q1, b"1"), (Q2, b"2"), (Q0, b"0")] {
            let message = Message::new("t", payload).qos(qos);
            drop(world.client.try_publish(&message).unwrap());
        }
        world.broker().publishes(Q2, "in", "x");
        world.begin(config.options);
        for _ in 0..rounds {
            world.round();
        }
        world.drop_run();
        world.start(config.options);
        let mut seen = Vec::new();
        while let Some(message) = inbox.try_next() {
            seen.push(message.payload().to_vec());
            drop(message);
            world.run();
        }
        assert_eq!(seen, [b"x"], "{rounds}");
        let broker = world.broker();
        assert!(broker.is_idle(), "{rounds}");
        assert!(broker.count(b"1") >= 1, "{rounds}");
        assert_eq!(broker.count(b"2"), 1, "{rounds}");
        assert!(matches!(world.client.state(), LinkState::Connected { .. }));
    }
}

/// Everything under way at once, both ways, at all QoS.
fn traffic(world: &mut World, inbox: crate::support::Inbox) -> Rc<RefCell<Vec<Vec<u8>>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    let mut inbox = inbox;
    world.spawn("receiver", async move {
        while let Ok(message) = inbox.next().await {
            log.borrow_mut().push(message.payload().to_vec());
        }
    });
    for n in 0..6_u8 {
        let client: Client = world.client.clone();
        world.spawn("publisher", async move {
            let qos = if n % 2 == 0 { Q1 } else { Q2 };
            let payload = [n];
            let message = Message::new("t", &payload).qos(qos);
            let mut delivery = client.publish(&message).await.expect("room");
            assert_eq!(delivery.acknowledged().await, Ok(ReasonCode::SUCCESS));
        });
        let qos = if n % 2 == 0 { Q1 } else { Q2 };
        world.broker().publishes(qos, "in", [n]);
    }
    seen
}

/// QoS 1 (even payloads) arrives at least once, QoS 2 exactly once.
#[track_caller]
fn check_count(count: usize, payload: u8, name: &str) {
    let may_come_again = payload.is_multiple_of(2);
    assert!(
        count == 1 || may_come_again && count > 1,
        "{name}: {payload} came {count} times"
    );
}

/// Lets traffic run over a link like `broken`; the number of links it took.
fn traffic_over(version: Version, profile: Profile, first: Profile, name: &str) -> usize {
    let mut config = Config::new().options(|o| {
        o.version = version;
        o.clean_session = false;
        o.reconnect = pauses(10);
        o.receive_maximum = 8;
    });
    config.profile = profile;
    let (mut world, inbox) = World::new(config);
    world.broker = Some(crate::support::broker::Broker::new(version));
    world.plan([Plan::Link(first)]);
    let received = traffic(&mut world, inbox);
    world.start(config.options);
    world.advance(1_000);
    let broker = world.broker();
    assert!(broker.is_idle(), "{name}");
    assert_eq!(broker.finished, 6, "{name}");
    for n in 0..6 {
        check_count(broker.count(&[n]), n, name);
        let all = received.borrow();
        let same = all.iter().filter(|payload| payload[..] == [n]);
        check_count(same.count(), n, name);
    }
    let session = world.client.report().session;
    assert_eq!((session.delivered, session.failed), (6, 0), "{name}");
    world.links()
}

fn cut_at_every_byte(version: Version) {
    for profile in [Profile::SMOOTH, Profile::ROUGH] {
        for reads in [false, true] {
            let mut cut = 0;
            loop {
                let at = Some(cut);
                let broken = Profile {
                    cut_read: at.filter(|_| reads),
                    cut_write: at.filter(|_| !reads),
                    ..profile
                };
                let name = format!("{reads} {cut}");
                let links = traffic_over(version, profile, broken, &name);
                if links == 1 {
                    break;
                }
                // On MQTT 5 a session that we do not know of takes one more.
                assert!(links == 2 || version.is_v5() && links == 3, "{name}");
                cut += 1;
            }
            assert!(cut > 50, "{cut}");
        }
    }
}

#[test]
fn a_link_can_be_cut_at_every_byte_in_both_directions_and_nothing_is_lost() {
    cut_at_every_byte(V3);
}

#[cfg(feature = "v5")]
#[test]
fn a_link_of_mqtt_5_can_be_cut_at_every_byte_in_both_directions_and_nothing_is_lost() {
    cut_at_every_byte(Version::V5);
}

#[test]
fn a_message_on_which_the_server_closes_again_and_again_is_set_aside() {
    let config = Config::new().options(|o| {
        o.reconnect = pauses(10);
        o.poison_after = 3;
    });
    let (mut world, _inbox, mut link) = World::connected(config);
    let publish = |payload| {
        let message = Message::new("t", payload).at_least_once();
        world.client.try_publish(&message).unwrap()
    };
    let mut poison = publish(b"1");
    let mut other = publish(b"2");
    for _ in 0..3 {
        world.expect(&link, &["PUBLISH q1 #1 t=1", "PUBLISH q1 #2 t=2"]);
        link.hangs_up();
        link = world.reconnect(false);
    }
    assert_eq!(poison.try_acknowledged(), Some(Err(DeliveryError::Poison)));
    world.expect(&link, &["PUBLISH q1 #2 t=2"]);
    link.sends(puback(link.id(2)));
    world.run();
    assert_eq!(other.try_acknowledged(), Some(Ok(ReasonCode::SUCCESS)));
}

/// RabbitMQ 3.10 has no QoS 2, and answers it by PUBACK.
#[test]
fn a_server_without_qos_2_does_not_keep_the_device_reconnecting_for_ever() {
    let config = Config::new().options(|o| {
        o.clean_session = false;
        o.reconnect = pauses(10);
        o.poison_after = 3;
    });
    let (mut world, _inbox, mut link) = World::connected(config);
    let message = Message::new("t", b"1").exactly_once();
    let mut delivery = world.client.try_publish(&message).unwrap();
    for publish in [
        "PUBLISH q2 #1 t=1",
        "PUBLISH dup q2 #1 t=1",
        "PUBLISH dup q2 #1 t=1",
    ] {
        world.expect(&link, &[publish]);
        link.sends(puback(link.id(1)));
        link = world.reconnect(true);
    }
    assert_eq!(
        delivery.try_acknowledged(),
        Some(Err(DeliveryError::Poison))
    );
    world.advance(10_000);
    world.expect(&link, &[]);
}

#[test]
fn a_message_that_is_held_keeps_the_next_link_waiting() {
    let config = Config::new().options(|o| {
        o.clean_session = false;
        o.reconnect = pauses(10);
    });
    let (mut world, mut inbox, link) = World::connected(config);
    link.sends(publish(Q1, 7, "in", "x"));
    world.run();
    let message = inbox.try_next().unwrap();
    // Nobody reads; it is the next write that finds out.
    link.breaks(ErrorKind::ConnectionReset);
    let publication = Message::new("t", b"").at_least_once();
    drop(world.client.try_publish(&publication).unwrap());
    world.advance(100_000);
    assert_eq!(world.client.state(), LinkState::Connecting);
    assert_eq!(message.payload(), b"x");
    assert_eq!(world.attempts().len(), 1);
    drop(message);
    world.run();
    assert_eq!(world.attempts().len(), 2);
    let link = world.link();
    world.expect(&link, &["CONNECT dev"]);
    link.sends(CONNACK_PRESENT);
    // It was not acknowledged in time, and its token is of no use on another link.
    link.sends(publish(Q1, 7, "in", "x"));
    world.expect(&link, &["PUBLISH dup q1 #1 t="]);
    drop(inbox.try_next().expect("the repetition"));
    world.expect(&link, &["PUBACK 7"]);
}

#[test]
fn the_report_counts_what_happened() {
    let config = Config::new().options(|o| o.reconnect = pauses(10));
    let (mut world, mut inbox) = World::new(config);
    world.plan([REFUSED, REFUSED]);
    world.start(config.options);
    world.advance(20);
    let link = world.link();
    link.sends(CONNACK);
    world.expect(&link, &["CONNECT dev clean"]);
    for qos in [Q0, Q1] {
        drop(
            world
                .client
                .try_publish(&Message::new("t", b"").qos(qos))
                .unwrap(),
        );
    }
    world.expect(&link, &["PUBLISH q0 t=", "PUBLISH q1 #1 t="]);
    for message in [
        publish(Q0, 0, "a", "1"),
        publish(Q2, 5, "a", "2"),
        publish(Q2, 5, "a", "2"),
    ] {
        link.sends(message);
        world.run();
        drop(inbox.try_next());
    }
    link.sends(publish(Q0, 0, "big", [0; 1000]));
    world.run();
    drop(inbox.try_next().expect("the head"));
    world.run();
    let report = world.client.report();
    assert_eq!(
        (report.attempts, report.skipped, report.discarded),
        (3, 1, 0)
    );
    assert_eq!(
        report.last_end,
        Some(LinkEnd::Connect(ConnectError::Refused))
    );
    let session = report.session;
    assert_eq!((session.connections, session.published), (1, 2));
    assert_eq!((session.delivered, session.failed), (1, 0));
    assert_eq!((session.received, session.duplicates), (3, 1));
}

#[test]
fn states_and_ends_have_words_for_people() {
    let texts = [
        LinkState::Idle.to_string(),
        LinkState::Waiting {
            retry_in_ms: 1500,
            end: LinkEnd::Connect(ConnectError::Refused),
        }
        .to_string(),
        LinkState::Stopped(LinkEnd::Session(SessionError::Refused(ReasonCode::new(5)))).to_string(),
    ];
    assert_eq!(
        texts,
        [
            "idle",
            "connection refused; next attempt in 1500 ms",
            "stopped: refused: not authorized",
        ]
    );
}
