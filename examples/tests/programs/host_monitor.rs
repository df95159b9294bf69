//! The main job.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use examples::broker::EmbeddedBroker;

use crate::program::{Ended, Program};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::Notify;

const HOST_MONITOR: &str = env!("CARGO_BIN_EXE_host-monitor");
const SUBSCRIBE: &str = env!("CARGO_BIN_EXE_subscribe");
const PUBLISH: &str = env!("CARGO_BIN_EXE_publish");

fn acknowledged(lines: &[String]) -> usize {
    let report = |line: &&String| {
        line.contains("  #") && line.contains("acknowledged") && line.contains(" ms")
    };
    lines.iter().filter(report).count()
}

fn assert_fails_with(ended: &Ended, text: &str) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    assert!(ended.stderr.contains(text), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

#[test]
fn ends_after_the_wanted_number_of_acknowledged_reports() {
    for version in ["3.1.1", "5"] {
        let arguments = ["--count", "2", "--interval", "0.05", "--version", version];
        let ended = Program::start(HOST_MONITOR, &arguments).end();
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stderr, "");
        assert_eq!(acknowledged(&ended.lines), 2, "{ended:?}");
        let summary = ended.lines.last().unwrap();
        assert!(
            summary.starts_with("2 reports sent, 2 acknowledged, round trip "),
            "{summary}"
        );
    }
}

#[test]
fn unreachable_broker_is_one_line_and_status_1() {
    let ended = Program::start(
        HOST_MONITOR,
        &["--broker", "mqtt://127.0.0.1:1", "--count", "1"],
    )
    .end();
    assert_fails_with(&ended, "127.0.0.1:1");
    assert_fails_with(&ended, "connection refused");
}

#[test]
fn unknown_scheme_is_one_line_and_status_1() {
    let ended = Program::start(HOST_MONITOR, &["--broker", "http://user:secret@127.0.0.1"]).end();
    assert_fails_with(&ended, "http");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
}

#[test]
fn refused_password_is_one_line_and_status_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let broker = thread::spawn(move || {
        let (mut link, _) = listener.accept().unwrap();
        // The first bytes of CONNECT are enough to refuse it: CONNACK, bad user name or password.
        link.read_exact(&mut [0; 10]).unwrap();
        link.write_all(&[0x20, 0x02, 0x00, 0x04]).unwrap();
        // Closing with bytes unread would reset the link, and the answer with it.
        let _ = link.read_to_end(&mut Vec::new());
    });
    let url = format!("mqtt://user:secret@{address}");
    let ended = Program::start(HOST_MONITOR, &["--broker", &url]).end();
    assert_fails_with(&ended, "password");
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    broker.join().unwrap();
}

#[test]
fn others_see_reports_and_give_commands() {
    let monitor = Program::start(HOST_MONITOR, &["--topic", "plant/7", "--interval", "0.1"]);
    let join = monitor.line_with("--bin subscribe");
    let url = join
        .split_whitespace()
        .find(|word| word.starts_with("mqtt://"))
        .unwrap();
    monitor.line_with("acknowledged");

    let watcher = Program::start(
        SUBSCRIBE,
        &["--url", url, "-t", "plant/7/#", "-v", "-q", "1"],
    );
    assert_eq!(
        watcher.line_with("plant/7/presence"),
        "plant/7/presence online"
    );
    let report = watcher.line_with("plant/7/report");
    let report: serde_json::Value =
        serde_json::from_str(report.split_once(' ').unwrap().1).unwrap();
    assert!(
        report["reading"]["memory"]["total"].as_u64().unwrap() > 0,
        "{report}"
    );

    let command = |text: &str| {
        Program::start(
            PUBLISH,
            &["--url", url, "-t", "plant/7/command", "-q", "1", "-m", text],
        )
        .end()
    };
    assert!(command("identify").status.success());
    assert!(
        watcher
            .line_with("plant/7/identity")
            .contains("host-monitor")
    );
    assert!(
        command(r#"{"command":"interval","seconds":3600}"#)
            .status
            .success()
    );
    monitor.line_with("command: interval 3600 s");
    assert!(command("dance").status.success());
    monitor.line_with("command ignored");

    monitor.interrupt();
    assert_eq!(watcher.line_with("presence"), "plant/7/presence offline");
    let ended = monitor.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended.lines.last().unwrap().contains("reports sent"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn broken_link_is_shown_and_mended() {
    let broker = EmbeddedBroker::start().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let cut = std::sync::Arc::new(Notify::new());
    let cutter = cut.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(("127.0.0.1", broker.port()))
                .await
                .unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                () = cutter.notified() => {}
            }
        }
    });
    let watched = tokio::task::spawn_blocking(move || {
        let monitor = Program::start(HOST_MONITOR, &["--broker", &url, "--interval", "0.05"]);
        monitor.line_with("acknowledged");
        cut.notify_one();
        monitor.line_with("next attempt in");
        monitor.line_with("link: connected");
        monitor.line_with("acknowledged");
        monitor.interrupt();
        monitor.end()
    });
    let ended = watched.await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
}
