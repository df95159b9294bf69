//! Messages as records.
//!
//! ```text
//! number u32 LE | layout 4 bits, QoS 2 bits, retain 1 bit | topic length u16, topic
//!               | properties length u16, property section of MQTT 5 | payload
//! ```

use crate::{
    Message, Publication,
    codec::{EncodeError, QoS, Reader, TopicName, Writer},
    session::PublishError,
};

use super::RecordNumber;

/// The only layout so far, in the upper half of the byte.
const LAYOUT: u8 = 1 << 4;
const LAYOUT_MASK: u8 = 0xf0;
const RETAIN: u8 = 1;

/// How long a record is, and the parts that matter outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    pub(super) record: usize,
    pub(super) topic: usize,
    /// The property section of MQTT 5.
    pub(super) section: usize,
    pub(super) payload: usize,
}

/// Writes the record of a publication into `out`.
pub(super) fn encode(
    publication: &dyn Publication,
    number: RecordNumber,
    out: &mut [u8],
) -> Result<Lengths, PublishError> {
    encode_in(publication, number, out).map_err(|error| match error {
        PublishError::Encode(EncodeError::NoRoom) => PublishError::TooLarge,
        error => error,
    })
}

fn encode_in(
    publication: &dyn Publication,
    number: RecordNumber,
    out: &mut [u8],
) -> Result<Lengths, PublishError> {
    let mut writer = Writer::new(out);
    writer.bytes(&number.to_bytes())?;
    writer.u8(LAYOUT | (publication.qos() as u8) << 1 | u8::from(publication.retain()))?;
    let topic = write_topic(publication, &mut writer)?;
    let section = write_properties(publication, &mut writer)?;
    let head = writer.len();
    publication.write_payload(&mut writer)?;
    Ok(Lengths {
        record: writer.len(),
        topic,
        section,
        payload: writer.len().saturating_sub(head),
    })
}

fn write_topic(
    publication: &dyn Publication,
    writer: &mut Writer<'_>,
) -> Result<usize, PublishError> {
    let (len, rest) = writer
        .spare()
        .split_first_chunk_mut::<2>()
        .ok_or(EncodeError::NoRoom)?;
    let mut topic = Writer::new(rest);
    publication.write_topic(&mut topic)?;
    let topic_len = topic.len();
    TopicName::check(rest.get(..topic_len).unwrap_or_default())?;
    *len = u16::try_from(topic_len)
        .map_err(|_| EncodeError::TooLong)?
        .to_be_bytes();
    writer.advance(topic_len.saturating_add(2))?;
    Ok(topic_len)
}

#[cfg(feature = "v5")]
fn write_properties(
    publication: &dyn Publication,
    writer: &mut Writer<'_>,
) -> Result<usize, PublishError> {
    use crate::codec::Version;

    let properties = publication.properties();
    // As when it is published: aliases are the session's business, subscription identifiers the server's.
    let forbidden = properties.topic_alias().is_some()
        || properties.subscription_identifiers().next().is_some();
    if forbidden {
        return Err(EncodeError::PropertyNotAllowed.into());
    }
    let len = properties.section_len(Version::V5);
    writer.u16(u16::try_from(len).map_err(|_| EncodeError::TooLong)?)?;
    properties.write_to_publish(writer, Version::V5)?;
    Ok(len)
}

#[cfg(not(feature = "v5"))]
fn write_properties(_: &dyn Publication, writer: &mut Writer<'_>) -> Result<usize, PublishError> {
    writer.u16(0)?;
    Ok(0)
}

/// The message of a record; `None` for a layout that this version does not know.
pub(super) fn decode(record: &[u8]) -> Option<Message<'_>> {
    let mut reader = Reader::new(record);
    reader.bytes(RecordNumber::LEN).ok()?;
    let head = reader.u8().ok()?;
    if head & LAYOUT_MASK != LAYOUT {
        return None;
    }
    let topic = reader.binary().ok()?;
    let section = reader.binary().ok()?;
    let message = Message::new(core::str::from_utf8(topic).ok()?, reader.rest())
        .qos(QoS::from_u8(head >> 1 & 3)?);
    with_properties(
        Message {
            retain: head & RETAIN != 0,
            ..message
        },
        section,
    )
}

/// The bytes of the topic.
pub(super) fn topic_of(record: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(record);
    reader.bytes(RecordNumber::LEN + 1).ok()?;
    reader.binary().ok()
}

#[cfg(feature = "v5")]
fn with_properties<'a>(mut message: Message<'a>, section: &'a [u8]) -> Option<Message<'a>> {
    if !section.is_empty() {
        message.properties = crate::codec::Properties::of_publish(section)?;
    }
    Some(message)
}

/// A record with properties, of firmware that had MQTT 5, loses them as any message does on 3.1.1.
#[cfg(not(feature = "v5"))]
#[allow(clippy::unnecessary_wraps, reason = "as with properties")]
fn with_properties<'a>(message: Message<'a>, _: &'a [u8]) -> Option<Message<'a>> {
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &Message<'_>) -> std::vec::Vec<u8> {
        let mut out = [0; 200];
        let lengths = encode(message, RecordNumber::FIRST, &mut out).unwrap();
        assert_eq!(lengths.topic, message.topic.len());
        assert_eq!(lengths.payload, message.payload.len());
        out[..lengths.record].to_vec()
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for message in [
                Message::new("a/b", b"21.5").qos(qos),
                Message::new("a", b"").qos(qos).retain(),
            ] {
                assert_eq!(decode(&record(&message)), Some(message));
            }
        }
    }

    #[cfg(feature = "v5")]
    #[test]
    fn properties_are_kept() {
        use crate::codec::{Properties, Property};
        let properties = [
            Property::MessageExpiryInterval(60),
            Property::UserProperty("a", "b"),
        ];
        let message = Message::new("a", b"x")
            .at_least_once()
            .properties(Properties::from(&properties));
        let record = record(&message);
        let back = decode(&record).unwrap();
        assert_eq!(back, message);
        assert_eq!(back.properties.message_expiry_interval(), Some(60));
    }

    #[test]
    fn what_is_cut_off_or_of_another_layout_is_no_message() {
        let whole = record(&Message::new("a/b", b"").at_least_once());
        for len in 0..whole.len() {
            assert_eq!(decode(&whole[..len]), None, "{len}");
        }
        let mut other = whole;
        other[4] = 0x22;
        assert_eq!(decode(&other), None);
    }

    #[test]
    fn what_does_not_fit_is_too_large() {
        let message = Message::new("a/b", b"hello").at_least_once();
        let whole = record(&message);
        let mut out = [0; 200];
        for len in 0..whole.len() {
            let result = encode(&message, RecordNumber::FIRST, &mut out[..len]);
            assert_eq!(
                result.map(|_| ()),
                Err(PublishError::TooLarge),
                "{len} of {}",
                whole.len()
            );
        }
    }
}
