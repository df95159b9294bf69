//! The official SDKs as counterparts of our simulators: what satisfies them is near to what the servers do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mqtt_tests::hex;
use mqtt_tests::recorder::PATIENCE;
use mqtt_tests::simulator::{Event, Simulator};
use serde_json::{Value, json};

use crate::sdk::python;

/// An SDK that speaks to a simulator.
struct Script {
    simulator: Simulator,
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
}

impl Script {
    fn start(platform: &str) -> Self {
        let simulator = Simulator::start(platform, "127.0.0.1:0").expect("a free port");
        let script = format!("sdks/{}.py", platform.replace('-', "_"));
        let mut child = Command::new(python(platform))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .args(["127.0.0.1", &simulator.address().port().to_string()])
            .arg("--no-barrier")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the interpreter starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            let values = output.lines().map_while(Result::ok);
            let values = values.filter_map(|line| serde_json::from_str(&line).ok());
            // Fails when nobody listens any more.
            let _ = values.map(|value| sender.send(value)).find(Result::is_err);
        });
        Self {
            simulator,
            input: child.stdin.take().expect("its input"),
            child,
            lines,
        }
    }

    fn does(&mut self, action: &Value) {
        writeln!(self.input, "{action}").expect("the interpreter runs");
    }

    /// Waits until a callback was called with that.
    fn hears(&self, name: &str, value: &Value) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("it is heard");
            if line["delivered"] == name && line["value"] == *value {
                return;
            }
        }
    }

    fn notes(&self, text: &str) {
        let is_it = |event: &Event| matches!(event, Event::Note(note) if note == text);
        let found = self.simulator.wait_for(is_it);
        found.unwrap_or_else(|events| panic!("{text}, but {events:?}"));
    }

    fn orders(&self, order: &str) {
        self.simulator.command(order).expect(order);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn losant_reports_and_obeys() {
    let mut sdk = Script::start("losant");
    let id = "575ecf887ae143cd83dc4aa2";
    sdk.does(&json!(["connect", id, "my-access-key", "my-access-secret"]));
    sdk.orders(&format!("wait subscribe losant/{id}/command"));
    sdk.does(&json!(["state", {"temperature": 72.5}]));
    sdk.notes(&format!("state of {id}: {{\"temperature\":72.5}}"));
    sdk.orders(&format!(
        "command {id} {{\"name\":\"go\",\"payload\":{{\"a\":1}}}}"
    ));
    sdk.hears("command", &json!({"name": "go", "payload": {"a": 1}}));
}

#[test]
fn thingsboard_is_called_and_updated() {
    let mut sdk = Script::start("thingsboard");
    sdk.orders("reply getTime {\"time\":5}");
    sdk.orders("limit 1000:1");
    sdk.does(&json!(["connect", "device", "A1_TEST_TOKEN"]));
    sdk.orders("wait subscribe v1/devices/me/rpc/response/+");
    sdk.does(&json!(["telemetry", {"t": 1}]));
    sdk.notes("telemetry of thermometer: [{\"t\":1}]");
    sdk.does(&json!(["rpc", "getTime", {}]));
    sdk.hears("rpc_response", &json!({"id": 2, "value": {"time": 5}}));
    sdk.orders("rpc thermometer setGpio {\"pin\":1}");
    sdk.hears(
        "rpc",
        &json!({"id": 0, "method": "setGpio", "params": {"pin": 1}}),
    );
    sdk.does(&json!(["rpc_reply", 0, {"ok": true}]));
    sdk.notes("reply of thermometer to 0: {\"ok\":true}");
    sdk.orders("fw thermometer my-fw 2.0 300 SHA256");
    let image: Vec<u8> = (0..300_u16)
        .map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1])
        .collect();
    let image = hex::encode(&image);
    sdk.hears("firmware", &json!({"version": "2.0", "image": image}));
}

#[test]
fn watson_iot_is_managed_and_updated() {
    let mut sdk = Script::start("watson-iot");
    sdk.does(&json!([
        "connect_managed",
        "orgid1",
        "thermometer",
        "t-1",
        "device-token"
    ]));
    sdk.notes("mgmt/manage of thermometer/t-1: 200");
    sdk.orders("command thermometer t-1 dim json {\"x\":1}");
    sdk.hears(
        "command",
        &json!({"name": "dim", "format": "json", "data": {"x": 1}}),
    );
    sdk.orders("reboot thermometer t-1");
    sdk.hears("device_action", &json!("reboot"));
    sdk.orders("firmware thermometer t-1 http://127.0.0.1/image 2.0");
    let firmware =
        |action| json!({"action": action, "version": "2.0", "uri": "http://127.0.0.1/image"});
    sdk.hears("firmware", &firmware("download"));
    sdk.does(&json!(["state", 1]));
    sdk.notes("firmware state of thermometer/t-1: 1");
    sdk.does(&json!(["state", 2]));
    sdk.notes("firmware state of thermometer/t-1: 2");
    sdk.hears("firmware", &firmware("update"));
    sdk.does(&json!(["update_status", 0]));
    sdk.notes("firmware state of thermometer/t-1: 0");
}
