//! Messages of the application on their way to the server.

use crate::common::{
    IN_ONE_PIECE, Setup, Trace, VERSIONS, converse, converse_in, puback, pubcomp, pubrec, pubrel,
};
use mqtt_core::{
    Message, QoS, Version,
    codec::TopicError,
    session::{ProtocolError, PublishError},
};

const ONE: Message<'static> = Message::new("a/b", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a/b", b"2").exactly_once();

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

/// MQTT 3.1.1 [MQTT-2.3.1-5] [MQTT-3.3.1-2] [MQTT-4.3.1-1]
/// MQTT 5 [MQTT-2.2.1-2] [MQTT-3.3.1-2] [MQTT-4.3.1-1]
#[test]
fn at_most_once_is_done_when_it_is_sent() {
    converse(
        |_| {},
        |trace| {
            let message = Message::new("a/b", b"0").retain();
            let ticket = trace.publishes(&message);
            trace.is_pending(ticket);
            trace.is_connected();
            assert_eq!(trace.sends_message(&message), 0);
            trace.succeeds(ticket);
            assert_eq!(trace.session.counters().delivered, 1);
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.3.2-1]
/// MQTT 5 [MQTT-4.3.2-2] [MQTT-4.3.2-3]
#[test]
fn at_least_once_is_done_with_puback() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (ticket, id) = trace.publishes_and_sends(&ONE);
            trace.is_pending(ticket);
            assert!(!trace.session.is_idle());
            trace.peer_sends(&puback(id));
            trace.succeeds(ticket);
            trace.peer_sends(&puback(id));
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.6.1-1] [MQTT-4.3.3-1]
/// MQTT 5 [MQTT-3.6.1-1] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT-4.3.3-5]
#[test]
fn exactly_once_takes_two_steps() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (ticket, id) = trace.publishes_and_sends(&TWO);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.is_pending(ticket);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.peer_sends(&pubcomp(id));
            trace.succeeds(ticket);
            assert!(trace.session.is_idle());
        },
    );
}

#[test]
fn nobody_has_to_ask_for_the_outcome() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (before, id) = trace.publishes_and_sends(&ONE);
            trace.session.forget(before);
            trace.peer_sends(&puback(id));
            let (after, id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&puback(id));
            trace.session.forget(after);
            assert!(trace.session.is_idle());
            assert_eq!(trace.session.counters().delivered, 2);
        },
    );
}

#[test]
fn to_forget_one_message_forgets_no_other() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (forgotten, first) = trace.publishes_and_sends(&ONE);
            let (watched, second) = trace.publishes_and_sends(&ONE);
            trace.session.forget(forgotten);
            trace.peer_sends(&puback(first));
            trace.peer_sends(&puback(second));
            trace.succeeds(watched);
            assert!(trace.session.is_idle());
        },
    );
}

#[test]
fn a_message_that_the_server_has_makes_room_before_pubcomp() {
    let set = |setup: &mut Setup| setup.tx = 200;
    converse(set, |trace| {
        trace.is_connected();
        let (before, before_id) = trace.publishes_and_sends(&ONE);
        let large = Message::new("a", &[b'x'; 100]).exactly_once();
        let (first, id) = trace.publishes_and_sends(&large);
        assert_eq!(trace.try_publish(&large), Err(PublishError::Full));
        trace.peer_sends(&pubrec(id));
        trace.sends(&pubrel(id));
        let (second, second_id) = trace.publishes_and_sends(&large);
        trace.peer_sends(&pubcomp(id));
        trace.succeeds(first);
        trace.peer_acknowledges(second_id, QoS::ExactlyOnce);
        trace.succeeds(second);
        trace.peer_acknowledges(before_id, QoS::AtLeastOnce);
        trace.succeeds(before);
    });
}

#[test]
fn answers_may_come_in_any_order() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (a, a_id) = trace.publishes_and_sends(&ONE);
            let (b, b_id) = trace.publishes_and_sends(&TWO);
            let (c, c_id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&[puback(c_id), pubrec(b_id), puback(a_id)].concat());
            trace.succeeds(c);
            trace.succeeds(a);
            trace.sends(&pubrel(b_id));
            trace.peer_sends(&pubcomp(b_id));
            trace.succeeds(b);
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.6.0-4]
/// MQTT 5 [MQTT-4.6.0-4]
#[test]
fn pubrel_follows_the_order_of_pubrec() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let ids: Vec<_> = (0..4).map(|_| trace.publishes_and_sends(&TWO).1).collect();
        for index in [2, 0, 3, 1] {
            trace.peer_sends(&pubrec(ids[index]));
        }
        let order: Vec<u8> = [2, 0, 3, 1].iter().flat_map(|i| pubrel(ids[*i])).collect();
        trace.sends(&order);
        trace.loses_link();
        // The same order again (MQTT 3.1.1 §4.4, §4.6).
        trace.resumes();
        trace.sends(&order);
    });
}

#[test]
fn an_answer_of_the_wrong_kind_ends_the_link() {
    type Answer = fn(u16) -> [u8; 4];
    let cases: [(&Message<'_>, Answer); 4] = [
        (&ONE, pubrec),
        (&ONE, pubcomp),
        (&TWO, puback),
        (&TWO, pubcomp),
    ];
    for (message, answer) in cases {
        converse_in(
            Version::V3_1_1,
            |_| {},
            |trace| {
                trace.is_connected();
                let (ticket, id) = trace.publishes_and_sends(message);
                trace.peer_sends(&answer(id));
                trace.fails_with(ProtocolError::WrongAcknowledgement);
                trace.is_closed();
                trace.is_pending(ticket);
            },
        );
    }
}

#[test]
fn an_answer_of_the_wrong_kind_behind_pubrel_ends_the_link() {
    converse_in(
        Version::V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            let (_, id) = trace.publishes_and_sends(&TWO);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.peer_sends(&puback(id));
            trace.fails_with(ProtocolError::WrongAcknowledgement);
            trace.is_closed();
        },
    );
}

#[test]
fn an_answer_to_what_this_link_has_not_sent_yet_changes_nothing() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let (one, one_id) = trace.publishes_and_sends(&ONE);
        let (two, two_id) = trace.publishes_and_sends(&TWO);
        trace.loses_link();
        trace.resumes();
        trace.peer_sends(&puback(one_id));
        trace.is_pending(one);
        trace.resends_message(&ONE, one_id);
        trace.resends_message(&TWO, two_id);
        trace.peer_sends(&puback(one_id));
        trace.succeeds(one);
        // Twice, before PUBREL could go out.
        trace.peer_sends(&[pubrec(two_id), pubrec(two_id)].concat());
        trace.sends(&pubrel(two_id));
        trace.is_silent();
        trace.peer_sends(&pubcomp(two_id));
        trace.succeeds(two);
    });
}

#[test]
fn answers_to_nothing_are_ignored_or_answered() {
    converse_in(
        Version::V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_sends(&puback(0xfffe));
            trace.peer_sends(&pubcomp(0xfffe));
            trace.is_silent();
            trace.peer_sends(&pubrec(0xfffe));
            trace.sends(&pubrel(0xfffe));
            trace.peer_sends(&pubrel(0xfffd));
            trace.sends(&pubcomp(0xfffd));
            assert!(trace.session.is_idle());
        },
    );
}

#[test]
fn an_unknown_pubrec_takes_nothing_from_the_quota() {
    converse(
        |setup| {
            keep_session(setup);
            setup.options.max_in_flight = 1;
        },
        |trace| {
            trace.is_connected();
            trace.peer_sends(&pubrec(0xfffe));
            trace.session.link_lost(false);
            trace.resumes();
            trace.is_silent();
            trace.publishes_and_sends(&ONE);
        },
    );
}

/// MQTT 5 [MQTT-4.4.0-1]
#[test]
fn nothing_is_repeated_while_the_link_lasts() {
    converse(
        |setup| setup.options.ack_timeout_ms = 0,
        |trace| {
            trace.is_connected();
            trace.publishes_and_sends(&ONE);
            for minute in 1..60 {
                trace.at(minute * 60_000).sends(crate::common::PINGREQ);
                trace.peer_sends(crate::common::PINGRESP);
            }
        },
    );
}

/// MQTT 3.1.1 [MQTT-2.3.1-1] [MQTT-2.3.1-2] [MQTT-2.3.1-3]
/// MQTT 5 [MQTT-2.2.1-3] [MQTT-4.3.2-1]
#[test]
fn identifiers_wrap_around_and_skip_those_in_use() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        keep_session(&mut setup);
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        trace.is_connected();
        let (_, oldest) = trace.publishes_and_sends(&ONE);
        let (_, half_done) = trace.publishes_and_sends(&TWO);
        trace.peer_sends(&pubrec(half_done));
        trace.sends(&pubrel(half_done));
        trace.subscribes(&[("s", QoS::AtMostOnce)]);
        let subscribe = trace.sends_subscribe(&[("s", QoS::AtMostOnce)]);
        let in_use = [oldest, half_done, subscribe];
        let (mut last, mut wrapped) = (subscribe, 0);
        for _ in 0..65_536 + 10 {
            let (ticket, id) = trace.publishes_and_sends(&ONE);
            assert!(id != 0 && !in_use.contains(&id), "{id} is in use");
            wrapped += u32::from(id < last);
            last = id;
            trace.peer_sends(&puback(id));
            trace.succeeds(ticket);
        }
        assert_eq!(wrapped, 1);
    }
}

#[test]
fn as_many_messages_are_in_flight_as_allowed() {
    converse(
        |setup| setup.options.max_in_flight = 2,
        |trace| {
            trace.is_connected();
            let (_, first) = trace.publishes_and_sends(&ONE);
            let (_, second) = trace.publishes_and_sends(&TWO);
            let waiting = trace.publishes(&ONE);
            trace.is_silent();
            // QoS 0 and requests pass a full window.
            trace.publishes_and_sends(&Message::new("a", b"0"));
            trace.subscribes(&[("s", QoS::AtMostOnce)]);
            trace.sends_subscribe(&[("s", QoS::AtMostOnce)]);
            // PUBREC returns nothing, PUBCOMP and PUBACK do.
            trace.peer_sends(&pubrec(second));
            trace.sends(&pubrel(second));
            trace.is_silent();
            trace.peer_sends(&pubcomp(second));
            let third = trace.sends_message(&ONE);
            trace.is_pending(waiting);
            trace.publishes(&TWO);
            trace.is_silent();
            trace.peer_sends(&puback(first));
            trace.sends_message(&TWO);
            trace.peer_sends(&puback(third));
            trace.succeeds(waiting);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
/// MQTT 5 [MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
#[test]
fn topics_are_checked_before_a_byte_is_sent() {
    let cases = [
        ("", TopicError::Empty),
        ("a/+", TopicError::Wildcard),
        ("#", TopicError::Wildcard),
        ("a\0b", TopicError::Nul),
    ];
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            for (topic, error) in cases {
                let message = Message::new(topic, b"");
                assert_eq!(trace.try_publish(&message), Err(PublishError::Topic(error)));
            }
            assert!(trace.session.is_idle());
        },
    );
}

#[test]
fn the_longest_topic_has_65_535_bytes() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        setup.tx = 70_000;
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        let longest = "t".repeat(65_535);
        trace.publishes(&Message::new(&longest, b"x"));
        for len in [65_536, 66_000] {
            let mut trace = Trace::new(&setup, IN_ONE_PIECE);
            let topic = "t".repeat(len);
            assert_eq!(
                trace.try_publish(&Message::new(&topic, b"x")),
                Err(PublishError::Topic(TopicError::TooLong))
            );
        }
    }
}

#[test]
fn counters_say_what_became_of_the_messages() {
    converse(keep_session, |trace| {
        trace.is_connected();
        trace.publishes_and_sends(&Message::new("a", b"0"));
        let (_, one) = trace.publishes_and_sends(&ONE);
        trace.publishes_and_sends(&TWO);
        trace.peer_sends(&puback(one));
        trace.peer_publishes(&TWO, 9);
        trace.peer_repeats(&TWO, 9);
        trace.delivers(&TWO);
        trace.loses_link();
        trace.is_connected();
        let counters = trace.session.counters();
        let of_ours = (counters.published, counters.delivered, counters.failed);
        assert_eq!(of_ours, (3, 2, 1));
        let of_theirs = (counters.received, counters.duplicates, counters.connections);
        assert_eq!(of_theirs, (1, 1, 2));
    });
}
