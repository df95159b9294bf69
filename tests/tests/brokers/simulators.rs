//! The clients of mosquitto as counterparts of the simulators: others than our codec agree with what they speak.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_tests::simulator::{Event, LIMIT, Simulator};

const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];

/// Somebody whom a simulator may know.
struct User<'s> {
    simulator: &'s Simulator,
    /// Empty: one that the program makes up.
    client_id: &'s str,
    name: &'s str,
    password: &'s str,
    version: &'s str,
    qos: &'s str,
}

impl<'s> User<'s> {
    /// Who speaks 3.1.1 and is known by user name and any password.
    fn new(simulator: &'s Simulator, name: &'s str) -> Self {
        Self {
            simulator,
            client_id: "",
            name,
            password: "any",
            version: VERSIONS[0],
            qos: "1",
        }
    }

    fn version(self, version: &'s str) -> Self {
        Self { version, ..self }
    }

    fn qos(self, qos: &'s str) -> Self {
        Self { qos, ..self }
    }

    fn known_as(self, client_id: &'s str, password: &'s str) -> Self {
        Self {
            client_id,
            password,
            ..self
        }
    }
}

impl User<'_> {
    /// Whether a filter is granted.
    fn may_subscribe(&self, filter: &str) -> bool {
        let subscribed = Program::start(self.command("mosquitto_sub").args(["-E", "-t", filter]));
        let (_, complaints) = subscribed.ends();
        !complaints.contains("All subscription requests were denied")
    }

    /// Begins to wait for one message; it is printed with its topic.
    fn receives(&self, filter: &str) -> Program {
        let mut command = self.command("mosquitto_sub");
        Program::start(command.args(["-v", "-C", "1", "-t", filter]))
    }

    /// Publishes; how the program ends, and what it complains of.
    fn publishes(&self, topic: &str, payload: &str, options: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command("mosquitto_pub");
        command.args(["-t", topic, "-m", payload]).args(options);
        let mut published = Program::start(&mut command);
        let code = published.exit_code();
        (code, published.ends().1)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let address = self.simulator.address();
        command
            .args(["-h", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-V", self.version, "-q", self.qos])
            .args(["-u", self.name, "-P", self.password]);
        if !self.client_id.is_empty() {
            command.args(["-i", self.client_id]);
        }
        command
    }
}

/// A program that ends by itself, or is killed when it is dropped.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self(command.spawn().expect("mosquitto's clients are installed"))
    }

    /// What it printed, and what it complained of.
    fn ends(mut self) -> (String, String) {
        self.exit_code();
        let (mut output, mut complaints) = (String::new(), String::new());
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut complaints).unwrap();
        (output, complaints)
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(platform: &str) -> Simulator {
    Simulator::start(platform, "127.0.0.1:0").unwrap()
}

fn notes(simulator: &Simulator, text: &str) {
    let found = simulator.wait_for(|event| matches!(event, Event::Note(said) if said == text));
    found.unwrap_or_else(|events| panic!("no {text}, but {events:#?}"));
}

fn is_granted(simulator: &Simulator, of: &str) {
    let found = simulator.wait_for(
        |event| matches!(event, Event::Subscribed { filter, code } if filter == of && *code < 0x80),
    );
    found.unwrap_or_else(|events| panic!("{of} is not granted: {events:#?}"));
}

#[test]
fn thingsboard_grants_its_filters_letter_by_letter() {
    let simulator = start("thingsboard");
    for version in VERSIONS {
        let device = User::new(&simulator, "A1_TEST_TOKEN").version(version);
        for granted in [
            "v1/devices/me/attributes",
            "v1/devices/me/rpc/request/+",
            "v2/fw/response/+/chunk/+",
        ] {
            assert!(device.may_subscribe(granted), "{version} {granted}");
        }
        for refused in [
            "#",
            "v1/devices/me/#",
            "v1/devices/me/rpc/request/#",
            "v1/devices/me/rpc/request/1",
            "v2/fw/response/+",
        ] {
            assert!(!device.may_subscribe(refused), "{version} {refused}");
        }
    }
}

#[test]
fn thingsboard_takes_telemetry_and_sends_calls() {
    let simulator = start("thingsboard");
    for version in VERSIONS {
        let device = User::new(&simulator, "A1_TEST_TOKEN").version(version);
        let telemetry = |payload| device.publishes("v1/devices/me/telemetry", payload, &[]);
        assert_eq!(telemetry(r#"{"a":1}"#).0, Some(0));
        notes(&simulator, r#"telemetry of thermometer: {"a":1}"#);
        let refused = telemetry("{").1;
        let says = match version {
            "mqttv5" => "Payload format invalid",
            _ => "The connection was lost",
        };
        assert!(refused.contains(says), "{refused}");

        let receiving = device.receives("v1/devices/me/rpc/request/+");
        is_granted(&simulator, "v1/devices/me/rpc/request/+");
        let call = r#"rpc-oneway thermometer blink {"times":3}"#;
        let id = simulator.command(call).unwrap();
        let call = r#"{"method":"blink","params":{"times":3}}"#;
        let expected = format!("v1/devices/me/rpc/request/{id} {call}\n");
        assert_eq!(receiving.ends().0, expected);
    }
    let stranger = User::new(&simulator, "nobody");
    let (code, _) = stranger.publishes("v1/devices/me/telemetry", "{}", &[]);
    assert_eq!(code, Some(5));
}

#[test]
fn place_os_grants_what_is_below_its_root() {
    let simulator = start("placeos");
    for version in VERSIONS {
        let reader = User::new(&simulator, "reader.key").version(version);
        for granted in ["placeos/#", "placeos/+/state/#", "placeos/a"] {
            assert!(reader.may_subscribe(granted), "{version} {granted}");
        }
        for refused in ["#", "+/a", "other/#", "placeos"] {
            assert!(!reader.may_subscribe(refused), "{version} {refused}");
        }
    }
}

#[test]
fn place_os_retains_what_a_writer_publishes_and_drops_the_rest() {
    let simulator = start("placeos");
    for version in VERSIONS {
        let user = |name| User::new(&simulator, name).version(version);
        let (reader, writer) = (user("reader.key"), user("support.jwt.signature"));
        let state = r#"{"time":1,"value":true}"#;
        let retained = writer.publishes("placeos/a", state, &["-r"]);
        assert_eq!(retained, (Some(0), String::new()));
        let (_, complaints) = reader.publishes("placeos/a", "forged", &["-r"]);
        notes(&simulator, "dropped a message to placeos/a");
        // Only MQTT 5 can tell.
        assert_eq!(complaints.contains("Not authorized"), version == "mqttv5");
        let (received, _) = reader.receives("placeos/+").ends();
        assert_eq!(received, format!("placeos/a {state}\n"));
    }
    let stranger = User::new(&simulator, "guessed");
    assert_eq!(stranger.publishes("placeos/a", "", &["-r"]).0, Some(5));
}

#[test]
fn thingsboard_sends_changed_attributes() {
    let simulator = start("thingsboard");
    for version in VERSIONS {
        let device = User::new(&simulator, "A1_TEST_TOKEN").version(version);
        let receiving = device.receives("v1/devices/me/attributes");
        is_granted(&simulator, "v1/devices/me/attributes");
        simulator
            .command(r#"shared thermometer {"limit":3}"#)
            .unwrap();
        let expected = "v1/devices/me/attributes {\"limit\":3}\n";
        assert_eq!(receiving.ends().0, expected, "{version}");
    }
}

#[test]
fn losant_takes_a_state_and_gives_a_command() {
    const ID: &str = "575ecf887ae143cd83dc4aa2";
    let simulator = start("losant");
    let user = |name| User::new(&simulator, name).known_as(ID, "my-access-secret");
    let device = user("my-access-key");
    let state = device.publishes(&format!("losant/{ID}/state"), r#"{"data":{"t":1}}"#, &[]);
    assert_eq!(state, (Some(0), String::new()));
    let topic = format!("losant/{ID}/command");
    assert!(!device.may_subscribe(&topic), "at QoS 1");
    let receiving = device.qos("0").receives(&topic);
    is_granted(&simulator, &topic);
    simulator
        .command(&format!(r#"command {ID} {{"name":"go"}}"#))
        .unwrap();
    assert_eq!(receiving.ends().0, format!("{topic} {{\"name\":\"go\"}}\n"));

    let (_, complaints) = user("another-key").publishes("a", "b", &[]);
    assert!(complaints.contains("not authorised"), "{complaints}");
}

#[test]
fn watson_iot_passes_an_event_on() {
    let simulator = start("watson-iot");
    let application = User::new(&simulator, "a-orgid1-key");
    let application = application.known_as("a:orgid1:panel", "application-token");
    let device = User::new(&simulator, "use-token-auth");
    let device = device
        .known_as("d:orgid1:thermometer:t-1", "device-token")
        .qos("2");
    let filter = "iot-2/type/+/id/+/evt/+/fmt/+";
    let receiving = application.receives(filter);
    is_granted(&simulator, filter);
    let event = device.publishes("iot-2/evt/status/fmt/json", "{}", &[]);
    assert_eq!(event, (Some(0), String::new()));
    let expected = "iot-2/type/thermometer/id/t-1/evt/status/fmt/json {}\n";
    assert_eq!(receiving.ends().0, expected);
}
