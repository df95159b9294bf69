//! A session that outlives a restart of the device.

use crate::common::{IN_ONE_PIECE, Setup, Trace, VERSIONS, pubcomp, pubrec, pubrel};
use mqtt_core::{
    Instant, Message, QoS,
    session::{PublishError, RestoreError},
};

const ONE: Message<'static> = Message::new("a", b"1").at_least_once();
const TWO: Message<'static> = Message::new("a", b"2").exactly_once();

fn setup(version: mqtt_core::Version) -> Setup {
    let mut setup = Setup::new(version);
    setup.options.clean_session = false;
    setup
}

/// The device after its restart, `later` milliseconds after the beginning.
fn restarts(trace: &mut Trace, later: u32) -> Trace {
    let mut copy = [0; 512];
    let len = trace.session.save(&mut copy).unwrap();
    let mut restarted = Trace::new(&setup(trace.version()), IN_ONE_PIECE);
    restarted.at(later);
    let now = Instant::from_millis(later);
    assert_eq!(restarted.session.restore(&copy[..len], now), Ok(()));
    restarted
}

#[test]
fn each_exchange_goes_on_where_it_was() {
    for version in VERSIONS {
        let mut trace = Trace::new(&setup(*version), IN_ONE_PIECE);
        trace.is_connected();
        let (_, sent) = trace.publishes_and_sends(&ONE);
        let (_, sent_two) = trace.publishes_and_sends(&TWO);
        let (_, released) = trace.publishes_and_sends(&TWO);
        trace.peer_sends(&pubrec(released));
        trace.sends(&pubrel(released));
        trace.peer_publishes(&TWO, 9);
        trace.delivers_and_acknowledges(&TWO);
        trace.sends(&pubrec(9));
        let subscribed = [("s", QoS::AtMostOnce)];
        trace.subscribes(&subscribed);
        trace.sends_subscribe(&subscribed);
        trace.publishes(&ONE);
        trace.publishes(&TWO);
        trace.publishes(&Message::new("a", b"0"));

        let mut trace = restarts(&mut trace, 0);
        trace.resumes();
        trace.sends(&pubrel(released));
        trace.resends_message(&ONE, sent);
        trace.resends_message(&TWO, sent_two);
        let ids = [&ONE, &TWO].map(|message| trace.sends_message(message));
        trace.is_silent();
        // The message is with the application already.
        trace.peer_repeats(&TWO, 9);
        trace.sees_nothing();
        trace.sends(&pubrec(9));
        trace.peer_sends(&pubrel(9));
        trace.sends(&pubcomp(9));
        trace.peer_sends(&pubcomp(released));
        trace.peer_acknowledges(sent, QoS::AtLeastOnce);
        trace.peer_acknowledges(sent_two, QoS::ExactlyOnce);
        trace.peer_acknowledges(ids[0], QoS::AtLeastOnce);
        trace.peer_acknowledges(ids[1], QoS::ExactlyOnce);
        assert!(trace.session.is_idle());
    }
}

#[test]
fn identifiers_in_use_before_the_restart_are_not_given_out_again() {
    for version in VERSIONS {
        let mut trace = Trace::new(&setup(*version), IN_ONE_PIECE);
        trace.is_connected();
        let mut used: Vec<u16> = (0..4).map(|_| trace.publishes_and_sends(&ONE).1).collect();
        let mut trace = restarts(&mut trace, 0);
        trace.resumes();
        for id in used.clone() {
            trace.resends_message(&ONE, id);
        }
        for _ in 0..8 {
            let (_, id) = trace.publishes_and_sends(&ONE);
            assert!(!used.contains(&id), "{id}");
            used.push(id);
        }
    }
}

#[test]
fn a_session_in_use_takes_no_copy() {
    let mut trace = Trace::new(&setup(VERSIONS[0]), IN_ONE_PIECE);
    trace.publishes(&ONE);
    let mut copy = [0; 64];
    let len = trace.session.save(&mut copy).unwrap();
    assert_eq!(
        trace.session.restore(&copy[..len], Instant::default()),
        Err(RestoreError::InUse)
    );
    trace.is_connected();
    trace.sends_message(&ONE);
}

#[test]
fn a_message_that_the_application_refused_is_not_remembered() {
    let mut trace = Trace::new(&setup(VERSIONS[VERSIONS.len() - 1]), IN_ONE_PIECE);
    let empty = trace.session.save(&mut [0; 64]);
    trace.is_connected();
    trace.peer_publishes(&TWO, 9);
    let token = trace.delivers(&TWO);
    assert_eq!(trace.session.save(&mut [0; 64]), empty);
    trace.rejects(token, mqtt_core::codec::ReasonCode::QUOTA_EXCEEDED);
    #[cfg(feature = "v5")]
    assert_eq!(trace.session.save(&mut [0; 64]), empty);
}

#[cfg(feature = "v5")]
#[test]
fn a_message_that_expires_does_so_after_a_restart_too() {
    use mqtt_core::codec::{Properties, Property};
    let v5 = mqtt_core::Version::V5;
    let properties = |seconds| [Property::MessageExpiryInterval(seconds)];
    let (short, long) = (properties(5), properties(60));
    let mut trace = Trace::new(&setup(v5), IN_ONE_PIECE);
    trace.publishes(&ONE.properties(Properties::from(&short)));
    trace.publishes(&TWO.properties(Properties::from(&long)));
    let mut trace = restarts(&mut trace, 1_000);
    trace.at(11_000).is_connected();
    let publish = trace.sends_publish();
    assert_eq!(publish.payload, TWO.payload);
    assert_eq!(publish.properties.message_expiry_interval(), Some(50));
    trace.is_silent();
    assert_eq!(trace.session.counters().failed, 1);
}

/// In either order: what the server began, and what we did.
#[test]
fn a_full_table_comes_back_into_one_of_the_same_size() {
    for inbound_first in [true, false] {
        let mut setup = setup(VERSIONS[0]);
        setup.slots = 5;
        setup.options.receive_maximum = 2;
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        trace.is_connected();
        let receive = |trace: &mut Trace| {
            for id in [7, 8] {
                trace.peer_publishes(&TWO, id);
                trace.delivers_and_acknowledges(&TWO);
                trace.sends(&pubrec(id));
            }
        };
        if inbound_first {
            receive(&mut trace);
        }
        let (_, id) = trace.publishes_and_sends(&ONE);
        if !inbound_first {
            receive(&mut trace);
        }
        assert_eq!(trace.try_publish(&ONE), Err(PublishError::Full));
        let mut copy = [0; 128];
        let len = trace.session.save(&mut copy).unwrap();
        let mut trace = Trace::new(&setup, IN_ONE_PIECE);
        let restored = trace.session.restore(&copy[..len], Instant::default());
        assert_eq!(restored, Ok(()));
        trace.resumes();
        trace.resends_message(&ONE, id);
    }
}

/// Layout 1, MQTT 3.1.1, then the exchanges; the checksum behind them is left out.
#[test]
fn an_update_of_the_firmware_finds_the_copy_laid_out_as_before() {
    let mut trace = Trace::new(&setup(VERSIONS[0]), IN_ONE_PIECE);
    trace.is_connected();
    let (_, released) = trace.publishes_and_sends(&TWO);
    trace.peer_sends(&pubrec(released));
    trace.sends(&pubrel(released));
    trace.peer_publishes(&TWO, 0x0809);
    trace.delivers_and_acknowledges(&TWO);
    trace.sends(&pubrec(0x0809));
    let (_, sent) = trace.publishes_and_sends(&ONE);
    trace.publishes(&TWO);
    let mut copy = [0; 128];
    let len = trace.session.save(&mut copy).unwrap();
    let [released, sent] = [released, sent].map(|id| id.to_be_bytes()[1]);
    let expected = [
        &[1, 0][..],
        &[5, 2, 0, released],
        &[6, 0, 8, 9],
        &[3, 2, 0, sent, 0, 0, 0, 8],
        b"\x32\x06\0\x01a\0",
        &[sent, b'1'],
        &[2, 0, 0, sent + 1, 0, 0, 0, 8],
        b"\x34\x06\0\x01a\0",
        &[sent + 1, b'2'],
    ];
    assert_eq!(copy[..len - 4], expected.concat());
}

#[test]
fn what_is_acknowledged_but_not_answered_yet_is_remembered_at_qos_2_only() {
    for version in VERSIONS {
        let mut trace = Trace::new(&setup(*version), IN_ONE_PIECE);
        let empty = trace.session.save(&mut [0; 64]).unwrap();
        trace.is_connected();
        trace.peer_publishes(&ONE, 8);
        trace.delivers_and_acknowledges(&ONE);
        assert_eq!(trace.session.save(&mut [0; 64]), Ok(empty));
        trace.peer_publishes(&TWO, 9);
        trace.delivers_and_acknowledges(&TWO);
        let mut trace = restarts(&mut trace, 0);
        trace.resumes();
        trace.peer_repeats(&TWO, 9);
        trace.sees_nothing();
        trace.sends(&pubrec(9));
    }
}

#[test]
fn a_streamed_payload_is_not_remembered() {
    for message in [ONE, TWO] {
        let mut trace = Trace::new(&setup(VERSIONS[0]), IN_ONE_PIECE);
        let empty = trace.session.save(&mut [0; 64]).unwrap();
        trace.is_connected();
        let ticket = trace.begins_stream(&message, 3).unwrap();
        trace.streams(ticket, b"abc");
        trace.looks_away();
        assert_eq!(trace.session.save(&mut [0; 64]), Ok(empty));
    }
}
