#[cfg(feature = "v5")]
use super::Auth;
use super::{
    Ack, ConnAck, Connect, DecodeError, Disconnect, EncodeError, FixedHeader, PacketType, PubAck,
    PubComp, PubRec, PubRel, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe, Version, Writer,
};

/// Any packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Packet<'a> {
    /// The client asks for a connection.
    Connect(Connect<'a>),
    /// The server accepts or refuses it.
    ConnAck(ConnAck<'a>),
    /// A message.
    Publish(Publish<'a>),
    /// Answer to a PUBLISH at QoS 1.
    PubAck(PubAck<'a>),
    /// First answer to a PUBLISH at QoS 2.
    PubRec(PubRec<'a>),
    /// Answer to PUBREC.
    PubRel(PubRel<'a>),
    /// Answer to PUBREL.
    PubComp(PubComp<'a>),
    /// The client asks for subscriptions.
    Subscribe(Subscribe<'a>),
    /// Answer to SUBSCRIBE.
    SubAck(SubAck<'a>),
    /// The client ends subscriptions.
    Unsubscribe(Unsubscribe<'a>),
    /// Answer to UNSUBSCRIBE.
    UnsubAck(UnsubAck<'a>),
    /// The client asks for a sign of life.
    PingReq,
    /// Answer to PINGREQ.
    PingResp,
    /// The end of the connection.
    Disconnect(Disconnect<'a>),
    /// A step of extended authentication.
    #[cfg(feature = "v5")]
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Decodes any packet, for servers and test peers. `body` is all that the header announces.
    ///
    /// # Errors
    ///
    /// What is wrong with the packet; [`DecodeError::Truncated`] or [`DecodeError::TrailingBytes`] also
    /// if `body` is not as long as the header says.
    pub fn decode(
        header: FixedHeader,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        match header.packet_type() {
            PacketType::Connect => checked(header, body)
                .and_then(|body| Connect::decode(body, version))
                .map(Self::Connect),
            PacketType::Subscribe => checked(header, body)
                .and_then(|body| Subscribe::decode(body, version))
                .map(Self::Subscribe),
            PacketType::Unsubscribe => checked(header, body)
                .and_then(|body| Unsubscribe::decode(body, version))
                .map(Self::Unsubscribe),
            PacketType::PingReq => empty(header, body).map(|()| Self::PingReq),
            PacketType::Disconnect => checked(header, body)
                .and_then(|body| Disconnect::decode(body, version))
                .map(Self::Disconnect),
            #[cfg(feature = "v5")]
            PacketType::Auth => checked(header, body)
                .and_then(|body| Auth::decode(body, version))
                .map(Self::Auth),
            _ => Self::decode_from_server(header, body, version),
        }
    }

    /// Decodes what a client may receive. `body` is all that the header announces.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`DecodeError::WrongDirection`] for what only a client may send:
    /// CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, a 3.1.1 DISCONNECT, a DISCONNECT with code 0x04 or a
    /// session expiry interval, AUTH with code 0x19.
    #[inline]
    pub fn decode_from_server(
        header: FixedHeader,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let body = checked(header, body)?;
        let packet_type = header.packet_type();
        match packet_type {
            PacketType::ConnAck => ConnAck::decode(body, version).map(Self::ConnAck),
            PacketType::Publish => Publish::decode(header, body, version).map(Self::Publish),
            PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
                let ack = Ack::decode(packet_type, body, version)?;
                Ok(match packet_type {
                    PacketType::PubAck => Self::PubAck(ack),
                    PacketType::PubRec => Self::PubRec(ack),
                    PacketType::PubRel => Self::PubRel(ack),
                    _ => Self::PubComp(ack),
                })
            }
            PacketType::SubAck | PacketType::UnsubAck => {
                let suback = SubAck::decode(packet_type, body, version)?;
                Ok(match packet_type {
                    PacketType::SubAck => Self::SubAck(suback),
                    _ => Self::UnsubAck(suback.into_unsuback()),
                })
            }
            PacketType::PingResp => empty(header, body).map(|()| Self::PingResp),
            PacketType::Disconnect => {
                Disconnect::decode_from_server(body, version).map(Self::Disconnect)
            }
            #[cfg(feature = "v5")]
            PacketType::Auth => Auth::decode_from_server(body, version).map(Self::Auth),
            #[cfg(not(feature = "v5"))]
            PacketType::Auth => Err(DecodeError::PacketType),
            _ => Err(DecodeError::WrongDirection),
        }
    }

    /// Writes the packet, and says how long it is. This links the encoders of all packets; a device
    /// calls the one of the packet it sends.
    ///
    /// # Errors
    ///
    /// As the encoder of the packet type.
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Self::Connect(connect) => connect.encode(version, out),
            Self::ConnAck(connack) => connack.encode(version, out),
            Self::Publish(publish) => publish.encode(version, out),
            Self::PubAck(ack) => ack.encode(PacketType::PubAck, version, out),
            Self::PubRec(ack) => ack.encode(PacketType::PubRec, version, out),
            Self::PubRel(ack) => ack.encode(PacketType::PubRel, version, out),
            Self::PubComp(ack) => ack.encode(PacketType::PubComp, version, out),
            Self::Subscribe(subscribe) => subscribe.encode(version, out),
            Self::SubAck(suback) => suback.encode(version, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
            Self::UnsubAck(unsuback) => unsuback.encode(version, out),
            Self::PingReq => encode_empty(PacketType::PingReq, out),
            Self::PingResp => encode_empty(PacketType::PingResp, out),
            Self::Disconnect(disconnect) => disconnect.encode(version, out),
            #[cfg(feature = "v5")]
            Self::Auth(auth) => auth.encode(version, out),
        }
    }

    /// The kind of packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            #[cfg(feature = "v5")]
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// Writes PINGREQ, two bytes.
///
/// # Errors
///
/// [`EncodeError::NoRoom`].
pub fn encode_ping_req(out: &mut [u8]) -> Result<usize, EncodeError> {
    encode_empty(PacketType::PingReq, out)
}

fn encode_empty(packet_type: PacketType, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut writer = Writer::new(out);
    writer.bytes(&[packet_type.first_byte(), 0])?;
    Ok(writer.len())
}

/// The body, if it is as long as the header says.
#[inline]
fn checked(header: FixedHeader, body: &[u8]) -> Result<&[u8], DecodeError> {
    if body.len() < header.remaining_length as usize {
        return Err(DecodeError::Truncated);
    }
    if body.len() > header.remaining_length as usize {
        return Err(DecodeError::TrailingBytes);
    }
    Ok(body)
}

fn empty(header: FixedHeader, body: &[u8]) -> Result<(), DecodeError> {
    if checked(header, body)?.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::TrailingBytes)
    }
}
