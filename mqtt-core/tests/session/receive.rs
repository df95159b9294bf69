//! Messages of the server on their way to the application.

use crate::common::{
    PINGRESP, Seen, Setup, converse, converse_in, puback, pubcomp, pubrec, pubrel,
};
use mqtt_core::{
    Message, Version,
    codec::DecodeError,
    session::{AckToken, Oversize, ProtocolError},
};

const ZERO: Message<'static> = Message::new("a/b", b"0");
const ONE: Message<'static> = Message::new("a/b", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a/b", b"2").exactly_once();

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

/// MQTT 3.1.1 [MQTT-2.3.1-6] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.4-1]
/// MQTT 5 [MQTT-2.2.1-5] [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]
#[test]
fn each_qos_is_answered_as_it_asks() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&ZERO, 0);
            assert_eq!(trace.delivers(&ZERO), None);
            trace.is_silent();
            trace.peer_publishes(&ONE.retain(), 1);
            trace.delivers_and_acknowledges(&ONE.retain());
            trace.sends(&puback(1));
            trace.peer_publishes(&TWO, 65_535);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(65_535));
            trace.peer_sends(&pubrel(65_535));
            trace.sends(&pubcomp(65_535));
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.3.2-2]
/// MQTT 5 [MQTT-4.3.2-4]
#[test]
fn a_message_is_answered_when_the_application_is_done_with_it() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&ONE, 7);
            let token = trace.delivers(&ONE);
            trace.is_silent();
            trace.at(30_000).is_silent();
            trace.acknowledges(token);
            trace.sends(&puback(7));
            // Once is enough.
            trace.acknowledges(token);
            trace.is_silent();
        },
    );
}

/// MQTT 3.1.1 [MQTT-2.3.1-6] [MQTT-4.6.0-2] [MQTT-4.6.0-3]
/// MQTT 5 [MQTT-2.2.1-5] [MQTT-4.6.0-2] [MQTT-4.6.0-3]
#[test]
fn answers_go_out_in_the_order_of_the_messages() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let messages = [(&ONE, 5), (&TWO, 6), (&ONE, 3), (&TWO, 4), (&ONE, 1)];
            for (message, id) in messages {
                trace.peer_publishes(message, id);
            }
            let tokens = messages.map(|(message, _)| trace.delivers(message));
            // Acknowledged out of order: PUBACK 1 waits for 5 and 3, PUBREC 4 for 6 [MQTT-4.6.0-2, 3].
            trace.acknowledges(tokens[4]);
            trace.acknowledges(tokens[3]);
            trace.is_silent();
            trace.acknowledges(tokens[0]);
            trace.sends(&puback(5));
            trace.acknowledges(tokens[1]);
            trace.sends(&[pubrec(6), pubrec(4)].concat());
            trace.is_silent();
            trace.acknowledges(tokens[2]);
            trace.sends(&[puback(3), puback(1)].concat());
            trace.peer_sends(&[pubrel(6), pubrel(4)].concat());
            trace.sends(&[pubcomp(6), pubcomp(4)].concat());
        },
    );
}

/// MQTT 3.1.1 [MQTT-2.3.1-4]
/// MQTT 5 [MQTT-2.2.1-4]
#[test]
fn identifiers_of_the_server_are_its_own() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (ticket, id) = trace.publishes_and_sends(&TWO);
            trace.peer_publishes(&TWO, id);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(id));
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.peer_sends(&pubrel(id));
            trace.sends(&pubcomp(id));
            trace.peer_sends(&pubcomp(id));
            trace.succeeds(ticket);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.3.1-3] [MQTT-4.3.2-2]
/// MQTT 5 [MQTT-3.3.1-3] [MQTT-4.3.2-5]
#[test]
fn qos_1_with_the_same_identifier_is_a_new_message() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&ONE, 5);
            trace.delivers_and_acknowledges(&ONE);
            trace.peer_repeats(&ONE, 5);
            trace.delivers_and_acknowledges(&ONE);
            trace.sends(&[puback(5), puback(5)].concat());
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.3.3-2]
/// MQTT 5 [MQTT-4.3.3-10] [MQTT-4.3.3-12]
#[test]
fn qos_2_is_delivered_once_until_pubcomp() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&TWO, 9);
            let token = trace.delivers(&TWO);
            trace.peer_repeats(&TWO, 9);
            trace.is_silent();
            trace.acknowledges(token);
            trace.sends(&pubrec(9));
            for _ in 0..3 {
                trace.peer_repeats(&TWO, 9);
                trace.sends(&pubrec(9));
            }
            trace.peer_sends(&pubrel(9));
            trace.sends(&pubcomp(9));
            trace.sees_nothing();
            assert_eq!(trace.session.counters().duplicates, 4);
            // Now it is a new one.
            trace.peer_publishes(&TWO, 9);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(9));
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.2-4] [MQTT-4.1.0-1] [MQTT-4.3.3-2]
/// MQTT 5 [MQTT-3.1.2-23] [MQTT-4.3.3-10]
#[test]
fn qos_2_is_delivered_once_across_links() {
    converse(keep_session, |trace| {
        trace.is_connected();
        // Held by the application, acknowledged but not sent, PUBREC sent, PUBREL come: wherever the link ends.
        for id in 1..=4 {
            trace.peer_publishes(&TWO, id);
        }
        let tokens = [(); 4].map(|()| trace.delivers(&TWO));
        trace.acknowledges(tokens[0]);
        trace.acknowledges(tokens[1]);
        trace.sends(&[pubrec(1), pubrec(2)].concat());
        trace.peer_sends(&pubrel(1));
        trace.acknowledges(tokens[2]);
        trace.session.link_lost(false);
        trace.resumes();
        trace.peer_sends(&pubrel(1));
        trace.sends(&pubcomp(1));
        for id in 2..=4 {
            trace.peer_repeats(&TWO, id);
            trace.sends(&pubrec(id));
            trace.peer_sends(&pubrel(id));
            trace.sends(&pubcomp(id));
        }
        trace.sees_nothing();
        assert!(trace.session.is_idle());
    });
}

/// MQTT 3.1.1 [MQTT-3.2.2-3]
/// MQTT 5 [MQTT-3.2.2-5]
#[test]
fn without_a_session_the_same_identifier_is_a_new_message() {
    converse(keep_session, |trace| {
        trace.is_connected();
        trace.peer_publishes(&TWO, 9);
        trace.delivers_and_acknowledges(&TWO);
        trace.sends(&pubrec(9));
        trace.loses_link();
        trace.is_connected();
        assert!(trace.session.is_idle());
        trace.peer_publishes(&TWO, 9);
        trace.delivers_and_acknowledges(&TWO);
        trace.sends(&pubrec(9));
    });
}

#[test]
fn a_token_of_an_earlier_link_acknowledges_nothing() {
    converse(keep_session, |trace| {
        trace.is_connected();
        trace.peer_publishes(&ONE, 1);
        let stale = trace.delivers(&ONE);
        trace.session.link_lost(false);
        trace.acknowledges(stale);
        trace.resumes();
        trace.acknowledges(stale);
        trace.is_silent();
        trace.peer_repeats(&ONE, 1);
        let token = trace.delivers(&ONE);
        trace.acknowledges(stale);
        trace.is_silent();
        trace.acknowledges(token);
        trace.sends(&puback(1));
    });
}

#[test]
fn a_lost_answer_of_qos_1_brings_the_message_again() {
    converse(keep_session, |trace| {
        for _ in 0..20 {
            trace.connects();
            let known = trace.session.counters().connections != 0;
            trace.is_accepted(known);
            trace.peer_repeats(&ONE, 1);
            trace.delivers_and_acknowledges(&ONE);
            trace.session.link_lost(false);
        }
        assert!(trace.session.is_idle());
    });
}

/// MQTT 3.1.1 [MQTT-3.10.4-2] [MQTT-3.10.4-3] [MQTT-4.5.0-2]
/// MQTT 5 [MQTT-3.10.4-2] [MQTT-3.10.4-3] [MQTT-4.5.0-2]
#[test]
fn a_late_message_and_pubrel_are_answered_after_unsuback() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&TWO, 3);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(3));
            trace.unsubscribes(&["a/b"]);
            let id = trace.sends_unsubscribe(&["a/b"]);
            trace.peer_sends(&crate::common::unsuback(trace.version(), id, &[0]));
            trace.peer_sends(&pubrel(3));
            trace.sends(&pubcomp(3));
            trace.peer_publishes(&ONE, 4);
            trace.delivers_and_acknowledges(&ONE);
            trace.sends(&puback(4));
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.8.0-2]
#[test]
fn more_messages_than_slots_end_the_link() {
    let set = |setup: &mut Setup| {
        setup.options.receive_maximum = 2;
        setup.tx = 64;
        setup.slots = 4;
    };
    converse_in(Version::V3_1_1, set, |trace| {
        trace.is_connected();
        let mut taken = 0;
        while trace.session.is_connected() {
            taken += 1;
            trace.peer_publishes(&ONE, taken);
        }
        trace.fails_with(ProtocolError::ReceiveMaximum);
        // One of them was not.
        assert!(taken > 2);
        for _ in 1..taken {
            trace.delivers(&ONE);
        }
        trace.is_closed();
    });
}

/// 300 bytes that differ.
fn long_payload() -> &'static [u8] {
    (0..300_u16)
        .map(|n| n.to_le_bytes()[0])
        .collect::<Vec<_>>()
        .leak()
}

fn stream(setup: &mut Setup) {
    setup.options.clean_session = false;
    setup.options.oversize = Oversize::Stream;
    setup.rx = 64;
}

fn sees_large(trace: &mut crate::common::Trace, topic: &str, len: usize) -> Option<AckToken> {
    match trace.next_seen() {
        Seen::Large {
            topic: t,
            payload_len,
            token,
        } => {
            assert_eq!((t.as_str(), payload_len as usize), (topic, len));
            token
        }
        other => panic!("a large message expected, not {other:?}"),
    }
}

#[test]
fn a_large_message_comes_in_pieces() {
    converse(stream, |trace| {
        trace.is_connected();
        let payload = long_payload();
        let large = Message::new("a/b", payload).exactly_once();
        trace.peer_publishes(&ZERO, 0);
        trace.peer_publishes(&large, 1);
        trace.peer_publishes(&ONE, 2);
        trace.delivers(&ZERO);
        let token = sees_large(trace, "a/b", payload.len());
        trace.sees(Seen::Pieces(payload.to_vec(), true));
        trace.is_silent();
        trace.acknowledges(token);
        trace.sends(&pubrec(1));
        trace.delivers_and_acknowledges(&ONE);
        trace.sends(&puback(2));
        // A repetition is for the session only.
        trace.peer_repeats(&large, 1);
        trace.sends(&pubrec(1));
        trace.peer_publishes(&ZERO, 0);
        trace.delivers(&ZERO);
    });
}

/// MQTT 3.1.1 [MQTT-4.5.0-2]
/// MQTT 5 [MQTT-4.5.0-2]
#[test]
fn a_large_message_can_be_skipped() {
    let set = |setup: &mut Setup| setup.rx = 64;
    converse(set, |trace| {
        trace.is_connected();
        let large = Message::new("a/b", long_payload()).at_least_once();
        trace.peer_publishes(&large, 1);
        let token = sees_large(trace, "a/b", 300);
        trace.sees(Seen::Pieces(vec![], true));
        trace.acknowledges(token);
        trace.sends(&puback(1));
        trace.peer_sends(PINGRESP);
        trace.peer_publishes(&ZERO, 0);
        trace.delivers(&ZERO);
        assert!(trace.session.is_connected());
    });
}

#[test]
fn a_topic_larger_than_the_buffer_leaves_the_length_only() {
    let topic: &'static str = "t/".repeat(100).leak();
    for oversize in [Oversize::Skip, Oversize::Stream] {
        let set = |setup: &mut Setup| {
            setup.rx = 64;
            setup.options.oversize = oversize;
        };
        converse_in(Version::V3_1_1, set, |trace| {
            trace.is_connected();
            let message = Message::new(topic, long_payload());
            trace.peer_publishes(&message, 0);
            // The length is that of topic and payload.
            assert_eq!(sees_large(trace, "", 502), None);
            trace.sees(Seen::Pieces(vec![], true));
            trace.peer_publishes(&ZERO, 0);
            trace.delivers(&ZERO);
        });
    }
}

#[test]
fn a_large_message_cut_off_comes_again() {
    let payload = long_payload();
    for cut in [70, 100, 200, 300] {
        converse(stream, |trace| {
            trace.is_connected();
            let large = Message::new("a/b", payload).exactly_once();
            let bytes = crate::common::publish(trace.version(), &large, 1, false);
            trace.peer_sends(&bytes[..cut]);
            sees_large(trace, "a/b", payload.len());
            let Seen::Pieces(pieces, false) = trace.next_seen() else {
                panic!("a piece that is not the last expected");
            };
            assert_eq!(pieces, payload[..pieces.len()]);
            trace.loses_link();
            trace.resumes();
            trace.peer_repeats(&large, 1);
            // The application has not had all of it.
            let token = sees_large(trace, "a/b", payload.len());
            trace.sees(Seen::Pieces(payload.to_vec(), true));
            trace.acknowledges(token);
            trace.sends(&pubrec(1));
            trace.loses_link();
            trace.resumes();
            trace.peer_repeats(&large, 1);
            trace.sees_nothing();
            trace.sends(&pubrec(1));
        });
    }
}

/// MQTT 3.1.1 [MQTT-4.8.0-2]
#[test]
fn other_packets_must_fit_into_the_buffer() {
    let set = |setup: &mut Setup| setup.rx = 64;
    converse_in(Version::V3_1_1, set, |trace| {
        trace.is_connected();
        trace.peer_sends(b"\x90\x7f\0\x01");
        trace.fails_with(ProtocolError::BufferTooSmall);
        trace.is_closed();
    });
}

#[test]
fn a_packet_above_the_maximum_ends_the_link_before_it_is_buffered() {
    let set = |setup: &mut Setup| setup.options.maximum_packet_size = 20;
    converse_in(Version::V3_1_1, set, |trace| {
        trace.is_connected();
        let exact = Message::new("a", b"fifteen bytes..");
        trace.peer_publishes(&exact, 0);
        trace.delivers(&exact);
        trace.peer_sends(b"\x30\x13");
        trace.fails_with(ProtocolError::PacketTooLarge);
        trace.is_closed();
    });
}

/// MQTT 3.1.1 [MQTT-1.5.3-1] [MQTT-2.2.2-2] [MQTT-3.3.1-4] [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.8.0-1]
#[test]
fn what_a_server_may_not_send_delivers_nothing_and_ends_the_link() {
    let cases: [(&[u8], DecodeError); 12] = [
        (b"\x00\x00", DecodeError::PacketType),
        (b"\xf0\x00", DecodeError::PacketType),
        (b"\x36\x06\0\x01a\0\x01x", DecodeError::QoS),
        (b"\x38\x04\0\x01ax", DecodeError::Dup),
        (b"\x30\x04\0\x01#x", DecodeError::TopicWildcard),
        (b"\x30\x03\0\x00x", DecodeError::TopicEmpty),
        (b"\x30\x05\0\x02\xc3\x28x", DecodeError::String),
        (b"\x32\x06\0\x01a\0\0x", DecodeError::PacketIdentifierZero),
        (
            b"\x30\x80\x80\x80\x80\x01",
            DecodeError::VariableByteInteger,
        ),
        (b"\x60\x02\0\x01", DecodeError::ReservedBits),
        (b"\xc0\x00", DecodeError::WrongDirection),
        (b"\xd0\x01\0", DecodeError::TrailingBytes),
    ];
    for (bytes, error) in cases {
        converse_in(
            Version::V3_1_1,
            |_| {},
            |trace| {
                trace.is_connected();
                // In one write with a good packet before and behind it.
                let good = crate::common::publish(Version::V3_1_1, &ZERO, 0, false);
                trace.peer_sends(&[&good, bytes, &good].concat());
                trace.delivers(&ZERO);
                trace.fails_with(error);
                trace.sees_nothing();
                trace.is_closed();
            },
        );
    }
}
