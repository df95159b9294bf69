//! From a stream of bytes to packets: any split, any number of packets at once, packets larger than the buffer.

use core::fmt;

use crate::{
    bytes::move_down,
    codec::{FixedHeader, Packet, PacketType, PublishHead, Version},
    session::{Options, ProtocolError, SessionError},
};

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Received<'rx> {
    /// A whole packet.
    Packet(Packet<'rx>),
    /// The beginning of a PUBLISH that does not fit into the buffer. Pieces of its payload follow.
    LargePublish(PublishHead<'rx>),
    /// A piece of its payload.
    Piece {
        /// Bytes of the payload, in order.
        bytes: &'rx [u8],
        /// Nothing follows.
        last: bool,
    },
}

/// Collects received bytes until they are a packet.
///
/// ```
/// use mqtt_core::{ReceiveBuffer, Received, codec::{Packet, Version}};
///
/// let mut rx = ReceiveBuffer::new([0; 64]);
/// for piece in [&[0x30, 0x04][..], &[0x00, 0x01, b't', b'!']] {
///     rx.space()[..piece.len()].copy_from_slice(piece);
///     rx.filled(piece.len());
/// }
/// let Some(Received::Packet(Packet::Publish(publish))) = rx.next()? else { panic!("a whole packet") };
/// assert_eq!(publish.payload, b"!");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// How large? A whole PUBLISH fits if `5 + 2 + topic + 2 + properties + payload` does; larger ones are streamed or
/// skipped. If not even topic and properties fit, the message is skipped without a name and, since its packet
/// identifier is not known, without acknowledgement. Other packets must fit: CONNACK of MQTT 5 with all its strings is the longest. 256 bytes are a
/// practical minimum, 64 bytes the least that works. Topics of aliases take up the rest of what they leave.
pub struct ReceiveBuffer<B> {
    buffer: B,
    state: State,
}

#[derive(Debug)]
struct State {
    version: Version,
    maximum_packet_size: u32,
    /// Bytes not yet looked at.
    start: usize,
    end: usize,
    /// Bytes from `start` that were given out and are to be forgotten.
    given: usize,
    /// Bytes before this one keep the head of a large message.
    head: usize,
    large: Large,
    #[cfg(feature = "v5")]
    aliases: aliases::Aliases,
}

/// Where we are in a PUBLISH that does not fit.
#[derive(Clone, Copy, Debug)]
enum Large {
    No,
    /// So many bytes of payload are still to come.
    Payload {
        left: u32,
        skip: bool,
    },
}

impl<B> ReceiveBuffer<B> {
    /// An empty buffer for 3.1.1, without limits; [`reset`](Self::reset) sets them.
    #[must_use]
    pub const fn new(buffer: B) -> Self {
        Self {
            buffer,
            state: State::NEW,
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> ReceiveBuffer<B> {
    /// Empties the buffer for a new link.
    pub fn reset(&mut self, options: &Options<'_>) {
        let state = &mut self.state;
        state.version = options.version;
        state.maximum_packet_size = options.maximum_packet_size;
        state.start = 0;
        state.end = 0;
        state.given = 0;
        state.head = 0;
        state.large = Large::No;
        #[cfg(feature = "v5")]
        state.aliases.reset(options, self.buffer.as_ref().len());
    }

    /// Lets the server use topic aliases, as many as [`V5Options::topic_alias_maximum`] says, from the next
    /// [`reset`](Self::reset) on. Their topics take a quarter of the buffer.
    ///
    /// [`V5Options::topic_alias_maximum`]: crate::session::V5Options::topic_alias_maximum
    #[cfg(feature = "v5")]
    pub fn enable_topic_aliases(&mut self) {
        self.state.aliases.enable();
    }

    /// Where the next received bytes go. Empty only while [`next`](Self::next) has something to give.
    pub fn space(&mut self) -> &mut [u8] {
        let Self { buffer, state } = self;
        state.forget_given();
        let bytes = buffer.as_mut();
        if state.start != state.head {
            let to = state.head;
            move_down(
                bytes,
                state.start,
                state.end.saturating_sub(state.start),
                to,
            );
            state.end = state.end.saturating_sub(state.start.saturating_sub(to));
            state.start = to;
        }
        let limit = state.limit(bytes.len());
        bytes.get_mut(state.end..limit).unwrap_or_default()
    }

    /// The first `len` bytes of [`space`](Self::space) have been received.
    pub fn filled(&mut self, len: usize) {
        let limit = self.buffer.as_ref().len();
        self.state.end = self.state.end.saturating_add(len).min(limit);
    }

    /// The next packet, or the next piece of a large one; `None` when more bytes are needed.
    ///
    /// What it gave before is forgotten.
    ///
    /// # Errors
    ///
    /// The peer sent what the standard forbids, see [`SessionError::Decode`], a packet above
    /// [`Options::maximum_packet_size`], or one other than PUBLISH that does not fit. The link must end.
    #[allow(
        clippy::should_implement_trait,
        reason = "lends from itself, as no iterator can"
    )]
    pub fn next(&mut self) -> Result<Option<Received<'_>>, SessionError> {
        self.state.forget_given();
        let Self { buffer, state } = self;
        state.next(buffer.as_mut())
    }

    /// Throws away the rest of the large message that [`next`](Self::next) began to give.
    ///
    /// One last, empty piece is still given when its end is reached.
    pub fn skip(&mut self) {
        if let Large::Payload { skip, .. } = &mut self.state.large {
            *skip = true;
        }
    }

    /// The first byte of what [`next`](Self::next) would look at; `None` if there is none.
    #[cfg(all(feature = "client", feature = "v5"))]
    pub(crate) fn peek(&self) -> Option<u8> {
        let at = self.state.start.saturating_add(self.state.given);
        let unread = self.buffer.as_ref().get(at..self.state.end)?;
        unread.first().copied()
    }

    /// Whether a large message has begun and not ended.
    #[cfg(feature = "client")]
    pub(crate) fn is_in_large(&self) -> bool {
        !matches!(self.state.large, Large::No)
    }

    /// The PUBLISH that [`next`](Self::next) gave last, whole or the head of a large one (without payload).
    #[cfg(feature = "client")]
    pub(crate) fn current(&self) -> Option<crate::codec::Publish<'_>> {
        self.state.current(self.buffer.as_ref())
    }

    /// The last `len` bytes of what [`next`](Self::next) gave last.
    #[cfg(feature = "client")]
    pub(crate) fn current_tail(&self, len: usize) -> &[u8] {
        let end = self.state.start.wrapping_add(self.state.given);
        let tail = self.buffer.as_ref().get(end.wrapping_sub(len)..end);
        tail.unwrap_or_default()
    }

    /// The piece that [`next`](Self::next) gave last.
    #[cfg(feature = "client")]
    pub(crate) fn current_piece(&self) -> &[u8] {
        let end = self.state.start.saturating_add(self.state.given);
        let piece = self.buffer.as_ref().get(self.state.start..end);
        piece.unwrap_or_default()
    }
}

/// Not what lies in it: an answer of the server may hold credentials.
impl<B> fmt::Debug for ReceiveBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBuffer")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A buffer that is here, or with somebody else.
#[cfg(feature = "client")]
#[derive(Debug)]
pub(crate) struct Lent<B>(pub(crate) Option<B>);

#[cfg(feature = "client")]
impl<B: AsRef<[u8]>> AsRef<[u8]> for Lent<B> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().map(B::as_ref).unwrap_or_default()
    }
}

#[cfg(feature = "client")]
impl<B: AsMut<[u8]>> AsMut<[u8]> for Lent<B> {
    #[cfg_attr(target_os = "none", inline(never))]
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map(B::as_mut).unwrap_or_default()
    }
}

#[cfg(feature = "client")]
impl<B> ReceiveBuffer<Lent<B>> {
    /// A place to which the buffer can be passed.
    pub(crate) const fn away() -> Self {
        Self {
            buffer: Lent(None),
            // Of no account; and not zero, which would link `memset`.
            state: State {
                maximum_packet_size: 1,
                start: 1,
                end: 1,
                given: 1,
                head: 1,
                ..State::NEW
            },
        }
    }

    pub(crate) fn buffer_mut(&mut self) -> &mut Lent<B> {
        &mut self.buffer
    }

    /// Whether the bytes are here.
    pub(crate) const fn is_here(&self) -> bool {
        self.buffer.0.is_some()
    }

    /// Hands everything over. Field by field: moving it as a whole would link `memcpy`.
    #[inline(never)]
    pub(crate) fn pass(&mut self, to: &mut Self) {
        to.buffer.0 = self.buffer.0.take();
        let (from, to) = (&self.state, &mut to.state);
        to.version = from.version;
        to.maximum_packet_size = from.maximum_packet_size;
        to.start = from.start;
        to.end = from.end;
        to.given = from.given;
        to.head = from.head;
        to.large = from.large;
        #[cfg(feature = "v5")]
        {
            to.aliases = from.aliases;
        }
    }
}

impl State {
    const NEW: Self = Self {
        version: Version::V3_1_1,
        maximum_packet_size: 0,
        start: 0,
        end: 0,
        given: 0,
        head: 0,
        large: Large::No,
        #[cfg(feature = "v5")]
        aliases: aliases::Aliases::OFF,
    };

    fn forget_given(&mut self) {
        self.start = self.start.saturating_add(self.given).min(self.end);
        self.given = 0;
    }

    /// End of the bytes that may be received into.
    #[cfg_attr(
        not(feature = "v5"),
        allow(clippy::unused_self, reason = "aliases are of MQTT 5")
    )]
    fn limit(&self, len: usize) -> usize {
        #[cfg(feature = "v5")]
        return self.aliases.limit().min(len);
        #[cfg(not(feature = "v5"))]
        len
    }

    fn next<'b>(&mut self, bytes: &'b mut [u8]) -> Result<Option<Received<'b>>, SessionError> {
        if let Large::Payload { left, skip } = self.large {
            return Ok(self.next_piece(bytes, left, skip));
        }
        self.head = 0;
        let unread = bytes.get(self.start..self.end).unwrap_or_default();
        let available = unread.len();
        let Some((header, header_len)) = FixedHeader::decode(unread, self.version)? else {
            return Ok(None);
        };
        let len = header_len.saturating_add(header.remaining_length as usize);
        if self.maximum_packet_size != 0 && len > self.maximum_packet_size as usize {
            return Err(ProtocolError::PacketTooLarge.into());
        }
        if available >= len {
            self.given = len;
            return self.whole(bytes, header, header_len).map(Some);
        }
        let limit = self.limit(bytes.len());
        if len <= limit {
            return Ok(None);
        }
        if header.packet_type() != PacketType::Publish {
            return Err(ProtocolError::BufferTooSmall.into());
        }
        move_down(bytes, self.start, available, 0);
        self.start = 0;
        self.end = available;
        self.begin_large(bytes, header, header_len, limit)
    }

    fn whole<'b>(
        &mut self,
        bytes: &'b mut [u8],
        header: FixedHeader,
        header_len: usize,
    ) -> Result<Received<'b>, SessionError> {
        let limit = self.limit(bytes.len());
        let (front, memory) = bytes.split_at_mut_checked(limit).unwrap_or_default();
        let from = self.start.saturating_add(header_len);
        let end = self.start.saturating_add(self.given);
        let body = front.get(from..end).unwrap_or_default();
        #[cfg_attr(
            not(feature = "v5"),
            allow(unused_mut, reason = "aliases are of MQTT 5")
        )]
        let mut packet = Packet::decode_from_server(header, body, self.version)?;
        #[cfg(feature = "v5")]
        if let Packet::Publish(publish) = &mut packet {
            let alias = publish.properties.topic_alias();
            publish.topic = self.aliases.resolve(publish.topic, alias, memory)?;
        }
        #[cfg(not(feature = "v5"))]
        let _ = memory;
        Ok(Received::Packet(packet))
    }

    /// Takes the head of a PUBLISH that does not fit, and keeps it at the front of the buffer.
    fn begin_large<'b>(
        &mut self,
        bytes: &'b mut [u8],
        header: FixedHeader,
        header_len: usize,
        limit: usize,
    ) -> Result<Option<Received<'b>>, SessionError> {
        let (front, memory) = bytes.split_at_mut_checked(limit).unwrap_or_default();
        let body = front.get(header_len..self.end).unwrap_or_default();
        let mut head = PublishHead::empty();
        let space = limit.saturating_sub(header_len);
        let head_len = match head.decode_in_place(header, body, self.version)? {
            Some(head_len) if head_len < space => head_len,
            None if self.end < limit => return Ok(None),
            // Not even topic and properties fit: the message cannot be named, nor acknowledged.
            _ => {
                head = PublishHead::empty();
                head.payload_len = header.remaining_length;
                0
            }
        };
        #[cfg(feature = "v5")]
        {
            let alias = head.properties.topic_alias();
            head.topic = self.aliases.resolve(head.topic, alias, memory)?;
        }
        let _ = &mut head;
        #[cfg(not(feature = "v5"))]
        let _ = memory;
        self.head = header_len.saturating_add(head_len);
        self.start = self.head;
        self.large = Large::Payload {
            left: head.payload_len,
            skip: head_len == 0,
        };
        Ok(Some(Received::LargePublish(head)))
    }

    fn next_piece<'b>(&mut self, bytes: &'b [u8], left: u32, skip: bool) -> Option<Received<'b>> {
        let available = self.end.saturating_sub(self.start);
        let len = available.min(left as usize);
        if len == 0 && left != 0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "at most `left`")]
        let left = left.saturating_sub(len as u32);
        let last = left == 0;
        self.large = if last {
            Large::No
        } else {
            Large::Payload { left, skip }
        };
        if skip {
            self.start = self.start.saturating_add(len);
            return last.then_some(Received::Piece { bytes: &[], last });
        }
        self.given = len;
        let end = self.start.saturating_add(len);
        let bytes = bytes.get(self.start..end).unwrap_or_default();
        Some(Received::Piece { bytes, last })
    }

    #[cfg(feature = "client")]
    fn current<'b>(&self, bytes: &'b [u8]) -> Option<crate::codec::Publish<'b>> {
        let (front, memory) = bytes.split_at_checked(self.limit(bytes.len()))?;
        let at = if self.head == 0 { self.start } else { 0 };
        let packet = front.get(at..)?;
        let (header, header_len) = FixedHeader::decode(packet, self.version).ok()??;
        let body = packet.get(header_len..)?;
        let mut head = PublishHead::empty();
        let head_len = head.decode_in_place(header, body, self.version).ok()??;
        #[cfg(feature = "v5")]
        if let (true, Some(alias)) = (head.topic.is_empty(), head.properties.topic_alias()) {
            head.topic = self.aliases.find(alias, memory)?;
        }
        let _ = (&mut head, memory);
        let payload = if self.head == 0 {
            body.get(head_len..header.remaining_length as usize)?
        } else {
            &[]
        };
        Some(crate::codec::Publish {
            dup: head.dup,
            qos: head.qos,
            retain: head.retain,
            topic: head.topic,
            packet_identifier: head.packet_identifier,
            properties: head.properties,
            payload,
        })
    }
}

#[cfg(feature = "v5")]
mod aliases;
