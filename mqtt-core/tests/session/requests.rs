//! SUBSCRIBE and UNSUBSCRIBE on their way to the server, and the answers.

use crate::common::{Setup, converse, converse_in, puback};
use mqtt_core::{QoS, Version, session::ProtocolError};

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

/// MQTT 3.1.1 [MQTT-2.3.1-7] [MQTT-3.8.1-1] [MQTT-3.8.4-2] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1]
/// MQTT 3.1.1 [MQTT-3.10.1-1] [MQTT-3.10.3-1] [MQTT-3.10.4-6]
/// MQTT 5 [MQTT-2.2.1-6] [MQTT-3.8.1-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.10.1-1] [MQTT-3.10.3-1]
/// MQTT 5 [MQTT-3.10.4-5] [MQTT-3.11.3-1]
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
            trace.peer_sends(&crate::common::suback(trace.version(), one_id, &[0]));
            assert_eq!(trace.codes(several, 3), None);
            assert_eq!(trace.codes(one, 1), Some(vec![0]));
            trace.peer_sends(&crate::common::suback(
                trace.version(),
                several_id,
                &[0, 0x80, 2],
            ));
            assert_eq!(trace.codes(several, 3), Some(vec![0, 0x80, 2]));
            let gone = trace.unsubscribes(&["a", "b/#"]);
            let id = trace.sends_unsubscribe(&["a", "b/#"]);
            trace.peer_sends(&crate::common::unsuback(trace.version(), id, &[0, 0x11]));
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

/// MQTT 3.1.1 [MQTT-2.3.1-7] [MQTT-3.10.4-4]
/// MQTT 5 [MQTT-2.2.1-6]
#[test]
fn an_answer_with_an_unknown_identifier_answers_nobody() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let ticket = trace.subscribes(&[("a", QoS::AtMostOnce)]);
            let id = trace.sends_subscribe(&[("a", QoS::AtMostOnce)]);
            trace.peer_sends(&crate::common::suback(trace.version(), id ^ 0x8000, &[0]));
            trace.peer_sends(&crate::common::unsuback(trace.version(), id ^ 0x8000, &[0]));
            assert_eq!(trace.codes(ticket, 1), None);
            trace.peer_sends(&crate::common::suback(trace.version(), id, &[0]));
            assert_eq!(trace.codes(ticket, 1), Some(vec![0]));
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.8.4-5]
#[test]
fn an_answer_that_does_not_fit_the_request_ends_the_link() {
    type Answer = fn(Version, u16) -> Vec<u8>;
    let cases: [Answer; 4] = [
        |version, id| crate::common::suback(version, id, &[0]),
        |version, id| crate::common::suback(version, id, &[0, 0, 0]),
        |version, id| crate::common::unsuback(version, id, &[0, 0]),
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
        trace.peer_sends(&crate::common::suback(trace.version(), id, &[0]));
        assert_eq!(trace.codes(ticket, 1), Some(vec![0]));
    });
}
