//! What the tests of the programs for platforms share.

use std::net::TcpListener;

use mqtt_tests::simulator::Simulator;

use crate::program::{Ended, Program};

/// A simulated platform of the test's own, and its URL.
pub(crate) fn simulator(platform: &str) -> (Simulator, String) {
    let simulator = Simulator::start(platform, "127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", simulator.address());
    (simulator, url)
}

/// A port of this machine on which nobody listens, as long as nobody else takes it.
pub(crate) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The program ends with status 1, and says on one line of standard error why.
pub(crate) fn assert_fails(path: &str, arguments: &[&str], why: &str) {
    let ended = Program::start(path, arguments).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    assert!(ended.stderr.contains(why), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

/// The program ended by itself, or by Ctrl-C, and is content.
pub(crate) fn assert_succeeded(ended: &Ended) {
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr, "");
}
