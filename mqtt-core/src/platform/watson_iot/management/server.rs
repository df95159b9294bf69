//! Requests of the server, and the device's responses.

use crate::{
    Publication,
    codec::{EncodeError, QoS, Writer},
    platform::json::{Elements, JsonStr, ObjectWriter, RawJson},
};

use super::{
    super::outgoing::limited, Attribute, RequestId, RequestKind, ResponseCode, Target,
    request::FirmwareNotify,
};

/// The attribute that the firmware actions are about. [`ManagedDevice`](super::ManagedDevice) keeps it.
pub(super) const FIRMWARE: &str = "mgmt.firmware";

/// What a message of the server's device management asks of the application.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[must_use = "most of them have to be answered"]
pub enum Action<'m> {
    /// Nothing: a response that nobody waits for any more, or an update that could not be made and needs no response.
    None,
    /// The response to a request of ours.
    Completed(Completed<'m>),
    /// Attributes to be taken over; `mgmt.firmware` is, already. If a response is wanted, publish it.
    Update(Attributes<'m>, Option<Response<'m>>),
    /// The server wants values, now and at each change. [`ManagedDevice::observe`](super::ManagedDevice::observe) makes
    /// the response.
    Observe(Observe<'m>),
    /// The server no longer observes these attributes. Publish the response.
    Cancelled(Attributes<'m>, Response<'m>),
    /// Something that takes its time. [`ManagedDevice::accept`](super::ManagedDevice::accept) or [`Requested::refuse`]
    /// make the response.
    Requested(Requested<'m>),
    /// An action of the application's own. [`Custom::response`] makes the response.
    Custom(Custom<'m>),
    /// The request cannot be met. Publish the response; there is nothing else to do.
    Refused(Refusal, Response<'m>),
}

/// Why a request of the server was refused without asking the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// The topic stands for no request that is known; 501.
    Unknown,
    /// The [`Profile`](super::Profile) does not allow it; 501, and 500 for a download.
    NotSupported,
    /// What the request has to say is missing or of another type; 400.
    Malformed,
    /// A firmware action that does not fit the state; 400.
    WrongState,
    /// A download without a usable URI; 400.
    NoUri,
    /// An attribute that cannot be observed; 404.
    UnknownAttribute,
    /// Another image is being downloaded or installed; 409.
    Busy,
    /// The details of the image do not fit into the memory for the record; 500.
    NoRoom,
    /// It came before, under the same name, and was accepted then: answered again, and not done again.
    Repeated,
}

/// How a request of ours ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Completed<'m> {
    /// What was asked.
    pub kind: RequestKind,
    /// Its name.
    pub id: RequestId,
    /// The answer.
    pub code: ResponseCode,
    /// The answer in words.
    pub message: Option<JsonStr<'m>>,
    /// Anything else the server said.
    pub data: Option<RawJson<'m>>,
}

/// Attributes named by the server, in an update with values. Unknown ones are to be ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attributes<'m>(RawJson<'m>);

impl<'m> Attributes<'m> {
    /// `d.fields`, if each of them is an object with a name.
    pub(super) fn of(request: RawJson<'m>) -> Option<Self> {
        let fields = request.member("d")?.member("fields")?;
        let mut elements = fields.elements()?;
        elements
            .all(|field| name_of(field).is_some())
            .then_some(Self(fields))
    }

    /// Names and values. The value is `null` where the server gave none.
    #[must_use]
    pub fn iter(&self) -> AttributesIter<'m> {
        AttributesIter(self.0.elements())
    }
}

impl<'m> IntoIterator for &Attributes<'m> {
    type Item = (JsonStr<'m>, RawJson<'m>);
    type IntoIter = AttributesIter<'m>;

    fn into_iter(self) -> AttributesIter<'m> {
        self.iter()
    }
}

/// Names and values of [`Attributes`].
#[derive(Clone, Debug)]
pub struct AttributesIter<'m>(Option<Elements<'m>>);

impl<'m> Iterator for AttributesIter<'m> {
    type Item = (JsonStr<'m>, RawJson<'m>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.0.as_mut()?.next()?;
        Some((
            name_of(field)?,
            field.member("value").unwrap_or(RawJson::NULL),
        ))
    }
}

fn name_of(field: RawJson<'_>) -> Option<JsonStr<'_>> {
    field.member("field").and_then(RawJson::string)
}

/// The server wants to observe attributes. Not yet answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Observe<'m> {
    pub(super) envelope: Envelope<'m>,
    pub(super) attributes: Attributes<'m>,
}

impl<'m> Observe<'m> {
    /// Which attributes. All of them can be observed; `mgmt.firmware` is taken care of.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'m> {
        self.attributes
    }
}

/// What the server can ask for that takes its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ActionKind {
    /// Restart. Done when the device asks to be managed again.
    Reboot,
    /// Return to the state of delivery. Done when the device asks to be managed again.
    FactoryReset,
    /// Fetch the image.
    FirmwareDownload,
    /// Install the image.
    FirmwareUpdate,
}

/// A request for something that takes its time. Not yet answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Requested<'m> {
    pub(super) envelope: Envelope<'m>,
    /// What is asked for.
    pub kind: ActionKind,
}

impl<'m> Requested<'m> {
    /// The response that it is not done, with [`ResponseCode::FAILED`] in most cases.
    pub const fn refuse(self, code: ResponseCode, message: &'m str) -> Response<'m> {
        self.envelope.response(code).message(message)
    }
}

/// A request for an action of the application's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Custom<'m> {
    pub(super) envelope: Envelope<'m>,
    /// The identifier of the bundle, one of the profile's.
    pub bundle: &'m str,
    /// The identifier of the action. Answer [`ResponseCode::NOT_SUPPORTED`] to one that is not known.
    pub action: &'m str,
    /// The parameters, if there are any.
    pub parameters: Option<Attributes<'m>>,
}

impl<'m> Custom<'m> {
    /// The response: [`ResponseCode::OK`] when it is done.
    pub const fn response(self, code: ResponseCode) -> Response<'m> {
        self.envelope.response(code)
    }

    /// The server's name for the request as it stands in the JSON text, for a response that is made when the message
    /// is gone: see [`Response::to`].
    #[must_use]
    pub const fn request_id(&self) -> RawJson<'m> {
        self.envelope.id
    }
}

/// Where a response goes, and which request it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Envelope<'m> {
    pub(super) target: Target<'m>,
    pub(super) id: RawJson<'m>,
}

impl<'m> Envelope<'m> {
    pub(super) const fn response(self, code: ResponseCode) -> Response<'m> {
        Response {
            envelope: self,
            code,
            message: None,
            data: Data::None,
        }
    }
}

/// A response to a request of the server, at QoS 1.
#[derive(Clone, Copy, Debug)]
#[must_use = "publish it"]
pub struct Response<'m> {
    envelope: Envelope<'m>,
    code: ResponseCode,
    message: Option<&'m str>,
    data: Data<'m>,
}

/// What a response says beyond its code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'m> {
    None,
    /// The attributes asked for with their values.
    Values {
        asked: Attributes<'m>,
        known: &'m [Attribute<'m>],
        firmware: FirmwareNotify,
    },
    /// The names of the attributes asked for that have no value.
    Missing {
        asked: Attributes<'m>,
        observable: &'m [&'m str],
        has_firmware: bool,
    },
}

impl<'m> Response<'m> {
    /// A response to a request whose message is gone: `request_id` is what [`Custom::request_id`] gave.
    pub const fn to(target: Target<'m>, request_id: RawJson<'m>, code: ResponseCode) -> Self {
        let envelope = Envelope {
            target,
            id: request_id,
        };
        envelope.response(code)
    }

    /// With words for the operator.
    pub const fn message(mut self, message: &'m str) -> Self {
        self.message = Some(message);
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> ResponseCode {
        self.code
    }

    pub(super) const fn data(mut self, data: Data<'m>) -> Self {
        self.data = data;
        self
    }
}

impl Publication for Response<'_> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.envelope.target.write_topic("response", topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        limited(payload, |payload| self.write(payload))
    }

    fn qos(&self) -> QoS {
        QoS::AtLeastOnce
    }
}

impl Response<'_> {
    fn write(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut response = ObjectWriter::new(payload)?;
        response.member("rc", &self.code.0)?;
        response.text("message", self.message)?;
        self.data.write(&mut response)?;
        response.name("reqId")?.bytes(self.envelope.id.as_bytes())?;
        response.end()
    }
}

impl Data<'_> {
    fn write(&self, response: &mut ObjectWriter<'_, '_>) -> Result<(), EncodeError> {
        let (Self::Values { asked, .. } | Self::Missing { asked, .. }) = self else {
            return Ok(());
        };
        let mut data = ObjectWriter::new(response.name("d")?)?;
        let fields = data.name("fields")?;
        fields.bytes(b"[")?;
        let mut is_first = true;
        for (name, _) in asked {
            if self.names(name) {
                if !core::mem::take(&mut is_first) {
                    fields.bytes(b",")?;
                }
                self.write_field(name, fields)?;
            }
        }
        fields.bytes(b"]")?;
        data.end()
    }

    /// Whether the response names the attribute.
    fn names(&self, name: JsonStr<'_>) -> bool {
        match self {
            Self::Missing {
                observable,
                has_firmware,
                ..
            } => !is_observable(name, observable, *has_firmware),
            Self::Values { .. } | Self::None => true,
        }
    }

    fn write_field(&self, name: JsonStr<'_>, fields: &mut Writer<'_>) -> Result<(), EncodeError> {
        let mut field = ObjectWriter::new(fields)?;
        let text = field.name("field")?;
        text.bytes(b"\"")?;
        text.bytes(name.raw())?;
        text.bytes(b"\"")?;
        if let Self::Values {
            known, firmware, ..
        } = self
        {
            let value = field.name("value")?;
            if name == FIRMWARE {
                firmware.write_value(value)?;
            } else if let Some(attribute) = known.iter().find(|known| name == known.name) {
                attribute.value.write_json(value)?;
            } else {
                value.bytes(b"null")?;
            }
        }
        field.end()
    }
}

/// Whether the server may observe an attribute.
pub(super) fn is_observable(name: JsonStr<'_>, observable: &[&str], has_firmware: bool) -> bool {
    if name == FIRMWARE {
        has_firmware
    } else {
        observable.iter().any(|known| name == *known)
    }
}
