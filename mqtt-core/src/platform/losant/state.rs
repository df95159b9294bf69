//! State: what a device reports.

use serde::Serialize;

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
    write_json,
};

use super::{
    MAX_PAYLOAD, Now, StateTime,
    data::{self, MEMBERS},
};

/// A report of attributes, to be published; made by [`Device::state`](super::Device::state).
///
/// Publishing fails with [`EncodeError::InvalidValue`] if the data is not a JSON object, or an attribute's name holds
/// anything but letters, digits, `-` and `_`; and with [`EncodeError::TooLong`] if a string is longer than 64 KiB or
/// the whole payload than 256 KiB. Nothing is sent then.
#[derive(Clone, Copy, Debug)]
#[must_use = "has to be published"]
pub struct State<'a, T, W = Now> {
    device_id: &'a str,
    report: Report<'a, &'a T, W>,
    qos: QoS,
}

/// Several reports in one message, to be published; made by [`Device::states`](super::Device::states).
///
/// Fails as [`State`] does, and with [`EncodeError::InvalidValue`] if there is no report.
#[derive(Debug)]
#[must_use = "has to be published"]
pub struct States<'a, T, W> {
    device_id: &'a str,
    reports: &'a [Report<'a, T, W>],
    qos: QoS,
}

/// One of several reports in a message.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a, T, W = Now> {
    data: T,
    time: W,
    flow_version: Option<&'a str>,
}

impl<'a, T> State<'a, T> {
    pub(super) const fn new(device_id: &'a str, data: &'a T) -> Self {
        Self {
            device_id,
            report: Report::new(data),
            qos: QoS::AtMostOnce,
        }
    }

    /// With the time at which it was so.
    pub fn at<W: StateTime>(self, time: W) -> State<'a, T, W> {
        State {
            device_id: self.device_id,
            report: self.report.at(time),
            qos: self.qos,
        }
    }
}

impl<'a, T, W> State<'a, T, W> {
    /// Handled by this version of the workflows, instead of the default one.
    pub const fn flow_version(mut self, version: &'a str) -> Self {
        self.report.flow_version = Some(version);
        self
    }

    /// At QoS 1, the highest that Losant takes.
    pub const fn at_least_once(mut self) -> Self {
        self.qos = QoS::AtLeastOnce;
        self
    }
}

impl<'a, T, W> States<'a, T, W> {
    pub(super) const fn new(device_id: &'a str, reports: &'a [Report<'a, T, W>]) -> Self {
        Self {
            device_id,
            reports,
            qos: QoS::AtMostOnce,
        }
    }

    /// At QoS 1, the highest that Losant takes.
    pub const fn at_least_once(mut self) -> Self {
        self.qos = QoS::AtLeastOnce;
        self
    }
}

impl<'a, T> Report<'a, T> {
    /// A report for the time at which the server receives it.
    #[must_use]
    pub const fn new(data: T) -> Self {
        Self {
            data,
            time: Now,
            flow_version: None,
        }
    }

    /// With the time at which it was so.
    #[must_use]
    pub fn at<W: StateTime>(self, time: W) -> Report<'a, T, W> {
        Report {
            data: self.data,
            time,
            flow_version: self.flow_version,
        }
    }
}

impl<'a, T, W> Report<'a, T, W> {
    /// Handled by this version of the workflows, instead of the default one.
    #[must_use]
    pub const fn flow_version(mut self, version: &'a str) -> Self {
        self.flow_version = Some(version);
        self
    }
}

impl<T: Serialize, W: StateTime> Report<'_, T, W> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(MEMBERS)?;
        data::write(payload, |payload| write_json(payload, &self.data))?;
        self.time.write_member(payload)?;
        if let Some(version) = self.flow_version {
            payload.bytes(br#","flowVersion":"#)?;
            write_json(payload, version)?;
        }
        payload.bytes(b"}")
    }
}

impl<T: Serialize, W: StateTime> Publication for State<'_, T, W> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_state_topic(topic, self.device_id)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let start = payload.len();
        self.report.write(payload)?;
        check_len(payload, start)
    }

    fn qos(&self) -> QoS {
        self.qos
    }
}

impl<T: Serialize, W: StateTime> Publication for States<'_, T, W> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_state_topic(topic, self.device_id)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let start = payload.len();
        let (first, rest) = self
            .reports
            .split_first()
            .ok_or(EncodeError::InvalidValue)?;
        payload.bytes(b"[")?;
        first.write(payload)?;
        for report in rest {
            payload.bytes(b",")?;
            report.write(payload)?;
        }
        payload.bytes(b"]")?;
        check_len(payload, start)
    }

    fn qos(&self) -> QoS {
        self.qos
    }
}

impl<T, W> Clone for States<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, W> Copy for States<'_, T, W> {}

fn write_state_topic(topic: &mut Writer<'_>, device_id: &str) -> Result<(), EncodeError> {
    topic.bytes(super::TOPIC_START)?;
    topic.bytes(device_id.as_bytes())?;
    topic.bytes(b"/state")
}

fn check_len(payload: &Writer<'_>, start: usize) -> Result<(), EncodeError> {
    if payload.len().saturating_sub(start) > MAX_PAYLOAD {
        return Err(EncodeError::TooLong);
    }
    Ok(())
}
