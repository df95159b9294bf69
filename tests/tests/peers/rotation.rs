//! The certificate of a broker is replaced while a device is connected.

use mqtt_core::client::ConnectError;
use mqtt_std::{ConnectFailure, Error, LinkEnd, Message, Options};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};
use mqtt_tests::proxy::Proxy;

fn options(broker: &Mosquitto, port: u16) -> Options {
    Options::new("localhost")
        .port(port)
        .tls()
        .ca_file(broker.authority_file())
        .reconnect(soon())
}

#[test]
fn a_device_follows_a_new_certificate_and_refuses_that_of_a_stranger() {
    let mut broker = Mosquitto::start(Setup::default());
    let proxy = Proxy::start(broker.port(Listener::Tls));
    let device = Device::connect(options(&broker, proxy.port()).client_id("careful"));
    let works = || device.delivers(&Message::new("a", b"").at_least_once());

    broker.rotate_certificate();
    // The link that is there stays as it is.
    works();
    assert_eq!(device.client.report().session.connections, 1);
    proxy.cut();
    works();
    assert_eq!(device.client.report().session.connections, 2);

    broker.forge_certificate();
    // A broker that was restarted resumes no session of TLS: it has to show its certificate.
    broker.kill();
    broker.start_again();
    let attempts = device.client.report().attempts;
    while device.client.report().attempts < attempts + 5 {
        device.wait(device.client.state_change(device.client.state()));
    }
    let untrusted = LinkEnd::Connect(ConnectError::Certificate);
    assert_eq!(device.client.report().last_end, Some(untrusted));
    assert_eq!(names_told(&broker), 2, "it has told its name to a stranger");

    broker.rotate_certificate();
    works();
    assert_eq!(device.client.report().session.connections, 3);
    assert_eq!(names_told(&broker), 3);
}

#[test]
fn a_new_device_refuses_a_stranger_from_the_next_handshake_on() {
    let broker = Mosquitto::start(Setup::default());
    let options = || options(&broker, broker.port(Listener::Tls)).fail_fast(true);
    Device::connect(options()).delivers(&Message::new("a", b"").at_least_once());
    broker.forge_certificate();
    match Device::start(options()).ends() {
        Err(Error::Connect { failure, .. }) => assert!(
            matches!(failure, ConnectFailure::UnknownAuthority),
            "{failure:?}"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(names_told(&broker), 1);
}

/// How many clients have come as far as CONNECT.
fn names_told(broker: &Mosquitto) -> usize {
    broker.log().matches("New client connected").count()
}
