//! Time: keep-alive, and how long an answer may take.

use crate::time::Instant;

use super::{Core, Phase, SessionError};

/// What the session remembers of the past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    /// Keep Alive in force, in milliseconds; 0 for none.
    pub(super) keep_alive_ms: u32,
    /// Bytes were last given out, or the transport has taken them.
    pub(super) sent: Instant,
    /// The last packet came in.
    pub(super) received: Instant,
    /// CONNECT was begun, or the last acknowledgement came, or the first one became due.
    pub(super) progress: Instant,
    /// When the PINGREQ to be answered was given to the transport.
    pinged: Instant,
    ping: Ping,
    /// PINGRESP is due.
    awaited: bool,
    /// Bytes were given out, or a ping is due, and nothing says yet that the transport has them.
    writing: bool,
    /// The application does not take what was received.
    blocked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ping {
    No,
    /// To be sent.
    Due,
    /// Given out.
    Written,
}

impl Timers {
    pub(super) const NEW: Self = Self {
        keep_alive_ms: 0,
        sent: Instant::from_millis(0),
        received: Instant::from_millis(0),
        progress: Instant::from_millis(0),
        pinged: Instant::from_millis(0),
        ping: Ping::No,
        awaited: false,
        writing: false,
        blocked: false,
    };

    pub(super) fn connect(&mut self, keep_alive_s: u16, now: Instant) {
        self.sent = now;
        self.received = now;
        self.progress = now;
        self.ping = Ping::No;
        self.awaited = false;
        self.writing = false;
        self.blocked = false;
        self.set_keep_alive(keep_alive_s);
    }

    pub(super) fn set_keep_alive(&mut self, keep_alive_s: u16) {
        self.keep_alive_ms = u32::from(keep_alive_s).wrapping_mul(1000);
    }

    /// The transport has all bytes that were given out.
    pub(super) fn completed(&mut self, now: Instant) {
        if !self.writing {
            return;
        }
        self.writing = false;
        self.sent = now;
        if self.ping == Ping::Written {
            self.ping = Ping::No;
            // What comes next answers the first of them.
            if !self.awaited {
                self.awaited = true;
                self.pinged = now;
            }
        }
    }

    /// Bytes are being given out.
    pub(super) fn begin_write(&mut self, now: Instant) {
        self.writing = true;
        self.sent = now;
    }

    pub(super) fn pong(&mut self) {
        self.awaited = false;
        if self.ping == Ping::Written {
            self.ping = Ping::No;
        }
    }

    pub(super) fn ping_is_due(&self) -> bool {
        self.ping == Ping::Due
    }

    pub(super) fn ping_written(&mut self) {
        self.ping = Ping::Written;
    }

    /// Since when we, or the peer, have been silent, if that is of interest. The peer's counts too: a device that publishes
    /// at QoS 0 only would otherwise not notice a dead link.
    fn quiet_since(&self) -> Option<Instant> {
        if self.keep_alive_ms == 0 || self.writing {
            return None;
        }
        // A peer that owes an answer has its own deadline, but must hear from us all the same.
        Some(if self.blocked || self.awaited {
            self.sent
        } else {
            self.sent.min(self.received)
        })
    }
}

/// What a deadline is for.
#[derive(Clone, Copy)]
enum Due {
    PingReq,
    Error(SessionError),
}

impl Core {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline().map(|(at, _)| at)
    }

    pub(super) fn tick(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.deadline() {
            Some((at, due)) if now.has_reached(at) => match due {
                Due::PingReq => {
                    // Begun: a transport that is busy with something else must not take for ever.
                    self.timers.begin_write(now);
                    self.timers.ping = Ping::Due;
                    self.output = true;
                    Ok(())
                }
                Due::Error(error) => Err(error),
            },
            _ => Ok(()),
        }
    }

    /// The first of all deadlines.
    #[inline(never)]
    fn deadline(&self) -> Option<(Instant, Due)> {
        let timers = &self.timers;
        let settings = &self.settings;
        let mut first: Option<(Instant, Due)> = None;
        let mut add = |from: Instant, millis: u32, due: Due| {
            let at = from.plus(millis);
            if first.is_none_or(|(first, _)| !at.has_reached(first)) {
                first = Some((at, due));
            }
        };
        let acks_due = settings.ack_timeout_ms != 0;
        if timers.writing && acks_due && !self.is_over() {
            add(
                timers.sent,
                settings.ack_timeout_ms,
                Due::Error(SessionError::WriteTimeout),
            );
        }
        if self.phase == Phase::Connecting {
            let error = Due::Error(SessionError::ConnAckTimeout);
            add(timers.progress, settings.connack_timeout_ms, error);
        }
        if self.phase != Phase::Connected {
            return first;
        }
        if let Some(quiet) = timers.quiet_since() {
            add(quiet, timers.keep_alive_ms, Due::PingReq);
        }
        if !timers.blocked {
            if timers.awaited {
                add(
                    timers.pinged,
                    settings.ping_timeout_ms,
                    Due::Error(SessionError::PingTimeout),
                );
            }
            if acks_due && (self.in_flight != 0 || self.requests != 0) {
                add(
                    timers.progress,
                    settings.ack_timeout_ms,
                    Due::Error(SessionError::AckTimeout),
                );
            }
        }
        first
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Closed)
    }

    pub(super) fn set_receive_blocked(&mut self, blocked: bool, now: Instant) {
        let timers = &mut self.timers;
        if timers.blocked && !blocked {
            timers.pinged = now;
            timers.progress = now;
            timers.received = now;
        }
        timers.blocked = blocked;
    }
}
