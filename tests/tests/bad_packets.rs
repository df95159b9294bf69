//! Every entry of `bad-packets.json`, sent to the client by a scripted broker in one write, byte
//! by byte, and glued behind a valid packet.
//!
//! The client runs inside the `probe` program, a fresh one for each case.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::codec::{Packet, PacketType, Version};
use mqtt_tests::bad_packet::{BadPacket, State};
use mqtt_tests::peer::{Frame, LIMIT, Link, Next, Peer};
use mqtt_tests::probe::Probe;
use serde_json::{Value, json};

const THREADS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    OneWrite,
    ByteByByte,
    /// Behind a valid PUBLISH, in the same write.
    Glued,
}

type Case<'a> = (&'a BadPacket, Version, Delivery);

/// MQTT 3.1.1 [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-2.2.2-2] [MQTT-3.3.1-4] [MQTT-4.8.0-1]
/// MQTT 5 [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-2.1.3-1] [MQTT-3.1.2-24] [MQTT-3.1.2-29] [MQTT-3.3.4-9]
/// MQTT 5 [MQTT-4.13.1-1]
#[test]
fn every_bad_packet_is_refused_or_ignored_as_the_standard_says() {
    let entries = BadPacket::all(include_str!("../vectors/bad-packets.json"));
    assert_eq!(entries.len(), 255);
    let cases: Mutex<VecDeque<_>> = Mutex::new(entries.iter().flat_map(cases).collect());
    let failed = Mutex::new(Vec::new());
    let next = || cases.lock().ok()?.pop_front();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = next() {
                    if catch_unwind(AssertUnwindSafe(|| run(case))).is_err() {
                        let (entry, version, delivery) = case;
                        let name = format!("{} {version:?} {delivery:?}", entry.name);
                        eprintln!("failed: {name}");
                        failed.lock().expect("no panic meanwhile").push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic meanwhile");
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

fn cases(entry: &BadPacket) -> impl Iterator<Item = Case<'_>> {
    // No valid packet can come before CONNACK: there is nothing to glue to.
    let early = matches!(entry.state, State::BeforeConnack | State::AuthPending);
    let deliveries: &[_] = if early {
        &[Delivery::OneWrite, Delivery::ByteByByte]
    } else {
        &[Delivery::OneWrite, Delivery::ByteByByte, Delivery::Glued]
    };
    entry
        .versions()
        .iter()
        .flat_map(move |&version| deliveries.iter().map(move |&how| (entry, version, how)))
}

fn run((entry, version, delivery): Case<'_>) {
    let mut stage = Stage::new(entry, version);
    let pending = stage.prepare();
    let bytes = entry.bytes(pending);
    match delivery {
        Delivery::OneWrite => stage.link.sends_bytes(&bytes),
        Delivery::ByteByByte => stage.link.sends_byte_by_byte(&bytes),
        Delivery::Glued => {
            let glue = publish("glue", version);
            stage.link.sends_bytes(&[glue, bytes].concat());
            let message = stage.probe.expects("message");
            assert_eq!(message["topic"], "glue");
        }
    }
    if entry.then_close {
        stage.link.ends_sending();
    }
    stage.judge();
}

/// A client and its broker, at the point where the bad packet is due.
struct Stage<'a> {
    entry: &'a BadPacket,
    version: Version,
    probe: Probe,
    link: Link,
    connected: bool,
}

impl<'a> Stage<'a> {
    fn new(entry: &'a BadPacket, version: Version) -> Self {
        let peer = Peer::new();
        let mut probe = Probe::start(env!("CARGO_BIN_EXE_probe"), peer.port());
        let mut connect = json!({
            "cmd": "connect", "version": name(version), "client_id": "p", "reconnect": false,
        });
        let members = connect.as_object_mut().expect("an object");
        members.extend(entry.connect_options());
        probe.command(&connect);
        let mut link = peer.accept();
        link.expects_connect();
        assert_eq!(link.version(), version);
        Self {
            entry,
            version,
            probe,
            link,
            connected: false,
        }
    }

    /// Brings the client into the state of the entry; gives the identifier that is pending.
    fn prepare(&mut self) -> Option<u16> {
        if matches!(self.entry.state, State::BeforeConnack | State::AuthPending) {
            return None;
        }
        self.link.sends_connack(false);
        self.probe.expects("connected");
        self.connected = true;
        if self.entry.manual_ack() {
            self.probe.command(&json!({"cmd": "hold"}));
        }
        let (command, answer) = match self.entry.state {
            State::SubscribePending1 => (subscribe(1), PacketType::Subscribe),
            State::SubscribePending2 => (subscribe(2), PacketType::Subscribe),
            State::UnsubscribePending1 => (unsubscribe(1), PacketType::Unsubscribe),
            State::UnsubscribePending2 => (unsubscribe(2), PacketType::Unsubscribe),
            State::PublishQos1Pending => (publish_command(1, 1), PacketType::Publish),
            State::PublishQos2Pending => (publish_command(1, 2), PacketType::Publish),
            State::Connected | State::BeforeConnack | State::AuthPending => return None,
        };
        self.probe.command(&command);
        Some(self.link.expects(answer).identifier())
    }

    fn judge(&mut self) {
        if self.entry.allows("ignored") {
            match self.closed_instead_of_ignored() {
                None => self.judge_usable(),
                Some(closed) => self.judge_closed(&closed),
            }
        } else if self.version == Version::V3_1_1 && self.entry.allows("waits for more bytes") {
            self.judge_waiting();
        } else {
            let closed = self.closed_event();
            self.judge_closed(&closed);
        }
    }

    /// The `closed` event, unless the next message still arrives.
    fn closed_instead_of_ignored(&mut self) -> Option<Value> {
        if self.entry.state == State::BeforeConnack {
            let event = self.probe.event();
            if event["event"] != "connected" {
                return Some(event);
            }
            self.connected = true;
        }
        self.link.sends_bytes(&publish("alive", self.version));
        loop {
            let event = self.probe.event();
            match event["event"].as_str() {
                Some("message") if event["topic"] == "alive" => return None,
                Some("closed") => return Some(event),
                _ => assert!(self.may_report(&event), "{event}"),
            }
        }
    }

    /// What an entry that is let pass may cause.
    fn may_report(&self, event: &Value) -> bool {
        let name = self.entry.name.as_str();
        match event["event"].as_str() {
            Some("message") => name.starts_with("publish-"),
            Some("subscribed") => name == "suback-granted-above-requested",
            // Its code is a refusal.
            Some("rejected") => name == "puback-reason-string-not-requested",
            _ => false,
        }
    }

    /// The connection is up: a publish of ours is sent and its acknowledgement understood.
    fn judge_usable(&mut self) {
        self.probe.command(&publish_command(2, 1));
        let mut replied = false;
        let publish = loop {
            let frame = self.frame();
            if frame.packet_type() == PacketType::Publish {
                break frame;
            }
            assert!(self.entry.allows_reply(&frame.hex()), "{frame:?}");
            replied = true;
        };
        assert!(replied || !self.entry.needs_reply(), "no reply");
        self.link
            .sends_ack(PacketType::PubAck, publish.identifier());
        let event = self.probe.event();
        assert_eq!(event, json!({"event": "delivered", "tag": 2}));
    }

    /// Without a limit that 3.1.1 could announce, the rest of the packet may be waited for.
    fn judge_waiting(&mut self) {
        if let Next::Frame(frame) = self.link.next_within(Duration::from_millis(100)) {
            panic!("{frame:?}");
        }
        self.link.ends_sending();
        self.link.expects_close();
        self.closed_event();
    }

    /// Nothing of the packet came through, the reason is told to both sides, the link is down.
    fn judge_closed(&mut self, closed: &Value) {
        self.judge_reason(closed);
        let deadline = Instant::now() + LIMIT;
        let mut told = false;
        while let Some(frame) = self.frame_or_close(deadline) {
            assert!(!told, "{frame:?} after DISCONNECT");
            if let Packet::Disconnect(disconnect) = frame.packet() {
                told = true;
                assert!(self.may_tell(), "{frame:?}");
                assert!(self.entry.allows_code(disconnect.code.value()), "{frame:?}");
            } else {
                assert!(self.may_acknowledge(&frame), "{frame:?}");
            }
        }
        assert!(told || !self.must_tell(), "no DISCONNECT");
    }

    fn judge_reason(&self, closed: &Value) {
        assert!(!self.entry.must_stay(), "{closed}");
        let allowed = match closed["by"].as_str() {
            Some(by @ ("malformed" | "protocol error")) => self.entry.allows(by),
            Some("peer") => self.entry.allows("connection lost"),
            Some("server") => self.entry.allows("second packet not read"),
            _ => false,
        };
        assert!(allowed, "{closed}");
        let reason = closed["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "{closed}");
    }

    fn closed_event(&mut self) -> Value {
        for _ in 0..self.entry.good_messages() {
            self.probe.expects("message");
        }
        let event = self.probe.event();
        let unsupported = "reported as unsupported protocol version";
        if event["event"] == "refused" && self.entry.allows(unsupported) {
            return json!({"by": "malformed", "reason": "unsupported protocol version"});
        }
        assert_eq!(event["event"], "closed", "{event}");
        event
    }

    /// Only 5.0 has a DISCONNECT with a reason, and nothing is sent before CONNACK.
    fn may_tell(&self) -> bool {
        self.version == Version::V5 && self.connected
    }

    /// To a server that is gone, or that has said goodbye itself, nothing need be told.
    fn must_tell(&self) -> bool {
        let gone = self.entry.then_close || self.entry.allows("second packet not read");
        self.may_tell() && !gone
    }

    /// The good messages in front of a bad packet are answered as usual.
    fn may_acknowledge(&self, frame: &Frame) -> bool {
        let acks = [PacketType::PubAck, PacketType::PubRec];
        self.entry.good_messages() > 0 && acks.contains(&frame.packet_type())
    }

    fn frame(&mut self) -> Frame {
        let deadline = Instant::now() + LIMIT;
        self.frame_or_close(deadline).expect("an open connection")
    }

    fn frame_or_close(&mut self, deadline: Instant) -> Option<Frame> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.link.next_within(left) {
            Next::Frame(frame) => Some(frame),
            Next::Closed => None,
            Next::Silence => panic!("the connection stays open"),
        }
    }
}

fn subscribe(count: usize) -> Value {
    let filters: Vec<_> = ["s/0", "s/1"][..count]
        .iter()
        .map(|filter| json!({"filter": filter, "qos": 0}))
        .collect();
    json!({"cmd": "subscribe", "filters": filters})
}

fn unsubscribe(count: usize) -> Value {
    json!({"cmd": "unsubscribe", "filters": (["s/0", "s/1"][..count])})
}

fn publish_command(tag: u32, qos: u8) -> Value {
    json!({"cmd": "publish", "tag": tag, "topic": "p", "payload_hex": "6869", "qos": qos})
}

/// A valid PUBLISH at QoS 0 without payload.
fn publish(topic: &str, version: Version) -> Vec<u8> {
    let mut body = vec![0, u8::try_from(topic.len()).expect("a short topic")];
    body.extend(topic.bytes());
    if version == Version::V5 {
        body.push(0);
    }
    let len = u8::try_from(body.len()).expect("a short packet");
    [&[0x30, len], &body[..]].concat()
}

fn name(version: Version) -> &'static str {
    match version {
        Version::V3_1_1 => "3.1.1",
        Version::V5 => "5.0",
    }
}
