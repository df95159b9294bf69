use core::fmt;

use super::properties::Place;
use super::{
    DecodeError, EncodeError, PacketType, Properties, QoS, Reader, TopicName, Version, Writer,
};

/// The first packet of a connection, from the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// Under which name the server keeps the session; may be empty with `clean_session`.
    pub client_id: &'a str,
    /// Whether to start without a session; MQTT 5 calls it Clean Start.
    pub clean_session: bool,
    /// Longest silence of the client in seconds; zero turns the check off.
    pub keep_alive: u16,
    /// User name.
    pub user_name: Option<&'a str>,
    /// Password; 3.1.1 allows it only with a user name.
    pub password: Option<&'a [u8]>,
    /// The message that the server publishes when the connection is lost.
    pub will: Option<Will<'a>>,
    /// What the client asks for and is ready to accept.
    pub properties: Properties<'a>,
}

/// The message that a server publishes for a client that is gone (MQTT 3.1.1 §3.1.2.5).
///
/// Of its payload, `Debug` and `defmt::Format` show the length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// Where it is published.
    pub topic: TopicName<'a>,
    /// At most 65,535 bytes.
    pub payload: &'a [u8],
    /// At which QoS it is published.
    pub qos: QoS,
    /// Whether the server retains it.
    pub retain: bool,
    /// Properties of the message, and the delay before it.
    pub properties: Properties<'a>,
}

const CLEAN_SESSION: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// Protocol name with its length.
const PROTOCOL_NAME: [u8; 6] = *b"\0\x04MQTT";

impl<'a> Connect<'a> {
    /// A clean session without keep alive, user name, password, will and properties.
    #[must_use]
    pub const fn new(client_id: &'a str) -> Self {
        Self {
            client_id,
            clean_session: true,
            keep_alive: 0,
            user_name: None,
            password: None,
            will: None,
            properties: Properties::NONE,
        }
    }

    /// Length of the packet in bytes, with fixed header.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        let remaining_length = self.remaining_length(version);
        super::FixedHeader::len_of(remaining_length).saturating_add(remaining_length)
    }

    /// Writes the packet, and says how long it is.
    ///
    /// # Errors
    ///
    /// [`EncodeError::PasswordWithoutUserName`] and [`EncodeError::ClientIdentifier`] where 3.1.1 says
    /// so, [`EncodeError::TooLong`] for a field above 65,535 bytes, [`EncodeError::InvalidValue`] for
    /// U+0000 in a string, errors of the properties, [`EncodeError::NoRoom`].
    pub fn encode(&self, version: Version, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.check(version)?;
        let remaining_length = self.remaining_length(version);
        let mut writer = Writer::new(out);
        writer.fixed_header(PacketType::Connect.first_byte(), remaining_length)?;
        let [n0, n1, m, q, t, u] = PROTOCOL_NAME;
        let [high, low] = self.keep_alive.to_be_bytes();
        let (level, flags) = (version.protocol_level(), self.flags());
        writer.bytes(&[n0, n1, m, q, t, u, level, flags, high, low])?;
        self.properties
            .write(&mut writer, version, Place::Connect)?;
        writer.str(self.client_id)?;
        if let Some(will) = &self.will {
            will.properties.write(&mut writer, version, Place::Will)?;
            writer.binary(will.topic.as_bytes())?;
            writer.binary(will.payload)?;
        }
        if let Some(user_name) = self.user_name {
            writer.str(user_name)?;
        }
        if let Some(password) = self.password {
            writer.binary(password)?;
        }
        Ok(writer.len())
    }

    /// The version that a CONNECT asks for, so that a server knows how to read the rest of it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::ProtocolVersion`] for another protocol, or a version that is not MQTT 3.1.1 or
    /// (with feature `v5`) 5; [`DecodeError::Truncated`].
    pub fn version(body: &[u8]) -> Result<Version, DecodeError> {
        let mut reader = Reader::new(body);
        if reader.binary()? != b"MQTT" {
            return Err(DecodeError::ProtocolVersion);
        }
        match reader.u8()? {
            4 => Ok(Version::V3_1_1),
            #[cfg(feature = "v5")]
            5 => Ok(Version::V5),
            _ => Err(DecodeError::ProtocolVersion),
        }
    }

    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        if Self::version(body)? != version {
            return Err(DecodeError::ProtocolVersion);
        }
        let mut reader = Reader::new(body);
        reader.bytes(PROTOCOL_NAME.len().saturating_add(1))?;
        let flags = reader.u8()?;
        check_flags(flags, version)?;
        let keep_alive = reader.u16()?;
        let mut properties = Properties::NONE;
        properties.read(&mut reader, version, Place::Connect)?;
        let client_id = reader.str()?;
        if client_id.is_empty() && flags & CLEAN_SESSION == 0 && !version.is_v5() {
            return Err(DecodeError::ClientIdentifier);
        }
        let will = match flags & WILL {
            0 => None,
            _ => Some(Will::read(&mut reader, flags, version)?),
        };
        let user_name = match flags & USER_NAME {
            0 => None,
            _ => Some(reader.str()?),
        };
        let password = match flags & PASSWORD {
            0 => None,
            _ => Some(reader.binary()?),
        };
        reader.finish()?;
        Ok(Self {
            client_id,
            clean_session: flags & CLEAN_SESSION != 0,
            keep_alive,
            user_name,
            password,
            will,
            properties,
        })
    }

    fn check(&self, version: Version) -> Result<(), EncodeError> {
        if version.is_v5() {
            return Ok(());
        }
        if self.password.is_some() && self.user_name.is_none() {
            return Err(EncodeError::PasswordWithoutUserName);
        }
        if self.client_id.is_empty() && !self.clean_session {
            return Err(EncodeError::ClientIdentifier);
        }
        Ok(())
    }

    fn remaining_length(&self, version: Version) -> usize {
        let mut len = self.properties.section_len(version).saturating_add(10);
        len = len.saturating_add(field_len(self.client_id.as_bytes()));
        if let Some(will) = &self.will {
            len = len.saturating_add(will.properties.section_len(version));
            len = len.saturating_add(field_len(will.topic.as_bytes()));
            len = len.saturating_add(field_len(will.payload));
        }
        len = len.saturating_add(self.user_name.map_or(0, |name| field_len(name.as_bytes())));
        len.saturating_add(self.password.map_or(0, field_len))
    }

    fn flags(&self) -> u8 {
        let mut flags = self.will.as_ref().map_or(0, Will::flags);
        if self.clean_session {
            flags |= CLEAN_SESSION;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        flags
    }
}

// Without credentials and payload. A token may be the user name as well.
impl fmt::Debug for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .field("keep_alive", &self.keep_alive)
            .field("will", &self.will.map(|will| will.topic))
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Connect<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Connect {{ client_id: {=str}, clean_session: {=bool}, keep_alive: {=u16}, will: {}, properties: {}, .. }}",
            self.client_id,
            self.clean_session,
            self.keep_alive,
            self.will.map(|will| will.topic),
            self.properties
        );
    }
}

impl<'a> Will<'a> {
    /// A will at QoS 0, not retained.
    #[must_use]
    pub const fn new(topic: TopicName<'a>, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::NONE,
        }
    }

    fn read(reader: &mut Reader<'a>, flags: u8, version: Version) -> Result<Self, DecodeError> {
        let mut properties = Properties::NONE;
        properties.read(reader, version, Place::Will)?;
        let topic = TopicName::read(reader)?;
        if topic.is_empty() {
            return Err(DecodeError::TopicEmpty);
        }
        Ok(Self {
            topic,
            payload: reader.binary()?,
            qos: QoS::from_u8(flags >> WILL_QOS_SHIFT & 3).ok_or(DecodeError::QoS)?,
            retain: flags & WILL_RETAIN != 0,
            properties,
        })
    }

    const fn flags(&self) -> u8 {
        let retain = if self.retain { WILL_RETAIN } else { 0 };
        WILL | (self.qos as u8) << WILL_QOS_SHIFT | retain
    }
}

impl fmt::Debug for Will<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Will<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Will {{ topic: {}, payload_len: {=usize}, qos: {}, retain: {=bool}, properties: {} }}",
            self.topic,
            self.payload.len(),
            self.qos,
            self.retain,
            self.properties
        );
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    // The lowest bit is reserved [MQTT-3.1.2-3]; will QoS and retain need a will [MQTT-3.1.2-11].
    let will_details = flags & (3 << WILL_QOS_SHIFT | WILL_RETAIN);
    if flags & 1 != 0 || flags & WILL == 0 && will_details != 0 {
        return Err(DecodeError::ReservedBits);
    }
    if flags & PASSWORD != 0 && flags & USER_NAME == 0 && !version.is_v5() {
        return Err(DecodeError::PasswordWithoutUserName);
    }
    Ok(())
}

const fn field_len(bytes: &[u8]) -> usize {
    bytes.len().saturating_add(2)
}
