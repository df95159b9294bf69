use core::fmt;

use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketIdentifier, PacketType, Properties, QoS, Reader, TopicFilter,
    Version, Writer,
};

/// The client asks for subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscribe<'a> {
    /// Names the exchange.
    pub packet_identifier: PacketIdentifier,
    /// At least one.
    pub filters: Subscriptions<'a>,
    /// Subscription identifier and user properties.
    pub properties: Properties<'a>,
}

/// One filter of a SUBSCRIBE with its options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Subscription<'a> {
    /// Which messages.
    pub filter: TopicFilter<'a>,
    /// The highest QoS at which they may come.
    pub qos: QoS,
    /// Not those that this client published. MQTT 5 only, left out in 3.1.1.
    pub no_local: bool,
    /// With the retain flag that they were published with. MQTT 5 only, left out in 3.1.1.
    pub retain_as_published: bool,
    /// Whether retained messages come at once. MQTT 5 only, left out in 3.1.1.
    pub retain_handling: RetainHandling,
}

/// When a new subscription gets retained messages (MQTT 5 §3.8.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum RetainHandling {
    /// Always; 3.1.1 knows only this.
    #[default]
    SendAtSubscribe = 0,
    /// Only if the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// The filters of a SUBSCRIBE: a list to be sent, or borrowed from a received packet.
#[derive(Clone, Copy)]
pub struct Subscriptions<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Listed(&'a [Subscription<'a>]),
    /// Bytes that `read` found legal in that version, and how they are written. Only `read` names the
    /// function, so that a client, which reads no SUBSCRIBE, does not link it.
    Received(&'a [u8], Version, Write),
}

type Write = fn(Subscriptions<'_>, &mut Writer<'_>, Version) -> Result<(), EncodeError>;

impl<'a> Subscribe<'a> {
    /// A SUBSCRIBE without properties.
    #[must_use]
    pub const fn new(
        packet_identifier: PacketIdentifier,
        subscriptions: &'a [Subscription<'a>],
    ) -> Self {
        Self {
            packet_identifier,
            filters: Subscriptions::from(subscriptions),
            properties: Properties::NONE,
        }
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::EmptyList`], [`EncodeError::NoLocal`] on a shared subscription,
    /// [`EncodeError::TooLong`] above 268,435,455 bytes, errors of the properties,
    /// [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let filters_len = self.filters.encoded_len();
        if filters_len == 0 {
            return Err(EncodeError::EmptyList);
        }
        let remaining_length = filters_len
            .saturating_add(self.properties.section_len(version))
            .saturating_add(2);
        let mut writer = Writer::new(out);
        writer.fixed_header(PacketType::Subscribe.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.get())?;
        self.properties
            .write(&mut writer, version, Place::Subscribe)?;
        self.filters.write(&mut writer, version)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_identifier = reader.packet_identifier()?;
        let mut properties = Properties::NONE;
        properties.read(&mut reader, version, Place::Subscribe)?;
        let filters = Subscriptions::read(reader, version)?;
        Ok(Self {
            packet_identifier,
            filters,
            properties,
        })
    }
}

impl<'a> Subscription<'a> {
    /// A subscription with the options that 3.1.1 knows.
    #[must_use]
    pub const fn new(filter: TopicFilter<'a>, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        }
    }

    /// The byte behind the filter (MQTT 5 §3.8.3.1).
    const fn options(&self, version: Version) -> u8 {
        if !version.is_v5() {
            return self.qos as u8;
        }
        self.qos as u8
            | (self.no_local as u8) << 2
            | (self.retain_as_published as u8) << 3
            | (self.retain_handling as u8) << 4
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>, version: Version) -> Result<(), EncodeError> {
        // [MQTT-3.8.3-4]
        if version.is_v5() && self.no_local && self.filter.is_shared() {
            return Err(EncodeError::NoLocal);
        }
        writer.binary(self.filter.as_bytes())?;
        writer.u8(self.options(version))
    }

    fn read(reader: &mut Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let filter = TopicFilter::read(reader)?;
        let options = reader.u8()?;
        let reserved = if version.is_v5() { 0xc0 } else { 0xfc };
        if options & reserved != 0 {
            return Err(DecodeError::ReservedBits);
        }
        let subscription = Self::from_options(filter, options)?;
        if subscription.no_local && filter.is_shared() {
            return Err(DecodeError::NoLocal);
        }
        Ok(subscription)
    }

    fn from_options(filter: TopicFilter<'a>, options: u8) -> Result<Self, DecodeError> {
        Ok(Self {
            filter,
            qos: QoS::from_u8(options & 3).ok_or(DecodeError::QoS)?,
            no_local: options & 0x04 != 0,
            retain_as_published: options & 0x08 != 0,
            retain_handling: match options >> 4 {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(DecodeError::ReservedBits),
            },
        })
    }
}

impl<'a> Subscriptions<'a> {
    /// Subscriptions to be sent.
    #[must_use]
    pub const fn from(subscriptions: &'a [Subscription<'a>]) -> Self {
        Self(Source::Listed(subscriptions))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let mut source = self.0;
        core::iter::from_fn(move || source.next())
    }

    fn encoded_len(&self) -> usize {
        match self.0 {
            Source::Listed(list) => list.iter().fold(0, |len, subscription| {
                len.saturating_add(subscription.filter.len().wrapping_add(3))
            }),
            Source::Received(bytes, ..) => bytes.len(),
        }
    }

    fn write(&self, writer: &mut Writer<'_>, version: Version) -> Result<(), EncodeError> {
        match self.0 {
            Source::Listed(list) => list
                .iter()
                .try_for_each(|subscription| subscription.write(writer, version)),
            Source::Received(.., write) => write(*self, writer, version),
        }
    }

    fn read(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        if bytes.is_empty() {
            return Err(DecodeError::EmptyList);
        }
        while !reader.is_empty() {
            Subscription::read(&mut reader, version)?;
        }
        Ok(Self(Source::Received(bytes, version, write_received)))
    }
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Option<Subscription<'a>> {
        match self {
            Self::Listed(list) => {
                let (first, rest) = list.split_first()?;
                *list = rest;
                Some(*first)
            }
            Self::Received(bytes, ..) => {
                let mut reader = Reader::new(bytes);
                let filter = TopicFilter::read_checked(&mut reader)?;
                let options = reader.u8().ok()?;
                *bytes = reader.rest();
                Subscription::from_options(filter, options).ok()
            }
        }
    }
}

fn write_received(
    subscriptions: Subscriptions<'_>,
    writer: &mut Writer<'_>,
    version: Version,
) -> Result<(), EncodeError> {
    match subscriptions.0 {
        // Only another version than that of the packet has other options.
        Source::Received(bytes, received, _) if received == version => writer.bytes(bytes),
        _ => subscriptions
            .iter()
            .try_for_each(|subscription| subscription.write(writer, version)),
    }
}

/// Two values are equal if they hold equal subscriptions in the same order.
impl PartialEq for Subscriptions<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Subscriptions<'_> {}

impl fmt::Debug for Subscriptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Subscriptions<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        for subscription in self.iter() {
            defmt::write!(f, "{} ", subscription);
        }
    }
}
