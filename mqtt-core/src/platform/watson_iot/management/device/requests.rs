//! Requests of the device, and how they end.

use core::fmt;

use crate::{Instant, platform::json::RawJson};

use super::{
    super::{
        super::MalformedMessage, Action, Attribute, Completed, RequestId, RequestKind, ResponseCode,
    },
    MAX_WAIT_MS, Manage, ManagedDevice, Pending,
};

/// So long before the end of its lifetime the management is renewed.
const RENEW_BEFORE_S: u32 = 120;
/// The longest time an [`Instant`] can look ahead, in seconds.
const MAX_AHEAD_S: u32 = (u32::MAX / 2) / 1_000;

impl ManagedDevice<'_> {
    pub(super) fn tick_manage(&mut self, now: Instant) {
        match self.manage {
            Manage::At(at) if now.has_reached(at) => self.manage(),
            Manage::Sent {
                id,
                wait_ms,
                deadline,
            } if now.has_reached(deadline) => {
                let wait_ms = wait_ms.saturating_mul(2).min(MAX_WAIT_MS);
                self.manage = Manage::Due { id, wait_ms };
            }
            _ => {}
        }
    }

    /// The response to a request of ours.
    pub(super) fn complete<'m>(
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
        Manage::At(now.plus(wait_s.min(MAX_AHEAD_S).saturating_mul(1_000)))
    }

    fn unmanaged(&mut self) {
        self.is_managed = false;
        self.manage = Manage::Never;
        self.observed = 0;
        self.image.set_observed(false);
    }

    /// Puts a request among those that wait.
    pub(super) fn register(
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

    pub(super) fn take_pending(&mut self, id: RequestId) -> Option<Pending> {
        self.pending
            .iter_mut()
            .find_map(|pending| pending.take_if(|pending| pending.id == id))
    }

    pub(super) fn next_id(&mut self) -> RequestId {
        self.count = self.count.wrapping_add(1);
        RequestId {
            start: self.start,
            count: self.count,
        }
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
