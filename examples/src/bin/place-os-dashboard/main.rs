//! A dashboard that follows a building of PlaceOS: read-only, by filters with wildcards.
//!
//! On a terminal it draws what the modules of all systems report, elsewhere it prints a line for each change. Without
//! `--url` it brings a simulated PlaceOS with a small building, so that it works without an account.

mod arguments;
mod building;
mod demonstration;
mod view;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use examples::arguments::without_user;
use examples::ending::{self, Interrupt};
use examples::link;
use examples::simulator::{PlatformSimulator, said};
use mqtt_std::platform::place_os::{MetadataTopic, ReadError};
use mqtt_std::{Client, Inbox, LinkState, Options, QoS, Received};
use tokio::time::{MissedTickBehavior, interval};

use crate::arguments::{Account, Arguments};
use crate::building::Building;
use crate::demonstration::Demonstration;
use crate::view::View;

/// The whole retained state arrives at once: it is drawn this often, not for each message.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    ending::run(run(Arguments::parse()))
}

/// Follows until `--count` is reached, Ctrl-C, or a failure that no reconnect can mend.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::catch().context("cannot catch Ctrl-C")?;
    let (account, mut simulator) = match arguments.account() {
        Some(account) => (account, None),
        None => {
            let simulator = demonstration::simulator()?;
            (Account::simulated(simulator.address())?, Some(simulator))
        }
    };
    let options = options(&arguments, &account)?;
    let (client, mut inbox, mut link) = tokio::select! {
        connected = link::connect(&options) => connected?,
        () = interrupt.wait() => return Ok(()),
    };
    let filter = arguments.filter()?;
    let mut view = View::new(&format!("{} on {}", filter, without_user(&account.url)));
    let ended = tokio::select! {
        followed = follow(&client, &mut inbox, &mut view, &mut simulator, &arguments) => followed,
        refused = keep_subscribed(&client, &filter) => refused,
        error = link.ended() => Err(error),
        () = interrupt.wait() => Ok(()),
    };
    drop(inbox);
    link.close().await;
    ended
}

fn options(arguments: &Arguments, account: &Account) -> anyhow::Result<Options> {
    let client_id = format!("dashboard-{}", std::process::id());
    let preset = account.preset(&client_id)?;
    let mut options = Options::from_url(&account.url)?.preset(&preset);
    if let Some(file) = &arguments.ca_file {
        options = options.ca_file(file);
    }
    Ok(options)
}

/// Subscribes on each new link; `Options::subscribe` does so too, but the user wants to know what is refused.
async fn keep_subscribed(client: &Client, filter: &str) -> anyhow::Result<()> {
    let mut state = client.state();
    loop {
        if matches!(state, LinkState::Connected { .. }) {
            // The names first, so that they are known when they are needed.
            for filter in [MetadataTopic::FILTER, filter] {
                let granted = client.subscribe(filter, QoS::AtMostOnce).await;
                granted.with_context(|| format!("cannot subscribe to {filter}"))?;
            }
        }
        state = client.state_change(state).await;
    }
}

async fn follow(
    client: &Client,
    inbox: &mut Inbox,
    view: &mut View,
    simulator: &mut Option<PlatformSimulator>,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let mut building = Building::default();
    let mut demonstration = Demonstration::new();
    let mut link = LinkState::Idle;
    let mut redraw = interval(REDRAW_EVERY);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = 0;
    while arguments.count.is_none_or(|count| seen < count) {
        tokio::select! {
            state = client.state_change(link) => {
                link = state;
                view.link(state)?;
            }
            received = inbox.next() => {
                let change = take(&mut building, &received?, arguments);
                seen += u64::from(change.is_state);
                view.change(&change.text)?;
            }
            said = said(simulator) => view.simulator_said(&said)?,
            _ = redraw.tick() => view.draw(&building)?,
            () = demonstration.due() => if let Some(simulator) = simulator {
                demonstration.go_on(simulator)?;
            },
        }
    }
    view.draw(&building)?;
    Ok(())
}

/// A change in words, empty if there is nothing to say.
struct Change {
    text: String,
    is_state: bool,
}

fn take(building: &mut Building, received: &Received<'_>, arguments: &Arguments) -> Change {
    let ignored = |why: String| Change {
        text: format!("ignored {}: {why}", received.topic().as_str()),
        is_state: false,
    };
    if !received.is_whole() {
        return ignored(format!("{} bytes are too long", received.total_len()));
    }
    match building.take_state(received, arguments.has_region()) {
        Ok(Some(text)) => {
            return Change {
                text,
                is_state: true,
            };
        }
        Ok(None) => {}
        Err(error @ (ReadError::Levels | ReadError::ModuleIndex)) => {
            let other = if arguments.has_region() {
                "with"
            } else {
                "without"
            };
            return ignored(format!("{error}; try {other} --no-region"));
        }
        Err(error) => return ignored(error.to_string()),
    }
    match building.take_metadata(received) {
        Ok(()) => Change {
            text: String::new(),
            is_state: false,
        },
        Err(error) => ignored(error.to_string()),
    }
}
