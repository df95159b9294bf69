//! What is done with received bytes, by whoever has the receive buffer.

use core::mem::take;

use crate::{
    codec::ReasonCode,
    session::{AckToken, Event, Options, Oversize, SessionError},
};

use super::{Inner, Kind, LinkEnd, LinkState, Rx};

/// Something for the application, found in the receive buffer and still lying there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) kind: ReadyKind,
    /// The link on which it came.
    pub(super) epoch: u16,
    pub(super) token: Option<AckToken>,
    /// Bytes of payload of a large message.
    pub(super) len: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
// From 1: no message is 0, so that the state of a client is all zero at first and takes no flash.
#[repr(u8)]
pub(super) enum ReadyKind {
    /// A whole message.
    Whole = 1,
    /// A piece of a large message.
    Piece,
    /// The last piece of it.
    LastPiece,
    /// The head of a large message.
    Large,
    /// The same, but topic and properties did not fit either.
    Nameless,
}

impl ReadyKind {
    pub(super) fn is_large(self) -> bool {
        self >= Self::Large
    }

    pub(super) fn is_piece(self) -> bool {
        matches!(self, Self::Piece | Self::LastPiece)
    }
}

/// What the owner of the receive buffer has to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Turn {
    /// Receive more bytes: only the pump can.
    Receive,
    /// Give [`Inner::ready`] to the application: only the inbox can.
    Deliver,
    /// Nothing: the link is about to end.
    End,
}

#[cfg(feature = "v5")]
pub(super) type Authenticate<K> =
    fn(&mut Inner<K>, Option<&Options<'_>>, Option<&[u8]>, bool) -> Result<(), SessionError>;

impl<K: Kind> Inner<K> {
    /// Handles packets until there is something to do. `pump`: for the receive pump, which alone has the options.
    #[inline(never)]
    pub(super) fn process(&mut self, rx: &mut Rx<K>, pump: Option<&Options<'_>>) -> Turn {
        let turn = loop {
            if self.ending.is_some() {
                break Turn::End;
            }
            // AUTH is for the pump.
            #[cfg(feature = "v5")]
            if pump.is_none() && rx.peek().is_some_and(|first| first >> 4 == 15) {
                break Turn::Receive;
            }
            match self.process_one(rx, pump) {
                Ok(None) => {}
                Ok(Some(turn)) => break turn,
                Err(error) => self.end(LinkEnd::Session(error)),
            }
        };
        if turn == Turn::Deliver {
            self.session.set_receive_blocked(true, self.now);
        }
        if pump.is_none() {
            self.notify();
        } else {
            self.notify_waiters();
        }
        turn
    }

    /// Handles one packet; what has to be done before the next, if anything.
    #[inline(never)]
    fn process_one(
        &mut self,
        rx: &mut Rx<K>,
        pump: Option<&Options<'_>>,
    ) -> Result<Option<Turn>, SessionError> {
        if take(&mut self.skip) {
            rx.skip();
        }
        let received = match rx.next() {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(Some(Turn::Receive)),
            Err(error) => {
                self.session.fail(error);
                return Err(error);
            }
        };
        let (kind, token, len) = match self.session.handle(received, self.now)? {
            Event::None => return Ok(None),
            Event::Connected(connack) => {
                let session_present = connack.session_present;
                self.connected = Some(self.now);
                self.set_state(LinkState::Connected { session_present });
                #[cfg(feature = "v5")]
                self.follow(pump, connack.properties.authentication_data(), true)?;
                return Ok(None);
            }
            #[cfg(feature = "v5")]
            Event::Authentication { data, finished } => {
                self.follow(pump, Some(data), finished)?;
                return Ok(None);
            }
            Event::Message(incoming) => {
                // It came in a packet, whose length is a `u32`.
                #[allow(clippy::cast_possible_truncation, reason = "see above")]
                let len = incoming.publish.payload.len() as u32;
                (ReadyKind::Whole, incoming.token, len)
            }
            Event::LargeMessage(head, token) => {
                let kind = if head.topic.is_empty() {
                    ReadyKind::Nameless
                } else {
                    ReadyKind::Large
                };
                (kind, token, head.payload_len)
            }
            Event::Piece { last: false, .. } => (ReadyKind::Piece, None, 0),
            Event::Piece { last: true, .. } => (ReadyKind::LastPiece, None, 0),
        };
        let _ = pump;
        let epoch = self.session.epoch();
        Ok(self.found(Ready {
            kind,
            epoch,
            token,
            len,
        }))
    }

    fn found(&mut self, ready: Ready) -> Option<Turn> {
        if self.discard && ready.kind.is_piece() {
            if ready.kind == ReadyKind::LastPiece {
                self.discard = false;
                self.acknowledge(self.discard_token);
            }
            return None;
        }
        if ready.kind.is_large() && (self.oversize == Oversize::Skip || !self.has_inbox) {
            self.skip = true;
            self.skipped = self.skipped.wrapping_add(1);
            #[cfg(feature = "log")]
            log::warn!("skipped a message larger than the receive buffer");
            #[cfg(feature = "defmt")]
            defmt::warn!("skipped a message larger than the receive buffer");
        }
        if !self.has_inbox {
            self.discard(ready);
            return None;
        }
        self.ready = Some(ready);
        Some(Turn::Deliver)
    }

    /// Nobody wants it any more: it is acknowledged unseen, a large message after its last piece.
    pub(super) fn discard(&mut self, ready: Ready) {
        self.discarded = self.discarded.wrapping_add(1);
        if ready.kind == ReadyKind::Whole {
            self.acknowledge(ready.token);
        } else {
            self.discard_rest(ready.token);
        }
    }

    pub(super) fn discard_rest(&mut self, token: Option<AckToken>) {
        self.skip = true;
        self.discard = true;
        self.discard_token = token;
    }

    fn acknowledge(&mut self, token: Option<AckToken>) {
        if let Some(token) = token {
            self.session.acknowledge(token, ReasonCode::SUCCESS);
        }
    }

    #[cfg(feature = "v5")]
    fn follow(
        &mut self,
        pump: Option<&Options<'_>>,
        data: Option<&[u8]>,
        finished: bool,
    ) -> Result<(), SessionError> {
        match self.authenticate {
            Some(authenticate) => authenticate(self, pump, data, finished),
            None => Ok(()),
        }
    }

    /// Lets the method of the options judge and answer what the server has just sent.
    #[cfg(feature = "v5")]
    pub(super) fn authenticate(
        &mut self,
        pump: Option<&Options<'_>>,
        data: Option<&[u8]>,
        finished: bool,
    ) -> Result<(), SessionError> {
        let Some(method) = pump.and_then(|options| options.v5.authentication) else {
            return Ok(());
        };
        let data = data.unwrap_or_default();
        let answered = if finished {
            method.finish(data).is_ok()
        } else {
            let answer = &mut |out: &mut crate::codec::Writer<'_>| method.respond(data, out);
            let code = ReasonCode::CONTINUE_AUTHENTICATION;
            self.session.authenticate(code, answer).is_ok()
        };
        if answered {
            return Ok(());
        }
        let error = SessionError::AuthenticationFailed;
        self.session.fail(error);
        Err(error)
    }
}
