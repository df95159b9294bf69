//! Rules of the standard that no other test is about.

use std::collections::BTreeSet;

use crate::common::{Setup, converse, converse_in, new_session, puback, pubcomp, pubrec, pubrel};
use mqtt_core::{
    Message, QoS, Version,
    codec::{
        Connect, EncodeError, Packet, Properties, ReasonCode, Subscription, TopicError, TopicName,
    },
    session::{DeliveryError, Options, PublishError},
};

const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a", b"2").exactly_once();

fn keep_session(setup: &mut Setup) {
    setup.options.clean_session = false;
}

/// MQTT 3.1.1 [MQTT-1.5.3-3]
/// MQTT 5 [MQTT-1.5.4-3]
#[test]
fn a_byte_order_mark_is_part_of_the_topic() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let marked = Message::new("\u{feff}a/\u{feff}", b"x");
            trace.peer_publishes(&marked, 0);
            trace.delivers(&marked);
            trace.publishes_and_sends(&marked);
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.2-6]
/// MQTT 5 [MQTT-3.1.2-4]
#[test]
fn a_clean_session_takes_nothing_over() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let (half_done, id) = trace.publishes_and_sends(&TWO);
            trace.peer_sends(&pubrec(id));
            trace.sends(&pubrel(id));
            trace.peer_publishes(&TWO, 9);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(9));
            trace.loses_link();
            let Packet::Connect(connect) = trace.connects() else {
                panic!("CONNECT expected");
            };
            assert!(connect.clean_session);
            trace.is_accepted(false);
            trace.is_silent();
            trace.ends_as(half_done, DeliveryError::SessionLost);
            trace.peer_publishes(&TWO, 9);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(9));
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.1.3-2]
/// MQTT 5 [MQTT-3.1.3-2]
#[test]
fn every_link_of_a_session_bears_the_same_client_identifier() {
    converse(keep_session, |trace| {
        for session_present in [false, true, true] {
            let Packet::Connect(connect) = trace.connects() else {
                panic!("CONNECT expected");
            };
            assert_eq!((connect.client_id, connect.clean_session), ("dev1", false));
            trace.is_accepted(session_present);
            trace.loses_link();
        }
    });
}

/// MQTT 3.1.1 [MQTT-3.1.3-3] [MQTT-3.1.3-6]
/// MQTT 5 [MQTT-3.1.3-3]
#[test]
fn an_empty_client_identifier_is_an_empty_string() {
    let set = |setup: &mut Setup| setup.options.client_id = "";
    converse(set, |trace| {
        let options = trace.options;
        let now = mqtt_core::Instant::default();
        trace.session.connect(&options, now).unwrap();
        if trace.version() == Version::V3_1_1 {
            trace.sends(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0");
        } else {
            trace.sends(b"\x10\x10\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\x08\0\0");
        }
    });
}

/// MQTT 3.1.1 [MQTT-1.5.3-2] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11]
/// MQTT 5 [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12]
#[test]
fn text_with_nul_is_refused_before_a_byte_is_sent() {
    type Set = fn(&mut Setup);
    let cases: &[Set] = &[
        |setup| setup.options.client_id = "dev\0",
        |setup| setup.options.user_name = Some("\0user"),
    ];
    #[cfg(feature = "v5")]
    let only_v5: &[Set] = &[
        |setup| setup.options.v5.user_properties = &[("na\0me", "value")],
        |setup| setup.options.v5.user_properties = &[("name", "val\0ue")],
    ];
    #[cfg(not(feature = "v5"))]
    let only_v5: &[Set] = &[];
    for version in crate::common::VERSIONS {
        let more = if *version == Version::V3_1_1 {
            &[]
        } else {
            only_v5
        };
        for set in cases.iter().chain(more) {
            let mut setup = Setup::new(*version);
            set(&mut setup);
            let refused = new_session(&setup).map(drop);
            let expected = PublishError::Encode(EncodeError::InvalidValue);
            assert_eq!(refused, Err(expected));
        }
    }
    assert_eq!(TopicName::new("will\0"), Err(TopicError::Nul));
}

/// MQTT 3.1.1 [MQTT-3.8.3-3] [MQTT-3.10.3-2]
/// MQTT 5 [MQTT-3.8.3-2] [MQTT-3.10.3-2]
#[test]
fn a_request_without_a_filter_is_refused() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let refused = Err(PublishError::Encode(EncodeError::EmptyList));
            assert_eq!(trace.try_subscribe(&[]), refused);
            let unsubscribe = trace.session.unsubscribe(&[], Properties::NONE, true);
            assert_eq!(unsubscribe, refused);
            assert!(trace.session.is_idle());
        },
    );
}

/// MQTT 3.1.1 [MQTT-3.8.3-4]
#[test]
fn on_3_1_1_a_subscription_has_no_option_but_its_qos() {
    use mqtt_core::codec::RetainHandling;
    converse_in(
        Version::V3_1_1,
        |_| {},
        |trace| {
            trace.is_connected();
            let subscription = Subscription {
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::DoNotSend,
                ..crate::common::subscription("a", QoS::ExactlyOnce)
            };
            let session = &mut trace.session;
            let accepted = session.subscribe(&[subscription], Properties::NONE, false);
            accepted.unwrap();
            let id = trace.sends_subscribe(&[("a", QoS::ExactlyOnce)]);
            assert_ne!(id, 0);
        },
    );
}

/// MQTT 3.1.1 [MQTT-2.3.1-1] [MQTT-2.3.1-2]
/// MQTT 5 [MQTT-2.2.1-3] [MQTT-4.3.2-1] [MQTT-4.3.3-1]
#[test]
fn each_exchange_has_an_identifier_of_its_own() {
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let mut identifiers = BTreeSet::new();
            for _ in 0..5 {
                identifiers.insert(trace.publishes_and_sends(&ONE).1);
                identifiers.insert(trace.publishes_and_sends(&TWO).1);
                trace.subscribes(&[("s", QoS::AtMostOnce)]);
                identifiers.insert(trace.sends_subscribe(&[("s", QoS::AtMostOnce)]));
                trace.unsubscribes(&["s"]);
                identifiers.insert(trace.sends_unsubscribe(&["s"]));
            }
            assert_eq!(identifiers.len(), 20);
            assert!(!identifiers.contains(&0));
        },
    );
}

/// MQTT 3.1.1 [MQTT-4.3.3-2]
#[test]
fn a_refused_qos_2_message_is_not_delivered_again_on_3_1_1() {
    converse_in(Version::V3_1_1, keep_session, |trace| {
        trace.is_connected();
        trace.peer_publishes(&ONE, 1);
        let token = trace.delivers(&ONE);
        trace.rejects(token, ReasonCode::NOT_AUTHORIZED);
        trace.sends(&puback(1));
        trace.peer_publishes(&TWO, 2);
        let token = trace.delivers(&TWO);
        trace.rejects(token, ReasonCode::NOT_AUTHORIZED);
        // 3.1.1 cannot say it, so that for the server the exchange goes on.
        trace.sends(&pubrec(2));
        trace.peer_repeats(&TWO, 2);
        trace.sees_nothing();
        trace.sends(&pubrec(2));
        trace.loses_link();
        trace.resumes();
        trace.peer_repeats(&TWO, 2);
        trace.sees_nothing();
        trace.sends(&pubrec(2));
        trace.peer_sends(&pubrel(2));
        trace.sends(&pubcomp(2));
        assert!(trace.session.is_idle());
    });
}

#[test]
fn nothing_that_is_printed_holds_credentials() {
    let print = |options: Options<'_>, user_name, password| {
        let connect = Connect {
            user_name: Some(user_name),
            password: Some(password),
            ..Connect::new("dev1")
        };
        let options = options.credentials(user_name, password);
        format!("{options:?} {:?}", Packet::Connect(connect))
    };
    let options = Options::new("dev1");
    let printed = print(options, "token", b"secret");
    assert_eq!(printed, print(options, "", b""));
    assert!(printed.contains("dev1"));
    #[cfg(feature = "v5")]
    assert!(printed.contains("session_expiry_s"));
}

#[cfg(feature = "v5")]
mod v5 {
    use std::num::NonZeroU32;

    use crate::common::{Trace, bytes_of, with_code};
    use mqtt_core::codec::{ConnAck, Property, RetainHandling, Writer};
    use mqtt_core::session::Authentication;

    use super::*;

    const V5: Version = Version::V5;

    fn accepted(properties: &[Property<'_>]) -> Vec<u8> {
        let connack = ConnAck {
            session_present: false,
            code: ReasonCode::SUCCESS,
            properties: Properties::from(properties),
        };
        bytes_of(&Packet::ConnAck(connack), V5)
    }

    fn maximum_packet_size(maximum: u32) -> Property<'static> {
        Property::MaximumPacketSize(NonZeroU32::new(maximum).unwrap())
    }

    /// MQTT 5 [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3]
    /// MQTT 5 [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
    #[test]
    fn answers_have_neither_reason_string_nor_user_properties() {
        converse_in(
            V5,
            |_| {},
            |trace| {
                // No packet with a property is as short.
                trace.is_connected_by(&accepted(&[maximum_packet_size(5)]));
                trace.peer_publishes(&ONE, 1);
                let token = trace.delivers(&ONE);
                trace.rejects(token, ReasonCode::NOT_AUTHORIZED);
                trace.sends(&with_code(puback(1), 0x87));
                trace.peer_publishes(&TWO, 2);
                let token = trace.delivers(&TWO);
                trace.rejects(token, ReasonCode::NOT_AUTHORIZED);
                trace.sends(&with_code(pubrec(2), 0x87));
                trace.peer_sends(&pubrec(0xfffe));
                trace.sends(&with_code(pubrel(0xfffe), 0x92));
                trace.peer_sends(&pubrel(0xfffd));
                trace.sends(&with_code(pubcomp(0xfffd), 0x92));
                trace.peer_sends(b"\0\0");
                trace.has_failed();
                trace.says_goodbye(0x81);
            },
        );
    }

    /// MQTT 5 [MQTT-3.4.2-1] [MQTT-3.5.2-1]
    #[test]
    fn a_message_is_refused_with_a_code_that_its_answer_can_have() {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected();
                let not_theirs = [
                    ReasonCode::BANNED,
                    ReasonCode::CONTINUE_AUTHENTICATION,
                    ReasonCode::new(0xff),
                ];
                for code in not_theirs {
                    trace.peer_publishes(&ONE, 1);
                    let token = trace.delivers(&ONE);
                    trace.rejects(token, code);
                    trace.sends(&with_code(puback(1), 0x80));
                    trace.peer_publishes(&TWO, 2);
                    let token = trace.delivers(&TWO);
                    trace.rejects(token, code);
                    trace.sends(&with_code(pubrec(2), 0x80));
                }
                assert!(trace.session.is_idle());
            },
        );
    }

    #[test]
    fn the_code_of_pubrec_is_not_repeated_in_pubcomp() {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected();
                trace.peer_publishes(&TWO, 2);
                let token = trace.delivers(&TWO);
                trace.rejects(token, ReasonCode::NO_MATCHING_SUBSCRIBERS);
                trace.sends(&with_code(pubrec(2), 0x10));
                trace.peer_sends(&pubrel(2));
                trace.sends(&pubcomp(2));
            },
        );
    }

    /// MQTT 5 [MQTT-4.6.0-3]
    #[test]
    fn pubrec_of_a_repetition_waits_for_a_message_that_came_before_it() {
        let set = |setup: &mut Setup| setup.options.clean_session = false;
        converse_in(V5, set, |trace| {
            trace.is_connected();
            trace.peer_publishes(&TWO, 2);
            let token = trace.delivers(&TWO);
            trace.rejects(token, ReasonCode::QUOTA_EXCEEDED);
            trace.sends(&with_code(pubrec(2), 0x97));
            trace.peer_publishes(&TWO, 3);
            trace.delivers_and_acknowledges(&TWO);
            trace.sends(&pubrec(3));
            // Neither PUBREC reaches the server; the refused message is a new one to us.
            trace.session.link_lost(false);
            trace.resumes();
            trace.peer_repeats(&TWO, 2);
            let token = trace.delivers(&TWO);
            trace.peer_repeats(&TWO, 3);
            trace.is_silent();
            trace.acknowledges(token);
            trace.sends(&[pubrec(2), pubrec(3)].concat());
            trace.peer_sends(&[pubrel(2), pubrel(3)].concat());
            trace.sends(&[pubcomp(2), pubcomp(3)].concat());
            assert!(trace.session.is_idle());
        });
    }

    /// MQTT 5 [MQTT-4.3.3-13]
    #[test]
    fn a_message_that_expired_meanwhile_is_answered_to_the_end() {
        let set = |setup: &mut Setup| setup.options.keep_alive_s = 0;
        converse_in(V5, set, |trace| {
            let properties = [Property::MessageExpiryInterval(1)];
            trace.is_connected();
            trace.peer_publishes(&TWO.properties(Properties::from(&properties)), 3);
            let token = trace.delivers(&TWO);
            trace.at(60_000).acknowledges(token);
            trace.sends(&pubrec(3));
            trace.at(120_000).peer_sends(&pubrel(3));
            trace.sends(&pubcomp(3));
        });
    }

    /// MQTT 5 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-12] [MQTT-3.3.1-13] [MQTT-3.8.1-1]
    /// MQTT 5 [MQTT-3.8.3-3] [MQTT-3.8.3-5]
    #[test]
    fn the_options_of_a_subscription_are_written_bit_by_bit() {
        let handlings = [
            RetainHandling::SendAtSubscribe,
            RetainHandling::SendIfNew,
            RetainHandling::DoNotSend,
        ];
        let qualities = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let mut trace = Trace::new(&Setup::new(V5), crate::common::IN_ONE_PIECE);
        trace.is_connected();
        for options in 0..0x30_u8 {
            let (Some(qos), handling) = (
                qualities.get(usize::from(options & 3)),
                handlings[usize::from(options >> 4)],
            ) else {
                continue;
            };
            let subscription = Subscription {
                no_local: options & 0x04 != 0,
                retain_as_published: options & 0x08 != 0,
                retain_handling: handling,
                ..crate::common::subscription("a", *qos)
            };
            let session = &mut trace.session;
            let id = session.subscribe(&[subscription], Properties::NONE, false);
            id.unwrap();
            let mut out = [0; 32];
            let len = session.transmit(&mut out, mqtt_core::Instant::default());
            let [high, low] = [out[2], out[3]];
            let expected = [0x82, 7, high, low, 0, 0, 1, b'a', options];
            assert_eq!(out[..len], expected);
            let suback = crate::common::suback(V5, u16::from_be_bytes([high, low]), &[0]);
            trace.peer_sends(&suback);
        }
    }

    struct Token;

    impl Authentication for Token {
        fn method(&self) -> &'static str {
            "m"
        }

        fn begin(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
            Ok(())
        }

        fn respond(&self, _: &[u8], _: &mut Writer<'_>) -> Result<(), EncodeError> {
            Ok(())
        }
    }

    fn authenticated(setup: &mut Setup) {
        setup.options.v5.authentication = Some(&Token);
    }

    const METHOD: Property<'static> = Property::AuthenticationMethod("m");

    /// MQTT 5 [MQTT-3.2.2-15] [MQTT-3.15.1-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3] [MQTT-4.12.1-1]
    #[test]
    fn an_authentication_larger_than_the_server_accepts_is_not_sent() {
        converse_in(V5, authenticated, |trace| {
            // Header 2, code 1, property length 1, method 4, data 3 and 8 bytes of it.
            trace.is_connected_by(&accepted(&[METHOD, maximum_packet_size(19)]));
            let mut answers = |data: &[u8]| {
                let code = ReasonCode::RE_AUTHENTICATE;
                trace.session.authenticate(code, &mut |out| out.bytes(data))
            };
            assert_eq!(answers(b"nine byte"), Err(PublishError::PacketTooLarge));
            assert_eq!(answers(b"8 bytes."), Ok(()));
            trace.sends(b"\xf0\x11\x19\x0f\x15\0\x01m\x16\0\x088 bytes.");
        });
    }

    /// MQTT 5 [MQTT-3.15.2-1]
    #[test]
    fn an_authentication_has_a_code_of_its_own() {
        converse_in(V5, authenticated, |trace| {
            trace.is_connected_by(&accepted(&[METHOD]));
            let refused = trace
                .session
                .authenticate(ReasonCode::BANNED, &mut |_| Ok(()));
            let expected = PublishError::Encode(EncodeError::InvalidValue);
            assert_eq!(refused, Err(expected));
            trace.is_silent();
            assert!(trace.session.is_idle());
        });
    }

    /// MQTT 5 [MQTT-3.14.2-1]
    #[test]
    fn a_code_that_disconnect_cannot_have_still_ends_the_connection() {
        converse_in(
            V5,
            |_| {},
            |trace| {
                trace.is_connected();
                trace
                    .session
                    .disconnect(ReasonCode::NO_MATCHING_SUBSCRIBERS);
                trace.says_goodbye(0x80);
            },
        );
    }
}
