//! `PlaceOS`.

use std::time::Duration;

use mqtt_core::{
    QoS,
    codec::{Subscription, TopicFilter},
    platform::place_os::{
        self, Level, MetadataTopic, PATH, StateFilter, StateTopic, Token, WithRegion,
        read_metadata, read_state,
    },
};
use mqtt_tests::{device::Device, simulator::Simulator};

use super::support::{connect, noted, options, refusal, simulator, subscribed};

const READER: &str = "reader.key";
const WRITER: &str = "support.jwt.signature";

const POWER: &str = "zone-org/state/_/zone-bld/zone-lvl/_/sys-1/driver-1/Display/1/power";

fn power() -> StateTopic<'static, WithRegion<Option<&'static str>>> {
    StateTopic {
        scope: "zone-org",
        zones: WithRegion {
            region: None,
            building: Some("zone-bld"),
            level: Some("zone-lvl"),
            area: None,
        },
        system: "sys-1",
        driver: "driver-1",
        module: "Display",
        index: 1,
        key: "power",
    }
}

/// Follows all of a building, and all metadata.
fn follower(simulator: &Simulator) -> Device {
    let zones = WithRegion {
        building: Level::Is("zone-bld"),
        ..WithRegion::ANY
    };
    let mut memory = [0; 64];
    let building = StateFilter::all(zones).write(&mut memory).unwrap();
    let metadata = TopicFilter::new(MetadataTopic::FILTER).unwrap();
    let subscriptions = [
        Subscription::new(building, QoS::AtMostOnce),
        Subscription::new(metadata, QoS::AtMostOnce),
    ];
    let preset = place_os::options("dashboard", Token::new(READER).unwrap());
    let device = connect(simulator, &preset.subscriptions(&subscriptions));
    subscribed(simulator, MetadataTopic::FILTER);
    device
}

#[test]
fn retained_state_comes_first_and_then_each_change() {
    let simulator = simulator("placeos");
    simulator.command(&format!("state {POWER} true")).unwrap();
    // Until it is published, with its batch.
    std::thread::sleep(Duration::from_millis(150));
    let mut device = follower(&simulator);
    {
        let message = device.message();
        assert!(message.retain());
        let state = read_state::<WithRegion<_>>(&message).unwrap().unwrap();
        assert_eq!(state.topic, power());
        assert_eq!(state.value.unwrap().to(), Ok(true));
        // Seconds: this century.
        assert!(state.value.unwrap().time_ms > 1_600_000_000_000);
    }
    simulator
        .command(&format!("state {POWER} {{\"on\":false}}"))
        .unwrap();
    {
        let message = device.message();
        assert!(!message.retain());
        let state = read_state::<WithRegion<_>>(&message).unwrap().unwrap();
        assert_eq!(state.value.unwrap().json.as_str(), r#"{"on":false}"#);
    }
    simulator.command(&format!("remove {POWER}")).unwrap();
    let message = device.message();
    assert_eq!(
        read_state::<WithRegion<_>>(&message)
            .unwrap()
            .unwrap()
            .value,
        None
    );
}

#[test]
fn malformed_state_leaves_the_link_alone() {
    let simulator = simulator("placeos");
    let mut device = follower(&simulator);
    for bad in ["{\"time\":\"now\",\"value\":1}", "{\"time\":1,", "7"] {
        simulator.command(&format!("raw {POWER} {bad}")).unwrap();
        assert!(
            read_state::<WithRegion<_>>(&device.message()).is_err(),
            "{bad}"
        );
    }
    simulator.command(&format!("state {POWER} 1")).unwrap();
    assert!(
        read_state::<WithRegion<_>>(&device.message())
            .unwrap()
            .is_some()
    );
}

#[test]
fn metadata_comes_under_the_tag_of_the_scope() {
    let simulator = simulator("placeos");
    let mut device = follower(&simulator);
    simulator
        .command("metadata zone-bld {\"name\":\"Head office\"}")
        .unwrap();
    {
        let message = device.message();
        let metadata = read_metadata(&message).unwrap().unwrap();
        assert_eq!(metadata.topic, MetadataTopic::new("zone-bld"));
        assert_eq!(
            metadata.model.unwrap().as_str(),
            r#"{"name":"Head office"}"#
        );
    }
    simulator.command("metadata zone-bld null").unwrap();
    let message = device.message();
    assert_eq!(read_metadata(&message).unwrap().unwrap().model, None);
}

#[test]
fn a_bridge_publishes_what_a_dashboard_reads() {
    let simulator = simulator("placeos");
    let mut dashboard = follower(&simulator);
    let bridge = connect(
        &simulator,
        &place_os::options("bridge", Token::new(WRITER).unwrap()),
    );
    bridge.delivers(&power().value(1_700_000_000, &"on").at_least_once());
    {
        let message = dashboard.message();
        let state = read_state::<WithRegion<_>>(&message).unwrap().unwrap();
        assert_eq!(
            (state.topic, state.value.unwrap().time_ms),
            (power(), 1_700_000_000_000)
        );
    }
    let metadata = MetadataTopic::new("zone-bld");
    bridge.delivers(
        &metadata
            .model(
                1_700_000_000,
                &[("a", 1)]
                    .into_iter()
                    .collect::<std::collections::BTreeMap<_, _>>(),
            )
            .at_least_once(),
    );
    assert!(
        read_metadata(&dashboard.message())
            .unwrap()
            .unwrap()
            .model
            .is_some()
    );
    drop(bridge.publish(&power().removal()));
    assert_eq!(
        read_state::<WithRegion<_>>(&dashboard.message())
            .unwrap()
            .unwrap()
            .value,
        None
    );
}

#[test]
fn who_may_only_read_publishes_into_the_void() {
    let simulator = simulator("placeos");
    let mut dashboard = follower(&simulator);
    let reader = connect(
        &simulator,
        &place_os::options("reader", Token::new(READER).unwrap()),
    );
    reader.delivers(&power().value(1, &true).at_least_once());
    noted(&simulator, &format!("dropped a message to placeos/{POWER}"));
    assert!(dashboard.hears_nothing(Duration::from_millis(100)));
}

#[test]
fn an_unknown_token_ends_the_run() {
    let simulator = simulator("placeos");
    let preset = place_os::options("dashboard", Token::new("expired.jwt.token").unwrap());
    let mut device = Device::start(options(&simulator, &preset));
    assert_eq!(refusal(&device.ends().unwrap_err()), Some(5));
}

#[test]
fn the_websocket_has_its_path_and_no_other() {
    let simulator = simulator("placeos");
    let preset = place_os::options("dashboard", Token::new(READER).unwrap());
    let device = Device::connect(options(&simulator, &preset).websocket().path(PATH));
    drop(device);
    let mut device = Device::start(
        options(&simulator, &preset)
            .websocket()
            .path("/mqtt")
            .fail_fast(true),
    );
    device.ends().unwrap_err();
}
