//! The properties of MQTT 5. Without feature `v5` a [`Properties`] is empty, has no size, and costs nothing.

#[cfg(feature = "v5")]
mod property;
#[cfg(feature = "v5")]
mod raw;

#[cfg(feature = "v5")]
pub use property::Property;
#[cfg(feature = "v5")]
pub(crate) use raw::value_at;

use core::fmt;
#[cfg(not(feature = "v5"))]
use core::marker::PhantomData;

#[cfg(feature = "v5")]
use self::raw::Source;
use super::{DecodeError, EncodeError, QoS, Reader, TopicName, Version, Writer, text};

/// The properties of a packet or of a will (MQTT 5 §2.2.2).
///
/// Either written by the user as a slice of `Property`, or borrowed from a received packet, in
/// which case they were checked. In a 3.1.1 packet they are neither written nor read.
#[derive(Clone, Copy, Default)]
pub struct Properties<'a> {
    #[cfg(feature = "v5")]
    source: Source<'a>,
    #[cfg(not(feature = "v5"))]
    source: PhantomData<&'a ()>,
}

/// One property in the form that all kinds share.
#[derive(Clone, Copy, Default)]
struct Raw<'a> {
    #[cfg(feature = "v5")]
    id: u8,
    integer: u32,
    /// String or data; the name of a user property.
    bytes: &'a [u8],
    /// The value of a user property.
    value: &'a [u8],
}

/// What properties stand in; decides which of them are allowed (MQTT 5 table 2-4).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Place {
    Connect,
    ConnAck,
    Publish,
    Will,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
    Ack,
    Subscribe,
    Unsubscribe,
    Disconnect,
    #[cfg(feature = "v5")]
    Auth,
}

impl<'a> Properties<'a> {
    /// Writes the property section of a PUBLISH.
    #[cfg(feature = "v5")]
    pub(crate) fn write_to_publish(
        self,
        writer: &mut Writer<'_>,
        version: Version,
    ) -> Result<(), EncodeError> {
        self.write(writer, version, Place::Publish)
    }

    /// No properties.
    pub const NONE: Self = Self {
        #[cfg(feature = "v5")]
        source: Source::NONE,
        #[cfg(not(feature = "v5"))]
        source: PhantomData,
    };

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        #[cfg(feature = "v5")]
        return self.source.is_empty();
        #[cfg(not(feature = "v5"))]
        true
    }

    /// Session Expiry Interval in seconds; `u32::MAX` means never.
    #[must_use]
    pub fn session_expiry_interval(&self) -> Option<u32> {
        self.integer(0x11)
    }

    /// How many unacknowledged PUBLISH at QoS 1 and 2 the sender of the packet accepts, 1 to 65,535.
    #[must_use]
    pub fn receive_maximum(&self) -> Option<u16> {
        self.two_byte_integer(0x21)
    }

    /// The longest packet that the sender of this one accepts, in bytes with fixed header; never zero.
    #[must_use]
    pub fn maximum_packet_size(&self) -> Option<u32> {
        self.integer(0x27)
    }

    /// The highest topic alias that the sender of the packet accepts; zero for none.
    #[must_use]
    pub fn topic_alias_maximum(&self) -> Option<u16> {
        self.two_byte_integer(0x22)
    }

    /// The topic alias of a PUBLISH, 1 to 65,535.
    #[must_use]
    pub fn topic_alias(&self) -> Option<u16> {
        self.two_byte_integer(0x23)
    }

    /// The highest QoS that the server accepts: 0 or 1.
    #[must_use]
    pub fn maximum_qos(&self) -> Option<QoS> {
        match self.integer(0x24)? {
            0 => Some(QoS::AtMostOnce),
            _ => Some(QoS::AtLeastOnce),
        }
    }

    /// Whether the server accepts retained messages.
    #[must_use]
    pub fn retain_available(&self) -> Option<bool> {
        self.boolean(0x25)
    }

    /// Whether the server accepts filters with wildcards.
    #[must_use]
    pub fn wildcard_subscription_available(&self) -> Option<bool> {
        self.boolean(0x28)
    }

    /// Whether the server accepts subscription identifiers.
    #[must_use]
    pub fn subscription_identifier_available(&self) -> Option<bool> {
        self.boolean(0x29)
    }

    /// Whether the server accepts shared subscriptions.
    #[must_use]
    pub fn shared_subscription_available(&self) -> Option<bool> {
        self.boolean(0x2a)
    }

    /// The keep alive in seconds that the server wants instead of that of CONNECT; zero for none.
    #[must_use]
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.two_byte_integer(0x13)
    }

    /// The client identifier that the server chose.
    #[must_use]
    pub fn assigned_client_identifier(&self) -> Option<&'a str> {
        self.text(0x12)
    }

    /// What the client may build response topics from.
    #[must_use]
    pub fn response_information(&self) -> Option<&'a str> {
        self.text(0x1a)
    }

    /// The other server that the client should use.
    #[must_use]
    pub fn server_reference(&self) -> Option<&'a str> {
        self.text(0x1c)
    }

    /// Words for people about the reason code.
    #[must_use]
    pub fn reason_string(&self) -> Option<&'a str> {
        self.text(0x1f)
    }

    /// The name of the authentication method.
    #[must_use]
    pub fn authentication_method(&self) -> Option<&'a str> {
        self.text(0x15)
    }

    /// A step of the authentication method.
    #[must_use]
    pub fn authentication_data(&self) -> Option<&'a [u8]> {
        self.data(0x16)
    }

    /// Whether the payload is UTF-8 text (`true`) or unspecified bytes.
    #[must_use]
    pub fn payload_format_indicator(&self) -> Option<bool> {
        self.boolean(0x01)
    }

    /// The lifetime of the message in seconds.
    #[must_use]
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.integer(0x02)
    }

    /// What the payload is, often a MIME type.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(0x03)
    }

    /// Where the answer to a request goes.
    #[must_use]
    pub fn response_topic(&self) -> Option<TopicName<'a>> {
        self.topic(0x08)
    }

    /// What ties an answer to its request.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.data(0x09)
    }

    /// Seconds between the end of the connection and the will.
    #[must_use]
    pub fn will_delay_interval(&self) -> Option<u32> {
        self.integer(0x18)
    }

    /// Whether the client wants response information in CONNACK.
    #[must_use]
    pub fn request_response_information(&self) -> Option<bool> {
        self.boolean(0x19)
    }

    /// Whether the client wants reason strings and user properties besides those of messages.
    #[must_use]
    pub fn request_problem_information(&self) -> Option<bool> {
        self.boolean(0x17)
    }

    /// The identifiers of the subscriptions that a message belongs to, or the one of a SUBSCRIBE;
    /// each 1 to 268,435,455.
    #[must_use]
    pub fn subscription_identifiers(&self) -> SubscriptionIdentifiers<'a> {
        SubscriptionIdentifiers(self.raw())
    }

    /// The name and value pairs of the application, in order.
    #[must_use]
    pub fn user_properties(&self) -> UserProperties<'a> {
        UserProperties(self.raw())
    }

    fn two_byte_integer(self, id: u8) -> Option<u16> {
        self.integer(id).and_then(|value| u16::try_from(value).ok())
    }

    fn boolean(self, id: u8) -> Option<bool> {
        self.integer(id).map(|value| value != 0)
    }

    fn text(self, id: u8) -> Option<&'a str> {
        self.data(id).map(text::as_str)
    }
}

#[cfg(feature = "v5")]
impl<'a> Properties<'a> {
    /// Properties to be sent.
    #[must_use]
    pub const fn from(properties: &'a [Property<'a>]) -> Self {
        Self {
            source: Source::Listed(properties, &property::LIST_OPS),
        }
    }

    /// All properties, in order.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.raw().filter_map(Property::from_raw)
    }

    /// Length on the wire with the property length before them.
    #[inline]
    pub(crate) fn section_len(&self, version: Version) -> usize {
        if version.is_v5() {
            raw::section_len(self.source)
        } else {
            0
        }
    }

    /// Takes the properties of a packet. They come back in `self`, not as a value, because a `Result`
    /// of that size is copied byte by byte on its way up.
    #[inline]
    pub(crate) fn read(
        &mut self,
        reader: &mut Reader<'a>,
        version: Version,
        place: Place,
    ) -> Result<(), DecodeError> {
        if version.is_v5() {
            self.source = Source::Received(raw::read(reader, place)?);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn write(
        &self,
        writer: &mut Writer<'_>,
        version: Version,
        place: Place,
    ) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Ok(());
        }
        // A writer of its own, so that for 3.1.1 the caller's can stay in registers.
        let mut own = core::mem::take(writer);
        let result = raw::write(self.source, &mut own, place);
        *writer = own;
        result
    }

    /// The properties of a PUBLISH from a section that was kept; `None` if it is not one.
    #[cfg(feature = "client")]
    pub(crate) fn of_publish(section: &'a [u8]) -> Option<Self> {
        let mut properties = Self::NONE;
        let mut reader = Reader::new(section);
        properties
            .read(&mut reader, Version::V5, Place::Publish)
            .ok()?;
        reader.is_empty().then_some(properties)
    }

    /// Properties from bytes that are known to be right, without their length.
    pub(crate) const fn from_checked(bytes: &'a [u8]) -> Self {
        Self {
            source: Source::Received(bytes),
        }
    }

    /// Whether there is an authentication method, asked without making a string of it.
    pub(crate) fn has_authentication_method(&self) -> bool {
        self.data(0x15).is_some()
    }

    fn topic(self, id: u8) -> Option<TopicName<'a>> {
        self.data(id).map(TopicName::from_checked)
    }

    fn integer(self, id: u8) -> Option<u32> {
        self.source.integer(id)
    }

    /// String or data as bytes, by identifier: unlike the getters, no UTF-8 check is linked for it.
    pub(crate) fn data(self, id: u8) -> Option<&'a [u8]> {
        self.source.data(id)
    }

    fn raw(self) -> raw::Iter<'a> {
        raw::Iter::new(self.source)
    }
}

#[cfg(not(feature = "v5"))]
#[allow(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the same signatures as with properties"
)]
impl<'a> Properties<'a> {
    pub(crate) const fn section_len(self, _: Version) -> usize {
        0
    }

    pub(crate) const fn read(
        &mut self,
        _: &mut Reader<'a>,
        _: Version,
        _: Place,
    ) -> Result<(), DecodeError> {
        Ok(())
    }

    pub(crate) const fn write(
        self,
        _: &mut Writer<'_>,
        _: Version,
        _: Place,
    ) -> Result<(), EncodeError> {
        Ok(())
    }

    const fn topic(self, _: u8) -> Option<TopicName<'a>> {
        None
    }

    const fn integer(self, _: u8) -> Option<u32> {
        None
    }

    pub(crate) const fn data(self, _: u8) -> Option<&'a [u8]> {
        None
    }

    const fn raw(self) -> core::iter::Empty<Raw<'a>> {
        core::iter::empty()
    }
}

#[cfg(feature = "v5")]
type RawIter<'a> = raw::Iter<'a>;
#[cfg(not(feature = "v5"))]
type RawIter<'a> = core::iter::Empty<Raw<'a>>;

/// Two values are equal if they hold equal properties in the same order.
impl PartialEq for Properties<'_> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "v5")]
        return self.iter().eq(other.iter());
        #[cfg(not(feature = "v5"))]
        return self.source == other.source;
    }
}

impl Eq for Properties<'_> {}

#[cfg(feature = "v5")]
impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(not(feature = "v5"))]
impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[]")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Properties<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        #[cfg(feature = "v5")]
        for property in self.iter() {
            defmt::write!(f, "{} ", property);
        }
        #[cfg(not(feature = "v5"))]
        defmt::write!(f, "[]");
    }
}

/// Iterator over name and value of user properties.
#[derive(Clone)]
pub struct UserProperties<'a>(RawIter<'a>);

impl<'a> Iterator for UserProperties<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        #[cfg(feature = "v5")]
        let raw = self.0.next_of(0x26)?;
        #[cfg(not(feature = "v5"))]
        let raw = self.0.next()?;
        Some((text::as_str(raw.bytes), text::as_str(raw.value)))
    }
}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Iterator over subscription identifiers, each 1 to 268,435,455.
#[derive(Clone)]
pub struct SubscriptionIdentifiers<'a>(RawIter<'a>);

impl Iterator for SubscriptionIdentifiers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        #[cfg(feature = "v5")]
        let raw = self.0.next_of(0x0b)?;
        #[cfg(not(feature = "v5"))]
        let raw = self.0.next()?;
        Some(raw.integer)
    }
}

impl fmt::Debug for SubscriptionIdentifiers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
