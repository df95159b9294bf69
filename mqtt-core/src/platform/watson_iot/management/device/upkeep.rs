//! What a managed device says of its own accord.

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
};

use super::super::{Profile, Request, RequestId, Target, request::FirmwareNotify};

/// What a managed device says of its own accord: that it wants to be managed, or how far a firmware action got.
#[derive(Clone, Copy, Debug)]
#[must_use = "publish it"]
pub struct Upkeep<'a> {
    pub(super) target: Target<'a>,
    pub(super) said: Said<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
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
