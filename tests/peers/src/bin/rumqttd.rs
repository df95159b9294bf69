//! rumqttd on 127.0.0.1, which has a port for each version; 3.1.1 over TLS has a third, with `server.pem` and `server.key`
//! of a folder: `rumqttd PORT_OF_3_1_1 PORT_OF_5 TLS_PORT FOLDER USER PASSWORD`.

use std::collections::HashMap;
use std::env;
use std::net::{Ipv4Addr, SocketAddr};

use mqtt_test_peers::{argument, ends_with_its_parent};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings, TlsConfig};

fn main() {
    let mut arguments = env::args().skip(1);
    let ports: [u16; 3] = [(); 3].map(|()| argument(&mut arguments));
    let folder: String = argument(&mut arguments);
    let users = HashMap::from([(argument(&mut arguments), argument(&mut arguments))]);
    ends_with_its_parent();
    let [v4, v5, tls] = ports.map(|port| server(port, &users));
    let tls = ServerSettings {
        tls: Some(TlsConfig::Rustls {
            capath: None,
            certpath: format!("{folder}/server.pem"),
            keypath: format!("{folder}/server.key"),
        }),
        ..tls
    };
    let named = |name: &str, server| (name.to_owned(), server);
    let config = Config {
        router: router(),
        v4: Some(HashMap::from([named("plain", v4), named("tls", tls)])),
        v5: Some(HashMap::from([named("plain", v5)])),
        ..Config::default()
    };
    Broker::new(config).start().expect("it runs for ever");
}

fn server(port: u16, users: &HashMap<String, String>) -> ServerSettings {
    ServerSettings {
        name: port.to_string(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5000,
            max_payload_size: 1_000_000,
            max_inflight_count: 100,
            auth: Some(users.clone()),
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

/// Room for what the tests leave in its log: it keeps messages by size, not by number.
fn router() -> RouterConfig {
    RouterConfig {
        max_connections: 100,
        max_outgoing_packet_count: 200,
        max_segment_size: 1_000_000,
        max_segment_count: 10,
        ..RouterConfig::default()
    }
}
