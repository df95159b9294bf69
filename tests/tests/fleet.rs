//! A thousand devices in one process, whose broker goes away and comes back.
//!
//! Feature `brokers`, because mosquitto must be installed; without it this test fails. Alone in its process, so that the
//! memory it measures is that of the devices.

use std::fs;
use std::iter::repeat_n;
use std::time::{Duration, Instant};

use mqtt_std::{Client, Inbox, LinkState, Message, Options, QoS, Reconnect};
use mqtt_tests::mosquitto::{Listener, Mosquitto, Setup};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const DEVICES: usize = 1000;

/// Descriptors: one per device here and in the broker, which inherits the limit.
const DESCRIPTORS: u64 = DEVICES as u64 + 200;

/// How many devices may try again within one slot of 100 ms when a second is the longest first pause: it is a tenth of
/// them on average, and by chance never a sixth.
const TRY_AGAIN: usize = DEVICES / 6;

/// How many may be back within one slot: a busy machine that stands still for a while takes some at once.
const COME_BACK: usize = DEVICES / 2;

const SLOT: Duration = Duration::from_millis(100);

/// Memory of one device, with its buffers, in a build without optimisation.
const KIB_PER_DEVICE: u64 = 24;

const LIMIT: Duration = Duration::from_secs(30);

struct Member {
    client: Client,
    /// Tells when it was to try again first, and when it was back.
    watching: JoinHandle<[Instant; 2]>,
    /// Kept, so that messages are for somebody.
    inbox: Inbox,
}

#[test]
fn a_thousand_devices_come_back_one_by_one() {
    raise_limit();
    let mut broker = Mosquitto::start(Setup::default());
    let runtime = Runtime::new().expect("a runtime");
    let before_kib = memory_kib();
    let members: Vec<_> = (0..DEVICES)
        .map(|number| runtime.block_on(async { member(broker.port(Listener::Plain), number) }))
        .collect();
    for member in &members {
        wait(&runtime, member.client.connected()).expect("a connection");
    }
    let each_kib = (memory_kib() - before_kib) / DEVICES as u64;

    let killed = Instant::now();
    broker.kill();
    broker.start_again();
    let (mut clients, mut first_attempts, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        let [attempt, back] = wait(&runtime, member.watching).expect("no panic");
        first_attempts.push(attempt - killed);
        returns.push(back - killed);
        clients.push((member.client, member.inbox));
    }
    println!("{each_kib} KiB for each device");
    println!(
        "first attempts after the broker ended:\n{}",
        chart(&first_attempts)
    );
    println!("back:\n{}", chart(&returns));
    assert!(largest(&first_attempts) <= TRY_AGAIN, "no jitter");
    assert!(largest(&returns) <= COME_BACK, "all at once");
    assert!(each_kib <= KIB_PER_DEVICE, "{each_kib} KiB for each device");
    // All of them work.
    for (client, _) in &clients {
        let message = Message::new("fleet", b"here").at_least_once();
        let mut delivery = wait(&runtime, client.publish(&message)).expect("room");
        wait(&runtime, delivery.acknowledged()).expect("acknowledged");
        assert_eq!(client.report().session.connections, 2);
    }
}

fn member(port: u16, number: usize) -> Member {
    let options = Options::new("127.0.0.1")
        .port(port)
        .client_id(format!("device-{number}"))
        .subscribe(format!("device/{number}"), QoS::AtLeastOnce)
        .reconnect(Reconnect::new())
        .rx_buffer(1024)
        .tx_buffer(1024)
        .wire_buffer(256);
    let (client, inbox, mut runner) = mqtt_std::new(options).expect("good options");
    tokio::spawn(async move { runner.run().await });
    Member {
        watching: tokio::spawn(watch(client.clone())),
        client,
        inbox,
    }
}

/// When the client was to try again after its link had ended, and when it was connected again.
async fn watch(client: Client) -> [Instant; 2] {
    client.connected().await.expect("a connection");
    let mut state = client.state();
    let mut attempt = None;
    loop {
        state = client.state_change(state).await;
        match (state, attempt) {
            (LinkState::Waiting { retry_in_ms, .. }, None) => {
                attempt = Some(Instant::now() + Duration::from_millis(retry_in_ms.into()));
            }
            (LinkState::Connected { .. }, Some(attempt)) => return [attempt, Instant::now()],
            _ => {}
        }
    }
}

fn slots(times: &[Duration]) -> Vec<usize> {
    let mut slots = Vec::new();
    for time in times {
        let slot = usize::try_from(time.as_millis() / SLOT.as_millis()).expect("a small number");
        if slots.len() <= slot {
            slots.resize(slot + 1, 0);
        }
        slots[slot] += 1;
    }
    slots
}

/// The number of devices in the fullest slot.
fn largest(times: &[Duration]) -> usize {
    slots(times).into_iter().max().unwrap_or_default()
}

fn chart(times: &[Duration]) -> String {
    let slots = slots(times).into_iter().enumerate();
    let lines = slots.map(|(slot, count)| {
        let bar: String = repeat_n('#', count / 5).collect();
        format!("{:>6} ms {count:>4} {bar}\n", slot * 100)
    });
    lines.collect()
}

fn wait<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let result = runtime.block_on(async { timeout(LIMIT, future).await });
    result.expect("in time")
}

fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < DESCRIPTORS) {
        limit.current = Some(DESCRIPTORS);
        setrlimit(Resource::Nofile, limit).expect("as many descriptors as devices");
    }
}

fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().next());
    value.expect("VmRSS").parse().expect("a number")
}
