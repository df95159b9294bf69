//! The clients of mosquitto as counterparts of the simulators: others than our codec agree with what they speak.

use std::process::{Command, Output, Stdio};

use mqtt_tests::simulator::{Event, Simulator};

fn start(platform: &str) -> Simulator {
    Simulator::start(platform, "127.0.0.1:0").expect("a free port")
}

fn mosquitto(program: &str, simulator: &Simulator, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-h", "127.0.0.1", "-p"])
        .arg(simulator.address().port().to_string())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn publish(simulator: &Simulator, arguments: &[&str]) -> Output {
    let output = mosquitto("mosquitto_pub", simulator, arguments).output();
    output.expect("mosquitto_pub is installed")
}

/// Runs until one message has come, and gives what was printed.
fn subscribe(simulator: &Simulator, arguments: &[&str], then: impl FnOnce()) -> String {
    let child = mosquitto("mosquitto_sub", simulator, arguments)
        .args(["-C", "1", "-W", "10", "-v"])
        .spawn()
        .expect("mosquitto_sub is installed");
    let is_it = |event: &Event| matches!(event, Event::Subscribed { .. });
    simulator.wait_for(is_it).expect("a subscription");
    then();
    let output = child.wait_with_output().expect("its output");
    String::from_utf8(output.stdout).expect("text")
}

const LOSANT: [&str; 6] = [
    "-i",
    "575ecf887ae143cd83dc4aa2",
    "-u",
    "my-access-key",
    "-P",
    "my-access-secret",
];

#[test]
fn losant_takes_a_state_and_gives_a_command() {
    let simulator = start("losant");
    let state = [
        "-t",
        "losant/575ecf887ae143cd83dc4aa2/state",
        "-m",
        "{\"data\":{\"t\":1}}",
        "-q",
        "1",
    ];
    assert!(
        publish(&simulator, &[&LOSANT[..], &state].concat())
            .status
            .success()
    );
    let topic = "losant/575ecf887ae143cd83dc4aa2/command";
    let printed = subscribe(&simulator, &[&LOSANT[..], &["-t", topic]].concat(), || {
        simulator
            .command("command 575ecf887ae143cd83dc4aa2 {\"name\":\"go\"}")
            .expect("a subscriber");
    });
    assert_eq!(printed, format!("{topic} {{\"name\":\"go\"}}\n"));
}

#[test]
fn losant_refuses_a_wrong_key() {
    let simulator = start("losant");
    let arguments = ["-i", LOSANT[1], "-u", "x", "-P", "y", "-t", "a", "-m", "b"];
    let output = publish(&simulator, &arguments);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not authorised"));
}

#[test]
fn thingsboard_speaks_both_versions() {
    for version in ["mqttv311", "mqttv5"] {
        let simulator = start("thingsboard");
        let who = ["-u", "A1_TEST_TOKEN", "-V", version, "-q", "1"];
        let telemetry = ["-t", "v1/devices/me/telemetry", "-m", "{\"t\":1}"];
        assert!(
            publish(&simulator, &[&who[..], &telemetry].concat())
                .status
                .success(),
            "{version}"
        );
        let topic = "v1/devices/me/attributes";
        let printed = subscribe(&simulator, &[&who[..], &["-t", topic]].concat(), || {
            simulator
                .command("shared thermometer {\"limit\":3}")
                .expect("a device");
        });
        assert_eq!(printed, format!("{topic} {{\"limit\":3}}\n"), "{version}");
    }
}

#[test]
fn watson_iot_passes_an_event_on() {
    let simulator = start("watson-iot");
    let application = [
        "-i",
        "a:orgid1:panel",
        "-u",
        "a-orgid1-key",
        "-P",
        "application-token",
    ];
    let filter = ["-t", "iot-2/type/+/id/+/evt/+/fmt/+", "-q", "2"];
    let printed = subscribe(&simulator, &[&application[..], &filter].concat(), || {
        let device = [
            "-i",
            "d:orgid1:thermometer:t-1",
            "-u",
            "use-token-auth",
            "-P",
            "device-token",
        ];
        let event = ["-t", "iot-2/evt/status/fmt/json", "-m", "{}", "-q", "2"];
        assert!(
            publish(&simulator, &[&device[..], &event].concat())
                .status
                .success()
        );
    });
    assert_eq!(
        printed,
        "iot-2/type/thermometer/id/t-1/evt/status/fmt/json {}\n"
    );
}

#[test]
fn placeos_gives_what_is_retained() {
    let simulator = start("placeos");
    let bridge = ["-u", "support.jwt.signature", "-P", "x", "-r", "-q", "1"];
    let state = [
        "-t",
        "placeos/o/state/_/b/l/a/s/d/M/1/k",
        "-m",
        "{\"time\":1,\"value\":2}",
    ];
    assert!(
        publish(&simulator, &[&bridge[..], &state].concat())
            .status
            .success()
    );
    let reader = ["-u", "reader.key", "-P", "x", "-t", "placeos/#"];
    let printed = subscribe(&simulator, &reader, || {});
    assert_eq!(
        printed,
        "placeos/o/state/_/b/l/a/s/d/M/1/k {\"time\":1,\"value\":2}\n"
    );
}
