//! Messages that find no room.

use crate::common::{Setup, converse, puback, pubcomp, pubrec, pubrel};
use mqtt_core::{
    Message, QoS,
    codec::Writer,
    session::{DeliveryError, OutboxPolicy, PublishError},
};

const ONE: Message<'static> = Message::new("a/b", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a/b", b"2").exactly_once();

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

/// MQTT 3.1.1 [MQTT-4.1.0-2]
/// MQTT 5 [MQTT-4.1.0-1]
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

/// MQTT 3.1.1 [MQTT-4.1.0-2]
/// MQTT 5 [MQTT-4.1.0-1]
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
fn what_was_sent_once_is_not_given_up_for_something_newer() {
    for policy in [OutboxPolicy::DropOldest, OutboxPolicy::KeepLatest] {
        converse(small(policy), |trace| {
            assert_eq!(trace.session.outbox_policy(), policy);
            trace.options.clean_session = false;
            trace.is_connected();
            let messages = [medium(b'a'), medium(b'b')];
            let ids = messages.map(|message| trace.publishes_and_sends(&message).1);
            trace.loses_link();
            trace.resumes();
            // They wait to be sent again.
            assert_eq!(trace.try_publish(&medium(b'c')), Err(PublishError::Full));
            for (message, id) in messages.iter().zip(ids) {
                trace.resends_message(message, id);
            }
        });
    }
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
