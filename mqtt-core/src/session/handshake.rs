//! The beginning of a connection: CONNECT, CONNACK, what becomes of an earlier session, and the end of a link.

#[cfg(feature = "v5")]
mod v5;

use crate::{
    codec::{
        ConnAck, Connect, EncodeError, PacketIdentifier, Properties, ReasonCode, Subscribe,
        Subscriptions, Version,
    },
    time::Instant,
};

use super::{
    DeliveryError, Event, Options, Phase, ProtocolError, PublishError, SessionError, Settings,
    State, Working, bump, flags, slot::Slot,
};

/// Steps in which the reserved bytes grow until CONNECT fits.
const RESERVE_STEP: usize = 16;

#[cfg(feature = "v5")]
pub(super) use v5::V5State;

impl Working<'_> {
    /// Takes the options over and encodes CONNECT and SUBSCRIBE into the reserved bytes.
    pub(super) fn set_options(&mut self, options: &Options<'_>) -> Result<(), PublishError> {
        if options.version != self.state.version() && !self.state.layout.is_empty() {
            return Err(PublishError::Full);
        }
        self.state.settings = Settings::of(options);
        loop {
            match self.encode_control(options) {
                Ok(()) => return Ok(()),
                Err(EncodeError::NoRoom) => {
                    let reserved = self.arena().reserved().len().saturating_add(RESERVE_STEP);
                    if !self.arena().reserve(reserved) {
                        return Err(if self.state.layout.is_empty() {
                            PublishError::TooLarge
                        } else {
                            PublishError::Full
                        });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn connect(
        &mut self,
        options: &Options<'_>,
        now: Instant,
    ) -> Result<(), PublishError> {
        self.link_lost(false);
        self.set_options(options)?;
        let state = &mut *self.state;
        state.phase = Phase::Connecting;
        state.epoch = state.epoch.wrapping_add(1);
        state.quota = state.settings.max_in_flight;
        state.clean_session = options.clean_session;
        state.session_known |= options.session_known;
        state.timers.connect(options.keep_alive_s, now);
        Ok(())
    }

    /// Writes `| CONNECT | SUBSCRIBE |` into the reserved bytes; MQTT 5 keeps more behind them.
    fn encode_control(&mut self, options: &Options<'_>) -> Result<(), EncodeError> {
        self.state.subscribe_id = 0;
        let id = self.new_identifier().ok_or(EncodeError::NoRoom)?;
        let version = options.version;
        let connect_len = self.encode_connect(options)?;
        let mut arena = self.arena();
        let (subscribe_len, filters) =
            encode_subscribe(options, id, version, arena.reserved(), connect_len)?;
        let state = &mut *self.state;
        state.control = 0;
        state.control_end = connect_len;
        state.subscribe_end = connect_len.saturating_add(subscribe_len);
        state.subscribe_id = if filters == 0 { 0 } else { id.get() };
        state.subscribe_filters = filters;
        #[cfg(feature = "v5")]
        if state.subscribe_end > state.v5.topics {
            return Err(EncodeError::NoRoom);
        }
        Ok(())
    }

    #[cfg(not(feature = "v5"))]
    fn encode_connect(&mut self, options: &Options<'_>) -> Result<usize, EncodeError> {
        connect_of(options).encode(options.version, self.arena().reserved())
    }

    pub(super) fn handle_connack<'rx>(
        &mut self,
        connack: ConnAck<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        if self.state.phase != Phase::Connecting {
            return Err(ProtocolError::UnexpectedPacket.into());
        }
        if connack.code != ReasonCode::SUCCESS {
            return Err(SessionError::Refused(connack.code));
        }
        self.check_session_present(connack.session_present)?;
        #[cfg(feature = "v5")]
        self.take_limits(&connack)?;
        let state = &mut *self.state;
        state.phase = Phase::Connected;
        state.timers.progress = now;
        state.session_known = true;
        bump(&mut state.counters.connections);
        self.resume(connack.session_present);
        if !connack.session_present || self.state.settings.always_resubscribe {
            self.state.control_end = self.state.subscribe_end;
            self.state.requests = u16::from(self.state.subscribe_id != 0);
        } else {
            self.state.subscribe_id = 0;
        }
        Ok(Event::Connected(connack))
    }

    fn check_session_present(&mut self, present: bool) -> Result<(), SessionError> {
        let unknown = self.state.is_v5() && !self.state.session_known;
        if present && (self.state.clean_session || unknown) {
            #[cfg(feature = "v5")]
            self.set_force_clean(true);
            return Err(ProtocolError::SessionPresent.into());
        }
        #[cfg(feature = "v5")]
        self.set_force_clean(false);
        Ok(())
    }

    /// What becomes of unfinished exchanges on the new connection (MQTT 3.1.1 §4.4).
    fn resume(&mut self, session_present: bool) {
        self.state.in_flight = 0;
        self.state.requests = 0;
        self.state.acks = 0;
        self.state.layout.next = 0;
        for index in self.arena().indices() {
            let slot = self.arena().load(index);
            match slot.state {
                State::AWAIT_SUBACK | State::AWAIT_UNSUBACK => self.requeue(index, slot),
                State::AWAIT_PUBACK | State::AWAIT_PUBREC if session_present => {
                    self.set_dup(slot, true);
                    self.requeue(index, slot);
                }
                State::PUBREL | State::AWAIT_PUBCOMP if session_present => {
                    self.set_state(index, slot, State::PUBREL);
                    self.state.acks = self.state.acks.saturating_add(1);
                    self.state.in_flight = self.state.in_flight.saturating_add(1);
                }
                State::AWAIT_PUBREC if !self.state.settings.redeliver_exactly_once => {
                    self.finish(index, slot, Err(DeliveryError::SessionLost));
                }
                State::AWAIT_PUBACK | State::AWAIT_PUBREC => {
                    self.set_dup(slot, false);
                    self.requeue(index, slot);
                }
                State::PUBREL | State::AWAIT_PUBCOMP => {
                    self.finish(index, slot, Err(DeliveryError::SessionLost));
                }
                // The server will begin these again, under identifiers that mean nothing to us.
                inbound if inbound.is_inbound() && !session_present => {
                    self.state.inbound = self.state.inbound.saturating_sub(1);
                    self.arena().free(index);
                }
                _ => {}
            }
        }
        // `finish` counts down what the loop counts up.
        self.recount();
    }

    fn recount(&mut self) {
        let (mut in_flight, mut acks) = (0_u16, 0_u16);
        for index in self.arena().indices() {
            let state = self.arena().load(index).state;
            in_flight = in_flight.saturating_add(u16::from(state.is_in_flight()));
            acks = acks.saturating_add(u16::from(state.is_ack()));
        }
        self.state.in_flight = in_flight;
        self.state.acks = acks;
    }

    fn requeue(&mut self, index: usize, slot: Slot) {
        self.set_state(index, slot, State::QUEUED);
    }

    pub(super) fn set_state(&mut self, index: usize, mut slot: Slot, state: State) {
        slot.state = state;
        self.arena().store(index, slot);
    }

    /// [MQTT-3.3.1-1]: a repetition within the session has DUP set; a message sent anew has not.
    fn set_dup(&mut self, slot: Slot, dup: bool) {
        if let Some(first) = self.arena().packet_mut(slot).first_mut() {
            *first = (*first & !0x08) | if dup { 0x08 } else { 0 };
        }
    }

    /// Forgets the connection and keeps the session.
    pub(super) fn link_lost(&mut self, by_peer: bool) {
        if self.state.phase == Phase::Idle {
            return;
        }
        let suspect_dies = by_peer && self.state.phase != Phase::Connecting;
        self.state.phase = Phase::Idle;
        self.state.large_ignored = false;
        self.abort_stream();
        let mut suspect = suspect_dies && self.state.settings.poison_after != 0;
        for index in self.arena().indices() {
            let slot = self.arena().load(index);
            let partial = self.state.partial == Some(slot.ticket) && slot.is_queued_publish();
            match slot.state {
                // A streamed payload was not kept.
                State::AWAIT_PUBACK | State::AWAIT_PUBREC if slot.len == 0 => {
                    self.finish(index, slot, Err(DeliveryError::LinkLost));
                }
                State::AWAIT_PUBACK | State::AWAIT_PUBREC | State::QUEUED
                    if suspect && (slot.state != State::QUEUED || partial) =>
                {
                    suspect = false;
                    self.strike(index, slot);
                }
                State::HELD | State::ACK | State::AWAIT_PUBREL | State::PUBCOMP => {
                    self.interrupt_inbound(index, slot);
                }
                _ => {}
            }
        }
        self.state.partial = None;
        self.state.partial_sent = 0;
        self.state.control = 0;
        self.state.control_end = 0;
        self.recount();
    }

    /// The server closed the link while this was the oldest unacknowledged message.
    fn strike(&mut self, index: usize, mut slot: Slot) {
        slot.strikes = slot.strikes.saturating_add(1);
        if slot.strikes >= self.state.settings.poison_after {
            self.finish(index, slot, Err(DeliveryError::Poison));
        } else {
            self.arena().store(index, slot);
        }
    }

    /// QoS 1: the server repeats it. QoS 2: the application has it, and must not get the repetition.
    fn interrupt_inbound(&mut self, index: usize, slot: Slot) {
        if slot.qos() == crate::codec::QoS::ExactlyOnce && !slot.is(flags::UNKNOWN) {
            self.set_state(index, slot, State::AWAIT_PUBREL);
        } else {
            self.state.inbound = self.state.inbound.saturating_sub(1);
            self.arena().free(index);
        }
    }
}

/// CONNECT as the options want it, without properties.
fn connect_of<'a>(options: &Options<'a>) -> Connect<'a> {
    Connect {
        client_id: options.client_id,
        clean_session: options.clean_session,
        keep_alive: options.keep_alive_s,
        user_name: options.user_name,
        password: options.password,
        will: options.will,
        properties: Properties::NONE,
    }
}

/// Writes the SUBSCRIBE of the options behind CONNECT: its length, and how many filters it has.
fn encode_subscribe(
    options: &Options<'_>,
    id: PacketIdentifier,
    version: Version,
    room: &mut [u8],
    at: usize,
) -> Result<(usize, u16), EncodeError> {
    if options.subscriptions.is_empty() {
        return Ok((0, 0));
    }
    let subscribe = Subscribe {
        packet_identifier: id,
        filters: Subscriptions::from(options.subscriptions),
        properties: Properties::NONE,
    };
    let room = room.get_mut(at..).unwrap_or_default();
    let filters = u16::try_from(options.subscriptions.len()).map_err(|_| EncodeError::TooLong)?;
    Ok((subscribe.encode(version, room)?, filters))
}
