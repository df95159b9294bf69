//! A process with a durable outbox is killed in traffic, again and again: what it has accepted arrives.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mqtt_core::codec::{Packet, PacketType, QoS};
use mqtt_tests::peer::{Frame, LIMIT, Link, Next, Peer};

const KILLS: u32 = 200;

/// The numbers that arrived, repetitions included.
type Arrived = Arc<Mutex<Vec<u32>>>;

/// A server without memory, one link after the other. It takes MQTT 5 for granted.
fn serve(peer: &Peer, arrived: &Arrived, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let Some(mut link) = peer.accept_within(Duration::from_millis(50)) else {
            continue;
        };
        while let Some(frame) = next(&mut link, done) {
            match frame.packet() {
                Packet::Connect(_) => link.sends_connack(false),
                Packet::Publish(publish) => {
                    let number = std::str::from_utf8(publish.payload).expect("digits");
                    let mut arrived = arrived.lock().expect("no panic");
                    arrived.push(number.parse().expect("a number"));
                    let answer = match publish.qos {
                        QoS::ExactlyOnce => PacketType::PubRec,
                        _ => PacketType::PubAck,
                    };
                    link.sends_ack(answer, frame.identifier());
                }
                Packet::PubRel(_) => link.sends_ack(PacketType::PubComp, frame.identifier()),
                Packet::Disconnect(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What comes next, if the link is not over.
fn next(link: &mut Link, done: &AtomicBool) -> Option<Frame> {
    loop {
        match link.next_within(Duration::from_millis(50)) {
            Next::Frame(frame) => return Some(frame),
            Next::Silence if !done.load(Ordering::Relaxed) => {}
            _ => return None,
        }
    }
}

fn start(port: u16, file: &Path, first: Option<u32>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_outbox"))
        .arg(port.to_string())
        .arg(file)
        .args(first.map(|first| first.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// What a life has accepted: all lines that it wrote in full.
fn accepted_by(mut child: Child) -> Vec<u32> {
    let mut text = String::new();
    let stdout = child.stdout.as_mut().expect("piped");
    stdout.read_to_string(&mut text).expect("digits");
    child.wait().expect("an end");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect()
}

#[test]
fn what_a_process_had_accepted_before_it_was_killed_arrives_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("outbox");
    let peer = Peer::new();
    let port = peer.port();
    let arrived = Arrived::default();
    let done = Arc::new(AtomicBool::new(false));
    let server = thread::spawn({
        let (arrived, done) = (arrived.clone(), done.clone());
        move || serve(&peer, &arrived, &done)
    });

    let begin = Instant::now();
    let mut accepted = Vec::new();
    let mut lot = 1_u32;
    for _ in 0..KILLS {
        let first = accepted.last().map_or(0, |last| last + 1);
        let mut child = start(port, &file, Some(first));
        lot = lot.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Some do not live to connect, others live to fill and drain the store.
        thread::sleep(Duration::from_micros(u64::from(lot >> 15)));
        child.kill().expect("it runs");
        accepted.extend(accepted_by(child));
    }
    let lives = begin.elapsed();

    let mut last = start(port, &file, None);
    let deadline = Instant::now() + LIMIT;
    while last.try_wait().expect("a child").is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    // No effect if it has ended.
    last.kill().expect("a child");
    assert!(
        last.wait().expect("an end").success(),
        "the rest is not delivered"
    );
    done.store(true, Ordering::Relaxed);
    server.join().expect("no panic");

    let mut first_arrivals = Vec::new();
    let arrived = arrived.lock().expect("no panic");
    for number in arrived.iter() {
        if first_arrivals.last().is_none_or(|last| number > last) {
            first_arrivals.push(*number);
        } else {
            // A repetition: it came before. Were it late, it would be missing here.
            assert!(
                first_arrivals.binary_search(number).is_ok(),
                "{number} came late"
            );
        }
    }
    let missing = accepted
        .iter()
        .find(|number| first_arrivals.binary_search(number).is_err());
    assert_eq!(missing, None);
    println!(
        "{KILLS} kills in {lives:?}: {} accepted, {} arrived, {} of them again",
        accepted.len(),
        first_arrivals.len(),
        arrived.len() - first_arrivals.len()
    );
    assert!(accepted.len() > 1_000, "{} accepted", accepted.len());
}
