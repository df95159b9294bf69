//! What becomes of messages on the next link.

use crate::common::{
    FILTERS, IN_ONE_PIECE, SUBSCRIPTIONS, Setup, Trace, VERSIONS, converse, converse_in, puback,
    pubcomp, pubrec, pubrel, suback,
};
use mqtt_core::{Message, Version, session::DeliveryError};

const ONE: Message<'static> = Message::new("a/b", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a/b", b"2").exactly_once();

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
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

/// MQTT 3.1.1 [MQTT-2.3.1-3] [MQTT-3.1.2-4] [MQTT-3.2.2-2] [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1]
/// MQTT 5 [MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-3.3.1-1] [MQTT-4.3.3-3] [MQTT-4.4.0-1] [MQTT-4.6.0-1]
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

/// MQTT 3.1.1 [MQTT-3.1.2-4] [MQTT-4.3.3-1] [MQTT-4.4.0-1]
/// MQTT 5 [MQTT-3.1.2-23] [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-4.4.0-1]
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

/// Found by simulation: the second link broke before the repetition went out, and the server forgot the session.
#[test]
fn a_message_whose_repetition_never_went_out_is_not_doubled_when_the_session_is_lost() {
    converse(keep_session, |trace| {
        trace.is_connected();
        let (once, _) = trace.publishes_and_sends(&TWO);
        let (again, _) = trace.publishes_and_sends(&ONE);
        trace.loses_link();
        trace.connects();
        trace.is_accepted(true);
        trace.session.link_lost(false);
        trace.is_connected();
        // Without DUP: for the server it is new.
        let id = trace.sends_message(&ONE);
        trace.is_silent();
        trace.ends_as(once, DeliveryError::SessionLost);
        trace.peer_sends(&puback(id));
        trace.succeeds(again);
    });
}

/// Found by simulation: the server has the session of a link on which it never got SUBSCRIBE.
#[test]
fn a_session_of_a_link_that_broke_early_does_not_keep_the_subscriptions_away() {
    let setup = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.subscriptions = SUBSCRIPTIONS;
    };
    converse(setup, |trace| {
        trace.is_connected();
        trace.session.link_lost(false);
        trace.resumes();
        let id = trace.sends_subscribe(FILTERS);
        let answer = suback(trace.version(), id, &[1, 1]);
        trace.peer_sends(&answer);
        trace.loses_link();
        trace.resumes();
        trace.is_silent();
        trace.loses_link();
        // Who knows what became of the session on a link without CONNACK.
        trace.connects();
        trace.loses_link();
        trace.resumes();
        trace.sends_subscribe(FILTERS);
    });
}

/// MQTT 3.1.1 [MQTT-3.2.2-3]
/// MQTT 5 [MQTT-3.1.2-6] [MQTT-3.2.2-5]
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

/// MQTT 3.1.1 [MQTT-4.6.0-1]
/// MQTT 5 [MQTT-4.6.0-1]
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
fn a_message_that_kills_the_link_before_all_of_it_is_out_is_set_aside() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        keep_session(&mut setup);
        setup.options.poison_after = 2;
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        trace.is_connected();
        let poison = trace.publishes(&ONE);
        let good = trace.publishes(&TWO);
        for _ in 0..2 {
            trace.is_pending(poison);
            let now = mqtt_core::Instant::default();
            assert_eq!(trace.session.transmit(&mut [0; 5], now), 5);
            trace.session.link_lost(true);
            trace.resumes();
        }
        trace.ends_as(poison, DeliveryError::Poison);
        trace.is_pending(good);
        trace.sends_message(&TWO);
    }
}

#[test]
fn a_server_that_closes_at_each_pubrel_does_not_keep_a_device_away_for_ever() {
    let set = |setup: &mut Setup| {
        keep_session(setup);
        setup.options.poison_after = 3;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (ticket, id) = trace.publishes_and_sends(&TWO);
        trace.peer_sends(&pubrec(id));
        trace.sends(&pubrel(id));
        trace.peer_closes();
        for _ in 0..2 {
            trace.is_pending(ticket);
            trace.resumes();
            trace.sends(&pubrel(id));
            trace.peer_closes();
        }
        trace.ends_as(ticket, DeliveryError::Poison);
        trace.resumes();
        trace.is_silent();
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
