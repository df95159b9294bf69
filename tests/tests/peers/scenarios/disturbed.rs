//! The broker is asked for what it does not speak, stands still, or is killed.

use std::time::Duration;

use mqtt_core::codec::Version;
use mqtt_core::session::SessionError;
use mqtt_std::{ConnectFailure, Error, LinkEnd, LinkState, Message, Reconnect};
use mqtt_tests::certificates::Authority;
use mqtt_tests::device::{Device, soon};
use mqtt_tests::pair::Pair;
use mqtt_tests::proxy::Proxy;

use crate::broker::Broker;
use crate::expected::{AfterKill, Expected};
use crate::{Stage, end_of};

pub(super) fn a_version_that_is_not_spoken_is_refused(
    broker: &mut dyn Broker,
    expected: &Expected,
) {
    let Some(end) = expected.other_version else {
        return assert_eq!(expected.versions.len(), 2);
    };
    let stage = Stage {
        broker,
        version: Version::V5,
        expected,
    };
    let options = stage.options().reconnect(Reconnect::never());
    assert_eq!(end_of(&mut Device::start(options)), end);
}

/// The authority of the broker is replaced by another, and the device trusts both, as it must meanwhile.
pub(super) fn a_new_certificate_is_followed_and_that_of_a_stranger_refused(
    broker: &mut dyn Broker,
    expected: &Expected,
) {
    let [old, new] = [(); 2].map(|()| Authority::new());
    broker.presents(&old);
    let proxy = Proxy::start(broker.tls_port());
    let trusting = |broker: &dyn Broker, port, authorities: &[&Authority]| {
        let stage = Stage {
            broker,
            version: Version::V3_1_1,
            expected,
        };
        let options = stage.options().port(port).tls();
        authorities.iter().fold(options, |options, authority| {
            options.ca_pem(authority.certificate())
        })
    };
    let message = Message::new("a", b"").at_least_once();
    // Until the broker has the certificate, it is a stranger for who trusts its authority alone.
    Device::connect(trusting(broker, broker.tls_port(), &[&old])).delivers(&message);
    let device = Device::connect(trusting(broker, proxy.port(), &[&old, &new]));
    device.delivers(&message);

    broker.presents(&new);
    Device::connect(trusting(broker, broker.tls_port(), &[&new])).delivers(&message);
    let connections = device.client.report().session.connections;
    proxy.cut();
    device.delivers(&message);
    assert!(device.client.report().session.connections > connections);

    let careful = trusting(broker, broker.tls_port(), &[&old]).fail_fast(true);
    match Device::start(careful).ends() {
        Err(Error::Connect { failure, .. }) => assert!(
            matches!(failure, ConnectFailure::UnknownAuthority),
            "{failure:?}"
        ),
        other => panic!("{other:?}"),
    }
}

/// For longer than the keep-alive.
pub(super) fn a_broker_that_stands_still_is_left(broker: &mut dyn Broker, expected: &Expected) {
    let devices = expected.versions.iter().map(|&version| {
        let stage = Stage {
            broker,
            version,
            expected,
        };
        let options = stage.options().keep_alive_s(1);
        // Long enough to see why it waits.
        let unhurried = Reconnect {
            floor_ms: 300,
            ..soon()
        };
        let options = options.ping_timeout(Duration::from_millis(300));
        Device::connect(options.reconnect(unhurried))
    });
    let devices: Vec<_> = devices.collect();
    let connected: Vec<_> = devices.iter().map(|device| device.client.state()).collect();
    broker.pause();
    for (device, connected) in devices.iter().zip(connected) {
        let state = device.wait(device.client.state_change(connected));
        let silent = LinkEnd::Session(SessionError::PingTimeout);
        assert!(
            matches!(state, LinkState::Waiting { end, .. } if end == silent),
            "{state:?}"
        );
    }
    broker.resume();
    for device in &devices {
        device.connected();
        device.delivers(&Message::new("a", b"").at_least_once());
    }
}

/// At QoS 1, which every broker has: at least once, as long as somebody has the message.
pub(super) fn a_broker_is_killed_in_traffic(broker: &mut dyn Broker, expected: &Expected) {
    let pairs = expected.versions.iter().map(|&version| {
        let stage = Stage {
            broker,
            version,
            expected,
        };
        Pair::connect(&stage.options(), &stage.name("traffic"))
    });
    let mut pairs: Vec<_> = pairs.collect();
    for pair in &mut pairs {
        pair.subscribes_again(0);
        pair.publishes((1000..1100).step_by(2));
    }
    // What is sent from here on is hardly acknowledged by anybody.
    broker.pause();
    for pair in &mut pairs {
        pair.publishes((1100..1200).step_by(2));
    }
    broker.kill();
    let unacknowledged = pairs.iter_mut().map(|pair| {
        pair.publisher_notices();
        pair.pending()
    });
    let unacknowledged: Vec<_> = unacknowledged.collect();
    broker.start_again();
    for (pair, unacknowledged) in pairs.iter_mut().zip(unacknowledged) {
        assert!(!unacknowledged.is_empty(), "it was killed too late");
        pair.all_are_acknowledged();
        match expected.after_kill {
            AfterKill::Everything => pair.all_have_arrived((1000..1200).step_by(2)),
            AfterKill::Sessions => pair.all_have_arrived(unacknowledged),
            AfterKill::Nothing => {}
        }
        pair.subscribes_again(3000);
        let kept = expected.after_kill != AfterKill::Nothing;
        assert_eq!(pair.session_was_kept(), kept, "the session");
    }
}
