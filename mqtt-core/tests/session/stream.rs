//! A payload larger than the transmit buffer.

use crate::common::{
    IN_ONE_PIECE, PINGREQ, Setup, Trace, converse, converse_in, puback, pubcomp, pubrec, pubrel,
};
use mqtt_core::{
    Message, Version,
    codec::ReasonCode,
    session::{DeliveryError, PublishError, SessionError},
};

fn small(setup: &mut Setup) {
    setup.options.clean_session = false;
    setup.options.receive_maximum = 1;
    setup.tx = 200;
    setup.slots = 6;
}

fn payload() -> &'static [u8] {
    (0..1000_u16)
        .map(|n| n.to_le_bytes()[0])
        .collect::<Vec<_>>()
        .leak()
}

#[test]
fn a_streamed_payload_arrives_as_one_packet() {
    converse(small, |trace| {
        trace.is_connected();
        for message in [
            Message::new("s", b"").retain(),
            Message::new("s", b"").at_least_once(),
            Message::new("s", b"").exactly_once(),
        ] {
            let ticket = trace.begins_stream(&message, 1000).unwrap();
            trace.streams(ticket, payload());
            let whole = Message {
                payload: payload(),
                ..message
            };
            let id = trace.sends_message(&whole);
            if id != 0 {
                trace.is_pending(ticket);
                trace.peer_acknowledges(id, message.qos);
            }
            trace.succeeds(ticket);
            assert!(trace.session.stream_room(ticket).is_none());
        }
        assert!(trace.session.is_idle());
    });
}

#[test]
fn a_streamed_payload_may_be_empty() {
    converse(small, |trace| {
        trace.is_connected();
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 0).unwrap();
        let id = trace.sends_message(&message);
        trace.peer_sends(&puback(id));
        trace.succeeds(ticket);
    });
}

#[test]
fn nothing_is_sent_in_the_middle_of_a_streamed_payload() {
    converse(small, |trace| {
        trace.is_connected();
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(ticket, &payload()[..500]);
        let inbound = Message::new("a", b"1").at_least_once();
        trace.peer_publishes(&inbound, 9);
        trace.delivers_and_acknowledges(&inbound);
        trace.publishes(&Message::new("q", b""));
        assert_eq!(
            trace.begins_stream(&message, 10),
            Err(PublishError::StreamBusy)
        );
        trace.streams(ticket, &payload()[500..]);
        let whole = Message {
            payload: payload(),
            ..message
        };
        trace.sends_message(&whole);
        trace.sends(&puback(9));
        trace.sends_message(&Message::new("q", b""));
    });
}

#[test]
fn an_answer_waits_for_the_end_of_a_streamed_payload() {
    let mut setup = Setup::new(Version::V3_1_1);
    small(&mut setup);
    let mut trace = Trace::new(&setup, IN_ONE_PIECE);
    trace.is_connected();
    let ticket = trace.begins_stream(&Message::new("s", b""), 10).unwrap();
    let mut out = [0; 64];
    let now = mqtt_core::Instant::default();
    let mut send = |trace: &mut Trace| {
        let len = trace.session.transmit(&mut out, now);
        out[..len].to_vec()
    };
    let fill = |trace: &mut Trace, bytes: &[u8; 5]| {
        let room = trace.session.stream_room(ticket).unwrap();
        room[..5].copy_from_slice(bytes);
        trace.session.stream_filled(ticket, 5)
    };
    assert!(!fill(&mut trace, b"01234"));
    assert_eq!(send(&mut trace), b"\x30\x0d\0\x01s01234");
    let inbound = Message::new("a", b"1").at_least_once();
    trace.peer_publishes(&inbound, 7);
    trace.delivers_and_acknowledges(&inbound);
    assert_eq!(send(&mut trace), b"");
    assert!(fill(&mut trace, b"56789"));
    assert_eq!(send(&mut trace), [&b"56789"[..], &puback(7)].concat());
    trace.succeeds(ticket);
}

#[test]
fn other_messages_pass_a_stream_that_waits_for_the_window() {
    let set = |setup: &mut Setup| {
        small(setup);
        setup.options.max_in_flight = 1;
    };
    converse(set, |trace| {
        trace.is_connected();
        let (_, id) = trace.publishes_and_sends(&Message::new("a", b"1").at_least_once());
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 4).unwrap();
        let room = trace.session.stream_room(ticket).unwrap();
        room[..4].copy_from_slice(b"abcd");
        assert!(trace.session.stream_filled(ticket, 4));
        trace.is_silent();
        trace.publishes_and_sends(&Message::new("q", b""));
        trace.peer_sends(&puback(id));
        trace.sends_message(&Message {
            payload: b"abcd",
            ..message
        });
    });
}

#[test]
fn a_stream_ends_with_the_link() {
    converse(small, |trace| {
        let message = Message::new("s", b"").at_least_once();
        trace.is_connected();
        let cut = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(cut, &payload()[..500]);
        trace.loses_link();
        trace.ends_as(cut, DeliveryError::LinkLost);
        assert!(trace.session.stream_room(cut).is_none());
        trace.resumes();
        trace.is_silent();
        // Complete, but nothing was kept to repeat it.
        let complete = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(complete, payload());
        trace.loses_link();
        trace.ends_as(complete, DeliveryError::LinkLost);
        trace.resumes();
        trace.is_silent();
        assert!(trace.session.is_idle());
    });
}

#[test]
fn a_streamed_message_with_pubrec_is_finished_on_the_next_link() {
    converse(small, |trace| {
        trace.is_connected();
        let message = Message::new("s", b"").exactly_once();
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(ticket, payload());
        let id = trace.sends_message(&Message {
            payload: payload(),
            ..message
        });
        trace.peer_sends(&pubrec(id));
        trace.sends(&pubrel(id));
        trace.loses_link();
        trace.resumes();
        trace.sends(&pubrel(id));
        trace.peer_sends(&pubcomp(id));
        trace.succeeds(ticket);
    });
}

#[test]
fn a_stream_given_up_before_its_first_byte_harms_nobody() {
    converse(small, |trace| {
        trace.is_connected();
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        assert_eq!(trace.session.stream_abort(ticket), Ok(()));
        trace.ends_as(ticket, DeliveryError::LinkLost);
        trace.is_silent();
        trace.publishes_and_sends(&Message::new("q", b""));
        assert_eq!(trace.session.stream_abort(ticket), Ok(()));
    });
}

#[test]
fn a_stream_given_up_half_way_ends_the_link() {
    converse(small, |trace| {
        trace.is_connected();
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(ticket, &payload()[..10]);
        let error = Err(SessionError::StreamAborted);
        assert_eq!(trace.session.stream_abort(ticket), error);
        trace.ends_as(ticket, DeliveryError::LinkLost);
        assert!(trace.session.is_closed());
        trace.session.link_lost(false);
        trace.connects();
        trace.is_accepted(true);
        trace.publishes_and_sends(&Message::new("q", b""));
    });
}

#[test]
fn a_stream_needs_a_link() {
    converse(small, |trace| {
        let message = Message::new("s", b"");
        assert_eq!(
            trace.begins_stream(&message, 1),
            Err(PublishError::NotConnected)
        );
        trace.connects();
        assert_eq!(
            trace.begins_stream(&message, 1),
            Err(PublishError::NotConnected)
        );
        trace.is_accepted(false);
        trace.session.disconnect(ReasonCode::NORMAL_DISCONNECTION);
        assert_eq!(
            trace.begins_stream(&message, 1),
            Err(PublishError::NotConnected)
        );
        trace.sends(crate::common::DISCONNECT);
    });
}

#[test]
fn a_stream_waits_for_room_and_says_when_waiting_is_of_no_use() {
    let topic: &'static str = "t".repeat(300).leak();
    converse(small, |trace| {
        trace.is_connected();
        let too_long = Message::new(topic, b"");
        assert_eq!(
            trace.begins_stream(&too_long, 10),
            Err(PublishError::TooLarge)
        );
        let big: &'static [u8] = &payload()[..120];
        let (_, id) = trace.publishes_and_sends(&Message::new("a", big).at_least_once());
        let message = Message::new(
            "01234567890123456789012345678901234567890123456789012345",
            b"",
        );
        assert_eq!(trace.begins_stream(&message, 1000), Err(PublishError::Full));
        trace.peer_sends(&puback(id));
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(ticket, payload());
        trace.sends_message(&Message {
            payload: payload(),
            ..message
        });
    });
}

/// A stream takes all room there is, and what is queued slides together for it.
#[test]
fn messages_that_make_way_for_a_stream_are_sent_once_and_in_order() {
    let (one, two) = (Message::new("q", b"1"), Message::new("q", b"2"));
    let done = Message::new("d", b"").at_least_once();
    let streamed = Message::new("s", b"");
    converse(
        |_| {},
        |trace| {
            trace.is_connected();
            let sent = [(); 2].map(|()| trace.publishes_and_sends(&done));
            trace.publishes(&one);
            trace.publishes(&two);
            for (ticket, id) in sent {
                trace.peer_sends(&puback(id));
                trace.succeeds(ticket);
            }
            trace.begins_stream(&streamed, 0).unwrap();
            for message in [one, two, streamed] {
                trace.sends_message(&message);
            }
            trace.is_silent();
        },
    );
}

#[test]
fn a_stream_needs_room_for_a_byte_behind_its_head() {
    // CONNECT lies in front; the remaining length of so large a packet takes four bytes.
    const CONNECT: usize = 18;
    const HEAD: usize = 5 + 3;
    let message = Message::new("a", b"");
    for (room, fits) in [(HEAD, false), (HEAD + 1, true)] {
        let mut setup = Setup::new(Version::V3_1_1);
        setup.tx = CONNECT + room;
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        trace.is_connected();
        let stream = trace.begins_stream(&message, 3_000_000);
        let expected = if fits {
            Ok(())
        } else {
            Err(PublishError::TooLarge)
        };
        assert_eq!(stream.map(|_| ()), expected);
    }
}

#[test]
fn a_stalled_stream_keeps_its_place_while_the_buffer_moves() {
    converse(small, |trace| {
        trace.is_connected();
        let (_, id) = trace.publishes_and_sends(&Message::new("a", b"first").at_least_once());
        let message = Message::new("s", b"").at_least_once();
        let ticket = trace.begins_stream(&message, 1000).unwrap();
        trace.streams(ticket, &payload()[..333]);
        trace.peer_sends(&puback(id));
        // Room is needed, so the packets move together.
        let small = Message::new("q", b"0123456789");
        let mut queued = 0;
        while trace.try_publish(&small).is_ok() {
            queued += 1;
        }
        assert_ne!(queued, 0);
        trace.streams(ticket, &payload()[333..]);
        trace.sends_message(&Message {
            payload: payload(),
            ..message
        });
        for _ in 0..queued {
            trace.sends_message(&small);
        }
    });
}

#[test]
fn time_runs_on_while_a_stream_stalls() {
    converse_in(Version::V3_1_1, small, |trace| {
        trace.is_connected();
        let ticket = trace.begins_stream(&Message::new("s", b""), 1000).unwrap();
        trace.streams(ticket, &payload()[..10]);
        // PINGREQ cannot be sent now, and goes out as soon as it can.
        trace.at(60_000);
        trace.streams(ticket, &payload()[10..]);
        trace.sends_message(&Message {
            payload: payload(),
            ..Message::new("s", b"")
        });
        trace.sends(PINGREQ);
    });
}
