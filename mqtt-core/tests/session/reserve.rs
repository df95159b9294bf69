//! The memory of a session: what is promised is kept, however full it is.

use crate::common::{Setup, converse, converse_in, puback, pubcomp, pubrec, pubrel};
use mqtt_core::{
    Message, QoS, Version,
    session::{ProtocolError, PublishError},
};

const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a", b"2").exactly_once();

fn small(setup: &mut Setup) {
    setup.options.clean_session = false;
    setup.options.receive_maximum = 2;
    setup.tx = 300;
    setup.slots = 8;
}

#[test]
fn a_lost_link_gives_the_promised_slots_back() {
    converse(small, |trace| {
        trace.is_connected();
        for id in [1, 2] {
            trace.peer_publishes(&ONE, id);
            trace.delivers(&ONE);
        }
        trace.session.link_lost(false);
        // What is queued now may not take what the repetitions will need.
        let mut queued = 0;
        while trace.try_publish(&ONE).is_ok() {
            queued += 1;
        }
        assert_eq!(queued, 8 - 2 - 2);
        trace.resumes();
        for _ in 0..queued {
            trace.sends_message(&ONE);
        }
        for id in [1, 2] {
            trace.peer_repeats(&ONE, id);
            trace.delivers_and_acknowledges(&ONE);
        }
        trace.sends(&[puback(1), puback(2)].concat());
    });
}

#[test]
fn a_server_that_sends_too_much_cannot_stop_the_next_connection() {
    for filters in [&[][..], crate::common::FILTERS] {
        let set = |setup: &mut Setup| {
            small(setup);
            setup.options.always_resubscribe = true;
            if !filters.is_empty() {
                setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
            }
        };
        converse_in(Version::V3_1_1, set, |trace| {
            trace.is_connected();
            if !filters.is_empty() {
                trace.sends_subscribe(filters);
            }
            let mut id = 0;
            while trace.session.is_connected() {
                id += 1;
                trace.peer_publishes(&TWO, id);
            }
            trace.fails_with(ProtocolError::ReceiveMaximum);
            trace.looks_away();
            trace.loses_link();
            trace.connects();
            trace.is_accepted(true);
            if !filters.is_empty() {
                trace.sends_subscribe(filters);
            }
        });
    }
}

#[test]
fn promised_messages_find_their_slots_while_subscribe_is_pending() {
    let set = |setup: &mut Setup| {
        small(setup);
        setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
    };
    converse(set, |trace| {
        while trace.try_publish(&ONE).is_ok() {}
        trace.is_connected();
        trace.sends_subscribe(crate::common::FILTERS);
        trace.looks_away();
        for id in [1, 2] {
            trace.peer_publishes(&TWO, id);
            trace.delivers_and_acknowledges(&TWO);
        }
        trace.sends(&[pubrec(1), pubrec(2)].concat());
    });
}

#[test]
fn unknown_identifiers_take_no_promised_slot_for_good() {
    converse(small, |trace| {
        trace.is_connected();
        for round in 0..50 {
            trace.peer_sends(&pubrel(1000 + round));
            trace.peer_sends(&pubrec(2000 + round));
            trace.pumps();
        }
        trace.looks_away();
        assert!(trace.session.is_idle());
        for id in [1, 2] {
            trace.peer_publishes(&TWO, id);
            trace.delivers_and_acknowledges(&TWO);
        }
        trace.sends(&[pubrec(1), pubrec(2)].concat());
    });
}

#[test]
fn answered_messages_leave_their_slots_to_those_that_follow() {
    let set = |setup: &mut Setup| {
        setup.slots = 5;
        setup.options.receive_maximum = 2;
    };
    converse(set, |trace| {
        trace.is_connected();
        // It stays in front of all others.
        trace.publishes_and_sends(&ONE);
        for _ in 0..3 {
            let tokens = [7, 8].map(|id| {
                trace.peer_publishes(&ONE, id);
                trace.delivers(&ONE)
            });
            for (token, id) in tokens.into_iter().zip([7, 8]) {
                trace.acknowledges(token);
                trace.sends(&puback(id));
            }
        }
    });
}

#[test]
fn a_session_runs_for_ever_in_little_memory() {
    for version in crate::common::VERSIONS {
        let mut setup = Setup::new(*version);
        setup.options.receive_maximum = 1;
        setup.tx = 300;
        setup.slots = 16;
        let mut trace = crate::common::Trace::new(&setup, crate::common::IN_ONE_PIECE);
        trace.is_connected();
        let mut in_flight: Vec<u16> = Vec::new();
        let mut random = 1_u32;
        let mut published = 0;
        while published < 100_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = (random >> 8) as usize % 20;
            let message = Message::new("t", &[0x55; 20][..length]).at_least_once();
            match trace
                .session
                .publish(&message, false, mqtt_core::Instant::default())
            {
                Ok(_) => {
                    published += 1;
                    let id = trace.sends_message(&message);
                    assert!(!in_flight.contains(&id), "{id} is in flight");
                    in_flight.push(id);
                }
                Err(error) => {
                    assert_eq!(error, PublishError::Full);
                    assert!(in_flight.len() >= 5, "the room has shrunk");
                    let any = (random >> 16) as usize % in_flight.len();
                    trace.peer_sends(&puback(in_flight.swap_remove(any)));
                }
            }
        }
        for id in in_flight {
            trace.peer_sends(&puback(id));
        }
        assert!(trace.session.is_idle());
        assert_eq!(trace.session.counters().delivered, 100_000);
    }
}

#[test]
fn slots_of_both_directions_come_back() {
    converse(small, |trace| {
        trace.is_connected();
        for id in 1..500 {
            let (ticket, ours) = trace.publishes_and_sends(&TWO);
            trace.peer_publishes(&TWO, id);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(id));
            trace.peer_sends(&pubrec(ours));
            trace.sends(&pubrel(ours));
            trace.peer_sends(&pubrel(id));
            trace.sends(&pubcomp(id));
            trace.peer_sends(&pubcomp(ours));
            trace.succeeds(ticket);
            let ticket = trace.subscribes(&[("a", QoS::AtMostOnce)]);
            let request = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            let suback = crate::common::suback(trace.version(), request, &[0]);
            trace.peer_sends(&suback);
            assert_eq!(trace.codes(ticket, 1), Some(vec![0]));
            assert!(trace.session.is_idle());
        }
    });
}
