//! Time passes: keep-alive, and answers that do not come.

use crate::common::{
    PINGREQ, PINGRESP, Setup, Trace, converse, converse_in, puback, pubrec, pubrel,
};
use mqtt_core::{Instant, Message, QoS, Version, session::SessionError};

const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const ZERO: Message<'static> = Message::new("a", b"0");

/// MQTT 3.1.1 [MQTT-3.1.2-23] [MQTT-3.12.4-1]
/// MQTT 5 [MQTT-3.1.2-20] [MQTT-3.12.4-1]
#[test]
fn silence_is_broken_by_pingreq_at_the_keep_alive() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.at(59_999).is_silent();
            assert_eq!(trace.deadline(), Some(60_000));
            trace.at(60_000).sends(PINGREQ);
            trace.at(60_100).peer_sends(PINGRESP);
            trace.at(119_999).is_silent();
            trace.at(120_000).sends(PINGREQ);
            trace.at(129_999).is_silent();
            assert_eq!(trace.deadline(), Some(130_000));
            trace.at(130_000).fails_with(SessionError::PingTimeout);
            trace.says_goodbye(0x80);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.2-23]
/// MQTT 5 [MQTT-3.1.2-20]
///
/// Found by simulation: a server that waits one and a half times the keep-alive gave up first.
#[test]
fn pings_go_on_while_the_answer_to_one_is_late() {
    let setup = |setup: &mut Setup| {
        setup.options.keep_alive_s = 4;
        setup.options.ping_timeout_ms = 9_000;
    };
    converse(setup, |trace| {
        trace.is_connected();
        trace.at(4_000).sends(PINGREQ);
        trace.at(7_999).is_silent();
        trace.at(8_000).sends(PINGREQ);
        trace.at(12_000).sends(PINGREQ);
        trace.peer_sends(PINGRESP);
        trace.at(16_000).sends(PINGREQ);
        trace.at(20_000).sends(PINGREQ);
        trace.at(24_000).sends(PINGREQ);
        trace.at(24_999).is_silent();
        // The first that was not answered counts.
        trace.at(25_000).fails_with(SessionError::PingTimeout);
        trace.says_goodbye(0x80);
    });
}

#[test]
fn a_ping_timeout_closes_without_a_word_on_3_1_1() {
    converse_in(
        Version::V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.at(60_000).sends(PINGREQ);
            trace.at(70_000).fails_with(SessionError::PingTimeout);
            trace.is_closed();
        },
    );
}

#[test]
fn traffic_in_both_directions_puts_the_ping_off() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.at(40_000);
            let (_, id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&puback(id));
            trace.at(99_999).is_silent();
            trace.at(100_000).sends(PINGREQ);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.2-23]
/// MQTT 5 [MQTT-3.1.2-20]
#[test]
fn receiving_alone_does_not_keep_the_link_alive() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            for second in (10..60).step_by(10) {
                trace.at(second * 1_000).peer_publishes(&ZERO, 0);
                trace.delivers(&ZERO);
            }
            trace.at(60_000).sends(PINGREQ);
        },
    );
}

#[test]
fn sending_alone_does_not_hide_a_dead_link() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            for second in (10..60).step_by(10) {
                trace.at(second * 1_000);
                trace.publishes_and_sends(&ZERO);
            }
            trace.at(60_000).sends(PINGREQ);
            trace.at(65_000);
            trace.publishes_and_sends(&ZERO);
            trace.at(70_000).fails_with(SessionError::PingTimeout);
            trace.session.link_lost(false);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.2-23]
/// MQTT 5 [MQTT-3.1.2-20]
#[test]
fn keep_alive_zero_sends_no_ping() {
    converse(
        |setup| setup.options.keep_alive_s = 0,
        |trace| {
            trace.is_connected();
            assert_eq!(trace.deadline(), None);
            trace.at(0x7000_0000).is_silent();
            assert!(trace.session.is_connected());
        },
    );
}

#[test]
fn the_longest_keep_alive_is_kept_for_days() {
    converse(
        |setup| setup.options.keep_alive_s = u16::MAX,
        |trace| {
            trace.is_connected();
            // 75 days: the clock wraps on the way.
            for n in 1..100 {
                let at = 65_535_000_u32.wrapping_mul(n);
                trace.at(at.wrapping_sub(1)).is_silent();
                trace.at(at).sends(PINGREQ);
                trace.peer_sends(PINGRESP);
            }
        },
    );
}

#[test]
fn an_application_that_takes_nothing_in_kills_no_link() {
    let set = |setup: &mut Setup| setup.options.ack_timeout_ms = 20_000;
    converse(set, |trace| {
        trace.is_connected();
        trace.publishes_and_sends(&ONE);
        trace.at(1_000).blocks(true);
        // The answers lie behind what the application does not take.
        trace.at(59_999).is_silent();
        keeps_the_promise(trace);
        trace.at(200_000).is_silent();
        assert!(trace.session.is_connected());
        trace.blocks(false);
        trace.at(209_999).is_silent();
        trace.at(210_000).fails_with(SessionError::PingTimeout);
        trace.session.link_lost(false);
    });
}

#[test]
fn silence_of_a_peer_that_is_not_heard_draws_no_ping() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.at(1_000).blocks(true);
            for second in (10..=100).step_by(10) {
                trace.at(second * 1_000);
                trace.publishes_and_sends(&ZERO);
            }
            trace.at(160_000).sends(PINGREQ);
        },
    );
}

#[test]
fn an_application_that_takes_in_again_finds_the_answers() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.at(1_000).blocks(true);
            keeps_the_promise(trace);
            trace.at(200_000).blocks(false);
            for _ in 0..3 {
                trace.peer_sends(PINGRESP);
            }
            trace.at(240_000).sends(PINGREQ);
        },
    );
}

/// The server would close the link after one and a half times the keep-alive.
#[test]
fn a_message_that_is_held_for_long_does_not_make_the_server_close_the_link() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.blocks(true);
            keeps_the_promise(trace);
        },
    );
}

/// A ping at each keep-alive, although no answer is heard.
fn keeps_the_promise(trace: &mut Trace) {
    for ping in 1..=3 {
        trace.at(ping * 60_000 - 1).is_silent();
        trace.at(ping * 60_000).sends(PINGREQ);
    }
}

#[test]
fn a_missing_acknowledgement_ends_the_link() {
    let set = |setup: &mut Setup| {
        setup.options.ack_timeout_ms = 20_000;
        setup.options.clean_session = false;
    };
    converse(set, |trace| {
        trace.is_connected();
        // Each answer puts the end off, whatever it answers.
        trace.at(1_000);
        let two = Message::new("a", b"2").exactly_once();
        let (_, one) = trace.publishes_and_sends(&ONE);
        trace.at(5_000);
        let (_, two) = trace.publishes_and_sends(&two);
        assert_eq!(trace.deadline(), Some(21_000));
        trace.at(10_000).peer_sends(&pubrec(two));
        trace.sends(&pubrel(two));
        assert_eq!(trace.deadline(), Some(30_000));
        trace.at(29_000).peer_sends(&puback(one));
        assert_eq!(trace.deadline(), Some(49_000));
        trace.at(48_999).is_silent();
        trace.at(49_000).fails_with(SessionError::AckTimeout);
        trace.session.link_lost(false);
        // Everything starts anew on the next link.
        trace.resumes();
        trace.sends(&pubrel(two));
        assert_eq!(trace.deadline(), Some(69_000));
    });
}

#[test]
fn a_missing_suback_ends_the_link() {
    converse(
        |setup| setup.options.ack_timeout_ms = 20_000,
        |trace| {
            trace.is_connected();
            trace.at(3_000).subscribes(&[("a", QoS::AtMostOnce)]);
            let id = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            assert_eq!(trace.deadline(), Some(23_000));
            let suback = crate::common::suback(trace.version(), id, &[0]);
            trace.at(4_000).peer_sends(&suback);
            assert_eq!(trace.deadline(), Some(63_000));
        },
    );
}

#[test]
fn a_transport_that_takes_no_bytes_ends_the_link() {
    let mut setup = Setup::new(Version::V3_1_1);
    setup.options.ack_timeout_ms = 20_000;
    let mut trace = Trace::new(&setup, crate::common::IN_ONE_PIECE);
    trace.is_connected();
    trace.publishes(&ZERO);
    let mut out = [0; 64];
    // Given out at 1 s, and never handed over: there is no next call.
    assert_ne!(
        trace
            .session
            .transmit(&mut out, Instant::from_millis(1_000)),
        0
    );
    assert_eq!(
        trace.session.next_deadline(),
        Some(Instant::from_millis(21_000))
    );
    assert_eq!(trace.session.tick(Instant::from_millis(20_999)), Ok(()));
    let result = trace.session.tick(Instant::from_millis(21_000));
    assert_eq!(result, Err(SessionError::WriteTimeout));
    assert!(trace.session.is_closed());
}

#[test]
fn a_ping_waits_for_the_write_under_way() {
    let mut trace = Trace::new(&Setup::new(Version::V3_1_1), crate::common::IN_ONE_PIECE);
    trace.is_connected();
    let mut out = [0; 64];
    let at = Instant::from_millis;
    trace.publishes(&ZERO);
    assert_ne!(trace.session.transmit(&mut out, at(10_000)), 0);
    // The transport takes 70 s for it.
    assert_eq!(trace.session.next_deadline(), Some(at(130_000)));
    assert_eq!(trace.session.tick(at(79_999)), Ok(()));
    assert_eq!(trace.session.transmit(&mut out, at(80_000)), 0);
    assert_eq!(trace.session.next_deadline(), Some(at(60_000)));
    assert_eq!(trace.session.tick(at(80_000)), Ok(()));
    assert_eq!(trace.session.transmit(&mut out, at(80_000)), 2);
    assert_eq!(&out[..2], PINGREQ);
}

#[test]
fn a_ping_that_the_transport_never_fetches_ends_the_link() {
    // It is busy with an answer of its own, that of a WebSocket to a ping, which the peer does not take.
    let set = |setup: &mut Setup| setup.options.ack_timeout_ms = 20_000;
    converse(set, |trace| {
        trace.is_connected();
        let at = |millis| Instant::from_millis(trace.way.start_ms).plus(millis);
        assert_eq!(trace.session.tick(at(60_000)), Ok(()));
        assert_eq!(trace.session.tick(at(79_999)), Ok(()));
        assert_eq!(trace.session.next_deadline(), Some(at(80_000)));
        let late = trace.session.tick(at(80_000));
        assert_eq!(late, Err(SessionError::WriteTimeout));
        trace.session.link_lost(false);
    });
}

#[test]
fn an_answer_that_overtakes_the_end_of_the_write_is_an_answer() {
    let mut trace = Trace::new(&Setup::new(Version::V3_1_1), crate::common::IN_ONE_PIECE);
    trace.is_connected();
    let at = Instant::from_millis;
    let mut out = [0; 64];
    assert_eq!(trace.session.tick(at(60_000)), Ok(()));
    assert_eq!(trace.session.transmit(&mut out, at(60_000)), 2);
    // The transport says only later that it has handed the ping over.
    trace.peer_sends(PINGRESP);
    assert_eq!(trace.session.transmit(&mut out, at(60_100)), 0);
    assert_eq!(trace.session.tick(at(100_000)), Ok(()));
    assert!(trace.session.is_connected());
}

#[test]
fn bytes_that_a_lost_link_did_not_take_are_not_waited_for() {
    let mut trace = Trace::new(&Setup::new(Version::V3_1_1), crate::common::IN_ONE_PIECE);
    trace.is_connected();
    trace.publishes(&ZERO);
    let at = Instant::from_millis;
    assert_ne!(trace.session.transmit(&mut [0; 64], at(1_000)), 0);
    trace.session.link_lost(false);
    assert_eq!(trace.session.next_deadline(), None);
    assert_eq!(trace.session.tick(at(1_000_000)), Ok(()));
}

#[test]
fn saying_again_that_the_application_takes_in_puts_no_time_out_off() {
    let set = |setup: &mut Setup| setup.options.ack_timeout_ms = 20_000;
    converse(set, |trace| {
        trace.is_connected();
        trace.publishes_and_sends(&ONE);
        trace.at(15_000).blocks(false);
        trace.at(19_999).is_silent();
        trace.at(20_000).fails_with(SessionError::AckTimeout);
        trace.session.link_lost(false);
    });
}

#[test]
fn an_idle_session_needs_no_clock() {
    converse(
        |_| {},
        |trace| {
            assert_eq!(trace.deadline(), None);
            trace.is_connected();
            trace.loses_link();
            assert_eq!(trace.deadline(), None);
            trace.publishes(&ONE);
            trace.at(1_000_000_000).is_silent();
        },
    );
}

#[test]
fn time_outs_as_long_as_can_be_are_no_time_outs_at_once() {
    let set = |setup: &mut Setup| {
        setup.options.connack_timeout_ms = u32::MAX;
        setup.options.ping_timeout_ms = u32::MAX;
        setup.options.ack_timeout_ms = u32::MAX;
    };
    converse(set, |trace| {
        trace.connects();
        trace.at(10_000).is_silent();
        trace.is_accepted(false);
        trace.publishes_and_sends(&ONE);
        trace.at(70_000).sends(PINGREQ);
        // The keep-alive is kept, answered or not.
        trace.at(10_000_000).sends(PINGREQ);
        assert!(trace.session.is_connected());
    });
}
