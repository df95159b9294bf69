//! A program that starts again goes on with the session that its file holds.

use std::time::Duration;

use mqtt_core::codec::{Packet, PacketType, QoS, Version};
use mqtt_std::{Message, Options, OptionsError};
use mqtt_tests::device::{Device, soon};
use mqtt_tests::peer::{Frame, Link, Peer};

fn options(peer: &Peer, file: &std::path::Path) -> Options {
    Options::new("127.0.0.1")
        .port(peer.port())
        .version(Version::V5)
        .client_id("meter")
        .clean_session(false)
        .session_file(file)
        .reconnect(soon())
}

fn accept(peer: &Peer, session_present: bool) -> (Link, Frame) {
    let mut link = peer.accept();
    let connect = link.expects_connect();
    link.sends_connack(session_present);
    (link, connect)
}

fn is_clean(connect: &Frame) -> bool {
    match connect.packet() {
        Packet::Connect(connect) => connect.clean_session,
        other => panic!("{other:?}"),
    }
}

/// PUBLISH at QoS 2 with the identifier 7.
fn publish(dup: bool) -> Vec<u8> {
    let first = if dup { 0x3c } else { 0x34 };
    [&[first, 9, 0, 1, b'c', 0, 7, 0][..], b"now"].concat()
}

#[test]
fn a_program_that_starts_again_finishes_what_it_has_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session");
    let peer = Peer::new();

    let mut device = Device::start(options(&peer, &file));
    let (mut link, _) = accept(&peer, false);
    device.connected();
    drop(device.publish(&Message::new("t", b"released").exactly_once()));
    let released = link.expects(PacketType::Publish).identifier();
    link.sends_ack(PacketType::PubRec, released);
    link.expects(PacketType::PubRel);
    drop(device.publish(&Message::new("t", b"sent").exactly_once()));
    let sent = link.expects(PacketType::Publish).identifier();
    link.sends_bytes(&publish(false));
    assert_eq!(device.message().payload(), b"now");
    link.expects(PacketType::PubRec);
    drop(device);

    let mut device = Device::start(options(&peer, &file));
    let (mut link, connect) = accept(&peer, true);
    assert!(!is_clean(&connect));
    assert_eq!(link.expects(PacketType::PubRel).identifier(), released);
    let again = link.expects(PacketType::Publish);
    assert_eq!(again.identifier(), sent);
    let Packet::Publish(again) = again.packet() else {
        panic!("{again:?}");
    };
    assert_eq!((again.qos, again.dup), (QoS::ExactlyOnce, true));
    link.sends_bytes(&publish(true));
    link.expects(PacketType::PubRec);
    assert!(device.hears_nothing(Duration::from_millis(50)));
    for (answer, identifier) in [
        (PacketType::PubComp, released),
        (PacketType::PubRec, sent),
        (PacketType::PubRel, 7),
    ] {
        link.sends_ack(answer, identifier);
    }
    let mut ended = [link.expects_any(), link.expects_any()]
        .map(|frame| (frame.packet_type() as u8, frame.identifier()));
    ended.sort_unstable();
    assert_eq!(
        ended,
        [
            (PacketType::PubRel as u8, sent),
            (PacketType::PubComp as u8, 7)
        ]
    );
}

#[test]
fn a_damaged_file_is_a_session_that_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session");
    std::fs::write(&file, b"something else").expect("written");
    let peer = Peer::new();
    let device = Device::start(options(&peer, &file));
    let (_link, connect) = accept(&peer, false);
    assert!(!is_clean(&connect));
    device.connected();
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::new();
    let error = mqtt_std::new(options(&peer, folder.path())).expect_err("a directory");
    assert!(matches!(error, OptionsError::File { .. }), "{error}");
}
