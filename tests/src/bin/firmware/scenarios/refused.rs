//! Servers that a firmware must not, or cannot, connect to.

use std::time::Duration;

use mqtt_tests::certificates::{Authority, Identity};
use mqtt_tests::mosquitto::{Mosquitto, Setup};
use mqtt_tests::peer::Peer;

use crate::case::Scenario;
use crate::stage::{Boot, Stage};
use crate::tls_server;

/// For the firmware to boot and connect.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn play(stage: &mut Stage<'_>, refusal: Scenario) {
    match refusal {
        Scenario::WrongPassword => with_broker(stage, |boot| boot.password = "wrong-horse"),
        Scenario::WrongCa => {
            let other = stage.authority_file(&Authority::new());
            with_broker(stage, |boot| boot.authority = other);
        }
        Scenario::WrongName => with_broker(stage, |boot| boot.server_name = "broker.example"),
        Scenario::Expired => with_server(stage, Authority::expired_server),
        Scenario::NotAnAuthority => with_server(stage, Authority::server_signed_by_client),
        Scenario::Tls12 => {
            let broker = Mosquitto::start(Setup {
                tls_1_2_only: true,
                ..Setup::default()
            });
            boot_and_wait(stage, &stage.boot_for(&broker));
        }
        Scenario::ClosedPort => {
            let broker = Mosquitto::start(Setup::default());
            let mut boot = stage.boot_for(&broker);
            boot.port = Peer::new().port();
            boot_and_wait(stage, &boot);
        }
        Scenario::Silence => {
            let broker = Mosquitto::start(Setup::default());
            let peer = Peer::new();
            let mut boot = stage.boot_for(&broker);
            boot.port = peer.port();
            stage.boot(&boot);
            let link = peer.accept_within(LIMIT);
            stage.firmware_ends();
            drop(link.expect("the firmware connects"));
        }
        _ => unreachable!("not a refusal"),
    }
}

/// The usual broker, and a firmware with one thing wrong.
fn with_broker(stage: &mut Stage<'_>, spoil: impl FnOnce(&mut Boot)) {
    let broker = Mosquitto::start(Setup::default());
    let mut boot = stage.boot_for(&broker);
    spoil(&mut boot);
    boot_and_wait(stage, &boot);
}

/// The authority that the firmware trusts, and a server with a certificate that it must not accept.
fn with_server(stage: &mut Stage<'_>, identity: impl FnOnce(&Authority) -> Identity) {
    let authority = Authority::new();
    let port = tls_server::start(&identity(&authority));
    let boot = Boot {
        port,
        authority: stage.authority_file(&authority),
        server_name: "localhost",
        password: "",
        count: 0,
    };
    boot_and_wait(stage, &boot);
}

/// The server must live as long as the firmware.
fn boot_and_wait(stage: &mut Stage<'_>, boot: &Boot) {
    stage.boot(boot);
    stage.firmware_ends();
}
