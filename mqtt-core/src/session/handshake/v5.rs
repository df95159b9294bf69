//! What MQTT 5 adds to the handshake: properties of CONNECT, limits of the server, extended authentication.

use crate::{
    bytes::copy_within,
    codec::{Auth, ConnAck, EncodeError, PacketType, Properties, QoS, ReasonCode, Writer},
};

use super::super::{
    Event, Options, Phase, ProtocolError, PublishError, SessionError, State, Ticket, Working,
    flags, slot::Slot,
};

/// Longest client identifier, given by the server, that is remembered for the next connection.
const ASSIGNED_LEN: usize = 64;

/// What MQTT 5 adds to the state.
///
/// The reserved bytes are `| CONNECT | SUBSCRIBE | topics of aliases | assigned identifier | method |`.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the standard announces each by itself"
)]
pub(in crate::session) struct V5State {
    /// Limits that the server announced.
    pub(in crate::session) maximum_qos: QoS,
    pub(in crate::session) retain_available: bool,
    pub(in crate::session) wildcards_available: bool,
    pub(in crate::session) subscription_identifiers_available: bool,
    pub(in crate::session) shared_available: bool,
    /// 0 for none.
    pub(in crate::session) maximum_packet_size: u32,
    /// Aliases that the server accepts, and how many of them have a topic.
    pub(in crate::session) topic_alias_maximum: u16,
    pub(in crate::session) topic_aliases: u16,
    /// Where the topics of aliases lie in the reserved bytes, up to where they are filled, and their end.
    pub(in crate::session) topics: usize,
    pub(in crate::session) topics_filled: usize,
    pub(in crate::session) topics_end: usize,
    /// Where the authentication method lies in the reserved bytes, and its length.
    method: usize,
    method_len: usize,
    /// The next CONNECT starts clean, to be rid of a session that is not ours.
    force_clean: bool,
}

impl Default for V5State {
    fn default() -> Self {
        Self {
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcards_available: true,
            subscription_identifiers_available: true,
            shared_available: true,
            maximum_packet_size: 0,
            topic_alias_maximum: 0,
            topic_aliases: 0,
            topics: 0,
            topics_filled: 0,
            topics_end: 0,
            method: 0,
            method_len: 0,
            force_clean: false,
        }
    }
}

impl Working<'_> {
    /// Lays out the reserved bytes and writes CONNECT to their front.
    pub(super) fn encode_connect(&mut self, options: &Options<'_>) -> Result<usize, EncodeError> {
        let mut connect = super::connect_of(options);
        if !options.version.is_v5() {
            let reserved = self.arena().reserved().len();
            self.state.v5 = V5State {
                topics: reserved,
                topics_end: reserved,
                ..V5State::default()
            };
            return connect.encode(options.version, self.arena().reserved());
        }
        self.lay_out(options)?;
        connect.clean_session |= self.state.v5.force_clean;
        let (topics, topics_end) = (self.state.v5.topics, self.state.v5.topics_end);
        let mut arena = self.arena();
        let (room, kept) = arena
            .reserved()
            .split_at_mut_checked(topics)
            .ok_or(EncodeError::NoRoom)?;
        if options.client_id.is_empty() {
            connect.client_id = assigned(kept, topics_end.saturating_sub(topics));
        }
        let mut writer = Writer::new(room);
        write_properties(options, &mut writer)?;
        let len = writer.len();
        // Written to the front to learn the length, then kept at the back while CONNECT is written.
        let at = room.len().saturating_sub(len);
        copy_within(room, 0, len, at);
        let (front, properties) = room.split_at_mut_checked(at).ok_or(EncodeError::NoRoom)?;
        connect.properties = Properties::from_checked(properties);
        connect.encode(options.version, front)
    }

    fn lay_out(&mut self, options: &Options<'_>) -> Result<(), EncodeError> {
        let method = options.v5.authentication.map_or("", |a| a.method());
        let assigned = if options.client_id.is_empty() {
            ASSIGNED_LEN.saturating_add(1)
        } else {
            0
        };
        let reserved = self.arena().reserved().len();
        let back = |from: usize, len: usize| from.checked_sub(len).ok_or(EncodeError::NoRoom);
        let method_at = back(reserved, method.len())?;
        let topics_end = back(method_at, assigned)?;
        let topics = back(topics_end, usize::from(options.v5.topic_alias_memory))?;
        let mut arena = self.arena();
        let to = arena.reserved().get_mut(method_at..).unwrap_or_default();
        Writer::new(to).bytes(method.as_bytes())?;
        self.state.v5 = V5State {
            topics,
            topics_filled: topics,
            topics_end,
            method: method_at,
            method_len: method.len(),
            force_clean: self.state.v5.force_clean,
            ..V5State::default()
        };
        Ok(())
    }

    pub(super) fn set_force_clean(&mut self, force: bool) {
        self.state.v5.force_clean = force;
    }

    /// Takes over what CONNACK announces (MQTT 5 §3.2.2.3).
    pub(super) fn take_limits(&mut self, connack: &ConnAck<'_>) -> Result<(), SessionError> {
        let properties = &connack.properties;
        self.check_method(properties)?;
        if let Some(id) = properties.assigned_client_identifier() {
            self.remember_identifier(id.as_bytes());
        }
        let state = &mut *self.state;
        if let Some(keep_alive) = properties.server_keep_alive() {
            state.timers.set_keep_alive(keep_alive);
        }
        if let Some(maximum) = properties.receive_maximum() {
            state.quota = state.quota.min(maximum);
        }
        let v5 = &mut state.v5;
        v5.maximum_qos = properties.maximum_qos().unwrap_or(QoS::ExactlyOnce);
        v5.maximum_packet_size = properties.maximum_packet_size().unwrap_or(0);
        v5.topic_alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
        let available = |flag: Option<bool>| flag.unwrap_or(true);
        v5.retain_available = available(properties.retain_available());
        v5.wildcards_available = available(properties.wildcard_subscription_available());
        v5.subscription_identifiers_available =
            available(properties.subscription_identifier_available());
        v5.shared_available = available(properties.shared_subscription_available());
        Ok(())
    }

    /// The method is that of CONNECT, and there is one if CONNECT had one [MQTT-4.12.0-5].
    fn check_method(&mut self, properties: &Properties<'_>) -> Result<(), SessionError> {
        let (at, len) = (self.state.v5.method, self.state.v5.method_len);
        let mut arena = self.arena();
        let ours = arena.reserved().get(at..).and_then(|tail| tail.get(..len));
        let theirs = properties.authentication_method().unwrap_or_default();
        if ours.unwrap_or_default() == theirs.as_bytes() {
            Ok(())
        } else {
            Err(ProtocolError::Authentication.into())
        }
    }

    fn remember_identifier(&mut self, id: &[u8]) {
        let (at, end) = (self.state.v5.topics_end, self.state.v5.method);
        let mut arena = self.arena();
        let Some([len, to @ ..]) = arena.reserved().get_mut(at..end) else {
            return;
        };
        let (Ok(id_len), Some(to)) = (u8::try_from(id.len()), to.get_mut(..id.len())) else {
            return;
        };
        to.copy_from_slice(id);
        *len = id_len;
    }

    pub(in crate::session) fn handle_auth<'rx>(
        &mut self,
        auth: &Auth<'rx>,
    ) -> Result<Event<'rx>, SessionError> {
        let may = matches!(self.state.phase, Phase::Connecting | Phase::Connected);
        if !may || self.state.v5.method_len == 0 {
            return Err(ProtocolError::Authentication.into());
        }
        self.check_method(&auth.properties)?;
        Ok(Event::Authentication {
            data: auth.properties.authentication_data().unwrap_or_default(),
            finished: auth.code == ReasonCode::SUCCESS,
        })
    }

    pub(in crate::session) fn authenticate(
        &mut self,
        code: ReasonCode,
        write: &mut dyn FnMut(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), PublishError> {
        let (method, method_len) = (self.state.v5.method, self.state.v5.method_len);
        if method_len == 0 || !matches!(self.state.phase, Phase::Connecting | Phase::Connected) {
            return Err(PublishError::NotConnected);
        }
        let mut arena = self.arena();
        arena.compact();
        let (room, reserved) = arena.room_and_reserved(0);
        let method = reserved
            .get(method..)
            .and_then(|tail| tail.get(..method_len))
            .unwrap_or_default();
        let len = encode_auth(code, method, write, room).map_err(|error| match error {
            EncodeError::NoRoom => PublishError::Full,
            error => error.into(),
        })?;
        let slot = Slot {
            state: State::QUEUED,
            flags: flags::SUBSCRIBE | flags::UNSUBSCRIBE,
            ticket: Ticket(0),
            ..Slot::FREE
        };
        if arena.push(slot, len) {
            Ok(())
        } else {
            Err(PublishError::Full)
        }
    }
}

/// Writes AUTH (MQTT 5 §3.15): the lengths are known only after the data.
fn encode_auth(
    code: ReasonCode,
    method: &[u8],
    write: &mut dyn FnMut(&mut Writer<'_>) -> Result<(), EncodeError>,
    room: &mut [u8],
) -> Result<usize, EncodeError> {
    /// Room for the fixed header, the code and the property length.
    const FRONT: usize = 10;
    let body = room.get_mut(FRONT..).ok_or(EncodeError::NoRoom)?;
    let mut writer = Writer::new(body);
    writer.u8(0x15)?;
    writer.binary(method)?;
    write_data(write, &mut writer)?;
    let properties_len = writer.len();
    let mut front = [0; FRONT];
    let mut length = Writer::new(&mut front);
    length.u8(code.value())?;
    length
        .variable_byte_integer(u32::try_from(properties_len).map_err(|_| EncodeError::TooLong)?)?;
    let remaining = length.len().saturating_add(properties_len);
    let code_and_length = length.len();
    let mut header = [0; FRONT];
    let mut header_writer = Writer::new(&mut header);
    header_writer.u8(PacketType::Auth.first_byte())?;
    header_writer
        .variable_byte_integer(u32::try_from(remaining).map_err(|_| EncodeError::TooLong)?)?;
    header_writer.bytes(front.get(..code_and_length).unwrap_or_default())?;
    let header_len = header_writer.len();
    copy_within(room, FRONT, properties_len, header_len);
    let to = room.get_mut(..header_len).ok_or(EncodeError::NoRoom)?;
    to.copy_from_slice(header.get(..header_len).unwrap_or_default());
    Ok(header_len.saturating_add(properties_len))
}

/// The Authentication Data property, written by the method.
fn write_data(
    write: &mut dyn FnMut(&mut Writer<'_>) -> Result<(), EncodeError>,
    writer: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    writer.u8(0x16)?;
    let room = writer.spare().get_mut(2..).ok_or(EncodeError::NoRoom)?;
    let mut data = Writer::new(room);
    write(&mut data)?;
    let len = data.len();
    writer.u16(u16::try_from(len).map_err(|_| EncodeError::TooLong)?)?;
    writer.advance(len)
}

/// The client identifier that the server assigned on an earlier connection, or none.
fn assigned(kept: &[u8], at: usize) -> &str {
    let Some([len, id @ ..]) = kept.get(at..) else {
        return "";
    };
    let id = id.get(..usize::from(*len)).unwrap_or_default();
    core::str::from_utf8(id).unwrap_or_default()
}

/// The properties of CONNECT (MQTT 5 §3.1.2.11), without their length. Those at their default are left out.
fn write_properties(options: &Options<'_>, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
    let v5 = &options.v5;
    if v5.session_expiry_s != 0 {
        writer.u8(0x11)?;
        writer.u32(v5.session_expiry_s)?;
    }
    writer.u8(0x21)?;
    writer.u16(options.receive_maximum.max(1))?;
    if options.maximum_packet_size != 0 {
        writer.u8(0x27)?;
        writer.u32(options.maximum_packet_size)?;
    }
    if v5.topic_alias_maximum != 0 {
        writer.u8(0x22)?;
        writer.u16(v5.topic_alias_maximum)?;
    }
    if v5.request_response_information {
        writer.bytes(&[0x19, 1])?;
    }
    if !v5.request_problem_information {
        writer.bytes(&[0x17, 0])?;
    }
    for (name, value) in v5.user_properties {
        writer.u8(0x26)?;
        writer.str(name)?;
        writer.str(value)?;
    }
    if let Some(method) = v5.authentication {
        writer.u8(0x15)?;
        writer.str(method.method())?;
        write_data(&mut |data| method.begin(data), writer)?;
    }
    Ok(())
}
