//! The device: reads, publishes, listens, for ever.

use core::{convert::Infallible, future::pending};

use embassy_futures::select::{Either4, select4};
use mqtt_core::{
    Instant, Message,
    client::{Client, Delivery, Inbox, Kind, LinkState},
    codec::ReasonCode,
    session::{DeliveryError, OutboxPolicy, PublishError},
};

use crate::{
    Identify, Sensor, Settings, Topics,
    command::{Command, CommandError},
    log,
    report::{Identity, Report},
    uptime::Uptime,
};

/// The state of a running device.
pub(crate) struct Device<'a, K: Kind, S> {
    client: &'a Client<K>,
    settings: &'a Settings<'a>,
    topics: &'a Topics,
    sensor: S,
    identify: &'a Identify,
    interval_ms: u32,
    next_report: Instant,
    uptime: Uptime,
    sequence: u32,
    /// The last report, until it is acknowledged.
    sent: Option<Sent<K>>,
}

/// A report on its way.
struct Sent<K: Kind> {
    sequence: u32,
    at: Instant,
    delivery: Delivery<K>,
}

/// What the device waits for.
enum Event {
    Link(LinkState),
    Command(Result<Command, CommandError>),
    ReportDue,
    Answer(Result<ReasonCode, DeliveryError>),
}

impl<'a, K: Kind, S: Sensor> Device<'a, K, S> {
    pub(crate) fn new(
        client: &'a Client<K>,
        settings: &'a Settings<'a>,
        topics: &'a Topics,
        sensor: S,
        identify: &'a Identify,
    ) -> Self {
        // While the broker is away the latest readings are worth more than the oldest.
        client.set_outbox_policy(OutboxPolicy::DropOldest);
        let now = K::now();
        Self {
            client,
            settings,
            topics,
            sensor,
            identify,
            interval_ms: settings
                .interval_s
                .clamp(1, Settings::MAX_INTERVAL_S)
                .saturating_mul(1000),
            next_report: now,
            uptime: Uptime::since(now),
            sequence: 0,
            sent: None,
        }
    }

    /// Reports and obeys.
    pub(crate) async fn live(&mut self, inbox: &mut Inbox<K>) -> Infallible {
        let mut state = LinkState::Idle;
        loop {
            match self.next_event(state, inbox).await {
                Event::Link(next) => {
                    state = next;
                    self.link_changed(state);
                }
                Event::Command(Ok(command)) => {
                    log::info!("command: {}", command);
                    self.obey(command).await;
                }
                Event::Command(Err(error)) => log::warn!("command ignored: {}", error),
                Event::ReportDue => {
                    self.next_report = K::now().plus(self.interval_ms);
                    self.report().await;
                }
                Event::Answer(result) => self.answered(result),
            }
        }
    }

    /// None of these futures loses anything when another one is ready first.
    async fn next_event(&mut self, state: LinkState, inbox: &mut Inbox<K>) -> Event {
        let events = select4(
            self.client.state_change(state),
            next_command(inbox),
            K::sleep_until(self.next_report),
            answer(self.sent.as_mut()),
        );
        match events.await {
            Either4::First(state) => Event::Link(state),
            Either4::Second(command) => Event::Command(command),
            Either4::Third(()) => Event::ReportDue,
            Either4::Fourth(result) => Event::Answer(result),
        }
    }

    /// After each connection the broker may have published our will: we are back, so say so again.
    fn link_changed(&self, state: LinkState) {
        if matches!(state, LinkState::Connected { .. }) {
            let online = Message::new(&self.topics.presence, Topics::ONLINE)
                .at_least_once()
                .retain();
            note_failure(&self.client.try_publish(&online));
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Interval { seconds } => {
                self.interval_ms = seconds.saturating_mul(1000);
                self.next_report = K::now().plus(self.interval_ms);
            }
            Command::ReportNow => self.report().await,
            Command::Identify => self.identify(),
        }
    }

    async fn report(&mut self) {
        let reading = self.sensor.read().await;
        let now = K::now();
        self.sequence = self.sequence.wrapping_add(1);
        let report = Report {
            sequence: self.sequence,
            uptime_s: self.uptime.seconds(now),
            reading: &reading,
        };
        let message = Message::new(&self.topics.report, b"").at_least_once();
        match self.client.try_publish(&message.json(&report)) {
            Ok(delivery) => {
                log::info!("report {} queued", self.sequence);
                self.sent = Some(Sent {
                    sequence: self.sequence,
                    at: now,
                    delivery,
                });
            }
            Err(error) => log::warn!("report {} not published: {}", self.sequence, error),
        }
    }

    fn answered(&mut self, result: Result<ReasonCode, DeliveryError>) {
        let Some(sent) = self.sent.take() else {
            return;
        };
        match result {
            Ok(_) => log::info!(
                "report {} acknowledged after {} ms",
                sent.sequence,
                K::now().since(sent.at)
            ),
            Err(error) => log::warn!("report {}: {}", sent.sequence, error),
        }
    }

    fn identify(&self) {
        self.identify.signal(());
        let identity = Identity {
            host: self.settings.client_id,
            system: self.settings.board,
            program: concat!("firmware-app ", env!("CARGO_PKG_VERSION")),
        };
        let message = Message::new(&self.topics.identity, b"").at_least_once();
        note_failure(&self.client.try_publish(&message.json(&identity)));
    }
}

/// The next command. The message is acknowledged as soon as it was read.
async fn next_command<K: Kind>(inbox: &mut Inbox<K>) -> Result<Command, CommandError> {
    match inbox.next().await {
        Ok(message) => Command::read(&message),
        // Nothing comes before the next run of the link, and that is a change of its state.
        Err(_) => pending().await,
    }
}

async fn answer<K: Kind>(sent: Option<&mut Sent<K>>) -> Result<ReasonCode, DeliveryError> {
    match sent {
        Some(sent) => sent.delivery.acknowledged().await,
        None => pending().await,
    }
}

/// For what nobody waits for.
fn note_failure<K: Kind>(delivery: &Result<Delivery<K>, PublishError>) {
    if let Err(error) = delivery {
        log::warn!("not published: {}", error);
    }
}
