//! The device against a broker at the other end of a pipe. The clock leaps to the next deadline.

#![allow(clippy::large_futures, reason = "a test has the stack of a PC")]

mod broker;
mod pipe;
mod platform;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use firmware_app::{Light, Sensor, Settings, Topics, run};
use mqtt_core::{
    client::{Kind, Shared, new},
    session::Slot,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use broker::{Broker, Message, broker};
use pipe::Pipes;
use platform::Platform;

/// The light of the board as a list of when it was switched, in milliseconds, and how.
type Film = Rc<RefCell<Vec<(u32, bool)>>>;

const SETTINGS: Settings<'_> = Settings {
    client_id: "valve-7",
    topic: "plant/7",
    user_name: Some("valve"),
    password: Some("secret"),
    interval_s: 10,
    board: "a test",
};

/// Counts how often it was read.
struct Counter(u32);

#[derive(Serialize)]
struct Count {
    count: u32,
}

impl Sensor for Counter {
    type Reading = Count;

    async fn read(&mut self) -> Count {
        self.0 += 1;
        Count { count: self.0 }
    }
}

struct Lamp(Film);

impl Light for Lamp {
    async fn set(&mut self, on: bool) {
        self.0.borrow_mut().push((Platform::now().as_millis(), on));
    }
}

/// Runs the device beside a script, which ends the test.
async fn device(mut pipes: Pipes, film: Film, script: impl Future<Output = ()>) {
    let topics = Topics::new(SETTINGS.topic).unwrap();
    let subscriptions = topics.subscriptions().unwrap();
    let options = SETTINGS.options(&topics, &subscriptions).unwrap();
    let buffer = |len| vec![0; len].into_boxed_slice();
    let slots = vec![Slot::FREE; 24].into_boxed_slice();
    let shared: Shared<Platform> =
        Shared::new(buffer(256), buffer(1024), slots, buffer(128), &options).unwrap();
    let handles = new::<Platform>(Arc::new(shared));
    let lamp = Lamp(film);
    tokio::select! {
        _ = run(handles, &mut pipes, &options, &SETTINGS, &topics, Counter(0), lamp) => {}
        done = timeout(Duration::from_hours(1), script) => done.expect("the script ends"),
    }
}

async fn with_broker(script: impl AsyncFnOnce(Broker)) {
    let (broker, pipes) = broker();
    device(pipes, Film::default(), script(broker)).await;
}

fn report(message: &Message) -> Value {
    assert_eq!(message.topic, "plant/7/report");
    assert!(!message.retain);
    serde_json::from_str(&message.payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_says_who_it_is_and_what_is_to_be_said_when_it_is_gone() {
    with_broker(async |mut broker| {
        let (_, hello) = broker.accept().await;
        assert_eq!(hello.client_id, "valve-7");
        let credentials = Some(("valve".to_owned(), "secret".to_owned()));
        assert_eq!(hello.credentials, credentials);
        assert_eq!(hello.will, presence("offline"));
    })
    .await;
}

fn presence(payload: &str) -> Message {
    Message {
        topic: "plant/7/presence".to_owned(),
        payload: payload.to_owned(),
        retain: true,
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_online_after_each_connection() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        assert_eq!(link.message("/presence").await, presence("online"));
        drop(link);
        let mut link = broker.accept_session().await;
        assert_eq!(link.message("/presence").await, presence("online"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_reports_at_once_and_then_at_its_interval() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        let first = report(&link.message("/report").await);
        let expected = json!({ "sequence": 1, "uptime_s": 0, "reading": { "count": 1 } });
        assert_eq!(first, expected);
        for sequence in 2..6 {
            let next = report(&link.message("/report").await);
            assert_eq!(next["sequence"], sequence);
            assert_eq!(next["uptime_s"], (sequence - 1) * 10);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_interval_holds_from_the_moment_of_the_command() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        link.command(r#"{"command":"interval","seconds":3}"#).await;
        let start = Instant::now();
        for _ in 0..3 {
            link.message("/report").await;
        }
        assert_eq!(start.elapsed().as_secs(), 9);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn report_now_does_not_disturb_the_interval() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        link.command("report-now").await;
        for uptime in [4, 10, 20] {
            assert_eq!(report(&link.message("/report").await)["uptime_s"], uptime);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn identify_is_answered_and_flickers() {
    let (mut broker, pipes) = broker();
    let film = Film::default();
    let script = async {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        film.borrow_mut().clear();
        link.command("identify").await;
        let identity = link.message("/identity").await;
        let identity: Value = serde_json::from_str(&identity.payload).unwrap();
        assert_eq!(identity["host"], "valve-7");
        assert_eq!(identity["system"], "a test");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(lengths(&film)[..58], [50; 58]);
    };
    device(pipes, film.clone(), script).await;
}

/// How long each state of the light lasted.
fn lengths(film: &Film) -> Vec<u32> {
    let film = film.borrow();
    film.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_no_command_changes_nothing() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        link.command("reboot").await;
        link.retained_command("report-now").await;
        // Larger than the receive buffer.
        link.command(&"interval 1".repeat(100)).await;
        for uptime in [10, 20] {
            assert_eq!(report(&link.message("/report").await)["uptime_s"], uptime);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_a_long_time_without_link_the_latest_reports_come_later() {
    with_broker(async |mut broker| {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        drop(link);
        tokio::time::sleep(Duration::from_secs(1000)).await;
        broker.forget_missed_links();
        let mut link = broker.accept_session().await;
        let latest = u64::from(Platform::now().as_millis() / 10_000 + 1);
        let mut sequence = report(&link.message("/report").await)["sequence"]
            .as_u64()
            .unwrap();
        assert!((latest - 20..latest - 2).contains(&sequence), "{sequence}");
        while sequence < latest {
            let next = report(&link.message("/report").await);
            sequence += 1;
            assert_eq!(next["sequence"], sequence);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_device_shows_it_and_asks_again() {
    let (mut broker, pipes) = broker();
    let film = Film::default();
    let script = async {
        let (link, _) = broker.accept().await;
        link.refuse().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let shown = lengths(&film);
        assert!(
            shown
                .windows(6)
                .any(|six| six == [100, 200, 100, 200, 100, 1300]),
            "{shown:?}"
        );
        let refused = Instant::now();
        broker.accept_session().await;
        assert!(refused.elapsed() < Duration::from_mins(1));
    };
    device(pipes, film.clone(), script).await;
}

#[tokio::test(start_paused = true)]
async fn the_light_tells_connected_from_waiting() {
    let (mut broker, pipes) = broker();
    let film = Film::default();
    let script = async {
        let mut link = broker.accept_session().await;
        link.message("/report").await;
        film.borrow_mut().clear();
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(lengths(&film)[1..4], [1900, 100, 1900]);
        drop(link);
        drop(broker);
        // Long pauses after many failures.
        tokio::time::sleep(Duration::from_mins(10)).await;
        film.borrow_mut().clear();
        tokio::time::sleep(Duration::from_mins(2)).await;
        let shown = lengths(&film);
        assert!(shown.windows(4).any(|four| four == [500; 4]), "{shown:?}");
    };
    device(pipes, film.clone(), script).await;
}
