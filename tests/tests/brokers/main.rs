//! The client of `mqtt-std` with a real mosquitto on loopback, and the clients of mosquitto with our simulators.
//!
//! Feature `brokers`, because mosquitto must be installed; without it these tests fail.

mod large;
mod restart;
mod simulators;
mod transports;
mod v5;

use mqtt_core::codec::Version;
use mqtt_std::Options;
use mqtt_tests::device::soon;
use mqtt_tests::mosquitto::{Listener, Mosquitto, PASSWORD, USER};

const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// How to reach that listener, with all that it asks for.
fn options(broker: &Mosquitto, listener: Listener) -> Options {
    let (client, key) = broker.client_files();
    let options = Options::new("localhost")
        .port(broker.port(listener))
        .user_name(USER)
        .password(PASSWORD)
        .reconnect(soon());
    match listener {
        Listener::Plain => options,
        Listener::Tls | Listener::Tls13 => options.tls().ca_file(broker.authority_file()),
        Listener::ClientCertificate => options
            .tls()
            .ca_file(broker.authority_file())
            .client_certificate(client, key),
        Listener::WebSocket => options.websocket(),
        Listener::SecureWebSocket => options.websocket().tls().ca_file(broker.authority_file()),
    }
}
