//! What can be published.

use serde::Serialize;

use crate::{
    codec::{EncodeError, Properties, QoS, Writer},
    json::write_json,
};

/// Anything that can be published.
///
/// Topic and payload are written in place, straight into the transmit buffer: nothing is formatted or copied before.
/// Platform helpers implement it, and so can an application:
///
/// ```
/// use mqtt_core::{Publication, codec::{EncodeError, QoS, Writer}};
///
/// struct Temperature<'a> { room: &'a str, tenths: i16 }
///
/// impl Publication for Temperature<'_> {
///     fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
///         topic.bytes(b"building/")?;
///         topic.bytes(self.room.as_bytes())
///     }
///     fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
///         payload.bytes(&self.tenths.to_be_bytes())
///     }
///     fn qos(&self) -> QoS { QoS::AtLeastOnce }
/// }
/// ```
pub trait Publication {
    /// Writes the topic name, in as many pieces as is convenient.
    ///
    /// The session checks the whole afterwards (MQTT 3.1.1 §4.7): not empty, no wildcard, no U+0000.
    ///
    /// # Errors
    ///
    /// Those of [`Writer`]; pass them on.
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Writes the payload.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`] makes the session look for more room and call again. Any other error refuses the publication.
    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// The length of the payload in bytes, when it is known before it is written.
    fn payload_len(&self) -> Option<usize> {
        None
    }

    /// The quality of service, by default [`QoS::AtMostOnce`].
    fn qos(&self) -> QoS {
        QoS::AtMostOnce
    }

    /// Whether the server keeps the message for later subscribers.
    fn retain(&self) -> bool {
        false
    }

    /// The properties of MQTT 5. Left out on 3.1.1.
    fn properties(&self) -> Properties<'_> {
        Properties::NONE
    }
}

/// A message to publish: a topic, a payload and how to deliver it.
///
/// ```
/// use mqtt_core::Message;
///
/// let message = Message::new("dw/demo", b"hello").at_least_once().retain();
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// The quality of service.
    pub qos: QoS,
    /// To be kept by the server as the last value of the topic.
    pub retain: bool,
    /// The properties of MQTT 5.
    pub properties: Properties<'a>,
}

impl<'a> Message<'a> {
    /// A message at QoS 0, not retained. The topic is checked when it is published.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::NONE,
        }
    }

    /// With the quality of service `qos`.
    #[must_use]
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// At QoS 1.
    #[must_use]
    pub const fn at_least_once(self) -> Self {
        self.qos(QoS::AtLeastOnce)
    }

    /// At QoS 2.
    #[must_use]
    pub const fn exactly_once(self) -> Self {
        self.qos(QoS::ExactlyOnce)
    }

    /// To be kept by the server.
    #[must_use]
    pub const fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// With a payload that `write` writes in place.
    #[must_use]
    pub const fn written_by<F>(self, write: F) -> WrittenBy<'a, F>
    where
        F: Fn(&mut Writer<'_>) -> Result<(), EncodeError>,
    {
        WrittenBy(self, write)
    }

    /// With `value` as JSON for its payload, written in place.
    #[must_use]
    pub const fn json<T: Serialize>(self, value: &'a T) -> Json<'a, T> {
        Json(self, value)
    }

    /// With properties of MQTT 5.
    #[must_use]
    pub const fn properties(mut self, properties: Properties<'a>) -> Self {
        self.properties = properties;
        self
    }
}

impl Publication for Message<'_> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        topic.bytes(self.topic.as_bytes())
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        payload.bytes(self.payload)
    }

    fn payload_len(&self) -> Option<usize> {
        Some(self.payload.len())
    }

    fn qos(&self) -> QoS {
        self.qos
    }

    fn retain(&self) -> bool {
        self.retain
    }

    fn properties(&self) -> Properties<'_> {
        self.properties
    }
}

/// A [`Message`] whose payload a closure writes in place.
///
/// ```
/// use mqtt_core::Message;
///
/// let reading = 2150_u16;
/// let publication = Message::new("dw/demo", b"").written_by(|payload| payload.bytes(&reading.to_be_bytes()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WrittenBy<'a, F>(
    /// Everything but the payload.
    pub Message<'a>,
    /// Writes the payload.
    pub F,
);

impl<F: Fn(&mut Writer<'_>) -> Result<(), EncodeError>> Publication for WrittenBy<'_, F> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.write_topic(topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        (self.1)(payload)
    }

    fn qos(&self) -> QoS {
        self.0.qos
    }

    fn retain(&self) -> bool {
        self.0.retain
    }

    fn properties(&self) -> Properties<'_> {
        self.0.properties
    }
}

/// A [`Message`] whose payload is a value written as JSON, in place.
///
/// ```
/// use mqtt_core::Message;
///
/// #[derive(serde::Serialize)]
/// struct Reading { millivolts: u16 }
///
/// let reading = Reading { millivolts: 3300 };
/// let publication = Message::new("dw/demo", b"").at_least_once().json(&reading);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<'a, T>(
    /// Everything but the payload.
    pub Message<'a>,
    /// The value.
    pub &'a T,
);

impl<T: Serialize> Publication for Json<'_, T> {
    fn write_topic(&self, topic: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.write_topic(topic)
    }

    fn write_payload(&self, payload: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_json(payload, self.1)
    }

    fn qos(&self) -> QoS {
        self.0.qos
    }

    fn retain(&self) -> bool {
        self.0.retain
    }

    fn properties(&self) -> Properties<'_> {
        self.0.properties
    }
}
