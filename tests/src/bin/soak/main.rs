//! Traffic over links that are cut every few seconds, for as long as wanted: `soak SECONDS`.
//!
//! A real mosquitto; for each version of MQTT a device, whose link goes through a proxy, and the application that it
//! talks to. At the end nothing may be lost or doubled beyond what its quality of service allows, and neither memory nor
//! descriptors of this process may have grown: brokers apart, all of it lies in here.

mod ledger;
mod traffic;
mod vitals;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use mqtt_core::codec::Version;
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};
use mqtt_tests::proxy::Proxy;

use traffic::Lane;
use vitals::Vitals;

/// The longest time without a cut, in milliseconds; the shortest is a third of it.
const CUT_EVERY_MS: u64 = 3000;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let seconds = std::env::args().nth(1).context("usage: soak SECONDS")?;
    let time = Duration::from_secs(seconds.parse().context("a number of seconds")?);
    let broker = Mosquitto::start(Setup::default());
    let port = broker.port(Listener::Plain);
    let proxy = Proxy::start(port);
    let lanes = [
        Box::pin(Lane::start(Version::V3_1_1, proxy.port(), port)).await?,
        Box::pin(Lane::start(Version::V5, proxy.port(), port)).await?,
    ];

    let start = Instant::now();
    let mut vitals = Vitals::default();
    let mut cuts = 0_u32;
    // Spread as a fixed sequence does, so that two runs are alike.
    let mut pause_ms = CUT_EVERY_MS;
    while start.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        for lane in &lanes {
            lane.connected().await?;
        }
        vitals.sample(start.elapsed().as_secs_f64() / time.as_secs_f64())?;
        proxy.cut();
        cuts += 1;
        pause_ms = CUT_EVERY_MS / 3 + (pause_ms * 7919 + 104_729) % (CUT_EVERY_MS * 2 / 3);
    }

    println!(
        "{} s, {cuts} cuts, mosquitto, MQTT 3.1.1 and 5\n",
        time.as_secs()
    );
    println!(
        "{:<24}{:>9}{:>10}{:>8}{:>8}",
        "", "sent", "arrived", "again", "lost"
    );
    let mut faults = Vec::new();
    for lane in lanes {
        faults.extend(Box::pin(lane.finish()).await?);
    }
    faults.extend(vitals.judge());
    println!("\n{vitals}");
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    println!("nothing lost, nothing doubled, nothing grown");
    Ok(())
}
