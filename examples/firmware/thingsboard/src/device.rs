//! Telemetry, attributes and calls.

use core::future::pending;

use embassy_futures::select::{Either, select};
use mqtt_core::{
    Instant, Publication,
    client::{Client, Inbox, Kind, LinkState, Received},
    platform::{
        json::RawJson,
        thingsboard::{AttributeKeys, AttributeUpdate, BadPayload, RpcRequest},
        update::UpdateStore,
    },
    session::OutboxPolicy,
};
use serde::Serialize;

use crate::{DEVICE, Sensor, Settings, Trial, log, trial::Examination, update::Firmware};

/// The shared attributes that are obeyed.
const SETTINGS: AttributeKeys<'static> = AttributeKeys::shared(&["interval"]);

/// The number of the request for them. Those of the update are much larger.
const SETTINGS_REQUEST: u32 = 1;

/// The state of a running device.
pub(crate) struct Device<'a, K: Kind, S, U: UpdateStore, T> {
    client: &'a Client<K>,
    version: &'a str,
    sensor: S,
    firmware: Firmware<'a, U>,
    trial: Examination<T>,
    interval_s: u32,
    next_reading: Instant,
    /// The link on which the settings were asked for, by the number of the attempt that made it.
    link: Option<u32>,
    is_to_restart: bool,
}

/// The device's own attributes.
#[derive(Serialize)]
struct Attributes<'a> {
    firmware: &'a str,
    interval: u32,
}

/// The answer to a call.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Done(bool),
    Error(&'static str),
}

impl<'a, K: Kind, S: Sensor, U: UpdateStore, T: Trial> Device<'a, K, S, U, T> {
    pub(crate) fn new(
        client: &'a Client<K>,
        settings: &Settings<'a>,
        sensor: S,
        firmware: Firmware<'a, U>,
        trial: Examination<T>,
    ) -> Self {
        // While the server is away the latest readings are worth more than the oldest.
        client.set_outbox_policy(OutboxPolicy::DropOldest);
        Self {
            client,
            version: settings.update.version,
            sensor,
            firmware,
            trial,
            interval_s: settings.interval_s.clamp(1, Settings::MAX_INTERVAL_S),
            next_reading: K::now(),
            link: None,
            is_to_restart: false,
        }
    }

    /// Reports, obeys and updates until it is time to restart.
    pub(crate) async fn live(&mut self, inbox: &mut Inbox<K>) {
        self.introduce();
        while !self.is_done() {
            let wake = self.advance().await;
            self.ask_on_new_link();
            if K::now().has_reached(self.next_reading) {
                self.read_sensor().await;
            }
            let received = next_or_at(inbox, wake.min(self.next_reading)).await;
            if let Some(received) = received {
                self.take(received).await;
            }
        }
    }

    fn is_done(&self) -> bool {
        let has_failed = self.trial.has_failed(K::now());
        if has_failed {
            log::error!("trial: no server in time");
        }
        has_failed || self.is_to_restart || self.firmware.is_installed()
    }

    /// Sees to the trial, then to updates: the next firmware would be written where the one before still lies.
    async fn advance(&mut self) -> Instant {
        match self.trial.advance(self.client).await {
            Some(wake) => wake,
            None => self.firmware.advance(self.client).await,
        }
    }

    /// Tells what holds now. The server keeps it.
    fn introduce(&self) {
        self.publish(&DEVICE.attributes(&Attributes {
            firmware: self.version,
            interval: self.interval_s,
        }));
    }

    /// Changes that were made while there was no link are not told by themselves.
    fn ask_on_new_link(&mut self) {
        let is_connected = matches!(self.client.state(), LinkState::Connected { .. });
        let link = is_connected.then(|| self.client.report().attempts);
        if link.is_some() && link != self.link {
            self.link = link;
            self.publish(&DEVICE.attribute_request(SETTINGS_REQUEST, SETTINGS));
        }
    }

    async fn read_sensor(&mut self) {
        self.next_reading = K::now().plus(self.interval_s * 1_000);
        let reading = self.sensor.read().await;
        self.publish(&DEVICE.telemetry(&reading));
    }

    /// The message is acknowledged when it is dropped, at the end.
    async fn take(&mut self, mut received: Received<'_, K>) {
        if self.firmware.receive(&mut received).await {
            return;
        }
        if let Err(bad) = self.read(&received) {
            log::warn!("message ignored: {}", bad);
        }
    }

    fn read(&mut self, received: &Received<'_, K>) -> Result<(), BadPayload> {
        if let Some(request) = DEVICE.rpc_request(received)? {
            self.called(&request);
        } else if let Some(AttributeUpdate::Changed(changed)) = DEVICE.attribute_update(received)? {
            self.adopt(changed);
        } else if let Some(response) = DEVICE.attribute_response(received)?
            && let Some(shared) = response.shared
        {
            self.adopt(shared);
        }
        Ok(())
    }

    /// Obeys and answers. The server may repeat a call after a reconnect; neither of ours does harm twice.
    fn called(&mut self, request: &RpcRequest<'_>) {
        let is_done = if request.method == "setInterval" {
            let seconds = request.params.member("seconds");
            seconds.is_some_and(|seconds| self.set_interval(seconds))
        } else if request.method == "restart" {
            self.is_to_restart = true;
            true
        } else {
            false
        };
        let reply = if is_done {
            Reply::Done(true)
        } else {
            Reply::Error("setInterval with seconds, or restart")
        };
        self.publish(&DEVICE.rpc_reply(request.id, &reply));
    }

    /// Takes over shared attributes.
    fn adopt(&mut self, attributes: RawJson<'_>) {
        if let Some(interval) = attributes.member("interval")
            && !self.set_interval(interval)
        {
            log::warn!("attribute interval ignored");
        }
    }

    /// Whether that was an interval.
    fn set_interval(&mut self, seconds: RawJson<'_>) -> bool {
        let seconds = seconds
            .integer()
            .filter(|seconds| (1..=Settings::MAX_INTERVAL_S).contains(seconds));
        let Some(seconds) = seconds else {
            return false;
        };
        // The server repeats it after each reconnect; that must not put off the next reading for ever.
        if seconds != self.interval_s {
            log::info!("interval: {=u32} s", seconds);
            self.interval_s = seconds;
            self.next_reading = K::now().plus(seconds * 1_000);
            self.introduce();
        }
        true
    }

    /// For what nobody waits for.
    fn publish(&self, publication: &impl Publication) {
        if let Err(error) = self.client.try_publish(publication) {
            log::warn!("not published: {}", error);
        }
    }
}

/// The next message, unless the time comes first. An inbox whose link was refused gives nothing until the next attempt.
async fn next_or_at<K: Kind>(inbox: &mut Inbox<K>, at: Instant) -> Option<Received<'_, K>> {
    let next = async {
        match inbox.next().await {
            Ok(received) => received,
            Err(_) => pending().await,
        }
    };
    match select(next, K::sleep_until(at)).await {
        Either::First(received) => Some(received),
        Either::Second(()) => None,
    }
}
