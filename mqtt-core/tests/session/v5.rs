//! What MQTT 5 adds to a connection: properties, reason codes, authentication.

use crate::common::{
    DISCONNECT, IN_ONE_PIECE, Seen, Setup, Trace, bytes_of, converse_in, puback, pubcomp, pubrec,
    pubrel, with_code,
};
use mqtt_core::{
    Message, QoS, Version,
    codec::{
        Auth, ConnAck, DecodeError, Disconnect, EncodeError, Packet, Properties, Property,
        ReasonCode, TopicName, Will, Writer,
    },
    session::{Authentication, DeliveryError, ProtocolError, PublishError, SessionError},
};

const V5: Version = Version::V5;
const ZERO: Message<'static> = Message::new("a", b"0");
const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a", b"2").exactly_once();

fn connack(session_present: bool, code: ReasonCode, properties: &[Property<'_>]) -> Vec<u8> {
    let connack = ConnAck {
        session_present,
        code,
        properties: Properties::from(properties),
    };
    bytes_of(&Packet::ConnAck(connack), V5)
}

fn accepted(properties: &[Property<'_>]) -> Vec<u8> {
    connack(false, ReasonCode::SUCCESS, properties)
}

const CONNECTED: Seen = Seen::Connected {
    session_present: false,
};

struct Token;

impl Authentication for Token {
    fn method(&self) -> &'static str {
        "m"
    }

    fn begin(&self, data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(b"hi")
    }

    fn respond(&self, server_data: &[u8], data: &mut Writer<'_>) -> Result<(), EncodeError> {
        data.bytes(server_data)
    }
}

/// MQTT 5 [MQTT-3.1.2-9] [MQTT-3.1.3-1] [MQTT-3.1.3-3]
#[test]
fn connect_carries_all_options() {
    let set = |setup: &mut Setup| {
        let options = &mut setup.options;
        *options = options.credentials("u", b"pw");
        options.clean_session = false;
        options.keep_alive_s = 10;
        options.receive_maximum = 3;
        options.maximum_packet_size = 1000;
        options.v5.session_expiry_s = 3600;
        options.v5.topic_alias_maximum = 4;
        options.v5.request_response_information = true;
        options.v5.request_problem_information = false;
        options.v5.user_properties = &[("k", "v"), ("k", "w")];
        options.v5.authentication = Some(&Token);
        options.will = Some(Will {
            qos: QoS::AtLeastOnce,
            properties: Properties::from(&[Property::WillDelayInterval(5)]),
            ..Will::new(TopicName::new("w").unwrap(), b"off")
        });
    };
    converse_in(V5, set, |trace| {
        let options = trace.options;
        trace
            .session
            .connect(&options, mqtt_core::Instant::default())
            .unwrap();
        let expected: [&[u8]; 15] = [
            b"\x10\x51",
            b"\x00\x04MQTT\x05\xcc\x00\x0a", // version, flags, keep alive
            b"\x2b",                         // length of the properties
            b"\x11\x00\x00\x0e\x10",         // session expiry interval
            b"\x21\x00\x03",                 // receive maximum
            b"\x27\x00\x00\x03\xe8",         // maximum packet size
            b"\x22\x00\x04",                 // topic alias maximum
            b"\x19\x01\x17\x00",             // response and problem information
            b"\x26\x00\x01k\x00\x01v",       // user properties, in order
            b"\x26\x00\x01k\x00\x01w",
            b"\x15\x00\x01m\x16\x00\x02hi", // authentication method and data
            b"\x00\x04dev1",
            b"\x05\x18\x00\x00\x00\x05", // will delay interval
            b"\x00\x01w\x00\x03off",
            b"\x00\x01u\x00\x02pw",
        ];
        trace.sends(&expected.concat());
    });
}

/// MQTT 5 [MQTT-3.1.2-16] [MQTT-3.1.2-19]
#[test]
fn a_password_needs_no_user_name() {
    converse_in(
        V5,
        |setup| setup.options.password = Some(b"token"),
        |trace| {
            let Packet::Connect(connect) = trace.connects() else {
                panic!("CONNECT expected");
            };
            assert_eq!(
                (connect.user_name, connect.password),
                (None, Some(&b"token"[..]))
            );
        },
    );
}

/// MQTT 5 [MQTT-3.1.2-2] [MQTT-3.1.3-8] [MQTT-3.1.4-2] [MQTT-3.2.2-7] [MQTT-4.12.0-1] [MQTT-4.13.2-1]
#[test]
fn a_refusal_says_why_and_whether_to_try_again() {
    let cases = [
        (ReasonCode::UNSPECIFIED_ERROR, false),
        (ReasonCode::UNSUPPORTED_PROTOCOL_VERSION, true),
        (ReasonCode::CLIENT_IDENTIFIER_NOT_VALID, true),
        (ReasonCode::BAD_USER_NAME_OR_PASSWORD, true),
        (ReasonCode::NOT_AUTHORIZED, true),
        (ReasonCode::SERVER_UNAVAILABLE, false),
        (ReasonCode::SERVER_BUSY, false),
        (ReasonCode::BANNED, true),
        (ReasonCode::BAD_AUTHENTICATION_METHOD, true),
        (ReasonCode::QUOTA_EXCEEDED, false),
        (ReasonCode::USE_ANOTHER_SERVER, false),
        (ReasonCode::CONNECTION_RATE_EXCEEDED, false),
    ];
    for (code, is_final) in cases {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.connects();
                trace.peer_sends(&connack(false, code, &[Property::ReasonString("no")]));
                assert_eq!(SessionError::Refused(code).is_final(), is_final, "{code}");
                trace.fails_with(SessionError::Refused(code));
                trace.is_closed();
            },
        );
    }
}

/// MQTT 5 [MQTT-3.2.0-1] [MQTT-3.2.2-6] [MQTT-3.2.2-8] [MQTT-3.14.0-1] [MQTT-4.12.0-6]
#[test]
fn bad_handshakes_are_not_answered() {
    let cases: [(&[u8], SessionError); 7] = [
        (b"\x20\x03\x01\x87\0", DecodeError::SessionPresent.into()),
        (b"\x20\x03\0\x01\0", DecodeError::ReasonCode.into()),
        (
            b"\x20\x06\0\0\x03\x21\0\0",
            DecodeError::PropertyValue.into(),
        ),
        (b"\xe0\x01\x81", ProtocolError::UnexpectedPacket.into()),
        (
            b"\x30\x05\0\x01a\0x",
            ProtocolError::UnexpectedPacket.into(),
        ),
        (
            b"\xf0\x06\x18\x04\x15\0\x01a",
            ProtocolError::Authentication.into(),
        ),
        (
            b"\x20\x07\0\0\x04\x15\0\x01a",
            ProtocolError::Authentication.into(),
        ),
    ];
    for (bytes, error) in cases {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.connects();
                trace.peer_sends(bytes);
                trace.fails_with(error);
                trace.is_closed();
            },
        );
    }
}

/// MQTT 5 [MQTT-3.2.2-4]
#[test]
fn an_unknown_session_is_refused_and_the_next_connection_starts_clean() {
    let set = |setup: &mut Setup| {
        setup.options.clean_session = false;
        setup.options.v5.session_expiry_s = 60;
    };
    converse_in(V5, set, |trace| {
        let clean = |packet| match packet {
            Packet::Connect(connect) => connect.clean_session,
            other => panic!("CONNECT expected, not {other:?}"),
        };
        assert!(!clean(trace.connects()));
        trace.peer_sends(&connack(true, ReasonCode::SUCCESS, &[]));
        trace.fails_with(ProtocolError::SessionPresent);
        trace.is_closed();
        trace.loses_link();
        assert!(clean(trace.connects()));
        // Nor does it help if the link breaks before the answer.
        trace.loses_link();
        assert!(clean(trace.connects()));
        trace.is_accepted(false);
        trace.loses_link();
        assert!(!clean(trace.connects()));
        trace.is_accepted(true);
    });
}

#[test]
fn a_session_from_before_a_restart_can_be_taken_up() {
    let set = |setup: &mut Setup| {
        setup.options.clean_session = false;
        setup.options.session_known = true;
    };
    converse_in(V5, set, Trace::resumes);
}

/// MQTT 5 [MQTT-3.1.3-2] [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn an_assigned_client_identifier_is_used_again() {
    let set = |setup: &mut Setup| setup.options.client_id = "";
    converse_in(V5, set, |trace| {
        let id = |packet| match packet {
            Packet::Connect(connect) => connect.client_id,
            other => panic!("CONNECT expected, not {other:?}"),
        };
        assert_eq!(id(trace.connects()), "");
        trace.peer_sends(&accepted(&[Property::AssignedClientIdentifier("auto-7")]));
        trace.sees(CONNECTED);
        trace.publishes_and_sends(&ONE);
        trace.loses_link();
        assert_eq!(id(trace.connects()), "auto-7");
        trace.is_accepted(false);
        trace.sends_message(&ONE);
        trace.loses_link();
        assert_eq!(id(trace.connects()), "auto-7");
    });
}

#[test]
fn an_assigned_client_identifier_of_any_length_leaves_the_rest_alone() {
    for len in [1, 63, 64, 65, 200] {
        let assigned: &'static str = "x".repeat(len).leak();
        let set = |setup: &mut Setup| {
            setup.options.client_id = "";
            setup.options.v5.topic_alias_memory = 20;
            setup.options.subscriptions = crate::common::SUBSCRIPTIONS;
            setup.rx = 512;
        };
        converse_in(V5, set, |trace| {
            trace.connects();
            trace.peer_sends(&accepted(&[Property::AssignedClientIdentifier(assigned)]));
            trace.sees(CONNECTED);
            trace.sends_subscribe(crate::common::FILTERS);
            trace.publishes_and_sends(&ONE);
            trace.loses_link();
            let Packet::Connect(connect) = trace.connects() else {
                panic!("CONNECT expected");
            };
            let expected = if len <= 64 { assigned } else { "" };
            assert_eq!(connect.client_id, expected);
            trace.is_accepted(false);
            trace.sends_subscribe(crate::common::FILTERS);
            trace.sends_message(&ONE);
        });
    }
}

/// MQTT 5 [MQTT-3.1.2-21] [MQTT-3.2.2-21]
#[test]
fn the_keep_alive_of_the_server_replaces_ours() {
    for (seconds, first_ping) in [(2, Some(2_000)), (0, None), (90, Some(90_000))] {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.connects();
                trace.peer_sends(&accepted(&[Property::ServerKeepAlive(seconds)]));
                trace.sees(CONNECTED);
                assert_eq!(trace.deadline(), first_ping);
            },
        );
    }
}

/// MQTT 5 [MQTT-4.3.3-4] [MQTT-4.4.0-2]
#[test]
fn acknowledgements_may_say_no() {
    converse_in(
        V5,
        |setup| setup.options.clean_session = false,
        |trace| {
            trace.is_connected();
            let (one, one_id) = trace.publishes_and_sends(&ONE);
            let (two, two_id) = trace.publishes_and_sends(&TWO);
            let (late, late_id) = trace.publishes_and_sends(&TWO);
            let (nobody, nobody_id) = trace.publishes_and_sends(&ONE);
            trace.peer_sends(&with_code(puback(one_id), 0x87));
            trace.ends_as(one, DeliveryError::Rejected(ReasonCode::NOT_AUTHORIZED));
            trace.peer_sends(&with_code(pubrec(two_id), 0x97));
            trace.ends_as(two, DeliveryError::Rejected(ReasonCode::QUOTA_EXCEEDED));
            trace.is_silent();
            // The server had it already; that it forgot the identifier is no failure.
            trace.peer_sends(&pubrec(late_id));
            trace.sends(&pubrel(late_id));
            trace.peer_sends(&with_code(pubcomp(late_id), 0x92));
            trace.succeeds(late);
            trace.peer_sends(&with_code(puback(nobody_id), 0x10));
            assert_eq!(
                trace.outcome(nobody),
                Some(Ok(ReasonCode::NO_MATCHING_SUBSCRIBERS))
            );
            // A refusal is an answer: nothing is repeated.
            trace.loses_link();
            trace.resumes();
            trace.is_silent();
        },
    );
}

/// MQTT 5 [MQTT-4.3.3-9]
#[test]
fn the_application_may_say_no() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&ONE, 1);
            let token = trace.delivers(&ONE);
            trace.rejects(token, ReasonCode::NOT_AUTHORIZED);
            trace.sends(&with_code(puback(1), 0x87));
            trace.peer_publishes(&TWO, 2);
            let token = trace.delivers(&TWO);
            trace.rejects(token, ReasonCode::PAYLOAD_FORMAT_INVALID);
            trace.sends(&with_code(pubrec(2), 0x99));
            // The exchange is over, and the identifier is new [MQTT-4.3.3-9].
            trace.peer_publishes(&TWO, 2);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(2));
        },
    );
}

/// MQTT 5 [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-4.3.3-11]
#[test]
fn unknown_identifiers_are_answered_with_a_code() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_sends(&pubrec(0xfffe));
            trace.sends(&with_code(pubrel(0xfffe), 0x92));
            trace.peer_sends(&with_code(pubrec(0xfffe), 0x97));
            trace.is_silent();
            trace.peer_sends(&pubrel(0xfffd));
            trace.sends(&with_code(pubcomp(0xfffd), 0x92));
            trace.peer_sends(&puback(0xfffe));
            trace.peer_sends(&pubcomp(0xfffe));
            trace.is_silent();
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 5 [MQTT-3.3.4-9]
///
/// Found by simulation: an exchange that the server had forgotten kept every message out, link after link.
#[test]
fn an_exchange_of_an_earlier_link_does_not_count_against_the_receive_maximum() {
    converse_in(
        V5,
        |setup| {
            setup.options.clean_session = false;
            setup.options.receive_maximum = 1;
        },
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&TWO, 1);
            let token = trace.delivers(&TWO);
            trace.acknowledges(token);
            trace.sends(&pubrec(1));
            trace.loses_link();
            trace.resumes();
            trace.peer_publishes(&TWO, 2);
            let token = trace.delivers(&TWO);
            trace.acknowledges(token);
            trace.sends(&pubrec(2));
            trace.peer_sends(&pubrel(1));
            trace.sends(&pubcomp(1));
            trace.peer_sends(&pubrel(2));
            trace.sends(&pubcomp(2));
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 5 [MQTT-3.3.4-9] [MQTT-3.3.4-10]
#[test]
fn more_messages_than_announced_end_the_link() {
    for message in [ONE, TWO] {
        converse_in(
            V5,
            |setup| setup.options.receive_maximum = 2,
            |trace| {
                trace.is_connected();
                trace.peer_publishes(&message, 1);
                trace.peer_publishes(&message, 2);
                trace.peer_publishes(&ZERO, 0);
                trace.peer_publishes(&message, 3);
                trace.fails_with(ProtocolError::ReceiveMaximum);
                trace.delivers(&message);
                trace.delivers(&message);
                trace.delivers(&ZERO);
                trace.says_goodbye(0x93);
            },
        );
    }
}

#[test]
fn answered_messages_count_no_more() {
    converse_in(
        V5,
        |setup| setup.options.receive_maximum = 1,
        |trace| {
            trace.is_connected();
            for id in 1..10 {
                trace.peer_publishes(&ONE, id);
                trace.delivers_and_acknowledges(&ONE);
                trace.sends(&puback(id));
                trace.peer_publishes(&TWO, id);
                trace.delivers_and_acknowledges(&TWO);
                trace.sends(&pubrec(id));
                trace.peer_sends(&pubrel(id));
                trace.sends(&pubcomp(id));
            }
        },
    );
}

/// MQTT 5 [MQTT-3.1.4-3] [MQTT-3.14.4-1] [MQTT-4.13.2-1]
#[test]
fn the_server_may_take_its_leave() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.publishes(&ONE);
            let disconnect = Disconnect {
                code: ReasonCode::SESSION_TAKEN_OVER,
                ..Disconnect::new()
            };
            let bytes = bytes_of(&Packet::Disconnect(disconnect), V5);
            let behind = crate::common::publish(V5, &ZERO, 0, false);
            trace.peer_sends(&[bytes, behind].concat());
            trace.fails_with(SessionError::ServerDisconnect(
                ReasonCode::SESSION_TAKEN_OVER,
            ));
            // Nothing may be sent any more [MQTT-3.14.4-1].
            trace.is_closed();
            trace.sees_nothing();
        },
    );
}

#[test]
fn disconnect_with_will_says_so() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            trace
                .session
                .disconnect(ReasonCode::DISCONNECT_WITH_WILL_MESSAGE);
            trace.says_goodbye(0x04);
        },
    );
}

/// MQTT 5 [MQTT-1.5.4-1] [MQTT-2.1.3-1] [MQTT-3.2.0-2] [MQTT-3.3.1-4] [MQTT-3.3.2-2] [MQTT-3.3.2-8] [MQTT-3.6.1-1]
/// MQTT 5 [MQTT-3.14.2-2] [MQTT-4.7.3-1] [MQTT-4.13.1-1]
#[test]
fn bad_packets_are_named_in_disconnect() {
    let cases: [(&[u8], u8); 14] = [
        (b"\x00\x00", 0x81),
        (b"\x36\x07\0\x01a\0\x01\0x", 0x81),
        (b"\x30\x06\0\x02\xc3\x28\0x", 0x81),
        (b"\x60\x02\0\x01", 0x81),
        (b"\xd0\x01\0", 0x81),
        (b"\x30\x80\x80\x80\x80\x01", 0x81),
        (b"\x30\x05\0\x01#\0x", 0x90),
        (b"\x30\x04\0\0\0x", 0x82),
        (b"\x32\x07\0\x01a\0\0\0x", 0x82),
        (b"\x30\x08\0\x01a\x03\x23\0\0x", 0x94),
        (b"\x20\x03\0\0\0", 0x82),
        (b"\xc0\0", 0x82),
        (b"\xf0\x06\x18\x04\x15\0\x01a", 0x82),
        (b"\xe0\x07\0\x05\x11\0\0\0\x01", 0x82),
    ];
    for (bytes, code) in cases {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected();
                let good = crate::common::publish(V5, &ZERO, 0, false);
                trace.peer_sends(&[&good, bytes, &good].concat());
                trace.delivers(&ZERO);
                trace.sees_nothing();
                trace.has_failed();
                // A message accepted now waits for the next link.
                trace.publishes(&ONE);
                trace.says_goodbye(code);
            },
        );
    }
}

#[test]
fn an_error_keeps_its_code_when_the_application_leaves_too() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            trace.peer_sends(b"\x00\x00");
            trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
            trace.has_failed();
            trace.says_goodbye(0x81);
        },
    );
}

#[test]
fn nothing_is_read_behind_an_error_and_disconnect_still_goes_out() {
    converse_in(
        V5,
        |setup| setup.rx = 64,
        |trace| {
            trace.is_connected();
            trace.peer_publishes(&ONE, 1);
            trace.peer_sends(b"\x20\x03\0\0\0");
            trace.has_failed();
            trace.peer_publishes(&ONE, 2);
            trace.peer_publishes(&Message::new("a", &[b'x'; 100]).at_least_once(), 3);
            trace.delivers(&ONE);
            trace.sees_nothing();
            trace.says_goodbye(0x82);
        },
    );
}

#[test]
fn disconnect_waits_for_the_packet_that_was_begun() {
    let mut trace = Trace::new(&Setup::new(V5), IN_ONE_PIECE);
    trace.is_connected();
    let long = Message::new("a", &[b'x'; 100]).at_least_once();
    trace.publishes(&long);
    trace.publishes(&ONE);
    let now = mqtt_core::Instant::default();
    let mut begun = [0; 40];
    assert_eq!(trace.session.transmit(&mut begun, now), 40);
    trace.session.fail(DecodeError::QoS.into());
    let mut rest = [0; 200];
    let len = trace.session.transmit(&mut rest, now);
    let packet = [&begun[..], &rest[..len - 4]].concat();
    let Packet::Publish(publish) = crate::common::decode(&packet, V5) else {
        panic!("PUBLISH expected");
    };
    assert_eq!(publish.payload, long.payload);
    assert_eq!(rest[len - 4..len], [0xe0, 2, 0x81, 0]);
    trace.is_closed();
}

/// MQTT 5 [MQTT-3.1.2-24]
#[test]
fn a_packet_above_our_maximum_is_refused_before_it_is_buffered() {
    converse_in(
        V5,
        |setup| setup.options.maximum_packet_size = 20,
        |trace| {
            trace.is_connected();
            let exact = Message::new("a", b"fourteen bytes");
            trace.peer_publishes(&exact, 0);
            trace.delivers(&exact);
            trace.peer_sends(b"\x30\x13");
            trace.fails_with(ProtocolError::PacketTooLarge);
            trace.says_goodbye(0x95);
        },
    );
}

/// MQTT 5 [MQTT-3.8.4-7] [MQTT-3.11.3-1]
#[test]
fn several_requests_with_several_codes() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            trace.is_connected();
            let filters = [("a", QoS::AtMostOnce), ("b", QoS::ExactlyOnce)];
            let ticket = trace.subscribes(&filters);
            let id = trace.sends_subscribe(&filters);
            let suback = crate::common::suback(V5, id, &[0x97, 0x02]);
            trace.peer_sends(&suback);
            assert_eq!(trace.codes(ticket, 2), Some(vec![0x97, 0x02]));
            trace.unsubscribes(&["a", "b"]);
            let id = trace.sends_unsubscribe(&["a", "b"]);
            let unsuback = crate::common::unsuback(V5, id, &[0x11]);
            trace.peer_sends(&unsuback);
            trace.fails_with(ProtocolError::WrongAcknowledgement);
            trace.says_goodbye(0x82);
        },
    );
}

fn authenticated(setup: &mut Setup) {
    setup.options.v5.authentication = Some(&Token);
}

fn auth(code: ReasonCode, properties: &[Property<'_>]) -> Vec<u8> {
    let auth = Auth {
        code,
        properties: Properties::from(properties),
    };
    bytes_of(&Packet::Auth(auth), V5)
}

fn answers(trace: &mut Trace, code: ReasonCode, data: &[u8]) -> Result<(), PublishError> {
    trace.session.authenticate(code, &mut |out| out.bytes(data))
}

const METHOD: Property<'static> = Property::AuthenticationMethod("m");

/// MQTT 5 [MQTT-3.1.2-30] [MQTT-4.12.0-3] [MQTT-4.12.0-5]
#[test]
fn authentication_goes_back_and_forth_before_connack() {
    converse_in(V5, authenticated, |trace| {
        trace.publishes(&ZERO);
        trace.connects();
        for step in [&b"one"[..], b"two"] {
            let challenge = [METHOD, Property::AuthenticationData(step)];
            trace.peer_sends(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &challenge));
            trace.sees(Seen::Authentication {
                data: step.to_vec(),
                finished: false,
            });
            answers(trace, ReasonCode::CONTINUE_AUTHENTICATION, step).unwrap();
            trace.sends(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &challenge));
            // Nothing else before CONNACK [MQTT-3.1.2-30].
            trace.is_silent();
        }
        trace.peer_sends(&accepted(&[METHOD]));
        trace.sees(CONNECTED);
        trace.sends_message(&ZERO);
    });
}

#[test]
fn a_long_answer_goes_out_whole() {
    converse_in(
        V5,
        |setup| {
            authenticated(setup);
            setup.tx = 1024;
        },
        |trace| {
            trace.is_connected_by(&accepted(&[METHOD]));
            // Freed room before it, and messages behind it.
            let (_, id) = trace.publishes_and_sends(&ONE);
            trace.publishes_and_sends(&ONE);
            trace.peer_sends(&puback(id));
            let data = [b'd'; 200];
            answers(trace, ReasonCode::RE_AUTHENTICATE, &data).unwrap();
            trace.publishes(&ZERO);
            let properties = [METHOD, Property::AuthenticationData(&data)];
            trace.sends(&auth(ReasonCode::RE_AUTHENTICATE, &properties));
            trace.sends_message(&ZERO);
        },
    );
}

/// MQTT 5 [MQTT-4.12.1-1]
#[test]
fn authentication_can_be_renewed_while_connected() {
    converse_in(V5, authenticated, |trace| {
        trace.is_connected_by(&accepted(&[METHOD]));
        answers(trace, ReasonCode::RE_AUTHENTICATE, b"x").unwrap();
        trace.sends(&auth(
            ReasonCode::RE_AUTHENTICATE,
            &[METHOD, Property::AuthenticationData(b"x")],
        ));
        trace.peer_sends(&auth(ReasonCode::SUCCESS, &[METHOD]));
        trace.sees(Seen::Authentication {
            data: vec![],
            finished: true,
        });
        trace.publishes_and_sends(&ZERO);
    });
}

#[test]
fn a_renewal_left_unsent_does_not_reach_the_next_connection() {
    converse_in(V5, authenticated, |trace| {
        trace.is_connected_by(&accepted(&[METHOD]));
        answers(trace, ReasonCode::RE_AUTHENTICATE, b"x").unwrap();
        trace.session.link_lost(false);
        trace.connects();
        trace.is_silent();
        trace.peer_sends(&accepted(&[METHOD]));
        trace.sees(CONNECTED);
        trace.is_silent();
        assert!(trace.session.is_idle());
    });
}

#[test]
fn only_the_client_renews_an_authentication() {
    converse_in(V5, authenticated, |trace| {
        trace.is_connected_by(&accepted(&[METHOD]));
        trace.peer_sends(&auth(ReasonCode::RE_AUTHENTICATE, &[METHOD]));
        trace.fails_with(DecodeError::WrongDirection);
        trace.sees_nothing();
        trace.says_goodbye(0x82);
    });
}

/// MQTT 5 [MQTT-4.12.0-2] [MQTT-4.12.0-5]
#[test]
fn authentication_out_of_place_ends_the_link() {
    let other = Property::AuthenticationMethod("n");
    let before: [Vec<u8>; 4] = [
        auth(ReasonCode::CONTINUE_AUTHENTICATION, &[other]),
        // Only CONNACK says that all is well.
        auth(ReasonCode::SUCCESS, &[METHOD]),
        accepted(&[other]),
        accepted(&[]),
    ];
    for bytes in before {
        converse_in(V5, authenticated, |trace| {
            trace.connects();
            trace.peer_sends(&bytes);
            trace.fails_with(ProtocolError::Authentication);
            trace.is_closed();
        });
    }
    converse_in(V5, authenticated, |trace| {
        trace.is_connected_by(&accepted(&[METHOD]));
        trace.peer_sends(&auth(ReasonCode::CONTINUE_AUTHENTICATION, &[other]));
        trace.fails_with(ProtocolError::Authentication);
        trace.says_goodbye(0x82);
    });
}

/// MQTT 5 [MQTT-4.12.0-7]
#[test]
fn without_a_method_nothing_can_be_authenticated() {
    converse_in(
        V5,
        |_| {},
        |trace| {
            let refused = Err(PublishError::NotConnected);
            assert_eq!(answers(trace, ReasonCode::RE_AUTHENTICATE, b""), refused);
            trace.is_connected();
            assert_eq!(answers(trace, ReasonCode::RE_AUTHENTICATE, b""), refused);
            trace.peer_sends(b"\xf0\0");
            trace.fails_with(ProtocolError::Authentication);
            trace.sees_nothing();
            trace.says_goodbye(0x82);
        },
    );
    converse_in(V5, authenticated, |trace| {
        let refused = Err(PublishError::NotConnected);
        assert_eq!(answers(trace, ReasonCode::RE_AUTHENTICATE, b""), refused);
    });
}

/// MQTT 5 [MQTT-4.12.1-2]
#[test]
fn a_failed_mechanism_says_goodbye() {
    converse_in(V5, authenticated, |trace| {
        trace.is_connected_by(&accepted(&[METHOD]));
        trace.session.fail(SessionError::AuthenticationFailed);
        trace.says_goodbye(0x87);
        assert!(SessionError::AuthenticationFailed.is_final());
    });
}

#[test]
fn a_version_needs_an_empty_session() {
    let mut trace = Trace::new(&Setup::new(V5), IN_ONE_PIECE);
    trace.publishes(&ONE);
    let now = mqtt_core::Instant::default();
    let old = Setup::new(Version::V3_1_1).options;
    assert_eq!(trace.session.connect(&old, now), Err(PublishError::Full));
    trace.is_connected();
    trace.sends_message(&ONE);
    trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
    trace.sends(DISCONNECT);
}
