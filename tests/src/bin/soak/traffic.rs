//! A device and the application that it talks to, both ways at every quality of service.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mqtt_core::codec::Version;
use mqtt_std::{Client, Delivery, Inbox, Message, Options, QoS};
use mqtt_tests::device::soon;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use super::ledger::Ledger;

const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Between two messages of a sender.
const PACE: Duration = Duration::from_millis(4);

/// How many messages a sender has on their way.
const WINDOW: usize = 32;

/// How long all may take to arrive once nothing is cut any more.
const LIMIT: Duration = Duration::from_secs(30);

/// One version of the protocol.
pub(crate) struct Lane {
    name: &'static str,
    device: Client,
    flows: [Flow; 2],
    stop: Arc<AtomicBool>,
}

/// One direction.
struct Flow {
    name: &'static str,
    sending: JoinHandle<Result<[u32; 3]>>,
    ledgers: Ledgers,
}

type Ledgers = Arc<Mutex<[Ledger; 3]>>;

impl Lane {
    /// Starts device and application, which connect to these ports, and their traffic.
    pub(crate) async fn start(
        version: Version,
        device_port: u16,
        application_port: u16,
    ) -> Result<Self> {
        let name = match version {
            Version::V3_1_1 => "3.1.1",
            Version::V5 => "5",
        };
        let stop = Arc::default();
        let [up, down] = ["up", "down"].map(|way| format!("{way}/{name}"));
        let options = |role, port| {
            Options::new("127.0.0.1")
                .port(port)
                .version(version)
                .client_id(format!("{role} {name}"))
                .clean_session(false)
                .session_expiry_s(3600)
                // A link that is cut again at once says nothing about its messages.
                .poison_after(0)
                .reconnect(soon())
        };
        let device = Box::pin(connect(options("device", device_port), &down)).await?;
        let application = Box::pin(connect(options("application", application_port), &up)).await?;
        let flows = [
            Flow::start("up", &device.0, up, application.1, &stop),
            Flow::start("down", &application.0, down, device.1, &stop),
        ];
        Ok(Self {
            name,
            device: device.0,
            flows,
            stop,
        })
    }

    /// Waits until the device is connected.
    pub(crate) async fn connected(&self) -> Result<()> {
        let connected = timeout(LIMIT, self.device.connected()).await;
        connected.context("the device does not connect")??;
        Ok(())
    }

    /// Ends the traffic and waits until all has arrived; prints what has become of it, and returns what must not be.
    pub(crate) async fn finish(self) -> Result<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut faults = Vec::new();
        for flow in self.flows {
            let Flow {
                name,
                sending,
                ledgers,
            } = flow;
            let sent = sending.await??;
            // What is late is told as lost.
            let _ = timeout(LIMIT, all_arrive(&ledgers, sent)).await;
            let ledgers = ledgers.lock().unwrap_or_else(PoisonError::into_inner);
            for ((qos, ledger), sent) in ALL_QOS.into_iter().zip(&*ledgers).zip(sent) {
                let title = format!("MQTT {} {name}, QoS {}", self.name, qos as u8);
                let Ledger { arrived, again, .. } = ledger;
                let lost = sent - arrived;
                println!("{title:<24}{sent:>9}{arrived:>10}{again:>8}{lost:>8}");
                faults.extend(
                    ledger
                        .faults(qos, sent)
                        .map(|fault| format!("{title}: {fault}")),
                );
            }
        }
        Ok(faults)
    }
}

impl Flow {
    fn start(
        name: &'static str,
        from: &Client,
        topic: String,
        to: Inbox,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        let ledgers = Ledgers::default();
        tokio::spawn(receive(to, ledgers.clone()));
        Self {
            name,
            sending: tokio::spawn(send(from.clone(), topic, stop.clone())),
            ledgers,
        }
    }
}

/// A client that is connected and subscribed.
async fn connect(options: Options, topic: &str) -> Result<(Client, Inbox)> {
    let (client, inbox, mut runner) = mqtt_std::new(options)?;
    tokio::spawn(async move { runner.run().await });
    let subscribed = client.subscribe(topic, QoS::ExactlyOnce);
    timeout(LIMIT, subscribed)
        .await
        .context("no subscription")??;
    Ok((client, inbox))
}

/// Sends one message after the other; tells how many of each quality of service.
async fn send(client: Client, topic: String, stop: Arc<AtomicBool>) -> Result<[u32; 3]> {
    let mut sent = [0; 3];
    let mut window = VecDeque::with_capacity(WINDOW);
    let mut pace = interval(PACE);
    while !stop.load(Ordering::Relaxed) {
        for (qos, number) in ALL_QOS.into_iter().zip(&mut sent) {
            let mut payload = [qos as u8; 5];
            payload[1..].copy_from_slice(&u32::to_be_bytes(*number));
            let message = Message::new(&topic, &payload).qos(qos);
            *number += 1;
            window.push_back(client.publish(&message).await?);
        }
        while window.len() > WINDOW {
            acknowledged(window.pop_front()).await?;
        }
        pace.tick().await;
    }
    for delivery in window {
        acknowledged(Some(delivery)).await?;
    }
    Ok(sent)
}

async fn acknowledged(delivery: Option<Delivery>) -> Result<()> {
    let mut delivery = delivery.context("a delivery")?;
    let acknowledged = timeout(LIMIT, delivery.acknowledged()).await;
    acknowledged.context("a message is not acknowledged")??;
    Ok(())
}

async fn receive(mut inbox: Inbox, ledgers: Ledgers) {
    while let Ok(message) = inbox.next().await {
        let [qos, number @ ..] = message.payload() else {
            continue;
        };
        let number = u32::from_be_bytes(number.try_into().expect("four bytes"));
        let qos = ALL_QOS[usize::from(*qos)];
        let mut ledgers = ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers[qos as usize].note(qos, number);
    }
}

async fn all_arrive(ledgers: &Ledgers, sent: [u32; 3]) {
    let have_all = || {
        let ledgers = ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        (1..3).all(|qos| ledgers[qos].has_all(sent[qos]))
    };
    while !have_all() {
        sleep(Duration::from_millis(10)).await;
    }
}
