//! What is done with received bytes, by whoever has the receive buffer.

use crate::{
    receive::{ReceiveBuffer, Received},
    session::{AckToken, Event, Oversize},
};

use super::{Inner, Kind, LinkEnd, LinkState, wake};

/// Something for the application, found in the receive buffer and still lying there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) token: Option<AckToken>,
    pub(super) kind: ReadyKind,
    /// The link on which it came.
    pub(super) epoch: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ReadyKind {
    /// A whole message.
    Whole,
    /// The head of a large message with so many bytes of payload; `known`: topic and properties are there.
    Large { len: u32, known: bool },
    /// A piece of it.
    Piece { last: bool },
}

/// What the owner of the receive buffer has to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// Receive more bytes: only the pump can.
    Receive,
    /// Give [`Inner::ready`] to the application: only the inbox can.
    Deliver,
    /// CONNACK was just read: only the pump can judge what it says of authentication.
    Connected,
    /// Answer the AUTH packet that was just read: only the pump has the options for it.
    #[cfg(feature = "v5")]
    Authenticate,
    /// Nothing: the link is about to end.
    End,
}

impl<K: Kind> Inner<K> {
    /// Handles packets until there is something to do.
    pub(super) fn process(&mut self, rx: &mut ReceiveBuffer<K::Buffer>, is_pump: bool) -> Turn {
        if core::mem::take(&mut self.skip) {
            rx.skip();
        }
        let turn = loop {
            if self.ending.is_some() {
                break Turn::End;
            }
            // AUTH is for the pump.
            if cfg!(feature = "v5") && !is_pump && rx.peek().is_some_and(|first| first >> 4 == 15) {
                break Turn::Receive;
            }
            let now = self.now;
            let event = match rx.next() {
                Ok(None) => break Turn::Receive,
                Ok(Some(received)) => {
                    let large = match &received {
                        Received::LargePublish(head) => {
                            Some((head.payload_len, !head.topic.is_empty()))
                        }
                        _ => None,
                    };
                    let event = self.session.handle(received, now);
                    event.map(|event| Found::of(&event, large))
                }
                Err(error) => {
                    self.session.fail(error);
                    Err(error)
                }
            };
            match event {
                Ok(Found::Nothing) => {}
                Ok(Found::Connected { session_present }) => {
                    self.set_state(LinkState::Connected { session_present });
                    break Turn::Connected;
                }
                Ok(Found::Message(token, kind)) => {
                    if let Some(turn) = self.found_message(rx, token, kind) {
                        break turn;
                    }
                }
                #[cfg(feature = "v5")]
                Ok(Found::Authentication) => break Turn::Authenticate,
                Err(error) => {
                    self.end(LinkEnd::Session(error));
                    break Turn::End;
                }
            }
        };
        if turn == Turn::Deliver {
            self.session.set_receive_blocked(true, self.now);
        }
        self.notify();
        turn
    }

    fn found_message(
        &mut self,
        rx: &mut ReceiveBuffer<K::Buffer>,
        token: Option<AckToken>,
        kind: ReadyKind,
    ) -> Option<Turn> {
        if let ReadyKind::Piece { last } = kind
            && let Some(token) = self.discard
        {
            if last {
                self.discard = None;
                self.acknowledge(token);
            }
            return None;
        }
        let large = matches!(kind, ReadyKind::Large { .. });
        if large && (self.oversize == Oversize::Skip || !self.has_inbox) {
            rx.skip();
            self.report.skipped = self.report.skipped.saturating_add(1);
        }
        if !self.has_inbox {
            self.report.discarded = self.report.discarded.saturating_add(1);
            if large {
                self.discard = Some(token);
            } else {
                self.acknowledge(token);
            }
            return None;
        }
        self.ready = Some(Ready {
            token,
            kind,
            epoch: self.session.epoch(),
        });
        Some(Turn::Deliver)
    }

    pub(super) fn acknowledge(&mut self, token: Option<AckToken>) {
        if let Some(token) = token {
            self.session
                .acknowledge(token, crate::codec::ReasonCode::SUCCESS);
        }
    }

    /// The link is to end; its last bytes may still go out.
    pub(super) fn end(&mut self, end: LinkEnd) {
        if self.ending.is_none() {
            self.ending = Some(end);
        }
        self.wake_transmit();
        self.wake_watch();
        wake(&mut self.receive_waker);
    }

    /// Ends the link for an error that the session did not find itself.
    #[cfg(feature = "v5")]
    pub(super) fn fail(&mut self, error: crate::session::SessionError) {
        self.session.fail(error);
        self.end(LinkEnd::Session(error));
    }
}

/// An event without its bytes, which stay in the receive buffer.
enum Found {
    Nothing,
    Connected {
        session_present: bool,
    },
    Message(Option<AckToken>, ReadyKind),
    #[cfg(feature = "v5")]
    Authentication,
}

impl Found {
    fn of(event: &Event<'_>, large: Option<(u32, bool)>) -> Self {
        match event {
            Event::Connected(connack) => Self::Connected {
                session_present: connack.session_present,
            },
            Event::Message(incoming) => Self::Message(incoming.token, ReadyKind::Whole),
            Event::LargeMessage(_, token) => {
                let (len, known) = large.unwrap_or_default();
                Self::Message(*token, ReadyKind::Large { len, known })
            }
            Event::Piece { last, .. } => Self::Message(None, ReadyKind::Piece { last: *last }),
            #[cfg(feature = "v5")]
            Event::Authentication { .. } => Self::Authentication,
            Event::None => Self::Nothing,
        }
    }
}
