//! Device management: what the platform wants of the device, and what the device tells it.

use anyhow::Context as _;
use examples::monitor::Reporter;
use examples::terminal::{iso_8601, milliseconds_since_1970, seconds_since_1970};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use mqtt_std::platform::watson_iot::management::{
    Action, ActionKind, ClearErrorCodes, Completed, ErrorCode, Location, LogEntry, ManagedDevice,
    Profile, RequestBody, RequestKind, Requested, ResponseCode, Severity, Target, UpdateFailure,
};
use mqtt_std::{DeliveryError, Instant, Publication, ReasonCode, Received, now};

use crate::fetch::{Failure, Fetched, fetch};
use crate::state::State;

/// The device's own number for "the firmware could not be fetched or installed".
const NO_FIRMWARE: ErrorCode = ErrorCode(1);

/// The managed side of the device.
pub(crate) struct Actions<'a> {
    managed: ManagedDevice<'a>,
    state: &'a mut State,
    location: Option<(f64, f64)>,
    /// There was a link before.
    was_connected: bool,
    /// The platform knows that we have started.
    is_introduced: bool,
    download: Option<Fetched>,
    /// What the platform has not acknowledged yet.
    deliveries: FuturesUnordered<LocalBoxFuture<'static, Result<ReasonCode, DeliveryError>>>,
    /// The device is to start anew, when the platform knows all that was said.
    restarts: bool,
}

/// Something that took its time.
pub(crate) enum Progress {
    Downloaded(Result<u32, Failure>),
    Delivered(Result<ReasonCode, DeliveryError>),
}

impl<'a> Actions<'a> {
    pub(crate) fn new(
        profile: &'a Profile<'a>,
        record: &'a mut [u8],
        state: &'a mut State,
        location: Option<(f64, f64)>,
    ) -> anyhow::Result<Self> {
        // Differs after each start, so that responses to an earlier one are not taken for ours.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower bits are those that differ"
        )]
        let start = milliseconds_since_1970() as u32;
        Ok(Self {
            managed: ManagedDevice::new(Target::Own, profile, record, start)?,
            state,
            location,
            was_connected: false,
            is_introduced: false,
            download: None,
            deliveries: FuturesUnordered::new(),
            restarts: false,
        })
    }

    /// Goes on with what a restart has interrupted.
    pub(crate) async fn resume(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let loaded = self.managed.load(&mut self.state.record).await;
        loaded.context("cannot read what the device management remembers")?;
        match self.managed.interrupted() {
            Some(ActionKind::FirmwareDownload) => self.begin_download(reporter),
            Some(ActionKind::FirmwareUpdate) => self.install(reporter).await,
            _ => Ok(()),
        }
    }

    /// A link is in use. That the device is managed outlives a link, but maybe not what has ended it; on the first one it is
    /// asked for anyway.
    pub(crate) fn connected(&mut self) {
        if std::mem::replace(&mut self.was_connected, true) {
            self.managed.manage();
        }
    }

    /// Says what is to be said, and keeps what is to be remembered. After everything that has happened.
    pub(crate) async fn upkeep(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        while let Some((kind, _)) = self.managed.tick(now()) {
            reporter.note(&format!("management: no response to {kind:?}"))?;
        }
        while let Some(publication) = self.managed.next_publication() {
            // Without room it is said later.
            let Ok(mut delivery) = reporter.client().try_publish(&publication) else {
                break;
            };
            self.managed.published(&publication, now());
            self.deliveries
                .push(Box::pin(async move { delivery.acknowledged().await }));
        }
        let saved = self.managed.save(&mut self.state.record).await;
        saved.context("cannot keep what the device management has to remember")
    }

    /// Takes a message that is no command.
    pub(crate) async fn take(
        &mut self,
        received: &Received<'_>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        let action = match self.managed.handle(received, now()) {
            Ok(action) => action.unwrap_or(Action::None),
            Err(error) => return Ok(reporter.note(&format!("message ignored: {error}"))?),
        };
        match action {
            Action::Completed(completed) => self.completed(&completed, reporter),
            Action::Update(_, Some(response)) | Action::Cancelled(_, response) => {
                self.publish(&response, reporter)
            }
            Action::Observe(observe) => {
                let response = self.managed.observe(&observe, &[]);
                self.publish(&response, reporter)
            }
            Action::Requested(requested) => Box::pin(self.requested(requested, reporter)).await,
            Action::Custom(custom) => {
                self.publish(&custom.response(ResponseCode::NOT_SUPPORTED), reporter)
            }
            Action::Refused(refusal, response) => {
                reporter.note(&format!("management: refused, {refusal:?}"))?;
                self.publish(&response, reporter)
            }
            _ => Ok(()),
        }
    }

    /// Waits for a download or an acknowledgement. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Progress {
        let download = async {
            match &mut self.download {
                Some(download) => download.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = download => Progress::Downloaded(result),
            Some(result) = self.deliveries.next() => Progress::Delivered(result),
        }
    }

    /// What [`next`](Self::next) has waited for.
    pub(crate) fn went_on(
        &mut self,
        progress: Progress,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        match progress {
            Progress::Delivered(Ok(_)) => Ok(()),
            Progress::Delivered(Err(error)) => {
                Ok(reporter.note(&format!("management: not delivered, {error}"))?)
            }
            Progress::Downloaded(result) => {
                self.download = None;
                self.downloaded(result, reporter)
            }
        }
    }

    /// Whether the device is to start anew, and the platform has heard all.
    pub(crate) fn is_over(&self) -> bool {
        self.restarts && self.deliveries.is_empty()
    }

    /// When [`upkeep`](Self::upkeep) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.managed.next_deadline()
    }

    fn completed(
        &mut self,
        completed: &Completed<'_>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        if !completed.code.is_success() {
            let (kind, code) = (completed.kind, completed.code.0);
            reporter.note(&format!("management: {kind:?} refused with {code}"))?;
        }
        if completed.kind == RequestKind::Manage && self.managed.is_managed() {
            reporter.note("management: managed")?;
            if !std::mem::replace(&mut self.is_introduced, true) {
                return self.introduce(reporter);
            }
        }
        Ok(())
    }

    /// The first that the platform is told after each start.
    fn introduce(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        if let Some((longitude, latitude)) = self.location {
            self.request(&Location::new(longitude, latitude), reporter)?;
        }
        self.request(&ClearErrorCodes, reporter)?;
        self.log("the device has started", Severity::Information, reporter)
    }

    /// What is accepted is acknowledged before it is begun.
    async fn requested(
        &mut self,
        requested: Requested<'_>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        let kind = requested.kind;
        let response = self.managed.accept(requested);
        self.publish(&response, reporter)?;
        if response.code() != ResponseCode::ACCEPTED {
            return Ok(());
        }
        reporter.note(&format!("management: {kind:?}"))?;
        match kind {
            ActionKind::Reboot => self.restarts = true,
            ActionKind::FactoryReset => {
                self.state.reset()?;
                self.restarts = true;
            }
            ActionKind::FirmwareDownload => self.begin_download(reporter)?,
            ActionKind::FirmwareUpdate => self.install(reporter).await?,
        }
        Ok(())
    }

    fn begin_download(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let firmware = self.managed.firmware();
        let (uri, verifier) = (firmware.uri.to_owned(), firmware.verifier.to_owned());
        reporter.note(&format!("firmware: fetching {uri}"))?;
        self.download = Some(fetch(uri, verifier, self.state.image()?));
        Ok(())
    }

    fn downloaded(
        &mut self,
        result: Result<u32, Failure>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        match result {
            Ok(len) => {
                self.managed.download_finished()?;
                Ok(reporter.note(&format!("firmware: {len} bytes fetched"))?)
            }
            Err(failure) => {
                self.managed.download_failed(failure.kind)?;
                self.complain(&failure.why, reporter)
            }
        }
    }

    /// Installs the image and starts anew. What is installed is only named, never run.
    async fn install(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        let version = match self.managed.firmware().version {
            "" => "unnamed".to_owned(),
            version => version.to_owned(),
        };
        match self.state.install(&version).await {
            Ok(()) => {
                self.managed.update_finished()?;
                self.restarts = true;
                Ok(reporter.note(&format!("firmware: {version} installed"))?)
            }
            Err(error) => {
                self.managed
                    .update_failed(UpdateFailure::UnsupportedImage)?;
                self.complain(&format!("{error:#}"), reporter)
            }
        }
    }

    /// Tells the user, and the platform by its diagnostics.
    fn complain(&mut self, why: &str, reporter: &mut Reporter) -> anyhow::Result<()> {
        reporter.note(&format!("firmware: {why}"))?;
        self.request(&NO_FIRMWARE, reporter)?;
        self.log(why, Severity::Error, reporter)
    }

    fn log(
        &mut self,
        message: &str,
        severity: Severity,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        let entry = LogEntry {
            message,
            timestamp: &iso_8601(seconds_since_1970()),
            data: &[],
            severity,
        };
        self.request(&entry, reporter)
    }

    fn request<B: RequestBody>(&mut self, body: &B, reporter: &mut Reporter) -> anyhow::Result<()> {
        match self.managed.request(body, now()) {
            Ok(request) => self.publish(&request, reporter),
            Err(error) => Ok(reporter.note(&format!("management: {error}"))?),
        }
    }

    fn publish(
        &self,
        publication: &impl Publication,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        let sent = reporter.client().try_publish(publication);
        reporter.note_failure("message of the management", &sent)?;
        if let Ok(mut delivery) = sent {
            self.deliveries
                .push(Box::pin(async move { delivery.acknowledged().await }));
        }
        Ok(())
    }
}
