//! The `probe` program keeps to its protocol.

use std::time::Duration;

use mqtt_core::codec::{Packet, PacketType};
use mqtt_tests::peer::{Link, Peer};
use mqtt_tests::probe::Probe;
use serde_json::{Value, json};

const MOMENT: Duration = Duration::from_millis(50);

fn start(peer: &Peer) -> Probe {
    Probe::start(env!("CARGO_BIN_EXE_probe"), peer.port())
}

fn connected(options: Value) -> (Peer, Probe, Link) {
    let peer = Peer::new();
    let mut probe = start(&peer);
    connect(&mut probe, options);
    let link = peer.accept_session();
    probe.expects("connected");
    (peer, probe, link)
}

fn connect(probe: &mut Probe, mut options: Value) {
    options["cmd"] = "connect".into();
    probe.command(&options);
}

#[test]
fn what_is_no_command_is_answered_with_usage() {
    let mut probe = start(&Peer::new());
    for line in [
        "",
        "connect",
        "{}",
        r#"{"cmd":"dance"}"#,
        r#"{"cmd":"publish","tag":1}"#,
        r#"{"cmd":"connect","version":"4.0"}"#,
        r#"{"cmd":"connect","password_hex":"7"}"#,
        r#"{"cmd":"publish","tag":1,"topic":"a","qos":3}"#,
        r#"{"cmd":"publish","tag":1,"topic":"a"}"#,
    ] {
        probe.line(line);
        let usage = probe.expects("usage");
        assert!(usage["reason"].is_string(), "{usage}");
    }
}

#[test]
fn the_end_of_the_input_ends_the_program() {
    assert!(start(&Peer::new()).ends().success());
    let (_peer, mut probe, _link) = connected(json!({}));
    probe.command(&json!({"cmd": "quit"}));
    assert!(probe.ends().success());
}

#[test]
fn everything_in_connect_is_sent() {
    let peer = Peer::new();
    let mut probe = start(&peer);
    connect(
        &mut probe,
        json!({
            "version": "5.0", "client_id": "p", "clean": false, "keep_alive_s": 9,
            "username": "u", "password_hex": "70",
            "will": {"topic": "w", "payload_hex": "00", "qos": 1, "retain": true},
            "session_expiry_s": 3, "receive_maximum": 4, "maximum_packet_size": 512,
            "topic_alias_maximum": 6, "request_problem_information": 0, "reconnect": false,
        }),
    );
    let frame = peer.accept().expects_connect();
    let Packet::Connect(connect) = frame.packet() else {
        panic!("{frame:?}");
    };
    assert_eq!(
        (connect.client_id, connect.clean_session, connect.keep_alive),
        ("p", false, 9)
    );
    assert_eq!(
        (connect.user_name, connect.password),
        (Some("u"), Some(&b"p"[..]))
    );
    let will = connect.will.expect("a will");
    assert_eq!(
        (will.topic.as_str(), will.payload, will.retain),
        ("w", &[0][..], true)
    );
    let text = format!("{:?}", connect.properties.iter().collect::<Vec<_>>());
    for property in [
        "SessionExpiryInterval(3)",
        "ReceiveMaximum(4)",
        "MaximumPacketSize(512)",
        "TopicAliasMaximum(6)",
        "RequestProblemInformation(false)",
    ] {
        assert!(text.contains(property), "no {property} in {text}");
    }
}

#[test]
fn a_refusal_is_told_by_its_number() {
    for (version, connack, code) in [("3.1.1", "20020005", 5), ("5.0", "2003008700", 0x87)] {
        let peer = Peer::new();
        let mut probe = start(&peer);
        connect(&mut probe, json!({"version": version}));
        let mut link = peer.accept();
        link.expects_connect();
        link.sends(connack);
        assert_eq!(probe.event(), json!({"event": "refused", "code": code}));
    }
}

#[test]
fn requests_and_their_answers() {
    let (_peer, mut probe, mut link) = connected(json!({"version": "5.0"}));
    probe.command(&json!({"cmd": "subscribe", "filters": [
        {"filter": "a/b", "qos": 1}, {"filter": "c"},
    ]}));
    let identifier = link.expects(PacketType::Subscribe).identifier();
    link.sends_suback(identifier, &[1, 0x87]);
    assert_eq!(
        probe.event(),
        json!({"event": "subscribed", "codes": [1, 0x87]})
    );

    probe.command(&json!({"cmd": "unsubscribe", "filters": ["a/b"]}));
    let identifier = link.expects(PacketType::Unsubscribe).identifier();
    link.sends_unsuback(identifier, &[0x11]);
    assert_eq!(
        probe.event(),
        json!({"event": "unsubscribed", "codes": [0x11]})
    );
}

#[test]
fn publications_and_what_becomes_of_them() {
    let (_peer, mut probe, mut link) = connected(json!({"version": "5.0"}));
    probe.command(&json!({"cmd": "publish", "tag": 1, "topic": "a/b", "payload_hex": "6869"}));
    assert_eq!(
        link.expects(PacketType::Publish).hex(),
        "30080003612f62006869"
    );
    assert_eq!(probe.event(), json!({"event": "delivered", "tag": 1}));

    probe.command(&json!({"cmd": "publish", "tag": 2, "topic": "a", "qos": 1}));
    let [high, low] = link.expects(PacketType::Publish).identifier().to_be_bytes();
    link.sends_bytes(&[0x40, 3, high, low, 135]);
    assert_eq!(
        probe.event(),
        json!({"event": "rejected", "tag": 2, "code": 135})
    );

    probe.command(&json!({"cmd": "publish", "tag": 3, "topic": "a/#", "qos": 1}));
    let rejected = probe.expects("rejected");
    assert_eq!(
        (&rejected["tag"], &rejected["local"]),
        (&json!(3), &json!(true))
    );
    link.expects_silence(MOMENT);
}

#[test]
fn properties_go_both_ways() {
    let (_peer, mut probe, mut link) = connected(json!({"version": "5.0"}));
    let properties = json!({
        "content_type": "t", "payload_format": 1, "message_expiry_s": 60,
        "response_topic": "r", "correlation_data": "00", "user": [["k", "v"], ["k", "w"]],
    });
    probe.command(&json!({
        "cmd": "publish", "tag": 1, "topic": "a", "properties": properties,
    }));
    let publish = link.expects(PacketType::Publish);
    probe.expects("delivered");
    link.sends(&publish.hex());
    let message = probe.expects("message");
    assert_eq!(message["properties"], properties);
}

#[test]
fn held_messages_are_acknowledged_on_release() {
    let (_peer, mut probe, mut link) = connected(json!({}));
    probe.command(&json!({"cmd": "hold"}));
    // `hold` has been read when this is answered.
    probe.line("");
    probe.expects("usage");
    link.sends("3206 0001 61 0001 78");
    link.sends("3206 0001 61 0002 79");
    assert_eq!(probe.expects("message")["payload_hex"], "78");
    let second = json!({
        "event": "message", "topic": "a", "payload_hex": "79", "qos": 1, "retain": false,
        "dup": false,
    });
    assert_eq!(probe.event(), second);
    link.expects_silence(MOMENT);
    probe.command(&json!({"cmd": "release"}));
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 1);
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 2);
    link.sends("3206 0001 61 0003 7a");
    assert_eq!(link.expects(PacketType::PubAck).identifier(), 3);
}

#[test]
fn large_messages_are_skipped_or_told_in_chunks() {
    let payload = "5a".repeat(300);
    let packet = format!("30b002 0002 6161 {payload}");
    let (_peer, mut probe, mut link) = connected(json!({"rx_buffer": 128}));
    link.sends(&packet);
    let skipped = json!({"event": "skipped", "topic": "aa", "size": 300});
    assert_eq!(probe.event(), skipped);

    let (_peer, mut probe, mut link) = connected(json!({"rx_buffer": 128, "oversize": "stream"}));
    link.sends(&packet);
    let mut received = String::new();
    while received.len() < payload.len() {
        let chunk = probe.expects("chunk");
        assert_eq!(
            (&chunk["topic"], &chunk["total"]),
            (&json!("aa"), &json!(300))
        );
        assert_eq!(chunk["offset"], received.len() / 2);
        received += chunk["payload_hex"].as_str().expect("bytes");
    }
    assert_eq!(received, payload);
}

#[test]
fn the_session_outlives_the_connection() {
    let options = json!({"client_id": "p", "clean": false});
    let (peer, mut probe, mut link) = connected(options.clone());
    probe.command(&json!({"cmd": "publish", "tag": 1, "topic": "a", "qos": 1}));
    let first = link.expects(PacketType::Publish);
    link.closes();
    assert_eq!(probe.expects("closed")["by"], "peer");

    connect(&mut probe, options);
    let mut link = peer.accept();
    link.expects_connect();
    link.sends_connack(true);
    let connected = json!({"event": "connected", "session_present": true, "version": "3.1.1"});
    assert_eq!(probe.event(), connected);
    let again = link.expects(PacketType::Publish);
    assert_eq!(again.identifier(), first.identifier());
    link.sends_ack(PacketType::PubAck, again.identifier());
    assert_eq!(probe.event(), json!({"event": "delivered", "tag": 1}));

    probe.command(&json!({"cmd": "disconnect"}));
    link.expects(PacketType::Disconnect);
    assert_eq!(probe.expects("closed")["by"], "disconnect");
}

#[test]
fn even_a_short_link_is_told() {
    let peer = Peer::new();
    let mut probe = start(&peer);
    connect(&mut probe, json!({}));
    let mut link = peer.accept();
    link.expects_connect();
    link.sends("20020000 0000");
    let connected = json!({"event": "connected", "session_present": false, "version": "3.1.1"});
    assert_eq!(probe.event(), connected);
    assert_eq!(probe.expects("closed")["by"], "malformed");
}

#[test]
fn with_reconnect_the_link_comes_back() {
    let (peer, mut probe, link) = connected(json!({"reconnect": true}));
    link.closes();
    assert_eq!(probe.expects("closed")["by"], "peer");
    let mut link = peer.accept_session();
    probe.expects("connected");
    link.sends("30 04 0001 61 78");
    probe.expects("message");
}

#[test]
fn the_server_says_why_it_leaves() {
    let (_peer, mut probe, mut link) = connected(json!({"version": "5.0"}));
    link.sends("e0 01 8b");
    let closed = probe.expects("closed");
    assert_eq!(
        (&closed["by"], &closed["code"]),
        (&json!("server"), &json!(0x8b))
    );
}

#[test]
fn authentication_is_answered() {
    let peer = Peer::new();
    let mut probe = start(&peer);
    let options = json!({
        "version": "5.0", "authentication_method": "a", "authentication_data_hex": "0102",
    });
    connect(&mut probe, options);
    let mut link = peer.accept();
    let connect = link.expects_connect();
    assert!(
        connect
            .hex()
            .contains("1500016116 00020102".replace(' ', "").as_str())
    );
    link.sends("f0 0b 18 09 15 0001 61 16 0002 0304");
    let answer = link.expects(PacketType::Auth);
    assert_eq!(answer.hex(), "f00b180915000161160002 0102".replace(' ', ""));
    link.sends("20 07 00 00 04 15 0001 61");
    probe.expects("connected");
}
