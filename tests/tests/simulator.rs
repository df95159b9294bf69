//! The simulators are as strict as the servers, and the program does what its script says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mqtt_core::codec::{
    Ack, Connect, FixedHeader, Packet, PacketIdentifier, Publish, QoS, Subscribe, Subscription,
    TopicFilter, TopicName, Version, Will,
};
use mqtt_tests::simulator::{Event, Simulator};

/// A client that says what it is told, and nothing else.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    version: Version,
}

impl Client {
    fn new(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        Self {
            stream,
            received: Vec::new(),
            version,
        }
    }

    fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = vec![0; 512 * 1024];
        let len = packet.encode(self.version, &mut bytes).unwrap();
        // The simulator may have closed already; that is seen by what it answers.
        let _ = self.stream.write_all(&bytes[..len]);
    }

    /// The next packet, as bytes; nothing when the link is closed.
    fn answer(&mut self) -> Vec<u8> {
        loop {
            if let Ok(Some((header, len))) = FixedHeader::decode(&self.received, self.version) {
                let end = len + header.remaining_length as usize;
                if self.received.len() >= end {
                    return self.received.drain(..end).collect();
                }
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(len) if len > 0 => self.received.extend_from_slice(&chunk[..len]),
                Ok(_) => return Vec::new(),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Vec::new();
                }
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    fn connect(&mut self, connect: Connect<'_>) -> Vec<u8> {
        self.send(&Packet::Connect(connect));
        self.answer()
    }

    fn subscribe(&mut self, filter: &str, qos: QoS) -> Vec<u8> {
        let subscriptions = [Subscription::new(TopicFilter::new(filter).unwrap(), qos)];
        let identifier = PacketIdentifier::new(1).unwrap();
        self.send(&Packet::Subscribe(Subscribe::new(
            identifier,
            &subscriptions,
        )));
        self.answer()
    }

    fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let mut publish = Publish::new(TopicName::new(topic).unwrap(), payload);
        publish.qos = qos;
        publish.retain = retain;
        publish.packet_identifier =
            (qos != QoS::AtMostOnce).then(|| PacketIdentifier::new(7).unwrap());
        self.send(&Packet::Publish(publish));
    }
}

const CLOSED: [u8; 0] = [];
const PUBACK: [u8; 4] = [0x40, 2, 0, 7];

fn start(platform: &str) -> Simulator {
    Simulator::start(platform, "127.0.0.1:0").unwrap()
}

fn with(client_id: &'static str, user: &'static str, password: &'static [u8]) -> Connect<'static> {
    let mut connect = Connect::new(client_id);
    connect.user_name = Some(user);
    connect.password = Some(password);
    connect
}

fn losant() -> Connect<'static> {
    with(
        "575ecf887ae143cd83dc4aa2",
        "my-access-key",
        b"my-access-secret",
    )
}

fn thingsboard() -> Connect<'static> {
    with("", "A1_TEST_TOKEN", b"")
}

#[test]
fn losant_keeps_no_session_and_retains_nothing() {
    let simulator = start("losant");
    let connect = |connect| Client::new(simulator.address(), Version::V3_1_1).connect(connect);
    assert_eq!(connect(losant()), [0x20, 2, 0, 0]);
    let mut lasting = losant();
    lasting.clean_session = false;
    assert_eq!(connect(lasting), CLOSED);
    let mut retained = losant();
    let mut will = Will::new(TopicName::new("status").unwrap(), b"");
    will.retain = true;
    retained.will = Some(will);
    assert_eq!(connect(retained), CLOSED);
    let mut unknown = losant();
    unknown.client_id = "000000000000000000000000";
    assert_eq!(connect(unknown), [0x20, 2, 0, 5]);
    let mut client = Client::new(simulator.address(), Version::V5);
    assert_eq!(client.connect(losant())[3], 0x84);
}

#[test]
fn losant_takes_own_topics_at_low_qos() {
    let simulator = start("losant");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    client.connect(losant());
    let own = "losant/575ecf887ae143cd83dc4aa2/command";
    assert_eq!(client.subscribe(own, QoS::AtMostOnce), [0x90, 3, 0, 1, 0]);
    assert_eq!(
        client.subscribe(own, QoS::AtLeastOnce),
        [0x90, 3, 0, 1, 0x80]
    );
    for foreign in [
        "losant/000000000000000000000000/command",
        "losant/+/command",
        "losant/#",
        "#",
        "+/x",
    ] {
        assert_eq!(
            client.subscribe(foreign, QoS::AtMostOnce),
            [0x90, 3, 0, 1, 0x80],
            "{foreign}"
        );
    }
    assert_eq!(
        client.subscribe("room/#", QoS::AtMostOnce),
        [0x90, 3, 0, 1, 0]
    );
    client.publish(
        "losant/575ecf887ae143cd83dc4aa2/state",
        b"not JSON",
        QoS::AtLeastOnce,
        false,
    );
    assert_eq!(client.answer(), PUBACK);
    client.publish("room/1", b"", QoS::ExactlyOnce, false);
    assert_eq!(client.answer(), CLOSED);
}

#[test]
fn losant_closes_at_a_payload_that_is_too_large() {
    let simulator = start("losant");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    client.connect(losant());
    client.publish("room/1", &vec![b'x'; 262_144], QoS::AtLeastOnce, false);
    assert_eq!(client.answer(), PUBACK);
    client.publish("room/1", &vec![b'x'; 262_145], QoS::AtLeastOnce, false);
    assert_eq!(client.answer(), CLOSED);
}

#[test]
fn thingsboard_lies_about_sessions_and_takes_qos_2_for_1() {
    let simulator = start("thingsboard");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    let mut lasting = thingsboard();
    lasting.client_id = "any";
    lasting.clean_session = false;
    assert_eq!(client.connect(lasting), [0x20, 2, 1, 0]);
    assert_eq!(
        client.subscribe("v1/devices/me/attributes", QoS::ExactlyOnce),
        [0x90, 3, 0, 1, 1]
    );
    client.publish("v1/devices/me/telemetry", b"{}", QoS::ExactlyOnce, false);
    assert_eq!(client.answer(), PUBACK);
    client.publish("no/such/topic", b"{}", QoS::AtLeastOnce, false);
    assert_eq!(client.answer(), PUBACK);
}

#[test]
fn thingsboard_closes_at_what_it_cannot_read() {
    let simulator = start("thingsboard");
    let closes = |topic: &str, payload: &[u8]| {
        let mut client = Client::new(simulator.address(), Version::V3_1_1);
        client.connect(thingsboard());
        client.publish(topic, payload, QoS::AtLeastOnce, false);
        assert_eq!(client.answer(), CLOSED, "{topic}");
    };
    closes("v1/devices/me/telemetry", b"");
    closes("v1/devices/me/telemetry", b"[1]");
    closes("v1/devices/me/attributes", b"[]");
    closes("v1/devices/me/attributes/request/1", b"");
    closes(
        "v1/devices/me/attributes/request/1",
        b"{\"clientKeys\":null}",
    );
    closes("v1/devices/me/rpc/request/1", b"{}");
    closes("v2/fw/request/1/chunk/0", b"many");
    closes("v1/devices/me/telemetry", &vec![b' '; 65_536]);
    // On MQTT 5 it says so instead.
    let mut client = Client::new(simulator.address(), Version::V5);
    client.connect(thingsboard());
    client.publish("v1/devices/me/telemetry", b"{", QoS::AtLeastOnce, false);
    assert_eq!(client.answer()[4], 0x99);
    assert_eq!(
        client.subscribe("v1/devices/me/#", QoS::AtMostOnce)[5],
        0x8f
    );
}

#[test]
fn thingsboard_refuses_a_package_that_is_not_there() {
    let simulator = start("thingsboard");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    client.connect(thingsboard());
    client.publish("v2/fw/request/1/chunk/0", b"100", QoS::AtLeastOnce, false);
    let answer = client.answer();
    assert!(answer.ends_with(b"NOT_FOUND"));
    // The request itself is not acknowledged.
    assert_eq!(client.answer(), CLOSED);
}

#[test]
fn thingsboard_has_one_link_for_a_device() {
    let simulator = start("thingsboard");
    let mut first = Client::new(simulator.address(), Version::V3_1_1);
    first.connect(thingsboard());
    let mut second = Client::new(simulator.address(), Version::V3_1_1);
    assert_eq!(second.connect(thingsboard()), [0x20, 2, 0, 0]);
    assert_eq!(first.answer(), CLOSED);
}

#[test]
fn thingsboard_refuses_with_its_codes() {
    let simulator = start("thingsboard");
    let code = |version, connect| {
        let answer = Client::new(simulator.address(), version).connect(connect);
        answer[3]
    };
    let unknown = with("", "nobody", b"");
    assert_eq!(code(Version::V3_1_1, unknown), 5);
    assert_eq!(code(Version::V5, unknown), 0x86);
    assert_eq!(code(Version::V3_1_1, Connect::new("somebody")), 2);
    assert_eq!(code(Version::V5, Connect::new("somebody")), 0x85);
    assert_eq!(code(Version::V3_1_1, Connect::new("")), 5);
}

#[test]
fn watson_iot_closes_at_what_is_not_allowed() {
    let simulator = start("watson-iot");
    let device = || {
        with(
            "d:orgid1:thermometer:t-1",
            "use-token-auth",
            b"device-token",
        )
    };
    let closes = |topic: &str, payload: &[u8]| {
        let mut client = Client::new(simulator.address(), Version::V3_1_1);
        client.connect(device());
        client.publish(topic, payload, QoS::AtLeastOnce, false);
        assert_eq!(client.answer(), CLOSED, "{topic}");
    };
    closes("iot-2/evt/x/fmt/json", &vec![b' '; 131_073]);
    closes("iot-2/evt/x", b"{}");
    closes("iot-2/cmd/x/fmt/json", b"{}");
    closes("other", b"{}");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    client.connect(device());
    // The retain flag is ignored.
    client.publish("iot-2/evt/x/fmt/json", b"{}", QoS::AtLeastOnce, true);
    assert_eq!(client.answer(), PUBACK);
    assert_eq!(
        client.subscribe("iot-2/type/+/id/+/evt/+/fmt/+", QoS::AtMostOnce),
        [0x90, 3, 0, 1, 0x80]
    );
    let quickstart = Connect::new("d:quickstart:any:thing");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    assert_eq!(client.connect(quickstart), [0x20, 2, 0, 0]);
    assert_eq!(
        client.subscribe("iot-2/cmd/+/fmt/+", QoS::AtMostOnce),
        [0x90, 3, 0, 1, 0x80]
    );
}

#[test]
fn qos_2_is_delivered_once_where_it_is_known() {
    let simulator = start("placeos");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    client.connect(with("bridge", "support.jwt.signature", b"x"));
    for _ in 0..2 {
        client.publish("placeos/a", b"1", QoS::ExactlyOnce, false);
        assert_eq!(client.answer(), [0x50, 2, 0, 7]);
    }
    client.send(&Packet::PubRel(Ack::new(PacketIdentifier::new(7).unwrap())));
    assert_eq!(client.answer(), [0x70, 2, 0, 7]);
    let is_message = |event: &Event| matches!(event, Event::Published { .. });
    simulator.wait_for(is_message).unwrap();
    assert!(!simulator.has_seen(is_message));
}

#[test]
fn a_link_ends_at_the_byte_that_was_ordered() {
    let simulator = start("placeos");
    for len in 0..4 {
        simulator
            .command(&format!("close-after-sent {len}"))
            .unwrap();
        let mut client = Client::new(simulator.address(), Version::V3_1_1);
        client.send(&Packet::Connect(with("reader", "reader.key", b"x")));
        assert_eq!(client.answer(), CLOSED);
        assert_eq!(client.received.len(), len);
    }
}

#[test]
fn a_silent_client_is_given_up() {
    let simulator = start("placeos");
    let mut client = Client::new(simulator.address(), Version::V3_1_1);
    let mut connect = with("reader", "reader.key", b"x");
    connect.keep_alive = 1;
    client.connect(connect);
    assert_eq!(client.answer(), CLOSED);
}

/// The program, and what it says.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_does_what_its_script_says() {
    let script = tempfile::NamedTempFile::new().unwrap();
    let lines = "# a device comes\nwait connect\nwait subscribe losant/575ecf887ae143cd83dc4aa2/command\n\
                 command 575ecf887ae143cd83dc4aa2 {\"name\":\"go\"}\n";
    std::fs::write(script.path(), lines).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .args(["losant", "--listen", "127.0.0.1:0", "--script"])
        .arg(script.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Program(child);
    let mut said = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first
        .strip_prefix("listening on ")
        .unwrap()
        .parse()
        .unwrap();
    let mut client = Client::new(address, Version::V3_1_1);
    client.connect(losant());
    client.subscribe("losant/575ecf887ae143cd83dc4aa2/command", QoS::AtMostOnce);
    assert!(client.answer().ends_with(b"{\"name\":\"go\"}"));
    assert!(said.any(|line| {
        line.unwrap()
            .starts_with("connected 575ecf887ae143cd83dc4aa2")
    }));
}

#[test]
fn a_wrong_command_line_is_explained() {
    for arguments in [&[][..], &["nowhere"], &["losant", "--port"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(!output.stderr.is_empty());
        assert!(output.stdout.is_empty());
    }
    let help = Command::new(env!("CARGO_BIN_EXE_simulator"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(help.status.success());
    assert!(help.stdout.starts_with(b"usage: simulator "));
}

#[test]
fn a_simulator_that_is_dropped_closes_its_links_and_frees_its_port() {
    let simulator = start("losant");
    let address = simulator.address();
    let mut client = Client::new(address, Version::V3_1_1);
    client.connect(losant());
    drop(simulator);
    assert_eq!(client.answer(), CLOSED);
    let simulator = Simulator::start("losant", &address.to_string()).unwrap();
    assert_eq!(simulator.address(), address);
    let mut client = Client::new(address, Version::V3_1_1);
    assert_eq!(client.connect(losant()), [0x20, 2, 0, 0]);
}
