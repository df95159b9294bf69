//! Runs one codec case so many times, for callgrind to count: `codec-count encode-publish-64 1000`.
//!
//! Two runs with different counts, divided by the difference, give the instructions per packet.

use std::hint::black_box;
use std::process::ExitCode;

use mqtt_core::codec::{
    Connect, FixedHeader, Packet, PacketIdentifier, PacketType, Publish, QoS, ReasonCode, SubAck,
    Subscribe, Subscription, TopicFilter, TopicName, Version, Will, encode_ack,
};

const TOPIC: &str = "v1/devices/me/telemetry";
const USAGE: &str = "usage: codec-count CASE COUNT";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().expect(USAGE);
    let count = arguments.next().expect(USAGE).parse().expect(USAGE);
    let mut buffer = [0; 8192];
    let buffer = black_box(&mut buffer[..]);
    match case.as_str() {
        "encode-publish-64" => encode_publish(count, &[b'x'; 64], buffer),
        "encode-publish-4096" => encode_publish(count, &[b'x'; 4096], buffer),
        "decode-publish-64" => decode_publish(count, &[b'x'; 64], buffer),
        "encode-connect" => encode_connect(count, buffer),
        "encode-subscribe" => encode_subscribe(count, buffer),
        "encode-puback" => encode_puback(count, buffer),
        "decode-suback" => decode_suback(count, buffer),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn repeat<R>(count: u32, mut work: impl FnMut() -> R) {
    for _ in 0..count {
        black_box(work());
    }
}

fn encode_publish(count: u32, payload: &[u8], buffer: &mut [u8]) {
    let version = version();
    let publish = publish(payload);
    repeat(count, || black_box(&publish).encode(version, buffer));
}

fn decode_publish(count: u32, payload: &[u8], buffer: &mut [u8]) {
    let len = publish(payload).encode(Version::V3_1_1, buffer).unwrap();
    decode(count, &buffer[..len]);
}

fn encode_connect(count: u32, buffer: &mut [u8]) {
    let mut will = Will::new(TopicName::new("v1/devices/me/status").unwrap(), b"offline");
    will.qos = QoS::AtLeastOnce;
    let mut connect = Connect::new("device-0001");
    connect.keep_alive = 60;
    connect.user_name = Some("access-key");
    connect.password = Some(b"access-secret");
    connect.will = Some(will);
    let version = version();
    repeat(count, || black_box(&connect).encode(version, buffer));
}

fn encode_subscribe(count: u32, buffer: &mut [u8]) {
    let filter = TopicFilter::new("v1/devices/me/rpc/request/+").unwrap();
    let subscriptions = [Subscription::new(filter, QoS::AtLeastOnce)];
    let subscribe = Subscribe::new(identifier(), &subscriptions);
    let version = version();
    repeat(count, || black_box(&subscribe).encode(version, buffer));
}

fn encode_puback(count: u32, buffer: &mut [u8]) {
    let version = version();
    repeat(count, || {
        encode_ack(
            PacketType::PubAck,
            black_box(identifier()),
            ReasonCode::SUCCESS,
            version,
            buffer,
        )
    });
}

fn decode_suback(count: u32, buffer: &mut [u8]) {
    let suback = SubAck::new(identifier(), &[1]);
    let len = suback.encode(Version::V3_1_1, buffer).unwrap();
    decode(count, &buffer[..len]);
}

/// Both steps: the fixed header, then the packet as a client takes it.
fn decode(count: u32, bytes: &[u8]) {
    let version = version();
    repeat(count, || {
        let bytes = black_box(bytes);
        let (header, header_len) = FixedHeader::decode(bytes, version).unwrap().unwrap();
        let packet = Packet::decode_from_server(header, &bytes[header_len..], version);
        black_box(&packet);
    });
}

/// The version is chosen at run time, so the compiler must not know it.
fn version() -> Version {
    black_box(Version::V3_1_1)
}

fn publish(payload: &[u8]) -> Publish<'_> {
    let mut publish = Publish::new(TopicName::new(TOPIC).unwrap(), payload);
    publish.qos = QoS::AtLeastOnce;
    publish.packet_identifier = Some(identifier());
    publish
}

fn identifier() -> PacketIdentifier {
    PacketIdentifier::new(0x1234).unwrap()
}
