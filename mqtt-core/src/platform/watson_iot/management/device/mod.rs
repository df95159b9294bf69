//! The state machine of a managed device.

mod requests;
mod server_requests;
mod upkeep;

use crate::{
    Instant,
    platform::{
        ApplicationMessage,
        update::{MAX_RECORD_LEN, UpdateStore},
    },
};

use super::{
    super::MalformedMessage,
    Action, ActionKind, Attribute, BadRecord, DownloadFailure, Firmware, FirmwareState, Observe,
    Profile, ProfileError, Request, RequestBody, RequestId, RequestKind, Requested, Response,
    ResponseCode, Target, UpdateFailure, UpdateStatus, WrongState,
    image::Image,
    request::FirmwareNotify,
    server::{Data, FIRMWARE},
};

pub use requests::RequestError;
pub use upkeep::Upkeep;

use server_requests::{hash, not_done};
use upkeep::Said;

/// Requests of the application that wait for their responses, at most.
const MAX_PENDING: usize = 8;
/// The longest wait for a response, and between two attempts to be managed.
const MAX_WAIT_MS: u32 = 3_600_000;

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
    /// verifier of the image, which are refused if they do not fit; 256 bytes suffice for most. It may be empty if
    /// nothing is to be remembered. `start` is to differ after each start, a random number for instance: it keeps late
    /// responses apart from new ones.
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
            image: Image::new(record),
        };
        device.manage();
        Ok(device)
    }

    /// How long a response is waited for, in milliseconds: an hour at most. Default: 30,000.
    pub fn set_request_timeout(&mut self, millis: u32) {
        self.request_timeout_ms = millis.min(MAX_WAIT_MS);
    }

    /// Takes over the record that was [saved](Self::unsaved) before the restart; at the start, before anything else.
    /// Then see [`interrupted`](Self::interrupted).
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

    /// A request to the server whose response will be [`Action::Completed`], or [`tick`](Self::tick) says that none
    /// came.
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
    pub fn handle<'r, 'm: 'r>(
        &mut self,
        message: impl ApplicationMessage<'m>,
        now: Instant,
    ) -> Result<Option<Action<'r>>, MalformedMessage>
    where
        'a: 'r,
    {
        let (topic, payload) = message.topic_and_payload();
        self.take(topic, payload, now)
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
    /// [Save](Self::unsaved) the record before a restart, and have the response delivered: the same request may come
    /// again after it, and is then not done again. The action then ends by
    /// [`download_finished`](Self::download_finished),
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

    /// The firmware action that is going on: after [`restore`](Self::restore) one that a restart interrupted. A
    /// download is to be continued or begun anew; of an update the version that runs tells how it ended.
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
    /// A damaged record is none. If the future is dropped there is none either. From now on no more than
    /// [`MAX_RECORD_LEN`] bytes of memory are used, what the store can keep.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn load<S: UpdateStore>(&mut self, store: &mut S) -> Result<bool, S::Error> {
        let len = store.load(self.image.record(MAX_RECORD_LEN)).await?;
        Ok(self.image.adopt(len).is_ok())
    }

    /// Has `store` keep the record, if it changed: after each message, and before a restart. [`load`](Self::load) comes
    /// first.
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

    fn unreported(&self) -> Option<FirmwareNotify> {
        self.image.unreported().filter(|_| self.is_managed)
    }
}

/// One bit after the other.
fn bits() -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|place| 1 << place)
}
