//! A session begins and ends a connection.

use crate::common::{
    DISCONNECT, IN_ONE_PIECE, Setup, Trace, VERSIONS, connack, converse, converse_in, hex,
    new_session, new_session_in,
};
use mqtt_core::{
    Message, QoS, Version,
    codec::{EncodeError, Packet, ReasonCode, TopicName, Will},
    session::{Options, ProtocolError, PublishError, SessionError},
};

const V3_1_1: Version = Version::V3_1_1;

/// MQTT 3.1.1 [MQTT-3.1.2-9] [MQTT-3.1.3-1] [MQTT-3.1.3-3]
#[test]
fn connect_carries_all_options() {
    let set = |setup: &mut Setup| {
        setup.options = setup.options.credentials("u", b"pw");
        setup.options.clean_session = false;
        setup.options.keep_alive_s = 10;
        setup.options.will = Some(Will {
            qos: QoS::AtLeastOnce,
            retain: true,
            ..Will::new(TopicName::new("w").unwrap(), b"off")
        });
    };
    converse_in(V3_1_1, set, |trace| {
        let options = trace.options;
        trace
            .session
            .connect(&options, mqtt_core::Instant::default())
            .unwrap();
        let expected: [&[u8]; 5] = [
            b"\x10\x1f",
            b"\x00\x04MQTT\x04\xec\x00\x0a", // version, flags, keep alive
            b"\x00\x04dev1",
            b"\x00\x01w\x00\x03off",
            b"\x00\x01u\x00\x02pw",
        ];
        trace.sends(&expected.concat());
    });
}

/// MQTT 3.1.1 [MQTT-3.1.2-3] [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
/// MQTT 3.1.1 [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.2-20] [MQTT-3.1.2-21]
#[test]
fn the_flags_of_connect_follow_the_options() {
    for bits in 0..64_u8 {
        let bit = |n: u8| bits & 1 << n != 0;
        let mut setup = Setup::new(V3_1_1);
        setup.options.clean_session = bit(0);
        setup.options.user_name = bit(1).then_some("");
        setup.options.password = (bit(1) && bit(2)).then_some(b"\0\xff");
        setup.options.will = bit(3).then(|| Will {
            retain: bit(4),
            qos: if bit(5) {
                QoS::ExactlyOnce
            } else {
                QoS::AtMostOnce
            },
            ..Will::new(TopicName::new("w").unwrap(), b"")
        });
        let Packet::Connect(connect) = Trace::new(&setup, IN_ONE_PIECE).connects() else {
            panic!("CONNECT expected");
        };
        assert_eq!(connect.clean_session, setup.options.clean_session);
        assert_eq!(connect.user_name, setup.options.user_name);
        assert_eq!(connect.password, setup.options.password);
        assert_eq!(connect.will, setup.options.will);
        assert_eq!(connect.keep_alive, 60);
    }
}

/// MQTT 3.1.1 [MQTT-3.1.2-22] [MQTT-3.1.3-7]
#[test]
fn contradictions_of_3_1_1_are_refused_before_a_byte_is_sent() {
    let mut password_only = Options::new("dev1");
    password_only.password = Some(b"pw");
    let mut nameless = Options::new("");
    nameless.clean_session = false;
    let error = |options: &Options<'static>| {
        let mut setup = Setup::new(V3_1_1);
        setup.options = *options;
        new_session(&setup).map(|_| ()).unwrap_err()
    };
    let password = PublishError::Encode(EncodeError::PasswordWithoutUserName);
    assert_eq!(error(&password_only), password);
    let name = PublishError::Encode(EncodeError::ClientIdentifier);
    assert_eq!(error(&nameless), name);
}

#[test]
fn a_buffer_too_small_for_connect_is_said_at_once() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        let mut fits = |tx: usize| {
            setup.tx = tx;
            new_session(&setup).map(|_| ())
        };
        let least = (0..200).find(|tx| fits(*tx).is_ok()).unwrap();
        // With MQTT 5 its properties lie there twice, once with their length.
        let connect = if *version == V3_1_1 {
            18
        } else {
            18 + 3 + 1 + 3
        };
        assert_eq!(least, connect);
        assert_eq!(fits(least - 1), Err(PublishError::TooLarge));
    }
}

#[test]
fn what_the_buffer_held_before_does_not_matter() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        setup.options.client_id = "";
        let options = setup.options;
        let connect = |byte: u8| {
            let mut session = new_session_in(&setup, byte).unwrap();
            session
                .connect(&options, mqtt_core::Instant::default())
                .unwrap();
            let mut out = [0; 256];
            let len = session.transmit(&mut out, mqtt_core::Instant::default());
            hex(&out[..len])
        };
        assert_eq!(connect(b'\x04'), connect(0));
    }
}

#[test]
fn options_may_grow_while_nothing_is_queued() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            trace.loses_link();
            trace.options = trace.options.credentials("a user", b"and a password");
            trace.options.subscriptions = crate::common::SUBSCRIPTIONS;
            let Packet::Connect(connect) = trace.connects() else {
                panic!("CONNECT expected");
            };
            assert_eq!(connect.user_name, Some("a user"));
            trace.is_accepted(false);
            trace.sends_subscribe(crate::common::FILTERS);
            trace.publishes_and_sends(&Message::new("a", b"1").at_least_once());
            // Now there is something behind CONNECT.
            trace.session.link_lost(false);
            let longer = trace
                .options
                .credentials("a longer user name", b"and a password");
            let now = mqtt_core::Instant::default();
            let refused = trace.session.connect(&longer, now);
            if refused.is_err() {
                assert_eq!(refused, Err(PublishError::Full));
            }
            trace.is_connected();
            trace.sends_subscribe(crate::common::FILTERS);
            trace.sends_message(&Message::new("a", b"1").at_least_once());
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.0-1]
/// MQTT 5 [MQTT-3.1.0-1]
#[test]
fn nothing_but_connect_is_sent_before_connack() {
    converse(
        |_| {},
        |trace| {
            let queued = Message::new("a", b"1").at_least_once();
            trace.publishes(&queued);
            trace.subscribes(&[("b", QoS::AtMostOnce)]);
            trace.is_silent();
            trace.connects();
            trace.publishes(&Message::new("c", b"2"));
            trace.is_silent();
            trace.is_accepted(false);
            trace.sends_message(&queued);
            trace.sends_subscribe(&[("b", QoS::AtMostOnce)]);
            trace.sends_message(&Message::new("c", b"2"));
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.0-1] [MQTT-3.1.0-2]
/// MQTT 5 [MQTT-3.1.0-1] [MQTT-3.1.0-2]
#[test]
fn every_connection_has_exactly_one_connect() {
    converse(
        |_| {},
        |trace| {
            for _ in 0..3 {
                trace.is_connected();
                trace.is_silent();
                trace.loses_link();
            }
            assert_eq!(trace.session.counters().connections, 3);
            assert_eq!(trace.session.epoch(), 3);
            assert_eq!(trace.session.version(), trace.version());
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.2.0-1]
#[test]
fn only_connack_may_come_first() {
    let first: [&[u8]; 5] = [
        b"\x30\x04\0\x01ax",
        b"\xd0\x00",
        b"\x90\x03\0\x01\0",
        b"\x40\x02\0\x01",
        b"\xb0\x02\0\x01",
    ];
    for bytes in first {
        converse_in(
            V3_1_1,
            |_| {},
            |trace| {
                trace.connects();
                trace.peer_sends(bytes);
                trace.fails_with(ProtocolError::UnexpectedPacket);
                trace.is_closed();
            },
        );
    }
}

#[test]
fn a_second_connack_ends_the_link() {
    converse_in(
        V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_sends(&connack(V3_1_1, false));
            trace.fails_with(ProtocolError::UnexpectedPacket);
            trace.is_closed();
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.3-9] [MQTT-3.2.2-5]
#[test]
fn a_refusal_says_why_and_whether_to_try_again() {
    let cases = [(1, true), (2, true), (3, false), (4, true), (5, true)];
    for (code, is_final) in cases {
        converse_in(
            V3_1_1,
            |_| {},
            |trace| {
                trace.connects();
                trace.peer_sends(&[0x20, 2, 0, code]);
                let error = SessionError::Refused(ReasonCode::new(code));
                assert_eq!(error.is_final(), is_final, "code {code}");
                trace.fails_with(error);
                trace.is_closed();
            },
        );
    }
}

/// MQTT 3.1.1 [MQTT-3.2.2-5]
#[test]
fn what_comes_behind_a_refusal_is_not_read() {
    converse_in(
        V3_1_1,
        |_| {},
        |trace| {
            trace.connects();
            trace.peer_sends(b"\x20\x02\0\x03\x30\x04\0\x01ax");
            trace.fails_with(SessionError::Refused(ReasonCode::new(3)));
            trace.sees_nothing();
            trace.is_closed();
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.2.2-1]
/// MQTT 5 [MQTT-3.2.2-2]
#[test]
fn a_session_that_was_to_be_forgotten_must_not_be_present() {
    converse(
        |_| {},
        |trace| {
            trace.connects();
            trace.peer_sends(&connack(trace.version(), true));
            trace.fails_with(ProtocolError::SessionPresent);
            trace.is_closed();
        },
    );
}

#[test]
fn a_session_kept_by_the_server_is_taken_up() {
    converse_in(
        V3_1_1,
        |setup| setup.options.clean_session = false,
        |trace| {
            trace.resumes();
            trace.is_silent();
        },
    );
}

#[test]
fn a_link_without_answer_ends_after_the_connack_timeout() {
    converse(
        |setup| setup.options.connack_timeout_ms = 5_000,
        |trace| {
            trace.at(100).connects();
            trace.at(5_099).is_silent();
            assert_eq!(trace.deadline(), Some(5_100));
            trace.at(5_100).fails_with(SessionError::ConnAckTimeout);
            trace.is_closed();
        },
    );
}

#[test]
fn connect_left_half_sent_is_sent_again_in_full() {
    for version in VERSIONS {
        let setup = Setup::new(*version);
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        let now = mqtt_core::Instant::default();
        trace.session.connect(&setup.options, now).unwrap();
        assert_eq!(trace.session.transmit(&mut [0; 7], now), 7);
        trace.session.link_lost(true);
        trace.is_connected();
    }
}

/// MQTT 3.1.1 [MQTT-3.14.1-1] [MQTT-3.14.4-2]
/// MQTT 5 [MQTT-3.14.1-1] [MQTT-3.14.4-1]
#[test]
fn disconnect_ends_the_connection_after_the_queue() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let last = Message::new("a", b"last").at_least_once();
            let ticket = trace.publishes(&last);
            trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            trace.sends_message(&last);
            trace.sends(DISCONNECT);
            trace.publishes(&Message::new("a", b"too late"));
            trace.is_closed();
            trace.is_pending(ticket);
        },
    );
}

#[test]
fn disconnect_before_connack_just_closes() {
    converse(
        |_| {},
        |trace| {
            trace.connects();
            trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            trace.is_closed();
        },
    );
}

#[test]
fn disconnect_with_will_is_silent_on_3_1_1() {
    converse_in(
        V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            trace
                .session
                .disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE);
            trace.is_closed();
        },
    );
}

#[test]
fn nothing_is_read_behind_our_disconnect() {
    converse(
        |setup| setup.rx = 64,
        |trace| {
            trace.is_connected();
            trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            trace.sends(DISCONNECT);
            trace.peer_publishes(&Message::new("a", b"small").at_least_once(), 1);
            trace.peer_publishes(&Message::new("a", &[b'x'; 100]).at_least_once(), 2);
            trace.sees_nothing();
            trace.is_closed();
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.8.0-1]
#[test]
fn bad_bytes_close_the_link_without_a_word_on_3_1_1() {
    converse_in(
        V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_sends(&[0x30, 0x04, 0x00, 0x01, b'a', b'1', 0x36, 0x00]);
            trace.delivers(&Message::new("a", b"1"));
            trace.fails_with(mqtt_core::codec::DecodeError::QoS);
            trace.is_closed();
        },
    );
}

#[test]
fn subscriptions_of_the_options_are_made_when_the_server_has_no_session() {
    let set = |setup: &mut Setup| {
        setup.options.clean_session = false;
        setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
    };
    converse(set, |trace| {
        trace.is_connected();
        let first = trace.sends_subscribe(crate::common::FILTERS);
        trace.peer_sends(&crate::common::suback(trace.version(), first, &[0, 0x80]));
        assert_eq!(trace.session.counters().subscriptions_refused, 1);
        trace.loses_link();
        // Kept by the server: nothing to do.
        trace.resumes();
        trace.is_silent();
        trace.loses_link();
        // Lost by the server: made again, before anything else is sent.
        let queued = Message::new("q", b"1").at_least_once();
        trace.publishes(&queued);
        trace.is_connected();
        let again = trace.sends_subscribe(crate::common::FILTERS);
        let id = trace.sends_message(&queued);
        assert_ne!(id, again);
        trace.peer_sends(&crate::common::suback(trace.version(), again, &[0, 2]));
        assert_eq!(trace.session.counters().subscriptions_refused, 1);
    });
}

#[test]
fn subscriptions_of_the_options_can_be_made_each_time() {
    let set = |setup: &mut Setup| {
        setup.options.clean_session = false;
        setup.options.always_resubscribe = true;
        setup.options.session_known = true;
        setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
    };
    converse(set, |trace| {
        for _ in 0..3 {
            trace.resumes();
            let id = trace.sends_subscribe(crate::common::FILTERS);
            trace.peer_sends(&crate::common::suback(trace.version(), id, &[1, 2]));
            trace.loses_link();
        }
    });
}

#[test]
fn up_to_255_subscriptions_are_made_at_once() {
    for version in VERSIONS {
        let mut setup = Setup::new(*version);
        setup.tx = 4096;
        let mut subscribe = |count| {
            setup.options.subscriptions = vec![crate::common::SUBSCRIPTIONS[0]; count].leak();
            new_session(&setup).map(|_| ())
        };
        assert_eq!(subscribe(255), Ok(()));
        for count in [256, 300] {
            assert_eq!(
                subscribe(count),
                Err(PublishError::Encode(EncodeError::TooLong))
            );
        }
    }
}

/// MQTT 3.1.1 [MQTT-3.8.4-5]
#[test]
fn an_answer_for_another_number_of_filters_ends_the_link() {
    for codes in [&[0][..], &[0, 0, 0]] {
        converse_in(
            V3_1_1,
            |setup| setup.options.subscriptions = crate::common::SUBSCRIPTIONS,
            |trace| {
                trace.is_connected();
                let id = trace.sends_subscribe(crate::common::FILTERS);
                trace.peer_sends(&crate::common::suback(V3_1_1, id, codes));
                trace.fails_with(ProtocolError::WrongAcknowledgement);
                trace.is_closed();
            },
        );
    }
}
