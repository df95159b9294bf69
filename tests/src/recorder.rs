//! A broker that records what a device sends, as JSON that can be compared, and sends what it is told to.
//!
//! It answers as a broker has to, and refuses what the standard forbids by a panic. It runs while
//! [`Recorder::until_barrier`] or one of its siblings does, and has no thread of its own.

use std::time::{Duration, Instant};

use mqtt_core::codec::{
    Connect, Packet, PacketIdentifier, PacketType, Publish, QoS, Subscribe, TopicFilter, TopicName,
    Version, Will,
};
use serde_json::{Map, Value, json};

use crate::hex;
use crate::peer::{LIMIT, Link, Next, Peer};

/// A PUBLISH to this topic is not recorded: it says that everything before it has been sent.
pub const BARRIER: &str = "recorder/barrier";

/// How long the device may take: it may have an interpreter to start, beside others that do so too.
pub const PATIENCE: Duration = Duration::from_secs(4 * LIMIT.as_secs());

/// A message for the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Downlink {
    /// The topic name.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The quality of service.
    pub qos: QoS,
}

impl Downlink {
    /// A message at QoS 1.
    #[must_use]
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
        }
    }

    /// With the quality of service `qos`.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }
}

/// What the server says to a PUBLISH of the device.
pub type Script = Box<dyn FnMut(&Publish<'_>) -> Vec<Downlink>>;

/// One connection of a device, and what came on it.
pub struct Recorder {
    link: Link,
    records: Vec<Value>,
    script: Script,
    last_identifier: u16,
    /// Packet identifiers of what was sent to the device and is not acknowledged.
    in_flight: Vec<u16>,
    /// Packet identifiers of QoS 2 messages of the device that are not released.
    unreleased: Vec<u16>,
}

impl Recorder {
    /// Takes the next connection and accepts it.
    #[must_use]
    pub fn accept(peer: &Peer) -> Self {
        let mut link = peer.accept_within(PATIENCE).expect("the device connects");
        let frame = link.expects_connect();
        let Packet::Connect(connect) = frame.packet() else {
            unreachable!("CONNECT was expected")
        };
        let record = connect_record(&connect, link.version());
        link.sends_connack(false);
        Self {
            link,
            records: vec![record],
            script: Box::new(|_| Vec::new()),
            last_identifier: 0,
            in_flight: Vec::new(),
            unreleased: Vec::new(),
        }
    }

    /// Answers PUBLISH packets of the device as `script` says.
    pub fn answers(&mut self, script: impl FnMut(&Publish<'_>) -> Vec<Downlink> + 'static) {
        self.script = Box::new(script);
    }

    /// Sends a message to the device.
    pub fn sends(&mut self, downlink: &Downlink) {
        let identifier = (downlink.qos != QoS::AtMostOnce).then(|| self.next_identifier());
        let topic = TopicName::new(&downlink.topic).expect("a topic name");
        let mut publish = Publish::new(topic, &downlink.payload);
        publish.qos = downlink.qos;
        publish.packet_identifier = identifier;
        self.in_flight.extend(identifier.map(PacketIdentifier::get));
        self.link.sends_packet(&Packet::Publish(publish));
    }

    /// Serves the device until it has published to [`BARRIER`]; what it sent before.
    pub fn until_barrier(&mut self) -> Vec<Value> {
        self.serves_until(
            "barrier",
            |_, packet| matches!(packet, Packet::Publish(publish) if publish.topic == BARRIER),
        );
        self.take_records()
    }

    /// Serves the device until it has acknowledged all messages, and what it has sent since it was last asked for is
    /// enough.
    pub fn until(&mut self, is_enough: impl Fn(&[Value]) -> bool) {
        if !self.is_done(&is_enough) {
            self.serves_until("more", |recorder, _| recorder.is_done(&is_enough));
        }
    }

    /// Serves the device until it leaves; what it sent before.
    pub fn until_closed(&mut self) -> Vec<Value> {
        while let Next::Frame(frame) = self.link.next_within(LIMIT) {
            self.takes(&frame.packet());
        }
        self.take_records()
    }

    /// What came since it was last asked for.
    pub fn take_records(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.records)
    }

    fn is_done(&self, is_enough: impl Fn(&[Value]) -> bool) -> bool {
        self.in_flight.is_empty() && is_enough(&self.records)
    }

    fn serves_until(&mut self, what: &str, is_it: impl Fn(&Self, &Packet<'_>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Next::Frame(frame) = self.link.next_within(left.max(Duration::from_millis(1)))
            else {
                panic!("{what} expected; recorded:\n{}", lines(&self.records));
            };
            let packet = frame.packet();
            self.takes(&packet);
            if is_it(self, &packet) {
                return;
            }
        }
    }

    fn takes(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Publish(publish) => self.takes_publish(publish),
            Packet::Subscribe(subscribe) => self.takes_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                let filters: Vec<_> = unsubscribe.filters.iter().collect();
                let names: Vec<_> = filters.iter().map(TopicFilter::as_str).collect();
                self.records
                    .push(json!({"packet": "UNSUBSCRIBE", "filters": names}));
                let codes = vec![0; filters.len()];
                self.link
                    .sends_unsuback(unsubscribe.packet_identifier.get(), &codes);
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.is_acknowledged(ack.packet_identifier.get());
            }
            Packet::PubRec(ack) => self
                .link
                .sends_ack(PacketType::PubRel, ack.packet_identifier.get()),
            Packet::PubRel(ack) => self.releases(ack.packet_identifier.get()),
            Packet::PingReq => self.link.sends_packet(&Packet::PingResp),
            Packet::Disconnect(_) => self.records.push(json!({"packet": "DISCONNECT"})),
            other => panic!("{:?} in a session", other.packet_type()),
        }
    }

    fn takes_publish(&mut self, publish: &Publish<'_>) {
        if publish.topic == BARRIER {
            return;
        }
        let is_new = self.acknowledges(publish);
        if !is_new {
            return;
        }
        self.records.push(publish_record(publish));
        for downlink in (self.script)(publish) {
            self.sends(&downlink);
        }
    }

    /// False if it came before.
    fn acknowledges(&mut self, publish: &Publish<'_>) -> bool {
        let identifier = publish.packet_identifier.map(PacketIdentifier::get);
        match (publish.qos, identifier) {
            (QoS::AtLeastOnce, Some(identifier)) => {
                self.link.sends_ack(PacketType::PubAck, identifier);
            }
            (QoS::ExactlyOnce, Some(identifier)) => {
                self.link.sends_ack(PacketType::PubRec, identifier);
                if self.unreleased.contains(&identifier) {
                    return false;
                }
                self.unreleased.push(identifier);
            }
            _ => {}
        }
        true
    }

    fn releases(&mut self, identifier: u16) {
        self.unreleased
            .retain(|unreleased| *unreleased != identifier);
        self.link.sends_ack(PacketType::PubComp, identifier);
    }

    fn is_acknowledged(&mut self, identifier: u16) {
        let place = self.in_flight.iter().position(|sent| *sent == identifier);
        let place = place.unwrap_or_else(|| panic!("{identifier} was not to be acknowledged"));
        self.in_flight.remove(place);
    }

    fn takes_subscribe(&mut self, subscribe: &Subscribe<'_>) {
        let mut codes = Vec::new();
        let mut filters = Map::new();
        for subscription in subscribe.filters.iter() {
            let qos = subscription.qos as u8;
            codes.push(qos);
            filters.insert(subscription.filter.as_str().to_owned(), qos.into());
        }
        self.records
            .push(json!({"packet": "SUBSCRIBE", "filters": filters}));
        self.link
            .sends_suback(subscribe.packet_identifier.get(), &codes);
    }

    fn next_identifier(&mut self) -> PacketIdentifier {
        self.last_identifier += 1;
        PacketIdentifier::new(self.last_identifier).expect("not zero")
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("records", &self.records)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

fn lines(records: &[Value]) -> String {
    let lines: Vec<_> = records.iter().map(Value::to_string).collect();
    lines.join("\n")
}

fn connect_record(connect: &Connect<'_>, version: Version) -> Value {
    json!({
        "packet": "CONNECT",
        "version": if version == Version::V5 { "5" } else { "3.1.1" },
        "client_id": connect.client_id,
        "user_name": connect.user_name,
        "password": connect.password.map(content),
        "clean_session": connect.clean_session,
        "keep_alive_s": connect.keep_alive,
        "will": connect.will.as_ref().map(will_record),
    })
}

fn will_record(will: &Will<'_>) -> Value {
    json!({
        "topic": will.topic.as_str(),
        "payload": content(will.payload),
        "qos": will.qos as u8,
        "retain": will.retain,
    })
}

fn publish_record(publish: &Publish<'_>) -> Value {
    json!({
        "packet": "PUBLISH",
        "topic": publish.topic.as_str(),
        "qos": publish.qos as u8,
        "retain": publish.retain,
        "payload": content(publish.payload),
    })
}

/// Bytes as what they mean: JSON if they are, otherwise text, otherwise hexadecimal digits.
#[must_use]
pub fn content(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return json!({ "json": value });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "hex": hex::encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const CONNECT: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\x0f\0\x01d";
    const CONNACK: &[u8] = &[0x20, 2, 0, 0];
    const BARRIER_PACKET: &[u8] = b"\x30\x12\0\x10recorder/barrier";

    fn connected() -> (TcpStream, Recorder) {
        let peer = Peer::new();
        let mut device = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port())).expect("a link");
        device.write_all(CONNECT).expect("sent");
        let recorder = Recorder::accept(&peer);
        expects(&mut device, CONNACK);
        (device, recorder)
    }

    fn expects(device: &mut TcpStream, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        device.read_exact(&mut bytes).expect("an answer");
        assert_eq!(bytes, expected);
    }

    fn publish(qos: u8, payload: &Value) -> Value {
        json!({"packet": "PUBLISH", "topic": "t", "qos": qos, "retain": false, "payload": payload})
    }

    #[test]
    fn what_came_before_the_barrier_is_recorded() {
        let (mut device, mut recorder) = connected();
        let packets = [b"\x30\x06\0\x01t{}\n", BARRIER_PACKET, b"\xe0\0"].concat();
        device.write_all(&packets).expect("sent");
        let connect = json!({
            "packet": "CONNECT", "version": "3.1.1", "client_id": "d", "user_name": null,
            "password": null, "clean_session": true, "keep_alive_s": 15, "will": null,
        });
        let expected = [connect, publish(0, &json!({"json": {}}))];
        assert_eq!(recorder.until_barrier(), expected);
        drop(device);
        assert_eq!(recorder.until_closed(), [json!({"packet": "DISCONNECT"})]);
    }

    #[test]
    fn a_message_at_qos_2_is_recorded_once() {
        let (mut device, mut recorder) = connected();
        recorder.take_records();
        let message = b"\x34\x06\0\x01t\0\x07a";
        let again = b"\x3c\x06\0\x01t\0\x07a";
        let packets = [message, again, &b"\x62\x02\0\x07"[..], BARRIER_PACKET].concat();
        device.write_all(&packets).expect("sent");
        assert_eq!(
            recorder.until_barrier(),
            [publish(2, &json!({"text": "a"}))]
        );
        expects(&mut device, b"\x50\x02\0\x07\x50\x02\0\x07\x70\x02\0\x07");
    }

    #[test]
    fn a_script_answers_and_the_device_acknowledges() {
        let (mut device, mut recorder) = connected();
        recorder.take_records();
        recorder.answers(|publish| {
            let answer = Downlink::new("a", publish.payload);
            vec![answer.clone(), answer.qos(QoS::ExactlyOnce)]
        });
        let message = [b"\x30\x04\0\x01t\xff", BARRIER_PACKET].concat();
        device.write_all(&message).expect("sent");
        assert_eq!(
            recorder.until_barrier(),
            [publish(0, &json!({"hex": "ff"}))]
        );
        expects(
            &mut device,
            b"\x32\x06\0\x01a\0\x01\xff\x34\x06\0\x01a\0\x02\xff",
        );
        device
            .write_all(b"\x40\x02\0\x01\x50\x02\0\x02\x70\x02\0\x02")
            .expect("sent");
        recorder.until(<[Value]>::is_empty);
        expects(&mut device, b"\x62\x02\0\x02");
    }

    #[test]
    fn subscriptions_are_granted() {
        let (mut device, mut recorder) = connected();
        recorder.take_records();
        let subscribe = b"\x82\x0a\0\x01\0\x01a\x01\0\x01+\x02";
        let unsubscribe = b"\xa2\x05\0\x02\0\x01a";
        let packets = [&subscribe[..], unsubscribe, b"\xc0\0", BARRIER_PACKET].concat();
        device.write_all(&packets).expect("sent");
        let subscribed = json!({"packet": "SUBSCRIBE", "filters": {"a": 1, "+": 2}});
        let unsubscribed = json!({"packet": "UNSUBSCRIBE", "filters": ["a"]});
        assert_eq!(recorder.until_barrier(), [subscribed, unsubscribed]);
        expects(&mut device, b"\x90\x04\0\x01\x01\x02\xb0\x02\0\x02\xd0\0");
    }

    #[test]
    #[should_panic(expected = "7 was not to be acknowledged")]
    fn an_acknowledgement_of_nothing_is_refused() {
        let (mut device, mut recorder) = connected();
        device.write_all(b"\x40\x02\0\x07").expect("sent");
        recorder.until_barrier();
    }
}
