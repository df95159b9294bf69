//! The device: sends, answers, asks, until told to stop.

use examples::ending::Interrupt;
use examples::monitor::commands::Command;
use examples::monitor::report::Values;
use examples::monitor::{Due, Reporter, host_name, system_name};
use examples::simulator::{PlatformSimulator, said};
use examples::terminal::milliseconds_since_1970;
use mqtt_std::platform::json::RawJson;
use mqtt_std::platform::thingsboard::{
    self, ATTRIBUTE_TIMEOUT_MS, AttributeKeys, AttributeUpdate, BadPayload, RateLimiter, Requests,
    RpcRequest, RpcResponse, Traffic, update::Package,
};
use mqtt_std::{Inbox, Instant, Received, Subscription, now, sleep_until};
use serde_json::json;

use crate::calls;
use crate::firmware::Firmware;

/// How long an answer of the server is waited for. It gives up after 60 s itself, and says so.
const CALL_TIMEOUT_MS: u32 = 65_000;

/// How the life of a device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    /// There is a new firmware.
    Restart,
}

/// The state of a running device.
pub(crate) struct Device<'a> {
    messages: thingsboard::Device,
    reporter: Reporter,
    firmware: Firmware<'a>,
    requests: Requests<About, 8>,
    /// Of the rates that the server allows, once they are known.
    limiter: Option<RateLimiter>,
    /// A method of the server that is still to be called.
    call: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Limits,
    Settings,
    Call,
}

/// All that comes to a device. Filters are compared as texts by the server: no other is granted.
pub(crate) fn subscriptions(device: thingsboard::Device) -> [Subscription<'static>; 6] {
    [
        device.attribute_updates(),
        device.attribute_responses(),
        device.rpc_requests(),
        device.rpc_responses(),
        device.chunks(Package::Firmware),
        device.chunk_refusals(),
    ]
}

impl<'a> Device<'a> {
    pub(crate) fn new(reporter: Reporter, firmware: Firmware<'a>, call: Option<String>) -> Self {
        Self {
            messages: thingsboard::Device::new(),
            reporter,
            firmware,
            requests: Requests::new(),
            limiter: None,
            call,
        }
    }

    /// Goes on until enough telemetry is acknowledged, the user interrupts, or there is a new firmware.
    pub(crate) async fn live(
        &mut self,
        inbox: &mut Inbox,
        simulator: &mut Option<PlatformSimulator>,
        interrupt: &mut Interrupt,
    ) -> anyhow::Result<End> {
        while !self.reporter.is_done() {
            let next = self.firmware.advance(self.reporter.client()).await?;
            if self.firmware.is_installed() {
                return Ok(End::Restart);
            }
            let deadline = self.requests.next_deadline();
            tokio::select! {
                () = interrupt.wait() => return Ok(End::Stop),
                due = self.reporter.next() => match due? {
                    Due::Nothing => {}
                    Due::Report => self.report()?,
                    Due::Connected => self.introduce()?,
                },
                // An inbox that has stopped says less than the link, which stops with it.
                Ok(received) = inbox.next() => self.take(received).await?,
                said = said(simulator) => self.reporter.simulator_said(&said)?,
                () = sleep_until(earlier(next, deadline)) => self.give_up()?,
            }
        }
        Ok(End::Stop)
    }

    /// Waits for the last acknowledgements, as far as the server listens.
    pub(crate) async fn leave(&mut self) -> anyhow::Result<()> {
        self.firmware.pause()?;
        Ok(self.reporter.leave().await?)
    }

    /// How it all went.
    pub(crate) fn summary(&self) -> String {
        self.reporter.summary()
    }

    /// Tells who we are, and asks what there is to know. The server keeps nothing of an earlier link.
    fn introduce(&mut self) -> anyhow::Result<()> {
        let attributes = json!({
            "host": host_name(),
            "system": system_name(),
            "program": concat!("thingsboard-device ", env!("CARGO_PKG_VERSION")),
        });
        let client = self.reporter.client();
        let sent = client.try_publish(&self.messages.attributes(&attributes));
        self.reporter.note_failure("attributes", &sent)?;
        self.ask(About::Limits, "")?;
        self.ask(About::Settings, "")?;
        if let Some(method) = self.call.take() {
            self.ask(About::Call, &method)?;
        }
        Ok(())
    }

    fn ask(&mut self, about: About, method: &str) -> anyhow::Result<()> {
        let timeout_ms = match about {
            About::Settings => ATTRIBUTE_TIMEOUT_MS,
            About::Limits | About::Call => CALL_TIMEOUT_MS,
        };
        let Some(id) = self.requests.begin(about, timeout_ms, now()) else {
            return Ok(self.reporter.note("too many requests wait for an answer")?);
        };
        let (device, client) = (self.messages, self.reporter.client());
        let sent = match about {
            About::Limits => client.try_publish(&device.session_limits_request(id)),
            About::Settings => {
                let keys = AttributeKeys::shared(&["interval"]);
                client.try_publish(&device.attribute_request(id, keys))
            }
            About::Call => client.try_publish(&device.rpc(id, method, &json!({}))),
        };
        Ok(self.reporter.note_failure("request", &sent)?)
    }

    /// Sends telemetry, unless that would be more than the server allows: the next readings will do as well.
    fn report(&mut self) -> anyhow::Result<()> {
        let traffic = Traffic::Telemetry {
            data_points: Values::COUNT,
        };
        if let Some(limiter) = &mut self.limiter
            && limiter.try_send(traffic, now()).is_err()
        {
            return Ok(self
                .reporter
                .note("telemetry left out: more than the server allows")?);
        }
        let device = self.messages;
        self.reporter.report(|client, report| {
            let values = Values::from(&report.reading);
            client.try_publish(&device.telemetry_at(milliseconds_since_1970(), &values))
        })
    }

    /// The message is acknowledged when it is dropped: what the server takes for delivered has been worked on.
    async fn take(&mut self, mut received: Received<'_>) -> anyhow::Result<()> {
        if self.firmware.receive(&mut received).await? {
            return Ok(());
        }
        match self.read(&received) {
            Ok(done) => done,
            Err(bad) => self.malformed(bad),
        }
    }

    fn read(&mut self, received: &Received<'_>) -> Result<anyhow::Result<()>, BadPayload> {
        let device = self.messages;
        Ok(if let Some(request) = device.rpc_request(received)? {
            self.called(&request)
        } else if let Some(response) = device.rpc_response(received)? {
            self.answered(&response)
        } else if let Some(update) = device.attribute_update(received)? {
            match update {
                AttributeUpdate::Changed(attributes) => self.adopt(attributes),
                AttributeUpdate::Deleted(_) => Ok(()),
            }
        } else if let Some(response) = device.attribute_response(received)? {
            let known = self.requests.end(response.id).and(response.shared);
            known.map_or(Ok(()), |attributes| self.adopt(attributes))
        } else {
            Ok(())
        })
    }

    fn malformed(&mut self, bad: BadPayload) -> anyhow::Result<()> {
        if let Some(id) = bad.id {
            self.requests.end(id);
        }
        Ok(self.reporter.note(&format!("message ignored: {bad}"))?)
    }

    /// Obeys and answers. The server may repeat a call after a reconnect; none of ours does harm twice.
    fn called(&mut self, request: &RpcRequest<'_>) -> anyhow::Result<()> {
        let call = calls::read(request);
        let reply = calls::reply(call.as_ref().copied());
        self.reporter.note(&format!(
            "call {}: {reply}",
            request.method.chars().collect::<String>()
        ))?;
        let client = self.reporter.client();
        let sent = client.try_publish(&self.messages.rpc_reply(request.id, &reply));
        self.reporter.note_failure("answer", &sent)?;
        call.map_or(Ok(()), |command| self.execute(command))
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Interval(every) => self.reporter.set_interval(every),
            Command::ReportNow => self.report()?,
            Command::Identify => {}
        }
        Ok(())
    }

    /// Takes over shared attributes.
    fn adopt(&mut self, attributes: RawJson<'_>) -> anyhow::Result<()> {
        match calls::shared_interval(attributes) {
            None => Ok(()),
            Some(Ok(command)) => {
                self.reporter.note(&format!("attribute: {command}"))?;
                self.execute(command)
            }
            Some(Err(refusal)) => Ok(self
                .reporter
                .note(&format!("attribute interval ignored: {refusal}"))?),
        }
    }

    fn answered(&mut self, response: &RpcResponse<'_>) -> anyhow::Result<()> {
        match self.requests.end(response.id) {
            Some(About::Limits) => {
                let limits = response.session_limits().ok();
                self.limiter = limits.and_then(|limits| RateLimiter::new(&limits.rates).ok());
                Ok(())
            }
            Some(About::Call) => Ok(self
                .reporter
                .note(&format!("the server answers: {}", response.value))?),
            Some(About::Settings) | None => Ok(()),
        }
    }

    /// Forgets the requests that nobody has answered in time.
    fn give_up(&mut self) -> anyhow::Result<()> {
        while let Some((_, about)) = self.requests.expired(now()) {
            self.reporter
                .note(&format!("the server has not answered: {about:?}"))?;
        }
        Ok(())
    }
}

fn earlier(one: Instant, other: Option<Instant>) -> Instant {
    other.map_or(one, |other| one.min(other))
}
