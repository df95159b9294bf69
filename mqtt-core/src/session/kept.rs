//! A session as bytes, so that it outlives a restart of the device.
//!
//! ```text
//! layout u8 | protocol version u8 | exchanges, oldest first | CRC-32
//! exchange: what u8 | marks u8 | identifier u16 | for messages: length u32, packet
//! ```

use core::fmt;

use crate::{
    codec::{EncodeError, QoS, Reader, ReasonCode, Writer},
    time::Instant,
};

use super::{
    Session,
    slot::{Kind, Slot, State},
};

const LAYOUT: u8 = 1;

/// The checksum of a copy.
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);
const CRC_LEN: usize = 4;

/// Marks that mean something after a restart: that it was sent, that it expires.
#[cfg(feature = "v5")]
const MARKS: u8 = super::marks::SENT | super::marks::EXPIRES;
#[cfg(not(feature = "v5"))]
const MARKS: u8 = super::marks::SENT;

/// What an exchange is about.
mod what {
    /// A message at QoS 1 that waits to be sent.
    pub(super) const QUEUED_1: u8 = 1;
    /// One at QoS 2.
    pub(super) const QUEUED_2: u8 = 2;
    /// A message at QoS 1 that was sent.
    pub(super) const SENT_1: u8 = 3;
    /// One at QoS 2.
    pub(super) const SENT_2: u8 = 4;
    /// A message of ours that the server has; PUBREL is due.
    pub(super) const RELEASED: u8 = 5;
    /// A message at QoS 2 that the application has; PUBREC may have been sent.
    pub(super) const RECEIVED: u8 = 6;
}

/// Why a copy of a session cannot be used. The session is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RestoreError {
    /// Not a copy, or damaged.
    Damaged,
    /// Of another version of this library, or of the MQTT protocol.
    Version,
    /// The transmit buffer or the table has too little room for it.
    NoRoom,
    /// There are messages in the session already.
    InUse,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "copy of the session is damaged",
            Self::Version => "copy of the session is of another version",
            Self::NoRoom => "no room for the copy of the session",
            Self::InUse => "session is in use",
        })
    }
}

impl core::error::Error for RestoreError {}

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Writes a copy of the session into `out`, to be kept over a restart, and returns its length: the messages at QoS 1
    /// and 2 that are not acknowledged, sent or not, and what was received at QoS 2 and is not finished. 6 bytes, and 8 for
    /// each message beside its packet.
    ///
    /// A message that the application still holds is not in it: the server sends that again. Neither are requests and
    /// streamed payloads.
    ///
    /// After a restart, [`restore`](Self::restore) it. A copy must not be older than what the server has seen of the
    /// session: it could take a new message at QoS 2 for a repetition. So a copy is to be durable before the bytes of
    /// [`transmit`](Self::transmit) go to the server.
    ///
    /// # Errors
    ///
    /// [`EncodeError::NoRoom`]: `out` is too short.
    pub fn save(&mut self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        writer.u8(LAYOUT)?;
        writer.u8(self.core.version() as u8)?;
        for index in usize::from(self.core.first)..usize::from(self.core.used) {
            self.save_slot(index, &mut writer)?;
        }
        let len = writer.len();
        let (copy, rest) = out.split_at_mut_checked(len).unwrap_or_default();
        let crc = CRC.checksum(copy).to_be_bytes();
        Writer::new(rest).bytes(&crc)?;
        Ok(len.saturating_add(CRC_LEN))
    }

    fn save_slot(&mut self, index: usize, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        let slot = self.slot(index);
        let Some(what) = what_is(slot) else {
            return Ok(());
        };
        writer.u8(what)?;
        writer.u8(slot.marks & MARKS)?;
        writer.u16(slot.id)?;
        if has_packet(what) {
            let packet = self.packet(index);
            writer.u32(u32::try_from(packet.len()).map_err(|_| EncodeError::TooLong)?)?;
            writer.bytes(packet)?;
        }
        Ok(())
    }

    /// Takes over the copy that an earlier life has saved, before anything else is queued. The session must be
    /// [configured](Self::configure), with [`clean_session`](super::Options::clean_session) off and the client identifier
    /// of before. As if [`session_known`](super::Options::session_known) were set, a session that the server has kept
    /// is resumed then; if it has none, messages are sent again as after any link.
    ///
    /// Nobody watches what becomes of these messages.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing was taken over.
    pub fn restore(&mut self, copy: &[u8], now: Instant) -> Result<(), RestoreError> {
        if !self.core.is_empty() {
            return Err(RestoreError::InUse);
        }
        let (body, crc) = copy
            .len()
            .checked_sub(CRC_LEN)
            .and_then(|len| copy.split_at_checked(len))
            .ok_or(RestoreError::Damaged)?;
        if CRC.checksum(body).to_be_bytes() != *crc {
            return Err(RestoreError::Damaged);
        }
        let restored = self.restore_body(&mut Reader::new(body), now);
        if restored.is_err() {
            for slot in self.live() {
                slot.state = State::FREE;
            }
            self.restart_table();
        }
        // Those of the next connection are counted, see `link_lost`.
        self.core.inbound = 0;
        restored
    }

    fn restore_body(&mut self, reader: &mut Reader<'_>, now: Instant) -> Result<(), RestoreError> {
        let damaged = |_| RestoreError::Damaged;
        let layout = reader.u8().map_err(damaged)?;
        let version = reader.u8().map_err(damaged)?;
        if layout != LAYOUT || version != self.core.version() as u8 {
            return Err(RestoreError::Version);
        }
        self.restart_table();
        while !reader.is_empty() {
            self.restore_slot(reader, now)?;
        }
        // Identifiers are in use now.
        self.core.free_ids = 0;
        self.core.session_known = true;
        Ok(())
    }

    fn restore_slot(&mut self, reader: &mut Reader<'_>, now: Instant) -> Result<(), RestoreError> {
        let damaged = |_| RestoreError::Damaged;
        let what = reader.u8().map_err(damaged)?;
        let marks = reader.u8().map_err(damaged)? & MARKS;
        let id = reader.u16().map_err(damaged)?;
        let (kind, state) = meaning(what).ok_or(RestoreError::Damaged)?;
        let slot = Slot {
            id,
            state,
            kind,
            marks,
            #[cfg(feature = "v5")]
            since: now,
            ..Slot::FREE
        };
        let _ = now;
        let mut len = 0;
        if has_packet(what) {
            len = reader.u32().map_err(damaged)? as usize;
            let packet = reader.bytes(len).map_err(damaged)?;
            let copied = Writer::new(self.room()).bytes(packet);
            copied.map_err(|_| RestoreError::NoRoom)?;
        }
        // What lies beside these is for the next connection, and for what the server sends.
        let keep = if state == State::AWAIT_PUBREL {
            super::outbound::HANDSHAKE_SLOTS
        } else {
            self.slots_to_keep()
        };
        if !self.has_free_slot(keep) || !self.push(slot, len) {
            return Err(RestoreError::NoRoom);
        }
        self.core.inbound = self
            .core
            .inbound
            .saturating_add(u16::from(state == State::AWAIT_PUBREL));
        Ok(())
    }
}

/// What of a slot is kept, if anything.
fn what_is(slot: &Slot) -> Option<u8> {
    let is_qos_2 = slot.kind == Kind::EXACTLY_ONCE;
    Some(match slot.state {
        State::QUEUED if is_qos_2 && slot.len != 0 => what::QUEUED_2,
        State::QUEUED if slot.kind.needs_quota() && slot.len != 0 => what::QUEUED_1,
        // A streamed payload is not there any more.
        State::AWAIT_PUBACK if slot.len != 0 => what::SENT_1,
        State::AWAIT_PUBREC if slot.len != 0 => what::SENT_2,
        State::PUBREL | State::AWAIT_PUBCOMP => what::RELEASED,
        State::ACK if ReasonCode::new(slot.code).is_error() => return None,
        State::ACK | State::AWAIT_PUBREL | State::PUBCOMP
            if is_qos_2 && !slot.is(super::marks::UNKNOWN) =>
        {
            what::RECEIVED
        }
        _ => return None,
    })
}

const fn has_packet(what: u8) -> bool {
    what < what::RELEASED
}

/// The reverse of [`what_is`].
fn meaning(what: u8) -> Option<(Kind, State)> {
    let at_least_once = Kind::publish(QoS::AtLeastOnce);
    Some(match what {
        what::QUEUED_1 => (at_least_once, State::QUEUED),
        what::QUEUED_2 => (Kind::EXACTLY_ONCE, State::QUEUED),
        what::SENT_1 => (at_least_once, State::AWAIT_PUBACK),
        what::SENT_2 => (Kind::EXACTLY_ONCE, State::AWAIT_PUBREC),
        what::RELEASED => (Kind::EXACTLY_ONCE, State::AWAIT_PUBCOMP),
        what::RECEIVED => (Kind::EXACTLY_ONCE, State::AWAIT_PUBREL),
        _ => return None,
    })
}
