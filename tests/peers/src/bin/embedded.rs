//! The broker of the `mqtt5` crate on 127.0.0.1, with its files in a folder, `server.pem` and `server.key` among them:
//! `embedded PORT TLS_PORT FOLDER QUEUE_LIMIT USER PASSWORD`.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use mqtt_test_peers::{argument, ends_with_its_parent};
use mqtt5::broker::auth::PasswordAuthProvider;
use mqtt5::broker::config::{
    AuthConfig, RateLimitConfig, StorageBackend, StorageConfig, TlsConfig,
};
use mqtt5::broker::{BrokerConfig, MqttBroker};

#[tokio::main]
async fn main() {
    let mut arguments = env::args().skip(1);
    let [port, tls_port]: [u16; 2] = [(); 2].map(|()| argument(&mut arguments));
    let folder: PathBuf = argument(&mut arguments);
    let queue_limit = argument(&mut arguments);
    let (user, password): (String, String) = (argument(&mut arguments), argument(&mut arguments));
    ends_with_its_parent();
    let passwords = folder.join("passwords");
    let hash = PasswordAuthProvider::hash_password(&password).expect("a hash");
    std::fs::write(&passwords, format!("{user}:{hash}\n")).expect("written");
    let tls = TlsConfig::new(folder.join("server.pem"), folder.join("server.key"));
    let storage = StorageConfig::new()
        .with_backend(StorageBackend::File)
        .with_base_dir(folder)
        .with_persistence(true);
    let config = BrokerConfig::default()
        .with_bind_address((Ipv4Addr::LOCALHOST, port))
        .with_tls(tls.with_bind_address((Ipv4Addr::LOCALHOST, tls_port)))
        .with_auth(AuthConfig {
            // The tests give a wrong password more than once.
            rate_limit: RateLimitConfig {
                enabled: false,
                ..RateLimitConfig::default()
            },
            ..AuthConfig::new().with_password_file(passwords)
        })
        .with_storage(StorageConfig {
            max_queued_messages_per_client: queue_limit,
            ..storage
        })
        .with_sys_topics_enabled(false);
    let mut broker = Box::pin(MqttBroker::with_config(config))
        .await
        .expect("it starts");
    Box::pin(broker.run()).await.expect("it runs for ever");
}
