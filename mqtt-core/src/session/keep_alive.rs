//! Time: keep-alive, and how long an answer may take.

use crate::time::Instant;

use super::{Core, Phase, SessionError};

/// What the session remembers of the past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    /// Keep Alive in force, in milliseconds; 0 for none.
    pub(super) keep_alive_ms: u32,
    /// The last bytes were given to the transport.
    pub(super) sent: Instant,
    /// The last packet came in.
    pub(super) received: Instant,
    /// CONNECT was begun, or the last acknowledgement came, or the first one became due.
    pub(super) progress: Instant,
    /// The last time [`transmit`](super::Session::transmit) was called.
    now: Instant,
    /// When PINGREQ was given to the transport.
    pinged: Instant,
    ping: Ping,
    /// Bytes were given out, and nothing says yet that the transport has them.
    writing: bool,
    /// Since when.
    writing_since: Instant,
    /// The application does not take what was received.
    blocked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ping {
    #[default]
    No,
    /// To be sent.
    Due,
    /// Given out.
    Written,
    /// The transport has it.
    Sent,
}

impl Timers {
    pub(super) fn connect(&mut self, keep_alive_s: u16, now: Instant) {
        *self = Self {
            sent: now,
            received: now,
            progress: now,
            ..Self::default()
        };
        self.set_keep_alive(keep_alive_s);
    }

    pub(super) fn set_keep_alive(&mut self, keep_alive_s: u16) {
        self.keep_alive_ms = u32::from(keep_alive_s).wrapping_mul(1000);
    }

    /// The transport has all bytes that were given out.
    pub(super) fn completed(&mut self, now: Instant) {
        self.now = now;
        if !self.writing {
            return;
        }
        self.writing = false;
        self.sent = now;
        if self.ping == Ping::Written {
            self.ping = Ping::Sent;
            self.pinged = now;
        }
    }

    /// From now on, an acknowledgement is due.
    pub(super) fn awaits_progress(&mut self) {
        self.progress = self.now;
    }

    /// Bytes are being given out.
    pub(super) fn begin_write(&mut self, now: Instant) {
        self.writing = true;
        self.writing_since = now;
    }

    pub(super) fn pong(&mut self) {
        if self.ping != Ping::Due {
            self.ping = Ping::No;
        }
    }

    pub(super) fn ping_is_due(&self) -> bool {
        self.ping == Ping::Due
    }

    pub(super) fn ping_written(&mut self) {
        self.ping = Ping::Written;
    }

    /// When silence, ours or the peer's, has lasted long enough. The peer's counts too: a device that publishes
    /// at QoS 0 only would otherwise not notice a dead link.
    fn ping_at(&self) -> Option<Instant> {
        let idle = self.ping == Ping::No && self.keep_alive_ms != 0 && !self.writing;
        let quiet = if self.blocked {
            self.sent
        } else {
            self.sent.min(self.received)
        };
        idle.then(|| quiet.plus(self.keep_alive_ms))
    }
}

impl Core {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.connack_deadline(),
            self.connected().and_then(Timers::ping_at),
            self.ping_deadline(),
            self.ack_deadline(),
            self.write_deadline(),
        ];
        deadlines.into_iter().flatten().reduce(Instant::min)
    }

    pub(super) fn tick(&mut self, now: Instant) -> Result<(), SessionError> {
        let over = |deadline: Option<Instant>| deadline.is_some_and(|at| now.has_reached(at));
        if over(self.connack_deadline()) {
            return Err(SessionError::ConnAckTimeout);
        }
        if over(self.ping_deadline()) {
            return Err(SessionError::PingTimeout);
        }
        if over(self.write_deadline()) {
            return Err(SessionError::WriteTimeout);
        }
        if over(self.ack_deadline()) {
            return Err(SessionError::AckTimeout);
        }
        if over(self.connected().and_then(Timers::ping_at)) {
            self.timers.ping = Ping::Due;
        }
        Ok(())
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

    fn connected(&self) -> Option<&Timers> {
        (self.phase == Phase::Connected).then_some(&self.timers)
    }

    fn connack_deadline(&self) -> Option<Instant> {
        (self.phase == Phase::Connecting)
            .then(|| self.timers.progress.plus(self.settings.connack_timeout_ms))
    }

    fn ping_deadline(&self) -> Option<Instant> {
        let timers = self.connected()?;
        (timers.ping == Ping::Sent && !timers.blocked)
            .then(|| timers.pinged.plus(self.settings.ping_timeout_ms))
    }

    fn ack_deadline(&self) -> Option<Instant> {
        let timers = self.connected()?;
        let due = self.awaited() && !timers.blocked && self.settings.ack_timeout_ms != 0;
        due.then(|| timers.progress.plus(self.settings.ack_timeout_ms))
    }

    fn write_deadline(&self) -> Option<Instant> {
        let waits = self.timers.writing && self.settings.ack_timeout_ms != 0;
        (waits && !matches!(self.phase, Phase::Idle | Phase::Closed))
            .then(|| self.timers.writing_since.plus(self.settings.ack_timeout_ms))
    }

    /// Whether the server owes us an acknowledgement.
    fn awaited(&self) -> bool {
        self.in_flight != 0 || self.requests != 0
    }
}
