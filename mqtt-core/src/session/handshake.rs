//! The beginning of a connection: CONNECT, CONNACK, what becomes of an earlier session, and the end of a link.

#[cfg(feature = "v5")]
mod v5;

use crate::{
    codec::{
        ConnAck, Connect, EncodeError, PacketIdentifier, Properties, ReasonCode, Subscribe,
        Subscriptions,
    },
    time::Instant,
};

use super::{
    Event, Options, Phase, ProtocolError, PublishError, Session, SessionError, Settings, State,
    event::failure,
    marks,
    outbound::new_slot,
    slot::{Kind, Slot},
    states,
    table::to_len,
};

#[cfg(feature = "v5")]
pub(super) use v5::{Begin, HandleAuth, V5State};

impl<B: AsMut<[u8]>, S: AsMut<[Slot]>> Session<B, S> {
    /// Takes the options over: CONNECT and SUBSCRIBE are kept at the front of the buffer from now on. While other
    /// packets lie behind them, the space they had the first time must do.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`] if CONNECT and SUBSCRIBE do not fit into the buffer, [`PublishError::Encode`] if the
    /// options contradict each other; [`PublishError::Full`] if the options ask for another protocol version, or for
    /// more space, while messages are queued.
    pub fn configure(&mut self, options: &Options<'_>) -> Result<(), PublishError> {
        if self.core.is_empty() {
            self.restart_table();
        }
        self.sweep();
        let is_empty = self.core.is_empty();

        if options.version != self.core.version() && !is_empty {
            return Err(PublishError::Full);
        }
        self.core.settings = Settings::of(options);
        self.core.subscribe_id = 0;
        let id = self.new_identifier();
        let space = if is_empty {
            self.buffer.as_mut().len()
        } else {
            self.core.base as usize
        };
        let no_room = |error| match error {
            EncodeError::NoRoom if is_empty => PublishError::TooLarge,
            EncodeError::NoRoom => PublishError::Full,
            error => error.into(),
        };
        let end = self.encode_front(options, id, space).map_err(no_room)?;
        if is_empty {
            self.core.base = to_len(end);
            self.core.tail = self.core.base;
        }
        Ok(())
    }

    /// Begins a connection on a new link: CONNECT is the next thing to transmit.
    ///
    /// Everything of an earlier link is over; a packet of which only a part was sent is sent again in full.
    ///
    /// # Errors
    ///
    /// As [`configure`](Self::configure).
    pub fn connect(&mut self, options: &Options<'_>, now: Instant) -> Result<(), PublishError> {
        self.link_lost(false);
        #[cfg(feature = "v5")]
        if options.v5.authentication.is_some() && self.handle_auth.is_none() {
            return Err(PublishError::AuthenticationNotEnabled);
        }
        self.configure(options)?;
        let id = self.new_identifier();
        let state = &mut self.core;
        state.phase = Phase::Connecting;
        state.epoch = state.epoch.wrapping_add(1);
        state.quota = state.settings.max_in_flight;
        state.clean_session = options.clean_session;
        state.session_known |= options.session_known;
        state.timers.connect(options.keep_alive_s, now);
        let slot = Slot {
            #[cfg(feature = "v5")]
            at: state.v5.connect_at,
            len: state.connect_len,
            kind: Kind::CONNECT,
            ..new_slot(id, false)
        };
        self.core.next = 0;
        self.accept(slot, 0);
        Ok(())
    }

    /// `| CONNECT | SUBSCRIBE |`, and returns where they end.
    #[cfg(not(feature = "v5"))]
    fn encode_front(
        &mut self,
        options: &Options<'_>,
        id: u16,
        space: usize,
    ) -> Result<usize, EncodeError> {
        let room = self.buffer.as_mut().get_mut(..space).unwrap_or_default();
        let connect_len = connect_of(options).encode(options.version, room)?;
        self.core.connect_len = to_len(connect_len);
        let room = room.get_mut(connect_len..).unwrap_or_default();
        let subscribe_len = encode_subscribe(options, id, room)?;
        self.set_subscribe(options, id);
        Ok(connect_len.saturating_add(subscribe_len))
    }

    /// Remembers the SUBSCRIBE of the options.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "`encode_subscribe` refuses more filters"
    )]
    fn set_subscribe(&mut self, options: &Options<'_>, id: u16) {
        let filters = options.subscriptions.len();
        self.core.subscribe_filters = filters as u8;
        self.core.subscribe_id = if filters == 0 { 0 } else { id };
    }

    pub(super) fn handle_connack<'rx>(
        &mut self,
        connack: ConnAck<'rx>,
        now: Instant,
    ) -> Result<Event<'rx>, SessionError> {
        if connack.code != ReasonCode::SUCCESS {
            return Err(SessionError::Refused(connack.code));
        }
        self.check_session_present(connack.session_present)?;
        #[cfg(feature = "v5")]
        self.take_limits(&connack)?;
        let state = &mut self.core;
        state.phase = Phase::Connected;
        state.was_connected = true;
        state.timers.progress = now;
        state.session_known = true;
        state.counters.connections = state.counters.connections.wrapping_add(1);
        self.resume(connack.session_present);
        Ok(Event::Connected(connack))
    }

    fn check_session_present(&mut self, present: bool) -> Result<(), SessionError> {
        let unknown = self.core.is_v5() && !self.core.session_known;
        let refused = present && (self.core.clean_session || unknown);
        #[cfg(feature = "v5")]
        self.set_force_clean(refused);
        if refused {
            return Err(ProtocolError::SessionPresent.into());
        }
        Ok(())
    }

    /// What becomes of unfinished exchanges on the new connection (MQTT 3.1.1 §4.4).
    #[inline(never)]
    fn resume(&mut self, session_present: bool) {
        if !session_present || self.core.settings.always_resubscribe {
            self.core.subscribed = false;
        }
        for index in 0..usize::from(self.core.used) {
            let redeliver = self.core.settings.redeliver_exactly_once;
            let slot = self.slot(index);
            let state = slot.state;
            // Also what was to be repeated on a link that ended before. Free slots and known outcomes are numbered below.
            let sent = state.0 >= State::QUEUED.0 && slot.is(marks::SENT);
            let released = state.is_in(State::PUBREL.bit() | State::AWAIT_PUBCOMP.bit());
            let lost = released || (sent && slot.kind == Kind::EXACTLY_ONCE && !redeliver);
            if state.is_in(states::INBOUND) {
                // The server will begin these again, under identifiers that mean nothing to us.
                if !session_present {
                    self.free(index);
                }
            } else if lost && !session_present {
                self.finish(index, failure::SESSION_LOST, 0);
            } else if released {
                slot.state = State::PUBREL;
            } else if sent {
                slot.state = State::QUEUED;
                // [MQTT-3.3.1-1]: a repetition within the session has DUP set; a message sent anew has not.
                if slot.kind.is_publish()
                    && let Some(first) = self.packet(index).first_mut()
                {
                    *first = *first & !0x08 | u8::from(session_present) << 3;
                }
            }
        }
        self.core.next = 0;
        self.core.requests = 0;
        self.core.in_flight = self.count(states::IN_FLIGHT);
        self.core.output = true;
        if self.core.subscribed {
            self.core.subscribe_id = 0;
        } else {
            self.resubscribe();
        }
    }

    /// SUBSCRIBE goes before all that was queued.
    fn resubscribe(&mut self) {
        let id = self.core.subscribe_id;
        if id == 0 {
            return;
        }
        #[cfg(feature = "v5")]
        let (at, end) = (self.core.v5.subscribe_at, self.core.v5.subscribe_end);
        #[cfg(not(feature = "v5"))]
        let (at, end) = (self.core.connect_len, self.core.base);
        let code = self.core.subscribe_filters;
        let slot = self.slot(0);
        slot.at = at;
        slot.len = end.wrapping_sub(at);
        slot.id = id;
        slot.state = State::QUEUED;
        slot.kind = Kind::SUBSCRIBE;
        slot.marks = 0;
        slot.code = code;
        self.core.first = 0;
        self.core.next = 0;
    }

    /// The link is gone; the session is kept. `by_peer`: the other side closed it, so that a message may be the cause.
    pub fn link_lost(&mut self, by_peer: bool) {
        if self.core.phase == Phase::Idle {
            return;
        }
        let mut suspect = by_peer && self.core.was_connected;
        let partial = core::mem::take(&mut self.core.partial);
        self.core.partial_sent = 0;
        self.core.phase = Phase::Idle;
        // Without CONNACK, the server may have begun a new session, and will not say so again.
        self.core.subscribed &= self.core.was_connected;
        self.core.was_connected = false;
        self.core.large_ignored = false;
        let large = core::mem::take(&mut self.core.large_id);
        if let Some(ops) = &self.stream_ops {
            (ops.abort)(self);
        }
        for index in 0..usize::from(self.core.used) {
            let base = self.core.base;
            let slot = self.slot(index);
            let state = slot.state;
            let sent = state.is_in(State::AWAIT_PUBACK.bit() | State::AWAIT_PUBREC.bit());
            let in_front = slot.len != 0 && slot.at < base;
            let is_partial = partial != 0 && partial == slot.id;
            // Exchanges unknown to us end with the link; of a large message the application needs the rest.
            let unknown = slot.is(marks::UNKNOWN) && state.is_in(states::ACKS);
            let in_pieces = state == State::HELD && slot.id == large;
            if in_front || slot.kind.is_handshake() || unknown || in_pieces {
                self.free(index);
            } else if state.is_in(states::INBOUND) {
                // QoS 1: the server repeats it. QoS 2: the application has it, and must not get the repetition.
                if slot.kind == Kind::EXACTLY_ONCE {
                    slot.state = State::AWAIT_PUBREL;
                } else {
                    self.free(index);
                }
            } else if sent && slot.len == 0 {
                // A streamed payload was not kept.
                self.finish(index, failure::LINK_LOST, 0);
            } else if suspect && (state.is_in(states::IN_FLIGHT) || is_partial) {
                suspect = false;
                self.strike(index);
            }
        }
        // The server counts those that it sends on one connection (MQTT 5 §4.9), and so do we.
        self.core.inbound = 0;
    }

    /// The server closed the link while this was the oldest unacknowledged message.
    fn strike(&mut self, index: usize) {
        let limit = self.core.settings.poison_after;
        let slot = self.slot(index);
        // Four bits, which wrap before they reach the limit that stands for never.
        slot.marks = slot.marks.wrapping_add(marks::STRIKE);
        if slot.marks / marks::STRIKE >= limit {
            self.finish(index, failure::POISON, 0);
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

/// Writes the SUBSCRIBE of the options, and returns its length.
fn encode_subscribe(options: &Options<'_>, id: u16, room: &mut [u8]) -> Result<usize, EncodeError> {
    let filters = options.subscriptions;
    let Some(packet_identifier) = PacketIdentifier::new(id).filter(|_| !filters.is_empty()) else {
        return Ok(0);
    };
    if filters.len() > usize::from(u8::MAX) {
        return Err(EncodeError::TooLong);
    }
    let subscribe = Subscribe {
        packet_identifier,
        filters: Subscriptions::from(filters),
        properties: Properties::NONE,
    };
    subscribe.encode(options.version, room)
}
