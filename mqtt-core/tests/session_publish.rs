//! Messages of the application on their way to the server.

mod common;

use common::{
    IN_ONE_PIECE, Setup, Trace, VERSIONS, converse, converse_in, puback, pubcomp, pubrec, pubrel,
};
use mqtt_core::{
    Message, QoS, Version,
    codec::{TopicError, Writer},
    session::{DeliveryError, OutboxPolicy, ProtocolError, PublishError},
};

const ONE: Message<'static> = Message::new("a/b", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a/b", b"2").exactly_once();

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

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

#[test]
fn at_least_once_is_done_with_puback() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (ticket, id) = trace.publishes_and_sends(&ONE);
            trace.is_pending(ticket);
            trace.peer_sends(&puback(id));
            trace.succeeds(ticket);
            trace.peer_sends(&puback(id));
            assert!(trace.session.is_idle());
        },
    );
}

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
fn an_outcome_waits_until_somebody_asks() {
    converse(
        |setup| setup.options.poison_after = 1,
        |trace| {
            let dropped = trace.publishes(&TWO);
            trace.is_connected();
            let id = trace.sends_message(&TWO);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.loses_link();
            trace.is_connected();
            let (poison, _) = trace.publishes_and_sends(&ONE);
            trace.peer_closes();
            trace.is_connected();
            let (done, id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&puback(id));
            for _ in 0..3 {
                trace.loses_link();
                trace.is_connected();
            }
            trace.ends_as(dropped, DeliveryError::SessionLost);
            trace.ends_as(poison, DeliveryError::Poison);
            trace.succeeds(done);
        },
    );
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

#[test]
fn resume_repeats_with_dup_in_the_original_order() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let retained = ONE.retain();
        let messages = [&ONE, &TWO, &retained, &TWO, &ONE];
        let sent = messages.map(|message| trace.publishes_and_sends(message));
        trace.peer_sends(&puback(sent[2].1));
        trace.loses_link();
        let new = trace.publishes(&ONE);
        trace.resumes();
        for index in [0, 1, 3, 4] {
            trace.resends_message(messages[index], sent[index].1);
        }
        let new_id = trace.sends_message(&ONE);
        trace.peer_sends(&puback(new_id));
        trace.succeeds(new);
    });
}

#[test]
fn nothing_is_repeated_while_the_link_lasts() {
    converse(
        |setup| setup.options.ack_timeout_ms = 0,
        |trace| {
            trace.is_connected();
            trace.publishes_and_sends(&ONE);
            for minute in 1..60 {
                trace.at(minute * 60_000).sends(common::PINGREQ);
                trace.peer_sends(common::PINGRESP);
            }
        },
    );
}

#[test]
fn resume_repeats_pubrel_and_not_publish() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let (ticket, id) = trace.publishes_and_sends(&TWO);
        trace.peer_sends(&pubrec(id));
        // PUBREL does not even go out the first time.
        trace.session.link_lost(false);
        for _ in 0..2 {
            trace.resumes();
            trace.sends(&pubrel(id));
            trace.is_silent();
            trace.loses_link();
        }
        trace.resumes();
        trace.sends(&pubrel(id));
        trace.peer_sends(&pubcomp(id));
        trace.succeeds(ticket);
    });
}

#[test]
fn without_a_session_qos_1_is_sent_anew() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let (ticket, _) = trace.publishes_and_sends(&ONE);
        trace.loses_link();
        trace.resumes();
        assert!(trace.sends_publish().dup);
        trace.loses_link();
        trace.is_connected();
        let id = trace.sends_message(&ONE);
        trace.peer_sends(&puback(id));
        trace.succeeds(ticket);
    });
}

#[test]
fn without_a_session_qos_2_is_reported_lost() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let (first, _) = trace.publishes_and_sends(&TWO);
        let (second, id) = trace.publishes_and_sends(&TWO);
        trace.peer_sends(&pubrec(id));
        trace.sends(&pubrel(id));
        trace.loses_link();
        let unsent = trace.publishes(&TWO);
        trace.is_connected();
        trace.ends_as(first, DeliveryError::SessionLost);
        trace.ends_as(second, DeliveryError::SessionLost);
        // What was never sent cannot be doubled.
        trace.sends_message(&TWO);
        trace.is_pending(unsent);
        assert_eq!(trace.session.counters().failed, 2);
    });
}

#[test]
fn without_a_session_qos_2_is_sent_anew_if_wished() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.redeliver_exactly_once = true;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (ticket, _) = trace.publishes_and_sends(&TWO);
        trace.loses_link();
        trace.is_connected();
        let id = trace.sends_message(&TWO);
        trace.peer_sends(&pubrec(id));
        trace.sends(&pubrel(id));
        trace.peer_sends(&pubcomp(id));
        trace.succeeds(ticket);
    });
}

#[test]
fn a_packet_cut_by_the_end_of_the_link_is_sent_anew() {
    for version in VERSIONS {
        for cut in 1..9 {
            let mut setup = Setup::new(*version);
            keep_session(&mut setup);
            let mut trace = Trace::new(&setup, IN_ONE_PIECE);
            trace.is_connected();
            trace.publishes(&ONE);
            let now = mqtt_core::Instant::default();
            assert_eq!(trace.session.transmit(&mut vec![0; cut], now), cut);
            trace.session.link_lost(false);
            trace.resumes();
            trace.sends_message(&ONE);
            trace.is_silent();
        }
    }
}

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
fn original_order_survives_the_wrap_of_identifiers() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        keep_session(&mut setup);
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        trace.is_connected();
        let mut last = 0;
        while last != 65_532 {
            let (ticket, id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&puback(id));
            trace.succeeds(ticket);
            last = id;
        }
        let sent: Vec<u16> = (0..6).map(|_| trace.publishes_and_sends(&ONE).1).collect();
        assert_eq!(sent, [65_533, 65_534, 65_535, 1, 2, 3]);
        trace.loses_link();
        trace.resumes();
        for id in sent {
            trace.resends_message(&ONE, id);
        }
    }
}

#[test]
fn a_message_that_kills_the_link_is_set_aside() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.poison_after = 3;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (poison, id) = trace.publishes_and_sends(&ONE);
        let (good, good_id) = trace.publishes_and_sends(&TWO);
        trace.peer_closes();
        for _ in 0..2 {
            // Broken links and refused connections are nobody's fault.
            trace.resumes();
            trace.resends_message(&ONE, id);
            trace.resends_message(&TWO, good_id);
            trace.loses_link();
            trace.connects();
            trace.peer_closes();
            trace.resumes();
            trace.is_pending(poison);
            trace.resends_message(&ONE, id);
            trace.resends_message(&TWO, good_id);
            trace.peer_closes();
        }
        trace.ends_as(poison, DeliveryError::Poison);
        trace.resumes();
        trace.resends_message(&TWO, good_id);
        trace.is_pending(good);
    });
}

#[test]
fn a_server_that_refuses_for_a_while_costs_no_message() {
    converse_in(Version::V3_1_1, keep_session, |trace| {
        trace.is_connected();
        let (ticket, id) = trace.publishes_and_sends(&ONE);
        trace.loses_link();
        for _ in 0..10 {
            trace.connects();
            trace.peer_sends(b"\x20\x02\0\x03");
            trace.fails_with(mqtt_core::session::SessionError::Refused(
                mqtt_core::codec::ReasonCode::new(3),
            ));
            trace.peer_closes();
            trace.is_pending(ticket);
        }
        trace.resumes();
        trace.resends_message(&ONE, id);
    });
}

#[test]
fn a_message_may_be_given_many_chances() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.poison_after = 15;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (ticket, id) = trace.publishes_and_sends(&ONE);
        for _ in 1..15 {
            trace.peer_closes();
            // Told twice, it is still one link.
            trace.session.link_lost(true);
            trace.is_pending(ticket);
            trace.resumes();
            trace.resends_message(&ONE, id);
        }
        trace.peer_closes();
        trace.ends_as(ticket, DeliveryError::Poison);
    });
}

#[test]
fn messages_are_never_set_aside_if_not_wished() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.poison_after = 0;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (ticket, id) = trace.publishes_and_sends(&ONE);
        for _ in 0..300 {
            trace.peer_closes();
            trace.resumes();
            trace.resends_message(&ONE, id);
        }
        trace.is_pending(ticket);
    });
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

#[test]
fn the_window_holds_for_repetitions_too() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.max_in_flight = 3;
    };
    converse(set, |trace| {
        trace.is_connected();
        let ids: Vec<_> = (0..3).map(|_| trace.publishes_and_sends(&TWO).1).collect();
        trace.peer_sends(&pubrec(ids[0]));
        trace.sends(&pubrel(ids[0]));
        trace.loses_link();
        trace.options.max_in_flight = 2;
        trace.resumes();
        trace.sends(&pubrel(ids[0]));
        trace.resends_message(&TWO, ids[1]);
        trace.is_silent();
        trace.peer_sends(&pubcomp(ids[0]));
        trace.resends_message(&TWO, ids[2]);
    });
}

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

/// Room for two messages of 100 bytes, not for three.
fn small(policy: OutboxPolicy) -> impl Fn(&mut Setup) {
    move |setup| {
        setup.outbox = policy;
        setup.options.receive_maximum = 2;
        setup.tx = 48 + 2 * 100 + 40;
        setup.slots = 2 + 2 + 5;
    }
}

/// A message of which the packet has about 100 bytes.
fn medium(byte: u8) -> Message<'static> {
    let payload: &'static [u8] = vec![byte; 90].leak();
    Message::new("t", payload).at_least_once()
}

#[test]
fn a_full_buffer_is_said_and_room_comes_back_with_the_answers() {
    for policy in [OutboxPolicy::Wait, OutboxPolicy::Reject] {
        converse(small(policy), |trace| {
            trace.is_connected();
            let (a, b, c) = (medium(b'a'), medium(b'b'), medium(b'c'));
            let (_, a_id) = trace.publishes_and_sends(&a);
            trace.publishes_and_sends(&b);
            assert_eq!(trace.try_publish(&c), Err(PublishError::Full));
            assert_eq!(
                trace.try_subscribe(&[(LONG_FILTER, QoS::AtMostOnce)]),
                Err(PublishError::Full)
            );
            trace.peer_sends(&puback(a_id));
            // The outcome that nobody has taken yet holds no payload.
            trace.publishes_and_sends(&c);
        });
    }
}

const LONG_FILTER: &str = "a filter that takes more room than is left in the buffer, by far, whatever else happens to lie there";

#[test]
fn the_oldest_messages_make_room_if_wished() {
    converse(small(OutboxPolicy::DropOldest), |trace| {
        let [a, b, c] = [b'a', b'b', b'c'].map(medium);
        let dropped = trace.publishes(&a);
        trace.publishes(&b);
        trace.publishes(&c);
        trace.ends_as(dropped, DeliveryError::Dropped);
        trace.is_connected();
        trace.sends_message(&b);
        trace.sends_message(&c);
        // What is in flight stays.
        assert_eq!(trace.try_publish(&a), Err(PublishError::Full));
        assert_eq!(trace.session.counters().failed, 1);
    });
}

#[test]
fn a_message_that_can_never_fit_drives_nothing_out() {
    let huge: &'static [u8] = vec![b'x'; 280].leak();
    for policy in [OutboxPolicy::DropOldest, OutboxPolicy::KeepLatest] {
        converse(small(policy), |trace| {
            let kept = trace.publishes(&medium(b'a'));
            let huge = Message::new("h", huge).at_least_once();
            assert_eq!(trace.try_publish(&huge), Err(PublishError::TooLarge));
            trace.is_pending(kept);
        });
    }
}

#[test]
fn a_message_larger_than_the_buffer_is_refused_for_good() {
    let huge: &'static [u8] = vec![b'x'; 2000].leak();
    converse(small(OutboxPolicy::Wait), |trace| {
        trace.is_connected();
        let huge = Message::new("h", huge);
        assert_eq!(trace.try_publish(&huge), Err(PublishError::TooLarge));
        let unknown = mqtt_core::WrittenBy(Message::new("h", b""), |payload: &mut Writer<'_>| {
            payload.bytes(huge.payload)
        });
        assert_eq!(trace.try_publish(&unknown), Err(PublishError::TooLarge));
        let closed = [(LONG_FILTER, QoS::AtMostOnce); 20];
        assert_eq!(trace.try_subscribe(&closed), Err(PublishError::TooLarge));
    });
}

#[test]
fn only_the_latest_message_of_a_topic_is_kept_if_wished() {
    converse(
        |setup| setup.outbox = OutboxPolicy::KeepLatest,
        |trace| {
            let old = trace.publishes(&Message::new("t/1", b"old").at_least_once());
            trace.publishes(&Message::new("t/2", b"other").at_least_once());
            trace.publishes(&Message::new("t/1", b"new").at_least_once());
            trace.ends_as(old, DeliveryError::Dropped);
            trace.is_connected();
            trace.sends_message(&Message::new("t/2", b"other").at_least_once());
            trace.sends_message(&Message::new("t/1", b"new").at_least_once());
            // What was sent is not replaced.
            trace.publishes_and_sends(&Message::new("t/1", b"newest").at_least_once());
            assert_eq!(trace.session.counters().failed, 1);
        },
    );
}

#[test]
fn a_full_buffer_cannot_block_a_reconnect_or_an_answer() {
    converse(small(OutboxPolicy::Wait), |trace| {
        trace.options.clean_session = false;
        trace.is_connected();
        let messages = [medium(b'a'), medium(b'b')];
        let ids = messages.map(|message| trace.publishes_and_sends(&message).1);
        let tiny = Message::new("t", b"").at_least_once();
        let mut more = 0;
        while trace.try_publish(&tiny).is_ok() {
            more += 1;
        }
        assert_eq!(trace.try_publish(&tiny), Err(PublishError::Full));
        trace.session.link_lost(false);
        trace.resumes();
        for (message, id) in messages.iter().zip(ids) {
            trace.resends_message(message, id);
        }
        for _ in 0..more {
            trace.sends_message(&tiny);
        }
        // As many inbound messages as promised are taken, and answered.
        let inbound = [TWO, ONE];
        for (message, id) in inbound.iter().zip([1, 2]) {
            trace.peer_publishes(message, id);
        }
        let tokens = inbound.map(|message| trace.delivers(&message));
        trace.acknowledges(tokens[0]);
        trace.acknowledges(tokens[1]);
        trace.sends(&[pubrec(1), puback(2)].concat());
        trace.peer_sends(&pubrel(1));
        trace.sends(&pubcomp(1));
    });
}

#[test]
fn a_watched_outcome_holds_no_payload() {
    converse(small(OutboxPolicy::Wait), |trace| {
        trace.is_connected();
        let tickets: Vec<_> = (0..3)
            .map(|_| {
                let (ticket, id) = trace.publishes_and_sends(&medium(b'x'));
                trace.peer_sends(&puback(id));
                ticket
            })
            .collect();
        for ticket in tickets {
            trace.succeeds(ticket);
        }
    });
}

#[test]
fn requests_are_answered_filter_by_filter() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let filters = [
                ("a", QoS::AtMostOnce),
                ("b/#", QoS::AtLeastOnce),
                ("c/+", QoS::ExactlyOnce),
            ];
            let several = trace.subscribes(&filters);
            let several_id = trace.sends_subscribe(&filters);
            let one = trace.subscribes(&filters[..1]);
            let one_id = trace.sends_subscribe(&filters[..1]);
            assert_eq!(trace.codes(several, 3), None);
            // In the other order, and each to its own.
            trace.peer_sends(&common::suback(trace.version(), one_id, &[0]));
            assert_eq!(trace.codes(several, 3), None);
            assert_eq!(trace.codes(one, 1), Some(vec![0]));
            trace.peer_sends(&common::suback(trace.version(), several_id, &[0, 0x80, 2]));
            assert_eq!(trace.codes(several, 3), Some(vec![0, 0x80, 2]));
            let gone = trace.unsubscribes(&["a", "b/#"]);
            let id = trace.sends_unsubscribe(&["a", "b/#"]);
            trace.peer_sends(&common::unsuback(trace.version(), id, &[0, 0x11]));
            let codes = if trace.version() == Version::V3_1_1 {
                [0, 0]
            } else {
                [0, 0x11]
            };
            assert_eq!(trace.codes(gone, 2), Some(codes.to_vec()));
            assert!(trace.session.is_idle());
        },
    );
}

#[test]
fn an_answer_with_an_unknown_identifier_answers_nobody() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let ticket = trace.subscribes(&[("a", QoS::AtMostOnce)]);
            let id = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            trace.peer_sends(&common::suback(trace.version(), id ^ 0x8000, &[0]));
            trace.peer_sends(&common::unsuback(trace.version(), id ^ 0x8000, &[0]));
            assert_eq!(trace.codes(ticket, 1), None);
            trace.peer_sends(&common::suback(trace.version(), id, &[0]));
            assert_eq!(trace.codes(ticket, 1), Some(vec![0]));
        },
    );
}

#[test]
fn an_answer_that_does_not_fit_the_request_ends_the_link() {
    type Answer = fn(Version, u16) -> Vec<u8>;
    let cases: [Answer; 4] = [
        |version, id| common::suback(version, id, &[0]),
        |version, id| common::suback(version, id, &[0, 0, 0]),
        |version, id| common::unsuback(version, id, &[0, 0]),
        |_, id| puback(id).to_vec(),
    ];
    for answer in cases {
        converse_in(
            Version::V3_1_1,
            |_| {},
            |trace| {
                trace.is_connected();
                let filters = [("a", QoS::AtMostOnce), ("b", QoS::AtMostOnce)];
                trace.subscribes(&filters);
                let id = trace.sends_subscribe(&filters);
                trace.peer_sends(&answer(Version::V3_1_1, id));
                trace.fails_with(ProtocolError::WrongAcknowledgement);
                trace.is_closed();
            },
        );
    }
}

#[test]
fn requests_left_unanswered_are_made_again_on_the_next_link() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let ticket = trace.subscribes(&[("a", QoS::AtMostOnce)]);
        let id = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
        trace.unsubscribes(&["b"]);
        trace.sends_unsubscribe(&["b"]);
        for session_present in [true, false] {
            trace.loses_link();
            trace.connects();
            trace.is_accepted(session_present);
            assert_eq!(trace.sends_subscribe(&[("a", QoS::AtMostOnce)]), id);
            trace.sends_unsubscribe(&["b"]);
        }
        trace.peer_sends(&common::suback(trace.version(), id, &[0]));
        assert_eq!(trace.codes(ticket, 1), Some(vec![0]));
    });
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
