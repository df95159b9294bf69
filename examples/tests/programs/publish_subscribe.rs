//! `publish` and `subscribe` together, over an embedded broker.

use std::net::TcpListener;

use examples::broker::EmbeddedBroker;
use mqtt_tests::proxy::Proxy;

use crate::program::Program;
use crate::simulator::{assert_fails, assert_succeeded, simulator};

const SUBSCRIBE: &str = env!("CARGO_BIN_EXE_subscribe");
const PUBLISH: &str = env!("CARGO_BIN_EXE_publish");
const DURABLE: &str = env!("CARGO_BIN_EXE_durable");
const BLOCKING: &str = env!("CARGO_BIN_EXE_blocking");
const REQUEST_RESPONSE: &str = env!("CARGO_BIN_EXE_request-response");

/// A broker that lives as long as the runtime.
fn broker() -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(EmbeddedBroker::start()).unwrap().url();
    (runtime, url)
}

fn publish(url: &str, arguments: &[&str], input: &[u8]) {
    let ended =
        Program::start_with_input(PUBLISH, &[&["--url", url], arguments].concat(), input).end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn each_line_of_the_input_is_a_message() {
    for version in ["3.1.1", "5"] {
        let (_runtime, url) = broker();
        // Retained, so that it does not matter who is first.
        publish(
            &url,
            &["-t", "lines/ready", "-m", "yes", "-r", "-q", "1"],
            b"",
        );
        let arguments = [
            "--url",
            &url,
            "--version",
            version,
            "-t",
            "lines/#",
            "-q",
            "2",
            "-v",
        ];
        let subscriber = Program::start(SUBSCRIBE, &arguments);
        assert_eq!(subscriber.line_with("ready"), "lines/ready yes");
        publish(
            &url,
            &["--version", version, "-t", "lines/1", "-l", "-q", "2"],
            b"one\ntwo\n\nlast",
        );
        assert_eq!(subscriber.line_with("lines/1"), "lines/1 one");
        assert_eq!(subscriber.line_with("lines/1"), "lines/1 two");
        assert_eq!(subscriber.line_with("lines/1"), "lines/1 ");
        assert_eq!(subscriber.line_with("lines/1"), "lines/1 last");
        subscriber.interrupt();
        assert!(subscriber.end().status.success());
    }
}

#[test]
fn files_larger_than_any_buffer_arrive_whole() {
    let (_runtime, url) = broker();
    let text = "0123456789 bottles ".repeat(20_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    publish(
        &url,
        &[
            "-t",
            "big",
            "-r",
            "-q",
            "1",
            "-f",
            file.path().to_str().unwrap(),
        ],
        b"",
    );
    let ended = Program::start(SUBSCRIBE, &["--url", &url, "-t", "big", "--count", "1"]).end();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    assert!(ended.lines == [text], "{} lines", ended.lines.len());
}

#[test]
fn subscriber_ends_quietly_when_nobody_reads_it() {
    let (_runtime, url) = broker();
    publish(&url, &["-t", "pipe", "-m", "first", "-r", "-q", "1"], b"");
    let mut subscriber = Program::start(SUBSCRIBE, &["--url", &url, "-t", "pipe"]);
    subscriber.line_with("first");
    subscriber.stop_reading();
    // The pipe closes when its reader meets the first line that nobody wants; the line after finds it closed.
    publish(
        &url,
        &["-t", "pipe", "-l", "-q", "1"],
        "more\n".repeat(100).as_bytes(),
    );
    let ended = subscriber.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn failures_are_one_line_and_status_1() {
    let missing = ["--url", "mqtt://127.0.0.1:1", "-t", "x", "-m", "x"];
    for (program, arguments) in [(PUBLISH, &missing[..]), (SUBSCRIBE, &missing[..4])] {
        let ended = Program::start(program, arguments).end();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("connection refused"), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let (_runtime, url) = broker();
    let bad_topic = ["--url", &url, "-t", "a/#", "-m", "x"];
    assert_fails(PUBLISH, &bad_topic, "cannot publish on a/#");
}

#[test]
fn ctrl_c_ends_a_program_whose_broker_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", silent.local_addr().unwrap());
    for (program, arguments) in [
        (PUBLISH, &["--url", &url, "-t", "x", "-m", "x"][..]),
        (SUBSCRIBE, &["--url", &url, "-t", "x"]),
    ] {
        let program = Program::start(program, arguments);
        let _link = silent.accept().unwrap();
        program.interrupt();
        assert_succeeded(&program.end());
    }
}

#[test]
fn subscriber_tells_that_its_link_was_lost_and_is_back() {
    let (runtime, _) = broker();
    let broker = runtime.block_on(EmbeddedBroker::start()).unwrap();
    let proxy = Proxy::start(broker.port());
    publish(
        &broker.url(),
        &["-t", "link", "-m", "kept", "-r", "-q", "1"],
        b"",
    );
    let url = format!("mqtt://127.0.0.1:{}", proxy.port());
    let subscriber = Program::start(SUBSCRIBE, &["--url", &url, "-t", "link"]);
    subscriber.line_with("kept");
    proxy.cut();
    // Retained, it comes with each subscription.
    subscriber.line_with("kept");
    subscriber.interrupt();
    let ended = subscriber.end();
    let said: Vec<_> = ended.stderr.lines().collect();
    let [lost, "link: connected"] = said[..] else {
        panic!("{ended:?}");
    };
    assert!(lost.contains("; next attempt in "), "{lost}");
}

#[test]
fn blocking_client_hears_itself() {
    let (_runtime, url) = broker();
    for version in ["3.1.1", "5"] {
        let ended = Program::start(BLOCKING, &["--url", &url, "--version", version]).end();
        assert!(ended.status.success(), "{ended:?}");
        let received: Vec<_> = ended
            .lines
            .iter()
            .filter(|line| line.starts_with("received"))
            .collect();
        assert_eq!(received, ["received one", "received two", "received three"]);
    }
}

#[test]
fn requests_are_answered() {
    let ended = Program::start(REQUEST_RESPONSE, &["7", "-3", "100000"]).end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        ended.lines,
        [
            "7 squared is 49",
            "-3 squared is 9",
            "100000 squared is 10000000000"
        ]
    );
}

#[test]
fn a_durable_message_that_cannot_be_sent_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let file = outbox.to_str().unwrap();
    let (_simulator, url) = simulator("losant");
    let arguments = |topic| ["--url", &url, "-t", topic, "--outbox", file];
    let refused = format!("broker {} refused: not authorized", &url["mqtt://".len()..]);
    assert_fails(DURABLE, &arguments("x"), &refused);

    std::fs::write(&outbox, "something else").unwrap();
    assert_fails(DURABLE, &arguments("x"), "not the file of an outbox");
}

#[test]
fn what_was_taken_in_without_a_broker_arrives_in_a_later_run() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let outbox = outbox.to_str().unwrap();
    let arguments = |url| ["--url", url, "-t", "kept", "--outbox", outbox];
    // Nobody listens on the port of a broker that has gone.
    let gone = broker().1;
    let program = Program::start_with_input(DURABLE, &arguments(&gone), b"one\ntwo\n");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::fs::metadata(outbox).map_or(0, |file| file.len()) < 50 {
        assert!(std::time::Instant::now() < deadline, "nothing is written");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    program.interrupt();
    assert!(program.end().status.success());

    let (_runtime, url) = broker();
    publish(
        &url,
        &["-t", "kept/ready", "-m", "yes", "-r", "-q", "1"],
        b"",
    );
    let subscriber = Program::start(SUBSCRIBE, &["--url", &url, "-t", "kept/#", "-v"]);
    assert_eq!(subscriber.line_with("ready"), "kept/ready yes");
    let ended = Program::start_with_input(DURABLE, &arguments(&url), b"three").end();
    assert!(ended.status.success(), "{ended:?}");
    for expected in ["kept one", "kept two", "kept three"] {
        assert_eq!(subscriber.line_with("kept "), expected);
    }
    subscriber.interrupt();
    assert!(subscriber.end().status.success());
}
