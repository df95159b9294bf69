//! The device against a server at the other end of a pipe. The clock leaps to the next deadline.

#![allow(clippy::large_futures, reason = "a test has the stack of a PC")]

#[path = "../../../app/tests/device/pipe.rs"]
mod pipe;
#[path = "../../../app/tests/device/platform.rs"]
mod platform;
mod server;
mod store;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use firmware_thingsboard::{Sensor, Settings, TRIAL_MS, options, run};
use mqtt_core::{
    client::{Shared, new},
    platform::thingsboard::update::{Package, UpdateOptions},
    session::Slot,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use pipe::{Links, pipes};
use platform::Platform;
use server::{Link, Message, accept, refuse};
use store::Flash;

const TELEMETRY: &str = "v1/devices/me/telemetry";
const ATTRIBUTES: &str = "v1/devices/me/attributes";
const CHUNK_LEN: usize = 256;

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

/// Runs version `version` of the device beside a script, which ends the test. The script is told when the device is to
/// restart.
async fn with_device(
    version: &'static str,
    flash: &Flash,
    script: impl AsyncFnOnce(Links, &Notify),
) {
    let (links, mut connector) = pipes();
    let options = options("token").unwrap();
    let buffer = |len| vec![0; len].into_boxed_slice();
    let slots = vec![Slot::FREE; 24].into_boxed_slice();
    let shared: Shared<Platform> =
        Shared::new(buffer(1024), buffer(1024), slots, buffer(256), &options).unwrap();
    let handles = new::<Platform>(Arc::new(shared));
    let settings = Settings {
        update: UpdateOptions {
            chunk_len: u32::try_from(CHUNK_LEN).unwrap(),
            ..UpdateOptions::new(Package::Firmware, "thermostat", version)
        },
        interval_s: 10,
    };
    let restart = Notify::new();
    let life = async {
        let (store, trial) = (flash.clone(), flash.clone());
        run(
            handles,
            &mut connector,
            &options,
            &settings,
            Counter(0),
            store,
            trial,
        )
        .await;
        restart.notify_one();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = life => {}
        done = timeout(Duration::from_hours(1), script(links, &restart)) => done.expect("the script ends"),
    }
}

/// The same on a new board, whose device has connected.
async fn with_link(script: impl AsyncFnOnce(Link, &Notify)) {
    with_device("1.0", &Flash::default(), async |mut links, restart| {
        let (link, _) = accept(&mut links).await;
        script(link, restart).await;
    })
    .await;
}

fn json_of(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}

#[test]
fn a_token_that_cannot_be_is_refused() {
    assert!(options("").is_err());
}

#[tokio::test(start_paused = true)]
async fn it_subscribes_what_the_server_grants() {
    with_device("1.0", &Flash::default(), async |mut links, _| {
        let (_, filters) = accept(&mut links).await;
        assert_eq!(
            filters,
            [
                "v1/devices/me/attributes",
                "v1/devices/me/attributes/response/+",
                "v1/devices/me/rpc/request/+",
                "v2/fw/response/+/chunk/+",
                "v2/fw/error",
            ]
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_introduces_itself_and_asks_for_its_settings() {
    with_link(async |mut link, _| {
        let own = json_of(&link.message(ATTRIBUTES).await);
        assert_eq!(own, json!({"firmware": "1.0", "interval": 10}));
        let request = link.message("v1/devices/me/attributes/request/1").await;
        assert_eq!(json_of(&request), json!({"sharedKeys": "interval"}));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_reports_at_once_and_then_at_its_interval() {
    with_link(async |mut link, _| {
        assert_eq!(reading(&mut link).await, 1);
        for _ in 0..3 {
            assert_eq!(next_reading_after(&mut link).await, Duration::from_secs(10));
        }
    })
    .await;
}

/// The next reading. What the update tells of itself is telemetry, too.
async fn reading(link: &mut Link) -> u64 {
    loop {
        if let Some(count) = json_of(&link.message(TELEMETRY).await)["count"].as_u64() {
            return count;
        }
    }
}

/// How long it takes to the next reading.
async fn next_reading_after(link: &mut Link) -> Duration {
    let begin = Instant::now();
    reading(link).await;
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_shared_attribute_changes_the_interval() {
    with_link(async |mut link, _| {
        reading(&mut link).await;
        link.send(ATTRIBUTES, br#"{"interval":2,"colour":"red"}"#)
            .await;
        while json_of(&link.message(ATTRIBUTES).await)["interval"] != 2 {}
        assert_eq!(next_reading_after(&mut link).await, Duration::from_secs(2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_set_while_it_was_away_is_taken_over() {
    with_link(async |mut link, _| {
        link.message("v1/devices/me/attributes/request/1").await;
        let response = "v1/devices/me/attributes/response/1";
        link.send(response, br#"{"shared":{"interval":3}}"#).await;
        while json_of(&link.message(ATTRIBUTES).await)["interval"] != 3 {}
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_cannot_be_is_ignored() {
    with_link(async |mut link, _| {
        reading(&mut link).await;
        for interval in ["0", "86401", "-1", "0.5", "\"2\"", "null"] {
            let payload = format!("{{\"interval\":{interval}}}");
            link.send(ATTRIBUTES, payload.as_bytes()).await;
        }
        link.send(ATTRIBUTES, b"no JSON").await;
        assert_eq!(next_reading_after(&mut link).await, Duration::from_secs(10));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_the_interval_does_not_put_off_the_reading() {
    with_link(async |mut link, _| {
        reading(&mut link).await;
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs(6)).await;
        link.send(ATTRIBUTES, br#"{"interval":10}"#).await;
        reading(&mut link).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_obeyed_and_answered() {
    with_link(async |mut link, _| {
        let set = br#"{"method":"setInterval","params":{"seconds":5}}"#;
        assert_eq!(call(&mut link, 7, set).await, json!({"done": true}));
        reading(&mut link).await;
        assert_eq!(next_reading_after(&mut link).await, Duration::from_secs(5));
        for wrong in [
            &br#"{"method":"setInterval","params":{"seconds":0}}"#[..],
            br#"{"method":"setInterval","params":{}}"#,
            br#"{"method":"dance","params":{}}"#,
        ] {
            assert!(call(&mut link, 8, wrong).await["error"].is_string());
        }
    })
    .await;
}

async fn call(link: &mut Link, id: u32, request: &[u8]) -> Value {
    let topic = format!("v1/devices/me/rpc/request/{id}");
    link.send(&topic, request).await;
    json_of(&link.message(&topic.replace("request", "response")).await)
}

#[tokio::test(start_paused = true)]
async fn a_call_to_restart_is_answered_first() {
    with_link(async |mut link, restart| {
        let answer = call(&mut link, 1, br#"{"method":"restart","params":{}}"#).await;
        assert_eq!(answer, json!({"done": true}));
        while link.any_message().await.is_some() {}
        restart.notified().await;
    })
    .await;
}

fn image() -> Vec<u8> {
    (b'a'..=b'y').cycle().take(1_000).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Offers version 2.0 to whoever asks, and answers requests of chunks, until the device reports `last`. What it has
/// reported up to then.
async fn offer(link: &mut Link, checksum: &str, last: &str) -> Vec<String> {
    let image = image();
    let offer = json!({"shared": {
        "fw_title": "thermostat", "fw_version": "2.0", "fw_size": image.len(),
        "fw_checksum_algorithm": "SHA256", "fw_checksum": checksum,
    }});
    let mut reported = Vec::new();
    while reported.last().is_none_or(|state| state != last) {
        let message = link.any_message().await.expect("a link");
        let topic = message.topic.replace("request", "response");
        if topic == TELEMETRY {
            let state = json_of(&message)["fw_state"].as_str().map(str::to_owned);
            reported.extend(state);
        } else if message.payload.contains("fw_title") {
            link.send(&topic, offer.to_string().as_bytes()).await;
        } else if let Some((_, index)) = topic.split_once("/chunk/") {
            let chunk = image.chunks(CHUNK_LEN).nth(index.parse().unwrap());
            link.send(&topic, chunk.unwrap()).await;
        }
    }
    reported
}

#[tokio::test(start_paused = true)]
async fn new_firmware_is_fetched_checked_and_activated_and_reports_itself_after_the_restart() {
    let flash = Flash::default();
    with_device("1.0", &flash, async |mut links, restart| {
        let (mut link, _) = accept(&mut links).await;
        let reported = offer(&mut link, &sha256(&image()), "UPDATING").await;
        assert_eq!(
            reported,
            ["DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING"]
        );
        restart.notified().await;
    })
    .await;
    assert_eq!(flash.log(), ["write", "activate"]);
    assert_eq!(flash.0.borrow().image, image());
    with_device("2.0", &flash, async |mut links, _| {
        let (mut link, _) = accept(&mut links).await;
        let reported = offer(&mut link, &sha256(&image()), "UPDATED").await;
        assert_eq!(reported, ["UPDATED"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn firmware_with_a_wrong_checksum_is_reported_and_not_activated() {
    let flash = Flash::default();
    with_device("1.0", &flash, async |mut links, _| {
        let (mut link, _) = accept(&mut links).await;
        let reported = offer(&mut link, &sha256(b"another"), "FAILED").await;
        assert_eq!(reported, ["DOWNLOADING", "DOWNLOADED", "FAILED"]);
        // It goes on as it was.
        reading(&mut link).await;
    })
    .await;
    assert_eq!(flash.log(), ["write"]);
}

#[tokio::test(start_paused = true)]
async fn firmware_that_went_back_to_the_one_before_is_reported_as_failed() {
    let flash = Flash::default();
    for last in ["UPDATING", "FAILED"] {
        // The second time it is the old firmware again.
        with_device("1.0", &flash, async |mut links, _| {
            let (mut link, _) = accept(&mut links).await;
            offer(&mut link, &sha256(&image()), last).await;
        })
        .await;
    }
}

fn on_trial() -> Flash {
    let flash = Flash::default();
    flash.0.borrow_mut().is_on_trial = true;
    flash
}

#[tokio::test(start_paused = true)]
async fn firmware_on_trial_passes_before_it_writes_over_the_one_before() {
    let flash = on_trial();
    with_device("1.0", &flash, async |mut links, restart| {
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert!(flash.log().is_empty());
        links.forget();
        let (mut link, _) = accept(&mut links).await;
        offer(&mut link, &sha256(&image()), "UPDATING").await;
        restart.notified().await;
    })
    .await;
    assert_eq!(flash.log(), ["pass", "write", "activate"]);
}

#[tokio::test(start_paused = true)]
async fn firmware_on_trial_stays_when_the_link_is_lost_later() {
    with_device("1.0", &on_trial(), async |mut links, _| {
        let link = accept(&mut links).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(link);
        tokio::time::sleep(Duration::from_millis((2 * TRIAL_MS).into())).await;
        links.forget();
        reading(&mut accept(&mut links).await.0).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn firmware_that_cannot_reach_its_server_is_given_up() {
    let flash = on_trial();
    let begin = Instant::now();
    with_device("1.0", &flash, async |links, restart| {
        drop(links);
        restart.notified().await;
    })
    .await;
    assert_given_up(begin, &flash);
}

#[tokio::test(start_paused = true)]
async fn firmware_that_its_server_refuses_is_given_up() {
    let flash = on_trial();
    let begin = Instant::now();
    with_device("1.0", &flash, async |mut links, restart| {
        tokio::select! {
            () = async { loop { refuse(&mut links).await } } => {}
            () = restart.notified() => {}
        }
    })
    .await;
    assert_given_up(begin, &flash);
}

fn assert_given_up(begin: Instant, flash: &Flash) {
    let trial = Duration::from_millis(TRIAL_MS.into());
    assert!(begin.elapsed() >= trial, "{:?}", begin.elapsed());
    assert!(
        begin.elapsed() < trial + Duration::from_secs(90),
        "{:?}",
        begin.elapsed()
    );
    assert!(flash.log().is_empty());
}
