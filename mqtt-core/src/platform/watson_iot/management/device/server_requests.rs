//! Requests of the server, and what speaks against them.

use crate::{
    Instant,
    platform::json::{JsonError, RawJson},
};

use super::{
    super::{
        super::MalformedMessage,
        Action, ActionKind, FirmwareState, Observe, Refusal, Requested, Response, ResponseCode,
        UpdateStatus,
        image::DetailsError,
        server::{Attributes, Custom, Data, Envelope, FIRMWARE, is_observable},
        topic::ServerTopic,
    },
    ManagedDevice, bits,
};

impl<'a> ManagedDevice<'a> {
    pub(super) fn take<'m>(
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
    pub(super) fn mark(&mut self, attributes: Attributes<'_>, observed: bool) {
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
    pub(super) fn obstacle(&self, kind: ActionKind) -> Option<Refusal> {
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
}

fn refused(refusal: Refusal, envelope: Envelope<'_>) -> Action<'_> {
    Action::Refused(refusal, refusal_response(refusal, envelope))
}

/// The documentation wants 500 for a download that is not supported, where all other actions have 501.
pub(super) fn not_done(refusal: Refusal, kind: ActionKind, envelope: Envelope<'_>) -> Response<'_> {
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
pub(super) fn hash(kind: ActionKind, id: RawJson<'_>) -> u32 {
    let start = 0x811c_9dc5 ^ kind as u32;
    let hash = id.as_bytes().iter().fold(start, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}
