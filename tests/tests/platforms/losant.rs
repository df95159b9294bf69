//! Losant.

use mqtt_core::platform::{
    Decimal,
    losant::{
        Ago, Date, Device, MAX_PAYLOAD, NmeaSentence, Position, RateLimiter, Report, read_command,
    },
};
use mqtt_core::{Instant, Message};
use mqtt_tests::{device, simulator::Simulator};
use serde::{Deserialize, Serialize};

use super::support::{
    closed, connect, noted, options, reconnected, refusal, simulator, subscribed,
};

const ID: &str = "575ecf887ae143cd83dc4aa2";
const PERIPHERAL: &str = "57615eebc035bd0100cb964a";

#[derive(Serialize)]
struct Reading {
    temperature: Decimal<1>,
}

const READING: Reading = Reading {
    temperature: Decimal::new(725),
};

fn gateway() -> Device<'static> {
    Device::new(ID).unwrap()
}

fn connected(simulator: &Simulator) -> device::Device {
    let gateway = gateway();
    let peripheral = Device::new(PERIPHERAL).unwrap();
    let subscriptions = [
        gateway.command_subscription(),
        peripheral.command_subscription(),
    ];
    let preset = gateway.options("my-access-key", "my-access-secret");
    let device = connect(simulator, &preset.subscriptions(&subscriptions));
    subscribed(simulator, &format!("losant/{PERIPHERAL}/command"));
    device
}

#[test]
fn reports_of_every_form_are_recorded() {
    #[derive(Serialize)]
    struct Where<P> {
        gps: P,
    }
    let simulator = simulator("losant");
    let device = connected(&simulator);
    let id = gateway();
    device.delivers(&id.state(&READING).at_least_once());
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
    device.delivers(
        &id.state(&READING)
            .at(Ago(60_000))
            .flow_version("v2")
            .at_least_once(),
    );
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
    let reports = [
        Report::new(READING).at(Ago(2_000)),
        Report::new(READING).at(Ago(1_000)),
    ];
    device.delivers(&id.states(&reports).at_least_once());
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
    let position = Position::from_e7(373_323_314, -1_220_312_186).unwrap();
    device.delivers(&id.state(&Where { gps: position }).at_least_once());
    noted(
        &simulator,
        &format!("state of {ID}: {{\"gps\":\"37.3323314,-122.0312186\"}}"),
    );
    device.delivers(
        &id.state(&Where {
            gps: position.sexagesimal(),
        })
        .at_least_once(),
    );
    noted(
        &simulator,
        &format!("state of {ID}: {{\"gps\":\"37°19'56.39\\\"N,122°1'52.38\\\"W\"}}"),
    );
    let sentence = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47";
    let gps = NmeaSentence::new(sentence).unwrap();
    device.delivers(&id.state(&Where { gps }).at_least_once());
    noted(
        &simulator,
        &format!("state of {ID}: {{\"gps\":\"{sentence}\"}}"),
    );
}

#[test]
fn a_gateway_speaks_for_its_peripheral() {
    let simulator = simulator("losant");
    let mut device = connected(&simulator);
    let peripheral = Device::new(PERIPHERAL).unwrap();
    device.delivers(&peripheral.state(&READING).at_least_once());
    noted(
        &simulator,
        &format!("state of {PERIPHERAL}: {{\"temperature\":72.5}}"),
    );
    simulator
        .command(&format!("command {PERIPHERAL} {{\"name\":\"start\"}}"))
        .unwrap();
    let message = device.message();
    let (id, command) = read_command(&message).unwrap().unwrap();
    assert_eq!(id, PERIPHERAL);
    assert!(command.name == "start");
    assert!(gateway().command(&message).unwrap().is_none());
    assert!(peripheral.command(&message).unwrap().is_some());
}

#[test]
fn commands_arrive_with_their_payload_and_malformed_ones_leave_the_link_alone() {
    #[derive(Deserialize)]
    struct Set {
        temperature: i16,
    }
    let simulator = simulator("losant");
    let mut device = connected(&simulator);
    let id = gateway();
    simulator
        .command(&format!("command {ID} {{\"payload\":["))
        .unwrap();
    assert!(id.command(&device.message()).is_err());
    simulator.command(&format!("command {ID}")).unwrap();
    assert!(id.command(&device.message()).is_err());
    simulator
        .command(&format!(
            "command {ID} {{\"name\":\"set\",\"payload\":{{\"temperature\":-5}},\"x\":1}}"
        ))
        .unwrap();
    {
        let message = device.message();
        let command = id.command(&message).unwrap().unwrap();
        assert!(command.name == "set");
        assert_eq!(command.payload::<Set>().unwrap().temperature, -5);
    }
    simulator
        .command(&format!(
            "command {ID} {{\"name\":\"at\",\"payload\":{{\"$date\":1478288526710}}}}"
        ))
        .unwrap();
    let message = device.message();
    let command = id.command(&message).unwrap().unwrap();
    let date = command.raw_payload().and_then(Date::from_json);
    assert_eq!(date, Some(Date(1_478_288_526_710)));
}

#[test]
fn what_the_helper_cannot_say_ends_the_link() {
    let simulator = simulator("losant");
    let device = connected(&simulator);
    let topic = format!("losant/{ID}/state");
    let _ = device.publish(&Message::new(&topic, b"{}").retain());
    closed(&simulator, "retain or QoS 2");
    reconnected(&simulator, &device);
    let mut foreign = device.publish(&Message::new(
        "losant/000000000000000000000000/state",
        b"{}",
    ));
    closed(&simulator, "topic not allowed");
    let _ = device.wait(foreign.acknowledged());
}

#[test]
fn what_is_too_large_is_refused_before_a_byte_is_sent() {
    #[derive(Serialize)]
    struct Large {
        list: Vec<u8>,
    }
    let simulator = simulator("losant");
    let id = gateway();
    let preset = id.options("my-access-key", "my-access-secret");
    let device = device::Device::connect(options(&simulator, &preset).tx_buffer(1 << 20));
    let large = Large {
        list: vec![7; MAX_PAYLOAD / 2],
    };
    assert!(
        device
            .wait(device.client.publish(&id.state(&large)))
            .is_err()
    );
    device.delivers(&id.state(&READING).at_least_once());
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
}

#[test]
fn who_keeps_the_rates_is_not_banned_and_who_does_not_is() {
    let simulator = simulator("losant");
    simulator.command("ban 300").unwrap();
    let device = connected(&simulator);
    let id = gateway();
    let mut limiter = RateLimiter::<1>::new();
    let now = Instant::from_millis(0);
    let mut sent = 0;
    while limiter.admit(ID, now).is_ok() {
        device.delivers(&id.state(&READING).at_least_once());
        sent += 1;
    }
    assert_eq!(sent, 30);
    // One more than the limiter admits.
    let mut delivery = device.publish(&id.state(&READING));
    noted(&simulator, &format!("banned {ID} for 300 ms"));
    closed(&simulator, "too many messages");
    let _ = device.wait(delivery.acknowledged());
    closed(&simulator, "not let in");
    reconnected(&simulator, &device);
}

#[test]
fn a_wrong_key_ends_the_run() {
    let simulator = simulator("losant");
    let id = gateway();
    let mut device =
        device::Device::start(options(&simulator, &id.options("my-access-key", "wrong")));
    assert_eq!(refusal(&device.ends().unwrap_err()), Some(5));
}

#[test]
fn it_works_in_a_websocket_too() {
    let simulator = simulator("losant");
    let id = gateway();
    let subscriptions = [id.command_subscription()];
    let preset = id
        .options("my-access-key", "my-access-secret")
        .subscriptions(&subscriptions);
    let mut device = device::Device::connect(options(&simulator, &preset).websocket().path("/"));
    subscribed(&simulator, &format!("losant/{ID}/command"));
    device.delivers(&id.state(&READING).at_least_once());
    simulator
        .command(&format!("command {ID} {{\"name\":\"go\"}}"))
        .unwrap();
    assert!(id.command(&device.message()).unwrap().unwrap().name == "go");
}

#[test]
fn what_was_not_acknowledged_is_sent_again_after_the_link_was_lost() {
    let simulator = simulator("losant");
    let device = connected(&simulator);
    simulator.command("close-after-received 1").unwrap();
    let mut delivery = device.publish(&gateway().state(&READING).at_least_once());
    closed(&simulator, "closed by order");
    device.wait(delivery.acknowledged()).unwrap();
    noted(
        &simulator,
        &format!("state of {ID}: {{\"temperature\":72.5}}"),
    );
}
