//! What MQTT 5 adds to the handshake: properties of CONNECT, limits of the server, extended authentication.

use crate::{
    bytes::move_down,
    codec::{Auth, ConnAck, EncodeError, PacketType, Properties, QoS, ReasonCode, Writer},
};

use super::super::{
    Authentication, Event, Options, Phase, ProtocolError, PublishError, Session, SessionError,
    outbound::new_slot,
    slot::{Kind, Len, Slot},
    table::to_len,
};

/// Longest client identifier, given by the server, that is remembered for the next connection.
const ASSIGNED_LEN: usize = 64;

/// What MQTT 5 adds to the state.
///
/// The front of the buffer is `| properties of CONNECT | CONNECT | SUBSCRIBE | assigned identifier | topics |`.
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
    /// Aliases that the server accepts.
    pub(in crate::session) topic_alias_maximum: u16,
    /// Where things lie.
    pub(in crate::session) connect_at: Len,
    pub(in crate::session) subscribe_at: Len,
    pub(in crate::session) subscribe_end: Len,
    assigned_at: Len,
    pub(in crate::session) topics: Len,
    pub(in crate::session) topics_filled: Len,
    pub(in crate::session) topics_end: Len,
    /// Length of the identifier that the server assigned, 0 for none.
    assigned_len: u8,
    /// The next CONNECT starts clean, to be rid of a session that is not ours.
    force_clean: bool,
}

impl V5State {
    /// Before the session is configured: all zero.
    pub(in crate::session) const ZERO: Self = Self {
        maximum_qos: QoS::AtMostOnce,
        retain_available: false,
        wildcards_available: false,
        subscription_identifiers_available: false,
        shared_available: false,
        ..Self::NEW
    };

    pub(in crate::session) const NEW: Self = Self {
        maximum_qos: QoS::ExactlyOnce,
        retain_available: true,
        wildcards_available: true,
        subscription_identifiers_available: true,
        shared_available: true,
        maximum_packet_size: 0,
        topic_alias_maximum: 0,
        connect_at: 0,
        subscribe_at: 0,
        subscribe_end: 0,
        assigned_at: 0,
        topics: 0,
        topics_filled: 0,
        topics_end: 0,
        assigned_len: 0,
        force_clean: false,
    };

    /// Moves what lies behind SUBSCRIBE. Nothing is there yet.
    pub(in crate::session) fn extend_front(&mut self, len: Len) {
        self.assigned_at = self.assigned_at.saturating_add(len);
        self.topics = self.topics.saturating_add(len);
        self.topics_filled = self.topics;
        self.topics_end = self.topics_end.saturating_add(len);
    }
}

/// What is done with AUTH.
pub(in crate::session) type HandleAuth<B, S> =
    for<'rx> fn(&mut Session<B, S>, &Auth<'rx>) -> Result<Event<'rx>, SessionError>;

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Writes the front of the buffer, and returns where it ends.
    pub(super) fn encode_front(
        &mut self,
        options: &Options<'_>,
        id: u16,
        space: usize,
    ) -> Result<usize, EncodeError> {
        let written = self.write_front(options, id, space);
        if written != Err(EncodeError::NoRoom) || !self.core.is_empty() {
            return written;
        }
        // It has grown, and nothing lies behind it: lay it out anew, without the assigned identifier.
        self.core.base = 0;
        self.core.v5.assigned_len = 0;
        self.write_front(options, id, space)
    }

    fn write_front(
        &mut self,
        options: &Options<'_>,
        id: u16,
        space: usize,
    ) -> Result<usize, EncodeError> {
        let version = options.version;
        let aliases = self.send_with_alias.is_some();
        let begin = self.begin_auth;
        // On an empty buffer everything is laid out anew; later the identifier and the topics stay where they are.
        let fresh = self.core.base == 0;
        let old = &self.core.v5;
        let end = if fresh {
            space
        } else {
            old.assigned_at as usize
        };
        let (room, kept) = self
            .buffer
            .as_mut()
            .split_at_mut_checked(end)
            .ok_or(EncodeError::NoRoom)?;
        let mut writer = Writer::new(room);
        if version.is_v5() {
            write_properties(options, aliases, begin, &mut writer)?;
        }
        let connect_at = writer.len();
        let (properties, room) = room
            .split_at_mut_checked(connect_at)
            .ok_or(EncodeError::NoRoom)?;
        let mut connect = super::connect_of(options);
        connect.properties = Properties::from_checked(properties);
        connect.clean_session |= old.force_clean;
        let assigned = kept
            .get(..usize::from(old.assigned_len))
            .unwrap_or_default();
        if options.client_id.is_empty() && version.is_v5() && !fresh {
            connect.client_id = core::str::from_utf8(assigned).unwrap_or_default();
        }
        let connect_len = connect.encode(version, room)?;
        let room = room.get_mut(connect_len..).unwrap_or_default();
        let subscribe_len = super::encode_subscribe(options, id, room)?;
        let subscribe_at = connect_at.saturating_add(connect_len);
        let subscribe_end = subscribe_at.saturating_add(subscribe_len);
        self.core.connect_len = to_len(connect_len);
        self.set_subscribe(options, id);
        let v5 = &mut self.core.v5;
        let mut layout = (
            v5.assigned_at as usize,
            v5.topics as usize,
            v5.topics_end as usize,
        );
        if fresh {
            layout = lay_out(options, subscribe_end);
            if layout.2 > space {
                return Err(EncodeError::NoRoom);
            }
        }
        *v5 = V5State {
            connect_at: to_len(connect_at),
            subscribe_at: to_len(subscribe_at),
            subscribe_end: to_len(subscribe_end),
            assigned_at: to_len(layout.0),
            topics: to_len(layout.1),
            topics_filled: to_len(layout.1),
            topics_end: to_len(layout.2),
            assigned_len: v5.assigned_len,
            force_clean: v5.force_clean,
            ..V5State::NEW
        };
        Ok(layout.2)
    }

    pub(super) fn set_force_clean(&mut self, force: bool) {
        self.core.v5.force_clean = force;
    }

    /// Takes over what CONNACK announces (MQTT 5 §3.2.2.3).
    pub(super) fn take_limits(&mut self, connack: &ConnAck<'_>) -> Result<(), SessionError> {
        let properties = &connack.properties;
        self.check_method(properties)?;
        if let Some(id) = properties.data(0x12) {
            self.remember_identifier(id);
        }
        let state = &mut self.core;
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
        if self.method() == properties.data(0x15) {
            Ok(())
        } else {
            Err(ProtocolError::Authentication.into())
        }
    }

    /// The method that CONNECT named.
    fn method(&mut self) -> Option<&[u8]> {
        let end = self.core.v5.connect_at as usize;
        let properties = self.buffer.as_mut().get(..end)?;
        Properties::from_checked(properties).data(0x15)
    }

    fn remember_identifier(&mut self, id: &[u8]) {
        let v5 = &mut self.core.v5;
        let room = self
            .buffer
            .as_mut()
            .get_mut(v5.assigned_at as usize..v5.topics as usize);
        if let Some(place) = room.and_then(|room| room.get_mut(..id.len())) {
            place.copy_from_slice(id);
            v5.assigned_len = u8::try_from(id.len()).unwrap_or(0);
        }
    }

    /// Lets the session follow extended authentication. To be called before [`configure`](Self::configure), since
    /// CONNECT becomes longer. A program that does not call it does not contain the code.
    pub fn enable_authentication(&mut self) {
        self.handle_auth = Some(Self::handle_auth);
        self.begin_auth = Some(write_method);
    }

    fn handle_auth<'rx>(&mut self, auth: &Auth<'rx>) -> Result<Event<'rx>, SessionError> {
        let may = matches!(self.core.phase, Phase::Connecting | Phase::Connected);
        if !may || self.method().is_none() {
            return Err(ProtocolError::Authentication.into());
        }
        self.check_method(&auth.properties)?;
        let finished = auth.code == ReasonCode::SUCCESS;
        // Before CONNACK, it is CONNACK that says so [MQTT-4.12.0-2].
        if finished && self.core.phase == Phase::Connecting {
            return Err(ProtocolError::Authentication.into());
        }
        Ok(Event::Authentication {
            data: auth.properties.authentication_data().unwrap_or_default(),
            finished,
        })
    }

    /// Sends AUTH: [`ReasonCode::CONTINUE_AUTHENTICATION`] answers the server, [`ReasonCode::RE_AUTHENTICATE`] begins
    /// anew on a connection in use (MQTT 5 §4.12). `write` writes the Authentication Data.
    ///
    /// # Errors
    ///
    /// [`PublishError::NotConnected`] if CONNECT named no method, or there is no link; [`PublishError::PacketTooLarge`]
    /// if the server does not accept so long a packet; [`PublishError::Full`], unless the AUTH is 10 bytes shorter than
    /// CONNECT and the AUTH before was sent; [`PublishError::Encode`] for a code that AUTH cannot have, and what `write`
    /// failed with.
    pub fn authenticate(
        &mut self,
        code: ReasonCode,
        write: &mut dyn FnMut(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), PublishError> {
        self.sweep();
        let id = self.new_identifier();
        // Before CONNACK only the server asks (MQTT 5 §4.12.1).
        let used = match self.core.phase {
            Phase::Connecting => code != ReasonCode::RE_AUTHENTICATE,
            phase => phase == Phase::Connected,
        };
        // CONNECT is written anew for each link. Its place is free once it was sent, however full the rest is.
        let is_sent = !self.live().iter().any(|slot| slot.kind.is_handshake());
        let at = self.core.v5.connect_at;
        let connect_len = self.core.connect_len as usize;
        let (front, room) = self
            .buffer
            .as_mut()
            .split_at_mut_checked(self.core.tail as usize)
            .unwrap_or_default();
        let (properties, front) = front.split_at_mut_checked(at as usize).unwrap_or_default();
        let place = front.get_mut(..connect_len).unwrap_or_default();
        let in_place = is_sent && place.len() > room.len();
        let room = if in_place { place } else { room };
        let properties = Properties::from_checked(properties);
        let Some(method) = properties.data(0x15).filter(|_| used) else {
            return Err(PublishError::NotConnected);
        };
        let len = encode_auth(code, method, write, room).map_err(|error| match error {
            EncodeError::NoRoom => PublishError::Full,
            error => error.into(),
        })?;
        self.check_packet_size(len)?;
        if !self.has_free_slot(0) {
            return Err(PublishError::Full);
        }
        let slot = Slot {
            at,
            len: to_len(len),
            kind: Kind::AUTH,
            ..new_slot(id, false)
        };
        self.core.next = 0;
        self.accept(slot, if in_place { 0 } else { len });
        Ok(())
    }
}

/// Where the assigned identifier, the topics and the front end.
fn lay_out(options: &Options<'_>, from: usize) -> (usize, usize, usize) {
    let assigned = if options.client_id.is_empty() {
        ASSIGNED_LEN
    } else {
        0
    };
    let memory = usize::from(options.v5.topic_alias_memory);
    let (assigned, memory) = if options.version.is_v5() {
        (assigned, memory)
    } else {
        (0, 0)
    };
    // The identifier, when it comes, makes CONNECT longer by as much.
    let identifier_at = from.saturating_add(assigned);
    let topics = identifier_at.saturating_add(assigned);
    (identifier_at, topics, topics.saturating_add(memory))
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
    if !code.is_of(PacketType::Auth) {
        return Err(EncodeError::InvalidValue);
    }
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
    move_down(room, FRONT, properties_len, header_len);
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

/// The properties of CONNECT (MQTT 5 §3.1.2.11), without their length. Those at their default are left out.
#[inline(never)]
fn write_properties(
    options: &Options<'_>,
    aliases: bool,
    begin: Option<Begin>,
    writer: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    let v5 = &options.v5;
    let alias_maximum = if aliases { v5.topic_alias_maximum } else { 0 };
    let numbers = [
        (0x11, 4, v5.session_expiry_s),
        (0x21, 2, u32::from(options.receive_maximum.max(1))),
        (0x27, 4, options.maximum_packet_size),
        (0x22, 2, u32::from(alias_maximum)),
        (0x19, 1, u32::from(v5.request_response_information)),
    ];
    for (id, len, value) in numbers {
        if value != 0 {
            writer.u8(id)?;
            let bytes = value.to_be_bytes();
            writer.bytes(bytes.get(4_usize.wrapping_sub(len)..).unwrap_or_default())?;
        }
    }
    if !v5.request_problem_information {
        writer.bytes(&[0x17, 0])?;
    }
    for (name, value) in v5.user_properties {
        writer.u8(0x26)?;
        writer.str(name)?;
        writer.str(value)?;
    }
    match (v5.authentication, begin) {
        (Some(method), Some(begin)) => begin(method, writer),
        _ => Ok(()),
    }
}

/// Writes the name of the method and its first data.
pub(in crate::session) type Begin =
    fn(&(dyn Authentication + Sync), &mut Writer<'_>) -> Result<(), EncodeError>;

fn write_method(
    method: &(dyn Authentication + Sync),
    writer: &mut Writer<'_>,
) -> Result<(), EncodeError> {
    writer.u8(0x15)?;
    writer.str(method.method())?;
    write_data(&mut |data| method.begin(data), writer)
}
