//! The state machine of a managed device.

use core::fmt;

use crate::{
    Instant, Publication,
    codec::{EncodeError, QoS, Writer},
    platform::{
        ApplicationMessage,
        json::{JsonError, RawJson},
        update::{MAX_RECORD_LEN, UpdateStore},
    },
};

use super::{
    super::MalformedMessage,
    Action, ActionKind, Attribute, BadRecord, Completed, DownloadFailure, Firmware, FirmwareState,
    Observe, Profile, ProfileError, Refusal, Request, RequestBody, RequestId, RequestKind,
    Requested, Response, ResponseCode, Target, UpdateFailure, UpdateStatus, WrongState,
    firmware::{DetailsError, Image},
    request::FirmwareNotify,
    server::{Attributes, Custom, Data, Envelope, FIRMWARE, is_observable},
    topic::ServerTopic,
};

/// Requests of the application that wait for their responses, at most.
const MAX_PENDING: usize = 8;
/// The longest wait between two attempts to be managed.
const MAX_RETRY_MS: u32 = 3_600_000;
/// So long before the end of its lifetime the management is renewed.
const RENEW_BEFORE_S: u32 = 120;
/// The longest time an [`Instant`] can look ahead, in seconds.
const MAX_WAIT_S: u32 = (u32::MAX / 2) / 1_000;

/// A device that the server manages: reboots it, has it update its firmware, watches its attributes.
///
/// It has no socket and no clock. What it wants to say is given by [`next_publication`](Self::next_publication); what
/// the server says goes to [`handle`](Self::handle); when [`next_deadline`](Self::next_deadline) has come,
/// [`tick`](Self::tick) is due. Deadlines run without a link too; an attempt to be managed is repeated under its old
/// name, less and less often, so that a long time without link does not fill the transmit buffer.
///
/// A gateway has one for itself, and one for each device behind it that is managed.
#[derive(Debug)]
pub struct ManagedDevice<'a> {
    target: Target<'a>,
    profile: &'a Profile<'a>,
    /// Half of the name of each request.
    start: u32,
    count: u32,
    request_timeout_ms: u32,
    is_managed: bool,
    manage: Manage,
    pending: [Option<Pending>; MAX_PENDING],
    /// A bit for each observable attribute of the profile.
    observed: u32,
    image: Image<'a>,
}

/// How far the next request to be managed got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manage {
    /// None is to be made.
    Never,
    At(Instant),
    /// To be sent, or sent again, the wait for its response being `wait_ms`.
    Due {
        id: RequestId,
        wait_ms: u32,
    },
    Sent {
        id: RequestId,
        wait_ms: u32,
        deadline: Instant,
    },
}

/// A request of the application that waits for its response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    id: RequestId,
    kind: RequestKind,
    deadline: Instant,
}

impl<'a> ManagedDevice<'a> {
    /// A device that wants to be managed, which is the first thing it says.
    ///
    /// `record` is the memory for what outlives a restart: 20 bytes, and for firmware actions version, name, URI and
    /// verifier of the image, up to [`MAX_RECORD_LEN`]. Details that do not fit are refused. It may be empty if nothing is
    /// to be remembered. `start` is to differ after each start, a random number for instance: it keeps late responses
    /// apart from new ones.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] if the platform would refuse the profile.
    pub fn new(
        target: Target<'a>,
        profile: &'a Profile<'a>,
        record: &'a mut [u8],
        start: u32,
    ) -> Result<Self, ProfileError> {
        profile.check()?;
        let len = record.len().min(MAX_RECORD_LEN);
        let mut device = Self {
            target,
            profile,
            start,
            count: 0,
            request_timeout_ms: 30_000,
            is_managed: false,
            manage: Manage::Never,
            pending: [None; MAX_PENDING],
            observed: 0,
            image: Image::new(record.get_mut(..len).unwrap_or_default()),
        };
        device.manage();
        Ok(device)
    }

    /// How long a response is waited for, in milliseconds. Default: 30,000.
    pub const fn set_request_timeout(&mut self, millis: u32) {
        self.request_timeout_ms = millis;
    }

    /// Takes over the record that was [saved](Self::unsaved) before the restart; at the start, before anything else. Then
    /// see [`interrupted`](Self::interrupted).
    ///
    /// # Errors
    ///
    /// [`BadRecord`] if it is not one, or longer than the memory for it; there is none then.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), BadRecord> {
        self.image.restore(saved)
    }

    /// Asks, as soon as possible, to be managed: again after a refusal, or because the profile says something else now.
    pub fn manage(&mut self) {
        let id = self.next_id();
        let wait_ms = self.request_timeout_ms;
        self.manage = Manage::Due { id, wait_ms };
    }

    /// Replaces the profile, and asks to be managed with it.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] if the platform would refuse it; the old one stays.
    pub fn set_profile(&mut self, profile: &'a Profile<'a>) -> Result<(), ProfileError> {
        profile.check()?;
        let known = bits().zip(profile.observable);
        let observed = known.filter(|(_, attribute)| self.is_observed(attribute));
        self.observed = observed.fold(0, |mask, (bit, _)| mask | bit);
        self.profile = profile;
        self.manage();
        Ok(())
    }

    /// A request to the server whose response will be [`Action::Completed`], or [`tick`](Self::tick) says that none came.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the server would refuse it, or too many wait already.
    pub fn request<'r, B: RequestBody>(
        &mut self,
        body: &'r B,
        now: Instant,
    ) -> Result<Request<'r, B>, RequestError>
    where
        'a: 'r,
    {
        let id = self.register(B::KIND, body.attributes(), now)?;
        Ok(Request::new(self.target, body).id(id))
    }

    /// Forgets a request: it could not be published, or its response is of no interest any more.
    pub fn abandon(&mut self, id: RequestId) {
        self.take_pending(id);
    }

    /// What has to be published next, if anything. After that, call [`published`](Self::published).
    #[must_use]
    pub fn next_publication(&self) -> Option<Upkeep<'a>> {
        let said = if let Manage::Due { id, .. } = self.manage {
            Said::Manage(self.profile, id)
        } else {
            match self.unreported() {
                Some(change) => Said::Firmware(change),
                None => return None,
            }
        };
        Some(Upkeep {
            target: self.target,
            said,
        })
    }

    /// What [`next_publication`](Self::next_publication) gave was published.
    pub fn published(&mut self, publication: &Upkeep<'_>, now: Instant) {
        match publication.said {
            Said::Firmware(change) => self.image.reported(change),
            Said::Manage(_, sent) => {
                if let Manage::Due { id, wait_ms } = self.manage
                    && id == sent
                {
                    let deadline = now.plus(wait_ms);
                    self.manage = Manage::Sent {
                        id,
                        wait_ms,
                        deadline,
                    };
                }
            }
        }
    }

    /// Takes a message; `None` if it is not about the management of this device.
    ///
    /// # Errors
    ///
    /// [`MalformedMessage`]: it is not to be acted on, and cannot be answered.
    pub fn handle<'m>(
        &mut self,
        message: &'m impl ApplicationMessage,
        now: Instant,
    ) -> Result<Option<Action<'m>>, MalformedMessage>
    where
        'a: 'm,
    {
        self.take(message.topic(), message.payload(), now)
    }

    fn take<'m>(
        &mut self,
        topic: &'m [u8],
        payload: &'m [u8],
        now: Instant,
    ) -> Result<Option<Action<'m>>, MalformedMessage>
    where
        'a: 'm,
    {
        let Some(server_topic) = self.target.read_topic(topic) else {
            return Ok(None);
        };
        let message = RawJson::parse(payload)?;
        if message.members().is_none() {
            return Err(JsonError::Type.into());
        }
        let id = message.member("reqId").filter(is_id);
        let envelope = id.map(|id| Envelope {
            target: self.target,
            id,
        });
        match server_topic {
            ServerTopic::Response => return self.complete(message, now).map(Some),
            ServerTopic::Update => return self.update(message, envelope).map(Some),
            _ => {}
        }
        let envelope = envelope.ok_or(MalformedMessage::Member("reqId"))?;
        Ok(Some(match server_topic {
            ServerTopic::Observe => self.asked_to_observe(message, envelope),
            ServerTopic::Cancel => self.cancel(message, envelope),
            ServerTopic::Action(kind) => self.requested(kind, envelope),
            ServerTopic::Custom { bundle, action } => {
                self.custom(message, envelope, bundle, action)
            }
            _ => refused(Refusal::Unknown, envelope),
        }))
    }

    /// The response to a request to observe attributes, with their `values`. From now on the server is to be told of
    /// changes by a [`Notify`](super::Notify); for `mgmt.firmware`, which needs no value here, that is done.
    ///
    /// Values that are not given are sent as `null`.
    pub fn observe<'m>(
        &mut self,
        observe: &Observe<'m>,
        values: &'m [Attribute<'m>],
    ) -> Response<'m> {
        self.mark(observe.attributes, true);
        let progress = self.image.progress;
        let data = Data::Values {
            asked: observe.attributes,
            known: values,
            firmware: FirmwareNotify {
                state: progress.state,
                update_status: Some(progress.status),
            },
        };
        observe.envelope.response(ResponseCode::OK).data(data)
    }

    /// Accepts a request: the response, to be published before the action is begun.
    ///
    /// [Save](Self::unsaved) the record before a restart, and have the response delivered: the same request may come again
    /// after it, and is then not done again. The action then ends by [`download_finished`](Self::download_finished),
    /// [`download_failed`](Self::download_failed), [`update_finished`](Self::update_finished) or
    /// [`update_failed`](Self::update_failed); a reboot or reset by the first words after it.
    pub fn accept<'m>(&mut self, requested: Requested<'m>) -> Response<'m> {
        if let Some(refusal) = self.obstacle(requested.kind) {
            return not_done(refusal, requested.kind, requested.envelope);
        }
        self.image
            .remember(hash(requested.kind, requested.envelope.id));
        match requested.kind {
            ActionKind::FirmwareDownload => self
                .image
                .set(FirmwareState::Downloading, UpdateStatus::Success),
            ActionKind::FirmwareUpdate => self
                .image
                .set(FirmwareState::Downloaded, UpdateStatus::InProgress),
            ActionKind::Reboot | ActionKind::FactoryReset => {}
        }
        requested.envelope.response(ResponseCode::ACCEPTED)
    }

    /// The image is here and verified.
    ///
    /// # Errors
    ///
    /// [`WrongState`] if none was being downloaded.
    pub fn download_finished(&mut self) -> Result<(), WrongState> {
        self.end_download(FirmwareState::Downloaded, UpdateStatus::Success)
    }

    /// The image is not to be had.
    ///
    /// # Errors
    ///
    /// [`WrongState`] if none was being downloaded.
    pub fn download_failed(&mut self, failure: DownloadFailure) -> Result<(), WrongState> {
        self.end_download(FirmwareState::Idle, failure.into())
    }

    /// The image is installed, and runs. The [`Profile`] is to tell its version.
    ///
    /// # Errors
    ///
    /// [`WrongState`] if none was being installed.
    pub fn update_finished(&mut self) -> Result<(), WrongState> {
        self.end_update(UpdateStatus::Success)
    }

    /// The image cannot be installed.
    ///
    /// # Errors
    ///
    /// [`WrongState`] if none was being installed.
    pub fn update_failed(&mut self, failure: UpdateFailure) -> Result<(), WrongState> {
        self.end_update(failure.into())
    }

    /// The firmware action that is going on: after [`restore`](Self::restore) one that a restart interrupted. A download is
    /// to be continued or begun anew; of an update the version that runs tells how it ended.
    #[must_use]
    pub fn interrupted(&self) -> Option<ActionKind> {
        let progress = self.image.progress;
        if progress.status == UpdateStatus::InProgress {
            Some(ActionKind::FirmwareUpdate)
        } else if progress.state == FirmwareState::Downloading {
            Some(ActionKind::FirmwareDownload)
        } else {
            None
        }
    }

    /// What the operator wants to be installed, and how far it got.
    #[must_use]
    pub fn firmware(&self) -> Firmware<'_> {
        self.image.details()
    }

    /// The record, if it changed since it was [saved](Self::saved). To be kept where it outlives a restart.
    pub fn unsaved(&mut self) -> Option<&[u8]> {
        if self.image.changed {
            self.image.save()
        } else {
            None
        }
    }

    /// What [`unsaved`](Self::unsaved) gave is kept.
    pub const fn saved(&mut self) {
        self.image.changed = false;
    }

    /// Takes over the record that `store` keeps, as [`restore`](Self::restore) does; says whether there was one.
    ///
    /// A damaged record is none. If the future is dropped there is none either.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn load<S: UpdateStore>(&mut self, store: &mut S) -> Result<bool, S::Error> {
        let len = store.load(self.image.record_mut()).await?;
        Ok(self.image.adopt(len).is_ok())
    }

    /// Has `store` keep the record, if it changed. To be called after each [`handle`](Self::handle), before the response is
    /// published.
    ///
    /// If the future is dropped, the record counts as not saved.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn save<S: UpdateStore>(&mut self, store: &mut S) -> Result<(), S::Error> {
        if let Some(record) = self.unsaved() {
            store.save(record).await?;
            self.saved();
        }
        Ok(())
    }

    /// Whether the server has accepted to manage the device.
    #[must_use]
    pub const fn is_managed(&self) -> bool {
        self.is_managed
    }

    /// Whether the server observes an attribute.
    #[must_use]
    pub fn is_observed(&self, attribute: &str) -> bool {
        if attribute == FIRMWARE {
            return self.image.is_observed();
        }
        let known = self.profile.observable.iter();
        bits()
            .zip(known)
            .any(|(bit, known)| *known == attribute && self.observed & bit != 0)
    }

    /// When [`tick`](Self::tick) is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let manage = match self.manage {
            Manage::At(at) => Some(at),
            Manage::Sent { deadline, .. } => Some(deadline),
            Manage::Never | Manage::Due { .. } => None,
        };
        let pending = self
            .pending
            .iter()
            .flatten()
            .map(|pending| pending.deadline);
        pending.chain(manage).reduce(Instant::min)
    }

    /// Lets time pass. Returns a request whose response did not come; call it again until it returns `None`, then see
    /// [`next_publication`](Self::next_publication).
    pub fn tick(&mut self, now: Instant) -> Option<(RequestKind, RequestId)> {
        self.tick_manage(now);
        let expired = self
            .pending
            .iter_mut()
            .find_map(|pending| pending.take_if(|pending| now.has_reached(pending.deadline)))?;
        Some((expired.kind, expired.id))
    }

    fn tick_manage(&mut self, now: Instant) {
        match self.manage {
            Manage::At(at) if now.has_reached(at) => self.manage(),
            Manage::Sent {
                id,
                wait_ms,
                deadline,
            } if now.has_reached(deadline) => {
                let wait_ms = wait_ms.saturating_mul(2).min(MAX_RETRY_MS);
                self.manage = Manage::Due { id, wait_ms };
            }
            _ => {}
        }
    }

    /// The response to a request of ours.
    fn complete<'m>(
        &mut self,
        message: RawJson<'m>,
        now: Instant,
    ) -> Result<Action<'m>, MalformedMessage> {
        let code = message.member("rc").and_then(RawJson::integer);
        let code = ResponseCode(code.ok_or(MalformedMessage::Member("rc"))?);
        let id = message.member("reqId").and_then(RawJson::string);
        let id = id.ok_or(MalformedMessage::Member("reqId"))?;
        let Some((kind, id)) = RequestId::read(id).and_then(|id| self.asked(id)) else {
            return Ok(Action::None);
        };
        match kind {
            RequestKind::Manage => self.manage_completed(code, now),
            RequestKind::Unmanage if code.is_success() => self.unmanaged(),
            _ => {}
        }
        Ok(Action::Completed(Completed {
            kind,
            id,
            code,
            message: message.member("message").and_then(RawJson::string),
            data: message.member("d"),
        }))
    }

    /// What was asked under this name. It is asked no longer.
    fn asked(&mut self, id: RequestId) -> Option<(RequestKind, RequestId)> {
        let manage = match self.manage {
            Manage::Due { id, .. } | Manage::Sent { id, .. } => Some(id),
            Manage::Never | Manage::At(_) => None,
        };
        if manage == Some(id) {
            return Some((RequestKind::Manage, id));
        }
        Some((self.take_pending(id)?.kind, id))
    }

    fn manage_completed(&mut self, code: ResponseCode, now: Instant) {
        self.manage = if code.is_success() {
            self.is_managed = true;
            self.renewal(now)
        } else if code.is_temporary() {
            Manage::At(now.plus(self.request_timeout_ms))
        } else {
            self.is_managed = false;
            Manage::Never
        };
    }

    fn renewal(&self, now: Instant) -> Manage {
        if self.profile.lifetime_s == 0 {
            return Manage::Never;
        }
        let wait_s = self.profile.lifetime_s.saturating_sub(RENEW_BEFORE_S);
        Manage::At(now.plus(wait_s.min(MAX_WAIT_S).saturating_mul(1_000)))
    }

    fn unmanaged(&mut self) {
        self.is_managed = false;
        self.manage = Manage::Never;
        self.observed = 0;
        self.image.set_observed(false);
    }

    fn update<'m>(
        &mut self,
        message: RawJson<'m>,
        envelope: Option<Envelope<'m>>,
    ) -> Result<Action<'m>, MalformedMessage> {
        let attributes = Attributes::of(message);
        let refusal = match attributes {
            Some(attributes) => match self.take_details(attributes) {
                Ok(()) => {
                    let response =
                        envelope.map(|envelope| envelope.response(ResponseCode::CHANGED));
                    return Ok(Action::Update(attributes, response));
                }
                Err(DetailsError::Malformed) => Refusal::Malformed,
                Err(DetailsError::Busy) => Refusal::Busy,
                Err(DetailsError::NoRoom) => Refusal::NoRoom,
            },
            None => Refusal::Malformed,
        };
        match envelope {
            Some(envelope) => Ok(refused(refusal, envelope)),
            None if refusal == Refusal::Malformed => Err(MalformedMessage::Member("d")),
            None => Ok(Action::None),
        }
    }

    /// Takes over the details of an image, if there are any among the attributes.
    fn take_details(&mut self, attributes: Attributes<'_>) -> Result<(), DetailsError> {
        if !self.profile.firmware_actions {
            return Ok(());
        }
        let mut details = attributes.iter().filter(|(name, _)| *name == FIRMWARE);
        details.try_for_each(|(_, value)| self.image.set_details(value))
    }

    fn asked_to_observe<'m>(&self, message: RawJson<'m>, envelope: Envelope<'m>) -> Action<'m>
    where
        'a: 'm,
    {
        let Some(attributes) = Attributes::of(message) else {
            return refused(Refusal::Malformed, envelope);
        };
        let observable = self.profile.observable;
        let has_firmware = self.profile.firmware_actions;
        if attributes
            .iter()
            .all(|(name, _)| is_observable(name, observable, has_firmware))
        {
            return Action::Observe(Observe {
                envelope,
                attributes,
            });
        }
        let missing = Data::Missing {
            asked: attributes,
            observable,
            has_firmware,
        };
        let refusal = Refusal::UnknownAttribute;
        Action::Refused(refusal, refusal_response(refusal, envelope).data(missing))
    }

    fn cancel<'m>(&mut self, message: RawJson<'m>, envelope: Envelope<'m>) -> Action<'m> {
        let Some(attributes) = Attributes::of(message) else {
            return refused(Refusal::Malformed, envelope);
        };
        self.mark(attributes, false);
        Action::Cancelled(attributes, envelope.response(ResponseCode::OK))
    }

    /// Notes which attributes are observed, or no longer are.
    fn mark(&mut self, attributes: Attributes<'_>, observed: bool) {
        for (name, _) in &attributes {
            if name == FIRMWARE {
                self.image.set_observed(observed);
            }
            for (bit, known) in bits().zip(self.profile.observable) {
                if name == *known {
                    self.observed = if observed {
                        self.observed | bit
                    } else {
                        self.observed & !bit
                    };
                }
            }
        }
    }

    fn requested<'m>(&self, kind: ActionKind, envelope: Envelope<'m>) -> Action<'m> {
        if self.image.was_last(hash(kind, envelope.id)) {
            return refused(Refusal::Repeated, envelope);
        }
        match self.obstacle(kind) {
            Some(refusal) => Action::Refused(refusal, not_done(refusal, kind, envelope)),
            None => Action::Requested(Requested { envelope, kind }),
        }
    }

    /// What speaks against an action.
    fn obstacle(&self, kind: ActionKind) -> Option<Refusal> {
        let progress = self.image.progress;
        let state = progress.state;
        let is_allowed = match kind {
            ActionKind::Reboot | ActionKind::FactoryReset => self.profile.device_actions,
            ActionKind::FirmwareDownload | ActionKind::FirmwareUpdate => {
                self.profile.firmware_actions
            }
        };
        if !is_allowed {
            return Some(Refusal::NotSupported);
        }
        match kind {
            ActionKind::Reboot | ActionKind::FactoryReset => None,
            ActionKind::FirmwareDownload if state != FirmwareState::Idle => {
                Some(Refusal::WrongState)
            }
            ActionKind::FirmwareDownload => (!self.image.has_uri()).then_some(Refusal::NoUri),
            ActionKind::FirmwareUpdate => (state != FirmwareState::Downloaded
                || progress.status == UpdateStatus::InProgress)
                .then_some(Refusal::WrongState),
        }
    }

    fn custom<'m>(
        &self,
        message: RawJson<'m>,
        envelope: Envelope<'m>,
        bundle: &'m str,
        action: &'m str,
    ) -> Action<'m> {
        if !self.profile.bundles.contains(&bundle) {
            return refused(Refusal::NotSupported, envelope);
        }
        let parameters = Attributes::of(message);
        if parameters.is_none() && message.member("d").is_some() {
            return refused(Refusal::Malformed, envelope);
        }
        Action::Custom(Custom {
            envelope,
            bundle,
            action,
            parameters,
        })
    }

    fn end_download(
        &mut self,
        state: FirmwareState,
        status: UpdateStatus,
    ) -> Result<(), WrongState> {
        if self.image.progress.state != FirmwareState::Downloading {
            return Err(WrongState);
        }
        self.image.set(state, status);
        Ok(())
    }

    fn end_update(&mut self, status: UpdateStatus) -> Result<(), WrongState> {
        if self.image.progress.status != UpdateStatus::InProgress {
            return Err(WrongState);
        }
        self.image.set(FirmwareState::Idle, status);
        Ok(())
    }

    /// Puts a request among those that wait.
    fn register(
        &mut self,
        kind: RequestKind,
        attributes: &[Attribute<'_>],
        now: Instant,
    ) -> Result<RequestId, RequestError> {
        if !self.is_managed && kind != RequestKind::Unmanage {
            return Err(RequestError::NotManaged);
        }
        let is_observed = |attribute: &Attribute<'_>| self.is_observed(attribute.name);
        if kind == RequestKind::Notify
            && (attributes.is_empty() || !attributes.iter().all(is_observed))
        {
            return Err(RequestError::NotObserved);
        }
        let id = self.next_id();
        let free = self.pending.iter_mut().find(|pending| pending.is_none());
        *free.ok_or(RequestError::TooMany)? = Some(Pending {
            id,
            kind,
            deadline: now.plus(self.request_timeout_ms),
        });
        Ok(id)
    }

    fn take_pending(&mut self, id: RequestId) -> Option<Pending> {
        self.pending
            .iter_mut()
            .find_map(|pending| pending.take_if(|pending| pending.id == id))
    }

    fn next_id(&mut self) -> RequestId {
        self.count = self.count.wrapping_add(1);
        RequestId {
            start: self.start,
            count: self.count,
        }
    }

    fn unreported(&self) -> Option<FirmwareNotify> {
        self.image.unreported().filter(|_| self.is_managed)
    }
}

/// What a managed device says of its own accord: that it wants to be managed, or how far a firmware action got.
#[derive(Clone, Copy, Debug)]
#[must_use = "publish it"]
pub struct Upkeep<'a> {
    target: Target<'a>,
    said: Said<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Said<'a> {
    Manage(&'a Profile<'a>, RequestId),
    Firmware(FirmwareNotify),
}

impl Publication for Upkeep<'_> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        match &self.said {
            Said::Manage(profile, _) => Request::new(self.target, *profile).write_topic(topic),
            Said::Firmware(change) => Request::new(self.target, change).write_topic(topic),
        }
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        match &self.said {
            Said::Manage(profile, id) => Request::new(self.target, *profile)
                .id(*id)
                .write_payload(payload),
            Said::Firmware(change) => Request::new(self.target, change).write_payload(payload),
        }
    }

    fn qos(&self) -> QoS {
        QoS::AtLeastOnce
    }
}

/// Why a request was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The server has not, or not yet, accepted to manage the device.
    NotManaged,
    /// It tells of an attribute that the server does not observe, or of none.
    NotObserved,
    /// Eight requests wait for their responses already.
    TooMany,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotManaged => "device is not managed",
            Self::NotObserved => "attribute is not observed",
            Self::TooMany => "too many requests wait for a response",
        })
    }
}

impl core::error::Error for RequestError {}

fn refused(refusal: Refusal, envelope: Envelope<'_>) -> Action<'_> {
    Action::Refused(refusal, refusal_response(refusal, envelope))
}

/// The documentation wants 500 for a download that is not supported, where all other actions have 501.
fn not_done(refusal: Refusal, kind: ActionKind, envelope: Envelope<'_>) -> Response<'_> {
    if refusal == Refusal::NotSupported && kind == ActionKind::FirmwareDownload {
        return envelope.response(ResponseCode::FAILED);
    }
    refusal_response(refusal, envelope)
}

fn refusal_response(refusal: Refusal, envelope: Envelope<'_>) -> Response<'_> {
    let code = match refusal {
        Refusal::Unknown | Refusal::NotSupported => ResponseCode::NOT_SUPPORTED,
        Refusal::Malformed | Refusal::WrongState | Refusal::NoUri => ResponseCode::BAD_REQUEST,
        Refusal::UnknownAttribute => ResponseCode::NOT_FOUND,
        Refusal::Busy => ResponseCode::CONFLICT,
        Refusal::NoRoom => ResponseCode::FAILED,
        Refusal::Repeated => ResponseCode::ACCEPTED,
    };
    envelope.response(code)
}

/// Requests are named by a text; a number is taken as well, since it only has to be sent back.
fn is_id(id: &RawJson<'_>) -> bool {
    id.string().is_some() || id.number().is_some()
}

/// A name for an action and the request for it, never 0 (FNV-1a).
fn hash(kind: ActionKind, id: RawJson<'_>) -> u32 {
    let start = 0x811c_9dc5 ^ kind as u32;
    let hash = id.as_bytes().iter().fold(start, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}

/// One bit after the other.
fn bits() -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|place| 1 << place)
}
