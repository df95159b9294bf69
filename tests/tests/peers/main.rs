//! One list of scenarios on five brokers. Where a broker differs, [`expected::Expected`] says how, and that is asserted
//! as well; `docs/brokers.md` tells it to users.
//!
//! Feature `brokers`, because the brokers must be installed: `cargo xtask peers` does it. Without them these tests fail.

mod broker;
mod expected;
mod program;
mod rotation;
mod scenarios;
mod soak;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use mqtt_core::codec::Version;
use mqtt_std::{LinkState, Options};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::mosquitto::{PASSWORD, USER};

use self::broker::Broker;
use self::expected::Expected;
use self::scenarios::{DISTURBING, PEACEFUL};

#[test]
fn mosquitto() {
    run(&mut *broker::mosquitto(), &expected::MOSQUITTO);
}

#[test]
fn rabbitmq() {
    run(&mut *broker::rabbitmq(), &expected::RABBITMQ);
}

#[test]
fn embedded() {
    run(&mut *broker::embedded(), &expected::EMBEDDED);
}

#[test]
fn rumqttd() {
    run(&mut *broker::rumqttd(), &expected::RUMQTTD);
}

#[test]
fn aedes() {
    run(&mut *broker::aedes(), &expected::AEDES);
}

/// One broker, one version of the protocol, and what comes of them.
#[derive(Clone, Copy)]
struct Stage<'a> {
    broker: &'a dyn Broker,
    version: Version,
    expected: &'a Expected,
}

impl Stage<'_> {
    /// How to reach the broker, with all that it asks for.
    fn options(&self) -> Options {
        Options::new("127.0.0.1")
            .port(self.broker.port(self.version))
            .version(self.version)
            .user_name(USER)
            .password(PASSWORD)
            .reconnect(soon())
    }

    /// A device of that name whose session the broker is asked to keep.
    fn resident(&self, name: &str) -> Options {
        self.options()
            .client_id(format!("{name}-{:?}", self.version))
            .clean_session(false)
            .session_expiry_s(3600)
    }

    /// A name that the other version does not use on the same broker.
    fn name(&self, name: &str) -> String {
        match self.version {
            Version::V3_1_1 => format!("three/{name}"),
            Version::V5 => format!("five/{name}"),
        }
    }
}

/// How the only link of a client ends, in words.
fn end_of(device: &mut Device) -> String {
    device.ends().expect_err("not in good order");
    match device.client.state() {
        LinkState::Stopped(end) => end.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The peaceful scenarios at the same time, then the disturbing ones one by one. All are run, whatever fails.
fn run(broker: &mut dyn Broker, expected: &Expected) {
    let failed = Mutex::new(Vec::new());
    let attempt = |name: String, scenario: &mut dyn FnMut()| {
        if catch_unwind(AssertUnwindSafe(scenario)).is_err() {
            failed.lock().expect("no panic inside").push(name);
        }
    };
    {
        let (broker, attempt) = (&*broker, &attempt);
        thread::scope(|scope| {
            for &version in expected.versions {
                scope.spawn(move || {
                    let stage = Stage {
                        broker,
                        version,
                        expected,
                    };
                    for (name, scenario) in PEACEFUL {
                        attempt(format!("{name} {version:?}"), &mut || scenario(stage));
                    }
                });
            }
        });
    }
    for (name, scenario) in DISTURBING {
        attempt(name.to_string(), &mut || scenario(broker, expected));
        // It may have failed in between.
        broker.resume();
    }
    let failed = failed.into_inner().expect("no panic inside");
    assert!(
        failed.is_empty(),
        "{failed:#?}\nthe end of the log of the broker:\n{}",
        broker.log_end()
    );
}
