use core::fmt;

use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketIdentifier, PacketType, Properties, Reader, TopicFilter,
    Version, Writer,
};

/// The client ends subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsubscribe<'a> {
    /// Names the exchange.
    pub packet_identifier: PacketIdentifier,
    /// At least one, each as it was subscribed.
    pub filters: TopicFilters<'a>,
    /// User properties.
    pub properties: Properties<'a>,
}

/// The filters of an UNSUBSCRIBE: a list to be sent, or borrowed from a received packet.
#[derive(Clone, Copy)]
pub struct TopicFilters<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Listed(&'a [TopicFilter<'a>]),
    /// Bytes that `read` found legal.
    Received(&'a [u8]),
}

impl<'a> Unsubscribe<'a> {
    /// An UNSUBSCRIBE without properties.
    #[must_use]
    pub const fn new(packet_identifier: PacketIdentifier, filters: &'a [TopicFilter<'a>]) -> Self {
        Self {
            packet_identifier,
            filters: TopicFilters::from(filters),
            properties: Properties::NONE,
        }
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::EmptyList`], [`EncodeError::TooLong`] above 268,435,455 bytes, errors of the
    /// properties, [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        let filters_len = self.filters.encoded_len();
        if filters_len == 0 {
            return Err(EncodeError::EmptyList);
        }
        let remaining_length = filters_len
            .saturating_add(self.properties.section_len(version))
            .saturating_add(2);
        let mut writer = Writer::new(out);
        writer.fixed_header(PacketType::Unsubscribe.first_byte(), remaining_length)?;
        writer.u16(self.packet_identifier.get())?;
        self.properties
            .write(&mut writer, version, Place::Unsubscribe)?;
        self.filters.write(&mut writer)?;
        Ok(writer.len())
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_identifier = reader.packet_identifier()?;
        let mut properties = Properties::NONE;
        properties.read(&mut reader, version, Place::Unsubscribe)?;
        let filters = TopicFilters::read(reader)?;
        Ok(Self {
            packet_identifier,
            filters,
            properties,
        })
    }
}

impl<'a> TopicFilters<'a> {
    /// Filters to be sent.
    #[must_use]
    pub const fn from(filters: &'a [TopicFilter<'a>]) -> Self {
        Self(Source::Listed(filters))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = TopicFilter<'a>> + use<'a> {
        let mut source = self.0;
        core::iter::from_fn(move || source.next())
    }

    fn encoded_len(&self) -> usize {
        match self.0 {
            Source::Listed(list) => list.iter().fold(0, |len, filter| {
                len.saturating_add(filter.len().wrapping_add(2))
            }),
            Source::Received(bytes) => bytes.len(),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self.0 {
            Source::Listed(list) => list
                .iter()
                .try_for_each(|filter| writer.binary(filter.as_bytes())),
            Source::Received(bytes) => writer.bytes(bytes),
        }
    }

    fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        if bytes.is_empty() {
            return Err(DecodeError::EmptyList);
        }
        while !reader.is_empty() {
            TopicFilter::read(&mut reader)?;
        }
        Ok(Self(Source::Received(bytes)))
    }
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Option<TopicFilter<'a>> {
        match self {
            Self::Listed(list) => {
                let (first, rest) = list.split_first()?;
                *list = rest;
                Some(*first)
            }
            Self::Received(bytes) => {
                let mut reader = Reader::new(bytes);
                let filter = TopicFilter::read_checked(&mut reader)?;
                *bytes = reader.rest();
                Some(filter)
            }
        }
    }
}

/// Two values are equal if they hold equal filters in the same order.
impl PartialEq for TopicFilters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for TopicFilters<'_> {}

impl fmt::Debug for TopicFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for TopicFilters<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        for filter in self.iter() {
            defmt::write!(f, "{} ", filter);
        }
    }
}
