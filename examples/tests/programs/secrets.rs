//! Secrets come by the environment, where other users of the machine cannot read them, and are not shown.

use std::net::TcpListener;
use std::process::{Command, Output};

const SECRET: &str = "sesame";

/// Each program, its arguments up to `--help`, and the variables that may hold a secret.
const PROGRAMS: [(&str, &[&str], &[&str]); 11] = [
    (env!("CARGO_BIN_EXE_publish"), &[], &["MQTT_URL"]),
    (env!("CARGO_BIN_EXE_subscribe"), &[], &["MQTT_URL"]),
    (env!("CARGO_BIN_EXE_blocking"), &[], &["MQTT_URL"]),
    (env!("CARGO_BIN_EXE_host-monitor"), &[], &["MQTT_URL"]),
    (env!("CARGO_BIN_EXE_request-response"), &[], &["MQTT_URL"]),
    (
        env!("CARGO_BIN_EXE_tls-client-certificate"),
        &[],
        &["MQTT_URL"],
    ),
    (
        env!("CARGO_BIN_EXE_losant-host-monitor"),
        &[],
        &["LOSANT_ACCESS_KEY", "LOSANT_ACCESS_SECRET"],
    ),
    (
        env!("CARGO_BIN_EXE_place-os-dashboard"),
        &[],
        &["PLACEOS_URL", "PLACEOS_TOKEN"],
    ),
    (
        env!("CARGO_BIN_EXE_thingsboard-device"),
        &[],
        &[
            "THINGSBOARD_URL",
            "THINGSBOARD_TOKEN",
            "THINGSBOARD_PASSWORD",
        ],
    ),
    (
        env!("CARGO_BIN_EXE_thingsboard-device"),
        &["provision"],
        &["THINGSBOARD_PROVISION_KEY", "THINGSBOARD_PROVISION_SECRET"],
    ),
    (
        env!("CARGO_BIN_EXE_watson-iot-device"),
        &[],
        &["WATSON_TOKEN"],
    ),
];

/// All that a program has written.
fn shown(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn help_names_the_variables_of_secrets_and_not_what_is_in_them() {
    for (program, arguments, variables) in PROGRAMS {
        let mut command = Command::new(program);
        command.args(arguments).arg("--help");
        let output = command
            .envs(variables.iter().map(|name| (name, SECRET)))
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{program}");
        let help = shown(&output);
        assert!(!help.contains(SECRET), "{help}");
        for name in variables {
            assert!(help.contains(&format!("[env: {name}]")), "{name}: {help}");
        }
    }
}

#[test]
fn the_password_of_a_broker_in_the_environment_is_used_and_not_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let output = Command::new(env!("CARGO_BIN_EXE_publish"))
        .args(["-t", "topic", "-m", "message"])
        .env("MQTT_URL", format!("mqtt://sesame:sesame@{address}"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let shown = shown(&output);
    assert!(shown.contains(&address.to_string()), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
}
